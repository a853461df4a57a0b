"""What a store knows of a source without any iteration having studied it: what surveys fetched, plans list and looks saw (A3).

Reading only. What was studied, and what came of it, is `audit.derived`'s to say.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from pydantic import ValidationError

from alas_assets.audit.trace import cells_of
from alas_assets.provenance.blocked.documents import EVERYTHING, Limit, addresses_of, lies_in
from alas_assets.provenance.blocked.order import host_key, host_of, kind_of, normal
from alas_assets.provenance.changes import read_watch_state
from alas_assets.provenance.ids import sha256_hex, short_id
from alas_assets.provenance.store import ArtifactStore
from alas_assets.records import Curriculum
from alas_assets.retrieval.extract import EXTRACTOR_VERSION, Extracted
from alas_assets.retrieval.http_cache import received_bodies

NO_PLAN = "none"
"""Stands for the first iteration whose plan has a topic of a source, where none has."""


@dataclass
class Surveyed:
    """What surveys, plans and looks left of a source.

    Attributes:
        named: Its addresses by domain, as they are written there.
        since: The first iteration of each domain whose plan has a topic of it; `NO_PLAN` where none has.
        fetched: What it was fetched under, for whatever domain: addresses, those of documents with their folders.
        bodies: SHA-256 of all that was ever received there and is kept for no other address.
        texts: What was read in it, by SHA-256.
    """

    named: dict[str, set[str]] = field(default_factory=dict)
    since: dict[str, str] = field(default_factory=dict)
    fetched: set[str] = field(default_factory=set)
    bodies: set[str] = field(default_factory=set)
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def addresses(self) -> set[str]:
        """All its addresses."""
        return self.fetched.union(*self.named.values())


def surveyed(store: ArtifactStore, source: str, limit: Limit = EVERYTHING) -> Surveyed:
    """Return what is known of a page or host beside what was studied of it.

    Args:
        store: The artifact store.
        source: A page's URL or a host.
        limit: Whose documents are meant, where folders hold several of the name.

    Raises:
        StoreError: A plan, a domain's watched pages or the cache of fetched addresses cannot be read.
    """
    spelled, form = (normal(source), normal) if kind_of(source) == "page" else (host_key(source), host_of)
    found = Surveyed()

    def is_own(url: str) -> bool:
        return form(url) == spelled

    cells = [cell for cell in sorted(cells_of(store), key=str) if limit.covers(cell.domain)]
    for cell in cells:
        pointer = store.pointer(cell, "curriculum")
        if pointer is not None:
            _add_plan(found, cell.domain, cell.iteration, store.read_record(Curriculum, pointer), is_own)
    for domain in {cell.domain for cell in cells}:
        state = read_watch_state(store.root, domain)
        _add_named(found, domain, {url for url in (*state.seen, *state.pending) if is_own(url)})
    _add_fetched(found, store, is_own, limit)
    return found


def _add_named(found: Surveyed, domain: str, urls: set[str]) -> None:
    if urls:
        found.named.setdefault(domain, set()).update(urls)
        found.since.setdefault(domain, NO_PLAN)


def _add_plan(found: Surveyed, domain: str, iteration: str, plan: Curriculum, is_own: Callable[[str], bool]) -> None:
    planned = {url for topic in (*plan.topics, *plan.deferred) for url in topic.urls if is_own(url)}
    listed = (*plan.found_by, *plan.changed_pages, *(url for url, _ in plan.failed_urls))
    _add_named(found, domain, planned.union(filter(is_own, listed)))
    if planned:
        found.since[domain] = min(iteration, found.since[domain])


def _add_fetched(found: Surveyed, store: ArtifactStore, is_own: Callable[[str], bool], limit: Limit) -> None:
    def own_addresses(key: str) -> list[str]:
        return [] if lies_in(key, limit.spared) else list(filter(is_own, addresses_of(key)))

    rows = [(one, own_addresses(one.url)) for one in received_bodies(store.root / "http_cache.sqlite")]
    others = {one.body_sha256 for one, own in rows if one.is_current and not own}
    for one, own in rows:
        if not own:
            continue
        found.fetched.add(one.url)
        if one.body_sha256 in others:
            continue
        found.bodies.add(one.body_sha256)
        for address in own:
            with suppress(OSError, ValidationError):  # nothing was read in it, or by another version whose file is found by its words
                name = short_id("extract", EXTRACTOR_VERSION, one.body_sha256, address, one.content_type)
                text = Extracted.model_validate_json((store.root / "extracts" / f"{name}.json").read_bytes()).text
                found.texts[sha256_hex(text)] = text
