"""Recipes: every one that ships is valid, and mistakes are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clir_bench.cli import main
from clir_bench.distill.recipe import check_recipe, read_recipe
from clir_bench.errors import MissingDataError, UsageError

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
SOURCE = {
    "name": "a", "format": "tsv", "path": "a.tsv", "license": "CC0-1.0", "languages": ["sw"],
    "fields": {"english": 0, "foreign": 1},
}  # fmt: skip


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_valid(path: Path) -> None:
    assert check_recipe(read_recipe(path), path.name).bitext


def test_recipes_of_the_comparison_differ_in_method_alone() -> None:
    compared = [check_recipe(read_recipe(p), p.name) for p in RECIPES if "optical" not in p.stem]
    assert len({recipe.model_copy(update={"method": ""}).fingerprint() for recipe in compared}) == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bitext": [SOURCE], "steps": 3}, "unknown field 'steps'"),
        ({"bitext": [SOURCE], "method": "ot+magic"}, "method: expected some of ot, kd"),
        ({"bitext": [SOURCE], "method": "kd", "loss": {"weights": {"ot": 2}}}, "names ot, which"),
        ({"bitext": [SOURCE], "training": {"batch_size": 1}}, "training.batch_size"),
        ({"bitext": []}, "bitext: expected at least one entry"),
        ({}, "field 'bitext' is missing"),
    ],
)
def test_a_mistake_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_recipe(values, "recipe")


def test_a_list_whose_entry_is_wrong_is_not_called_too_short() -> None:
    with pytest.raises(UsageError) as raised:
        check_recipe({"bitext": [SOURCE | {"licens": "x"}]}, "recipe")
    assert str(raised.value) == "recipe: unknown field 'bitext.0.licens' (did you mean 'license'?)"


def test_recipes_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"none\.toml: cannot be read"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "broken.toml").write_text("method = \n")
    with pytest.raises(UsageError, match=r"broken\.toml: not valid TOML"):
        read_recipe(tmp_path / "broken.toml")


def test_the_fingerprint_is_of_the_recipe_and_not_of_how_it_is_written() -> None:
    short = check_recipe({"bitext": [SOURCE]}, "a")
    long = check_recipe({"seed": 0, "method": "ot+kd", "bitext": [SOURCE]}, "b")
    other = check_recipe({"seed": 1, "bitext": [SOURCE]}, "c")
    assert short.fingerprint() == long.fingerprint() != other.fingerprint()


def test_the_command_exits_2_on_a_wrong_recipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["distill", "--method", "magic", "-o", str(tmp_path), "--bitext", "sw=a.tsv"]) == 2
    assert "method: expected some of ot, kd" in capsys.readouterr().err
