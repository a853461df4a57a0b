"""All pages that a domain's settings lead to beyond its seeds and their links, each with what found it (R1, R2).

Index documents are fetched here through the domain's fetcher; the pages themselves are not.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from urllib.parse import urlsplit

from alas_assets.domains.config import Domain
from alas_assets.domains.sources import Sources
from alas_assets.retrieval.fetch import DATA, Fetched, Fetcher, Wanted
from alas_assets.retrieval.finding.feeds import FeedError, read_feed
from alas_assets.retrieval.finding.folder import Folder, is_folder_url
from alas_assets.retrieval.finding.queries import may_be_read, survey_queries
from alas_assets.retrieval.finding.records_index import RecordIndexError, read_record_index
from alas_assets.retrieval.finding.search import ask_all, asked_url
from alas_assets.retrieval.finding.sitemaps import Listed, Sitemap, SitemapError, newest_first, read_sitemap

log = logging.getLogger(__name__)

MAX_SITEMAPS = 20
MAX_DEPTH = 3
NOT_PAGES = re.compile(
    r"\.(pdf|zip|gz|bz2|xz|tgz|whl|exe|msi|pkg|dmg|png|jpe?g|gif|svg|ico|css|js|json|xml|rss|atom|txt\.asc|mp[34])$", re.I
)
"""What the URL of a document ends in that feeds, sitemaps and links name beside pages."""


@dataclass(frozen=True)
class Found:
    """A page's address, and what led to it."""

    url: str
    by: str  # "link", "feed <url>", "sitemap <url>", "records <url>", "folder" or "search <provider>: <query>"


def feed_wanted(sources: Sources) -> Wanted:
    """Return how a domain's feeds are fetched."""
    return replace(DATA, obeys_robots=not sources.feeds_ignore_robots)


def is_page(url: str, pattern: re.Pattern[str]) -> bool:
    """Tell whether an address that a feed or sitemap lists is a page to study: it matches `sources.link_pattern`, and ends like one."""
    return bool(pattern.search(url)) and not NOT_PAGES.search(url)


def key_of(url: str, sources: Sources) -> str:
    """Return the key of a domain file that names this address as a source, such as "sources.feeds"; "" where none does, as for a link."""
    for key in ("seed_urls", "watch_urls", "feeds", "sitemaps", "record_indexes"):
        if url in getattr(sources, key):
            return f"sources.{key}"
    if url in sources.feed_urls:
        return "sources.github"
    if is_folder_url(url):
        return "sources.folder"
    return "sources.search" if sources.search and url.startswith(asked_url(sources.search, "")) else ""


def with_key(url: str, reason: str, sources: Sources) -> str:
    """Return a failed address in words, after the key that names it, if one does."""
    return ": ".join(part for part in (key_of(url, sources), url, reason) if part)


class Gathering:
    """What was found so far, in order, and what failed on the way.

    Args:
        domain: Its `sources` say where to look.
        fetcher: Fetches index documents.
        pattern: What a listed page's URL must match (`sources.link_pattern`).
    """

    def __init__(self, domain: Domain, fetcher: Fetcher, pattern: re.Pattern[str]) -> None:
        self.pages: list[Found] = []
        self.failures: list[tuple[str, str]] = []  # (url, reason)
        self._domain = domain
        self._sources = domain.sources
        self._fetcher = fetcher
        self._pattern = pattern

    def gather(self, folder: Folder, today: date) -> None:
        """Look into everything that the settings name, in this order: feeds, sitemaps, record indexes, folder, search."""
        self._feeds()
        self._sitemaps()
        self._records()
        self._folder(folder)
        self._search(today)

    def _feeds(self) -> None:
        for page in self._fetched(self._sources.feed_urls, feed_wanted(self._sources)):
            if not page.ok:
                advice = "; feed readers read it all the same: set sources.feeds_ignore_robots" if "robots.txt" in page.reason else ""
                self.failures.append((page.requested_url, page.reason + advice))
                continue
            try:
                feed = read_feed(self._body(page), page.final_url)
            except FeedError as error:
                self.failures.append((page.requested_url, str(error)))
                continue
            if feed.left_out:
                log.info("%s: %d entries without a usable address, or beyond the limit, are left out", page.requested_url, feed.left_out)
            entries = sorted(feed.entries, key=lambda entry: entry.updated, reverse=True)
            self._add((entry.url for entry in entries if is_page(entry.url, self._pattern)), f"feed {page.requested_url}")

    def _sitemaps(self) -> None:
        """Read the sitemaps and, a few levels deep, those that they name on their own host; pages count only there too."""
        pending, read = list(dict.fromkeys(self._sources.sitemaps)), set[str]()
        for _ in range(MAX_DEPTH):
            now, beyond = pending[: MAX_SITEMAPS - len(read)], pending[MAX_SITEMAPS - len(read) :]
            if beyond:
                self.failures.append((beyond[0], f"not read, and {len(beyond) - 1} more: at most {MAX_SITEMAPS} sitemaps are"))
            read.update(now)
            deeper = [one for page in self._fetched(now, DATA) for one in self._taken(page)]
            pending = list(dict.fromkeys(one.url for one in newest_first(deeper) if one.url not in read))
            if beyond or not pending:
                return
        self.failures.append((pending[0], f"not read, and {len(pending) - 1} more: they lie more than {MAX_DEPTH} levels deep"))

    def _taken(self, page: Fetched) -> list[Listed]:
        """Take a sitemap's pages, and return the sitemaps that it may send to: a robots.txt that the domain names may send anywhere."""
        found = self._sitemap(page)
        if found is None:
            return []
        host = _host(page.final_url)
        own = [one.url for one in found.pages if _host(one.url) == host]
        if elsewhere := len(found.pages) - len(own):
            self.failures.append((page.requested_url, f"{elsewhere} of its pages lie on other hosts and were left out"))
        if found.left_out:
            log.info("%s: %d entries without a usable address, or beyond the limit, are left out", page.requested_url, found.left_out)
        self._add((url for url in own if is_page(url, self._pattern)), f"sitemap {page.requested_url}")
        named = page.requested_url in self._sources.sitemaps and page.final_url.endswith("/robots.txt")
        return [one for one in found.sitemaps if named or _host(one.url) == host]

    def _sitemap(self, page: Fetched) -> Sitemap | None:
        if not page.ok:
            self.failures.append((page.requested_url, page.reason))
            return None
        try:
            return read_sitemap(self._body(page), page.final_url)
        except SitemapError as error:
            self.failures.append((page.requested_url, str(error)))
            return None

    def _records(self) -> None:
        for page in self._fetched(self._sources.record_indexes, DATA):
            if not page.ok:
                self.failures.append((page.requested_url, page.reason))
                continue
            try:
                listed = read_record_index(self._body(page), page.final_url)
            except RecordIndexError as error:
                self.failures.append((page.requested_url, str(error)))
                continue
            self._add((one.url for one in listed if self._pattern.search(one.url)), f"records {page.requested_url}")

    def _folder(self, folder: Folder) -> None:
        listing = folder.listing()
        self._add(listing.documents, "folder")
        self.failures += listing.problems

    def _search(self, today: date) -> None:
        search = self._sources.search
        if search is None:
            return
        for answer in ask_all(survey_queries(self._domain, search, today), self._sources, today, self._fetcher.store):
            self._add((hit.url for hit in answer.hits if may_be_read(hit.url, self._sources)), f"search {search.provider}: {answer.query}")
            if answer.reason:
                self.failures.append((answer.url, answer.reason))

    def _fetched(self, urls: Sequence[str], wanted: Wanted) -> list[Fetched]:
        return self._fetcher.fetch_many(urls, wanted=wanted) if urls else []

    def _body(self, page: Fetched) -> bytes:
        return (self._fetcher.store.pages / page.body_sha256).read_bytes()

    def _add(self, urls: Iterable[str], by: str) -> None:
        self.pages += [Found(url, by) for url in urls]


def _host(url: str) -> str:
    return urlsplit(url).netloc.lower()
