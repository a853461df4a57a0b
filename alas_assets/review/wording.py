"""Comparing what was exported with what comes back, and words of people that enter our tables (E6, S13)."""

from __future__ import annotations

import unicodedata

from alas_assets.provenance.ids import fold

MAX_WORDS = 200


def visible(text: str | None) -> str:
    """Return the part of a text that survives a spreadsheet: no control or format characters, white space folded."""
    kept = (" " if char.isspace() else char for char in text or "" if char.isspace() or unicodedata.category(char) not in ("Cc", "Cf"))
    return fold("".join(kept))


def words_of(text: str) -> str:
    """Return what a person wrote, fit for a line in a table."""
    return visible(text)[:MAX_WORDS]
