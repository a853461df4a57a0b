"""Which aliases of a teacher count as its answer, and when a sentence gives the answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.synthesis.aliases import is_form, says_something, states_answer, usable_aliases
from alas_assets.synthesis.claims import Claim, one_answer

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


@pytest.mark.parametrize(
    ("answer", "alias"),
    [
        ("ValueError", "none"), ("ValueError", "None."), ("ValueError", "(none)"), ("7 workers", "none"), ("7 workers", "N/A"),
        ("7 workers", "n/a"), ("ValueError", "unknown"), ("ValueError", "not sure"), ("ValueError", "I do not know"), ("True", "null."),
        ("no limit", "unknown"), ("no limit", "n/a"), ("ValueError", "not applicable"),
        ("3.15", "3.14"), ("3.15", "Python 3.14"), ("Python 3.15", "3.14"), ("3.15.0a1", "3.15.0 alpha 2"), ("Rust 1.88", "Rust 1.87"),
        ("PEP 810", "PEP 811"), ("PEP 810", "811"), ("CVE-2026-1234", "CVE-2026-1235"), ("gh-12345", "#12346"),
        ("October 2027", "October 2026"), ("1 October 2026", "2026-10-02"), ("2026", "2025"),
        ("30 seconds", "30 minutes"), ("30 seconds", "60 seconds"), ("30 seconds", "30ms"), ("30s", "30 min"), ("8 GB", "8 MB"),
        ("8 GB", "9GiB"), ("90 minutes", "2 hours"), ("5", "six"), ("five", "6"),
        ("5 workers", "6 workers"), ("5 workers", "6"), ("10%", "20 percent"), ("-40", "40"), ("$5 million", "$6 million"),
        ("SHA-256", "SHA-512"), ("UTF-8", "utf16"), ("int64", "int32"), ("Apache 2.0", "Apache-1.1"), ("2 to 4", "2 to 5"),
        ("True", "False"), ("`True`", "`False`"), ("True", "false"), ("False", "None"), ("null", "true"),
        ("defaults to True", "defaults to False"),
        ("ValueError", "TypeError"), ("`ValueError`", "`TypeError`"), ("ValueError", "TypeError()"), ("a ValueError", "a TypeError"),
        ("DeprecationWarning", "FutureWarning"), ("KeyboardInterrupt", "SystemExit"),
    ],
)  # fmt: skip
def test_an_alias_that_says_there_is_none_or_names_something_else_is_left_out(answer: str, alias: str) -> None:
    assert usable_aliases(answer, [alias], "") == []


@pytest.mark.parametrize(
    ("answer", "alias"),
    [
        ("None", "none"), ("None", "`None`"), ("None", "null"), ("null", "None"), ("no limit", "none"), ("nothing", "none"),
        ("0", "none"), ("absence", "null"), ("silence", "nothing"),
        ("zero workers", "none"), ("none of them", "none"), ("unknown", "`unknown`"), ("unknown host", "unknown"),
        ("keys that are unknown", "unknown keys"), ("UnknownError", "unknown_error"), ("ValueError", "NoneType error"),
        ("3.15", "3.15.0"), ("3.15", "Python 3.15"), ("Python 3.15", "3.15"), ("3.15.0a1", "3.15.0 alpha 1"), ("PEP 810", "810"),
        ("CVE-2026-1234", "2026-1234"), ("gh-12345", "#12345"), ("1 October 2026", "2026-10-01"), ("October 2027", "2027-10"),
        ("October 2027", "1 October 2027"), ("3.15", "the next release"), ("1.8", "1.8 (Java 8)"),
        ("5", "five"), ("five", "5"), ("5 workers", "five"), ("30 seconds", "30s"), ("30 seconds", "30 sec"), ("30 seconds", "30"),
        ("30 seconds", "half a minute"), ("60 seconds", "1 minute"), ("60 seconds", "one minute"), ("1 second", "1000 ms"),
        ("1 MB", "1000 KB"), ("1 MB", "1024 KB"), ("1 MB", "1 MiB"), ("90 minutes", "1 h 30 min"), ("90 minutes", "1.5 hours"),
        ("1,000", "1000"), ("1000", "1k"), ("100", "one hundred"), ("42", "forty-two"), ("10%", "10 percent"), ("0.5", "one half"),
        ("1024", "2^10"), ("5,000,000", "5 million"), ("10%", "0.1"), ("$1,500", "1500 dollars"),
        ("SHA-256", "SHA256"), ("UTF-8", "utf8"), ("Apache-2.0", "Apache License 2.0"), ("x86-64", "amd64"), ("ruby3", "ruby"),
        ("Visual Studio 2026", "MSVC 18"), ("between 2 and 4", "2-4"), ("the second one", "the second"),
        ("True", "yes, always"), ("True", "1"), ("True", "enabled"), ("raises ValueError", "a ValueError"),
        ("OSError", "IOError"), ("OSError", "EnvironmentError"), ("OSError", "FileNotFoundError"), ("ValueError", "exceptions.ValueError"),
        ("ValueError", "ConfigError"), ("JSONDecodeError", "ValueError"), ("json.load()", "load"),
    ],
)  # fmt: skip
def test_an_alias_that_says_the_same_otherwise_stays(answer: str, alias: str) -> None:
    assert usable_aliases(answer, [alias], "") == [alias]


def test_two_facts_whose_only_alias_says_that_there_is_none_do_not_agree() -> None:
    quotes = {"7 workers": "The pool has 7 workers.", "9 workers": "The pool has 9 workers."}
    claims = [
        Claim(answer, f"http://{i}.example/", quote, answer, tuple(usable_aliases(answer, ["none"], quote)), "quantity", (), "")
        for i, (answer, quote) in enumerate(quotes.items())
    ]
    assert not one_answer(*claims)
    assert one_answer(claims[0], claims[0])


@given(answer=st.text(max_size=40), aliases=st.lists(st.text(max_size=40), max_size=3))
def test_any_aliases_of_any_answer_are_looked_through_without_an_error_and_none_is_made_up(answer: str, aliases: list[str]) -> None:
    kept = usable_aliases(answer, [*aliases, answer], "a quote")
    assert [alias for alias in [*aliases, answer] if alias in kept] == kept
    assert (answer in kept) == says_something(answer)


def test_a_bare_yes_or_no_and_words_without_meaning_say_nothing_and_signs_do() -> None:
    assert not any(map(says_something, ("No", "yes", "it", "of the")))
    assert all(map(says_something, ("-a", "no eggs", "imp")))
