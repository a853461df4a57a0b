"""Words of the code that users read too: docstrings and descriptions without the specification's ids (U1)."""

import re

_IDS = re.compile(r"\s*\([A-Z]\d+(?:-[A-Z]?\d+)?(?:, [A-Z]\d+(?:-[A-Z]?\d+)?)*\)")


def without_ids(text: str) -> str:
    """Return a text without the specification's ids in brackets, such as (E2-E4), which mean nothing to a user."""
    return _IDS.sub("", text)
