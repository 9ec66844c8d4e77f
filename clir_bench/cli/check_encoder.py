"""`clir-bench check-encoder`: checks that an encoder does what clir-bench expects of one."""

from __future__ import annotations

import click

from clir_bench.cli import options
from clir_bench.cli.output import echo
from clir_bench.encoders import at_revision
from clir_bench.testing import LoadOptions, examine_encoder


@click.command(epilog="Example: clir-bench check-encoder hashing")
@click.argument("model")
@options.device
@options.dtype
@options.batch_size
@options.trust_remote_code
@options.revision
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    model: str,
    device: str,
    dtype: str,
    batch_size: int | None,
    trust_remote_code: bool,
    revision: str | None,
) -> None:
    """Check that the encoder MODEL keeps an encoder's promises.

    MODEL is what `run --model` takes: a name, st:HUB_ID_OR_PATH, or a model.toml. It is loaded here
    and once more in a process of its own, where every connection is refused. The command exits
    with 1 when a check fails. In pytest: `from clir_bench.testing import encoder_checks`.
    """
    loading = LoadOptions(device, dtype, batch_size, trust_remote_code)
    report = examine_encoder(at_revision(model, revision), loading)
    echo(report.text())
    if report.failed:
        ctx.exit(1)
