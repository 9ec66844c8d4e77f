"""Encoders of other packages: found by name, held to the contract, named when they break it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from clir_bench.core import plugins
from clir_bench.encoders import load_encoder
from clir_bench.errors import EncoderError, PluginError, UnknownNameError, UsageError

EXAMPLE = Path(__file__).parents[1] / "fake_plugin"
GROUP = "clir_bench.encoders"
Install = Callable[..., None]

PRELUDE = """
import numpy as np
from clir_bench.types import EncoderInfo

class Good:
    dim = 2
    info = EncoderInfo(name="good", revision="1")
    def encode_queries(self, texts, *, language):
        return np.tile(np.array([[1, 0]], dtype=np.float32), (len(texts), 1))
    encode_documents = encode_queries
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a function that makes a distribution with encoder entry points importable."""

    def make(name: str, version: str, points: dict[str, str], code: str = "") -> None:
        site = tmp_path / name
        metadata = site / f"{name.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir(parents=True)
        metadata.joinpath("METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
        lines = [f"{key} = {value}" for key, value in points.items()]
        metadata.joinpath("entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines]))
        module = next(iter(points.values())).partition(":")[0]
        if code:
            site.joinpath(f"{module}.py").write_text(PRELUDE + textwrap.dedent(code))
        monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.syspath_prepend(str(site))
        plugins._entry_points.cache_clear()

    yield make
    monkeypatch.undo()
    plugins._entry_points.cache_clear()


def broken(install: Install, code: str, error: type[Exception] = PluginError) -> str:
    """Install package acme 3.1 registering `acme`, load it, and return the message."""
    install("acme", "3.1", {"acme": "acme_encoder:load"}, code)
    with pytest.raises(error) as caught:
        load_encoder("acme")
    assert "acme" in str(caught.value)
    return str(caught.value)


def test_the_example_package_works_as_its_pyproject_says(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    install(project["name"], project["version"], project["entry-points"][GROUP])
    monkeypatch.syspath_prepend(str(EXAMPLE / "src"))
    encoder = load_encoder("letters:ab")
    assert encoder.info.name == "letters-ab"
    found = encoder.encode_queries(["aab", "b", "z"], language="en")
    assert np.allclose(found, [[2 / 5**0.5, 1 / 5**0.5, 0], [0, 1, 0], [0, 0, 1]])
    assert load_encoder("letters").info.name == "letters"
    assert plugins.provider(GROUP, "letters") == f"{project['name']} {project['version']}"


def test_a_plugin_that_cannot_be_imported_is_named_and_spares_the_others(install: Install) -> None:
    message = broken(install, "import no_such_library")
    assert "package acme cannot be imported" in message
    assert "no_such_library" in message
    assert load_encoder("hashing").info.name == "hashing"


def test_a_plugin_that_is_not_asked_for_is_not_imported(install: Install) -> None:
    install("acme", "3.1", {"acme": "acme_encoder:load"}, "raise RuntimeError")
    load_encoder("hashing")
    assert "acme_encoder" not in sys.modules


def test_a_missing_method_is_named_with_the_package(install: Install) -> None:
    message = broken(
        install, "class Half(Good):\n    encode_documents = None\nload = lambda r: Half()"
    )
    assert "of acme 3.1 lacks the method encode_documents" in message


def test_late_interaction_needs_the_token_methods(install: Install) -> None:
    message = broken(
        install,
        """
        class Late(Good):
            info = EncoderInfo(name="late", revision="1", similarity="maxsim")
        load = lambda request: Late()
        """,
    )
    assert "encode_query_tokens and encode_document_tokens" in message


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("info = None", "attribute info of type EncoderInfo, found None"),
        ("info = EncoderInfo(name='', revision='1')", "info.name must be a non-empty string"),
        ("info = EncoderInfo(name='x', revision=' ')", "info.revision must be a non-empty string"),
        ("info = EncoderInfo(name='x', revision='main')", "placeholder 'main'"),
        ("info = EncoderInfo('x', '1', similarity='l2')", "info.similarity must be"),
        ("info = EncoderInfo('x', '1', query_prompt=None)", "info.query_prompt must be a text"),
        (
            "info = EncoderInfo('x', '1', query_prompt='\\ud800')",
            "info.query_prompt must be a text",
        ),
        ("info = EncoderInfo('x\x1b[2J', '1')", r"found 'x\x1b[2J'"),
        ("info = EncoderInfo('x' * 301, '1')", "info.name must be a non-empty string on one line"),
        ("info = EncoderInfo('x', '1', description='a\\nb')", "info.description must be a text on"),
        ("info = EncoderInfo('x', '1', dtype=np.float32)", "info.dtype must be the name of a type"),
        ("info = EncoderInfo('x', '1', license=['MIT'])", "an SPDX id or None, found list ['MIT']"),
        ("info = EncoderInfo('x', '1', n_parameters=1.5)", "info.n_parameters must be a whole"),
        ("info = EncoderInfo('x', '1', n_parameters=10**30)", "info.n_parameters must be a whole"),
        ("info = EncoderInfo('x', '1', n_parameters=True)", "found True"),
        ("info = EncoderInfo('x', '1', max_tokens=float('nan'))", "info.max_tokens must be a pos"),
        ("info = EncoderInfo('x', '1', max_tokens=np.int64(5))", "found int64"),
        (
            "info = EncoderInfo('x', '1', weights_sha256='0')",
            "info.weights_sha256 must be a sha256",
        ),
        ("info = EncoderInfo('x', '1', training_languages=['en', 3])", "found list ['en', 3]"),
        ("info = EncoderInfo('x', '1', training_languages='en')", "a tuple of language codes"),
        ("info = EncoderInfo('x', '1', similarity=['dot'])", "info.similarity must be"),
        ("info = property(lambda self: 1 / 0)", "cannot be looked at: ZeroDivisionError"),
        ("info = property(lambda self: exit(0))", "cannot be looked at: SystemExit: 0"),
        ("dim = True", "dim must be a positive integer, found True"),
        ("dim = np.int64(2)", "dim must be a positive integer, found int64"),
        ("dim = 0", "dim must be a positive integer, found 0"),
        ("dim = 2.0", "dim must be a positive integer, found 2.0"),
    ],
)
def test_an_encoder_that_does_not_say_what_it_is_is_refused(
    install: Install, attributes: str, expected: str
) -> None:
    code = f"class Bad(Good):\n    {attributes}\nload = lambda request: Bad()"
    assert expected in broken(install, code)


def test_every_field_that_is_wrong_is_named_at_once(install: Install) -> None:
    info = "EncoderInfo('x', '1', query_prompt=None, license=3, max_tokens=0)"
    message = broken(install, f"class Bad(Good):\n    info = {info}\nload = lambda request: Bad()")
    assert [word for word in message.split() if word.startswith("info.")] == [
        "info.query_prompt", "info.max_tokens", "info.license",
    ]  # fmt: skip


def test_an_entry_point_that_returns_nothing_is_refused(install: Install) -> None:
    assert "found None" in broken(install, "load = lambda request: None")


def test_an_entry_point_that_raises_becomes_one_message(install: Install) -> None:
    message = broken(install, "def load(request): raise OSError('disk gone')", EncoderError)
    assert "could not be loaded: OSError: disk gone" in message


def test_a_plugin_that_takes_a_built_ins_name_is_refused(install: Install) -> None:
    install("acme", "3.1", {"hashing": "acme_encoder:load"}, "load = lambda request: Good()")
    with pytest.raises(PluginError, match="acme takes the name of a built-in"):
        load_encoder("hashing")


def test_what_a_plugin_returns_is_checked(install: Install) -> None:
    code = """
    class Zero(Good):
        def encode_queries(self, texts, *, language):
            return np.zeros((len(texts), 2), dtype=np.float32)
    load = lambda request: Zero()
    """
    install("acme", "3.1", {"acme": "acme_encoder:load"}, code)
    with pytest.raises(EncoderError, match=r"'good'.*'mbwa' in 'sw'.*all zeros"):
        load_encoder("acme").encode_queries(["mbwa"], language="sw")


def test_the_request_carries_every_option(install: Install) -> None:
    code = """
    def load(request):
        Good.info = EncoderInfo(name=repr(request), revision="1")
        return Good()
    """
    install("acme", "3.1", {"acme": "acme_encoder:load"}, code)
    encoder = load_encoder(
        "acme:a:b", device="cpu", dtype="bfloat16", batch_size=7, trust_remote_code=True, seed=5
    )
    assert encoder.info.name == (
        "EncoderRequest(name='acme', argument='a:b', device='cpu', dtype='bfloat16', "
        "batch_size=7, trust_remote_code=True, seed=5, batch_tokens=None)"
    )


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown model 'labs'; did you mean labse"):
        load_encoder("labs")


def test_a_hub_id_is_answered_with_how_to_write_it() -> None:
    with pytest.raises(UnknownNameError) as caught:
        load_encoder("intfloat/multilingual-e5-base")
    message = str(caught.value)
    assert "did you mean st:intfloat/multilingual-e5-base or multilingual-e5-base?" in message


def test_an_unknown_hub_id_is_answered_with_the_prefix() -> None:
    with pytest.raises(UnknownNameError, match="did you mean st:acme/brand-new"):
        load_encoder("acme/brand-new")


@pytest.mark.parametrize(
    ("spec", "options", "expected"),
    [
        ("st", {}, "needs a Hub id or a folder"),
        ("st:", {}, "needs a Hub id or a folder"),
        ("optical:#early", {}, "expected #late or #pooled"),
        ("hashing:x", {}, "takes no argument"),
        ("st:no-slash", {}, "no such folder, and no Hub id"),
        ("hashing", {"dtype": "float16"}, "dtype 'float16': expected one of auto, float32"),
        ("hashing", {"batch_size": 0}, "batch size 0: expected at least 1"),
    ],
)
def test_a_request_that_cannot_mean_anything_is_a_usage_error(
    spec: str, options: dict[str, object], expected: str
) -> None:
    with pytest.raises(UsageError, match=expected):
        load_encoder(spec, **options)  # type: ignore[arg-type]


def test_importing_the_encoders_loads_no_model_library_and_no_network() -> None:
    code = (
        "import sys, clir_bench.encoders.st.loading, clir_bench.encoders.weights;"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'huggingface_hub', 'numpy'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
