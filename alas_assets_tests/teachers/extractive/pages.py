"""Small pages in our own words for the teacher's tests."""

from __future__ import annotations

import polars as pl

from alas_assets.provenance.ids import chunk_id
from alas_assets.records import CHUNK_SCHEMA, DraftFact, Topic
from alas_assets.teachers.extractive import ExtractiveTeacher
from alas_assets.teachers.protocol import Written

TOPIC = Topic(topic_id="t1", name="A topic", urls=["http://localhost/page.html"])
TITLE = "What's new in Quill 4.2"


def chunks(*texts: str, title: str = TITLE, headings: tuple[str, ...] = (TITLE,)) -> pl.DataFrame:
    """Return passages of one page; a text that starts with "## " opens its own section."""
    rows = []
    for ordinal, text in enumerate(texts):
        path = [*headings]
        if text.startswith("## "):
            path.append(text.split("\n", 1)[0][3:].strip())
        page = "http://localhost/page.html"
        rows.append(
            {
                "chunk_id": chunk_id(page, text, ordinal),
                "page_id": page,
                "url": page,
                "title": title,
                "heading_path": path,
                "ordinal": ordinal,
                "text": text,
                "start": 0,
                "end": len(text),
                "text_sha256": "",
                "body_sha256": "",
                "retrieved_at": None,
            }
        )
    return pl.DataFrame(rows, schema=CHUNK_SCHEMA)


def write(*texts: str, context: str = "", title: str = TITLE, phrasings: int = 6) -> Written:
    """Return what the teacher writes about one page."""
    return ExtractiveTeacher(context).write_topic(TOPIC, chunks(*texts, title=title), 1000, phrasings)


def facts(*texts: str, context: str = "", title: str = TITLE) -> list[DraftFact]:
    """Return the accepted facts of one page."""
    return write(*texts, context=context, title=title).facts


def question_facts(text: str, title: str = TITLE, headings: tuple[str, ...] = (TITLE,)) -> list[DraftFact]:
    """Return what the question rules accept from one page, without the gap fallback for sentences that they cannot read."""
    found = ExtractiveTeacher().write_topic(TOPIC, chunks(text, title=title, headings=headings), 1000, 6).facts
    return [fact for fact in found if not fact.rationale.endswith("rule gap.")]


def record_facts(text: str, title: str) -> list[DraftFact]:
    """Return what the question rules accept from a page whose only heading is its title."""
    return question_facts(text, title, (title,))


def reasons(*texts: str) -> list[str]:
    """Return why the page's sentences were refused."""
    return [draft.reason for draft in write(*texts).rejected]


def first_question(fact: DraftFact) -> str:
    """Return a fact's plainest training question."""
    return next(p.text for p in fact.phrasings if p.role == "train")
