"""A person corrects a fact, and the iteration that takes it up studies its topic once more (S13, V1)."""

from pathlib import Path

import polars as pl
import pytest

from alas_assets.provenance.store import Cell
from alas_assets.records import Curriculum, RevisedCurriculum
from alas_assets.review.journal import Journal
from alas_assets.review.pairs import Decision
from alas_assets_tests.harness import Harness, Site

pytestmark = pytest.mark.timeout(480)


def test_a_corrected_fact_that_a_weak_topic_drafts_again_stands_once_and_the_topics_other_facts_come_back(
    tiny_student: Path, quill_site: Site, tmp_path: Path
) -> None:
    harness = Harness(tmp_path, str(tiny_student))
    harness.domain("quill", quill_site.port, max_topics="18")
    assert harness.run("quill", dry_run=True).success
    hashes = harness.pointers("quill")
    taught = harness.store.read_table(hashes["qa_pairs"], "qa_pairs").filter("accepted")
    wrong = taught.filter(pl.col("answer") == "GCC 12.3").row(0, named=True)
    said = Decision(**{name: wrong[name] for name in ("qa_id", "fact_id", "question", "answer")}, decision="edit", new_answer="12.3")
    Journal(harness.store.root, "quill").add("pairs", [said.model_dump(exclude={"by", "at"})], by="ada", at="2026-11-30")
    plan = harness.store.read_record(Curriculum, hashes["curriculum"], "curriculum")
    weak = [topic.model_copy(update={"origin": "remediation"}) for topic in plan.topics]
    revised = RevisedCurriculum(domain="quill", iteration=0, decision="continue", reason="weak", accuracy=0.5, remediation=weak)
    harness.store.put(Cell.of("quill", 0), "revised_curriculum", revised, input_key="by hand", inputs={}, run_id="r")
    assert harness.run("quill", 1, dry_run=True).success

    pairs = harness.store.read_table(harness.pointers("quill", 1)["qa_pairs"], "qa_pairs")
    corrected = pairs.filter("accepted", pl.col("answer") == "12.3")
    assert set(corrected["role"]) == {"train", "mine", "probe"}
    assert corrected["question"].is_unique().all()
    again = pairs.filter("accepted", pl.col("answer") != "12.3")
    assert set(again["fact_id"]) == set(taught["fact_id"]) - {wrong["fact_id"]}
    probes = harness.store.read_table(harness.pointers("quill", 1)["probes"], "probes")
    assert probes["probe_id"].is_unique().all()
    assert "12.3" in set(probes["answer"])
