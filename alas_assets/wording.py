"""Words that users read: docstrings and descriptions without the specification's ids, and how long something takes (U1)."""

import re

_IDS = re.compile(r"\s*\([A-Z]\d+(?:-[A-Z]?\d+)?(?:, [A-Z]\d+(?:-[A-Z]?\d+)?)*\)")


def how_long(seconds: float) -> str:
    """Return a duration in the unit that suits it: 45 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def without_ids(text: str) -> str:
    """Return a text without the specification's ids in brackets, such as (E2-E4), which mean nothing to a user."""
    return _IDS.sub("", text)
