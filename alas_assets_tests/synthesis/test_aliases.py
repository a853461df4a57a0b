"""Which aliases of a teacher count as its answer, and when a sentence gives the answer."""

from __future__ import annotations

import pytest

from alas_assets.synthesis.aliases import is_form, says_something, states_answer, usable_aliases

REMOVED = "Widget 4.2 removes the deprecated `imp` library and waits 60 seconds."


def test_a_quote_states_an_answer_by_itself_or_by_another_form_of_it() -> None:
    assert states_answer(REMOVED, "imp", [])
    assert states_answer(REMOVED, "the imp loader", ["imp"])
    assert states_answer(REMOVED, "imp", ["imp library"])


@pytest.mark.parametrize("alias", ["library", "deprecated", "Widget 4.2", "imp"])
def test_a_quote_does_not_state_an_answer_by_an_alias_that_is_no_form_of_it(alias: str) -> None:
    assert not states_answer(REMOVED, "the distutils package", [alias])


@pytest.mark.parametrize(
    ("answer", "alias"),
    [
        ("the eggs module", "eggs"),
        ("eggs", "the eggs module"),
        ("line level", "line-level"),
        ("it permanently hangs the thread", "permanently hang the thread"),
        ("a single instance per interpreter", "single descriptor instance per interpreter"),
        ("No", "does not take order into account"),
        ("No", "no eggs"),
    ],
)
def test_the_same_words_in_another_form_are_a_form_of_the_answer(answer: str, alias: str) -> None:
    assert is_form(alias, answer)


@pytest.mark.parametrize(
    ("answer", "alias"),
    [
        ("the distutils package", "the deprecated package"),
        ("within 30 seconds of connecting", "60 seconds of connecting"),
        ("Yes", "the `imp` library"),
        ("Yes", "is not read"),
        ("No", "the `imp` library"),
    ],
)
def test_other_words_or_another_number_are_no_form_of_the_answer(answer: str, alias: str) -> None:
    assert not is_form(alias, answer)


def test_aliases_that_say_nothing_or_only_the_kind_or_what_the_quote_says_of_something_else_are_left_out() -> None:
    assert usable_aliases("imp", ["library", "a module", "removes", "it", "no", "`imp`", "the imp library", "imp.py"], REMOVED) == [
        "`imp`",
        "the imp library",
        "imp.py",
    ]


def test_a_piece_of_a_number_that_leaves_the_number_out_is_left_out() -> None:
    assert usable_aliases("30 seconds", ["seconds", "30", "30 s", "half a minute"], REMOVED) == ["30", "30 s", "half a minute"]
    assert usable_aliases("the generational GC from 3.13", ["generational GC"], REMOVED) == ["generational GC"]


def test_synonyms_that_are_not_said_of_something_else_stay() -> None:
    assert usable_aliases("Visual Studio 2026", ["MSVC 18", "Visual Studio"], "Built with Visual Studio 2026 (MSVC 18).") == [
        "MSVC 18",
        "Visual Studio",
    ]
    assert usable_aliases("keyword-only", ["as keyword arguments"], "All of them are keyword-only.") == ["as keyword arguments"]
    assert usable_aliases("a module", ["module"], "It becomes a module.") == ["module"]


def test_a_bare_yes_or_no_and_words_without_meaning_say_nothing_and_signs_do() -> None:
    assert not any(map(says_something, ("No", "yes", "it", "of the")))
    assert all(map(says_something, ("-a", "no eggs", "imp")))
