"""Mixing bitext: what counts as the same, what is kept from benchmarks, the training's order."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clir_bench.distill.bitext.fingerprints import (
    MIN_SENTENCE_BYTES,
    fingerprint,
    normal_form,
    sentence_fingerprints,
)
from clir_bench.distill.bitext.mixture import BitextCorpus, Texts, load_bitext
from clir_bench.distill.bitext.overlap import contains, evaluation_tasks
from clir_bench.distill.bitext.report import DROPPED, TRAIN, VALIDATION, BitextReport
from clir_bench.distill.bitext.sampling import BLOCK, Mixing, PairStream, language_weights
from clir_bench.distill.bitext.sources import BitextSource
from clir_bench.errors import UsageError
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.languages import load_scheme

DATA = Path(__file__).parents[2] / "data"


def written(root: Path, name: str, language: str, pairs: list[tuple[str, str]]) -> BitextSource:
    text = "".join(f"{english}\t{foreign}\n" for english, foreign in pairs)
    (root / f"{name}.tsv").write_text(text, encoding="utf-8")
    return BitextSource(
        name=name, format="tsv", path=f"{name}.tsv", license="CC0-1.0", languages=(language,)
    )


def loaded(root: Path, *sources: BitextSource, **options: Any) -> BitextCorpus:
    return load_bitext(sources, root, **{"validation_share": 0.0, **options})


def total(report: BitextReport, what: str) -> int:
    return sum(row[what] for row in report.rows.values())


def kept(report: BitextReport, name: str, language: str) -> int:
    rows = report.to_json()["rows"]
    return sum(row["kept"] for row in rows if (row["source"], row["language"]) == (name, language))


def dropped(corpus: BitextCorpus) -> dict[str, int]:
    return {name: n for name in DROPPED if (n := total(corpus.report, name))}


def card(name: str) -> TaskCard:
    found = load_card(name)
    assert isinstance(found, TaskCard)
    return found


def numbered(n: int, language: str = "x") -> list[tuple[str, str]]:
    return [
        (f"Sentence number {i} stands here.", f"Sentensi {language} {i} iko.") for i in range(n)
    ]


# --- what counts as the same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Don’t panic!", "dont  panic"),
        ("ＡＢＣ１２", "abc12"),
        ("café", "cafe\u0301."),
        ("STRASSE", "Straße"),
        ("ภาษา ไทย", "ภาษาไทย"),
    ],
)
def test_case_punctuation_and_spacing_make_no_difference(one: str, other: str) -> None:
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"), [("कि", "की"), ("no", "not"), ("1", "2"), ("?", "!"), ("cafe", "café")]
)
def test_vowel_signs_letters_and_digits_make_a_difference(one: str, other: str) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_fingerprints_are_the_same_on_every_machine() -> None:
    # BLAKE2b-64 of b"panic", little-endian, as Python's hashlib gives it
    import hashlib

    expected = int.from_bytes(hashlib.blake2b(b"panic", digest_size=8).digest(), "little")
    assert normal_form(" Panic!") == "panic"
    assert fingerprint(" Panic!") == expected


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One sentence of some length alone.", []),
        (
            'He said: "The boats came home before the rain." Then nobody spoke for a long while.',
            ["He said: The boats came home before the rain", "Then nobody spoke for a long while"],
        ),
        (
            "船在下雨之前回到了家里面。没有人修补过那些渔网吗？",
            ["船在下雨之前回到了家里面", "没有人修补过那些渔网吗"],
        ),
        (
            "नावें बारिश से पहले घर लौट आईं। किसी ने जाल नहीं सुधारे थे।",
            ["नावें बारिश से पहले घर लौट आईं", "किसी ने जाल नहीं सुधारे थे"],
        ),
        ("It cost 3.50 at the market of the old town.", []),
        ("Yes. The boats came home before the rain.", ["The boats came home before the rain"]),
    ],
)
def test_sentences_of_longer_texts_are_told_apart(text: str, sentences: list[str]) -> None:
    assert sentence_fingerprints(text) == [fingerprint(sentence) for sentence in sentences]


def test_shortest_sentence_that_counts_has_24_bytes() -> None:
    assert MIN_SENTENCE_BYTES == 24
    assert len(sentence_fingerprints(f"{'a' * 24}. {'b' * 23}.")) == 1


def test_texts_come_back_as_they_went_in() -> None:
    texts = Texts()
    originals = ["", "abc", "ኣበባ", "𝒳 emoji 🐐", "x" * 10_000]
    assert [texts.append(text) for text in originals] == [0, 1, 2, 3, 4]
    assert [texts[n] for n in range(len(texts))] == originals
    with pytest.raises(IndexError):
        texts[5]


def test_membership_agrees_with_sets() -> None:
    rng = np.random.default_rng(0)
    ours = np.unique(rng.integers(0, 2**64, 500, dtype=np.uint64))
    asked = np.concatenate([ours[::7], rng.integers(0, 2**64, 500, dtype=np.uint64)])
    known = set(ours.tolist())
    assert contains(ours, asked).tolist() == [value in known for value in asked.tolist()]
    assert not contains(np.empty(0, dtype=np.uint64), asked).any()


# --- loading


def test_repeated_pair_is_kept_once_and_first(tmp_path: Path) -> None:
    first = written(tmp_path, "a", "sw", [("The goat sleeps.", "Mbuzi analala.")])
    second = written(
        tmp_path,
        "b",
        "sw",
        [
            ("the goat sleeps", "MBUZI ANALALA!"),
            ("The goat sleeps.", "Mbuzi amelala."),  # another translation is another pair
        ],
    )
    corpus = loaded(tmp_path, first, second)
    assert [corpus[i] for i in corpus.train] == [
        ("The goat sleeps.", "Mbuzi analala.", "sw"),
        ("The goat sleeps.", "Mbuzi amelala.", "sw"),
    ]
    assert corpus.report.rows["b", "sw"]["duplicate"] == 1
    assert kept(corpus.report, "b", "sw") == 1


def test_same_words_in_two_languages_are_two_pairs(tmp_path: Path) -> None:
    pairs = [("The goat sleeps.", "Geita sover.")]
    corpus = loaded(
        tmp_path, written(tmp_path, "a", "nb", pairs), written(tmp_path, "b", "nn", pairs)
    )
    assert corpus.counts() == {"nb": 1, "nn": 1}
    assert dropped(corpus) == {}


def test_english_text_has_one_number_over_all_translations(tmp_path: Path) -> None:
    corpus = loaded(
        tmp_path,
        written(tmp_path, "a", "sw", numbered(5, "sw")),
        written(tmp_path, "b", "de", numbered(5, "de")),
    )
    assert corpus.n_english == 5
    assert corpus.english_ids.tolist() == [0, 1, 2, 3, 4] * 2
    assert corpus.english_text(3) == "Sentence number 3 stands here."
    assert corpus.languages == ("de", "sw")
    assert {corpus[i].language for i in range(5)} == {"sw"}


def test_english_text_is_held_back_in_all_its_languages(tmp_path: Path) -> None:
    sources = [written(tmp_path, code, code, numbered(400, code)) for code in ("de", "sw", "fi")]
    corpus = loaded(tmp_path, *sources, validation_share=0.1)
    english = [{corpus[i].english for i in part} for part in (corpus.train, corpus.validation)]
    assert not english[0] & english[1]
    assert len(corpus.validation) == 3 * len(english[1])
    assert 20 <= len(english[1]) <= 60  # 40 expected, 3.3 standard deviations of 6 either way
    assert len(corpus.train) + len(corpus.validation) == 1200
    report = corpus.report
    assert (total(report, TRAIN), total(report, VALIDATION)) == (
        len(corpus.train),
        len(corpus.validation),
    )


def test_what_is_held_back_does_not_depend_on_the_data_beside_it(tmp_path: Path) -> None:
    alone = loaded(tmp_path, written(tmp_path, "a", "sw", numbered(300)), validation_share=0.1)
    more = written(tmp_path, "z", "de", [("Something else here.", "Etwas anderes hier.")])
    both = loaded(tmp_path, more, written(tmp_path, "a", "sw", numbered(300)), validation_share=0.1)
    assert {alone[i] for i in alone.validation} <= {both[i] for i in both.validation}


def test_translation_that_is_held_back_is_not_trained_on_under_other_english(
    tmp_path: Path,
) -> None:
    other = [(f"In other words, {i}.", foreign) for i, (_, foreign) in enumerate(numbered(300))]
    corpus = loaded(
        tmp_path,
        written(tmp_path, "a", "sw", numbered(300)),
        written(tmp_path, "b", "sw", other),
        validation_share=0.1,
    )
    foreign = [{corpus[i].foreign for i in part} for part in (corpus.train, corpus.validation)]
    assert not foreign[0] & foreign[1]
    assert dropped(corpus)["twin"] > 20


def test_wrong_calls_are_refused(tmp_path: Path) -> None:
    one = written(tmp_path, "a", "sw", numbered(3))
    with pytest.raises(UsageError, match="at least one"):
        loaded(tmp_path)
    with pytest.raises(UsageError, match="have one name: a"):
        loaded(tmp_path, one, one)
    with pytest.raises(UsageError, match="below 1, found 1"):
        loaded(tmp_path, one, validation_share=1.0)


# --- overlap


def test_benchmark_sentences_are_dropped_on_either_side_and_within_texts(tmp_path: Path) -> None:
    german = "Der See friert im Januar zu, und Fischer schneiden dann Löcher ins Eis."
    pairs = [
        ("the bakery opens at 5", "Die Bäckerei öffnet früh am Morgen."),  # like none
        ("When does the lake freeze", "Wann genau friert der Teich zu?"),  # a question
        ("Some other English sentence altogether, of this length.", german),  # a German candidate
        # a sentence of two stands in the benchmark
        ("Snow fell. Fishers then cut holes in the ice.", "Es schneite. Dann wurde gefischt."),
        ("Fishers went home early.", "Die Fischer gingen früh nach Hause."),
    ]
    corpus = loaded(
        tmp_path, written(tmp_path, "a", "de", pairs), tasks=[card("xquad-r")], data_dir=DATA
    )
    assert [corpus[i].english for i in corpus.train] == [pairs[0][0], pairs[4][0]]
    assert dropped(corpus) == {"overlap": 3}
    (task,) = corpus.report.overlap
    assert (task.task, task.n_matched, task.pairs) == ("xquad-r", 3, 3)


def test_sentence_within_a_benchmark_passage_is_found(tmp_path: Path) -> None:
    # XQuAD's documents are whole paragraphs
    pairs = [("Fishers then cut holes in the ice!", "Die Fischer schneiden dann Löcher.")]
    corpus = loaded(
        tmp_path, written(tmp_path, "a", "de", pairs), tasks=[card("xquad")], data_dir=DATA
    )
    assert dropped(corpus) == {"overlap": 1}


def test_pair_in_two_tasks_is_dropped_once_and_counted_for_both(tmp_path: Path) -> None:
    pairs = [("When does the lake freeze?", "Wann genau friert der Teich zu?")]
    corpus = loaded(
        tmp_path,
        written(tmp_path, "a", "de", pairs),
        tasks=[card("xquad"), card("xquad-r")],
        data_dir=DATA,
    )
    assert dropped(corpus) == {"overlap": 1}
    assert [task.pairs for task in corpus.report.overlap] == [1, 1]


def test_task_that_is_not_at_hand_is_reported_and_nothing_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("fetched")

    monkeypatch.setattr("clir_bench.tasks.download.fetch", refuse)
    monkeypatch.delenv("CLIR_BENCH_DATA", raising=False)
    monkeypatch.setenv("CLIR_BENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "data" / "xquad").mkdir(parents=True)  # there, but empty
    corpus = loaded(tmp_path, written(tmp_path, "a", "sw", numbered(3)), tasks=evaluation_tasks())
    by_task = {task.task: task for task in corpus.report.overlap}
    assert {"xquad", "xquad-r", "tatoeba", "afriqa", "miracl", "mmarco"} <= set(by_task)
    assert all(task.not_checked and not task.checked for task in by_task.values())
    assert "validation: 144 of 144 pairs" in by_task["xquad"].not_checked
    assert "no folder miracl" in by_task["miracl"].not_checked
    published = json.dumps(corpus.report.to_json())
    assert str(tmp_path) not in published


def test_partly_present_task_is_reported_in_part(tmp_path: Path) -> None:
    corpus = loaded(
        tmp_path, written(tmp_path, "a", "sw", numbered(3)), tasks=[card("xquad-r")], data_dir=DATA
    )
    (task,) = corpus.report.overlap
    assert task.checked == ("validation: 9 of 132 pairs",)  # de, en and hi, each to each
    assert task.not_checked.startswith("validation: 123 of 132 pairs")


# --- the report


def test_report_says_what_became_of_every_pair(tmp_path: Path) -> None:
    pairs = [*numbered(3), ("", "Tupu."), ("Same.", "Same."), numbered(1)[0]]
    corpus = loaded(tmp_path, written(tmp_path, "a", "sw", pairs))
    report = corpus.report.to_json()
    assert json.loads(json.dumps(report)) == report
    assert report["rows"] == [
        {
            "source": "a",
            "language": "sw",
            "license": "CC0-1.0",
            "read": 6,
            "kept": 3,
            "dropped": {"empty": 1, "copy": 1, "duplicate": 1},
            "realigned": 0,
            "train": 3,
            "validation": 0,
        }
    ]


# --- the order of training


def test_temperature_evens_languages_out() -> None:
    counts = {"sw": 100, "de": 10_000, "xx": 0}
    assert language_weights(counts, Mixing()) == pytest.approx({"sw": 1 / 101, "de": 100 / 101})
    # square roots: 10 and 100
    tempered = language_weights(counts, Mixing(temperature=2.0))
    assert tempered == pytest.approx({"sw": 10 / 110, "de": 100 / 110})
    even = language_weights(counts, Mixing(temperature=float("inf")))
    assert even == pytest.approx({"sw": 0.5, "de": 0.5})


def test_shares_of_tiers_hold_whatever_the_counts() -> None:
    counts = {"sw": 900, "so": 100, "de": 50_000, "fr": 50_000}
    weights = language_weights(
        counts, Mixing(shares={"low": 0.7, "high": 0.3}), load_scheme("optical")
    )
    assert weights == pytest.approx({"sw": 0.63, "so": 0.07, "de": 0.15, "fr": 0.15})
    only_low = language_weights(
        counts, Mixing(shares={"low": 1.0, "high": 0.0}), load_scheme("optical")
    )
    assert only_low == pytest.approx({"sw": 0.9, "so": 0.1})


@pytest.mark.parametrize(
    ("mixing", "message"),
    [
        (Mixing(temperature=0), "temperature must be above 0"),
        (Mixing(shares={"low": 0.5, "high": 0.4}), "add up to 0.9"),
        (Mixing(shares={"low": 1.0}), "no share for tier 'high'.* the tier of de"),
        (Mixing(shares={"low": 0.5, "mid": 0.2, "high": 0.3}), "no language .* in tier 'mid'"),
        (Mixing(shares={"low": 1.5, "high": -0.5}), "not a share"),
    ],
)
def test_mixing_that_cannot_be_had_is_refused(mixing: Mixing, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        language_weights({"sw": 10, "de": 10}, mixing, load_scheme("optical"))


def test_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(UsageError, match="no pair of the bitext is left"):
        language_weights({"sw": 0}, Mixing())


PAIRS = {
    "de": np.arange(0, 3000, dtype=np.int64),
    "sw": np.arange(3000, 3100, dtype=np.int64),
    "so": np.arange(3100, 3107, dtype=np.int64),
}
WEIGHTS = {"de": 0.7, "sw": 0.2999, "so": 0.0001}


def language_of(index: int) -> str:
    return next(code for code, indices in PAIRS.items() if index in indices)


@pytest.mark.parametrize("position", [0, 1, 999, BLOCK, BLOCK + 1, 3 * BLOCK - 1, 50_000])
def test_stream_goes_on_from_any_position_as_if_never_stopped(position: int) -> None:
    whole = PairStream(PAIRS, WEIGHTS, seed=7).take(60_000)
    resumed = PairStream(PAIRS, WEIGHTS, seed=7, position=position)
    assert resumed.take(5000).tolist() == whole[position : position + 5000].tolist()
    assert resumed.position == position + 5000


def test_stream_does_not_depend_on_how_much_is_taken_at_once() -> None:
    one, other = (PairStream(PAIRS, WEIGHTS, seed=7) for _ in range(2))
    pieces = np.concatenate([one.take(n) for n in (0, 1, 31, 5000, 64, 4000)])
    assert pieces.tolist() == other.take(9096).tolist()


def test_every_block_has_each_language_in_its_share() -> None:
    taken = PairStream(PAIRS, WEIGHTS, seed=3).take(25 * BLOCK)
    for block in taken.reshape(25, BLOCK):
        counts = Counter(np.where(block < 3000, "de", np.where(block < 3100, "sw", "so")).tolist())
        for code, weight in WEIGHTS.items():
            assert abs(counts[code] - weight * BLOCK) < 1
    assert 5 <= int((taken >= 3100).sum()) <= 16  # 10.24 expected


def test_every_pair_of_a_language_comes_before_any_comes_again() -> None:
    taken = PairStream(PAIRS, WEIGHTS, seed=3).take(30 * BLOCK)
    german = taken[taken < 3000]
    # within a block the order is mixed, so laps may mingle there, but never by more than a block
    counts = np.bincount(german[: 3000 * 5 + BLOCK], minlength=3000)
    assert counts.min() >= 5
    assert counts.max() <= 8


def test_another_seed_is_another_order() -> None:
    taken = [PairStream(PAIRS, WEIGHTS, seed=seed).take(1000).tolist() for seed in (1, 2, 1)]
    assert taken[0] != taken[1]
    assert taken[0] == taken[2]


def test_corpus_streams_its_training_pairs_alone(tmp_path: Path) -> None:
    sources = [written(tmp_path, code, code, numbered(200, code)) for code in ("de", "sw")]
    corpus = loaded(tmp_path, *sources, validation_share=0.2)
    stream = corpus.stream(Mixing(temperature=2.0), seed=0)
    assert set(stream.take(2000).tolist()) == set(corpus.train.tolist())


# --- the real thing


@pytest.mark.realdata
def test_bitext_holds_little_of_the_benchmarks_and_loses_it(
    real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIR_BENCH_DATA", str(real_data))
    source = BitextSource(
        name="tico19",
        format="tmx",
        path="bitext/tico19/all.en-{language}.tmx.zip",
        license="CC0-1.0",
        languages=("sw", "tl", "mr", "fr"),
    )
    tasks = [card(name) for name in ("xquad-r", "afriqa")]
    corpus = loaded(real_data, source, tasks=tasks)
    by_task = {task.task: task for task in corpus.report.overlap}
    assert by_task["xquad-r"].pairs == 0
    assert by_task["xquad-r"].checked == ("validation: 132 of 132 pairs",)
    assert by_task["afriqa"].pairs > 0
    assert dropped(corpus)["overlap"] <= sum(task.pairs for task in by_task.values())
