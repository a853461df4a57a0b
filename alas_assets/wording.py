"""Words that users read: counts, durations, and docstrings without the specification's ids (U1)."""

import re

_IDS = re.compile(r"\s*\([A-Z]\d+(?:-[A-Z]?\d+)?(?:, [A-Z]\d+(?:-[A-Z]?\d+)?)*\)")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, which takes an s where there is not one of it."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def how_long(seconds: float) -> str:
    """Return a duration in the unit that suits it: 45 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def without_ids(text: str) -> str:
    """Return a text without the specification's ids in brackets, such as (E2-E4), which mean nothing to a user."""
    return _IDS.sub("", text)
