"""A model in a TOML file: what it states is run and recorded; what is wrong is named at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from folders import clir, make_folder
from tiny_distill import write_teacher

from clir_bench.encoders import load_encoder, model_file, provider, weights
from clir_bench.encoders.model_file import read_description
from clir_bench.encoders.weights import fingerprint
from clir_bench.errors import EncoderError, UsageError
from clir_bench.results.schema import Result
from clir_bench.results.store import read_result
from clir_bench.search.vectors.cache_key import identify
from clir_bench.types import Encoder, TokenEncoder

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model in `weights`, beside which files are written."""
    folder = tmp_path_factory.mktemp("described")
    write_teacher(folder / "made").rename(folder / "weights")
    return folder


@pytest.fixture(scope="module")
def late(home: Path) -> Path:
    """The same model, saved as late interaction."""
    from sentence_transformers import MultiVectorEncoder

    model = MultiVectorEncoder(str(home / "weights"), device="cpu")
    model.save(str(home / "late"), create_model_card=False)
    return home / "late"


def describe(home: Path, *lines: str, name: str = "mine", where: str = 'folder = "weights"') -> str:
    path = home / "my-model.toml"
    path.write_text("\n".join([f'name = "{name}"', where, *lines]) + "\n", encoding="utf-8")
    return str(path)


def single(spec: str, **options: str) -> Encoder:
    encoder = load_encoder(spec, device="cpu", **options)  # type: ignore[arg-type]
    assert isinstance(encoder, Encoder)
    return encoder


def problem(home: Path, *lines: str, name: str = "mine", where: str = 'folder = "weights"') -> str:
    with pytest.raises(UsageError) as caught:
        read_description(Path(describe(home, *lines, name=name, where=where)))
    return str(caught.value)


# What is stated is run and recorded


def test_a_folder_beside_the_file_is_found_from_anywhere_and_known_by_its_hash(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = describe(home)
    monkeypatch.chdir(tmp_path)
    info = single(spec).info
    sha256 = fingerprint(home / "weights")
    assert (info.name, info.revision, info.weights_sha256) == ("mine", sha256[:12], sha256)
    assert str(home) not in info.description


def test_prompts_are_put_before_the_texts_of_their_side(home: Path) -> None:
    plain = single(describe(home, 'query_prompt = ""', 'document_prompt = ""'))
    prompted = single(describe(home, 'query_prompt = "the cat "', 'document_prompt = "a dog "'))
    assert (prompted.info.query_prompt, prompted.info.document_prompt) == ("the cat ", "a dog ")
    expected = plain.encode_queries(["the cat sees", "a dog sees"], language="en")
    query = prompted.encode_queries(["sees"], language="en")
    document = prompted.encode_documents(["sees"], language="en")
    assert np.allclose(query[0], expected[0], atol=1e-6)
    assert np.allclose(document[0], expected[1], atol=1e-6)
    assert not np.allclose(query, document, atol=1e-3)


def test_texts_are_cut_at_the_stated_length(home: Path) -> None:
    encoder = single(describe(home, "max_tokens = 6"))
    assert encoder.info.max_tokens == 6
    rows = encoder.encode_documents(["cat sees dog likes", "cat sees dog likes bird"], language="x")
    assert np.allclose(rows[0], rows[1], atol=1e-6)


def test_everything_else_that_is_stated_is_recorded(home: Path) -> None:
    info = single(
        describe(
            home,
            'dtype = "bfloat16"',
            'similarity = "dot"',
            'license = "MIT"',
            'training_languages = ["en", "sw", "kg"]',
            'description = "a model for this test"',
            f'sha256 = "{fingerprint(home / "weights")}"',
        )
    ).info
    assert (info.dtype, info.similarity, info.license) == ("bfloat16", "dot", "MIT")
    assert info.training_languages == ("en", "sw", "kg")
    assert info.description.startswith("a model for this test; weights@")


def test_a_model_is_never_converted_to_the_other_kind_with_random_weights(home: Path) -> None:
    with pytest.raises(EncoderError, match=r"'maxsim', but the files of .* one vector per text"):
        load_encoder(describe(home, 'similarity = "maxsim"'), device="cpu")


def test_a_late_interaction_model_is_one_by_its_files(home: Path, late: Path) -> None:
    where = f'folder = "{late}"'
    for lines in ([], ['similarity = "maxsim"']):
        encoder = load_encoder(describe(home, *lines, where=where), device="cpu")
        assert isinstance(encoder, TokenEncoder)
        assert (encoder.info.name, encoder.info.similarity) == ("mine", "maxsim")
    with pytest.raises(EncoderError, match=r"'cosine', but the files of .* one vector per token"):
        load_encoder(describe(home, 'similarity = "cosine"', where=where), device="cpu")


def test_a_hub_model_is_fetched_at_the_stated_commit(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def from_hub(hub_id: str, revision: str | None, *, trust: bool) -> weights.Weights:
        assert not trust
        asked.append((hub_id, revision))
        return weights.Weights(home / "weights", hub_id, COMMIT, "f" * 64)

    monkeypatch.setattr(model_file.weights, "from_hub", from_hub)
    where = 'hub_id = "acme/tiny"'
    info = single(describe(home, f'revision = "{COMMIT}"', where=where)).info
    assert asked == [("acme/tiny", COMMIT)]
    assert (info.name, info.revision) == ("mine", COMMIT)
    assert info.description.startswith("acme/tiny, as my-model.toml (sha256 ")


def test_a_run_records_the_file_and_all_it_states(home: Path, tmp_path: Path) -> None:
    spec = describe(home, 'query_prompt = "the "')
    folder = make_folder(tmp_path)
    code = clir("run", "-m", spec, "-t", folder.card_path, "-p", "en-de", "-o", tmp_path / "out")
    assert code == 0
    result = read_result(tmp_path / "out" / "mine" / "mine" / "test.json")
    assert isinstance(result, Result)
    system = result.system
    assert (system.name, system.spec, system.query_prompt) == ("mine", spec, "the ")
    assert system.weights_sha256 == fingerprint(home / "weights")
    assert system.package == provider("hashing")


# Fewer numbers per vector


def test_dim_cuts_vectors_and_scales_what_is_left_to_unit_length(home: Path) -> None:
    whole, cut = single(describe(home)), single(describe(home, "dim = 8"))
    fixed = single(describe(home, "dim = 8"), batch_size=2)
    texts = ["the cat sees", "a dog sees", "the", "a dog runs"]
    for method in ("encode_queries", "encode_documents"):
        rows = getattr(whole, method)(texts, language="en")[:, :8]
        expected = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        for encoder in (cut, fixed):
            found = getattr(encoder, method)(texts, language="en")
            assert found.flags.c_contiguous
            assert np.allclose(found, expected, atol=1e-6)


def test_vectors_compared_by_their_products_are_cut_and_not_scaled(home: Path) -> None:
    lines = ('similarity = "dot"', 'query_prompt = ""', 'document_prompt = ""')
    whole, cut = single(describe(home, *lines)), single(describe(home, *lines, "dim = 8"))
    expected = whole.encode_queries(["the cat"], language="en")[:, :8]
    assert np.allclose(cut.encode_queries(["the cat"], language="en"), expected, atol=1e-6)


def test_a_cut_model_has_its_own_name_and_key(home: Path) -> None:
    found = []
    for lines in ((), ("dim = 32",), ("dim = 8",)):
        encoder = single(describe(home, *lines))
        info = replace(encoder.info, description="")
        identity = identify(info, dim=encoder.dim, spec="x", package="clir-bench 1", seed=0)
        found.append((info.name, encoder.dim, identity))
    assert found[0] == found[1]
    assert [name for name, _, _ in found] == ["mine", "mine", "mine@8"]
    assert found[0][2] != found[2][2]


def test_an_impossible_dim_is_refused(home: Path, late: Path) -> None:
    assert "dim" in problem(home, "dim = 0")
    with pytest.raises(EncoderError, match="dim = 33 is stated, and its vectors have 32 numbers"):
        load_encoder(describe(home, "dim = 33"), device="cpu")
    with pytest.raises(EncoderError, match="only models with one vector per text can be cut"):
        load_encoder(describe(home, "dim = 8", where=f'folder = "{late.name}"'), device="cpu")


# What is wrong is named before anything is loaded


def test_an_unknown_field_is_answered_with_the_nearest(home: Path) -> None:
    message = problem(home, 'query_promt = "x"')
    assert "my-model.toml: unknown field 'query_promt' (did you mean 'query_prompt'?)" in message


def test_every_problem_is_named_at_once(home: Path) -> None:
    message = problem(home, "max_tokens = 0", "license = 3", 'dtype = "float16"')
    assert "max_tokens" in message
    assert "license: expected a text, found 3" in message
    assert "dtype: expected 'float32', 'bfloat16' or 'mixed-bfloat16'" in message


@pytest.mark.parametrize(
    "name", ["", "../up", "a/b", "A", "-x", "x" * 65, "a b", "\\u202ex", "<b>", "x\\n"]
)
def test_a_name_that_is_no_plain_word_is_refused(home: Path, name: str) -> None:
    assert "name: " in problem(home, name=name)


def test_a_registered_encoders_name_cannot_be_taken(home: Path) -> None:
    assert "'hashing' is a registered encoder" in problem(home, name="hashing")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("", "state where the weights are: hub_id or folder"),
        ('folder = "weights"\nhub_id = "a/b"', "state where the weights are: hub_id or folder"),
        (f'folder = "weights"\nrevision = "{COMMIT}"', "revision is the Hub's"),
        ('hub_id = "../../etc"', "is not written like a Hub id"),
        ('hub_id = "a/b"\nrevision = "main"', "revision: "),
        ('folder = "weights"\ntraining_languages = ["swh"]', "'swh' must be written 'sw'"),
        ('folder = "weights"\ntraining_languages = ["English"]', "training_languages.0"),
        ('folder = "weights"\ntraining_languages = "en"', "training_languages: expected a list"),
        ('folder = "weights"\ndescription = "a\\nb"', "description: "),
        ("folder = ", "not valid TOML"),
    ],
)
def test_what_cannot_be_meant_is_refused(home: Path, where: str, expected: str) -> None:
    assert expected in problem(home, where=where)


def test_a_byte_order_mark_is_no_part_of_the_file(home: Path) -> None:
    path = Path(describe(home))
    expected = read_description(path).stated
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_description(path).stated == expected


def test_a_file_that_is_not_there_or_far_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.toml: cannot be read"):
        load_encoder(str(tmp_path / "absent.toml"))
    (tmp_path / "large.toml").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(UsageError, match="larger than 1,048,576 bytes"):
        load_encoder(str(tmp_path / "large.toml"))


def test_other_weights_than_the_stated_ones_are_refused(home: Path) -> None:
    with pytest.raises(EncoderError, match=f"expected weights of sha256 {'0' * 64}, found"):
        load_encoder(describe(home, f'sha256 = "{"0" * 64}"'))


def test_a_folder_that_is_not_there_is_named(home: Path) -> None:
    with pytest.raises(EncoderError, match=r"nowhere'?: no such folder"):
        load_encoder(describe(home, where='folder = "nowhere"'))


def test_every_arithmetic_of_the_command_line_can_be_stated(home: Path) -> None:
    stated = single(describe(home, 'dtype = "mixed-bfloat16"'))
    assert stated.info.dtype == "mixed-bfloat16"
    same = single(describe(home), dtype="mixed-bfloat16")
    assert np.array_equal(
        stated.encode_documents(["the cat sees"], language="en"),
        same.encode_documents(["the cat sees"], language="en"),
    )


def test_the_command_lines_dtype_must_not_contradict_the_file(home: Path) -> None:
    with pytest.raises(UsageError, match="states dtype 'float32', --dtype says 'bfloat16'"):
        load_encoder(describe(home, 'dtype = "float32"'), dtype="bfloat16")


def test_a_misspelt_file_is_found_out_before_the_first_model_runs(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_folder(tmp_path)
    spec = describe(home, "prompt = 1")
    assert clir("run", "-m", "hashing", "-m", spec, "-t", folder.card_path, "-o", tmp_path) == 2
    assert "unknown field 'prompt'" in capsys.readouterr().err
    assert not (tmp_path / "hashing").exists()
