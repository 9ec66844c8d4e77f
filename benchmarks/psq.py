"""What psq scores with the translation tables of a folder, on AfriQA and XQuAD-R.

    CLIR_BENCH_DATA=FOLDER python benchmarks/psq.py             # the shipped tables, test sets
    CLIR_BENCH_DATA=FOLDER python benchmarks/psq.py --tables FOLDER --dev
    CLIR_BENCH_DATA=FOLDER python benchmarks/psq.py --direct    # BM25 without tables

The scorer is small and separate from the package's: BM25 (k1 = 0.9, b = 0.4, Lucene's idf) over the
expected tf and df of each concept. `--dev` takes the sets that constants were chosen on: AfriQA's
development questions, and of Yoruba, which has none, the training questions.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from clir_bench.encoders.lexical.analysis import load_analyzer
from clir_bench.systems.psq.expand import Concept, Expander
from clir_bench.systems.psq.tables import SHIPPED, load_table
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.loading import Loader
from clir_bench.tasks.source import locate
from clir_bench.types import Document, LanguagePair

K1, B = 0.9, 0.4
TEST = {
    "afriqa": ("test", "sw ha ig yo zu rw"),
    "xquad-r": ("validation", "ar de el es hi ru th tr vi zh"),
}
DEV = {"afriqa": ("dev", "ha ig zu rw"), "afriqa train": ("train", "yo")}


class Index:
    def __init__(self, documents: Iterable[Document]) -> None:
        self.columns: dict[str, int] = {}
        self.ids, rows, columns = [], [], []
        for document in documents:
            for term in load_analyzer("en").terms(f"{document.title} {document.text}"):
                rows.append(len(self.ids))
                columns.append(self.columns.setdefault(term, len(self.columns)))
            self.ids.append(document.doc_id)
        shape = (len(self.ids), len(self.columns))
        self.tf = sp.coo_matrix((np.ones(len(rows)), (rows, columns)), shape=shape).tocsc()
        self.tf.sum_duplicates()
        self.df = np.diff(self.tf.indptr)
        lengths = np.asarray(self.tf.sum(axis=1)).ravel()
        self.norm = K1 * (1 - B + B * lengths / lengths.mean())

    def search(self, concepts: Iterable[Concept], k: int = 10) -> list[str]:
        scores = np.zeros(len(self.ids))
        for weight, terms in concepts:
            tf, df = np.zeros(len(self.ids)), 0.0
            for term, share in terms.items():
                column = self.columns.get(term)
                if column is not None:
                    where = slice(*self.tf.indptr[column : column + 2])
                    tf[self.tf.indices[where]] += share * self.tf.data[where]
                    df += share * self.df[column]
            if df:
                idf = np.log1p(max(len(self.ids) - df, 0) / (df + 0.5) + 0.5 / (df + 0.5))
                scores += weight * idf * tf / (tf + self.norm)
        best = np.lexsort((np.arange(len(scores)), -scores))[:k]
        return [self.ids[row] for row in best if scores[row] > 0]


def ndcg(ranking: list[str], relevant: dict[str, int]) -> float:
    gains = [relevant.get(doc_id, 0) for doc_id in ranking]
    ideal = sorted(relevant.values(), reverse=True)[:10]
    return dcg(gains) / dcg(ideal)


def dcg(gains: list[int]) -> float:
    return float(sum(gain / np.log2(rank + 2) for rank, gain in enumerate(gains)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, default=SHIPPED)
    parser.add_argument("--dev", action="store_true")
    parser.add_argument("--direct", action="store_true")
    parser.add_argument("--task", choices=sorted(TEST))
    arguments = parser.parse_args()
    for name, (split, languages) in (DEV if arguments.dev else TEST).items():
        if arguments.task and arguments.task != name:
            continue
        card = load_card(name.split()[0])
        loader, index, means = Loader(card, split, locate(card, split)), None, []
        for language in languages.split():
            collection = loader.load(LanguagePair(language, "en"))
            index = index or Index(collection.documents)
            table = None if arguments.direct else load_table(language, "en", arguments.tables)
            expander = Expander(language, {"en": table})
            relevant: dict[str, dict[str, int]] = {}
            for qrel in collection.qrels:
                if qrel.relevance > 0:
                    relevant.setdefault(qrel.query_id, {})[qrel.doc_id] = qrel.relevance
            values = [
                ndcg(index.search(expander.expand(query.text)), relevant[query.query_id])
                for query in collection.queries
                if query.query_id in relevant
            ]
            means.append(statistics.fmean(values))
            print(f"{name} {split} {language}: {means[-1]:.4f} ({len(values)} queries)", flush=True)
        print(f"{name} {split} mean: {statistics.fmean(means):.4f}", flush=True)


if __name__ == "__main__":
    main()
