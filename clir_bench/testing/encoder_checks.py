"""Defines the checks that an encoder must pass, with many kinds of texts."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from clir_bench.core.display import shortened
from clir_bench.errors import EncoderError, UnknownNameError
from clir_bench.tasks.languages import all_languages, resolve
from clir_bench.testing.report import BrokenPromiseError, Check, NotApplicableError
from clir_bench.testing.subject import SIDES, EncoderSubject, relative_difference, require_same
from clir_bench.testing.texts import (
    INVISIBLE,
    SENTENCES,
    WORDLESS,
    long_text,
    scripts,
    unbroken_text,
)
from clir_bench.types import POOL, SparseRows, StructuredQueries, Vectors

_SAME = 1e-5
"""Largest relative difference between the vectors of two equal calls."""
_FOUND_SHARE = 0.5
_PATIENCE_SECONDS = 0.1
_BYTES = 2**20


def _loads(subject: EncoderSubject) -> str:
    _ = subject.encoder
    return ""


def _describes_itself(subject: EncoderSubject) -> str:
    info = subject.info
    problems = []
    if info.n_parameters == 0:
        problems.append("info.n_parameters is 0; for a model without weights it must be None")
    for code in info.training_languages:
        try:
            canonical = resolve(code).code
        except UnknownNameError:
            canonical = code if re.fullmatch("[a-z]{2,3}", code) else "two or three letters"
        if canonical != code:
            problems.append(f"info.training_languages: {code!r} should be {canonical}")
    if problems:
        raise BrokenPromiseError("; ".join(problems))
    names = ("license", "n_parameters", "training_languages")
    unknown = [name for name in names if getattr(info, name) in (None, ())]
    return f"not stated: {', '.join(unknown)}" if unknown else ""


def _shapes(subject: EncoderSubject) -> str:
    dim = subject.encoder.dim
    for side in SIDES:
        for n_texts in (1, 5):
            found = subject.returned(side, list(SENTENCES[:n_texts]))
            if subject.family == "sparse":
                _require_sparse(subject.arrays(found), found, n_texts, side)
                continue
            if subject.family == "single":
                _require_shape(found, (n_texts, dim), side)
                continue
            if not isinstance(found, Sequence) or len(found) != n_texts:
                size = f" of {len(found)}" if hasattr(found, "__len__") else ""
                raise BrokenPromiseError(
                    f"{side}: expected a list of {n_texts} arrays, one per text, found "
                    f"{type(found).__name__}{size}"
                )
            for array in found:
                n_tokens = max(1, len(array)) if hasattr(array, "__len__") else 1
                _require_shape(array, (n_tokens, dim), side)
    return ""


def _require_sparse(arrays: list[Any], found: object, n_texts: int, side: str) -> None:
    rows = found.queries if isinstance(found, StructuredQueries) else found
    if not isinstance(rows, SparseRows):
        raise BrokenPromiseError(f"{side}: expected SparseRows, found {type(found).__name__}")
    if len(rows) != n_texts:
        raise BrokenPromiseError(f"{side}: expected a row per text, {n_texts}, found {len(rows)}")
    for array in arrays:
        _require_shape(array, (len(array),), side)


def _require_shape(found: object, expected: tuple[int, ...], side: str) -> None:
    if not isinstance(found, np.ndarray):
        raise BrokenPromiseError(f"{side}: expected a numpy array, found {type(found).__name__}")
    if found.shape != expected:
        raise BrokenPromiseError(f"{side}: expected shape {expected}, found {found.shape}")


def _values(subject: EncoderSubject) -> str:
    for side in SIDES:
        found = subject.returned(side, list(SENTENCES))
        for array in subject.arrays(found) if subject.family != "sparse" else []:
            if getattr(array, "dtype", None) != np.float32:
                raise BrokenPromiseError(
                    f"{side}: expected float32, found {getattr(array, 'dtype', array)}"
                )
        subject.rows(side, SENTENCES)
    return ""


def _determinism(subject: EncoderSubject) -> str:
    for side in SIDES:
        first, second = subject.rows(side, SENTENCES), subject.rows(side, SENTENCES)
        require_same(first, second, SENTENCES, within=_SAME, between=f"{side}, two equal calls")
    return ""


def _ownership(subject: EncoderSubject) -> str:
    for side in SIDES:
        texts = list(SENTENCES[:4])
        kept = subject.returned(side, texts)
        arrays = subject.arrays(kept)
        before = [np.array(array) for array in arrays]
        subject.returned(side, list(SENTENCES[4:8]))
        time.sleep(_PATIENCE_SECONDS)  # for an encoder whose own thread is not done yet
        for array, copy in zip(arrays, before, strict=True):
            if not np.array_equal(array, copy):
                raise BrokenPromiseError(
                    f"{side}: a later call changed the array that the first call returned"
                )
        if texts != list(SENTENCES[:4]):
            raise BrokenPromiseError(f"{side}: the encoder changed the list of texts")
    return ""


def _batches(subject: EncoderSubject) -> str:
    texts = [*SENTENCES[:6], "goat", " ".join(SENTENCES)]
    largest = 0.0
    for side in SIDES:
        alone = [subject.rows(side, [text])[0] for text in texts]
        for batch, name in ((texts, "in a batch"), ([*texts, long_text(600)], "with a long text")):
            together = subject.rows(side, batch)[: len(texts)]
            between = f"{side}, alone and {name}"
            found = require_same(alone, together, texts, within=subject.tolerance, between=between)
            largest = max(largest, found)
    return f"largest difference {largest:.1g}" if largest else ""


def _order(subject: EncoderSubject) -> str:
    texts = [*SENTENCES, "goat", SENTENCES[0], " ".join(SENTENCES[:3])]
    orders = (range(len(texts))[::-1], [*range(5, len(texts)), *range(5)])
    for side in SIDES:
        straight = subject.rows(side, texts)
        for order in orders:
            moved = subject.rows(side, [texts[i] for i in order])
            back: list[Vectors] = [moved[list(order).index(i)] for i in range(len(texts))]
            between = f"{side}, in two orders"
            require_same(straight, back, texts, within=subject.tolerance, between=between)
        twice = [straight[0]], [straight[texts.index(SENTENCES[0], 1)]]
        between = f"{side}, a text twice in one batch"
        require_same(*twice, texts[:1], within=subject.tolerance, between=between)
    return ""


def _wordless_texts(subject: EncoderSubject) -> str:
    without = []
    for side in SIDES:
        for text in WORDLESS:
            subject.rows(side, [text])
        subject.rows(side, [*WORDLESS[:1], *SENTENCES[:2], *WORDLESS[1:]])
        for text in INVISIBLE:
            subject.returned(side, [text])
            try:
                subject.rows(side, [text])
            except EncoderError:
                without.append(ascii(text))
    if without:
        texts = ", ".join(dict.fromkeys(without))
        return f"no usable vector for invisible texts: a run stops at a text like {texts}"
    return ""


def _long_texts(subject: EncoderSubject) -> str:
    text = long_text()
    short = SENTENCES[0]
    for side in SIDES:
        subject.rows(side, [unbroken_text()])
        alone = subject.rows(side, [short])
        beside = subject.rows(side, [text, short])[1:]
        between = f"{side}, alone and beside a text of 20,000 words"
        require_same(alone, beside, [short], within=subject.tolerance, between=between)
    limit = subject.info.max_tokens
    if limit is None:
        return "reads texts of any length to their end"
    if limit > 10_000:
        return f"not checked: whether it cuts at {limit:,} tokens"
    one, other = (
        subject.rows("documents", [long_text(2 * limit + 50, ending)])
        for ending in ("A goat slept.", "The choir sang at the wedding.")
    )
    between = f"documents that differ only after {2 * limit + 50:,} words (info.max_tokens {limit})"
    require_same(one, other, ["(long text)"], within=subject.tolerance, between=between)
    return f"cut at {limit:,} tokens"


def _scripts(subject: EncoderSubject) -> str:
    alike = []
    for script in scripts():
        for side in SIDES:
            try:
                rows = subject.rows(side, script.texts, script.language)
            except EncoderError as error:
                raise BrokenPromiseError(f"script {script.code}: {error}") from error
        if len(rows[0]) == len(rows[1]) and relative_difference(*rows) < _SAME:
            alike.append(script.code)
    if alike:
        return f"gives two different texts the same vectors in: {', '.join(alike)}"
    return f"{len(scripts())} scripts, with different vectors for two texts in each"


def _languages(subject: EncoderSubject) -> str:
    codes = [language.code for language in all_languages()]
    for number, code in enumerate([*codes, POOL, POOL]):
        subject.rows(SIDES[number % 2], ["2 + 2"], code)
    return f"{len(codes)} languages and {POOL!r}"


def _finding(subject: EncoderSubject) -> str:
    queries = subject.rows("queries", SENTENCES)
    documents = subject.rows("documents", SENTENCES)
    n_found = 0
    for number, query in enumerate(queries):
        # MaxSim; with one vector per text it is the inner product.
        scores = [float((query @ document.T).max(axis=1).sum()) for document in documents]
        others = [score for other, score in enumerate(scores) if other != number]
        n_found += scores[number] > max(others)
    if n_found < _FOUND_SHARE * len(SENTENCES):
        raise BrokenPromiseError(
            f"as queries, only {n_found} of {len(SENTENCES)} sentences rank themselves first among "
            "all, by the inner product (MaxSim) of their vectors"
        )
    return f"{n_found} of {len(SENTENCES)} sentences rank themselves first"


def _processes(subject: EncoderSubject) -> str:
    apart = subject.apart
    if apart.error:
        raise BrokenPromiseError(f"in a separate process, the encoder stopped at {apart.error}")
    largest = 0.0
    for side in SIDES:
        here = subject.rows(side, SENTENCES)
        there = [np.asarray(rows, dtype=np.float32) for rows in apart.vectors[side]]
        between = f"{side}, here and in another process"
        found = require_same(here, there, SENTENCES, within=subject.tolerance, between=between)
        largest = max(largest, found)
    return f"largest difference {largest:.1g}" if largest else ""


def _network(subject: EncoderSubject) -> str:
    apart = subject.apart
    verbs = {"import": "importing", "load": "loading", "encode": "encoding"}
    tried = [
        f"{verbs[phase]}, the encoder connects to {', '.join(dict.fromkeys(hosts))}"
        for phase, hosts in apart.connections.items()
    ]
    if tried:
        raise BrokenPromiseError("; ".join(tried))
    if apart.error:
        raise BrokenPromiseError(f"without a network, the encoder stopped at {apart.error}")
    return ""


def _silence(subject: EncoderSubject) -> str:
    printed = subject.apart.printed
    if printed:
        raise BrokenPromiseError(f"the encoder printed {shortened(printed)}")
    return ""


ENCODER_CHECKS: tuple[Check[EncoderSubject], ...] = (
    Check(
        "loading",
        "loads by its name and has the required attributes and methods",
        "see clir_bench.types for the contract; other checks run only if this one passes",
        _loads,
    ),
    Check(
        "description",
        "describes itself with the facts that a result records",
        "correct the EncoderInfo; unknown facts are None or empty, never a guess",
        _describes_itself,
    ),
    Check(
        "shapes",
        "returns numpy arrays of the promised shape, one row (or array) per text",
        "return np.ndarray of (n_texts, dim); late interaction: a list of (n_tokens, dim); sparse: "
        "types.SparseRows",
        _shapes,
    ),
    Check(
        "values",
        "returns finite float32 values, no row of zeros, and unit length for cosine; sparse rows "
        "have rising int64 ids",
        "end with rows.astype(np.float32), and for cosine rows / np.linalg.norm(rows, axis=1, "
        "keepdims=True); SparseRows.of sorts ids and sets the types",
        _values,
    ),
    Check(
        "determinism",
        "gives the same vectors for the same texts",
        "put the model in evaluation mode (model.eval()), draw nothing at random while encoding",
        _determinism,
    ),
    Check(
        "ownership",
        "does not change its input or arrays that it returned earlier",
        "return a new array from every call, rows.copy(), not a buffer that the next call changes",
        _ownership,
    ),
    Check(
        "batches",
        "gives a text the same vector in every batch",
        "leave padding out: pass the attention mask to the model and to the pooling; no batch "
        "normalisation in training mode",
        _batches,
    ),
    Check(
        "order",
        "returns rows in the order of the texts, equal rows for equal texts",
        "undo sorting by length and dropping of repeated texts before returning",
        _order,
    ),
    Check(
        "blank-texts",
        "has a vector for texts that have no words (runs never encode white space alone)",
        "give texts without tokens a vector of their own (the special tokens', or one dimension "
        "kept for them)",
        _wordless_texts,
    ),
    Check(
        "long-texts",
        "accepts texts of any length, and cuts them at info.max_tokens",
        "truncate in the tokenizer, and state in info.max_tokens the limit that is applied",
        _long_texts,
    ),
    Check(
        "scripts",
        "accepts every script of the benchmarks' languages",
        "fall back to bytes or to an unknown token where the vocabulary lacks a script",
        _scripts,
    ),
    Check(
        "languages",
        "accepts every language code, also that of a pool of languages",
        "treat texts in an unknown language like any others; `language` is a hint",
        _languages,
    ),
    Check(
        "finding",
        "ranks most texts first when the query is the text itself",
        "larger inner products must mean more similar texts (not larger distances); take the "
        "vectors of queries and documents from the same layer and space",
        _finding,
    ),
    Check(
        "processes",
        "gives the same vectors in another process",
        "do not use hash() of texts or the order of sets, which change with every process; seed "
        "random numbers with EncoderRequest.seed",
        _processes,
    ),
    Check(
        "network",
        "imports, loads and encodes without a network, if its weights are on this machine",
        "fetch weights ahead of time, load them with local_files_only, send no texts elsewhere",
        _network,
    ),
    Check(
        "silence",
        "prints nothing to standard output, which is for results",
        "use logging, or print to sys.stderr",
        _silence,
    ),
)


def measured(subject: EncoderSubject) -> tuple[str, ...]:
    """Return time and memory, measured in a separate process; empty where that is impossible."""
    try:
        apart = subject.apart
    except (BrokenPromiseError, NotApplicableError):
        return ()
    if apart.error:
        return ()
    return (
        f"loading took {apart.load_seconds:.1f} s; {apart.documents_per_second:,.0f} documents "
        f"of 100 words per second, {apart.queries_per_second:,.0f} queries",
        f"memory: {apart.loaded_bytes / _BYTES:,.0f} MiB once loaded, "
        f"{apart.peak_bytes / _BYTES:,.0f} MiB at most",
    )
