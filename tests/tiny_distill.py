"""A teacher of two layers, forty pairs of bitext and a recipe, made on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clir_bench.distill.distillation import DistillFolders, distill
from clir_bench.distill.recipe import Recipe, check_recipe

WORDS = {
    "cat": "paka", "dog": "mbwa", "bird": "ndege", "fish": "samaki", "tree": "mti",
    "house": "nyumba", "water": "maji", "road": "barabara", "child": "mtoto", "book": "kitabu",
}  # fmt: skip
VERBS = {"sees": "anaona", "likes": "anapenda", "seeks": "anatafuta", "fears": "anaogopa"}
PAIRS = [
    (f"The {a} {verb} the {b}.", f"{WORDS[a]} {VERBS[verb]} {WORDS[b]}.")
    for number, a in enumerate(WORDS)
    for turn, verb in enumerate(VERBS)
    for b in [list(WORDS)[(number + turn + 1) % len(WORDS)]]
]


class Silence:
    """Watches a distillation and says nothing."""

    def begin(self, label: str, total: int | None) -> None:
        pass

    def advance(self, n: int, note: str = "") -> None:
        pass


def write_teacher(folder: Path, dim: int = 32) -> Path:
    """Write a random BERT with mean pooling in sentence-transformers' layout."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizer

    body = folder / "body"
    body.mkdir(parents=True)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", ".", *WORDS, *VERBS]
    (body / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    BertTokenizer(str(body / "vocab.txt"), model_max_length=64).save_pretrained(str(body))
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=dim,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * dim,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
    BertModel(config).save_pretrained(str(body))
    model = SentenceTransformer(
        modules=[Transformer(str(body)), Pooling(dim, "mean")], device="cpu"
    )
    model.save(str(folder / "teacher"), create_model_card=False)
    return folder / "teacher"


def write_bitext(path: Path, pairs: list[tuple[str, str]] | None = None) -> Path:
    """Write the pairs as TSV."""
    lines = [f"{english}\t{foreign}\n" for english, foreign in pairs or PAIRS]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def recipe_values(teacher: Path, **tables: Any) -> dict[str, Any]:
    """Return a recipe of 20 steps; keyword arguments are put into its tables."""
    values: dict[str, Any] = {
        "method": "ot+kd+contrastive",
        "overlap": False,
        "teacher": {"model": str(teacher), "max_tokens": 32},
        "student": {"vocabulary": 120, "max_tokens": 32, "half": False},
        "bitext": [
            {
                "name": "tiny",
                "format": "tsv",
                "path": "tiny.tsv",
                "license": "CC0-1.0",
                "languages": ["sw"],
                "fields": {"english": 0, "foreign": 1},
            }
        ],
        "cleaning": {"min_length_correlation": -1},
        "training": {
            "steps": 20,
            "batch_size": 8,
            "bucket": 2,
            "checkpoint_every": 10,
            "embedding_learning_rate": 0.05,
        },
        "validation": {"share": 0.2, "every": 10, "queries": 20},
    }
    for name, table in tables.items():
        values[name] = {**values[name], **table} if isinstance(table, dict) else table
    return values


def run(teacher: Path, bitext: Path, output: Path, **tables: Any) -> tuple[Recipe, dict[str, Any]]:
    """Distill into `output`; return the recipe and the card."""
    recipe = check_recipe(recipe_values(teacher, **tables), "recipe")
    places = DistillFolders(output, bitext, bitext / "cache")
    return recipe, distill(recipe, places, device="cpu", watch=Silence())
