"""Judges in the loop: what failed is judged again and nothing else, and the UI shows who graded and how far graders agree (E3, E7)."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import dagster as dg
import polars as pl
import pytest

from alas_assets.audit.render import trace_text
from alas_assets.audit.trace import trace_answer
from alas_assets.definitions import MODULES
from alas_assets.defs import sensors
from alas_assets.defs.io_managers import StoreIOManager
from alas_assets.defs.resources import Alas, Trainer
from alas_assets.domains.config import Domain, TeacherSettings
from alas_assets.evaluation.grading import grade
from alas_assets.partitions import cell_key
from alas_assets.provenance.store import Cell
from alas_assets.teachers.extractive import ExtractiveTeacher
from alas_assets.teachers.protocol import Grade, GradeRequest
from alas_assets_tests.harness import Harness

pytestmark = pytest.mark.timeout(480)
CELL = Cell.of("quill", 0)


class TwoJudges(ExtractiveTeacher):
    """Two judges of opposite tempers; the lenient one cannot be reached for the first answers while it is down."""

    name = "llm"
    judges = ("lenient", "strict")
    down = True
    asked: ClassVar[list[tuple[str, int]]] = []

    def grade_as(self, judge: str, requests: Sequence[GradeRequest]) -> list[Grade]:
        TwoJudges.asked.append((judge, len(requests)))
        if judge == "strict":
            return [grade(request) for request in requests]
        said = [Grade(label="correct", explanation="sounds right")] * len(requests)
        if TwoJudges.down:
            said[:3] = [Grade(label="failed", explanation="the call timed out")] * 3
        return said


class JudgedAlas(Alas):
    """The resource with two judges that need no endpoint."""

    def domain(self, key: str) -> Domain:
        """Return the domain as if it named two models."""
        settings = TeacherSettings(kind="openai", model="m", judges=("lenient", "strict"))
        return super().domain(key).model_copy(update={"teacher": settings})

    def teacher(self, domain: Domain, *_: object) -> TwoJudges:
        """Return the two."""
        return TwoJudges()


def materialise(home: Path, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Materialise `judge_scores` and its checks as `alas run` does."""
    alas = JudgedAlas(home=str(home))
    definitions = dg.Definitions(
        assets=dg.load_assets_from_modules(MODULES),
        asset_checks=dg.load_asset_checks_from_modules(MODULES),
        jobs=[sensors.iteration],
        resources={"alas": alas, "trainer": Trainer(), "store_io": StoreIOManager(alas=alas)},
    )
    job = definitions.resolve_job_def("iteration")
    return job.execute_in_process(instance=instance, partition_key=cell_key(CELL), asset_selection=[dg.AssetKey("judge_scores")])


def shown(result: dg.ExecuteInProcessResult) -> dict[str, dg.MetadataValue]:
    (event,) = result.asset_materializations_for_node("judge_scores")
    return dict(event.metadata)


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def rows(value: dg.MetadataValue) -> list[dict[str, object]]:
    assert isinstance(value, dg.TableMetadataValue)
    return [dict(record.data) for record in value.records]


def test_failed_judgements_are_shown_retried_alone_and_then_never_again(quill: Harness, tmp_path: Path) -> None:
    harness = quill.copied(tmp_path, ignore=("lance", "locks"))
    probes = harness.store.read_table(harness.pointers("quill")["probes"], "probes")
    guards = probes.filter(pl.col("split").is_in(["guard", "neighbour"])).height
    assert guards

    first = materialise(harness.settings.home, harness.instance)
    scores = harness.store.read_table(harness.pointers("quill")["judge_scores"], "judge_scores")
    judged = scores.filter(pl.col("judge") == "lenient, strict")
    assert judged.height == probes.height - guards - scores.filter((pl.col("judge") == "rules") & (pl.col("split") == "probe")).height
    assert not scores.filter(pl.col("label") == "correct").height
    checked = checks(first)
    assert not checked["every_answer_judged"].passed
    assert "lenient failed on 3 of" in str(checked["every_answer_judged"].description)
    assert "because: the call timed out" in str(checked["every_answer_judged"].description)
    metadata = shown(first)
    assert {"judged_by", "agreement", "judges_against_rules", "disagreements", "failed_judgements"} <= set(metadata)
    assert [(row["judge"], row["failed"]) for row in rows(metadata["failed_judgements"])] == [("lenient", 3)]
    assert {(row["one"], row["other"]) for row in rows(metadata["agreement"])} >= {("lenient", "strict"), ("strict", "rules")}
    assert rows(metadata["disagreements"])[0]["judges"].startswith("lenient: ")  # pyright: ignore[reportAttributeAccessIssue]

    traced = trace_text(trace_answer(harness.store, str(judged["answer_id"][-1])))
    assert "  judge    lenient: correct  sounds right\n  judge    strict: incorrect" in traced
    assert "\n  rules    incorrect\n" in traced

    TwoJudges.down = False
    TwoJudges.asked.clear()
    second = materialise(harness.settings.home, harness.instance)
    assert TwoJudges.asked == [("lenient", 3)]
    assert checks(second)["every_answer_judged"].passed
    assert not shown(second)["unchanged"].value

    TwoJudges.asked.clear()
    third = materialise(harness.settings.home, harness.instance)
    assert TwoJudges.asked == []
    assert shown(third)["unchanged"].value
    assert "failed_judgements" in shown(third)


def test_a_cell_graded_by_the_rules_alone_has_nobody_to_compare_them_with(quill: Harness) -> None:
    key = dg.AssetCheckKey(dg.AssetKey("judge_scores"), "judges_agree")
    (record,) = quill.instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    assert record.status.value == "SUCCEEDED"
    scores = quill.store.read_table(quill.pointers("quill")["judge_scores"], "judge_scores")
    assert set(scores["judge"]) == {"rules"}
    assert scores["label"].equals(scores["rule_label"])
