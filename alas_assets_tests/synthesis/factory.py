"""Small real inputs for the synthesis tests: pages with passages, facts with phrasings, topics, counting tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import polars as pl

from alas_assets.provenance import ids
from alas_assets.records import ANSWER_SCHEMA, CHUNK_SCHEMA, DraftFact, Phrasing, Topic
from alas_assets.synthesis.consensus import Rules
from alas_assets.synthesis.curate import Limits, curate
from alas_assets.synthesis.duplicates import Embed
from alas_assets.synthesis.questions import GuardQuestion

SITE = "http://site.test/"
TOPIC = Topic(topic_id="t1", name="Gadgets")


def page(texts: Sequence[str], name: str = "a.html", *, site: str = SITE, title: str = "A page") -> tuple[str, pl.DataFrame]:
    """Return a stored page text and its passages, each a slice of it."""
    stored, rows = "", []
    url = site + name
    for i, text in enumerate(texts):
        stored += "## part\n\n"
        rows.append(
            {
                "chunk_id": ids.chunk_id(url, text, i),
                "page_id": url,
                "url": url,
                "title": title,
                "heading_path": [title],
                "ordinal": i,
                "text": text,
                "start": len(stored),
                "end": len(stored) + len(text),
                "text_sha256": ids.sha256_hex(name),
                "body_sha256": ids.sha256_hex(name + "body"),
                "retrieved_at": datetime(2026, 1, 1, tzinfo=UTC),
            }
        )
        stored += text
    return stored, pl.DataFrame(rows, schema=CHUNK_SCHEMA)


def fact(
    chunks: pl.DataFrame,
    quote: str,
    answer: str,
    about: str,
    *,
    ordinal: int = 0,
    train: int = 2,
    probe: int = 2,
    mine: int = 1,
    topic: str = "t1",
    kind: str = "identifier",
    aliases: Sequence[str] = (),
    category: str = "factual",
) -> DraftFact:
    """Return a draft about something, with phrasings whose templates keep to one role."""
    frames = {
        "train": ["Which {} is it?", "Please name the {} that is meant.", "State the {} here.", "Give me the {} now."],
        "mine": ["Do you remember the {} in question?"],
        "probe": ["Asked for the {}, one answers:", "Somebody wants to hear what the {} was called.", "The {} goes by which word?"],
    }
    wanted = {"train": train, "mine": mine, "probe": probe}
    phrasings = [
        Phrasing(text=frame.format(about), template=f"{role}-{i}", role=role)  # pyright: ignore[reportArgumentType]
        for role, count in wanted.items()
        for i, frame in enumerate(frames[role][:count])
    ]
    return DraftFact(
        topic_id=topic,
        chunk_id=chunks["chunk_id"][ordinal],
        quote=quote,
        answer=answer,
        aliases=list(aliases),
        answer_kind=kind,  # pyright: ignore[reportArgumentType]
        category=category,  # pyright: ignore[reportArgumentType]
        phrasings=phrasings,
    )


def count_tokens(text: str) -> int:
    """Count words; stands for a tokenizer where its kind does not matter."""
    return len(text.split())


def curated(
    drafts: Sequence[DraftFact],
    chunks: pl.DataFrame,
    *,
    topics: Sequence[Topic] = (TOPIC,),
    guards: Sequence[GuardQuestion] = (),
    earlier_fact_ids: frozenset[str] = frozenset(),
    known_fact_ids: frozenset[str] = frozenset(),
    taken_fact_ids: frozenset[str] = frozenset(),
    limits: Limits | None = None,
    earlier_qa: Sequence[pl.DataFrame] = (),
    iteration: int = 0,
    retired_facts: frozenset[str] = frozenset(),
    rules: Rules | None = None,
    embed: Embed | None = None,
) -> pl.DataFrame:
    """Curate with the arguments that the test does not care about filled in."""
    return curate(
        drafts,
        [],
        chunks,
        topics,
        guards,
        count_tokens=count_tokens,
        teacher="tester/1",
        iteration=iteration,
        earlier_fact_ids=earlier_fact_ids,
        known_fact_ids=known_fact_ids,
        taken_fact_ids=taken_fact_ids,
        limits=limits,
        earlier_qa=earlier_qa,
        retired_facts=retired_facts,
        rules=rules,
        embed=embed,
    )


def domain(names: Sequence[str], page_name: str = "a.html", iteration: int = 0, **more: object) -> pl.DataFrame:
    """Return the pair table of facts "Python 3.15 adds `<name>` as the <name> widget-n", one per name."""
    texts = [f"The release adds `{name}` as gadget number {i} of the shelf." for i, name in enumerate(names)]
    _, chunks = page(texts, page_name)
    drafts = [fact(chunks, text, names[i], f"gadget number {i} of {page_name}", ordinal=i, **more) for i, text in enumerate(texts)]  # pyright: ignore[reportArgumentType]
    return curated(drafts, chunks, limits=Limits(facts_per_topic=1000), iteration=iteration)


def graded(pairs: pl.DataFrame, answers: dict[str, tuple[str, str]], error_type: str = "other") -> pl.DataFrame:
    """Return graded answers: question to what was said and its label."""
    rows = []
    for row in pairs.iter_rows(named=True):
        if row["question"] not in answers:
            continue
        said, label = answers[row["question"]]
        rows.append(
            {
                "answer_id": ids.short_id(row["qa_id"], said),
                "probe_id": ids.probe_id(row["fact_id"], row["question"]),
                "system": "sft",
                "split": "mine",
                "fact_id": row["fact_id"],
                "topic_id": row["topic_id"],
                "category": row["category"],
                "question": row["question"],
                "gold": row["answer"],
                "answer": said,
                "label": label,
                "error_type": error_type,
            }
        )
    return pl.DataFrame(rows, schema=ANSWER_SCHEMA)
