"""What the documents of a domain's folder are called, and under what the cache of fetched addresses keeps them (R3, A3).

Names only; reading such files is `retrieval.finding.folder`'s.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, urldefrag

FOLDER = "folder://local/"
"""What every document's address begins with; "local" is a name that no host on the web has."""


def folder_name(root: Path | str) -> str:
    """Return a folder as it stands behind the addresses of its documents in the cache."""
    return quote(os.fsencode(os.path.abspath(root)))


def cache_key(address: str, root: Path | str) -> str:
    """Return what a document's body is cached under: its address, which takedowns compare, and its folder, as two may name one alike."""
    return f"{address}#{folder_name(root)}"


def addresses_of(key: str) -> list[str]:
    """Return the addresses that an entry of the cache may be of; where it was cached under a file's path, one for each folder above."""
    if not key.startswith("/"):
        return [urldefrag(key).url]
    parts = key.strip("/").split("/")
    return [FOLDER + quote(os.fsencode("/".join(parts[start:]))) for start in range(len(parts))]
