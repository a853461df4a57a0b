"""Looks whether watched sources changed: an article's text and links count, not what stands around them; of a feed its entries (O2).

Looking only. What was seen before is kept by `provenance.changes`; what a change leads to is the sensor's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alas_assets.domains.config import Domain
from alas_assets.provenance.ids import page_id, sha256_hex
from alas_assets.provenance.store import ArtifactStore
from alas_assets.retrieval.extract import Extractor
from alas_assets.retrieval.fetch import Fetched, Fetcher

ABSENT = ""
"""The digest of a page that was not there (404 or 410)."""

_GONE = (404, 410)


@dataclass(frozen=True)
class Look:
    """One look at one page."""

    url: str  # as it is watched
    page: str  # the page it led to, as topics name it
    digest: str | None  # of the article; ABSENT where the page is not there; None where nothing can be said
    reason: str = ""  # why nothing can be said


def watched_pages(domain: Domain) -> tuple[str, ...]:
    """Return the pages that a domain watches: its `sources.watch_urls`, or its `seed_urls` where none are named."""
    return domain.sources.watch_urls or domain.sources.seed_urls


def look(domain: Domain, store: ArtifactStore, deadline: float | None) -> list[Look]:
    """Read a domain's watched pages, conditionally, and return what they say; a page that fails hides no other.

    Args:
        domain: Its sources say what is watched.
        store: Keeps bodies and validators, so that an unchanged page costs one 304.
        deadline: Seconds after which a page that has not come is given up; None for no more than each one's own.
    """
    fetcher = Fetcher(domain.sources, store)
    with Extractor(store) as extractor:
        return [_look(page, extractor) for page in fetcher.fetch_many(watched_pages(domain), deadline=deadline)]


def _look(page: Fetched, extractor: Extractor) -> Look:
    identity = page_id(page.final_url)
    if not page.ok:
        return Look(page.requested_url, identity, ABSENT if page.status in _GONE else None, page.reason)
    found = extractor.extract(page)
    said = "\n".join([found.text, *found.links])
    return Look(page.requested_url, identity, None if found.reason else sha256_hex(said), found.reason)


def changed_pages(looks: Sequence[Look], seen: Mapping[str, str]) -> list[str]:
    """Return the pages that say something else than before, or that were not there and now are; a first look changes nothing."""
    return [one.page for one in looks if one.digest and seen.get(one.url, one.digest) != one.digest]


def remembered(looks: Sequence[Look], seen: Mapping[str, str]) -> dict[str, str]:
    """Return what is known after these looks: a page that is gone for a while or cannot be read keeps what it said before."""
    known = {one.url: seen[one.url] for one in looks if one.url in seen}
    for one in looks:
        if one.digest or (one.digest == ABSENT and one.url not in seen):
            known[one.url] = one.digest or ABSENT
    return known
