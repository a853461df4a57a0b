"""What counts as the same wording, the same identity, the same answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.synthesis.wording import (
    WORDING_SHARE,
    NearIndex,
    WordingIndex,
    differ_in_identity,
    jaccard,
    mentions,
    near_equal,
    normalise,
    shared_wording,
    word_set,
)


@pytest.mark.parametrize(
    ("text", "phrase", "named"),
    [
        ("It came in Python 3.15.", "3.15", True),
        ("It came in Python 3.15.", "3.1", False),
        ("It came in Python 3.15.", "3", False),
        ("It came in 3.15.2", "3.15", False),
        ("Call `os.path.join()` now", "os.path.join", True),
        ("Call `os.path.join()` now", "join", True),
        ("The garbage collectors", "garbage collector", False),
        ("See [the `frozendict` type](http://x/y) now", "the frozendict type", True),
        ("It returns `*`", "*", True),
        ("CVE-2026-12345 is fixed", "CVE-2026-1234", False),
        ("anything", "", False),
    ],
)
def test_an_answer_is_named_only_as_a_whole_word_or_number(text: str, phrase: str, named: bool) -> None:
    assert mentions(text, phrase) is named


def test_operators_and_numbers_make_questions_differ() -> None:
    assert normalise("What is 7 + 5?") != normalise("What is 7 - 5?")
    assert normalise("What is  the Capital of France?") == normalise("what is the **capital** of France")


def test_sentences_differ_when_one_names_an_identifier_the_other_does_not() -> None:
    assert differ_in_identity("`foo` was added in 3.15", "`bar` was added in 3.15")
    assert differ_in_identity("It was added in 3.14", "It was added in 3.15")
    assert not differ_in_identity("The `foo` type was added in 3.15", "In 3.15 the foo type was added")


def test_capitals_of_two_countries_are_two_questions_and_a_reordered_one_is_the_same() -> None:
    assert not near_equal("What is the capital of France?", "What is the capital of Spain?")
    assert near_equal("What is the capital of France?", "Of France, what is the capital?")
    assert near_equal("Tell me: what is the capital of France?", "What is the capital of France?")


QUESTIONS = st.one_of(st.text(alphabet="ab c.?*`-+é½", max_size=30), st.lists(st.sampled_from("abcdefgh"), max_size=12).map(" ".join))


@given(st.lists(QUESTIONS, max_size=8), QUESTIONS)
def test_the_index_finds_exactly_what_comparing_all_finds(texts: list[str], text: str) -> None:
    assert NearIndex(texts).find(text) == [i for i, other in enumerate(texts) if near_equal(text, other)]
    index = WordingIndex(texts)
    assert index.holding(text) == [i for i, other in enumerate(texts) if has_wording(text, other)]
    assert index.held_by(text) == [i for i, other in enumerate(texts) if has_wording(other, text)]


def has_wording(text: str, other: str) -> bool:
    return normalise(text) == normalise(other) or shared_wording(text, other) > WORDING_SHARE


@given(st.text(), st.text())
def test_comparisons_never_raise_and_stay_between_0_and_1(one: str, other: str) -> None:
    mentions(one, other)
    differ_in_identity(one, other)
    assert 0 <= shared_wording(one, other) <= 1
    assert 0 <= jaccard(word_set(one), word_set(other)) <= 1
    assert near_equal(one, one)
