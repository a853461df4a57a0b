"""Cited pages are read again, conditionally: which quotes still stand, which are gone, which page nobody could read (A1)."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler

import polars as pl

from alas_assets.provenance.store import ArtifactStore
from alas_assets.records import QA_SCHEMA
from alas_assets.retrieval.drift import Drift, verify_sources
from alas_assets.retrieval.study import read_pages
from alas_assets_tests.retrieval.site import Answer, Site, go_to, page, say

STANDS, CHANGED = "The default depth of the tool is seven.", "The default width of the tool is nine."


def unless_known(body: bytes) -> Answer:
    """Answer with a page, or with 304 to who has it."""
    whole, unchanged = say(body, ETag='"1"'), say(b"", status=304, ETag='"1"')

    def answer(handler: BaseHTTPRequestHandler) -> None:
        (unchanged if handler.headers.get("If-None-Match") == '"1"' else whole)(handler)

    return answer


def pair(url: str, quote: str, fact: str = "f") -> dict[str, object]:
    row = {**dict.fromkeys(QA_SCHEMA.names()), "fact_id": fact, "qa_id": fact, "question": "q", "answer": "a", "quote": quote, "url": url}
    return row | {"accepted": True, "page_id": url}


def verified(site: Site, store: ArtifactStore, *pairs: dict[str, object]) -> Drift:
    return verify_sources(site.domain(), store, [pl.DataFrame([one], schema=QA_SCHEMA) for one in pairs])


def states(found: Drift) -> dict[str, str]:
    return {fact.fact_id: fact.state for fact in found.facts}


def test_every_quote_is_looked_for_on_its_page_as_it_is_now(site: Site, store: ArtifactStore) -> None:
    site.routes["/a"] = unless_known(page("A", f"<p>{STANDS} {'More words. ' * 20}</p>"))
    site.routes["/old"] = go_to("/a")
    site.routes["/down"] = say(b"no", status=500)
    read_pages([f"{site.url}/a"], site.domain(), store)
    found = verified(
        site,
        store,
        pair(f"{site.url}/a", STANDS, "stands"),
        pair(f"{site.url}/a", CHANGED, "changed"),
        pair(f"{site.url}/missing", STANDS, "gone"),
        pair(f"{site.url}/down", STANDS, "down"),
        pair(f"{site.url}/old", STANDS, "moved"),
    )
    assert states(found) == {"stands": "stands", "changed": "quote gone", "gone": "page gone", "down": "unread", "moved": "moved"}
    assert {fact.fact_id for fact in found.drifted} == {"changed", "gone", "down", "moved"}
    assert all(fact.reason for fact in found.drifted if fact.state != "quote gone")
    assert (found.pages, found.unchanged) == (4, 2), "the page that moved leads to the one that is known"


def test_the_newest_version_of_a_fact_counts_and_a_rejected_pair_is_cited_by_nobody(site: Site, store: ArtifactStore) -> None:
    site.routes["/a"] = say(page("A", f"<p>{STANDS} {'More words. ' * 20}</p>"))
    rejected = pair(f"{site.url}/never", STANDS, "rejected") | {"accepted": False}
    found = verified(site, store, pair(f"{site.url}/a", CHANGED), pair(f"{site.url}/a", STANDS), rejected)
    assert states(found) == {"f": "stands"}
    assert "/never" not in site.paths


def test_a_domain_without_pairs_reads_nothing(site: Site, store: ArtifactStore) -> None:
    found = verify_sources(site.domain(), store, [])
    assert (found.pages, found.facts) == (0, [])
    assert site.paths == []
