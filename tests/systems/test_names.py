"""Names of systems that are made of names."""

from __future__ import annotations

import pytest

from clir_bench.errors import UnknownNameError, UsageError
from clir_bench.search.workers.executor import Loading
from clir_bench.systems.names import Composition, check_name, load_system, parse

HERE = Loading("")


def parsed(name: str) -> Composition:
    composition = parse(name, HERE)
    assert composition is not None
    return composition


@pytest.mark.parametrize(
    ("name", "operands"),
    [
        ("hybrid:hashing+bm25", ("hashing", "bm25")),
        ("hybrid:a+b+c", ("a", "b", "c")),
        ("hybrid:a+(hybrid:b+c)", ("a", "hybrid:b+c")),
        ("hybrid:(a)+(b)", ("a", "b")),
        ("hybrid:run:results/a+run:results/b", ("run:results/a", "run:results/b")),
        ("hybrid:(run:results/hybrid_a+b)+c", ("run:results/hybrid_a+b", "c")),
        ("rerank:cross+bm25", ("cross", "bm25")),
        ("rerank:cross+hybrid:a+b", ("cross", "hybrid:a+b")),
        ("rerank:cross+depth=50+hybrid:a+b+k=5", ("cross", "hybrid:a+b+k=5")),
        ("rerank:(models/a+b)+bm25", ("models/a+b", "bm25")),
        ("run:results/hybrid_a+b", ("results/hybrid_a+b",)),
        ("run:k=5/(a", ("k=5/(a",)),
        ("random", ()),
        ("oracle", ()),
    ],
)
def test_a_name_is_made_of_these_names(name: str, operands: tuple[str, ...]) -> None:
    assert parsed(name).operands == operands


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("hybrid:a+b+k=5", {"k": "5"}),
        ("hybrid:a+b+weights=0.7,0.3", {"weights": "0.7,0.3"}),
        ("rerank:cross+depth=50+hybrid:a+b+k=5", {"depth": "50"}),
        ("random:seed=3", {"seed": "3"}),
        ("run:k=5", {}),
    ],
)
def test_options_are_those_of_the_outer_name(name: str, options: dict[str, str]) -> None:
    assert parsed(name).options == options


@pytest.mark.parametrize("name", ["hashing", "st:a/b", "bm25:k1=1.2,b=0.75", "hybrid", "run"])
def test_other_names_are_those_of_encoders(name: str) -> None:
    assert parse(name, HERE) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("hybrid:", "a part of it is empty; write hybrid:A+B"),
        ("hybrid:a+", "a part of it is empty"),
        ("hybrid:a++b", "a part of it is empty"),
        ("hybrid:a+()", "a part of it is empty"),
        ("hybrid:(a+b", "its brackets do not match"),
        ("hybrid:a)+b", "its brackets do not match"),
        ("run:", "a part of it is empty; write run:FOLDER"),
        ("rerank:+bm25", "a part of it is empty; write rerank:MODEL+SYSTEM"),
        ("hybrid:hashing", "a hybrid fuses at least two systems: hybrid:A+B"),
        ("hybrid:hashing+bm25+q=3", "hybrid has no option 'q'; it has k and weights"),
        ("hybrid:hashing+bm25+k=0", "k=0: expected a whole number from 1"),
        ("hybrid:hashing+bm25+k=1.5", "k=1.5: expected a whole number"),
        ("hybrid:hashing+bm25+weights=1", "expected 2 positive numbers, one per system"),
        ("hybrid:hashing+bm25+weights=1,-1", "expected 2 positive numbers"),
        ("hybrid:hashing+bm25+weights=1,nan", "expected 2 positive numbers"),
        ("hybrid:hashing+bm25+weights=1,1+k=5", "leave it or the weights out"),
        ("rerank:hashing", "expected a model and a system, rerank:MODEL+SYSTEM"),
        ("rerank:hashing+depth=50", "expected a model and a system"),
        ("rerank:hashing+depth=0+bm25", "depth=0: expected a whole number from 1"),
        ("rerank:hashing+deep=9+bm25", "rerank has no option 'deep'; it has depth"),
        ("random:hashing", "random is made of no other systems; write random"),
        ("random:seed=x", "seed=x: expected a whole number from 0"),
        ("oracle:seed=1", "oracle has no option 'seed'; it has none"),
        ("run:nowhere/at/all", "no such folder: nowhere/at/all"),
    ],
)
def test_a_wrong_name_is_refused_with_what_is_wrong(name: str, problem: str) -> None:
    with pytest.raises(UsageError) as raised:
        load_system(name)
    assert problem in str(raised.value)
    assert f"--model {name}" in str(raised.value)


def test_names_inside_each_other_too_deep_are_refused() -> None:
    with pytest.raises(UsageError, match="more than 8 systems inside each other"):
        load_system("rerank:hashing+" * 12 + "hashing")


@pytest.mark.parametrize(
    "name", ["hybrid:hashing+hashng", "rerank:hashng+hashing", "rerank:hashing+hashng"]
)
def test_a_misspelt_part_is_refused_before_anything_runs(name: str) -> None:
    with pytest.raises(UnknownNameError, match=r"hashng.*did you mean hashing"):
        check_name(name)


@pytest.mark.parametrize("name", ["random", "oracle", "run:results/hashing", "hybrid:random+bm25"])
def test_names_without_encoders_are_known(name: str) -> None:
    check_name(name)


def test_the_name_of_a_result_states_every_option() -> None:
    assert load_system("hybrid:hashing+bm25+k=5").info.name == "hybrid:hashing+bm25+k=5"
    assert load_system("hybrid:bm25+random").info.name == "hybrid:bm25+random"
    assert load_system("rerank:hashing+bm25").info.name == "rerank:hashing+bm25"
    deep = "rerank:hashing+depth=7+hybrid:bm25+random"
    assert load_system(deep).info.name == deep
    weighted = "hybrid:bm25+random+weights=0.7,0.3"
    assert load_system(weighted).info.name == weighted


def test_another_part_is_another_system() -> None:
    names = ("rerank:hashing+bm25", "rerank:hashing+bm25:k1=1", "rerank:hashing+depth=9+bm25")
    assert len({load_system(name).info.revision for name in names}) == len(names)
