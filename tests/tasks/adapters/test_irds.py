"""What ir_datasets reads is what our readers read, and its failures say what to do.

Shipped tasks go through ir_datasets' own wiring in a process of its own, whose IR_DATASETS_HOME
holds the fixtures where ir_datasets would have put the official files.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from clir_bench.core import plugins
from clir_bench.errors import CardError, DataError, MissingDataError, UnknownNameError, UsageError
from clir_bench.tasks.adapters.irds import collection, load, prefetch, sides
from clir_bench.tasks.adapters.irds_errors import OfflineError, import_ir_datasets
from clir_bench.tasks.cards import Counts, TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.download import OFFLINE_VARIABLES
from clir_bench.tasks.source import Source
from clir_bench.types import Collection, LanguagePair, Query

DATA = Path(__file__).parents[2] / "data"
FETCHED = [
    ("miracl", "sw-sw", "dev"),
    ("miracl", "te-te", "dev"),
    ("mmarco", "fr-fr", "dev"),
    ("mmarco", "en-nl", "dev"),
    ("mmarco", "nl-en", "dev"),
    ("wikiclir", "en-sw", "all"),
    ("wikiclir", "en-nb", "all"),
    ("wikiclir", "en-simple", "all"),
]
MISSING = [("miracl", "de-de", "dev"), ("miracl", "de-de", "train"), ("mmarco", "hi-hi", "dev")]
PROBE = """
import json, sys
from pathlib import Path
from clir_bench.tasks.adapters.irds import collection
from clir_bench.tasks.catalog import load_card
from clir_bench.errors import ClirBenchError
from clir_bench.types import LanguagePair
answers = []
for task, pair, split in json.loads(sys.argv[1]):
    try:
        found = collection(load_card(task), LanguagePair(*pair.split("-")), split)
        answers.append([list(found.documents), list(found.documents), found.queries, found.qrels])
    except ClirBenchError as error:
        answers.append([type(error).__name__, str(error)])
print(json.dumps(answers))
"""


def pair_of(name: str) -> LanguagePair:
    query, _, document = name.partition("-")
    return LanguagePair(query, document)


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep ir_datasets, which makes folders when imported, out of the user's home."""
    with pytest.MonkeyPatch.context() as patch:
        if "ir_datasets" not in sys.modules:
            patch.setenv("IR_DATASETS_HOME", str(tmp_path_factory.mktemp("irds")))
        import_ir_datasets()
        yield


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], Any]:
    """What ir_datasets' own readers make of the fixtures, and of what is not there, offline."""
    root = tmp_path_factory.mktemp("official")
    lay_out(root)
    asked = [*FETCHED, *MISSING]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(asked)],
        env={**os.environ, "IR_DATASETS_HOME": str(root), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(asked, json.loads(done.stdout), strict=True))


def lay_out(home: Path) -> None:
    """Copy the fixtures to where ir_datasets 0.6 keeps the files it has fetched."""
    import gzip

    def copy(source: str, target: str, compress: bool = False) -> None:
        path = home / target
        path.parent.mkdir(parents=True, exist_ok=True)
        data = (DATA / source).read_bytes()
        path.write_bytes(gzip.compress(data) if compress else data)

    for code, shards in (("sw", 2), ("te", 1)):
        # ir_datasets reads one document file for sw; the fixture's two become one.
        parts = [
            (DATA / f"miracl/miracl-corpus-v1.0-{code}/docs-{n}.jsonl").read_bytes()
            for n in range(shards)
        ]
        folder = home / f"miracl/v1.0/{code}"
        (folder / "docs").mkdir(parents=True)
        (folder / "docs/docs-0.jsonl.gz").write_bytes(gzip.compress(b"".join(parts)))
        for kind in ("topics", "qrels"):
            name = f"miracl/miracl-v1.0-{code}/{kind}/{kind}.miracl-v1.0-{code}-dev.tsv"
            copy(name, f"miracl/v1.0/{code}/dev/{kind}.tsv")
    # te has two official document files
    (home / "miracl/v1.0/te/docs/docs-1.jsonl.gz").write_bytes(gzip.compress(b""))
    google = "mmarco/data/google"
    for name in ("french", "dutch"):
        copy(f"{google}/collections/{name}_collection.tsv", f"mmarco/v2/{name}_collection.tsv")
        copy(
            f"{google}/queries/dev/{name}_queries.dev.small.tsv",
            f"mmarco/v2/{name}.queries.dev.tsv",
        )
    copy("mmarco/data/qrels.dev.small.tsv", "mmarco/qrels.dev.small.tsv")
    copy(f"{google}/collections/english_collection.tsv", "msmarco-passage/collection.tsv")
    copy(
        f"{google}/queries/dev/english_queries.dev.small.tsv",
        "msmarco-passage/dev/small/queries.tsv",
    )
    copy("mmarco/data/qrels.dev.small.tsv", "msmarco-passage/dev/small/qrels")
    (home / "msmarco-passage/irds_version.txt").write_text("v2", encoding="utf-8")
    shutil.copytree(DATA / "wikiclir/wiki-clir", home / "wikiclir/source/wiki-clir")


@pytest.mark.parametrize("asked", FETCHED, ids=lambda asked: f"{asked[0]}-{asked[1]}")
def test_ir_datasets_and_our_readers_agree(
    probed: dict[tuple[str, str, str], Any], asked: tuple[str, str, str]
) -> None:
    task, name, split = asked
    card = load_card(task)
    assert isinstance(card, TaskCard)
    read = plugins.load(plugins.ADAPTERS, card.adapter)
    ours = read(card, pair_of(name), split, Source(card, DATA / task, "local"))
    documents, again, queries, qrels = probed[asked]
    assert documents == again == [list(document) for document in ours.documents]
    assert queries == [list(query) for query in ours.queries]
    assert qrels == [list(qrel) for qrel in ours.qrels]


def test_offline_nothing_is_fetched_and_the_error_names_file_and_place(
    probed: dict[tuple[str, str, str], Any],
) -> None:
    kind, message = probed["miracl", "de-de", "dev"]
    assert kind == "MissingDataError"
    assert "HF_HUB_OFFLINE=1 is set" in message
    assert "miracl-v1.0-de/topics/topics.miracl-v1.0-de-dev.tsv by hand" in message
    assert "miracl/v1.0/de/dev/topics.tsv (the folder is IR_DATASETS_HOME)" in message
    assert "--data-dir" in message


def test_a_language_without_the_split_fails_for_that_pair_alone(
    probed: dict[tuple[str, str, str], Any],
) -> None:
    kind, message = probed["miracl", "de-de", "train"]
    assert kind == "MissingDataError"
    assert "no data set 'miracl/de/train'" in message
    assert len(probed["miracl", "sw-sw", "dev"][0]) == 4


class Doc(NamedTuple):
    doc_id: str
    title: str
    text: str

    def default_text(self) -> str:
        return f"{self.title} {self.text}"


class Topic(NamedTuple):
    query_id: str
    title: str
    description: str
    tags: tuple[str, ...]

    def default_text(self) -> str:
        return self.title


class Judgment(NamedTuple):
    query_id: str
    doc_id: str
    relevance: int
    iteration: str


class Handler:
    """Everything ir_datasets asks a documents, queries or judgments handler for."""

    def __init__(self, entity: str, cls: type, records: list[Any], language: str | None) -> None:
        def handler() -> Handler:
            return self

        def records_of() -> Iterator[Any]:
            for record in records:
                if isinstance(record, Exception):
                    raise record
                yield record

        setattr(self, f"{entity}_handler", handler)
        setattr(self, f"{entity}_iter", records_of)
        setattr(self, f"{entity}_cls", lambda: cls)
        setattr(self, f"{entity}_lang", lambda: language)
        setattr(self, f"{entity}_count", lambda: None)


@pytest.fixture
def register() -> Iterator[Any]:
    ir_datasets = import_ir_datasets()
    made: list[str] = []

    def add(name: str, **parts: tuple[type, list[Any], str | None]) -> None:
        handlers = [Handler(entity, *part) for entity, part in parts.items()]
        ir_datasets.registry.register(name, ir_datasets.Dataset(*handlers))
        made.append(name)

    yield add
    for name in made:
        del ir_datasets.registry._registered[name]


DOCS = (Doc, [Doc("d1", "Oslo", "A city."), Doc("d2", "", "A lake.")], "fa")
TOPICS = (
    Topic,
    [Topic("1", "city", "Which city?", ("x",)), Topic("2", "", "Which lake?", ())],
    "en",
)
QRELS = (Judgment, [Judgment("1", "d1", 3, "0"), Judgment("9", "d2", 0, "0")], None)


def card(**source: str) -> TaskCard:
    return load_card("irds:vaswani").model_copy(  # type: ignore[return-value,union-attr]
        update={"id": "mine", "languages": {"en": "en", "fa": "fas"}, "source": source}
    )


EN_FA = LanguagePair("en", "fa")


def test_judgments_of_other_queries_are_given_as_they_are(register: Any) -> None:
    register("mine/fas", docs=DOCS, queries=TOPICS, qrels=QRELS)
    found = collection(card(dataset="mine/{document}"), EN_FA, "test")
    assert [qrel.query_id for qrel in found.qrels] == ["1", "9"]  # 9 is no query: kept to be seen
    assert [document.title for document in found.documents] == ["Oslo", ""]


def test_query_field_is_the_cards_choice_with_its_fallback(register: Any) -> None:
    register("mine/fas", docs=DOCS, queries=TOPICS, qrels=QRELS)
    chosen = card(
        dataset="mine/{document}", query_field="title", fallback_query_field="description"
    )
    assert collection(chosen, EN_FA, "test").queries == [
        Query("1", "city"),
        Query("2", "Which lake?"),
    ]
    with pytest.raises(CardError, match=r"query_field is 'narrative'.*query_id, title, descr"):
        collection(card(dataset="mine/{document}", query_field="narrative"), EN_FA, "test")
    with pytest.raises(CardError, match="a field that is searched is tuple"):
        collection(card(dataset="mine/{document}", query_field="tags"), EN_FA, "test")


def test_sides_of_a_pair_may_be_two_data_sets(register: Any) -> None:
    register("mine/docs", docs=DOCS)
    register("mine/topics", queries=TOPICS, qrels=QRELS)
    both = card(documents_dataset="mine/docs", queries_dataset="mine/topics")
    found = collection(both, EN_FA, "test")
    assert (found.corpus_id, len(found.queries)) == ("ir_datasets:mine/docs", 2)
    prefetch(both, [EN_FA], "test")
    with pytest.raises(MissingDataError, match="'mine/docs' has no queries"):
        collection(card(dataset="mine/docs"), EN_FA, "test")


def test_one_languages_data_set_may_break_the_pattern() -> None:
    mmarco = load_card("mmarco")
    assert isinstance(mmarco, TaskCard)
    assert sides(mmarco, LanguagePair("nl", "en"), "dev") == (
        "msmarco-passage/dev/small",
        "mmarco/v2/dt/dev/small",
    )


@pytest.mark.parametrize("pattern", ["mine/{documents}", "mine/{document", "mine/{0}"])
def test_a_pattern_that_cannot_be_filled_in_lists_what_it_may_name(pattern: str) -> None:
    with pytest.raises(CardError, match=r"it may name .*\{query\}, \{document\}"):
        sides(card(dataset=pattern), EN_FA, "test")


def test_a_dead_source_says_what_to_fetch_and_where_to_put_it(register: Any) -> None:
    url = "https://www.cs.jhu.edu/~kevinduh/a/wikiclir2018/wiki-clir.tar.gz"
    refused = OfflineError("HF_HUB_OFFLINE=1", url)
    register("mine/fas", docs=DOCS, queries=(Topic, [refused], "en"), qrels=QRELS)
    with pytest.raises(MissingDataError, match=rf"Fetch {url} by hand .*downloads/705abb6"):
        collection(card(dataset="mine/fas"), EN_FA, "test")
    mirrors = RuntimeError("All download sources failed", [("a", OSError("no route to host"))])
    register("mine/eng", docs=DOCS, queries=(Topic, [mirrors], "en"), qrels=QRELS)
    with pytest.raises(MissingDataError, match=r"no route to host.*ir-datasets\.com/mine\.html"):
        collection(card(dataset="mine/eng"), EN_FA, "test")


def test_a_broken_file_is_no_missing_file(register: Any) -> None:
    broken = RuntimeError("expected 2 fields, got 1")
    register("mine/fas", docs=(Doc, [DOCS[1][0], broken], "fa"), queries=TOPICS, qrels=QRELS)
    documents = iter(collection(card(dataset="mine/fas"), EN_FA, "test").documents)
    assert next(documents).doc_id == "d1"
    with pytest.raises(DataError, match=r"'mine/fas' cannot be read: .*got 1") as raised:
        next(documents)
    assert not isinstance(raised.value, MissingDataError)


def test_requests_are_refused_before_the_first_one_when_offline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requests = import_ir_datasets().lazy_libs.requests
    for variable in OFFLINE_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    assert requests().__name__ == "requests"
    for variable in OFFLINE_VARIABLES:
        with monkeypatch.context() as patch:
            patch.setenv(variable, "true")
            said = rf"{variable}=true is set, so https://x\.example/y was not fetched"
            with pytest.raises(OfflineError, match=said):
                requests().get(url="https://x.example/y", stream=True)


def test_a_folder_cannot_be_given_to_ir_datasets(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="set IR_DATASETS_HOME"):
        load(card(dataset="vaswani"), EN_FA, "test", Source(card(), tmp_path, "local"))


def test_a_card_is_made_for_any_data_set() -> None:
    made = load_card("irds:neuclir/1/fa/trec-2022")
    assert isinstance(made, TaskCard)
    assert made.id == "irds-neuclir-1-fa-trec-2022"
    assert made.official_pairs() == [EN_FA]
    assert made.source == {"dataset": "neuclir/1/fa/trec-2022", "query_field": "title"}
    assert made.counts_of("test", EN_FA) == Counts(2232016, 46, 34174)
    assert made.unofficial is None
    assert load_card("irds:mmarco/v2/dt/dev/small").official_pairs() == [LanguagePair("nl", "nl")]  # type: ignore[union-attr]


def test_the_pair_may_be_named_where_ir_datasets_does_not_say_it() -> None:
    with pytest.raises(UsageError, match=r"language the documents .*trec-2023:en-mul"):
        load_card("irds:neuclir/1/multi/trec-2023")
    made = load_card("irds:neuclir/1/multi/trec-2023:en-mul")
    assert isinstance(made, TaskCard)
    assert made.official_pairs() == [LanguagePair("en", "mul")]
    with pytest.raises(UsageError, match="expected <query>-<document>"):
        load_card("irds:neuclir/1/multi/trec-2023:en")
    with pytest.raises(UnknownNameError):
        load_card("irds:neuclir/1/multi/trec-2023:en-klingonese")


def test_an_unknown_or_incomplete_data_set_is_answered_with_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="did you mean neuclir/1/fa/trec-2022"):
        load_card("irds:neuclr/1/fa/trec-2022")
    with pytest.raises(UsageError, match=r"no queries and no judgments.*neuclir/1/fa/trec-2022"):
        load_card("irds:neuclir/1/fa")


def test_without_counts_a_result_cannot_be_official(register: Any) -> None:
    register("mine/fas", docs=DOCS, queries=TOPICS, qrels=QRELS)
    made = load_card("irds:mine/fas")
    assert isinstance(made, TaskCard)
    assert made.unofficial == "ir_datasets states no counts to check mine/fas by"
    found = load(made, EN_FA, "test", Source(made, Path(), "cache"))
    assert isinstance(found, Collection)
    assert len(list(found.documents)) == 2


@pytest.mark.parametrize("task", ["miracl", "mmarco", "wikiclir"])
def test_card_counts_are_those_of_ir_datasets(task: str) -> None:
    described = load_card(task)
    assert isinstance(described, TaskCard)
    ir_datasets = import_ir_datasets()
    for split in described.splits:
        for pair in described.available_pairs():
            ids = sides(described, pair, split)
            if ids.queries not in ir_datasets.registry:
                assert described.counts_of(split, pair) is None, pair
                continue
            documents, queries = (ir_datasets.load(name) for name in ids)
            stated = (documents.docs_metadata(), queries.queries_metadata())
            expected = (*(part["count"] for part in stated), queries.qrels_metadata()["count"])
            assert described.counts_of(split, pair) == expected, pair
