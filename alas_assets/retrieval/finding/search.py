"""Asking a search provider: the protocol, who implements it, and a bounded run of queries whose failures are reasons (R1, R2).

How a provider is spoken to is its own module under `finding.providers`; what is asked is `finding.queries`.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field
from datetime import date
from importlib import import_module
from typing import Protocol
from urllib.parse import quote

from alas_assets.domains.sources import SearchSettings, Sources
from alas_assets.provenance.ids import short_id
from alas_assets.provenance.store import ArtifactStore, write_atomic
from alas_assets.retrieval.address import Resolver, resolve
from alas_assets.retrieval.finding.hygiene import iso_time, plain, web_url
from alas_assets.retrieval.finding.queries import oldest

log = logging.getLogger(__name__)

MAX_TITLE = 300
MAX_SNIPPET = 1_000
_DEFAULT_URLS = {
    "searxng": "",
    "brave": "https://api.search.brave.com",
    "tavily": "https://api.tavily.com",
    "exa": "https://api.exa.ai",
    "duckduckgo": "https://duckduckgo.com",
}


class SearchError(RuntimeError):
    """A provider gave no usable answer; the message says why in words, without the key.

    Args:
        reason: What a person reads.
        final: No further query will fare better (a wrong key, a spent quota).
    """

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


@dataclass(frozen=True)
class Hit:
    """One result; a stranger's words, made plain."""

    url: str  # absolute, http(s), without fragment
    title: str
    snippet: str
    published: str  # ISO 8601; "" where not stated


class SearchProvider(Protocol):
    """Whoever can be asked for pages."""

    def search(self, query: str, max_results: int, since: date | None) -> list[Hit]:
        """Return the best pages for a query, best first.

        Args:
            query: Words; no provider's own syntax.
            max_results: How many are wanted; a provider that cannot count gives more.
            since: Nothing published before this day is wanted; pages without a date may come all the same.

        Raises:
            SearchError: No usable answer.
        """
        ...


@dataclass(frozen=True)
class Access:
    """What a provider's module needs to reach it."""

    name: str
    url: str  # without a slash at its end
    key_env: str
    key: str = field(repr=False)
    seconds: float  # for one query
    private_hosts: tuple[str, ...]
    resolver: Resolver


@dataclass(frozen=True)
class Asked:
    """What one query brought."""

    query: str
    url: str  # the provider's address with the query, for rows and people; it is not what is sent, and holds no key
    hits: list[Hit]
    reason: str  # why it brought nothing; "" where it was answered


def asked_url(search: SearchSettings, query: str) -> str:
    """Return an address that names provider and query."""
    return f"{_base(search)}/search?q={quote(query)}"


def open_provider(sources: Sources, resolver: Resolver = resolve) -> SearchProvider:
    """Return the provider that `sources.search` names, loading its module and client only now.

    Raises:
        SearchError: Its extra is not installed, or the variable with its key is not set.
    """
    search = sources.search
    assert search is not None
    key = os.environ.get(search.key_env, "").strip() if search.key_env else ""
    if search.key_env and not key:
        raise SearchError(f"the environment variable {search.key_env} (sources.search.key_env) is not set", final=True)
    if not key.isascii() or not key.isprintable():
        raise SearchError(f"the environment variable {search.key_env} holds characters that no key has", final=True)
    access = Access(search.provider, _base(search), search.key_env, key, sources.timeout_seconds, sources.private_hosts, resolver)
    module = import_module(f"alas_assets.retrieval.finding.providers.{search.provider}")
    return module.open_with(access)


def ask_all(queries: Sequence[str], sources: Sources, today: date, store: ArtifactStore, resolver: Resolver = resolve) -> list[Asked]:
    """Ask the domain's provider one query after another, within its limits of number and time; a failure is a reason and the rest goes on.

    An answer is stored before it is used, and the same query costs nothing again on the same day (O4).

    Args:
        queries: What to ask; those beyond `queries` of the settings are left out.
        sources: Its `search` says whom, how much and how long.
        today: Hits that state a date too long before it are left out.
        store: Keeps the answers, in `searches`.
        resolver: Turns the provider's name into addresses.

    Raises:
        OSError: The store cannot be written.
    """
    search = sources.search
    if search is None:
        return []
    distinct = list(dict.fromkeys(queries))
    if len(distinct) > search.queries:
        log.warning("%d queries are there, the first %d are asked (sources.search.queries)", len(distinct), search.queries)
    provider: SearchProvider | None = None
    stopped, until = "", time.monotonic() + search.deadline_seconds
    answers = []
    for query in distinct[: search.queries]:
        memory = _Memory(store, search, query, today)
        hits, reason = memory.recall(), ""
        if hits is None and not stopped and time.monotonic() >= until:
            stopped = f"not asked: the {search.deadline_seconds:g} s for all queries were over (sources.search.deadline_seconds)"
        if hits is None and not stopped:
            try:
                provider = provider or open_provider(sources, resolver)
                since = oldest(search, today)
                hits = memory.keep(_chosen(provider.search(query, search.results, since), search.results, since))
            except SearchError as error:
                reason = str(error)
                stopped = f"not asked: {reason}" if error.final else ""
        elif hits is None:
            reason = stopped
        answers.append(Asked(query, asked_url(search, query), hits or [], reason))
    return answers


class _Memory:
    """What one query brought on one day, as a file of the store."""

    def __init__(self, store: ArtifactStore, search: SearchSettings, query: str, today: date) -> None:
        key = short_id("search", search.provider, _base(search), query, str(search.results), str(search.since_days), today.isoformat())
        self._path = store.root / "searches" / f"{key}.json"

    def recall(self) -> list[Hit] | None:
        """Return the hits, or None where the query was not answered that day or the file is damaged."""
        try:
            return [Hit(*map(str, fields)) for fields in json.loads(self._path.read_bytes())]
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, hits: list[Hit]) -> list[Hit]:
        """Store the hits and return them."""
        write_atomic(self._path, json.dumps([astuple(one) for one in hits]).encode())
        return hits


def hits_of(said: Iterable[tuple[object, object, object, object]]) -> list[Hit]:
    """Make hits of what a provider said, (url, title, snippet, date) each; what leads to no web page is left out."""
    found = ((web_url(url), title, snippet, published) for url, title, snippet, published in said)
    return [
        Hit(address, plain(title, MAX_TITLE), plain(snippet, MAX_SNIPPET), iso_time(published))
        for address, title, snippet, published in found
        if address
    ]


def _chosen(hits: list[Hit], limit: int, since: date | None) -> list[Hit]:
    """Return the first hits, each page once, without those that state too early a date."""
    distinct: dict[str, Hit] = {}
    for one in hits:
        if since is None or not one.published or one.published[:10] >= since.isoformat():
            distinct.setdefault(one.url, one)
    return list(distinct.values())[:limit]


def _base(search: SearchSettings) -> str:
    return (search.url or _DEFAULT_URLS[search.provider]).rstrip("/")
