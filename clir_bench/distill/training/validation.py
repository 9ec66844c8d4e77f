"""Measures how well a student finds translations in held-back bitext.

Every foreign sentence is a query, and all English sentences are the documents. Its translation is
the one relevant document. They are ranked by MaxSim over tokens, and by the cosine of pooled
vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from clir_bench.distill.model.students import Encoded

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from clir_bench.distill.bitext.mixture import BitextCorpus

Encode = Callable[[Sequence[int]], Encoded]
"""Pair indices or English ids to what a model makes of their texts, without gradients."""
_BATCH = 64


def choose(corpus: BitextCorpus, n_queries: int, seed: int) -> NDArray[np.int64]:
    """Return held-back pairs, spread over languages, up to `n_queries` in all."""
    groups = corpus.by_language(corpus.validation)
    if not groups or not n_queries:
        return np.empty(0, dtype=np.int64)
    each = max(n_queries // len(groups), 1)
    chosen = []
    for code, group in groups.items():
        rng = np.random.default_rng([seed, int.from_bytes(code.encode(), "little")])
        chosen.append(rng.permutation(group)[:each])
    return np.sort(np.concatenate(chosen))


def retrieve(
    corpus: BitextCorpus, chosen: NDArray[np.int64], foreign: Encode, english: Encode
) -> dict[str, float]:
    """Return "maxsim.P@1", "maxsim.MRR", "pooled.P@1", "pooled.MRR", 0 to 1.

    Means over a language's queries, then over languages.

    Args:
        corpus: The bitext.
        chosen: Indices of held-back pairs.
        foreign: Encodes pairs' foreign texts.
        english: Encodes English texts by their ids.
    """
    import torch

    documents = np.unique(corpus.english_ids[chosen])
    answers = np.searchsorted(documents, corpus.english_ids[chosen])
    with torch.inference_mode():
        queries = _encode(foreign, chosen.tolist())
        texts = _encode(english, documents.tolist())
        ranks = {
            "maxsim": _ranks(_maxsim(queries, texts), answers),
            "pooled": _ranks(_cosines(queries, texts), answers),
        }
    languages = corpus.language_ids[chosen]
    scores = {}
    for kind, rank in ranks.items():
        values = {"P@1": rank == 1, "MRR": 1 / rank}
        for name, value in values.items():
            means = [value[languages == language].mean() for language in np.unique(languages)]
            scores[f"{kind}.{name}"] = round(float(np.mean(means)), 6)
    return scores


def _encode(encode: Encode, numbers: Sequence[int]) -> list[Encoded]:
    return [encode(numbers[start : start + _BATCH]) for start in range(0, len(numbers), _BATCH)]


def _maxsim(queries: list[Encoded], documents: list[Encoded]) -> torch.Tensor:
    import torch
    from torch.nn import functional

    from clir_bench.distill.training.losses import mean_maxsim

    columns = []
    for part in documents:
        units = part._replace(tokens=functional.normalize(part.tokens, dim=-1))
        columns.append(torch.cat([mean_maxsim(query, units) for query in queries]))
    return torch.cat(columns, dim=1)


def _cosines(queries: list[Encoded], documents: list[Encoded]) -> torch.Tensor:
    import torch
    from torch.nn import functional

    left = functional.normalize(torch.cat([part.sentences for part in queries]), dim=-1)
    right = functional.normalize(torch.cat([part.sentences for part in documents]), dim=-1)
    return left @ right.T


def _ranks(scores: torch.Tensor, answers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rank of each answer, from 1; ties count against it."""
    values = scores.float().cpu().numpy()
    own = values[np.arange(len(answers)), answers][:, None]
    return np.asarray((values >= own).sum(1), dtype=np.int64)
