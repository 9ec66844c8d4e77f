"""Prints where the time of a run went, for `--profile`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from clir_bench.cli.output import echo
from clir_bench.core import provenance
from clir_bench.core.profiling import Profile, profiled
from clir_bench.systems.system import EncoderSystem, System

STAGES = ("read", "tokenize", "encode", "write", "search", "score")


@contextmanager
def reported(wanted: bool, label: str, system: System) -> Iterator[None]:
    """Measure the block and print to stderr where its time went, if wanted."""
    if not wanted:
        yield
        return
    with profiled() as profile:
        yield
    echo(profile_text(label, profile), err=True)
    # The tokens of several encoders are counted together.
    if len(system.leaves) == 1 and (share := _share_text(profile, system.leaves[0])) is not None:
        echo(share, err=True)
    for leaf in system.leaves:
        if leaf.info.dtype_reason:
            echo(f"  {leaf.info.dtype}, because {leaf.info.dtype_reason}", err=True)


def profile_text(label: str, profile: Profile) -> str:
    """Return seconds by stage, the remaining seconds, and the peak of memory."""
    total = profile.total_seconds
    seconds = {stage: profile.seconds.get(stage, 0.0) for stage in STAGES}
    seconds["other"] = max(0.0, total - sum(seconds.values()))
    lines = [f"profile of {label}: {total:.2f} s"]
    lines += [
        f"  {stage:<9}{spent:>9.2f} s {spent / max(total, 1e-9):>6.1%}"
        for stage, spent in seconds.items()
    ]
    if profile.worker_seconds:
        lines.append(
            f"  encode is waiting for workers, who took {profile.worker_seconds:,.2f} s in all"
        )
    lines.append(f"  peak memory {provenance.peak_memory_bytes() / 2**20:,.0f} MiB")
    return "\n".join(lines)


def _share_text(profile: Profile, system: EncoderSystem) -> str | None:
    """Return the encoder's throughput, None for encoders that do not report their tokens."""
    operations = getattr(getattr(system.encoder, "inner", None), "operations", None)
    n_tokens, waited = profile.counts["tokens"], profile.seconds["encode"]
    if not n_tokens or not waited:
        return None
    text = (
        f"  encoded {profile.counts['texts']:,} texts of {n_tokens:,} tokens, "
        f"{n_tokens / waited:,.0f} tokens per second"
    )
    if requests := profile.counts["requests"]:
        text += f", in {requests:,} requests to its server"
    threads = None if system.workers is None else system.workers.threads_each
    done = operations(profile.counts) / (profile.worker_seconds or waited) if operations else 0
    # The rates of other machines are unknown, and models without layers multiply nothing.
    if not done or (profile.worker_seconds and threads is None):
        return text
    rate, dtype = _rate(system, threads)
    return (
        f"{text}: {done / 1e9:,.0f} Gflop/s in {system.encoder.info.dtype}"
        f"{' by each worker' if profile.worker_seconds else ''}, {done / rate:.0%} of the "
        f"{rate / 1e9:,.0f} Gflop/s of a {dtype} matrix product here"
    )


def _rate(system: EncoderSystem, threads: int | None) -> tuple[float, str]:
    """Return the operations per second of a matrix product like the encoder's, and their type."""
    import torch

    from clir_bench.encoders.st.rates import matrix_rate

    dtype = torch.float32 if system.encoder.info.dtype == "float32" else torch.bfloat16
    own = torch.get_num_threads()
    torch.set_num_threads(threads or own)
    try:
        rate = matrix_rate(dtype, system.device)
    finally:
        torch.set_num_threads(own)
    return rate, str(dtype).removeprefix("torch.")
