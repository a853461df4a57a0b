"""Passages cover the text exactly, break where a reader would, and keep their ids when something else changes (R3, R4)."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alas_assets.retrieval.chunk import _CODE_SEPARATORS, _PROSE_SEPARATORS, MAX_WORDS, outline, split

PAGE = "http://docs.example/a"

_LINES = st.one_of(
    st.sampled_from(
        [
            "",
            "",
            "# One",
            "## Two",
            "### Three",
            "```",
            "```python",
            "~~~",
            "- item",
            "  - nested",
            "1. first",
            "| a | b |",
            "####### x",
            "#",
            "\t",
        ]
    ),
    st.text(alphabet="ab .:#`-\t\u00a0\u2003é", max_size=60),
    st.integers(1, 400).map(lambda n: "word " * n),
    st.integers(1, 6000).map(lambda n: "x" * n),
)
_TEXTS = st.one_of(st.lists(_LINES, max_size=40).map("\n".join), st.text(max_size=400))


@given(_TEXTS)
@example("\n".join(["```", "word " * 171, " :", "word " * 47, "```"]))
@settings(max_examples=200, deadline=None)
def test_offsets_hold_passages_cover_all_text_and_ids_are_unique(text: str) -> None:
    chunks = split(text, PAGE)
    at = 0
    for number, chunk in enumerate(chunks):
        assert chunk.ordinal == number
        assert chunk.text == text[chunk.start : chunk.end]
        assert chunk.text == chunk.text.strip() != ""
        assert not text[at : chunk.start].strip()
        at = chunk.end
    assert not text[at:].strip()
    assert len({chunk.chunk_id for chunk in chunks}) == len(chunks)
    assert split(text, PAGE) == chunks


@given(_TEXTS)
@settings(max_examples=100, deadline=None)
def test_no_passage_grows_without_bound(text: str) -> None:
    headings = 40 * 400  # headings without text go with what follows them
    assert all(len(chunk.text) <= 14 * MAX_WORDS + headings for chunk in split(text, PAGE))


def test_passages_carry_their_headings_from_the_top_and_never_cross_one() -> None:
    text = "# Page\n\nIntro text.\n\n## A\n\n### A1\n\nBody one.\n\n## B\n\nBody two.\n"
    got = [(chunk.heading_path, chunk.text) for chunk in split(text, PAGE)]
    assert got == [
        (("Page",), "# Page\n\nIntro text."),
        (("Page", "A", "A1"), "## A\n\n### A1\n\nBody one."),
        (("Page", "B"), "## B\n\nBody two."),
    ]
    assert outline(text) == [(1, "Page"), (2, "A"), (3, "A1"), (2, "B")]


def test_long_sections_break_between_paragraphs_and_list_items_at_a_sensible_size() -> None:
    items = "\n".join(f"- Item {n} says that the option number {n} of the tool was changed in this release." for n in range(200))
    chunks = split(f"# Page\n\n{items}\n", PAGE)
    sizes = [len(chunk.text.split()) for chunk in chunks]
    assert all(60 <= size <= MAX_WORDS for size in sizes[:-1])
    assert all(chunk.text.startswith(("- Item", "# Page")) for chunk in chunks)


def test_fenced_code_stays_whole_and_its_comments_are_no_headings() -> None:
    code = "```python\n# not a heading\n\nx = 1\n```"
    chunks = split(f"# Page\n\n{'Some words come first. ' * 30}\n\n{code}\n\nAfter it.\n", PAGE)
    assert sum(code in chunk.text for chunk in chunks) == 1
    assert all(chunk.heading_path == ("Page",) for chunk in chunks)


def test_an_unclosed_fence_does_not_swallow_the_page() -> None:
    chunks = split("# A\n\n```python\nx = 1\n\n# B\n\nText of B.\n", PAGE)
    assert chunks[-1].heading_path == ("B",)


def test_many_unclosed_fences_take_no_time_that_grows_with_their_square() -> None:
    text = "\n".join(f"```open{n}" for n in range(60_000))
    assert split(text, PAGE)[-1].end == len(text)


@pytest.mark.parametrize("space", [" ", "\u00a0", "\t"])
@pytest.mark.parametrize("form", ["{}", "```\n{}\n```"])
def test_a_long_run_of_white_space_takes_no_time_that_grows_with_its_square(form: str, space: str) -> None:
    text = form.format("word " * 300 + space * 2_000_000 + "word " * 300)
    assert len(split(text, PAGE)) > 1


@given(st.text(alphabet="ab. \n\t\u2003", max_size=60).map(str.strip))
@settings(max_examples=500, deadline=None)
def test_lines_end_where_any_white_space_around_their_end_says(text: str) -> None:
    for found, meant in ((_PROSE_SEPARATORS[1], r"\s*\n\s*"), (_CODE_SEPARATORS[0], r"\s*\n")):
        assert [match.span() for match in found.finditer(text)] == [match.span() for match in re.finditer(meant, text)]


def test_an_introduction_that_ends_in_a_colon_stays_with_its_list() -> None:
    words = "word " * 70
    for n in range(20):
        chunks = split(f"# Page\n\n{words}{n}:\n\n- first item of list {n} {'with many more words ' * 8}\n- second item\n", PAGE)
        assert any(f"{n}:\n\n- first" in chunk.text for chunk in chunks)


def test_repeated_text_on_one_page_gets_ids_of_its_own_and_another_page_other_ids() -> None:
    text = "## Same\n\nThe same words.\n\n## Same\n\nThe same words.\n"
    here, there = split(text, PAGE), split(text, PAGE + "b")
    assert len({chunk.chunk_id for chunk in (*here, *there)}) == 4


def test_an_edit_renames_only_passages_near_it() -> None:
    items = [f"- Entry {n} tells that parameter p{n} of function f{n} now accepts the value v{n} as well." for n in range(300)]
    before = {chunk.chunk_id for chunk in split("# Log\n\n" + "\n".join(items), PAGE)}
    items.insert(3, "- A new entry stands here and pushes everything else further down the page.")
    after = {chunk.chunk_id for chunk in split("# Log\n\n" + "\n".join(items), PAGE)}
    assert len(before - after) <= 4
    assert len(after - before) <= 4
