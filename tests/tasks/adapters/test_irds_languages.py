"""The pair decides in which language ir_datasets' queries are, and a data set has its own measures.

The fixtures are hand-written in the official formats, where ir_datasets would have put the files.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from clir_bench.errors import CardError, UnknownNameError, UsageError
from clir_bench.tasks.adapters.irds_errors import import_ir_datasets
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.types import LanguagePair

MANDARIN = """\
<top>
<num> Number: CH1
<C-title> 美国决定将中国大陆的人权状况与其是否给予中共最惠国待遇分离
<E-title> Topic: U.S. to separate the most-favored-nation status from human rights issue in China.
<C-desc> Description:
最惠国待遇
<E-desc> Description:
most-favored nation status
<C-narr> Narrative:
相关文件
<E-narr> Narrative:
A relevant document
</top>
"""
SPANISH = """\
<top>
<num> Number: SP26
<desc> Description:
¿Cuál es el efecto de la lluvia?

** What is the effect of rain?
</top>
"""
PROBE = """
import json, sys
from clir_bench.tasks.source import locate
from clir_bench.tasks.catalog import load_card
from clir_bench.errors import ClirBenchError
from clir_bench.tasks.loading import Loader
answers = []
for task in json.loads(sys.argv[1]):
    try:
        card = load_card(task)
        loader = Loader(card, card.default_split, locate(card, card.default_split))
        found = loader.load(card.official_pairs()[0])
        answers.append([[query.text.strip() for query in found.queries], found.skip_same_id])
    except ClirBenchError as error:
        answers.append([type(error).__name__, str(error)])
print(json.dumps(answers))
"""
ENGLISH, BY_PEOPLE, BY_MACHINE = "Iran rain", "باران ایران", "باران در ایران"
ASKED = {
    "irds:neuclir/1/fa/trec-2022": [ENGLISH],
    "irds:neuclir/1/fa/trec-2022:en-fa": [ENGLISH],
    "irds:neuclir/1/fa/trec-2022:fa-fa": [BY_PEOPLE],
    "irds:neuclir/1/multi/trec-2023:en-mul": [ENGLISH],
    "irds:neuclir/1/multi/trec-2023:fas-mul": [BY_MACHINE],
    "irds:hc4/fa/test:en-fa": [ENGLISH],
    "irds:hc4/fa/test:fa-fa": [BY_PEOPLE],
    "irds:trec-mandarin/trec5:en-zh": [
        "U.S. to separate the most-favored-nation status from human rights issue in China."
    ],
    "irds:trec-mandarin/trec5:zh-cn-zh": [
        "美国决定将中国大陆的人权状况与其是否给予中共最惠国待遇分离"
    ],
    "irds:trec-spanish/trec4:en-es": ["What is the effect of rain?"],
    "irds:trec-spanish/trec4:es-es": ["¿Cuál es el efecto de la lluvia?"],
}


def neuclir_topic(query_id: str) -> dict[str, Any]:
    def topic(language: str, source: str, text: str) -> dict[str, str]:
        parts = ("title", "description", "narrative")
        return {"lang": language, "source": source} | {f"topic_{part}": text for part in parts}

    human, machine = "human translation", "google translation"
    return {
        "topic_id": query_id,
        "languages_with_qrels": ["fas"],
        "topics": [
            topic("eng", "original", ENGLISH),
            topic("fas", human, BY_PEOPLE),
            *(topic(language, machine, BY_MACHINE) for language in ("fas", "rus", "zho")),
        ],
        "narratives": {"fas": {}},
        "report": {"text": "", "url": "", "date": ""},
    }


def lay_out(home: Path) -> None:
    """Write fixtures to where ir_datasets 0.6 keeps the files it has fetched."""

    def write(name: str, data: str | bytes, encoding: str = "utf-8") -> None:
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = data.encode(encoding) if isinstance(data, str) else data
        path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)

    write("neuclir/trec-2022/topics.jsonl", json.dumps(neuclir_topic("1")) + "\n")
    write("neuclir/trec-2022/qrels", "1 fas d1 3\n")
    write("neuclir/trec-2023/topics.jsonl", json.dumps(neuclir_topic("200")) + "\n")
    qrels = home / "neuclir/trec-2023"
    for name in ("qrels.final.gains", "qrels.final.gains.fas"):
        (qrels / name).write_text("200 0 d1 3\n", encoding="utf-8")
    subprocess.run(
        ["tar", "-C", qrels, "-czf", qrels / "qrels.tar.gz", *("qrels.final.gains", name)],
        check=True,
    )
    write("hc4/test.topics.v1-0.jsonl", json.dumps(neuclir_topic("1")) + "\n")
    write("hc4/fas/test.qrels.v1-0.txt", "1 0 d1 3\n")
    write("trec-mandarin/trec5/queries.gz", MANDARIN, "GBK")
    write("trec-mandarin/trec5/qrels.gz", "1 0 d1 1\n")
    write("trec-spanish/trec4/querie.gz", SPANISH, "ISO-8859-1")
    write("trec-spanish/trec4/qrels.gz", "26 0 d1 1\n")
    for name in ("arguana", "scifact"):
        (home / "beir" / name).mkdir(parents=True)
        with zipfile.ZipFile(home / f"beir/{name}/source.zip", "w") as file:
            file.writestr(f"{name}/corpus.jsonl", '{"_id": "1", "title": "", "text": "rain"}\n')
            file.writestr(f"{name}/queries.jsonl", '{"_id": "1", "text": "rain"}\n')
            file.writestr(f"{name}/qrels/test.tsv", "query-id\tcorpus-id\tscore\n1\t1\t1\n")


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the loader makes of the fixtures, in a process with an ir_datasets of its own."""
    home = tmp_path_factory.mktemp("official")
    lay_out(home)
    (home / "three.toml").write_text(THREE_DATA_SETS, encoding="utf-8")
    tasks = [
        *ASKED,
        "irds:neuclir/1/fa/trec-2023",
        "irds:beir/arguana",
        "irds:beir/scifact/test",
        str(home / "three.toml"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(tasks)],
        env={**os.environ, "IR_DATASETS_HOME": str(home), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    answers = dict(zip(tasks, json.loads(done.stdout), strict=True))
    return answers | {"three": answers[str(home / "three.toml")]}


THREE_DATA_SETS = """\
id = "neuclir-2023-fa"
title = "NeuCLIR 2023"
description = "Topics of 2023, of which ir_datasets gives none for one language."
adapter = "ir_datasets"
splits = ["test"]
default_split = "test"
measures = ["nDCG@20"]
parallel_queries = false
license = "ODC-BY"

[pairs]
official = ["fa-fa"]

[source]
documents_dataset = "neuclir/1/{document}"
queries_dataset = "neuclir/1/multi/trec-2023"
qrels_dataset = "neuclir/1/{document}/trec-2023"
query_field = "{query}_mt_title"

[languages]
fa = "fa"
"""


@pytest.mark.parametrize("task", ASKED)
def test_the_pair_decides_the_language_of_the_queries(probed: dict[str, Any], task: str) -> None:
    assert probed[task] == [ASKED[task], False]


def test_a_data_set_whose_queries_ir_datasets_loses_says_so_and_what_to_write(
    probed: dict[str, Any],
) -> None:
    kind, message = probed["irds:neuclir/1/fa/trec-2023"]
    assert kind == "DataError"
    assert "gives no query of 'neuclir/1/fa/trec-2023', where it states 76" in message
    assert 'qrels_dataset = "neuclir/1/fa/trec-2023" in [source]' in message
    assert probed["three"] == [[BY_MACHINE], False]


def test_queries_that_are_documents_do_not_find_themselves(probed: dict[str, Any]) -> None:
    assert probed["irds:beir/arguana"] == [["rain"], True]
    # Query 1 and document 1 of SciFact have nothing to do with each other.
    assert probed["irds:beir/scifact/test"] == [["rain"], False]


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep ir_datasets, which makes folders when imported, out of the user's home."""
    with pytest.MonkeyPatch.context() as patch:
        if "ir_datasets" not in sys.modules:
            patch.setenv("IR_DATASETS_HOME", str(tmp_path_factory.mktemp("irds")))
        import_ir_datasets()


def made(name: str) -> TaskCard:
    card = load_card(f"irds:{name}")
    assert isinstance(card, TaskCard)
    return card


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("trec-mandarin/trec5", r"language the queries .*trec5:en-zh or :zh-zh"),
        (
            "trec-mandarin/trec5:fr-zh",
            r"no queries in 'fr', only in zh \(title_zh\), en \(title_en",
        ),
        ("trec-mandarin/trec5:en-ru", "documents in 'zh', not in 'ru'"),
        (
            "neuclir/1/fa/trec-2022:ru-fa",
            r"no queries in 'ru', only in en \(title\), fa \(ht_title",
        ),
        ("neuclir/1/fa/trec-2022:en-mul", "documents in 'fa', not in 'mul'"),
        ("trec-arabic/ar2001:en-ar", r"no queries in 'en', only in ar \(title\)"),
        ("mr-tydi/sw/test:en-sw", "no queries in 'en'"),
        ("gov2/trec-mq-2007", "language the queries of"),
        ("neuclir/1/multi/trec-2023:mul-mul", "expected one language of queries"),
        ("neuclir/1/multi/trec-2023:*-mul", "expected one language of queries"),
    ],
)
def test_a_language_that_a_data_set_does_not_have_is_refused(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        made(name)


def test_a_card_of_ones_own_is_held_to_the_pair_too(probed: dict[str, Any]) -> None:
    from clir_bench.tasks.adapters.irds import collection

    for name, pair, said in (
        ("trec-mandarin/trec5:en-zh", "fr-zh", "no queries in 'fr'"),
        ("trec-mandarin/trec5:en-zh", "en-ru", "documents in 'zh', not in 'ru'"),
    ):
        card = made(name).model_copy(update={"source": {"dataset": "trec-mandarin/trec5"}})
        with pytest.raises(CardError, match=said):
            collection(card, LanguagePair.parse(pair), "test")


@pytest.mark.parametrize(
    ("name", "measures"),
    [
        ("msmarco-passage/trec-dl-2019", "nDCG@10 RR(rel=2) AP(rel=2)"),  # ir_datasets' own
        ("msmarco-passage-v2/trec-dl-2021", "AP@100 nDCG@10 P(rel=2)@10 RR(rel=2)"),
        ("msmarco-document/trec-dl-2019", "nDCG@10 RR AP"),  # where it writes MAP
        ("lotte/science/test/forum", "Success@5"),
        ("neuclir/1/zh/trec-2022", "nDCG@20 AP@1000 R@1000"),
        ("hc4/ru/test", "nDCG@20 AP@1000 R@1000"),
        ("mr-tydi/te/test", "RR@100 R@100"),
        ("mmarco/v2/fr/dev/small", "RR@10 R@1000"),
        ("vaswani", "nDCG@10 AP@1000 R@100"),
    ],
)
def test_a_data_set_is_reported_by_the_measures_of_its_benchmark(name: str, measures: str) -> None:
    assert made(name).measures == tuple(measures.split())


def test_a_stated_measure_that_cannot_be_computed_is_not_dropped_in_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dataset = import_ir_datasets().load("vaswani")
    stated = {"official_measures": ["nDCG@7", "Luck@10"]}
    monkeypatch.setattr(dataset, "documentation", lambda: stated, raising=False)
    card = made("vaswani")
    assert card.measures == ("nDCG@7",)
    assert card.unofficial == "ir_datasets states measures that are not computed here: Luck@10"


@pytest.mark.parametrize(
    ("name", "skips"),
    [
        ("beir/arguana", True),
        ("beir/quora/dev", True),
        ("beir/quora/test", True),
        ("beir/cqadupstack/android", True),
        ("beir/scidocs", True),
        ("nano-beir/quora", True),
        ("beir/nfcorpus/test", False),
        ("beir/fiqa/test", False),
        ("codesearchnet/test:en-en", False),  # what is relevant has the query's id there
    ],
)
def test_cards_say_where_queries_are_documents(name: str, skips: bool) -> None:
    assert made(name).skip_same_id is skips


def test_every_data_set_still_has_a_card_or_says_why_not() -> None:
    ir_datasets = import_ir_datasets()
    names = [name for name in ir_datasets.registry if ir_datasets.load(name).has("qrels")]
    failed = {}
    for name in names:
        try:
            made(name)
        except UnknownNameError as error:
            failed[name] = str(error)
        except UsageError:
            continue
    assert len(names) > 500 and failed == {}
