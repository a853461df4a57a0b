"""Recorded pairs of a strong teacher as drafts, with the passages of their pages as retrieval would store them.

Reading only; `measure.py` runs curation over them, `groups.py` draws what it put together.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from alas_assets.records import CHUNK_SCHEMA, DraftFact, Phrasing, RejectedDraft, Topic
from alas_assets.retrieval.chunk import split
from alas_assets.retrieval.readers import read_page
from alas_assets.synthesis.quotes import ShownText

SITE = "https://pages.test/"
ROLES = ("train", "train", "train", "mine", "probe", "probe")
"""What the question and its five other phrasings are for."""


@dataclass(frozen=True)
class Recorded:
    """Everything that curation needs of a folder of recorded pairs."""

    drafts: list[DraftFact]
    rejected: list[RejectedDraft]
    chunks: pl.DataFrame
    topics: list[Topic]


def pairs(folder: Path) -> list[dict[str, Any]]:
    """Return all recorded pairs, file by file."""
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines()]


def passages(corpora: Path, name: str) -> pl.DataFrame:
    """Return one page's passages."""
    path = corpora / name
    page = read_page(path.read_bytes(), path.resolve().as_uri(), "text/html")
    url = SITE + name
    rows = [
        {
            "chunk_id": chunk.chunk_id,
            "page_id": url,
            "url": url,
            "title": page["title"],
            "heading_path": list(chunk.heading_path),
            "ordinal": chunk.ordinal,
            "text": chunk.text,
            "start": chunk.start,
            "end": chunk.end,
            "text_sha256": "",
            "body_sha256": "",
            "retrieved_at": None,
        }
        for chunk in split(page["text"], url)
    ]
    return pl.DataFrame(rows, schema=CHUNK_SCHEMA)


def drafts_of(rows: Sequence[dict[str, Any]], chunks: pl.DataFrame) -> list[DraftFact]:
    """Return the pairs as drafts, each of the first passage of its page that holds its quote, else of the page's first."""
    by_page: dict[str, list[tuple[str, ShownText]]] = {}
    for row in chunks.iter_rows(named=True):
        by_page.setdefault(row["url"], []).append((row["chunk_id"], ShownText(row["text"])))
    return [_draft(row, by_page[SITE + row["page"]]) for row in rows]


def _draft(row: dict[str, Any], passages: list[tuple[str, ShownText]]) -> DraftFact:
    holding = [key for key, text in passages if text.locate(row["quote"]) is not None]
    asked = (row["question"], *row["phrasings"])
    return DraftFact(
        topic_id=row["topic"],
        chunk_id=holding[0] if holding else passages[0][0],
        quote=row["quote"],
        answer=row["short_answer"],
        aliases=row["aliases"],
        category=row["category"],
        difficulty=row["difficulty"],
        rationale=row["rationale"],
        phrasings=[
            Phrasing(text=text, template=f"recorded-{i}-{role}", role=role)  # pyright: ignore[reportArgumentType]
            for i, (text, role) in enumerate(zip(asked, ROLES, strict=True))
        ],
    )


def read(corpora: Path, teacher: Path) -> Recorded:
    """Return the recorded pairs of a folder, with the passages of the pages that they were written on."""
    rows = pairs(teacher)
    chunks = pl.concat(passages(corpora, name) for name in dict.fromkeys(row["page"] for row in rows))
    topics = [Topic(topic_id=name, name=name) for name in dict.fromkeys(row["topic"] for row in rows)]
    return Recorded(drafts_of(rows, chunks), [], chunks, topics)
