"""The embedded samples: what is committed, what it holds, and what the adapters make of it."""

from __future__ import annotations

import gzip
import unicodedata
from pathlib import Path

import pytest
from build_samples import build
from sample_texts import LANGUAGES, read_texts

import clir_bench.tasks.samples
from clir_bench.core import plugins
from clir_bench.encoders import load_encoder
from clir_bench.errors import DataError
from clir_bench.evaluation.evaluate import evaluate
from clir_bench.evaluation.settings import RunSettings
from clir_bench.systems.system import EncoderSystem
from clir_bench.tasks.cache import folder_name
from clir_bench.tasks.cards import SAMPLE, TaskCard
from clir_bench.tasks.catalog import discover, load_card
from clir_bench.tasks.source import locate
from clir_bench.types import POOL, Collection, LanguagePair

SHIPPED = Path(clir_bench.tasks.samples.__file__).parent
TEXTS = Path(__file__).parents[2] / "tools" / "texts"
CARDS = [card for name in discover() if isinstance(card := load_card(name), TaskCard)]
SAMPLES = [card.for_sample() for card in CARDS]
LOW_RESOURCE = {"sw", "so", "tl", "mr", "yo"}

each_task = pytest.mark.parametrize("card", SAMPLES, ids=lambda card: card.id)


def contents(root: Path) -> dict[str, bytes]:
    """Return relative path to content; what a zlib made of a file is unpacked again."""
    return {
        path.relative_to(root).as_posix(): gzip.decompress(path.read_bytes())
        if path.suffix == ".gz"
        else path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def collection(card: TaskCard, pair: LanguagePair) -> Collection:
    loaded = plugins.load(plugins.ADAPTERS, card.adapter)(card, pair, SAMPLE, locate(card, SAMPLE))
    assert isinstance(loaded, Collection)
    return loaded


def test_committed_samples_are_what_the_texts_give(tmp_path: Path) -> None:
    build(tmp_path)
    folders = {path.name for path in SHIPPED.iterdir() if path.is_dir()}
    assert folders - {"__pycache__"} == {path.name for path in tmp_path.iterdir()}
    for folder in tmp_path.iterdir():
        assert contents(SHIPPED / folder.name) == contents(folder), (
            "run `python tools/build_samples.py`"
        )


def test_building_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        build(tmp_path / name)
    for path in (tmp_path / "one").rglob("*.gz"):
        twin = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == twin.read_bytes()


def test_samples_stay_small() -> None:
    files = [path for path in SHIPPED.glob("*/**/*") if path.is_file() and path.suffix != ".pyc"]
    texts = {path for path in files if path.is_relative_to(TEXTS)}
    assert sum(path.stat().st_size for path in files if path not in texts) < 400_000
    assert sum(path.stat().st_size for path in texts) < 80_000


def test_every_task_has_a_sample_in_at_least_eight_languages() -> None:
    assert len(CARDS) >= 11
    for card in SAMPLES:
        assert (SHIPPED / folder_name(card)).is_dir(), card.id
        asked = {code for pair in card.official_pairs() for code in pair} - {POOL}
        assert asked >= LOW_RESOURCE, card.id
        assert len(asked) >= 8, card.id


@each_task
def test_sample_loads_with_the_counts_stated(card: TaskCard) -> None:
    for pair in card.available_pairs():
        loaded = collection(card, pair)
        counts = (len(list(loaded.documents)), len(loaded.queries), len(loaded.qrels))
        assert counts == card.counts_of(SAMPLE, pair), pair


@each_task
def test_sample_judges_every_query_and_names_only_what_is_there(card: TaskCard) -> None:
    for pair in card.official_pairs():
        loaded = collection(card, pair)
        doc_ids = [document.doc_id for document in loaded.documents]
        query_ids = [query.query_id for query in loaded.queries]
        assert len({*doc_ids}) == len(doc_ids)
        assert len({*query_ids}) == len(query_ids)
        assert {qrel.doc_id for qrel in loaded.qrels} <= {*doc_ids}
        assert {qrel.query_id for qrel in loaded.qrels if qrel.relevance > 0} == {*query_ids}


@each_task
def test_sample_texts_are_filled_and_nfc(card: TaskCard) -> None:
    for pair in card.official_pairs():
        loaded = collection(card, pair)
        texts = [query.text for query in loaded.queries]
        for document in loaded.documents:
            texts += [document.text, *filter(None, [document.title])]
        for text in texts:
            assert text.strip()
            assert unicodedata.is_normalized("NFC", text)


def test_miracl_sample_has_negatives_and_wikiclir_two_grades() -> None:
    grades = {
        task: {
            qrel.relevance
            for qrel in collection(
                next(card for card in SAMPLES if card.id == task), LanguagePair(*pair)
            ).qrels
        }
        for task, pair in (("miracl", ("yo", "yo")), ("wikiclir", ("en", "yo")))
    }
    assert grades == {"miracl": {0, 1}, "wikiclir": {1, 2}}


def test_mewsli_x_queries_mark_their_mention() -> None:
    card = next(card for card in SAMPLES if card.id == "mewsli-x")
    queries = collection(card, LanguagePair("so", POOL)).queries
    assert [query.text.partition(" waa ")[0] for query in queries[5:7]] == [
        "Saturn: { Saturn }",
        "Maroodi: { Maroodi } gu",
    ]


def test_tasks_of_the_same_files_share_one_sample() -> None:
    folders = {card.id: folder_name(card) for card in SAMPLES}
    assert folders["mtop-intent"] == folders["mtop-translation"] == "mtop"


@each_task
def test_sample_runs_end_to_end_and_is_never_official(card: TaskCard, tmp_path: Path) -> None:
    encoder = load_encoder("hashing")
    pairs = [pair for pair in card.official_pairs() if {*pair} <= {"en", "sw", "yo", POOL}]
    result = evaluate(
        next(whole for whole in CARDS if whole.id == card.id),
        EncoderSystem(encoder, "hashing"),
        output=tmp_path,
        split=SAMPLE,
        source=locate(card, SAMPLE),
        pairs=pairs,
        settings=RunSettings(n_resamples=10),
    )
    assert {scored.status for scored in result.pairs.values()} >= {"done"}
    assert not result.task.official
    assert result.task.sample
    for pair in pairs:
        value = result.pairs[str(pair)].scores[card.measures[0]].mean
        assert value > (0.6 if pair.query == pair.document else 0.0)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('id = "nile"', 'id = "tigris"', "the facts are not those of TOPICS"),
        ('answer = "dos"', 'answer = "tres"', "the answer 'tres' must stand in one"),
        ('title = "Nilo"', 'title = "Tigris"', "lacks the title 'Tigris'"),
        ('intent = "PLAY_MUSIC"', 'intent = "GET_WEATHER"', "intents are not those of English"),
        ("noreste de África", "noreste de A\u0301frica", "not NFC"),
        ('question = "¿Qué come la jirafa?"\n', "", "fact 'giraffe': expected"),
        ('answer = "dos"', "answer = dos", "es.toml"),
    ],
)
def test_a_text_that_breaks_a_rule_is_named(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    for language in LANGUAGES:
        text = (TEXTS / f"{language}.toml").read_text(encoding="utf-8")
        if language == "es":
            assert old in text
            text = text.replace(old, new, 1)
        (tmp_path / f"{language}.toml").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=problem):
        read_texts(tmp_path)
