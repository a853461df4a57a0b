"""What a student is shown with a question is what fits best of all that the domain has read, and can be shown again (E5, A1)."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from alas_assets.provenance.store import StoreError
from alas_assets.retrieval.open_book import contexts_again, find_contexts, passages_again
from alas_assets.retrieval.store import ChunkStore
from alas_assets_tests.retrieval.test_store import keep, rows

WORDS = ("passage", "lazy", "imports", "profiling", "tools")
CELLS = ["cell-000", "cell-001"]


def embed(texts: list[str]) -> list[list[float]]:
    """Count the words that are known, so that texts are near which share them."""
    return [[0.1 + text.split().count(word) for word in WORDS] for text in texts]


def ask(question: str) -> pl.DataFrame:
    return pl.DataFrame({"probe_id": ["asked"], "question": [question]})


@pytest.fixture
def passages(tmp_path: Path) -> ChunkStore:
    return ChunkStore(tmp_path, "python-releases", "tiny")


def test_the_passages_of_all_cells_are_ranked_together(passages: ChunkStore) -> None:
    keep(passages, "cell-000", rows("ab", "imports of tools and tools"), embed)
    keep(passages, "cell-001", pl.concat([rows("yz", "lazy imports"), rows("c", "profiling tools")]), embed)
    text, chunks = find_contexts(ask("lazy imports"), passages, CELLS, embed)["asked"]
    assert sorted(chunks) == ["y", "z"], "the best of another cell is no better for being the best there"
    assert text == contexts_again(chunks, passages, CELLS)


def test_what_is_shown_can_be_shown_again_also_where_an_earlier_cell_was_made_again_later(passages: ChunkStore) -> None:
    keep(passages, "cell-000", rows("a", "lazy imports"), embed)
    keep(passages, "cell-001", rows("ab", "lazy imports"), embed)
    keep(passages, "cell-000", rows("a", "lazy imports").with_columns(heading_path=pl.lit(["Moved"])), embed)
    text, chunks = find_contexts(ask("lazy imports"), passages, CELLS, embed)["asked"]
    assert sorted(chunks) == ["a", "b"]
    assert text == contexts_again(chunks, passages, CELLS)
    assert "Moved" not in text
    assert "Moved" in find_contexts(ask("lazy imports"), passages, CELLS[:1], embed)["asked"][0]


def test_a_question_about_something_else_and_one_to_no_cell_are_shown_nothing(passages: ChunkStore) -> None:
    keep(passages, "cell-000", rows("a", "lazy imports"), lambda texts: [[1.0, 0.0] for _ in texts])
    assert find_contexts(ask("lazy"), passages, CELLS[:1], lambda texts: [[0.0, 1.0] for _ in texts]) == {"asked": ("", [])}
    assert find_contexts(ask("lazy"), passages, [], lambda texts: [[1.0, 0.0] for _ in texts]) == {"asked": ("", [])}


def test_a_passage_that_no_cell_has_is_left_out_and_cannot_be_shown_again(passages: ChunkStore) -> None:
    keep(passages, "cell-000", rows("ab"), embed)
    assert passages_again(["b", "gone", "a"], passages, CELLS[:1])["chunk_id"].to_list() == ["b", "a"]
    with pytest.raises(StoreError, match="passage gone is in none of the cells cell-000"):
        contexts_again(["b", "gone"], passages, CELLS[:1])
