"""Writes the card of a finished model, `optical.json`, and a README for people.

They hold no times or speeds, so that the same training gives the same bytes. Times and speeds are
in `log.jsonl`.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from clir_bench.core import provenance
from clir_bench.core.provenance import git_state, packages

if TYPE_CHECKING:
    from clir_bench.distill.bitext.mixture import BitextCorpus
    from clir_bench.distill.model.teacher import Teacher
    from clir_bench.distill.recipe import Recipe
    from clir_bench.distill.training.loop import Training

NAME = "optical.json"
VERSION = 1


def make_card(
    recipe: Recipe, corpus: BitextCorpus, teacher: Teacher, training: Training
) -> dict[str, Any]:
    """Return the card of a finished training as JSON values."""
    commit, changed = git_state()
    languages: Counter[str] = Counter(corpus.counts())
    return {
        "version": VERSION,
        "clir_bench": provenance.VERSION,
        "git_commit": commit,
        "git_changed": changed,
        "packages": packages(),
        "recipe": recipe.model_dump(mode="json"),
        "recipe_fingerprint": recipe.fingerprint(),
        "teacher": {"name": teacher.weights.name, "sha256": teacher.weights.sha256},
        "languages": sorted({*languages, "en"} if recipe.training.english_share else languages),
        "pairs": dict(sorted(languages.items())),
        "bitext": corpus.report.to_json(),
        "steps": training.best.get("step", training.step),
        "validation": training.best.get("scores", {}),
        "default": "late",
    }


def write_card(card: dict[str, Any]) -> bytes:
    """Return the card's file."""
    return (json.dumps(card, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


def write_readme(card: dict[str, Any]) -> bytes:
    """Return a README that says what the model is and how to load it."""
    recipe, scores = card["recipe"], card["validation"]
    licenses = sorted(
        {(row["source"], row["license"]) for row in card["bitext"]["rows"] if row["train"]}
    )
    lines = [
        "# A student of " + card["teacher"]["name"],
        "",
        f"Trained by `clir-bench distill` {card['clir_bench']} with method {recipe['method']}, "
        f"{card['steps']} steps, seed {recipe['seed']}. The recipe, the data and all counts are "
        f"in `{NAME}`.",
        "",
        "    from sentence_transformers import MultiVectorEncoder, SentenceTransformer",
        "    late = MultiVectorEncoder(FOLDER)      # a vector per token, MaxSim",
        "    pooled = SentenceTransformer(FOLDER)   # their mean, cosine",
        "",
        "Languages seen: " + ", ".join(card["languages"]) + ".",
        "",
        "Bitext: " + "; ".join(f"{source} ({license_})" for source, license_ in licenses) + ".",
        "",
        *(f"- held-back bitext, {name}: {value:.4f}" for name, value in sorted(scores.items())),
        "",
        "Differs from the OPTICAL paper (arXiv 2301.12566), of which only the abstract was at "
        "hand: cost, token masses, regularisation, iterations and further losses are this "
        "project's choices.",
        "",
    ]
    return "\n".join(lines).encode()
