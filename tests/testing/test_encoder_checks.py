"""The checks for encoders: the good pass all of them, and each has one that it finds broken."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folders import clir, forget_plugins, install_plugin, write_plugin

from clir_bench.encoders.hashing import HashingEncoder
from clir_bench.errors import ConformanceError
from clir_bench.tasks.languages import all_languages, resolve
from clir_bench.testing import (
    ENCODER_CHECKS,
    EncoderSubject,
    Outcome,
    check_encoder,
    encoder_checks,
    examine_encoder,
)
from clir_bench.testing.isolation import Places, observe
from clir_bench.testing.report import BrokenPromiseError
from clir_bench.testing.texts import (
    INVISIBLE,
    SENTENCES,
    WORDLESS,
    long_text,
    scripts,
    unbroken_text,
)
from clir_bench.types import EncoderInfo

CHECKS = {check.name: check for check in ENCODER_CHECKS}
Install = Callable[[str], str]


class Good(HashingEncoder):
    """One vector a text; what breaks one promise overrides one method."""

    def __init__(self, **info: Any) -> None:
        super().__init__()
        self.info = replace(self.info, name="good", **info)
        self.calls = 0

    def encode_queries(self, texts: Sequence[str], *, language: str) -> Any:
        return self.changed(super().encode_queries(texts, language=language), texts, language)

    def encode_documents(self, texts: Sequence[str], *, language: str) -> Any:
        return self.changed(super().encode_documents(texts, language=language), texts, language)

    def changed(self, rows: np.ndarray, texts: Sequence[str], language: str) -> Any:
        return rows


class GoodTokens:
    """One vector a word, and one for the text's beginning."""

    dim = HashingEncoder.dim

    def __init__(self) -> None:
        self.words = HashingEncoder()
        self.info = EncoderInfo(name="words", revision="1", similarity="maxsim")

    def encode_query_tokens(self, texts: Sequence[str], *, language: str) -> Any:
        return [
            self.words.encode_queries(["", *text.split()[:200]], language=language)
            for text in texts
        ]

    def encode_document_tokens(self, texts: Sequence[str], *, language: str) -> Any:
        return self.encode_query_tokens(texts, language=language)


def broken(change: Callable[..., Any], **info: Any) -> Good:
    """Return an encoder whose rows go through `change(rows, texts, language)`."""
    encoder = Good(**info)
    encoder.changed = change  # type: ignore[method-assign]
    return encoder


def outcome(name: str, encoder: Any) -> Outcome:
    return CHECKS[name].outcome(EncoderSubject(encoder))


def failure(name: str, encoder: Any) -> str:
    found = outcome(name, encoder)
    assert found.status == "failed", f"{name} lets {encoder} pass: {found.detail}"
    assert found.remedy
    return found.detail


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a function that makes code an installed plugin and returns its name."""

    def make(code: str) -> str:
        write_plugin(tmp_path / "site", "plugin", code)
        install_plugin(tmp_path / "site", monkeypatch)
        return "plugin"

    yield make
    forget_plugins(monkeypatch)


# The good pass


def test_an_encoder_by_name_passes_every_check_and_is_measured() -> None:
    report = examine_encoder("hashing")
    assert {found.status for found in report.outcomes} == {"passed"}, report.text()
    assert [found.check for found in report.outcomes] == list(CHECKS)
    speed, memory = report.remarks
    assert "documents of 100 words per second" in speed
    assert "MiB at most" in memory


@pytest.mark.parametrize("encoder", [Good(), GoodTokens()], ids=["single", "tokens"])
def test_a_loaded_encoder_passes_all_that_need_no_second_process(encoder: Any) -> None:
    report = check_encoder(encoder)
    skipped = [found.check for found in report.outcomes if found.status == "skipped"]
    assert skipped == ["processes", "network", "silence"]
    assert report.remarks == ()


# Each finds a broken one


def raises(error: BaseException) -> Callable[..., Any]:
    def change(*_: object) -> None:
        raise error

    return change


def without_rows(rows: np.ndarray, texts: Sequence[str], _: str) -> np.ndarray:
    return rows[1:]


def noisy(rows: np.ndarray, texts: Sequence[str], _: str) -> np.ndarray:
    noise = np.random.default_rng().normal(0, 1e-3, rows.shape).astype(np.float32)
    return unit(rows + noise)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def padded(rows: np.ndarray, texts: Sequence[str], _: str) -> np.ndarray:
    """As if the mean were taken over padding too, whose vectors are not zero."""
    longest = max(len(text) for text in texts)
    rows[:, 7] += [0.001 * (longest - len(text)) for text in texts]
    return unit(rows)


def sorted_by_length(rows: np.ndarray, texts: Sequence[str], _: str) -> np.ndarray:
    return rows[np.argsort([len(text) for text in texts])]


def needs_words(rows: np.ndarray, texts: Sequence[str], _: str) -> np.ndarray:
    assert all(any(map(str.isalnum, text)) for text in texts)
    return rows


def zero_when_wordless(rows: np.ndarray, texts: Sequence[str], _: str) -> np.ndarray:
    rows[[not any(map(str.isalnum, text)) for text in texts]] = 0
    return rows


def zero_when_invisible(rows: np.ndarray, texts: Sequence[str], _: str) -> np.ndarray:
    rows[[not text.strip() or text in INVISIBLE for text in texts]] = 0
    return rows


def at_most_9999_characters(rows: np.ndarray, texts: Sequence[str], _: str) -> np.ndarray:
    if max(len(text) for text in texts) > 9999:
        raise ValueError("sequence too long")
    return rows


def crowded_out(rows: np.ndarray, texts: Sequence[str], _: str) -> np.ndarray:
    """A long text pushes its neighbours out of the precision there is."""
    rows[:, 7] += max(len(text) for text in texts) / 1e5
    return unit(rows)


def western(rows: np.ndarray, texts: Sequence[str], _: str) -> np.ndarray:
    for text in texts:
        text.encode("cp1252")
    return rows


def knows_english(rows: np.ndarray, texts: Sequence[str], language: str) -> np.ndarray:
    return {"en": rows, "sw": rows}[language]


class OneBuffer(Good):
    def __init__(self) -> None:
        super().__init__()
        self.buffer = np.zeros((64, self.dim), dtype=np.float32)

    def changed(self, rows: np.ndarray, texts: Sequence[str], _: str) -> np.ndarray:
        view = self.buffer[: len(rows)] if len(rows) <= 64 else rows
        view[:] = rows
        return view


class WritesLater(Good):
    """As one that fills its buffer for the next call while this one's vectors are in use."""

    def changed(self, rows: np.ndarray, texts: Sequence[str], _: str) -> np.ndarray:
        threading.Timer(0.02, lambda: rows.fill(0.25)).start()
        return rows


class OneBufferOfTokens(GoodTokens):
    """All arrays of a call are parts of one that every text is written to."""

    def encode_query_tokens(self, texts: Sequence[str], *, language: str) -> Any:
        found = super().encode_query_tokens(texts, language=language)
        buffer = np.zeros((max(map(len, found)), self.dim), dtype=np.float32)
        for rows in found:
            buffer[: len(rows)] = rows
        return [buffer[: len(rows)] for rows in found]


class SortsInPlace(Good):
    def encode_queries(self, texts: Sequence[str], *, language: str) -> Any:
        assert isinstance(texts, list)
        texts.sort()
        return super().encode_queries(texts, language=language)


class Farthest(Good):
    def encode_documents(self, texts: Sequence[str], *, language: str) -> Any:
        return -super().encode_documents(texts, language=language)


class TokenPadding(GoodTokens):
    """Leaves the vectors of padding in."""

    def encode_query_tokens(self, texts: Sequence[str], *, language: str) -> Any:
        found = super().encode_query_tokens(texts, language=language)
        longest = max(len(rows) for rows in found)
        return [np.concatenate([rows, rows[:1].repeat(longest - len(rows), 0)]) for rows in found]


class TooFewLists(GoodTokens):
    def encode_document_tokens(self, texts: Sequence[str], *, language: str) -> Any:
        return super().encode_query_tokens(texts[1:], language=language)


class NoTokens(GoodTokens):
    def encode_query_tokens(self, texts: Sequence[str], *, language: str) -> Any:
        found = super().encode_query_tokens(texts, language=language)
        worded = [any(map(str.isalnum, text)) for text in texts]
        return [rows[: len(rows) * kept] for rows, kept in zip(found, worded, strict=True)]


class NoMethods:
    dim = 3
    info = EncoderInfo(name="none", revision="1")


FAILURES: list[tuple[str, Any, str]] = [
    ("loading", NoMethods(), "lacks the method encode_queries and encode_documents"),
    ("loading", Good(max_tokens=0), "info.max_tokens must be a positive integer or None"),
    ("loading", Good(license=""), "info.license must be an SPDX id or None"),
    ("description", Good(n_parameters=0), "info.n_parameters is 0"),
    ("description", Good(training_languages=("swh",)), "'swh' should be sw"),
    ("description", Good(training_languages=("English",)), "'English' should be en"),
    ("loading", Good(weights_sha256="abc"), "info.weights_sha256 must be a sha256 in hex or None"),
    ("loading", Good(query_prompt=None), "info.query_prompt must be a text, found None"),
    ("shapes", broken(without_rows), "queries: expected shape (1, 2048), found (0, 2048)"),
    ("shapes", broken(lambda rows, *_: rows.tolist()), "expected a numpy array, found list"),
    ("shapes", broken(lambda *_: 1 / 0), "queries: the encoder failed: ZeroDivisionError"),
    (
        "shapes",
        TooFewLists(),
        "documents: expected a list of 1 arrays, one per text, found list of 0",
    ),
    ("values", broken(lambda rows, *_: rows.astype(np.float64)), "float32, found float64"),
    ("values", broken(lambda rows, *_: rows * np.nan), "NaN or infinite"),
    ("values", broken(lambda rows, *_: rows * 0), "all zeros"),
    ("values", broken(lambda rows, *_: rows * 2), "must have length 1"),
    ("determinism", broken(noisy), "queries, two equal calls: the vectors of text 'Heavy rain"),
    ("ownership", OneBuffer(), "a later call changed the array"),
    ("ownership", WritesLater(), "a later call changed the array"),
    ("values", OneBufferOfTokens(), "lie in the same memory"),
    ("values", broken(lambda rows, *_: rows * 3e19, similarity="dot"), "has length 3e+19"),
    ("values", broken(lambda rows, *_: rows * 1e-30, similarity="dot"), "has length 1e-30"),
    ("shapes", broken(raises(SystemExit(0))), "queries: the encoder failed: SystemExit: 0"),
    ("shapes", broken(raises(GeneratorExit())), "queries: the encoder failed: GeneratorExit"),
    ("ownership", SortsInPlace(), "the encoder changed the list of texts"),
    ("batches", broken(padded), "queries, alone and in a batch: the vectors of text 'Heavy rain"),
    (
        "batches",
        TokenPadding(),
        "text 'Heavy rain closed the road to the harbour.' has 9 vectors, then",
    ),
    ("order", broken(sorted_by_length), "queries, in two orders"),
    ("blank-texts", broken(needs_words), "AssertionError"),
    ("blank-texts", broken(zero_when_wordless), "text '?!' in 'en': the vector is all zeros"),
    ("blank-texts", NoTokens(), "at least one token"),
    ("long-texts", broken(at_most_9999_characters), "ValueError: sequence too long"),
    ("long-texts", broken(crowded_out), "alone and beside a text of 20,000 words"),
    ("long-texts", Good(max_tokens=16), "differ only after 82 words (info.max_tokens 16)"),
    ("scripts", broken(western), "script Arab: model 'good' failed on 2 queries in 'ar'"),
    ("languages", broken(knows_english), "KeyError: 'af'"),
    ("finding", Farthest(), "only 0 of 12 sentences rank themselves first among all"),
]


@pytest.mark.parametrize(
    ("check", "encoder", "expected"),
    FAILURES,
    ids=[f"{name}-{n}" for n, (name, *_) in enumerate(FAILURES)],
)
def test_a_broken_encoder_is_found_and_told_why(check: str, encoder: Any, expected: str) -> None:
    assert expected in failure(check, encoder)


PLUGINS: list[tuple[str, str, str]] = [
    (
        "processes",
        """
        def encode(self, texts, *, language):
            rows = HashingEncoder.encode_queries(self, texts, language=language)
            for row, text in zip(rows, texts):
                row[:] = 0
                row[hash(text) % DIM] = 1
            return rows
        Plugin.encode_queries = Plugin.encode_documents = encode
        """,
        "queries, here and in another process: the vectors of text",
    ),
    (
        "network",
        """
        import socket
        try:
            socket.create_connection(("hub.example", 443), timeout=1)
        except OSError:
            pass
        """,
        "importing, the encoder connects to hub.example",
    ),
    (
        "network",
        """
        def load(request):
            import urllib.request
            try:
                urllib.request.urlopen("http://192.0.2.7:9/model", timeout=0.1)
            except OSError:
                return Plugin()
        """,
        "loading, the encoder connects to 192.0.2.7",
    ),
    (
        "network",
        """
        def encode(self, texts, *, language):
            import os, socket
            if os.environ.get("HF_HUB_OFFLINE") == "1":
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.8", 9))
            return HashingEncoder.encode_queries(self, texts, language=language)
        Plugin.encode_queries = encode
        """,
        "encoding, the encoder connects to 192.0.2.8",
    ),
    (
        "network",
        """
        def load(request):
            import os
            if os.environ.get("HF_HUB_OFFLINE") == "1":
                raise RuntimeError("cannot look up the newest version")
            return Plugin()
        """,
        "the encoder stopped at load: model 'plugin' of acme 3.1 could not be loaded",
    ),
    ("silence", 'print("Welcome to Plugin!")', "the encoder printed 'Welcome to Plugin!'"),
]


@pytest.mark.parametrize(
    ("check", "code", "expected"),
    PLUGINS,
    ids=[f"{name}-{n}" for n, (name, *_) in enumerate(PLUGINS)],
)
def test_a_broken_plugin_is_found_in_a_process_of_its_own(
    check: str, code: str, expected: str, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert expected in failure(check, install(code))


def test_every_check_is_seen_to_fail() -> None:
    assert {name for name, *_ in [*FAILURES, *PLUGINS]} == set(CHECKS)


# A process of its own


@pytest.mark.parametrize(
    ("code", "seconds", "expected"),
    [
        ("import time; time.sleep(60)", 1.5, "did not end within 2 seconds"),
        ("import os; os._exit(3)", 60, "ended with code 3"),
    ],
)
def test_a_plugin_that_hangs_or_dies_does_not_take_the_checks_with_it(
    code: str, seconds: float, expected: str, install: Install
) -> None:
    with pytest.raises(BrokenPromiseError, match=expected):
        observe(install(code), {}, Places(timeout_seconds=seconds))


def test_a_plugin_that_ends_the_program_is_an_error_of_the_checks(install: Install) -> None:
    found = observe(install("raise SystemExit('no licence')"), {}, Places())
    assert found.error.startswith("import: ")
    assert "SystemExit: no licence" in found.error


def test_connections_within_the_machine_are_let_through(install: Install) -> None:
    code = """
    import socket
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        socket.create_connection(server.getsockname(), timeout=5).close()
    """
    assert outcome("network", install(code)).status == "passed"


# As tests and as a report


def test_each_check_is_one_test_and_the_encoder_is_loaded_once(install: Install) -> None:
    code = """
    loads = []
    def load(request):
        loads.append(request)
        return Plugin()
    """
    checks = encoder_checks(install(code))
    assert [str(check) for check in checks] == list(CHECKS)
    for check in checks[:9]:
        check()
    import acme_plugin  # type: ignore[import-not-found]

    assert len(acme_plugin.loads) == 1


def test_a_failing_test_says_why_and_what_to_do() -> None:
    checks = {str(check): check for check in encoder_checks(Farthest())}
    with pytest.raises(ConformanceError) as caught:
        checks["finding"]()
    assert isinstance(caught.value, AssertionError)
    assert "FAILED   finding: ranks most texts first when the query is" in str(caught.value)
    assert "remedy: larger inner products must mean more similar" in str(caught.value)


def test_a_check_that_cannot_be_made_is_a_skipped_test() -> None:
    checks = {str(check): check for check in encoder_checks(Good())}
    with pytest.raises(BaseException, match="needs the encoder's name") as caught:
        checks["network"]()
    assert caught.type.__name__ == "SkipTest"


def test_vectors_of_texts_that_no_run_encodes_are_not_asked_for() -> None:
    found = outcome("blank-texts", broken(zero_when_invisible))
    assert found.status == "passed"
    assert "no usable vector for invisible texts: a run stops at a text like" in found.detail


def test_all_failures_are_raised_together() -> None:
    encoder = broken(zero_when_wordless, training_languages=("English",))
    with pytest.raises(ConformanceError, match=r"description(.|\n)*blank-texts"):
        check_encoder(encoder)


def test_nothing_else_is_tried_when_the_encoder_does_not_load() -> None:
    report = examine_encoder(NoMethods())  # type: ignore[arg-type]
    assert [found.status for found in report.outcomes] == ["failed"]
    assert report.text().endswith("0 of 16 checks passed, 1 failed, 15 not tried")


def test_the_command_prints_the_report_and_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    assert clir("check-encoder", "hashing") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("hashing of clir-bench ")
    assert "passed   scripts: accepts every script" in printed
    assert printed.endswith("16 of 16 checks passed\n")


def test_the_command_fails_with_the_remedy(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    name = install("Plugin.encode_queries = lambda self, texts, *, language: None")
    assert clir("check-encoder", name) == 1
    printed = capsys.readouterr().out
    assert "FAILED   shapes" in printed
    assert "remedy: return np.ndarray" in printed


def test_the_command_answers_a_misspelt_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert clir("check-encoder", "hashin") == 2
    assert "did you mean hashing?" in capsys.readouterr().err


# What is tried


def test_every_script_of_the_languages_has_two_texts_written_in_it() -> None:
    names = {
        "Arab": "ARABIC", "Armn": "ARMENIAN", "Beng": "BENGALI", "Cyrl": "CYRILLIC",
        "Deva": "DEVANAGARI", "Ethi": "ETHIOPIC", "Geor": "GEORGIAN", "Grek": "GREEK",
        "Gujr": "GUJARATI", "Guru": "GURMUKHI", "Hans": "CJK", "Hant": "CJK", "Hebr": "HEBREW",
        "Jpan": "CJK HIRAGANA", "Khmr": "KHMER", "Knda": "KANNADA", "Kore": "HANGUL",
        "Laoo": "LAO", "Latn": "LATIN", "Mlym": "MALAYALAM", "Mymr": "MYANMAR", "Orya": "ORIYA",
        "Sinh": "SINHALA", "Taml": "TAMIL", "Telu": "TELUGU", "Thaa": "THAANA", "Thai": "THAI",
        "Tibt": "TIBETAN",
    }  # fmt: skip
    found = scripts()
    assert {script.code for script in found} == {each.script for each in all_languages()}
    for script in found:
        assert resolve(script.language).script == script.code
        assert script.texts[0] != script.texts[1]
        first_words = {unicodedata.name(c).split()[0] for c in "".join(script.texts) if c != " "}
        assert first_words <= set(names[script.code].split()), script


def test_the_texts_are_as_long_and_as_blank_as_they_say() -> None:
    assert len(long_text().split()) == 20_000
    assert len(unbroken_text()) == 100_000
    assert len(set(SENTENCES)) == len(SENTENCES)
    assert not any(c.isalnum() for text in (*WORDLESS, *INVISIBLE) for c in text)
