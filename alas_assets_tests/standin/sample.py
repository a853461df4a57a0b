"""The sample site as the project itself reads it, and the pairs that are recorded for it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from alas_assets.provenance.ids import sha256_hex
from alas_assets.provenance.store import ArtifactStore
from alas_assets.records import CHUNK_SCHEMA
from alas_assets.retrieval.chunk import outline, split
from alas_assets.retrieval.extract import Extracted, Extractor
from alas_assets.retrieval.fetch import Fetched
from alas_assets.standin.pairs import RecordedPair, read_pairs

DATA = Path(__file__).parents[2] / "data"
RECORDED = DATA / "recorded" / "python-3.15-sample"
SITE = "http://site.test/"
_NOW = datetime(2026, 11, 27, tzinfo=UTC)


@cache
def recorded() -> list[RecordedPair]:
    return read_pairs([RECORDED])


@cache
def extracted() -> dict[str, Extracted]:
    """Every page with recorded pairs, by its path, as the real extractor reads it."""
    found: dict[str, Extracted] = {}
    with TemporaryDirectory() as home:
        store = ArtifactStore(Path(home))
        store.pages.mkdir(parents=True, exist_ok=True)
        with Extractor(store) as extractor:
            for page in dict.fromkeys(pair.page for pair in recorded()):
                body = (DATA / "site" / page).read_bytes()
                digest = sha256_hex(body)
                (store.pages / digest).write_bytes(body)
                fetched = Fetched(
                    requested_url=SITE + page,
                    final_url=SITE + page,
                    ok=True,
                    status=200,
                    reason="",
                    from_cache=False,
                    retrieved_at=_NOW,
                    body_retrieved_at=_NOW,
                    content_type="text/html",
                    body_sha256=digest,
                    body_bytes=len(body),
                )
                found[page] = extractor.extract(fetched)
    return found


def headings(page: str) -> list[str]:
    return [title for level, title in outline(extracted()[page].text) if level in (2, 3)]


@cache
def passages() -> pl.DataFrame:
    """The passages of all these pages, as curation sees them."""
    rows = [
        {
            "chunk_id": chunk.chunk_id,
            "page_id": SITE + page,
            "url": SITE + page,
            "title": one.title,
            "heading_path": list(chunk.heading_path),
            "ordinal": chunk.ordinal,
            "text": chunk.text,
            "start": chunk.start,
            "end": chunk.end,
            "text_sha256": sha256_hex(one.text),
            "body_sha256": sha256_hex(page),
            "retrieved_at": _NOW,
        }
        for page, one in extracted().items()
        for chunk in split(one.text, SITE + page)
    ]
    return pl.DataFrame(rows, schema=CHUNK_SCHEMA)
