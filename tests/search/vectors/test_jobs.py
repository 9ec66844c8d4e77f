"""Several jobs that share stored vectors, and the command line of all that."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from folders import Folder, clir
from killed_runs import left
from stored_vectors import (  # noqa: F401 - fixtures
    DAMAGES,
    N_TEXTS,
    Asked,
    bytes_of,
    encode,
    expected_fixture,
    flip,
    folder_fixture,
    refuse,
    run,
    swahili,
    vectors_fixture,
)

from clir_bench.errors import EncoderError, MissingDataError, OutputError, ResultError, UsageError
from clir_bench.evaluation.sharded_encoding import Job
from clir_bench.search.vectors.cache_key import Corpus
from clir_bench.search.vectors.shards import ShardWriter, data_path, read_manifest
from clir_bench.search.vectors.store import EmbeddingStore

# Jobs


@pytest.mark.parametrize("n_jobs", [1, 2, 3, 20])
def test_jobs_encode_every_shard_once_and_merge_encodes_none(
    folder: Folder, vectors: Path, expected: dict[str, bytes], n_jobs: int
) -> None:
    encoders = [Asked() for _ in range(n_jobs)]
    done = [
        encode(folder, encoder, Job(number, n_jobs), vectors)
        for number, encoder in enumerate(encoders)
    ]
    assert sum(job.n_mine for job in done) == done[0].n_shards == 5 + 2
    assert max(job.n_mine for job in done) - min(job.n_mine for job in done) <= 1
    assert [job.n_encoded for job in done] == [job.n_mine for job in done]
    assert done[-1].n_missing == 0
    texts = [text for encoder in encoders for text in encoder.texts]
    assert len(texts) == N_TEXTS["sw"] + N_TEXTS["de"]
    merging = Asked()
    run(folder, merging, vectors, stored_only=True)
    assert merging.texts == []
    assert bytes_of(folder) == expected


def test_merge_names_what_is_missing_and_what_is_there_instead(
    folder: Folder, vectors: Path
) -> None:
    encode(folder, Asked(), Job(1, 2), vectors)
    with pytest.raises(MissingDataError, match=r"mine test sw: 3 of 5 shards \(0, 2, 4\)"):
        run(folder, Asked(), vectors, stored_only=True)
    other = Asked()
    other.info = replace(other.info, dtype="bfloat16")
    with pytest.raises(MissingDataError, match=r'encoder.dtype: "float32", here "bfloat16"'):
        run(folder, other, vectors, stored_only=True)
    assert other.texts == []


def test_a_run_goes_on_elsewhere_only_in_the_arithmetic_it_was_begun_in(
    folder: Folder, vectors: Path, expected: dict[str, bytes]
) -> None:
    run(folder, Asked(fail_after=20).choosing("float32"), vectors)
    elsewhere = Asked().choosing("mixed-bfloat16")
    with pytest.raises(ResultError, match="go on with it by --dtype float32"):
        run(folder, elsewhere, vectors)
    message = (
        r"vectors of mine test sw in float32, and --dtype auto takes mixed-bfloat16 here "
        r"\(measured: as fast as that\): state --dtype float32 to go on with them, or --dtype "
        "mixed-bfloat16 to encode anew"
    )
    with pytest.raises(ResultError, match=message):
        run(folder, elsewhere, vectors, "another")
    with pytest.raises(ResultError, match=message):
        encode(folder, elsewhere, Job(0, 2), vectors)
    assert elsewhere.texts == []
    run(folder, Asked(), vectors)  # float32, stated
    assert bytes_of(folder) == expected


def test_an_arithmetic_that_is_stated_is_encoded_anew(folder: Folder, vectors: Path) -> None:
    encode(folder, Asked().choosing("float32"), Job(0, 1), vectors)
    stated = Asked()
    stated.info = replace(stated.info, dtype="mixed-bfloat16")
    encode(folder, stated, Job(0, 1), vectors)
    assert len(stated.texts) == N_TEXTS["sw"] + N_TEXTS["de"]


def test_jobs_that_began_at_once_in_unlike_arithmetics_are_not_merged_but_told_what_to_state(
    folder: Folder, vectors: Path
) -> None:
    # Both saw an empty folder; the entry of each shows up when the other has begun.
    other = vectors.with_name("meanwhile")
    encode(folder, Asked().choosing("float32"), Job(0, 2), vectors)
    encode(folder, Asked().choosing("mixed-bfloat16"), Job(1, 2), other)
    for entry in other.iterdir():
        entry.rename(vectors / entry.name)
    merging = Asked().choosing("float32")
    with pytest.raises(ResultError, match="state --dtype mixed-bfloat16 to go on with them"):
        run(folder, merging, vectors, stored_only=True)
    with pytest.raises(MissingDataError, match=r"\(state --dtype mixed-bfloat16 to use them\)"):
        run(folder, Asked(), vectors, stored_only=True)
    again = Asked()  # float32, stated: only what is missing in it
    encode(folder, again, Job(1, 2), vectors)
    run(folder, merging, vectors, stored_only=True)
    assert merging.texts == []


@pytest.mark.parametrize("damage", ["truncated", "no vectors", "a broken manifest"])
def test_merge_refuses_a_shard_of_another_size_before_anything_is_done(
    folder: Folder, vectors: Path, damage: str
) -> None:
    encode(folder, Asked(), Job(0, 1), vectors)
    (data,) = swahili(vectors).glob("000001-*.f32")
    DAMAGES[damage](data, data.with_name("000001.json"))
    merging = Asked()
    problem = r"damaged: mine test sw: shard 1: 000001.* `clir-bench cache verify --repair --emb"
    with pytest.raises(MissingDataError, match=problem):
        run(folder, merging, vectors, stored_only=True)
    assert merging.texts == []


def test_merge_names_what_is_missing_and_what_is_damaged_together(
    folder: Folder, vectors: Path
) -> None:
    encode(folder, Asked(), Job(1, 2), vectors)
    (data,) = swahili(vectors).glob("000001-*.f32")
    os.truncate(data, 8)
    with pytest.raises(MissingDataError, match=r"not encoded yet: mine .* damaged: mine test sw"):
        run(folder, Asked(), vectors, stored_only=True)


def test_merge_refuses_a_shard_whose_checksum_is_wrong_and_encodes_nothing(
    folder: Folder, vectors: Path, expected: dict[str, bytes]
) -> None:
    encode(folder, Asked(), Job(0, 1), vectors)
    (data,) = swahili(vectors).glob("000001-*.f32")
    flip(data)
    merging = Asked()
    result = run(folder, merging, vectors, stored_only=True)
    assert merging.texts == []
    assert result.pairs["en-de"].status == "done"
    for pair in ("en-sw", "fr-sw"):
        error = str(result.pairs[pair].error)
        assert "shard 1 is damaged (000001-" in error
        assert f"`clir-bench cache verify --repair --embeddings {vectors}`" in error
    # What it says to do, and a job that is run again, mend it.
    assert clir("cache", "verify", "--repair", "--embeddings", vectors) == 1
    assert encode(folder, Asked(), Job(0, 1), vectors).n_encoded == 1
    run(folder, merging, vectors, stored_only=True)
    assert merging.texts == []
    assert bytes_of(folder) == expected


def test_merge_refuses_a_shard_that_vanishes_meanwhile(
    folder: Folder, vectors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode(folder, Asked(), Job(0, 1), vectors)
    required = EmbeddingStore.require

    def require(self: EmbeddingStore, corpora: Sequence[Corpus]) -> None:
        required(self, corpora)
        (swahili(vectors) / "000001.json").unlink()

    monkeypatch.setattr(EmbeddingStore, "require", require)
    merging = Asked()
    result = run(folder, merging, vectors, stored_only=True)
    assert "shard 1 is not there any more" in str(result.pairs["en-sw"].error)
    assert merging.texts == []


def test_a_job_run_again_encodes_only_what_is_not_there(folder: Folder, vectors: Path) -> None:
    failing = Asked(fail_after=15)
    done = encode(folder, failing, Job(0, 2), vectors)
    assert "the lights went out" in done.failures[0]
    again = Asked()
    assert encode(folder, again, Job(0, 2), vectors).failures == []
    third = Asked()
    assert encode(folder, third, Job(0, 2), vectors).n_encoded == 0
    assert third.texts == []


def test_jobs_are_refused_where_they_could_not_share(folder: Folder, vectors: Path) -> None:
    encoder = Asked()
    encoder.info = replace(encoder.info, weights_sha256=None)
    with pytest.raises(EncoderError, match="jobs cannot share vectors"):
        encode(folder, encoder, Job(0, 2), vectors)
    with pytest.raises(UsageError, match="expected 0 to 1"):
        Job(2, 2)


def test_a_job_whose_disk_is_full_fails(
    folder: Folder, vectors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ShardWriter, "add", refuse(errno.ENOSPC))
        with pytest.raises(OutputError, match=r"vectors cannot be stored: No space left"):
            encode(folder, Asked(), Job(0, 2), vectors)


# The command line


def test_command_line_divides_merges_lists_checks_and_prunes(
    folder: Folder, vectors: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder.data.parent / "out"
    asked = ("-m", "hashing", "-t", folder.card_path, "--embeddings", vectors)
    for number in range(2):
        assert clir("run", *asked, "--num-shards", 2, "--shard-id", number) == 0
    assert not out.exists()
    assert "job 1 of 2: 3 shards encoded, 0 were there or failed; 0 of all 7 are missing" in (
        capsys.readouterr().out
    )
    assert clir("merge", *asked, "-o", out) == 0
    assert clir("run", *asked[:4], "-o", out.with_name("plain"), "--embeddings", "off") == 0
    assert left(out) == left(out.with_name("plain"))
    capsys.readouterr()

    assert clir("cache", "list", "--embeddings", vectors) == 0
    listed = capsys.readouterr().out
    assert "mine test sw" in listed
    assert "5 of 5" in listed
    assert clir("cache", "list", "--json", "--embeddings", vectors) == 0
    assert [json.loads(line)["n_done"] for line in capsys.readouterr().out.splitlines()] == [
        {"mine test sw": 5, "mine test de": 2}[json.loads((p / "entry.json").read_text())["corpus"]]
        for p in sorted(vectors.iterdir())
    ]
    assert clir("cache", "verify", "--embeddings", vectors) == 0
    here = swahili(vectors)
    manifest = read_manifest(here, 2)
    assert manifest is not None
    flip(data_path(here, 2, manifest))
    assert clir("cache", "verify", "--embeddings", vectors) == 1
    assert "shard 2: 000002-" in capsys.readouterr().out
    assert clir("cache", "verify", "--repair", "--embeddings", vectors) == 1
    assert clir("cache", "verify", "--embeddings", vectors) == 0
    assert clir("merge", *asked, "-o", out, "--overwrite") == 1
    assert "4 of 5" in capsys.readouterr().out or not (here / "000002.json").exists()

    assert clir("cache", "prune", "--embeddings", vectors) == 0
    assert clir("cache", "prune", "--model", "another", "--embeddings", vectors) == 0
    assert clir("cache", "prune", "--older-than", 1, "--embeddings", vectors) == 0
    assert len(list(vectors.iterdir())) == 2
    assert clir("cache", "prune", here.name[-8:], "--embeddings", vectors) == 0
    assert len(list(vectors.iterdir())) == 1
    assert clir("cache", "prune", "nothing", "--embeddings", vectors) == 2
    assert clir("cache", "prune", "--all", "--embeddings", vectors) == 0
    assert list(vectors.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--num-shards", 2), "go together"),
        (("--shard-id", 0), "go together"),
        (("--num-shards", 2, "--shard-id", 2), "expected 0 to 1"),
        (("--num-shards", 2, "--shard-id", 0, "--embeddings", "off"), "somewhere to store"),
    ],
)
def test_contradicting_options_are_refused(
    folder: Folder, capsys: pytest.CaptureFixture[str], options: tuple[object, ...], problem: str
) -> None:
    assert clir("run", "-m", "hashing", "-t", folder.card_path, *options) == 2
    assert problem in capsys.readouterr().err


SBATCH = """\
#!/bin/bash
# Stands for Slurm's: runs the tasks of an array, or the one job, at once.
array=$(printf '%s\\n' "$@" | sed -n 's/--array=0-//p')
script=$(printf '%s\\n' "$@" | grep -v '^--' | head -1)
if [ -n "$array" ]; then
    for task in $(seq 0 "$array"); do
        SLURM_ARRAY_TASK_ID=$task bash "$script" encode >&2 || exit 1
    done
else
    bash "$script" merge >&2 || exit 1
fi
echo 4711
"""


@pytest.mark.slow
def test_the_slurm_script_of_the_documentation_runs_as_it_stands(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[3] / "docs" / "scaling.md").read_text(encoding="utf-8")
    script = tmp_path / "clir-bench.slurm"
    script.write_text(text.partition("```bash\n")[2].partition("```")[0])
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "sbatch").write_text(SBATCH)
    (bin_ / "clir-bench").write_text(f'#!/bin/bash\nexec {sys.executable} -m clir_bench "$@"\n')
    for path in bin_.iterdir():
        path.chmod(0o755)
    environment = {"PATH": f"{bin_}:{os.environ['PATH']}", "JOBS": "2", "MODEL": "hashing"}
    done = subprocess.run(
        ["bash", str(script)],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | environment | {"TASK": str(folder.card_path)},
    )
    assert done.returncode == 0, done.stderr
    assert "job 1 of 2: 1 shards encoded" in done.stderr
    monkeypatch.undo()
    assert clir("run", "-m", "hashing", "-t", folder.card_path, "-o", tmp_path / "plain") == 0
    assert left(tmp_path / "results") == left(tmp_path / "plain")
