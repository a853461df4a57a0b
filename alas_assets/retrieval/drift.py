"""Whether cited pages still say what was taken from them: each is read again, conditionally (A1, R4).

Looking only: bodies are kept as the fetcher keeps them, and no iteration knows of it. One that studies a changed page is opened by
`release_pages`, or by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl
from pydantic import Field

from alas_assets.domains.config import Domain
from alas_assets.provenance.ids import page_id
from alas_assets.provenance.store import ArtifactStore
from alas_assets.records import Record
from alas_assets.retrieval.fetch import Fetcher
from alas_assets.retrieval.study import read_pages
from alas_assets.synthesis.quotes import FoldedText

_GONE = (404, 410)


class Cited(Record):
    """A fact that was taught, held against its page as it is now."""

    fact_id: str
    question: str
    answer: str
    quote: str
    url: str
    state: Literal["stands", "quote gone", "page gone", "moved", "unread"]
    reason: str = Field(default="", description="why the page could not be read, or where it leads now")


class Drift(Record):
    """All taught facts of a domain, held against their pages."""

    domain: str
    pages: int
    unchanged: int = Field(description="pages whose server said 304, so that the stored body was read")
    facts: list[Cited]

    @property
    def drifted(self) -> list[Cited]:
        """The facts that do not stand for certain."""
        return [fact for fact in self.facts if fact.state != "stands"]


def verify_sources(domain: Domain, store: ArtifactStore, pair_tables: Sequence[pl.DataFrame], fetcher: Fetcher | None = None) -> Drift:
    """Read every cited page again and look for every quote.

    Args:
        domain: Its `sources` say how pages may be fetched.
        store: Keeps bodies and validators, so that an unchanged page costs one 304.
        pair_tables: Pairs of the domain's iterations (`QA_SCHEMA`), oldest first; the newest accepted version of a fact counts.
        fetcher: For tests and for callers with a resolver of their own.
    """
    schema = ["fact_id", "question", "answer", "quote", "url"]
    tables = [table.filter("accepted").select(schema) for table in pair_tables]
    facts = pl.concat(tables).unique("fact_id", keep="last", maintain_order=True) if tables else pl.DataFrame(schema=schema)
    texts: dict[str, FoldedText] = {}
    states: dict[str, tuple[Literal["page gone", "moved", "unread"], str]] = {}
    read = read_pages(list(dict.fromkeys(facts["url"])), domain, store, fetcher)
    for page, found in read:
        if page.status in _GONE:
            states[page.requested_url] = "page gone", page.reason
        elif not page.ok or found.reason:
            states[page.requested_url] = "unread", page.reason or found.reason
        else:
            texts[page.requested_url] = FoldedText(found.text)
            if page_id(page.final_url) != page_id(page.requested_url):
                states[page.requested_url] = "moved", f"leads to {page.final_url} now"
    return Drift(
        domain=domain.key,
        pages=len(read),
        unchanged=sum(page.status == 304 for page, _ in read),
        facts=[_cited(row, texts.get(row["url"]), states.get(row["url"])) for row in facts.iter_rows(named=True)],
    )


def _cited(row: dict[str, str], text: FoldedText | None, state: tuple[Literal["page gone", "moved", "unread"], str] | None) -> Cited:
    if text is None:
        if state is None:
            raise ValueError(f"{row['url']}: neither read nor failed")
        return Cited(**row, state=state[0], reason=state[1])
    if text.locate(row["quote"]) is None:
        return Cited(**row, state="quote gone", reason=state[1] if state else "")
    return Cited(**row, state="stands" if state is None else state[0], reason=state[1] if state else "")
