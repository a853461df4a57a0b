"""A store that is read once gives what the store itself gives, and a domain's tables as one (A1)."""

from pathlib import Path

import polars as pl
import pytest

from alas_assets.provenance.reading import ReadOnce
from alas_assets.provenance.store import ArtifactStore, Cell, Pointer, StoreError
from alas_assets.records import ANSWER_SCHEMA, QA_SCHEMA
from alas_assets_tests.evaluation.tables import answers, pairs, probe, probes

CELL = Cell.of("quill", 1)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path)


def put(store: ArtifactStore, cell: Cell, asset: str, table: pl.DataFrame, key: str = "") -> Pointer:
    return store.put(cell, asset, table, input_key=f"{cell} {asset} {key}", inputs={}, run_id=f"run {key}")


def test_the_rows_of_a_domain_come_oldest_iteration_first_each_with_its_cell(store: ArtifactStore) -> None:
    for cell in (Cell.of("quill", 2), CELL, Cell.of("other", 0)):
        put(store, cell, "qa_pairs", pairs([{"qa_id": f"{cell} {n}"} for n in "ab"]))
    rows = ReadOnce(store).rows_of("quill", "qa_pairs")
    assert rows.schema == {**QA_SCHEMA, "cell": pl.String}
    assert rows.select("qa_id", "cell").rows() == [(f"{cell} {n}", cell) for cell in ("quill|001", "quill|002") for n in "ab"]


def test_older_tables_have_the_columns_of_now_and_a_domain_without_any_has_no_row(store: ArtifactStore) -> None:
    asked = probes(probe(1))
    put(store, CELL, "judge_scores", answers(asked, "sft", [True]).drop("rule_label", "rule_explanation", "verdicts"))
    put(store, Cell.of("quill", 2), "judge_scores", answers(asked, "sft", [True]))
    once = ReadOnce(store)
    assert once.rows_of("quill", "judge_scores")["rule_label"].to_list() == ["correct", None]
    for asset in ("judge_scores", "documents"):
        assert once.rows_of("nobody's", asset).is_empty()
    assert once.rows_of("nobody's", "judge_scores").schema == {**ANSWER_SCHEMA, "cell": pl.String}


def test_a_damaged_table_is_named(store: ArtifactStore) -> None:
    pointer = put(store, CELL, "qa_pairs", pairs([{"qa_id": "a"}]))
    store.artifact_path(pointer.asset, pointer.hash, pointer.kind).write_bytes(b"torn")
    with pytest.raises(StoreError, match=pointer.hash):
        ReadOnce(store).rows_of("quill", "qa_pairs")


def test_who_made_content_first_is_the_same_and_files_are_read_once(store: ArtifactStore) -> None:
    table = pairs([{"qa_id": "a"}])
    put(store, CELL, "qa_pairs", table, "first")
    again = put(store, CELL, "qa_pairs", table, "again")
    once = ReadOnce.over(store)
    assert once.first_made(again) == store.first_made(again)
    assert [one.run_id for one in once.remembered("qa_pairs")] == ["run first"] * 2
    put(store, Cell.of("quill", 2), "qa_pairs", table, "later")
    assert len(once.remembered("qa_pairs")) == 2
    assert len(store.remembered("qa_pairs")) == 3
    assert ReadOnce.over(once) is once
