# ruff: noqa: SIM905 - word lists read better as text
"""Whether the numbers and values of an alias speak against the answer's: "3.14" beside "3.15", "30 minutes" beside "30 seconds" (S2).

Pure string functions. What else makes an alias unfit is `synthesis.aliases`'.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from alas_assets.evaluation.tokens import GENERIC, canonical, normalise
from alas_assets.evaluation.units import measured_apart, unit_of
from alas_assets.evaluation.values import VALUE_KINDS, compatible, kind_of, values_in

_PIECE = re.compile(r"(?<![\w)])-?\d+(?:\.\d+)*|\d+(?:\.\d+)*|[^\W\d_]+")
_COUNTED_OTHERWISE = frozenset(
    "half third quarter quarters thirds dozen hundred thousand million billion trillion k m g bn mn x percent thirty forty fifty sixty "
    "seventy eighty ninety times e".split()
)
"""Words with which a number means another one; where one side alone has such a word, the two are not compared."""


@dataclass(frozen=True)
class _Amounts:
    numbers: tuple[str, ...]
    units: tuple[str, ...]
    beside: frozenset[str]


def conflict(alias: str, answer: str) -> bool:
    """Tell whether an alias gives another value or number than the answer, in the answer's own words or in none.

    With other words beside it, another number may be another name of the same thing: "MSVC 18" is Visual Studio 2026.
    """
    kind = kind_of(answer)
    if kind in VALUE_KINDS:
        said, meant = (values_in(normalise(text), kind) for text in (alias, answer))
        if said and meant:
            return not any(compatible(kind, one, other) for one, _ in said for other, _ in meant)
    mine, its = _amounts(alias), _amounts(answer)
    if not mine.numbers or len(mine.numbers) != len(its.numbers) or (mine.beside ^ its.beside) & _COUNTED_OTHERWISE:
        return False
    if not (mine.beside <= its.beside or its.beside <= mine.beside):
        return False
    if len(mine.numbers) == len(mine.units) == len(its.units) == 1 and all(map(_is_plain, (*mine.numbers, *its.numbers))):
        return measured_apart((float(mine.numbers[0]), mine.units[0]), (float(its.numbers[0]), its.units[0]))
    return Counter(mine.numbers) != Counter(its.numbers)


def _amounts(text: str) -> _Amounts:
    numbers: list[str] = []
    units: list[str] = []
    beside: set[str] = set()
    for piece in _PIECE.findall(normalise(text)):
        word = canonical(piece, "quantity")
        if word.lstrip("-")[0].isdecimal():
            numbers.append(canonical(word, "version"))
        elif unit := unit_of(word):
            units.append(unit)
        elif word not in GENERIC:
            beside.add(word)
    return _Amounts(tuple(numbers), tuple(units), frozenset(beside))


def _is_plain(number: str) -> bool:
    return number.count(".") < 2
