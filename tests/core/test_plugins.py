"""Entry points: built-ins, and other people's packages in every state they come in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clir_bench.core import plugins
from clir_bench.core.plugins import ADAPTERS, ENCODERS
from clir_bench.errors import PluginError, UnknownNameError


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages, on the path; what was known of entry points is forgotten."""
    modules = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    plugins._entry_points.cache_clear()
    yield tmp_path
    plugins._entry_points.cache_clear()
    for name in set(sys.modules) - modules:
        if name.startswith("plugin_"):
            del sys.modules[name]


def install(
    site: Path, package: str, entries: str, code: str = "", *, group: str = ENCODERS
) -> None:
    """Lay down what pip would: a module `plugin_<package>` and the package's metadata."""
    module = f"plugin_{package.replace('-', '_')}"
    (site / f"{module}.py").write_text(code)
    info = site / f"{package.replace('-', '_')}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{entries}\n")
    plugins._entry_points.cache_clear()


def test_built_ins_are_registered_as_anyones_would_be() -> None:
    assert {"hashing", "optical", "st"} <= set(plugins.names(ENCODERS))
    assert {"folder", "ir_datasets", "mewsli_x", "xquad"} <= set(plugins.names(ADAPTERS))
    assert plugins.names(ADAPTERS) == sorted(plugins.names(ADAPTERS))
    assert plugins.provider(ADAPTERS, "mewsli_x").startswith("clir-bench ")
    assert plugins.load(ADAPTERS, "mewsli_x").__module__ == "clir_bench.tasks.adapters.mewsli_x"


def test_third_partys_callable_is_loaded_by_name(site: Path) -> None:
    install(site, "acme", "acme = plugin_acme:load", "def load(request):\n    return 42\n")
    assert "acme" in plugins.names(ENCODERS)
    assert plugins.provider(ENCODERS, "acme") == "acme 1.2"
    assert plugins.load(ENCODERS, "acme")(None) == 42


def test_nothing_is_imported_until_it_is_asked_for(site: Path) -> None:
    install(site, "acme", "acme = plugin_acme:load", "raise SystemError('imported')")
    plugins.names(ENCODERS)
    plugins.provider(ENCODERS, "acme")
    plugins.load(ENCODERS, "hashing")
    assert "plugin_acme" not in sys.modules


@pytest.mark.parametrize(
    ("entry", "code", "said"),
    [
        ("plugin_acme:load", "import plugin_that_is_gone", "ModuleNotFoundError: No module named"),
        ("plugin_acme:load", "1 / 0", "ZeroDivisionError: division by zero"),
        ("plugin_acme:load", "def load(:", "SyntaxError"),
        ("plugin_acme:load", "", "AttributeError.*load"),
        ("plugin_gone:load", "", "ModuleNotFoundError: No module named 'plugin_gone'"),
        ("not an object reference", "", "AttributeError"),
    ],
)
def test_plugin_that_cannot_be_imported_is_named_with_its_package_and_cause(
    site: Path, entry: str, code: str, said: str
) -> None:
    install(site, "acme", f"acme = {entry}", code)
    with pytest.raises(
        PluginError, match=rf"model 'acme' of package acme cannot be imported \({entry}\): .*{said}"
    ) as caught:
        plugins.load(ENCODERS, "acme")
    assert "every other name still works" in str(caught.value)
    assert callable(plugins.load(ENCODERS, "hashing"))


def test_entry_point_that_is_no_function_is_refused(site: Path) -> None:
    install(site, "acme", "acme = plugin_acme:load", "load = 5\n")
    with pytest.raises(PluginError, match="'acme' of package acme is int; expected a function or"):
        plugins.load(ENCODERS, "acme")


def test_plugin_that_takes_a_built_ins_name_is_refused_and_named(site: Path) -> None:
    install(site, "acme", "hashing = plugin_acme:load", "def load(request): ...\n")
    with pytest.raises(
        PluginError,
        match=r"model name 'hashing' is registered by acme, clir-bench: acme takes the name of a "
        r"built-in\. Rename its entry point or uninstall it\.",
    ):
        plugins.load(ENCODERS, "hashing")
    assert callable(plugins.load(ENCODERS, "st"))


def test_name_that_two_packages_claim_is_refused_and_both_are_named(site: Path) -> None:
    for package in ("acme", "zenith"):
        install(site, package, f"both = plugin_{package}:load", "def load(request): ...\n")
    with pytest.raises(PluginError, match="'both' is registered by acme, zenith: zenith takes"):
        plugins.load(ENCODERS, "both")
    with pytest.raises(PluginError, match="registered by acme, zenith"):
        plugins.provider(ENCODERS, "both")


def test_same_name_in_another_group_is_no_clash(site: Path) -> None:
    install(site, "acme", "st = plugin_acme:load", "def load(*a): ...\n", group=ADAPTERS)
    assert callable(plugins.load(ADAPTERS, "st"))
    assert callable(plugins.load(ENCODERS, "st"))


def test_package_that_registers_a_name_twice_is_refused(site: Path) -> None:
    install(site, "acme", "acme = plugin_acme:one\nacme = plugin_acme:two")
    with pytest.raises(
        PluginError, match="registered twice by acme: plugin_acme:one and plugin_acme:two"
    ):
        plugins.load(ENCODERS, "acme")


def test_package_that_is_on_the_path_twice_is_one_package(site: Path) -> None:
    install(site, "acme", "acme = plugin_acme:load", "def load(request): ...\n")
    sys.path.append(str(site))
    try:
        plugins._entry_points.cache_clear()
        assert callable(plugins.load(ENCODERS, "acme"))
    finally:
        sys.path.pop()


def test_package_without_metadata_is_unknown_but_usable(site: Path) -> None:
    install(site, "acme", "acme = plugin_acme:load", "def load(request): ...\n")
    (site / "acme-1.2.dist-info" / "METADATA").write_text("")
    plugins._entry_points.cache_clear()
    assert plugins.provider(ENCODERS, "acme") == "unknown package"
    assert callable(plugins.load(ENCODERS, "acme"))


def test_package_with_broken_entry_points_is_named(site: Path) -> None:
    install(site, "acme", "a line that is no entry point")
    with pytest.raises(PluginError, match=r"cannot be read: .*uninstall package acme, whose"):
        plugins.names(ENCODERS)


def test_unknown_name_is_answered_with_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="unknown model 'hashng'; did you mean hashing"):
        plugins.load(ENCODERS, "hashng")
    with pytest.raises(UnknownNameError, match="unknown adapter 'xqaud'; did you mean xquad"):
        plugins.provider(ADAPTERS, "xqaud")
