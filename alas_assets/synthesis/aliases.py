# ruff: noqa: SIM905 - word lists read better as text
"""Which other forms of an answer a teacher may name, and whether a sentence gives the answer by one of them (S2, E3).

A teacher is no authority on its own aliases: each is a right answer for the grader, and one in the quote would vouch for an answer that
is not there. Pure string functions; what a refusal means for a fact is `synthesis.curate`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import partial

from alas_assets.evaluation.tokens import GENERIC
from alas_assets.synthesis.sense import content_stems, denies, stem
from alas_assets.synthesis.wording import hard_tokens, holds_answer, mentions, normalise, words

_POLARITY = frozenset({"yes", "no", "not"})
_KINDS = frozenset(
    stem(word)
    for word in (
        "api argument attribute change class command constant exception feature field file flag function item keyword language library "
        "method module name object one option package parameter part program project property section setting software something system "
        "thing tool type value variable warning word".split()
    )
)
"""What a thing is, not which: where the answer is a module, "module" is no answer."""
_PART = re.compile(r"[^\W_]+")


def says_something(answer: str) -> bool:
    """Tell whether an answer is more than a yes, a no or a word without meaning; signs such as `-a` are names."""
    return normalise(answer) not in _POLARITY and (bool(content_stems(answer)) or not answer.replace(" ", "").isalpha())


def states_answer(quote: str, answer: str, aliases: Iterable[str]) -> bool:
    """Tell whether a quote holds an answer, itself or by an alias that is another form of it; one that says nothing vouches for none."""
    forms = [answer, *(alias for alias in aliases if is_form(alias, answer))]
    return any(says_something(form) and holds_answer(quote, form) for form in forms)


def usable_aliases(answer: str, aliases: Sequence[str], quote: str) -> list[str]:
    """Return the aliases that may count as the answer.

    Left out is what says nothing by itself, what only says of what kind the answer is, a piece of the answer without its number
    ("seconds" of "30 seconds"), and a plain word that the quote says of something else: "it", "library" and "removes" of "Widget 4.2
    removes the `imp` library".
    """
    unfit = (_is_kind, _lacks_the_number, partial(_is_another_word, quote=quote))
    return [alias for alias in aliases if says_something(alias) and not any(found(alias, answer) for found in unfit)]


def is_form(alias: str, answer: str) -> bool:
    """Tell whether an alias is an answer in other words: one lies in the other, or they share more than half of the shorter one's words.

    A "no" shares its denial: "does not take order into account". Words are shared only where all numbers are.
    """
    if mentions(answer, alias) or mentions(alias, answer):
        return True
    if normalise(answer) in _POLARITY:
        return normalise(answer) != "yes" and denies(alias)
    mine, its = _meant(alias), _meant(answer)
    return _numbers(alias) == _numbers(answer) and 2 * len(mine & its) > min(len(mine), len(its))


def _meant(text: str) -> frozenset[str]:
    """Return the stems of the parts of words: line-level is line and level."""
    return frozenset(stem(part) for word in content_stems(text) for part in _PART.findall(word))


def _numbers(text: str) -> frozenset[str]:
    return frozenset(word for word in words(text) if word[0].isdigit())


def _is_kind(alias: str, answer: str) -> bool:
    return _only_says_the_kind(alias) and not _only_says_the_kind(answer)


def _only_says_the_kind(text: str) -> bool:
    """Two such words are a name: "keyword argument"; so is what has a sign, as files()."""
    telling = [word for word in words(text) if word not in GENERIC]
    return text.replace(" ", "").isalpha() and len(telling) <= 1 and all(stem(word) in _KINDS for word in telling)


def _lacks_the_number(alias: str, answer: str) -> bool:
    """Tell whether an alias is a piece of a number with one word beside it, such as a unit, that leaves the number out."""
    numbers, beside = _numbers(answer), set(content_stems(answer)) - _numbers(answer)
    return bool(numbers) and len(beside) <= 1 and not _numbers(alias) and mentions(answer, alias)


def _is_another_word(alias: str, answer: str, quote: str) -> bool:
    return alias.isalpha() and not hard_tokens(alias) and mentions(quote, alias) and not is_form(alias, answer)
