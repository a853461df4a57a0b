import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.teachers.extractive.clauses import conjuncts, imperative, invert, lower_first, parse, passive_object, starts_badly, trim
from alas_assets.teachers.extractive.words import article, base_form, plural_noun, singular_noun, singular_verb, third_person

NONE = frozenset()


def test_a_sentence_is_split_into_subject_adverb_verb_and_rest():
    clause = parse("The `Pad` action now supports long options.")
    assert clause is not None
    assert (clause.subject, clause.adverb, clause.verb, clause.rest) == ("The `Pad` action", "now", "supports", "long options")


def test_a_leading_adverbial_is_set_apart():
    clause = parse("On Windows, `f()` returns a path.")
    assert clause is not None
    assert (clause.lead, clause.subject) == ("On Windows", "`f()`")


def test_a_relative_clause_in_the_subject_does_not_give_the_main_verb():
    clause = parse("Functions that take a timeout now accept fractions.")
    assert clause is not None
    assert (clause.subject, clause.verb) == ("Functions that take a timeout", "accept")


def test_a_participle_is_not_the_main_verb():
    clause = parse("The method added in version 2 is slow on `x`.")
    assert clause is not None
    assert clause.verb == "is"


@pytest.mark.parametrize(
    "text",
    [
        "Added support for `x` when it is set.",
        "If the flag is set then `f()` must be called.",
        "Faster and smaller.",
        "In `f()` only `x` may be given.",
    ],
)
def test_what_is_no_plain_main_clause_is_not_read_as_one(text):
    assert parse(text) is None


def test_asides_relative_clauses_and_second_clauses_are_cut():
    assert trim("supports `a; b`; see below") == "supports `a; b`"
    assert trim("a list, which is long") == "a list"
    assert trim("the mode of the process, and so does the option") == "the mode of the process"
    assert trim("`f()`, `g()`, and `h()`") == "`f()`, `g()`, and `h()`"


def test_an_imperative_becomes_a_passive_clause():
    turned = imperative("Add the `pad` parameter to `f()`.")
    assert turned is not None
    assert turned[0].text == "the `pad` parameter was added to `f()`"
    assert turned[1].names == ("pad",)


def test_an_imperative_with_several_names_is_plural():
    turned = imperative("Removed the `a()` and `b()` functions from `m`.")
    assert turned is not None
    assert turned[0].verb == "were"


def test_an_unnamed_object_becomes_a_passive_subject():
    clause = passive_object("Changed the type for `.ai` files to `x/y`.")
    assert clause is not None
    assert clause.text == "the type for `.ai` files was changed to `x/y`"


def test_two_verb_groups_become_two_clauses():
    clause = parse("`f()` is deprecated and will be removed in Quill 5.0.")
    assert clause is not None
    assert [part.text for part in conjuncts(clause)] == ["`f()` is deprecated", "`f()` will be removed in Quill 5.0"]


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("`f()` will be removed.", "will `f()` be removed"),
        ("`f()` now raises `E`.", "does `f()` now raise `E`"),
        ("The `f()` and `g()` functions now raise `E`.", "do the `f()` and `g()` functions now raise `E`"),
        ("`f()` became slow.", "did `f()` become slow"),
    ],
)
def test_a_clause_is_put_into_question_order(text, question):
    clause = parse(text)
    assert clause is not None
    assert invert(clause, NONE) == question


def test_names_keep_their_capital_inside_a_question():
    assert lower_first("The parser is new", NONE) == "the parser is new"
    assert lower_first("Emscripten is supported", NONE) == "Emscripten is supported"
    assert lower_first("Quill files are", frozenset({"Quill"})) == "Quill files are"


@pytest.mark.parametrize(
    "text", ["It now accepts a path.", "This is new.", "The method has been deprecated.", "Code is imported for that purpose."]
)
def test_sentences_that_lean_on_others_are_told_apart(text):
    assert starts_badly(text)


def test_inflections():
    assert [third_person(v) for v in ("try", "pass", "use", "play")] == ["tries", "passes", "uses", "plays"]
    assert [base_form(v) for v in ("tries", "raises", "accepts", "became", "accept")] == ["try", "raise", "accept", "become", "accept"]
    assert [singular_verb(v) for v in ("are", "have", "accept", "acquires", "can")] == ["is", "has", "accepts", "acquires", "can"]
    assert [singular_noun(n) for n in ("classes", "methods", "properties", "class")] == ["class", "method", "property", "class"]
    assert [plural_noun(n) for n in ("files", "class", "status")] == [True, False, False]
    assert [article(w) for w in ("option", "function", "HTML page", "unit", "hook")] == ["an", "a", "an", "a", "a"]


@given(st.text(max_size=120))
def test_no_text_breaks_the_reader_of_clauses(text):
    for read in (parse, imperative, passive_object):
        read(text)
    trim(text)
    starts_badly(text)
