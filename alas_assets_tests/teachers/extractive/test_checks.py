"""The sentences of a page are searched as reading all of them would."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from alas_assets.teachers.extractive.checks import Sentences, content
from alas_assets.teachers.extractive.reading import read_units

WORDS = st.sampled_from(
    ["the", "parser", "parsers", "reads", "`run()`", "`a.b`", "lists", "Quill", "3.2", "module", "# Head\n\n", "- ", ". ", "\n\n"]
)
PAGES = st.lists(WORDS, max_size=60).map(" ".join) | st.text(max_size=80)


@given(PAGES, st.lists(st.sampled_from(["parser", "read", "run", "a.b", "list", "quill", "3.2", "modul", "head", "absent"]), max_size=3))
@example("", [])
def test_an_index_finds_the_sentences_that_hold_words_as_reading_them_all_does(text: str, wanted: list[str]) -> None:
    units = read_units(text, ["Quill", "lists"], "c", "Quill 3.2")
    held = [(unit, content(" ".join((unit.text, *unit.labels, *unit.headings[-1:])))) for unit in units]
    for words in (frozenset(wanted), *(words for _, words in held)):
        assert list(Sentences(units).holding(words)) == [unit for unit, own in held if words <= own]
