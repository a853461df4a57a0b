"""The passages a retrieval-assisted student is shown with a question (E5): hybrid search over what the domain has read.

Finding only. How a passage enters the prompt is `students.chat`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import polars as pl

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
    vectors = embed(questions)
    found: dict[str, tuple[str, list[str]]] = {}
    for probe, question, vector in zip(asked["probe_id"], questions, vectors, strict=True):
        hits = pl.concat([store.search(question, vector, PASSAGES, tag) for tag in tags])
        best = (
            hits.filter(pl.col("similarity") >= RELEVANT)
            .sort("score", "chunk_id", descending=[True, False])
            .unique("chunk_id", keep="first", maintain_order=True)
            .head(PASSAGES)
        )
        found[probe] = _shown(best)
    return found


def _shown(hits: pl.DataFrame) -> tuple[str, list[str]]:
    words = CONTEXT_WORDS
    texts: list[str] = []
    chunks: list[str] = []
    for row in hits.iter_rows(named=True):
        passage = f"{' > '.join(row['heading_path'])}\n{row['text']}".split(" ")
        if words <= 0:
            break
        texts.append(" ".join(passage[:words]))
        chunks.append(row["chunk_id"])
        words -= len(passage)
    return "\n\n".join(texts), chunks
