"""What is recognised of a removed text, in whatever form it is written down, and what is not."""

import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.provenance.takedown.marks import RUN, Finder, Marks, hashed, marks_of, redacted_json, strings_in, words_of

WORDS = [f"word{number}" for number in range(60)]
SENTENCE = st.lists(st.sampled_from(WORDS), min_size=RUN, max_size=20).map(" ".join)
FORMS = {
    "as it is": lambda text: text,
    "in capitals": str.upper,
    "as JSON": lambda text: json.dumps({"text": text}),
    "as JSON in JSON": lambda text: json.dumps({"inner": json.dumps([text])}),
    "with escaped line ends": lambda text: text.replace(" ", "\\n"),
    "as HTML": lambda text: f"<p>{html.escape(text).replace(' ', '</b> <b>')}</p>",
    "with entities": lambda text: text.replace(" ", "&nbsp;"),
    "in an address": lambda text: f"https://a.example/?q={quote(text)}",
    "in a form's address": lambda text: f"https://a.example/?q={text.replace(' ', '+')}&x=%20",
    "as Markdown": lambda text: "**" + text.replace(" ", "** _") + "_",
    "over several lines": lambda text: text.replace(" ", "\n> "),
    "in full-width letters": lambda text: "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text),
}


def finder_of(*texts: str, staying: tuple[str, ...] = (), whole: tuple[str, ...] = ()) -> Finder:
    return Finder(marks_of(texts, whole, staying, "salt"))


@pytest.mark.parametrize("form", FORMS)
@given(text=SENTENCE, before=st.text(max_size=30), after=st.text(max_size=30))
def test_a_removed_sentence_is_found_in_every_usual_form(form: str, text: str, before: str, after: str) -> None:
    written = FORMS[form](text)
    assert finder_of(text).touches(written)
    assert finder_of(text).touches(f"{before} {written} {after}") or "\\" in before + after or "<" in before + after


@given(text=SENTENCE, other=st.text())
def test_nothing_is_found_in_a_text_that_shares_no_run_of_words(text: str, other: str) -> None:
    shared = {" ".join(words_of(other)[at : at + RUN]) for at in range(len(words_of(other)))}
    runs = {" ".join(words_of(text)[at : at + RUN]) for at in range(len(words_of(text)) - RUN + 1)}
    if not shared & runs and not any(sign in other for sign in "\\<&%"):
        assert finder_of(text).runs(other) == frozenset()


@given(text=SENTENCE)
def test_what_stands_in_content_that_stays_is_not_searched_for_and_is_counted(text: str) -> None:
    marks = marks_of([text], [text], [f"also here: {text}, as it happens"], "salt")
    assert (marks.count, Finder(marks).touches(text)) == (0, False)
    assert marks.shared > 0


def test_a_short_question_counts_as_a_whole_and_one_of_two_words_is_only_counted() -> None:
    marks = marks_of([], ["Which module gained blot?", "Why quill?"], [], "salt")
    assert marks.too_short == 1
    finder = Finder(marks)
    assert finder.touches("he asked: which MODULE gained `blot()`, and got no answer")
    assert not finder.touches("which module gained nothing")


def test_marks_hold_no_word_of_the_text_and_differ_with_the_salt() -> None:
    text = "the secret gardener keeps seven walrus figures in the northern shed"
    one, two = (marks_of([text], [text], [], salt) for salt in ("a", "b"))
    assert not [word for word in words_of(text) if word in one.model_dump_json()]
    assert one.runs != two.runs
    assert hashed("Blot()", "a") == hashed("blot", "a") != hashed("blot", "b")
    assert Marks.model_validate_json(one.model_dump_json()) == one


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(value=JSON, text=SENTENCE)
def test_redacting_leaves_nothing_and_changes_nothing_else(value: object, text: str) -> None:
    finder = finder_of(text)
    planted = {"kept": value, "lists": [1, [f"x {text} y"]], f"key {text}": True}
    clean = redacted_json(planted, finder, "[gone]")
    assert not any(finder.touches(one) for one in strings_in(clean))
    assert clean["lists"] == [1, ["[gone]"]]
    assert clean["[gone]"] is True
    assert redacted_json(value, finder_of("a b c d e f g h i j"), "[gone]") == value or "a b c" in str(value)
