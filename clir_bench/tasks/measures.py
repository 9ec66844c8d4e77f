"""Parses the names of measures, and says how many documents per query each one looks at.

A ranking cut at 3 documents per query has no nDCG@10: a tool that returns a value for it measures
something else. For such a ranking, this package computes nDCG@3 and calls it so.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from clir_bench.errors import DataError, UnknownNameError, UsageError
from clir_bench.types import Qrel, Run

if TYPE_CHECKING:
    from ir_measures.measures import Measure

WHOLE = 1000
"""Documents per query of a whole ranking, as TREC has them: measures without a cutoff (AP, Rprec,
Bpref) are over a ranking at least this deep."""
EVERYTHING = sys.maxsize
"""The depth of a ranking that holds every possible document: no measure looks deeper."""

_WITHOUT_RANKING = ("NumQ", "NumRel")

_ELSEWHERE = {
    "map": "AP", "map_cut": "AP", "map_at": "AP", "ndcg": "nDCG", "ndcg_cut": "nDCG",
    "ndcg_at": "nDCG", "p": "P", "precision": "P", "precision_at": "P", "recall": "R",
    "recall_at": "R", "recip_rank": "RR", "mrr": "RR", "mrr_at": "RR", "success": "Success",
    "hit_rate_at": "Success", "hits": "Success", "rprec": "Rprec", "bpref": "Bpref",
    "infap": "infAP", "set_p": "SetP", "set_recall": "SetR", "set_map": "SetAP", "set_f": "SetF",
    "set_relative_p": "SetRelP", "num_q": "NumQ", "num_rel": "NumRel", "num_ret": "NumRet",
    "num_rel_ret": "NumRelRet", "iprec_at_recall": "IPrec",
}  # fmt: skip
"""Families of measures: trec_eval's and mteb's names, in lower case, to ir-measures' names."""
_CUTOFF_NEEDED = {"P": "10", "R": "100", "Success": "5", "IPrec": "0.1"}


class Depth(NamedTuple):
    """How deep the rankings of a run go.

    Attributes:
        held: Documents per ranking; 0 if a system that matches terms found none at all.
        cut: Whether there are more documents that could have been ranked.
    """

    held: int
    cut: bool

    @property
    def reach(self) -> int:
        """How deep a measure may look."""
        return self.held if self.cut else EVERYTHING


def depth_of(
    run: Run,
    judged: Collection[str],
    *,
    n_documents: int,
    top_k: int | None = None,
    skip_same_id: bool = False,
) -> Depth:
    """Return how deep the rankings of judged queries go.

    If nothing states at how many documents rankings were cut, the run itself decides: its depth is
    the length that more than half of the rankings share, or else the greatest length. If the query
    itself is removed from a ranking of that length, the depth of the run is one less.

    Args:
        run: The rankings, before any query is taken out of its own ranking.
        judged: Ids of the queries that count.
        n_documents: Documents that could be ranked.
        top_k: The length at which rankings were cut, if known.
        skip_same_id: Whether queries are taken out of their own rankings.

    Raises:
        DataError: There is nothing in the rankings that could be scored.
    """
    rankings = [
        (len(ids), len(ids) - (skip_same_id and query_id in ids))
        for query_id, ids in zip(run.query_ids, run.doc_ids, strict=True)
        if ids and query_id in judged
    ]
    lengths = Counter(length for length, _ in rankings)
    held = max(lengths, default=0)
    if held and top_k is None:
        [(common, n_rankings)] = lengths.most_common(1)
        held = common if 2 * n_rankings > len(rankings) else held
        held = min(kept for length, kept in rankings if length >= held)
    if not held:
        own = ", once each query is taken out of its own" if skip_same_id else ""
        raise DataError(
            f"rankings of judged queries hold no document{own}: there is nothing to score; is it "
            "the run of another pair or task?"
        )
    return Depth(held, cut=held < n_documents and (top_k is None or held >= top_k))


@cache
def looks_at(name: str) -> int:
    """Return how many documents per query a ranking must have for a measure.

    >>> [looks_at(name) for name in ("nDCG@10", "AP", "P(judged_only=True)@5", "NumRel")]
    [10, 1000, 1000, 0]
    """
    measure = _parsed(name)
    if measure.NAME in _WITHOUT_RANKING:
        return 0
    cutoff = int(measure.params.get("cutoff", WHOLE))
    # Without unjudged documents, the first five may have any rank.
    return max(cutoff, WHOLE) if measure.params.get("judged_only") else cutoff


def is_cut(name: str) -> bool:
    """Return whether a measure's name states how many documents it looks at."""
    measure = _parsed(name)
    return "cutoff" in measure.params and not measure.params.get("judged_only")


@cache
def at_depth(name: str, depth: int) -> str | None:
    """Return a measure's name over rankings of a depth, None if it cannot be computed there.

    >>> [at_depth(name, 3) for name in ("nDCG@10", "P@1", "AP", "Bpref")]
    ['nDCG@3', 'P@1', 'AP@3', None]
    """
    import ir_measures

    if looks_at(name) <= depth:
        return name
    measure = _parsed(name)
    if "cutoff" not in measure.SUPPORTED_PARAMS or measure.params.get("judged_only"):
        return None
    lowered = measure(cutoff=depth)
    try:
        computed = ir_measures.DefaultPipeline.supports(lowered)  # type: ignore[no-untyped-call]
    except AssertionError:
        return None
    return str(lowered) if computed else None


def too_deep(names: Iterable[str], depth: int) -> str:
    """Say which measures look deeper than rankings go, and which are possible instead."""
    said = []
    for name in names:
        needs = "looks at" if is_cut(name) else "is over whole rankings, of"
        lower = at_depth(name, depth)
        instead = f" ({lower} is possible)" if lower else ""
        said.append(f"{name} {needs} {looks_at(name):,} documents per query{instead}")
    return f"{'; '.join(said)}; rankings hold {depth:,}"


def refuse(names: Sequence[str], depth: int) -> None:
    """Refuse measures that look deeper than the rankings go.

    Raises:
        UsageError: Says how many documents must be ranked.
    """
    if names:
        raise UsageError(f"{too_deep(names, depth)}: add --top-k {max(map(looks_at, names))}")


def name_here(name: str) -> str | None:
    """Return ir-measures' name for a trec_eval or mteb name, None for any other name.

    >>> [name_here(name) for name in ("map", "recall_100", "ndcg_cut.10", "P_5", "mrr_at_10")]
    ['AP', 'R@100', 'nDCG@10', 'P@5', 'RR@10']
    """
    matched = re.fullmatch(r"([a-z_]+?)(?:[._@]?([0-9]+(?:\.[0-9]+)?))?", name.strip().casefold())
    family = _ELSEWHERE.get(matched[1]) if matched else None
    if matched is None or family is None:
        return None
    cutoff = matched[2] or _CUTOFF_NEEDED.get(family)
    if cutoff is None:
        return family
    if family == "IPrec":  # its parameter is a recall
        return f"IPrec@{float(cutoff)}"
    return f"{family}@{cutoff}" if cutoff.isdecimal() else None


def hint(name: str) -> str:
    """Return a sentence with our name of a trec_eval or mteb measure, "" for other names.

    >>> hint("recall_100")
    "What trec_eval or mteb calls 'recall_100' is R@100 here. "
    """
    here = name_here(name)
    return f"What trec_eval or mteb calls {name!r} is {here} here. " if here else ""


def _parsed(name: str) -> Measure:
    import ir_measures

    return ir_measures.parse_measure(name)


JUDGED = "Judged@10"
"""Reported with every result: the share of the top documents that has been judged."""


def parse_measures(names: Iterable[str]) -> dict[str, Measure]:
    """Return measures by their canonical names, in the order given, duplicates once.

    Raises:
        UnknownNameError: ir-measures does not know a name.
        UsageError: It knows the name, but a parameter is missing or wrong, or no installed tool
            computes it.
    """
    return {str(measure): measure for measure in map(_parse, names)}


@cache
def _parse(name: str) -> Measure:
    import ir_measures

    try:
        measure = ir_measures.parse_measure(name)
    except (NameError, ValueError, KeyError, SyntaxError) as error:
        remedy = f"{hint(name)}Any ir-measures name is accepted ({error})."
        known = [f"{known.NAME}@10" for known in ir_measures.measures.registry.values()]
        near = [] if hint(name) else known
        raise UnknownNameError("measure", name, near, remedy) from None
    expected = "expected a name such as 'P@10' or 'nDCG@10'"
    try:
        computed = ir_measures.DefaultPipeline.supports(measure)  # type: ignore[no-untyped-call]
    except AssertionError as error:  # how ir-measures refuses a parameter
        problem = re.sub(r"invalid param (\w+)=<object .*", r"\1 is missing", str(error))
        raise UsageError(f"measure {name!r}: {problem}; {expected}") from None
    if not computed:
        raise UsageError(f"measure {name!r}: no installed tool of ir-measures computes it")
    if measure.params.get("cutoff", 1) < 1:  # trec_eval would take the whole process down
        raise UsageError(f"measure {name!r}: the cutoff must be at least 1; {expected}")
    _try_out(name, measure)
    return measure


def _try_out(name: str, measure: Measure) -> None:
    """Compute a measure once: not everything that ir-measures accepts works in its tools."""
    import ir_measures

    judged = [Qrel("0", "a", 1), Qrel("0", "b", 0)]
    try:
        list(ir_measures.iter_calc([measure], judged, {"0": {"a": 2, "b": 1}}))
    except Exception as error:  # third-party tools, one of them a Perl script
        raise UsageError(
            f"measure {name!r}: its tool cannot compute it: {type(error).__name__}: {error}"
        ) from error
