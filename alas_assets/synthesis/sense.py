# ruff: noqa: SIM905 - word lists read better as text
"""What a text says whatever its inflection: the stems that carry meaning, the words that turn it round, the numbers it names.

Pure string functions for comparing statements. Whether two wordings are nearly the same is `synthesis.wording`'s.
"""

from __future__ import annotations

import re
from functools import lru_cache

from alas_assets.synthesis.wording import names_in_order, words

NOT = "not"
"""What every denial counts as."""
_STOP = frozenset(
    "a an the is are was were be been being has have had do does did will would in on at of for with as and or that which this these "
    "those it its there now also since than then so when".split()
)
_DENIALS = frozenset("not no never neither nor cannot without unless except".split())
_TURNS = frozenset("by from to into before after until under over more less least most only instead may might could should can".split())
_ENDING = re.compile(r"(?<=[a-z]{3})(?:ing|ed|es|e|s)$")


@lru_cache(maxsize=50_000)
def content(text: str) -> tuple[object, ...]:
    """Return what a question or statement asks, whatever its articles and tense.

    The order counts: "which function replaced `f`" and "which function `f` replaced" have the same words.
    """
    return content_stems(text), _names(text)


@lru_cache(maxsize=50_000)
def content_stems(text: str) -> tuple[str, ...]:
    """Return the stems of the words of a text that carry meaning, in their order."""
    return tuple(stem(word) for word in words(text) if word not in _STOP)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in names_in_order(text) if name not in _STOP)


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Return a word without its inflection: removes, removed and removing are one."""
    return _ENDING.sub("", word)


def turns(text: str) -> tuple[str, ...]:
    """Return the words that turn a sentence round, in their order; every denial is one."""
    found = (NOT if word in _DENIALS or word.endswith("n't") else word for word in words(text))
    return tuple(word for word in found if word == NOT or word in _TURNS)


def denies(text: str) -> bool:
    """Tell whether a text holds a denial: not, no, never, isn't."""
    return NOT in turns(text)


@lru_cache(maxsize=50_000)
def numbers(text: str) -> frozenset[str]:
    """Return the words of a text with a digit in them: releases, records, dates, amounts."""
    return frozenset(word for word in words(text) if any(char.isdigit() for char in word))
