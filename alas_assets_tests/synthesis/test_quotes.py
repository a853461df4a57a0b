"""Quotes are found exactly after folding, and their offsets lead back to the stored text."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alas_assets.provenance import ids
from alas_assets.synthesis.quotes import _MARKS, FoldedText, ShownText, explain_missing, shown

# white space of many kinds, combining marks in and out of order, Hangul jamo, Indic vowel signs, singletons
HOSTILE = st.text(
    alphabet="ab1. \t\n\u00a0\u2000\u3000\u0301\u0323\u0f71\u0f73\u1100\u1161\u11a8\u09c7\u09be\u2126é\u0cc6\u0cc2\u0cd5", max_size=40
)


@given(HOSTILE)
@example("a\u0f73\u0301")
@example(" \u0301x")
def test_a_folded_text_is_what_ids_fold_gives(text: str) -> None:
    assert FoldedText(text).folded == ids.fold(text)


@given(st.text(max_size=60))
def test_any_text_folds_as_ids_fold_does(text: str) -> None:
    assert FoldedText(text).folded == ids.fold(text)


@given(HOSTILE, st.data())
def test_a_located_slice_folds_to_the_quote(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    quote = text[start : data.draw(st.integers(start, len(text)))]
    place = FoldedText(text).locate(quote)
    if place is not None:
        assert ids.fold(text[place[0] : place[1]]) == ids.fold(quote)


@given(st.lists(st.sampled_from(["alpha", "3.15", "`x.y`", "été"]), min_size=3, max_size=12), st.data())
def test_whole_words_of_a_text_are_always_found(words: list[str], data: st.DataObject) -> None:
    gaps = data.draw(st.lists(st.sampled_from([" ", "\n", "  \t", "\u00a0"]), min_size=len(words), max_size=len(words)))
    text = "".join(word + gap for word, gap in zip(words, gaps, strict=True))
    quote = " ".join(words[1:-1])
    place = FoldedText(text).locate(quote)
    assert place is not None
    assert ids.fold(text[place[0] : place[1]]) == ids.fold(quote)


def test_a_quote_that_cuts_a_number_or_word_is_not_found_but_a_later_whole_one_is() -> None:
    text = FoldedText("released with Python 3.15 and Python 3.1 too")
    assert text.locate("Python 3.1") == (30, 40)
    assert text.locate("Python 3") is None
    assert text.locate("eleased with") is None


@pytest.mark.parametrize(
    ("stored", "cut", "whole"),
    [
        ("To stop it call `server.close_clients()` first.", "call `server.close", "call `server.close_clients()`"),
        ("To stop it call `server.close_clients()` first.", "clients()` first.", "server.close_clients()` first."),
        ("It sets foo__bar to 1.", "It sets foo", "It sets foo__bar"),
        ("It starts with release 4.2-beta1 of Widget.", "with release 4.2", "with release 4.2-beta1"),
        ("It starts with release 4.2-beta1 of Widget.", "beta1 of Widget.", "4.2-beta1 of Widget."),
        ("The default priority is -5 and may rise.", "5 and may rise.", "-5 and may rise."),
        ("The default priority is \u22125 and may rise.", "5 and may rise.", "\u22125 and may rise."),
        ("Its range is -5 to +5 points.", "5 points.", "+5 points."),
    ],
)
def test_a_quote_that_cuts_a_name_or_the_sign_of_a_number_is_not_found(stored: str, cut: str, whole: str) -> None:
    for text in (FoldedText(stored), ShownText(stored)):
        assert text.locate(cut) is None
        assert text.locate(whole) is not None


@pytest.mark.parametrize(
    ("stored", "quote"),
    [
        ("_The spam module_ was removed.", "The spam module"),
        ("It is gone -- the loader is not.", "It is gone"),
        ("Use `-a`: it lists all.", "a`: it lists all."),
        ("Three left: - 5 of them new.", "5 of them new."),
        ("`__slots__` may be set.", "slots__` may be set."),
    ],
)
def test_a_dash_or_emphasis_beside_a_quote_cuts_nothing(stored: str, quote: str) -> None:
    assert FoldedText(stored).locate(quote) is not None


def test_a_quote_in_decomposed_letters_is_found_with_offsets_into_the_stored_form() -> None:
    stored = "the cafe\u0301  opened"
    assert FoldedText(stored).locate("caf\u00e9 opened") == (4, len(stored))


def test_pieces_of_texts_are_told_from_inventions() -> None:
    texts = "the parser now reads lists of names\x00a warning is shown on every start"
    assert explain_missing("the parser now reads ... a warning is shown", texts) == "stitched"
    assert explain_missing("lists of names a warning is shown", texts) == "stitched"
    assert explain_missing("the parser now writes poems about spring weather", texts) == "nowhere"


@given(st.text(), st.text())
def test_explaining_a_missing_quote_never_raises(quote: str, texts: str) -> None:
    explain_missing(quote, texts)


MARKDOWN = st.lists(
    st.sampled_from(["`fold`", "**new**", "plain", "3.15", "it’s", "- item", "\n- next", "# Head", "| cell |", "a|b", "zero\u200bwidth"]),
    max_size=10,
).map(" ".join)


@given(MARKDOWN, st.data())
def test_what_a_reader_sees_of_a_slice_is_found_where_it_stands(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    quote = shown(text[start : data.draw(st.integers(start, len(text)))])
    place = ShownText(text).locate(quote)
    if place is not None:
        assert shown(text[slice(*place)]) == shown(quote)


@given(st.text(max_size=60), st.text(max_size=20))
def test_any_text_can_be_searched_as_a_reader_sees_it(text: str, quote: str) -> None:
    place = ShownText(text).locate(quote)
    assert place is None or 0 <= place[0] < place[1] <= len(text)


def test_a_quote_without_marks_is_found_in_a_marked_up_text_and_the_slice_takes_its_marks_along() -> None:
    stored = "# New\n\n- gh-12: the `fold()` function\n  now **never** returns it’s `None`."
    text = ShownText(stored)
    place = text.locate("the fold() function now never returns it's None")
    assert place is not None
    assert stored[slice(*place)] == "the `fold()` function\n  now **never** returns it’s `None`"
    assert text.locate("gh-12: the fold() function") is not None
    assert text.locate("fold() functions") is None
    assert text.locate("old() function") is None


def test_a_quote_runs_over_list_items_and_table_cells_as_a_reader_sees_them() -> None:
    stored = "New:\n\n- `fold()`\n- `crease()`\n\n| Old | New |\n| --- | --- |\n| `dip` | `sip` |"
    text = ShownText(stored)
    assert text.locate("New: fold() crease()") == (0, stored.index("\n\n| Old"))
    assert text.locate("Old New dip sip") is not None


PLAIN_MARKS = re.compile(
    r"^[ \t]*(?:[-+>*]|#{1,6})[ \t]+|^[ \t]*\|?(?:[ \t]*:?-{3,}:?[ \t]*\|)+(?:[ \t]*:?-{3,}:?)?[ \t]*$|[`*|]", re.MULTILINE
)
"""The marks in the form in which they are easiest to read; slow on long runs of white space."""
RULES = st.lists(
    st.sampled_from([" ", "\t", "\n", "|", ":", "-", "---", ":-----:", "- ", "#", "*", "`", "x", "| --- |", "\r"]), max_size=16
)


@settings(max_examples=500)
@given(RULES.map("".join) | st.text("|:- \t\n", max_size=24) | st.text(max_size=40))
@example("  | --- | :---: | --- \n")
@example("---|---\n \t|---|")
def test_the_marks_are_those_of_the_plain_pattern(text: str) -> None:
    assert [match.span() for match in _MARKS.finditer(text)] == [match.span() for match in PLAIN_MARKS.finditer(text)]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("run", [" ", "\t", "-", "--- ", "--- |", "|", ":", "\n", "\n ", "`", "# "])
def test_a_passage_of_one_long_run_is_read(run: str) -> None:
    stored = "x\n" + run * (200_000 // len(run)) + "end of it"
    place = ShownText(stored).locate("end of it")
    assert place is not None
    assert stored[slice(*place)].lstrip("`") == "end of it"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("run", ["_", "-"])
def test_a_quote_that_stands_at_each_place_of_a_long_run_is_looked_for_once_through(run: str) -> None:
    assert FoldedText(f"a{run * 200_000}b").locate(f"{run}b c") is None
    assert FoldedText(f"a{run * 200_000}b").locate(run) is not None
