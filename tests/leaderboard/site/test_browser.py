"""The site in a browser, from disk, as a person uses it: by mouse, by keyboard, scriptless."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Tab, browser, find_browser
from made_boards import made_board, made_section, made_system

from clir_bench.leaderboard.site.render import render_site

PROGRAM = find_browser()
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(PROGRAM is None, reason="needs Chromium on the PATH"),
]
BAD_NAME = "</script><img src=x onerror=document.title='hacked'>\u202e" + "w" * 90
RANKING = "table.ranking"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    boards = [
        made_board(),
        made_board(
            "two",
            made_section("a", codes=("sw", "de", "es"), task="t2"),
            made_section("b", codes=("el", "de", "es"), task="t3"),
        ),
        made_board(
            "bad", made_section("all", task="t4"), alpha=made_system(BAD_NAME, folder="alpha")
        ),
    ]
    folder = tmp_path_factory.mktemp("leaderboards") / "site"
    for name, data in render_site(boards).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def started() -> Iterator[Tab]:
    assert PROGRAM is not None
    with browser(PROGRAM) as tab:
        yield tab


@pytest.fixture
def tab(started: Tab) -> Tab:
    started.call("Emulation.setScriptExecutionDisabled", value=False)
    started.size(1280)
    return started


def choose(tab: Tab, field: str, value: str, form: str = "filters") -> None:
    tab.run(
        f"(() => {{ const e = document.forms[{json.dumps(form)}].elements[{json.dumps(field)}];"
        f" e.value = {json.dumps(value)};"
        " e.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )


def shown(tab: Tab, table: str = RANKING, column: int = 1) -> list[str]:
    """Return the texts of a column's cells that can be seen."""
    found: list[str] = tab.run(
        f"[...document.querySelectorAll('{table} tbody tr')]"
        ".filter(r => r.offsetParent !== null && r.offsetHeight)"
        f".map(r => r.cells[{column - 1}].innerText.split('\\n')[0])"
    )
    return found


def sort_button(column: int, table: str = RANKING) -> str:
    return f"{table} thead th:nth-child({column}) button"


def text(tab: Tab, selector: str) -> str:
    found: str = tab.run(f"document.querySelector({json.dumps(selector)}).textContent")
    return found


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_page_scrolls_sideways_complains_or_loads_anything_else(
    tab: Tab, site: Path, width: int, dark: bool
) -> None:
    tab.size(width, dark=dark, phone=width < 500)
    for path in sorted(site.rglob("*.html")):
        tab.open(path)
        assert tab.run("document.documentElement.scrollWidth <= window.innerWidth"), path.name
        assert tab.complaints() == []
        assert all(url.startswith(site.as_uri()) for url in tab.requests())


def test_script_in_a_name_does_not_run(tab: Tab, site: Path) -> None:
    for page in ("boards/bad.html", "systems.html", "index.html"):
        tab.open(site / page)
        assert tab.run("document.title") != "hacked"
        assert tab.run("document.querySelectorAll('img, main script').length") == 0
    tab.open(site / "boards/bad.html")
    assert text(tab, f"{RANKING} tbody th").startswith("</script><img src=x")


def test_policy_stops_a_script_that_got_in_all_the_same(tab: Tab, site: Path) -> None:
    html = (site / "index.html").read_text(encoding="utf-8")
    got_in = "<script>document.title='hacked'</script><img src=x onerror=document.title='hacked'>"
    page = site.parent / "got-in.html"
    page.write_text(html.replace("<main", f"{got_in}<main"), encoding="utf-8")
    tab.open(page)
    assert tab.run("document.title") == "Leaderboards – clir-bench"
    stopped = [c for c in tab.complaints() if "Content Security Policy" in c]
    assert len(stopped) >= 2


def test_click_on_a_header_sorts_and_says_so(tab: Tab, site: Path) -> None:
    tab.open(site / "boards/made.html")
    assert shown(tab) == ["alpha", "beta", "gamma", "delta"]
    tab.click(sort_button(1))
    assert shown(tab) == ["alpha", "beta", "delta", "gamma"]
    tab.click(sort_button(1))
    assert shown(tab) == ["gamma", "delta", "beta", "alpha"]
    assert text(tab, "#said") == "Sorted by System, descending."
    states = (
        "[...document.querySelectorAll('table.ranking th')].map(h => h.getAttribute('aria-sort'))"
    )
    assert [state for state in tab.run(states) if state] == ["descending"]


def test_system_without_a_score_comes_last_either_way(tab: Tab, site: Path) -> None:
    tab.open(site / "boards/made.html")
    overall = sort_button(3)
    tab.click(overall)
    assert shown(tab) == ["gamma", "beta", "alpha", "delta"]
    tab.click(overall)
    assert shown(tab) == ["alpha", "beta", "gamma", "delta"]


def test_filter_by_kind_hides_rows_columns_and_marks(tab: Tab, site: Path) -> None:
    tab.open(site / "boards/made.html")
    choose(tab, "kind", "dense")
    assert shown(tab) == ["alpha", "beta"]
    heads = "[...document.querySelectorAll('table.heat th[scope=col]')].filter(h => h.offsetWidth)"
    assert tab.run(f"{heads}.map(h => h.innerText.trim().split('\\n')[0])")[2:] == ["alpha", "beta"]
    marks = "[...document.querySelectorAll('.point')].filter(p => p.getBoundingClientRect().width)"
    assert tab.run(f"{marks}.map(p => p.dataset.name)") == ["alpha", "beta"]
    assert text(tab, "#status") == "Showing 2 of 4 systems, 10 of 10 languages."


def test_filter_by_tier_shows_its_languages_and_sorts_by_it(tab: Tab, site: Path) -> None:
    tab.open(site / "boards/made.html")
    choose(tab, "tier", "low")
    assert shown(tab, "table.heat", 2) == ["low", "low", "low"]
    sorted_by = "document.querySelector('table.ranking th[aria-sort]').innerText.trim()"
    assert tab.run(sorted_by).startswith("low tier")
    tiers = "[...document.querySelectorAll('table.ranking th[data-tier-column]')]"
    assert tab.run(f"{tiers}.filter(h => h.offsetWidth).length") == 1


def test_filter_by_language_shows_and_sorts_by_its_score(tab: Tab, site: Path) -> None:
    tab.open(site / "boards/made.html")
    choose(tab, "language", "sw")
    assert shown(tab, "table.heat") == ["sw Swahili"]
    assert shown(tab, RANKING, 2) == ["0.7800", "0.5600", "0.3400", "0.1200"]
    assert text(tab, f"{RANKING} th[data-language-column]") == "Swahili (sw)"
    assert text(tab, "#status") == "Showing 4 of 4 systems, 1 of 10 languages."


def test_filter_by_task_shows_that_section_only(tab: Tab, site: Path) -> None:
    tab.open(site / "boards/two.html")
    choose(tab, "task", "two/b")
    sections = (
        "[...document.querySelectorAll('section')].filter(s => s.offsetHeight).map(s => s.id)"
    )
    assert tab.run(sections) == ["b"]


def test_language_that_a_task_lacks_leaves_its_tables_out_with_a_reason(
    tab: Tab, site: Path
) -> None:
    tab.open(site / "boards/two.html")
    choose(tab, "language", "sw")
    notes = "[...document.querySelectorAll('#b .empty')].filter(p => p.offsetHeight).length"
    assert tab.run(notes) >= 2


def test_overview_filters_by_task_tier_language_and_kind(tab: Tab, site: Path) -> None:
    tab.open(site / "index.html")
    assert len(shown(tab)) == 16
    choose(tab, "task", "two/a")
    choose(tab, "language", "sw")
    choose(tab, "kind", "late-interaction")
    assert shown(tab) == ["gamma"]
    assert shown(tab, RANKING, 2) == ["0.3400"]
    choose(tab, "language", "el")
    assert shown(tab) == []
    tab.click("#filters button[type=reset]")
    time.sleep(0.05)
    assert len(shown(tab)) == 16


def answers(tab: Tab) -> dict[str, list[str]]:
    """Return what the finder shows: task to systems and scores, as they can be seen."""
    found: dict[str, list[str]] = tab.run(
        "Object.fromEntries([...document.querySelectorAll('#answers table')].map(t =>"
        " [t.querySelector('h3').innerText, [...t.tBodies[0].rows].map(r =>"
        " r.cells[0].innerText + ' ' + r.cells[1].innerText.split('\\n')[0])]))"
    )
    return found


def test_the_first_page_ranks_systems_for_a_language_task_by_task(tab: Tab, site: Path) -> None:
    tab.open(site / "index.html")
    assert answers(tab) == {}
    choose(tab, "language", "sw", "finder")
    best_first = ["alpha 0.7800", "beta 0.5600", "gamma 0.3400", "delta 0.1200"]
    assert answers(tab)["Board made"] == best_first
    # Board two has a section without Swahili.
    assert list(answers(tab))[:2] == ["Board made", "Board two: Section a"]
    assert "Board two: Section b" not in answers(tab)
    assert text(tab, "#found").startswith("Swahili (sw), 3 tasks: ")
    choose(tab, "kind", "dense", "finder")
    assert answers(tab)["Board made"] == best_first[:2]
    assert tab.run("document.querySelector('#answers th a').href").endswith("systems/alpha.html")
    choose(tab, "language", "", "finder")
    assert answers(tab) == {}
    assert tab.complaints() == []


@pytest.mark.parametrize("page", ["index.html", "boards/made.html"])
def test_on_a_phone_the_score_is_beside_the_system_wherever_the_table_is_moved(
    tab: Tab, site: Path, page: str
) -> None:
    tab.size(390, 844, phone=True)
    tab.open(site / page)
    score = "document.querySelector('table.ranking tbody .score').getBoundingClientRect()"
    for moved in (0, 200, 2000):
        tab.run(f"document.querySelector('table.ranking').parentElement.scrollLeft = {moved}")
        assert tab.run(f"{score}.left >= 0 && {score}.right <= 300"), moved


def test_on_a_phone_the_plot_fits_the_width_and_its_text_can_be_read(tab: Tab, site: Path) -> None:
    tab.size(390, 844, phone=True)
    tab.open(site / "boards/made.html")
    plots = "[...document.querySelectorAll('svg.plot')].filter(p => p.getClientRects().length)"
    assert tab.run(f"{plots}.map(p => p.getBoundingClientRect().right <= 390)") == [True]
    drawn = f"{plots}[0].querySelector('text').getBoundingClientRect().height"
    assert tab.run(drawn) >= 12
    tab.size(1280)
    assert tab.run(f"{plots}.length") == 1


def test_winners_and_boards_are_there_without_a_script(tab: Tab, site: Path) -> None:
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    tab.open(site / "index.html")
    tab.call("Emulation.setScriptExecutionDisabled", value=False)
    assert tab.run("document.getElementById('finder').offsetHeight") == 0
    first = "document.querySelector('table.winners tbody tr').innerText.split(/\\s+/).join(' ')"
    assert "Board made nDCG@10, 10 languages, 4 systems alpha 0.810 beta 0.645" in tab.run(first)
    assert len(shown(tab)) == 16


def test_name_typed_by_keyboard_filters(tab: Tab, site: Path) -> None:
    tab.open(site / "boards/made.html")
    tab.run("document.forms.filters.elements.name.focus()")
    tab.type("GAM")
    end = time.monotonic() + 5
    while shown(tab) != ["gamma"]:
        assert time.monotonic() < end
        time.sleep(0.02)
    tab.press("Enter", 13, "\r")
    assert tab.run("location.search") == ""


def test_keyboard_reaches_everything_and_shows_where_it_is(tab: Tab, site: Path) -> None:
    tab.open(site / "boards/made.html")
    tab.press("Tab", 9)
    assert tab.run("document.activeElement.className") == "skip"
    assert tab.run("document.activeElement.getBoundingClientRect().top >= 0")
    tab.press("Enter", 13, "\r")
    assert tab.run("location.hash") == "#content"
    seen: list[dict[str, Any]] = []
    for _ in range(200):
        tab.press("Tab", 9)
        here = tab.run(
            "(() => { const e = document.activeElement; const s = getComputedStyle(e);"
            " return {tag: e.tagName, outline: s.outlineStyle, name: e.className,"
            " sort: e.tagName === 'BUTTON' && e.closest('th') !== null}; })()"
        )
        if here["tag"] == "BODY":
            break
        seen.append(here)
    assert all(place["outline"] != "none" for place in seen)
    assert {"SELECT", "INPUT", "BUTTON", "A", "DIV", "SUMMARY"} <= {place["tag"] for place in seen}
    n_sortable = tab.run("document.querySelectorAll('main th[data-sort]:not([hidden])').length")
    closed = tab.run("document.querySelectorAll('details:not([open]) th[data-sort]').length")
    assert sum(place["sort"] for place in seen) == n_sortable - closed


def test_sorting_by_keyboard_keeps_the_focus(tab: Tab, site: Path) -> None:
    tab.open(site / "boards/made.html")
    tab.run(f"document.querySelector({json.dumps(sort_button(1))}).focus()")
    tab.press(" ", 32, " ")
    assert shown(tab) == ["alpha", "beta", "delta", "gamma"]
    assert tab.run("document.activeElement.textContent") == "System"


def test_theme_follows_the_system_until_chosen_and_is_remembered(tab: Tab, site: Path) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    tab.size(1280, dark=True)
    tab.open(site / "index.html")
    dark = tab.run(background)
    assert tab.run("document.getElementById('theme').getAttribute('aria-pressed')") == "true"
    tab.click("#theme")
    light = tab.run(background)
    assert light != dark
    tab.open(site / "systems/alpha.html")
    assert tab.run(background) == light
    tab.click("#theme")
    assert tab.run(background) == dark
    tab.run("localStorage.clear()")


def test_tables_and_plot_are_there_without_a_script(tab: Tab, site: Path) -> None:
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    tab.open(site / "boards/made.html")
    tab.call("Emulation.setScriptExecutionDisabled", value=False)
    assert shown(tab) == ["alpha", "beta", "gamma", "delta"]
    assert tab.run("document.getElementById('filters').offsetHeight") == 0
    assert tab.run("document.querySelector('svg.plot').getBoundingClientRect().width > 300")
    assert tab.run("document.querySelector('th button')") is None


def test_screen_reader_is_told_names_roles_and_sort_order(tab: Tab, site: Path) -> None:
    tab.open(site / "boards/made.html")
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    told = {
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node.get("ignored") and "role" in node
    }
    assert ("main", "") in told
    assert ("heading", "Board made") in told
    assert ("combobox", "Kind of system") in told
    assert ("columnheader", "System") in told
    assert ("rowheader", "alpha") in told
    assert ("region", "Systems on Section all") in told
    assert any(role in ("image", "img") and "nDCG@10 against gap" in name for role, name in told)
    assert any(role == "status" for role, _ in told)
    nameless = [role for role, name in told if role in ("button", "link", "combobox") and not name]
    assert nameless == []
