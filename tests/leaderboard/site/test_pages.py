"""The static site: escaping, links, structure, the same bytes again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError
from made_boards import TIERS, made_board, made_section, made_system

from clir_bench.core.display import fixed
from clir_bench.leaderboard.board import Board
from clir_bench.leaderboard.escaping import spelled_out
from clir_bench.leaderboard.site import palette
from clir_bench.leaderboard.site.labels import Box, place_labels
from clir_bench.leaderboard.site.plot import axis
from clir_bench.leaderboard.site.render import environment, number, render_site, safe_href
from clir_bench.metrics.means import Estimate
from clir_bench.results.system_card import TrainingData

VOID = {"br", "hr", "img", "input", "link", "meta"}
HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "abc\u202egnp.exe",
    "\u2066isolated\u2069 \u200bzero\ufeff \u2028 \u2029",
    "nul\x00 bell\x07 escape\x1b[31m",
    "half \ud83d surrogate",
    "&lt;b&gt; &amp;",
    "--><!--",
    "]]>{{7*7}}${7*7}`",
)


TEMPLATES = sorted((Path(palette.__file__).parent / "templates").glob("*.html"))


def shown_as(text: str) -> str:
    return spelled_out(text, keep="\n\t")


def rendered(template: str, **values: object) -> str:
    """Return what a template with the macros of the pages makes of `values`."""
    head = '{% import "macros.html" as m with context %}'
    return environment().from_string(head + template).render(up="../", **values)


class Page(HTMLParser):
    """A page read back: elements in order, and whether they close as they opened."""

    def __init__(self, html: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(html.decode())
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), f"an attribute of <{tag}> twice"
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def having(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.elements if name == tag)


def pages(boards: list[Board]) -> dict[str, Page]:
    files = render_site(boards)
    return {name: Page(data) for name, data in files.items() if name.endswith(".html")}


def hostile_board(text: str) -> Board:
    """Return a board on which `text` is everything a submission says about a system."""
    training = TrainingData.model_construct(
        languages=("en", text),
        bitext=(text,),
        corpora=(text,),
        evaluation_data_seen="yes",
        note=text,
    )
    system = made_system(
        text,
        folder="alpha",
        description=text,
        url=text,
        license=text,
        contact=text,
        training=training,
        revision=text,
        package=text,
        query_prompt=text,
        document_prompt=text,
        weights_sha256=text,
        similarity=text,
        dtype=text,
        card_file=text,
    )
    return made_board("made", alpha=system)


def assert_harmless(page: Page) -> None:
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"img", "iframe", "object", "embed", "base", "style", "template"}
    assert [dict(a) for a in page.having("script")] in (
        [{"src": "site.js"}],
        [{"src": "../site.js"}],
    )
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        href = attributes.get("href")
        assert href is None or safe_href(href) == href
    said = "".join(page.text) + "".join(v or "" for _, a in page.elements for v in a.values())
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u2028\u2029\u200b\ufeff\x00-\x08\x1b]", said)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_a_submission_says_becomes_markup(text: str) -> None:
    read = pages([hostile_board(text)])
    for page in read.values():
        assert_harmless(page)
    assert shown_as(text) in "".join(read["systems/alpha.html"].text)
    assert shown_as(text) in "".join(read["boards/made.html"].text)


@settings(max_examples=20, deadline=None)
@given(st.text(max_size=60))
def test_any_text_at_all_is_shown_and_does_nothing(text: str) -> None:
    for page in pages([hostile_board(text)]).values():
        assert_harmless(page)


@given(st.text(max_size=80))
def test_a_text_reads_back_as_what_is_visible_of_it(text: str) -> None:
    read = Page(rendered('<p title="{{ t }}">{{ t }}</p>', t=text).encode())
    shown = shown_as(text)
    assert "".join(read.text) == shown
    assert next(read.having("p"))["title"] == shown


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)", "JaVaScRiPt:alert(1)", "\x01javascript:alert(1)",
        "data:text/html,x", "vbscript:x", "file:///etc/passwd", "http://example.org",
        "//example.org", "\\\\example.org", "/\\example.org", "https:example.org",
        "https://user@example.org", "https://user:secret@example.org/", "https://example.org:99999/",
        "https://exam\u202eple.org", "https://example.org/\n", "https://example.org/ x",
        "https://example.org/\"onclick=", "a/../../b", "/etc/passwd", "a b", "a%2e%2e/b", "",
        "x" * 3000,        "https://еxample.org",
    ],
)  # fmt: skip
def test_unsafe_address_is_no_link(address: str) -> None:
    assert safe_href(address) is None
    assert rendered("{{ m.link(address, 'text') }}", address=address) == "text"


@pytest.mark.parametrize(
    "address",
    [
        "index.html", "../boards/x.html#to-english", "#content", "../../results/a@b/t/x.run.gz",
        "https://example.org", "https://example.org:8080/a/b?c=d&e=f#g", "https://example.org/@a/b",
    ],
)  # fmt: skip
def test_safe_address_is_kept(address: str) -> None:
    assert safe_href(address) == address


def test_path_that_climbs_out_of_the_boards_folder_is_no_link() -> None:
    file = "{{ m.file(path, 'x') }}"
    assert rendered(file, path="../../etc/passwd") == "x"
    good = rendered(file, path="results/a/b.json")
    assert good == '<a href="../../results/a/b.json">x</a>'


def test_no_template_marks_a_text_as_safe_or_forgets_what_it_was_given() -> None:
    assert {"base.html", "macros.html", "index.html"} <= {path.name for path in TEMPLATES}
    for path in TEMPLATES:
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*safe\b|autoescape|Markup|<script(?! src)| style=", source), path
    with pytest.raises(UndefinedError, match="missing"):
        rendered("{{ missing }}")


def test_equal_boards_give_equal_bytes() -> None:
    boards = [made_board("one"), made_board("two", made_section("a"), made_section("b"))]
    again = [made_board("one"), made_board("two", made_section("a"), made_section("b"))]
    assert render_site(boards) == render_site(again)
    assert list(render_site(boards)) == sorted(render_site(boards))


def test_every_link_within_the_site_leads_somewhere() -> None:
    boards = [
        made_board("one"),
        made_board("two", made_section("a", task="t2"), made_section("b", task="t3")),
    ]
    files, read = render_site(boards), pages(boards)
    ids = {path: {a.get("id") for _, a in page.elements} for path, page in read.items()}
    for path, page in read.items():
        links = [a["href"] for tag in ("a", "link") for a in page.having(tag) if "href" in a]
        links += [a["src"] for a in page.having("script")]
        for href in filter(None, links):
            if href.startswith("https:") or "results/" in href or "tasks/t" in href:
                continue
            target, _, fragment = href.partition("#")
            parts = [*Path(path).parent.parts, *Path(target).parts] if target else [path]
            while ".." in parts and parts.index("..") > 0:
                where = parts.index("..")
                del parts[where - 1 : where + 1]
            name = "/".join(parts)
            if name.startswith("..") or "../" in href.removeprefix("../"):
                continue  # the CSV and the card, which lie outside of the site
            assert name in files, (path, href)
            assert not fragment or fragment in ids[name], (path, href)


def test_ids_are_unique_on_every_page() -> None:
    board = made_board("two", made_section("a"), made_section("b"))
    for path, page in pages([board]).items():
        ids = [a["id"] for _, a in page.elements if "id" in a]
        assert len(ids) == len(set(ids)), path


def test_every_table_has_a_caption_and_scopes() -> None:
    for page in pages([made_board()]).values():
        tags = [tag for tag, _ in page.elements]
        assert tags.count("caption") == tags.count("table")
        assert all(a.get("scope") in ("col", "row") for a in page.having("th"))
        boxes = [a for a in page.having("div") if "scroll" in (a.get("class") or "").split()]
        assert all(a.get("tabindex") == "0" and a.get("aria-label") for a in boxes)


def test_every_row_has_as_many_cells_as_its_table_has_columns() -> None:
    for path, html in render_site(
        [made_board("x", made_section("a"), made_section("b"))].copy()
    ).items():
        for table in re.findall(rb"<table.*?</table>", html, re.S):
            rows = re.findall(rb"<tr.*?</tr>", table, re.S)
            counts = {len(re.findall(rb"<t[hd][ >]", row)) for row in rows}
            assert len(counts) == 1, path


def test_page_says_what_it_may_load_before_it_loads_anything() -> None:
    html = render_site([made_board()])["index.html"].decode()
    assert html.index("Content-Security-Policy") < html.index("<link") < html.index("<script")
    assert "default-src &#39;none&#39;" in html
    assert "unsafe" not in html


def test_system_without_a_rank_is_shown_as_such() -> None:
    html = render_site([made_board()])["boards/made.html"].decode()
    row = re.search(r'<tr data-kind="lexical" data-name="delta" data-scores.*?</tr>', html, re.S)
    assert row is not None
    assert "not ranked" in row[0]
    assert 'data-kind="lexical" data-name="delta"><title>' not in html  # nor is it in the plot


def test_published_values_stand_apart_from_what_was_run() -> None:
    html = render_site([made_board()])["boards/made.html"].decode()
    ranking, _, rest = html.partition("Published elsewhere")
    assert "published-model" not in ranking
    assert "published-model" in rest


def test_system_that_saw_evaluation_data_says_so() -> None:
    seen = TrainingData(
        languages=("en",),
        bitext=(),
        corpora=("web",),
        evaluation_data_seen="yes",
        note="the test questions",
    )
    board = made_board(alpha=made_system("alpha", training=seen))
    files = render_site([board])
    assert b'<td class="mark" data-value="yes">yes</td>' in files["boards/made.html"]
    assert b"the test questions" in files["systems/alpha.html"]


def test_section_without_systems_shows_published_values_and_an_empty_site_is_one() -> None:
    empty = made_section("none", systems=())
    html = render_site([made_board("made", empty)])["boards/made.html"].decode()
    assert "No system has been submitted yet" in html
    assert "published-model" in html
    assert "index.html" in render_site([])


def test_plot_falls_back_to_spread_where_there_is_no_gap() -> None:
    high = tuple(code for code in TIERS if TIERS[code] == "high")
    html = render_site([made_board("made", made_section("high", codes=high))])["boards/made.html"]
    assert b"Without a low and a high tier there is no gap" in html
    assert b"Spread over languages" in html


def test_every_colour_of_the_heat_map_can_be_read() -> None:
    for step in range(palette.N_STEPS):
        assert palette.contrast(palette.foreground(step), palette.background(step)) >= 4.5


def test_contrast_is_that_of_the_standard() -> None:
    assert palette.contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21.0)
    # #767676 on white is the lightest grey that passes 4.5, by WCAG's own example.
    assert palette.contrast((0x76,) * 3, (255,) * 3) == pytest.approx(4.54, abs=0.005)


def theme_colours(css: str, start: str) -> dict[str, palette.Colour]:
    block = css[css.index(start) :].partition("}")[0]
    found = re.findall(r"--([\w-]+): #(\w\w)(\w\w)(\w\w);", block)
    return {name: (int(r, 16), int(g, 16), int(b, 16)) for name, r, g, b in found}


@pytest.mark.parametrize("start", [":root {", ':root[data-theme="dark"] {', "@media (prefers-c"])
def test_text_and_marks_stand_out_in_both_themes(start: str) -> None:
    colours = theme_colours(render_site([])["site.css"].decode(), start)
    for ground in ("page", "raised", "stripe"):
        for text in ("text", "quiet", "link"):
            assert palette.contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    assert palette.contrast(colours["mark-text"], colours["mark"]) >= 4.5
    for kind in range(5):
        assert palette.contrast(colours[f"kind-{kind}"], colours["page"]) >= 3


def test_dark_colours_are_the_same_chosen_or_preferred() -> None:
    css = render_site([])["site.css"].decode()
    chosen = theme_colours(css, ':root[data-theme="dark"] {')
    assert chosen == theme_colours(css, "@media (prefers-c")


def test_axis_has_round_ticks_around_every_interval() -> None:
    made = axis([Estimate(0.31, 0.29, 0.33), Estimate(0.62, 0.6, 0.64)], 0, 100)
    assert [round(tick, 6) for tick in made.ticks] == [
        0.25,
        0.3,
        0.35,
        0.4,
        0.45,
        0.5,
        0.55,
        0.6,
        0.65,
        0.7,
    ]
    assert made.at(made.low) == 0
    assert made.at(made.high) == 100


def test_axis_of_a_single_value_has_a_length() -> None:
    made = axis([Estimate(0.0, 0.0, 0.0)], 0, 100)
    assert made.low < 0 < made.high


def test_labels_cover_neither_each_other_nor_marks() -> None:
    centres = [(100.0 + 3 * n, 100.0 + 2 * n) for n in range(6)]
    spots = place_labels(centres, [60.0] * 6, Box(0, 0, 640, 420))
    boxes = [Box(x, y - 10, x + 60, y + 3) for x, y in filter(None, spots)]
    assert spots[0] is not None
    assert not any(a.overlaps(b) for a in boxes for b in boxes if a is not b)


def test_label_without_room_is_left_out() -> None:
    assert place_labels([(5.0, 5.0)], [600.0], Box(0, 0, 100, 100)) == [None]


def test_numbers_are_written_without_a_negative_zero() -> None:
    assert fixed(-0.00001) == "0.0000"
    assert number(-0.0000001) == "0"
    assert number(1000.0) == "1000"
