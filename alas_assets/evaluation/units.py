"""Units of time and size: which spellings are one, and how the units of a kind measure against each other.

Text only. What a number with a unit is worth as an answer is `evaluation.grading`'s, as another form of one `synthesis.amounts`'.
"""

from __future__ import annotations

_SPELLINGS = {
    "nanosecond": "nanoseconds ns nsec nsecs",
    "microsecond": "microseconds us \u03bcs usec usecs",
    "millisecond": "milliseconds ms msec msecs",
    "second": "seconds s sec secs",
    "minute": "minutes min mins",
    "hour": "hours h hr hrs",
    "day": "days",
    "week": "weeks",
    "byte": "bytes",
    "kilobyte": "kilobytes kb",
    "megabyte": "megabytes mb",
    "gigabyte": "gigabytes gb",
    "terabyte": "terabytes tb",
    "kibibyte": "kibibytes kib",
    "mebibyte": "mebibytes mib",
    "gibibyte": "gibibytes gib",
    "tebibyte": "tebibytes tib",
}
_UNITS = {spelling: unit for unit, others in _SPELLINGS.items() for spelling in (unit, *others.split())}
"""Spellings that mean one unit wherever they stand behind a number; "m", "b" and "k" may mean several, and are none."""
_SECONDS = {
    "nanosecond": 1e-9,
    "microsecond": 1e-6,
    "millisecond": 1e-3,
    "second": 1.0,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86_400.0,
    "week": 604_800.0,
}
_BYTES = {
    "byte": 1.0,
    "kilobyte": 1e3,
    "megabyte": 1e6,
    "gigabyte": 1e9,
    "terabyte": 1e12,
    "kibibyte": 2.0**10,
    "mebibyte": 2.0**20,
    "gibibyte": 2.0**30,
    "tebibyte": 2.0**40,
}
_ROUNDING = 1e-6
_DECIMAL_FOR_BINARY = 0.11
"""By how much a size may differ from another, as "1 MB" is said of 1000 KB and of 1024: a terabyte is 10 % less than 1024 ** 4 bytes."""


def unit_of(word: str) -> str | None:
    """Return the unit that a word spells, "second" for "s"; None where it spells none, or may spell several."""
    return _UNITS.get(word)


def measured_apart(one: tuple[float, str], other: tuple[float, str]) -> bool:
    """Tell whether two numbers, each with its unit, measure the same kind of thing and differ; what is of two kinds cannot be compared."""
    for factors, spare in ((_SECONDS, _ROUNDING), (_BYTES, _DECIMAL_FOR_BINARY)):
        if one[1] in factors and other[1] in factors:
            a, b = (number * factors[unit] for number, unit in (one, other))
            return abs(a - b) > (_ROUNDING if one[1] == other[1] else spare) * max(abs(a), abs(b))
    return False
