import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.teachers.extractive.answers import aliases, noun_for, noun_phrase, too_generic
from alas_assets.teachers.extractive.slots import find_slots


@pytest.mark.parametrize(
    ("name", "noun"),
    [
        ("parse()", "function"),
        ("os.walk()", "function"),
        ("Path.copy()", "method"),
        ("--with-mode=X", "command-line option"),
        ("PYTHON_COLOR", "environment variable"),
        ("ParseError", "exception"),
        ("SlowWarning", "warning"),
        ("__len__()", "special method"),
        ("__file__", "attribute"),
        ("MAX_SIZE", "constant"),
        ("TreeBuilder", "class"),
        ('get("x")', "call"),
        ("text/plain", "MIME type"),
        ("lowercase", ""),
    ],
)
def test_a_name_is_called_what_its_shape_says(name, noun):
    assert noun_for(name) == noun


def test_a_noun_phrase_takes_its_noun_from_the_text():
    named = noun_phrase("the undocumented `rows` attribute of `Table`")
    assert named is not None
    assert (named.names, named.noun, named.plural) == (("rows",), "undocumented attribute", False)


def test_a_parameter_needs_no_code_style():
    named = noun_phrase("the keep_empty parameter to `f()`")
    assert named is not None
    assert (named.names, named.noun) == (("keep_empty",), "parameter")
    assert noun_phrase("a new parameter to `f()`") is None


def test_a_possessive_is_no_name():
    assert noun_phrase("`calendar`'s output is new") is None


def test_aliases_are_other_spellings_only():
    assert aliases("os.path.walk()", "identifier") == ["os.path.walk", "path.walk()", "walk()", "walk"]
    assert aliases("Quill 5.0", "version") == ["5.0", "version 5.0"]
    assert aliases("PEP 8", "pep") == ["8", "PEP-8"]
    assert aliases("dark mode", "phrase") == []


def test_common_words_are_no_answers():
    assert too_generic("True")
    assert too_generic("'x'")
    assert not too_generic("frozendict")


def slots(rest):
    return [(slot.answer, slot.kind, slot.noun) for slot in find_slots(rest)]


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("be removed in Quill 5.0", ("Quill 5.0", "version", "Quill version")),
        ("OpenSSL 3.5 or later", ("OpenSSL 3.5", "version", "minimum OpenSSL version")),
        ("proposed in PEP 814", ("PEP 814", "pep", "PEP")),
        ("released on 9 October 2026", ("9 October 2026", "date", "date")),
        ("two additional arguments", ("two", "quantity", "additional arguments")),
        ("a `ParseError` when the input is empty", ("ParseError", "identifier", "exception")),
    ],
)
def test_slots_are_found_with_their_kind(rest, expected):
    assert expected in slots(rest)


@pytest.mark.parametrize(
    "rest",
    [
        "`a()` and `b()`",
        "set when `f()` is called",
        "enabled by setting the `X_Y` variable to 1",
        "available such as via `f()`",
        "Quill 3.9 and older",
    ],
)
def test_parts_that_cannot_be_taken_out_of_the_clause_are_no_slots(rest):
    assert slots(rest) == []


@given(st.text(max_size=120))
def test_no_text_breaks_the_finders(text):
    find_slots(text)
    noun_phrase(text)
    noun_for(text)
    aliases(text, "identifier")
