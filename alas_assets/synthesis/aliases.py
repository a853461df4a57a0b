# ruff: noqa: SIM905 - word lists read better as text
"""Which other forms of an answer a teacher may name, and whether a sentence gives the answer by one of them (S2, E3).

A teacher is no authority on its own aliases: each is a right answer for the grader, and one in the quote would vouch for an answer that
is not there. Pure string functions; which numbers speak against each other is `synthesis.amounts`', what a refusal means for a fact
`synthesis.curate`'s.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Sequence
from functools import partial

from alas_assets.evaluation import tokens
from alas_assets.evaluation.denials import opens_unknowing
from alas_assets.evaluation.rivals import LITERALS
from alas_assets.evaluation.tokens import GENERIC
from alas_assets.synthesis.amounts import conflict
from alas_assets.synthesis.sense import content_stems, denies, stem
from alas_assets.synthesis.wording import hard_tokens, holds_answer, mentions, normalise, plain, words

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
_NO_ALIAS = frozenset({"none", "null", "na", "n/a", "n.a", "not applicable", "not available", "no alias", "no aliases"})
"""What is written where there is no alias to name, in the comparing form without its outer marks."""
_EMPTY = frozenset("nothing nil null none zero 0 empty void absence absent missing nobody nowhere".split())
"""Answers, or words of them, of which "none" may be another form; so it may be of one that denies ("no limit")."""
_EXCEPTIONS = {name.casefold(): kind for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)}


def says_something(answer: str) -> bool:
    """Tell whether an answer is more than a yes, a no or a word without meaning; signs such as `-a` are names."""
    return normalise(answer) not in _POLARITY and (bool(content_stems(answer)) or not answer.replace(" ", "").isalpha())


def states_answer(quote: str, answer: str, aliases: Iterable[str]) -> bool:
    """Tell whether a quote holds an answer, itself or by an alias that is another form of it; one that says nothing vouches for none."""
    forms = [answer, *(alias for alias in aliases if is_form(alias, answer))]
    return any(says_something(form) and holds_answer(quote, form) for form in forms)


def is_kind(text: str) -> bool:
    """Tell whether a text only says what a thing is, not which ("library").

    Two such words are a name: "keyword argument"; so is what has a sign, as files().
    """
    telling = [word for word in words(text) if word not in GENERIC]
    return text.replace(" ", "").isalpha() and len(telling) <= 1 and all(stem(word) in _KINDS for word in telling)


def usable_aliases(answer: str, aliases: Sequence[str], quote: str) -> list[str]:
    """Return the aliases that may count as the answer.

    Left out is what says nothing by itself, what only says of what kind the answer is, a piece of the answer without its number
    ("seconds" of "30 seconds"), and a plain word that the quote says of something else: "it", "library" and "removes" of "Widget 4.2
    removes the `imp` library". So is what says that there is no alias ("none", "unknown"), and what names something else in the place of
    the answer: another number or value, True for False, TypeError for ValueError.
    """
    unfit = (_is_no_alias, _only_says_the_kind, _lacks_the_number, conflict, _is_another_name, partial(_is_another_word, quote=quote))
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


def _is_no_alias(alias: str, answer: str) -> bool:
    if mentions(answer, alias):
        return False
    bare = plain(alias).strip(" .!()[]'\"-")
    if bare not in _NO_ALIAS:
        return opens_unknowing(tokens.normalise(alias)) and not is_form(alias, answer)
    return bare not in _EMPTY or not (denies(answer) or normalise(answer) in _POLARITY or _EMPTY.intersection(words(answer)))


def _is_another_name(alias: str, answer: str) -> bool:
    """Tell whether an alias is the answer but for one word, in the place of which another literal or exception stands."""
    mine, its = (tokens.words(text.replace("()", "")) for text in (alias, answer))
    others = [(one, other) for one, other in zip(mine, its, strict=False) if one != other]
    return len(mine) == len(its) and len(others) == 1 and (_are_literals(*others[0]) or _are_exceptions(*others[0]))


def _are_literals(one: str, other: str) -> bool:
    return any({one, other} <= {literal.casefold() for literal in family} for family in LITERALS)


def _are_exceptions(one: str, other: str) -> bool:
    """Tell whether two words name built-in exceptions of which neither is the other, nor a kind of it."""
    kinds = _EXCEPTIONS.get(one), _EXCEPTIONS.get(other)
    return kinds[0] is not None and kinds[1] is not None and not (issubclass(kinds[0], kinds[1]) or issubclass(kinds[1], kinds[0]))


def _only_says_the_kind(alias: str, answer: str) -> bool:
    return is_kind(alias) and not is_kind(answer)


def _lacks_the_number(alias: str, answer: str) -> bool:
    """Tell whether an alias is a piece of a number with one word beside it, such as a unit, that leaves the number out."""
    numbers, beside = _numbers(answer), set(content_stems(answer)) - _numbers(answer)
    return bool(numbers) and len(beside) <= 1 and not _numbers(alias) and mentions(answer, alias)


def _is_another_word(alias: str, answer: str, quote: str) -> bool:
    return alias.isalpha() and not hard_tokens(alias) and mentions(quote, alias) and not is_form(alias, answer)
