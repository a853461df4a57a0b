"""A store that is read once gives what the store itself gives, and a domain's tables as one (A1)."""

import json
from pathlib import Path

import polars as pl
import pytest

from alas_assets.audit.reading import ReadOnce
from alas_assets.provenance.store import ArtifactStore, Cell, Pointer, StoreError, table_hash
from alas_assets.records import ANSWER_SCHEMA, QA_SCHEMA, TRAIN_ROW_SCHEMA, AdapterRef
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


def test_only_rows_that_were_trained_on_count_as_trained(store: ArtifactStore) -> None:
    told = [("long", "a"), ("long", "a"), ("fits", "a"), ("held out", "b"), ("again", "b"), ("again", "b"), ("replay", "")]
    rows = pl.DataFrame(
        [{"row_id": row, "kind": "fact", "fact_id": fact, "prompt": "p", "completion": "c"} for row, fact in told], schema=TRAIN_ROW_SCHEMA
    )
    path = store.training_rows_path("sft", table_hash(rows))
    path.parent.mkdir(parents=True)
    rows.write_parquet(path)
    ref = AdapterRef(adapter_hash="a" * 64, kind="sft", trained=True, base_hash="b", rows_hash=table_hash(rows), probes_hash="p")
    store.put(CELL, "sft_adapter", ref, input_key="k", inputs={}, run_id="r")

    def counted() -> dict[str, int]:
        return dict(ReadOnce(store).trained_rows("quill").select("fact_id", "rows").rows())

    assert counted() == {"a": 3, "b": 3, "": 1}, "without a manifest, as after a takedown, the file is all that is known"
    manifest = store.adapters / ref.adapter_hash / "manifest.json"
    manifest.parent.mkdir(parents=True)
    trained = {"row_ids": ["long", "fits", "again", "replay"], "left_out": ["long", "again"], "dev_row_ids": ["held out"]}
    manifest.write_text(json.dumps(trained), encoding="utf-8")
    assert counted() == {"a": 2, "b": 1, "": 1}
    manifest.write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match=r"manifest.json: cannot be read .*; materialise sft_adapter of quill\|001 again"):
        counted()
