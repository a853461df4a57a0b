"""Looks whether watched sources changed: an article's text and links count, not what stands around them; of a feed its entries (O2).

Looking only. What was seen before is kept by `provenance.changes`; what a change leads to is the sensor's.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import polars as pl

from alas_assets.blocking import run_blocking
from alas_assets.domains.config import Domain
from alas_assets.domains.sources import Sources
from alas_assets.provenance.changes import WatchState
from alas_assets.provenance.ids import page_id, sha256_hex
from alas_assets.provenance.store import ArtifactStore
from alas_assets.retrieval.extract import Extracted, Extractor
from alas_assets.retrieval.fetch import NOT_IN_TIME, Fetched, Fetcher
from alas_assets.retrieval.finding.feeds import Entry, FeedError, read_feed
from alas_assets.retrieval.finding.gather import feed_wanted, is_page
from alas_assets.retrieval.finding.queries import may_be_read

ABSENT = ""
"""The digest of a page that was not there (404 or 410)."""

UNREADABLE = "unreadable"
"""The digest of a page whose stored body gives no text any more: another than any, so that the page is read again."""

MAX_WAITING = 200
"""Changed pages that wait for an iteration, from which on new entries of feeds do not join them: its survey reads the feeds anyway."""

MAX_REMEMBERED = 2000
"""Entries of one feed that are known to have been shown; those that the feed left out longest ago are forgotten first."""

READING_SECONDS = 4.0
"""Where a look has a deadline: for one page's text, and for beginning to read pages once the deadline is over."""

_GONE = (404, 410)


@dataclass(frozen=True)
class Look:
    """One look at one page or feed."""

    url: str  # as it is watched
    page: str  # the page it led to, as topics name it
    digest: str | None  # of the article or the feed; ABSENT where the page is not there; None where nothing can be said
    reason: str = ""  # why nothing can be said
    entries: tuple[Entry, ...] | None = None  # of a feed that was read; None for a page
    no_pages: frozenset[str] = frozenset()  # addresses of entries that the domain's settings keep from being studied
    late: bool = False  # the time for all was over before it was read


def watched_pages(domain: Domain) -> tuple[str, ...]:
    """Return the pages that a domain watches: its `sources.watch_urls`, or its `seed_urls` where none are named."""
    return domain.sources.watch_urls or domain.sources.seed_urls


def look(domain: Domain, store: ArtifactStore, deadline: float | None, seen: Iterable[str] = ()) -> list[Look]:
    """Read a domain's watched pages and feeds, conditionally, and return what they say; one that fails hides no other.

    Args:
        domain: Its sources say what is watched.
        store: Keeps bodies and validators, so that an unchanged page costs one 304.
        deadline: Seconds after which what has not come is given up; None for no more than each one's own.
        seen: Pages that were looked at before, longest ago first. Where there is a deadline they are asked in this order.
    """
    started = time.monotonic()
    pages, feeds = run_blocking(_fetch(_queue(domain, deadline, list(seen)), domain.sources, Fetcher(domain.sources, store), deadline))
    looks: list[Look] = []
    with Extractor(store) if deadline is None else Extractor(store, seconds=READING_SECONDS) as extractor:
        for page in pages:
            if deadline is None or time.monotonic() - started < deadline + READING_SECONDS:
                looks.append(_look(page, extractor))
            else:
                reason = "read at a later look: other pages took too long"
                looks.append(Look(page.requested_url, page_id(page.final_url), None, reason, late=True))
    return [*looks, *(_look_at_feed(feed, domain.sources, store) for feed in feeds)]


def _queue(domain: Domain, deadline: float | None, seen: Sequence[str]) -> list[tuple[str, bool]]:
    """Return the pages and feeds in the order in which they are asked, each with whether it is a feed.

    Where there is a deadline, feeds come in among the pages at places that chance gives them, so that neither wait behind the others for
    ever where they share a host.
    """
    pages, feeds = list(dict.fromkeys(watched_pages(domain))), list(dict.fromkeys(domain.sources.feed_urls))
    queue = [(url, False) for url in (pages if deadline is None else _in_turn(pages, seen))]
    for feed in feeds:
        queue.insert(len(queue) if deadline is None else random.randint(0, len(queue)), (feed, True))  # noqa: S311 (no secret)
    return queue


def _in_turn(watched: Sequence[str], seen: Sequence[str]) -> list[str]:
    """Return the pages in the order in which they are asked, those looked at longest ago first.

    Of one that never said anything it is not known when it was asked: it comes in at a place that chance gives it, so that neither it nor
    the others are kept out for ever by what takes up the time.
    """
    place = {url: number / len(seen) for number, url in enumerate(seen)}
    return sorted(watched, key=lambda url: place.get(url, random.random()))  # noqa: S311 (no secret)


async def _fetch(
    queue: Sequence[tuple[str, bool]], sources: Sources, fetcher: Fetcher, deadline: float | None
) -> tuple[list[Fetched], list[Fetched]]:
    """Fetch pages and feeds at the same time, so that the deadline holds for all together; one host is asked in the order of the queue."""
    runs = [(is_feed, [url for url, _ in run]) for is_feed, run in groupby(queue, key=itemgetter(1))]
    fetches = (fetcher.fetch_all(urls, deadline, feed_wanted(sources) if is_feed else None) for is_feed, urls in runs)
    pages: list[Fetched] = []
    feeds: list[Fetched] = []
    for (is_feed, _), fetched in zip(runs, await asyncio.gather(*fetches), strict=True):
        (feeds if is_feed else pages).extend(fetched)
    return pages, feeds


def _look(page: Fetched, extractor: Extractor) -> Look:
    identity = page_id(page.final_url)
    if not page.ok:
        digest = ABSENT if page.status in _GONE else None
        return Look(page.requested_url, identity, digest, page.reason, late=page.reason.startswith(NOT_IN_TIME))
    found = extractor.extract(page)
    return Look(page.requested_url, identity, _digest(found), found.reason)


def _digest(found: Extracted) -> str | None:
    return None if found.reason else sha256_hex("\n".join([found.text, *found.links]))


def first_looks(looks: Sequence[Look], seen: Mapping[str, str]) -> dict[str, str]:
    """Return the pages that were looked at for the first time and are there, each with the address that is watched."""
    return {one.page: one.url for one in looks if one.entries is None and one.digest and one.url not in seen}


def said_when_read(first: Mapping[str, str], readings: pl.DataFrame, store: ArtifactStore, deadline: float | None) -> dict[str, str | None]:
    """Return what pages said when an iteration last read them, by the address that is watched.

    None where there was no time for it, `UNREADABLE` where what was read then cannot be read any more. A page that nobody read, or whose
    body is gone, is left out.

    Args:
        first: The pages (`first_looks`).
        readings: A domain's fetches (`FETCH_SCHEMA`), oldest first.
        store: Holds the bodies.
        deadline: Seconds for all pages together; None for no more than each one's own.
    """
    started = time.monotonic()
    read = readings.filter(pl.col("ok") & pl.col("page_id").is_in(list(first))).unique("page_id", keep="last", maintain_order=True)
    said: dict[str, str | None] = {}
    with Extractor(store) if deadline is None else Extractor(store, seconds=READING_SECONDS) as extractor:
        for row in read.iter_rows(named=True):
            watched, late = first[row["page_id"]], deadline is not None and time.monotonic() - started > deadline
            if not (store.pages / row["body_sha256"]).is_file():
                continue
            said[watched] = None if late else _digest(extractor.extract(_as_fetched(row))) or UNREADABLE
    return said


def _as_fetched(row: Mapping[str, Any]) -> Fetched:
    """Return the answer that a row of `FETCH_SCHEMA` tells of."""
    return Fetched(
        requested_url=row["requested_url"],
        final_url=row["final_url"],
        ok=True,
        status=row["status"],
        reason="",
        from_cache=True,
        retrieved_at=row["retrieved_at"],
        body_retrieved_at=row["retrieved_at"],
        content_type=row["content_type"],
        body_sha256=row["body_sha256"],
    )


def _look_at_feed(feed: Fetched, sources: Sources, store: ArtifactStore) -> Look:
    identity = page_id(feed.final_url)
    if not feed.ok:
        return Look(feed.requested_url, identity, None, feed.reason)
    try:
        entries = read_feed((store.pages / feed.body_sha256).read_bytes(), feed.final_url).entries
    except FeedError as error:
        return Look(feed.requested_url, identity, None, str(error))
    pattern = re.compile(sources.link_pattern)
    no_pages = frozenset(entry.url for entry in entries if not (is_page(entry.url, pattern) and may_be_read(entry.url, sources)))
    return Look(feed.requested_url, identity, feed.body_sha256, entries=tuple(entries), no_pages=no_pages)


def changed_pages(looks: Sequence[Look], state: WatchState) -> list[str]:
    """Return the pages that say something else than before, or were not there and now are, and those of new entries of a feed.

    A page of which nothing is known from before has not changed, nor has a feed. Of new entries those count that a survey would take too.
    """
    changed: list[str] = []
    fresh: list[str] = []
    for one in looks:
        if one.entries is None:
            changed += [one.page] if one.digest and state.seen.get(one.url, one.digest) != one.digest else []
        elif one.url in state.entries:
            shown = set(state.entries[one.url])
            fresh += [page_id(entry.url) for entry in one.entries if entry.id not in shown and entry.url not in one.no_pages]
    room = max(0, MAX_WAITING - len({*state.pending, *changed}))
    return list(dict.fromkeys([*changed, *list(dict.fromkeys(fresh))[:room]]))


def remembered(looks: Sequence[Look], seen: Mapping[str, str]) -> dict[str, str]:
    """Return what pages are known to say after these looks, those looked at longest ago first.

    One that is gone for a while or cannot be read keeps what it said before. The first one that was asked has had its turn even if the
    time was over before it was read: it may be what took the time.
    """
    pages = [one for one in looks if one.entries is None]
    known = {one.url: seen[one.url] for one in sorted(pages, key=lambda one: not one.late or one is pages[0]) if one.url in seen}
    for one in pages:
        if one.digest or (one.digest == ABSENT and one.url not in seen):
            known[one.url] = one.digest or ABSENT
    return known


def shown_entries(looks: Sequence[Look], before: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the ids of the entries that each feed has shown so far; a feed that cannot be read keeps its own."""
    shown = {url: list(ids) for url, ids in before.items()}
    for one in looks:
        if one.entries is not None:
            here = dict.fromkeys(entry.id for entry in one.entries)
            shown[one.url] = [*(entry for entry in shown.get(one.url, []) if entry not in here), *here][-MAX_REMEMBERED:]
    return shown
