"""Characters that a reader never sees, so that words can be hidden in them or parted by them (S9).

What hidden words do to a text is decided where it is used; nothing is decided here.
"""

from __future__ import annotations

import re

_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def without_unseen(text: str) -> str:
    """Return a text without characters that have no shape: controls but tabs and line ends, soft hyphens, joiners, tags, fillers."""
    return _UNSEEN.sub("", text)
