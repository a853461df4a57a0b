"""The passages a retrieval-assisted student is shown with a question (E5): hybrid search over what the domain has read.

Finding only. How a passage enters the prompt is `students.chat`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import polars as pl

from alas_assets.provenance.store import StoreError
from alas_assets.retrieval.store import ChunkStore

Contexts = Mapping[str, tuple[str, list[str]]]
"""By probe id: the text shown, and the ids of its chunks; both empty where nothing was found."""

PASSAGES = 2
CONTEXT_WORDS = 110
"""Words shown in all; every word is paid for with each question."""

RELEVANT = 0.3
"""Least cosine of question and passage: a question about something else is answered with the book closed."""


def find_contexts(
    asked: pl.DataFrame,
    store: ChunkStore,
    tags: Sequence[str],
    embed: Callable[[list[str]], list[list[float]]],
) -> dict[str, tuple[str, list[str]]]:
    """Find passages for every question.

    Args:
        asked: Questions, with `probe_id` and `question`.
        store: The domain's passages.
        tags: The cells to search: this one and the earlier ones.
        embed: Embeds texts, normalised.

    Raises:
        StoreError: The table or a tag is gone or damaged.
    """
    questions = asked["question"].to_list()
    best: dict[str, list[str]] = {}
    for probe, question, vector in zip(asked["probe_id"], questions, embed(questions), strict=True):
        hits = store.search(question, vector, PASSAGES, tags)
        best[probe] = hits.filter(pl.col("similarity") >= RELEVANT)["chunk_id"].to_list()
    # What is shown is read as it is read again for an audit, which shows a passage as the newest of the cells has it.
    stored = store.read_passages(sorted({chunk for chunks in best.values() for chunk in chunks}), tags)
    return {probe: _context(stored, chunks) for probe, chunks in best.items()}


def _context(stored: pl.DataFrame, chunks: list[str]) -> tuple[str, list[str]]:
    """Return what is shown of passages, best first, and the ids of those that have room."""
    texts = as_shown(pl.DataFrame({"chunk_id": chunks}, schema={"chunk_id": pl.String}).join(stored, on="chunk_id", maintain_order="left"))
    return "\n\n".join(texts), chunks[: len(texts)]


def contexts_again(chunks: Sequence[str], store: ChunkStore, tags: Sequence[str]) -> str:
    """Return the text that was shown with these passages, from what was stored for those cells.

    Args:
        chunks: Chunk ids, in the order in which they were shown.
        store: The domain's passages.
        tags: The cells to look in: the newest that has a passage counts.

    Raises:
        StoreError: A passage is in none of the cells, or the table is gone or damaged.
    """
    found = passages_again(chunks, store, tags)
    if found.height < len(chunks):
        missing = sorted(set(chunks) - set(found["chunk_id"]))
        raise StoreError(f"passage {missing[0]} is in none of the cells {', '.join(tags)}; what was shown cannot be shown again")
    return "\n\n".join(as_shown(found))


def passages_again(chunks: Sequence[str], store: ChunkStore, tags: Sequence[str]) -> pl.DataFrame:
    """Return those of the passages that are stored for one of the cells (`CHUNK_SCHEMA`), in their order; else as `contexts_again`.

    Raises:
        StoreError: The table or the tag of a cell that is looked in is gone or damaged, or it has lost a passage that it is to have.
    """
    return store.read_passages(chunks, tags)


def as_shown(passages: pl.DataFrame) -> list[str]:
    """Return what is shown of each passage, its headings first; none for the last ones where no word is left for them."""
    words = CONTEXT_WORDS
    texts: list[str] = []
    for row in passages.iter_rows(named=True):
        if words <= 0:
            break
        passage = f"{' > '.join(row['heading_path'])}\n{row['text']}".split(" ")
        texts.append(" ".join(passage[:words]))
        words -= len(passage)
    return texts
