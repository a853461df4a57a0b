"""The loop's mechanics on a tiny random student: everything is made once, skipped when unchanged, redone when needed."""

import json
import shutil
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from alas_assets.partitions import cell_key
from alas_assets.provenance.store import Cell
from alas_assets.records import AdapterRef, GateDecision, RevisedCurriculum
from alas_assets_tests.harness import LOOP, Harness, Site

pytestmark = pytest.mark.timeout(480)


@pytest.fixture(scope="module")
def quill(quill: Harness, tmp_path_factory: pytest.TempPathFactory) -> Harness:
    """A copy of the finished cell: what these tests delete and open, no other test sees."""
    return quill.copied(tmp_path_factory.mktemp("loop"))


def test_every_asset_of_the_loop_is_made(quill: Harness) -> None:
    assert set(quill.pointers("quill")) == set(LOOP)


def test_an_iteration_teaches_the_pages_of_its_plan_and_nothing_else(quill: Harness, quill_site: Site) -> None:
    pairs = quill.store.read_table(quill.pointers("quill")["qa_pairs"], "qa_pairs").filter("accepted")
    assert pairs["fact_id"].n_unique() >= 2
    assert set(pairs["url"]) == {f"http://127.0.0.1:{quill_site.port}/3.html"}


def test_the_adapter_was_trained_on_exactly_the_rows_and_probes_it_names(quill: Harness) -> None:
    hashes = quill.pointers("quill")
    ref = quill.store.read_record(AdapterRef, hashes["sft_adapter"], "sft_adapter")
    assert ref.trained
    assert ref.steps > 0
    assert ref.probes_hash == hashes["probes"]
    rows = pl.read_parquet(quill.store.root / "rows" / f"sft-{ref.rows_hash}.parquet")
    pairs = quill.store.read_table(hashes["qa_pairs"], "qa_pairs").filter(pl.col("accepted") & (pl.col("role") == "train"))
    assert set(rows.filter(pl.col("kind") == "fact")["row_id"]) == set(pairs["qa_id"])


def test_a_student_that_learned_nothing_is_not_promoted(quill: Harness) -> None:
    decision = quill.store.read_record(GateDecision, quill.pointers("quill")["promotion"], "promotion")
    assert decision.verdict != "promote"
    assert quill.alas.registry.current("quill") is None


def test_the_revision_goes_on_while_a_page_is_left(quill: Harness) -> None:
    revised = quill.store.read_record(RevisedCurriculum, quill.pointers("quill")["revised_curriculum"], "revised_curriculum")
    assert revised.decision == "continue"
    assert any("4.html" in url for topic in revised.next_topics for url in topic.urls)


def test_an_unchanged_cell_trains_fetches_and_asks_nothing(quill: Harness, quill_site: Site) -> None:
    before, fetched = quill.pointers("quill"), sum(quill_site.requests.values())
    adapters = {path.name: path.stat().st_mtime_ns for path in quill.store.adapters.iterdir()}
    outcome = quill.run("quill")
    assert outcome.success, outcome.failures
    assert quill.redone() == set()
    assert quill.pointers("quill") == before
    assert sum(quill_site.requests.values()) == fetched
    assert {path.name: path.stat().st_mtime_ns for path in quill.store.adapters.iterdir()} == adapters


def test_a_deleted_table_is_made_again_and_nothing_after_it_when_it_comes_out_equal(quill: Harness) -> None:
    digest = quill.pointers("quill")["qa_pairs"]
    quill.store.artifact_path("qa_pairs", digest, "parquet").unlink()
    assert quill.run("quill").success
    assert quill.redone() == {"qa_pairs"}
    assert quill.pointers("quill")["qa_pairs"] == digest


def test_a_deleted_adapter_is_trained_again_to_the_same_bytes_so_nothing_after_it_runs(quill: Harness) -> None:
    before = quill.pointers("quill")
    ref = quill.store.read_record(AdapterRef, before["sft_adapter"], "sft_adapter")
    shutil.rmtree(quill.store.adapters / ref.adapter_hash)
    assert quill.run("quill").success
    assert quill.redone() == {"sft_adapter"}
    assert quill.pointers("quill") == before
    assert (quill.store.adapters / ref.adapter_hash).is_dir()


def test_a_training_whose_adapter_was_stored_and_not_noted_is_not_done_again(quill: Harness) -> None:
    before = quill.pointers("quill")

    def reported() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in (quill.store.root / "work" / "sft_adapter").glob("*/result.json")}

    reports = reported()
    shutil.rmtree(quill.store.root / "memo" / "sft_adapter")
    (quill.store.root / "cells" / "quill" / "000" / "sft_adapter.json").unlink()
    outcome = quill.run("quill")
    assert outcome.success, outcome.failures
    assert quill.redone() == {"sft_adapter"}
    assert quill.pointers("quill") == before
    assert reports
    assert reported() == reports, "a training of its own would have reported anew"


def test_a_deleted_chunk_table_is_built_again_from_the_pages(quill: Harness) -> None:
    shutil.rmtree(quill.store.root / "lance")
    outcome = quill.run("quill")
    assert outcome.success, outcome.failures
    assert quill.redone() == {"documents"}


def shown(harness: Harness, asset: str) -> dict[str, dg.MetadataValue]:
    """Return what the newest materialisation of the cell's asset shows."""
    found = harness.instance.fetch_materializations(
        dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[cell_key(Cell.of("quill", 0))]), limit=1
    )
    materialization = found.records[0].asset_materialization
    assert materialization is not None
    return dict(materialization.metadata)


def test_the_run_in_the_ui_shows_counts_samples_and_plots(quill: Harness) -> None:
    assert isinstance(shown(quill, "qa_pairs")["sample"], dg.TableMetadataValue)
    assert isinstance(shown(quill, "sft_adapter")["loss"], dg.MarkdownMetadataValue)
    assert shown(quill, "judge_scores")["answers"].value
    assert shown(quill, "curriculum")["pages_in_no_topic"].value == 0
    assert shown(quill, "documents")["pages"].value == 1
    assert shown(quill, "documents")["words_kept"].value == "100.0 %"
    assert isinstance(shown(quill, "documents")["coverage"], dg.TableMetadataValue)


def test_the_run_says_whether_the_right_answers_can_be_given(quill: Harness) -> None:
    (said, *_) = reversed(quill.check_shown(dg.AssetCheckKey(dg.AssetKey("probes"), "right_answers_pass")))
    assert said.passed
    probes = quill.store.read_table(quill.pointers("quill")["probes"], "probes")
    assert said.description == f"the right answers of {probes.height} questions pass"


def test_an_exam_is_asked_after_training_and_its_overlap_with_what_was_trained_is_shown(quill: Harness, tmp_path: Path) -> None:
    harness = quill.copied(tmp_path)
    pairs = harness.store.read_table(harness.pointers("quill")["qa_pairs"], "qa_pairs").filter("accepted", pl.col("role") == "train")
    lines = [
        {"id": "same", "question": pairs["question"][0], "answer": pairs["answer"][0]},
        {"id": "other", "question": "Whose walrus sings?", "answer": "nobody's"},
    ]
    exam = harness.settings.home / "exams" / "own.jsonl"
    exam.parent.mkdir()
    exam.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    domain = harness.settings.home / "domains" / "quill.toml"
    domain.write_text(domain.read_text(encoding="utf-8").replace('exam_file = ""', 'exam_file = "own.jsonl"'), encoding="utf-8")
    outcome = harness.run("quill")
    assert outcome.success, outcome.failures
    assert "exam_scores" in harness.redone()
    assert not {"qa_pairs", "sft_adapter", "promotion"} & harness.redone()
    like = shown(harness, "exam_scores")["most_like_a_trained_question"]
    assert isinstance(like, dg.TableMetadataValue)
    first, second = (record.data for record in like.records)
    assert (first["exam_id"], first["overlap"], first["nearest"]) == ("same", 1.0, pairs["question"][0])
    assert (second["exam_id"], shown(harness, "exam_scores")["median_word_overlap_with_training"].value) == (
        "other", (1.0 + float(second["overlap"])) / 2
    )  # fmt: skip


def test_the_run_says_whether_the_pages_were_kept_whole(quill: Harness) -> None:
    key = dg.AssetCheckKey(dg.AssetKey("documents"), "pages_kept_whole")
    records = quill.instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    assert [record.status.value for record in records] == ["SUCCEEDED"]


def test_a_cell_whose_seed_is_not_there_is_refused_in_words(quill: Harness) -> None:
    outcome = quill.run("quill", 2)
    assert not outcome.success
    assert any("revised_curriculum of quill|001 is not there; materialise that iteration first" in line for line in outcome.failures)


def test_the_second_iteration_builds_on_the_first_and_asks_its_probes_again(quill: Harness) -> None:
    outcome = quill.run("quill", 1)
    assert outcome.success, outcome.failures
    probes = quill.store.read_table(quill.pointers("quill", 1)["probes"], "probes")
    first = quill.store.read_table(quill.pointers("quill", 0)["probes"], "probes").filter(pl.col("split") == "probe")
    again = probes.filter(pl.col("split").is_in(["earlier", "probe"]))
    assert set(first["probe_id"]) <= set(again["probe_id"])


def test_two_domains_do_not_mix(quill: Harness, quill_site: Site) -> None:
    quill.domain("inkwell", quill_site.port, seed="9")
    before = quill.pointers("quill")
    assert quill.run("inkwell", dry_run=True).success
    assert quill.pointers("quill") == before
    assert set(quill.pointers("inkwell")) == {"curriculum_seed", "curriculum", "documents", "qa_pairs", "probes"}
