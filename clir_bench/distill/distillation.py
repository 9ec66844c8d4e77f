"""Trains a student by a recipe, or continues a stopped training, and writes the model's folder."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from clir_bench.core.files import write_file
from clir_bench.distill.bitext.mixture import BitextCorpus, load_bitext
from clir_bench.distill.bitext.overlap import evaluation_tasks
from clir_bench.distill.bitext.sampling import Mixing
from clir_bench.distill.model import card
from clir_bench.distill.model.students import from_teacher, is_static, load, pretrained, save
from clir_bench.distill.model.teacher import Teacher
from clir_bench.distill.model.teacher_vectors import VectorStore
from clir_bench.distill.model.vocabulary import sample_texts
from clir_bench.distill.recipe import Recipe
from clir_bench.distill.training.batches import Batches
from clir_bench.distill.training.journal import Journal
from clir_bench.distill.training.loop import Training, prepare
from clir_bench.distill.training.losses import DistillationLoss, build_parts
from clir_bench.encoders.st.loading import resolve_device
from clir_bench.errors import OutputError, UsageError
from clir_bench.results.store import check_writable
from clir_bench.tasks.cache import cache_directory
from clir_bench.tasks.languages import load_scheme

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from sentence_transformers import MultiVectorEncoder

_LOGGER = logging.getLogger(__name__)
_TRAINING, STUDENT = ".training", "student"
_ENGLISH_FACTOR = 4  # English is one side of every pair, and the language of the documents
_N_COUNTED = 20_000  # pairs that idf is counted on


class Watch(Protocol):
    """Shows the progress of a distillation."""

    def begin(self, label: str, total: int | None) -> None:
        """Start a phase of `total` units, or of unknown length."""
        ...

    def advance(self, n: int, note: str = "") -> None:
        """Say that `n` more are done."""
        ...


@dataclass(frozen=True)
class Places:
    """The folders of a distillation.

    Attributes:
        output: The model's folder.
        bitext: The folder for relative paths of the recipe.
        cache: Folder of teachers' vectors; clir-bench's cache folder when None.
        data: Folder of the evaluation tasks' data; `$CLIR_BENCH_DATA` when None.
    """

    output: Path
    bitext: Path
    cache: Path | None = None
    data: Path | None = None


def read_corpus(recipe: Recipe, places: Places) -> BitextCorpus:
    """Return a recipe's bitext, cleaned, compared with the evaluation tasks and split.

    Raises:
        DataError: As `load_bitext`.
    """
    return load_bitext(
        recipe.bitext,
        places.bitext,
        tasks=evaluation_tasks() if recipe.overlap else (),
        data_dir=places.data,
        rules=recipe.cleaning,
        validation_share=recipe.validation.share,
    )


def distill(
    recipe: Recipe,
    places: Places,
    *,
    device: str,
    watch: Watch,
    corpus: BitextCorpus | None = None,
) -> dict[str, Any]:
    """Train a student and write it to `places.output`; return its card.

    Args:
        recipe: What to do.
        places: The folders.
        device: A torch device, or "auto".
        watch: Shown to a person while it works.
        corpus: Result of `read_corpus` for a recipe with the same bitext; read when None.

    Raises:
        UsageError: The folder holds something else, or the recipe is impossible.
        DataError: Bitext or a checkpoint is wrong.
        EncoderError: The teacher or student cannot be loaded.
        OutputError: Something cannot be written; earlier files are kept.
        TrainingError: Training cannot continue; the last good weights are kept.
    """
    import torch

    output, work = places.output, places.output / _TRAINING
    _require_free(output)
    check_writable(output / card.NAME)
    chosen = torch.device(resolve_device(device))
    if corpus is None:
        watch.begin("reading bitext", None)
        corpus = read_corpus(recipe, places)
    teacher = Teacher(
        recipe.teacher.model,
        layer=recipe.teacher.layer,
        max_tokens=recipe.teacher.max_tokens,
        must_fit="max_tokens" in recipe.teacher.model_fields_set,
        device=str(chosen),
    )
    cache = (places.cache or cache_directory()) / "teachers"
    store = VectorStore(cache / teacher.key, teacher.dim)
    try:
        rows = _teach(corpus, teacher, store, watch)
        model = first_student(recipe, corpus, teacher, work, watch).to(chosen)
        training = _training(recipe, corpus, model, store, rows, output, watch)
        training.resume()
        watch.begin("training", recipe.training.steps - training.step)
        training.run()
    finally:
        store.close()
    training.take_best()
    facts = card.make_card(recipe, corpus, teacher, training)
    _finish(training, facts, output)
    return facts


def size_bytes(folder: Path) -> int:
    """Return the size of a finished model, without the files of its training."""
    return sum(
        path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and _TRAINING not in path.relative_to(folder).parts
    )


def _require_free(output: Path) -> None:
    if (output / card.NAME).is_file():
        raise UsageError(f"{output} already holds a finished model; choose another --output")
    if output.is_dir():
        stray = [p.name for p in output.iterdir() if p.name not in (_TRAINING, "log.jsonl")]
        unfinished = (output / _TRAINING).is_dir()
        if stray and not unfinished:
            raise UsageError(
                f"{output} holds {', '.join(sorted(stray)[:3])} and is not a training of "
                "clir-bench; choose another --output"
            )


def _teach(
    corpus: BitextCorpus, teacher: Teacher, store: VectorStore, watch: Watch
) -> NDArray[np.int64]:
    """Return English id to row of the store, -1 for sentences without a remaining pair."""
    used = np.unique(corpus.english_ids[np.concatenate([corpus.train, corpus.validation])])
    watch.begin("encoding English with the teacher", len(used))
    texts = [corpus.english_text(int(number)) for number in used]
    rows = np.full(corpus.n_english, -1, dtype=np.int64)
    rows[used] = teacher.fill(store, texts, watch.advance)
    return rows


def first_student(
    recipe: Recipe, corpus: BitextCorpus, teacher: Teacher, work: Path, watch: Watch
) -> MultiVectorEncoder:
    """Return the student as it was before its first step, made in `work` at the first call only.

    Raises:
        EncoderError: It cannot be had.
        OutputError: `work` cannot be written.
    """
    folder = work / STUDENT
    if folder.is_dir():
        return load(folder)
    watch.begin("making the student", None)
    settings = recipe.student
    if settings.model:
        model = pretrained(settings.model, teacher.dim, settings, recipe.seed)
    else:
        model = from_teacher(teacher, _texts(recipe, corpus), settings, recipe.seed)
    temporary = work / ".student"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        save(model, temporary, half=False)
        temporary.replace(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return load(folder)


def _texts(recipe: Recipe, corpus: BitextCorpus) -> list[str]:
    """Return the texts for learning a vocabulary, up to a limit per language."""
    rng = np.random.default_rng(recipe.seed)
    limit = recipe.student.characters
    texts: list[str] = []
    for pairs in corpus.by_language(corpus.train).values():
        order = rng.permutation(pairs)
        texts += sample_texts((corpus[int(pair)].foreign for pair in order), limit)
    english = rng.permutation(np.unique(corpus.english_ids[corpus.train]))
    given = (corpus.english_text(int(number)) for number in english)
    return texts + sample_texts(given, _ENGLISH_FACTOR * limit)


def _training(
    recipe: Recipe,
    corpus: BitextCorpus,
    model: MultiVectorEncoder,
    store: VectorStore,
    rows: NDArray[np.int64],
    output: Path,
    watch: Watch,
) -> Training:
    import torch

    mixing = Mixing(recipe.mixing.temperature, recipe.mixing.shares or None)
    stream = corpus.stream(mixing, seed=recipe.seed, scheme=load_scheme(recipe.mixing.scheme))
    prepare(model)
    batches = Batches(
        recipe=recipe,
        corpus=corpus,
        rows=rows,
        store=store,
        tokenizer=model.tokenizer,
        stream=stream,
        device=next(model.parameters()).device,
    )
    masses: tuple[torch.Tensor | None, torch.Tensor | None] = (None, None)
    if recipe.loss.marginals == "idf":
        masses = _masses(recipe, batches, len(model.tokenizer))
    dim = store.dim
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        parts = build_parts(recipe.parts, recipe.loss, dim, *masses, static=is_static(model))
    loss = DistillationLoss(model, parts, recipe.loss.weights).to(batches.device)
    return Training(
        recipe,
        loss,
        batches,
        output / _TRAINING,
        Journal(output / "log.jsonl"),
        advance=lambda note: watch.advance(1, note),
    )


def _masses(recipe: Recipe, batches: Batches, n_pieces: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the student's and the teacher's pieces' masses, by inverse document frequency."""
    corpus = batches.corpus
    rng = np.random.default_rng([recipe.seed, 1])
    pairs = rng.permutation(corpus.train)[:_N_COUNTED]
    english = np.unique(corpus.english_ids[pairs])
    texts = [corpus[int(pair)].foreign for pair in pairs]
    texts += [corpus.english_text(int(number)) for number in english]
    limit = recipe.student.max_tokens
    encoded = batches.tokenizer(texts, truncation=True, max_length=limit)["input_ids"]
    rows = batches.rows[english]
    teacher_ids = [batches.store.ids(int(row)) for row in rows]
    n_theirs = 1 + max((int(ids.max()) for ids in teacher_ids if len(ids)), default=0)
    n_theirs = max(n_theirs, 1 << 18)  # ids not seen here have the mass of the rarest
    return idf(encoded, n_pieces), idf(teacher_ids, n_theirs)


def idf(texts: Iterable[Any], n_pieces: int) -> torch.Tensor:
    """Return log((N + 1) / (n_i + 1)) / log(N + 1) for every piece, at least 0.01, `(n_pieces,)`.

    Args:
        texts: Piece ids of each text.
        n_pieces: Size of the vocabulary.
    """
    import torch

    counts, n_texts = np.zeros(n_pieces), 0
    for ids in texts:
        counts[np.unique(np.asarray(ids, dtype=np.int64))] += 1
        n_texts += 1
    values = np.log((n_texts + 1) / (counts + 1)) / np.log(n_texts + 1)
    return torch.from_numpy(np.maximum(values, 0.01).astype(np.float32))


def _finish(training: Training, facts: dict[str, Any], output: Path) -> None:
    """Write the model and its card. The card comes last: it marks the model as finished."""
    temporary = output / _TRAINING / ".finished"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        save(training.model, temporary, half=training.recipe.student.half)
        for path in sorted(temporary.iterdir()):
            target = output / path.name
            if target.is_dir():
                shutil.rmtree(target)
            path.replace(target)
        temporary.rmdir()
    except OSError as error:
        raise OutputError(
            f"{output}: the model cannot be written: {error.strerror or error}; make room and run "
            "the same command again"
        ) from error
    write_file(output / "README.md", card.write_readme(facts))
    training.journal.plot(output / "log.png")
    write_file(output / card.NAME, card.write_card(facts))
