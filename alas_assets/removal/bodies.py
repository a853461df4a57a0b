"""Whose the stored bodies of pages are: what other addresses answer with, and what nothing names any more (A3).

Reading only. What a body says is `removal.files`'; which body came from where, `retrieval.http_cache` remembers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

from alas_assets.provenance.blocked.documents import addresses_of
from alas_assets.provenance.blocked.order import Blocked
from alas_assets.provenance.store import ArtifactStore
from alas_assets.retrieval.http_cache import received_bodies

CACHE = "http_cache.sqlite"


def bodies_of_others(store: ArtifactStore, is_own: Callable[[str], bool]) -> set[str]:
    """Return the bodies that addresses answered with last of which none is the source's.

    Raises:
        StoreError: The cache of fetched addresses cannot be read.
    """
    return {one.body_sha256 for one in received_bodies(store.root / CACHE) if one.is_current and not is_own(one.url)}


def claimed_bodies(store: ArtifactStore, is_own: Callable[[str], bool] | None = None) -> set[str]:
    """Return the bodies that are known to be another's than the source's: received from elsewhere, then or now, or studied.

    Args:
        store: The artifact store; readings of the source are gone from its tables.
        is_own: Tells what in the cache is the source's; None: what any takedown blocks.

    Raises:
        StoreError: The cache of fetched addresses, a takedown's record or a table of documents cannot be read.
    """
    is_own = is_own or _is_blocked(store)
    claimed = {one.body_sha256 for one in received_bodies(store.root / CACHE) if not is_own(one.url)}
    for path in sorted((store.root / "artifacts" / "documents").glob("*.parquet")):
        claimed.update(store.read_table(path.stem, "documents", ["body_sha256"])["body_sha256"].drop_nulls())
    return claimed | {blob.removeprefix("pages/") for blob in named_blobs(store)}


def named_blobs(store: ArtifactStore) -> set[str]:
    """Return the blobs that a cell's pointer names, by their folder and name."""
    named: set[str] = set()
    for path in (store.root / "cells").rglob("*.json"):
        with suppress(ValueError):  # a damaged pointer counts as never made
            named.update(json.loads(path.read_text(encoding="utf-8")).get("blobs", []))
    return named


def _is_blocked(store: ArtifactStore) -> Callable[[str], bool]:
    blocked = Blocked(store.root)
    return lambda key: any(blocked.address(address) for address in addresses_of(key))
