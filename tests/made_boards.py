"""Boards made up for tests: no result behind them, every number a function of its place."""

from __future__ import annotations

from clir_bench.leaderboard.board import (
    Board,
    BoardDisparity,
    BoardLanguage,
    BoardRow,
    BoardSystem,
    PairFacts,
    PublishedValues,
    Section,
    Speed,
    TaskFacts,
)
from clir_bench.metrics.means import Estimate
from clir_bench.results.system_card import Kind, TrainingData
from clir_bench.tasks.languages import resolve
from clir_bench.types import Tier

TIERS: dict[str, Tier] = {
    "so": "low", "yo": "low", "sw": "low",
    "el": "mid", "th": "mid", "ro": "mid",
    "de": "high", "es": "high", "ar": "high", "zh": "high",
}  # fmt: skip
KINDS: dict[str, Kind] = {
    "alpha": "dense",
    "beta": "dense",
    "gamma": "late-interaction",
    "delta": "lexical",
}


def estimate(mean: float, half: float = 0.01) -> Estimate:
    """Return a mean in the middle of its interval."""
    return Estimate(round(mean, 6), round(mean - half, 6), round(mean + half, 6))


def made_system(name: str, kind: Kind = "dense", **changed: object) -> BoardSystem:
    """Return a system; `changed` replaces fields."""
    fields: dict[str, object] = {
        "name": name,
        "folder": name,
        "kind": kind,
        "description": f"{name}, an encoder made up for tests",
        "url": "https://example.org/model",
        "license": "Apache-2.0",
        "contact": "nobody",
        "training": TrainingData(
            languages=("en", "sw"), bitext=("made-up en-sw",), corpora=(), evaluation_data_seen="no"
        ),
        "revision": "1",
        "package": "made-up 1.0",
        "n_parameters": 1000 * len(name),
        "dim": 384,
        "max_tokens": 512,
        "similarity": "cosine",
        "dtype": "float32",
        "query_prompt": "query: ",
        "document_prompt": "",
        "weights_sha256": "0" * 64,
        "card_file": f"results/{name}/system.toml",
    }
    return BoardSystem(**{**fields, **changed})  # type: ignore[arg-type]


def score(system: str, code: str) -> float:
    """Return a system's score in a language: later systems and lower tiers score less."""
    place = list(KINDS).index(system) if system in KINDS else 0
    fall = {"high": 0.0, "mid": 0.05, "low": 0.1}[TIERS[code]] * (1 + place)
    return round(0.9 - 0.12 * place - fall - 0.01 * list(TIERS).index(code), 6)


def made_row(system: str, codes: tuple[str, ...], group: int | None, task: str) -> BoardRow:
    """Return a system's row over languages `codes`."""
    languages = {code: {"nDCG@10": estimate(score(system, code))} for code in codes}
    means = {code: scores["nDCG@10"].mean for code, scores in languages.items()}
    tiers: dict[Tier, dict[str, Estimate]] = {}
    for tier in dict.fromkeys(TIERS[code] for code in codes):
        of_tier = [means[code] for code in codes if TIERS[code] == tier]
        tiers[tier] = {"nDCG@10": estimate(sum(of_tier) / len(of_tier))}
    gap = None
    if "low" in tiers and "high" in tiers:
        gap = estimate(tiers["high"]["nDCG@10"].mean - tiers["low"]["nDCG@10"].mean, 0.02)
    worst = min(means, key=lambda code: means[code])
    overall = estimate(sum(means.values()) / len(means))
    ranked = group is not None
    return BoardRow(
        system=system,
        group=group,
        overall={"nDCG@10": overall} if ranked else {},
        tiers=tiers,
        languages=languages,
        pairs={f"{code}-en": languages[code] for code in codes},
        missing=() if ranked else ("xx-en",),
        disparity=BoardDisparity(
            gap=gap,
            ratio=None,
            worst_language=worst,
            worst=estimate(means[worst]),
            spread=estimate(0.05),
        )
        if ranked
        else None,
        speed=Speed(123.4, 56.7, 1_000_000, "2 cores"),
        date="2026-11-20",
        result_file=f"results/{system}/{task}/test.json",
        run_files={
            f"{code}-en": f"results/{system}/{task}/test/{code}-en.run.gz" for code in codes
        },
    )


def made_section(
    name: str,
    *,
    codes: tuple[str, ...] = tuple(TIERS),
    systems: tuple[str, ...] = tuple(KINDS),
    task: str = "made-up",
) -> Section:
    """Return a section in which the first two systems share a group and the last is not ranked."""
    groups: list[int | None] = [1, 1, 2, None, 3, 3, 3, 3]
    return Section(
        id=name,
        title=f"Section {name}",
        about="Questions to English sentences.",
        task=TaskFacts(
            id=task,
            title="Made-up retrieval",
            description="Nothing anybody searched for",
            homepage="https://example.org/task",
            license="CC0-1.0",
            citation="@misc{made, title={Up}}",
            version=1,
            split="test",
            measures=("nDCG@10",),
            languages=tuple(sorted(codes)),
            parallel_queries=True,
            card_file=f"tasks/{task}.toml",
        ),
        measures=("nDCG@10",),
        languages=tuple(
            BoardLanguage(
                code=code,
                name=resolve(code).name,
                script=resolve(code).script,
                family=resolve(code).family,
                tier=TIERS[code],
                pairs=(f"{code}-en",),
            )
            for code in codes
        ),
        pairs={f"{code}-en": PairFacts(1000, 50, None) for code in codes},
        rows=tuple(
            made_row(system, codes, group, task)
            for system, group in zip(systems, groups, strict=False)
        ),
        references=(
            PublishedValues(
                system="published-model",
                version="revision 1",
                measure="nDCG@10",
                overall=0.5,
                overall_published=False,
                tiers={"low": 0.4},
                languages={"sw": 0.4321},
                source="A paper",
                url="https://example.org/paper",
                note="other documents",
            ),
        ),
        left_out=(),
        absent=(),
    )


def made_board(name: str = "made", *sections: Section, **systems: BoardSystem) -> Board:
    """Return a board of `sections`, or of one with all languages and systems."""
    return Board(
        id=name,
        title=f"Board {name}",
        about="A board made up for tests.",
        scheme="joshi",
        scheme_note="Joshi class.",
        sections=sections or (made_section("all"),),
        systems={
            **{system: made_system(system, kind) for system, kind in KINDS.items()},
            **systems,
        },
    )
