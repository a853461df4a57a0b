"""What counts as a try of an iteration, or as one to open it: whole runs, not what somebody clicked, and none from before its time (O2)."""

import time
from pathlib import Path

import dagster as dg
import pytest

from alas_assets.defs.births import AUTOMATION, ITERATION_JOB, START_JOB
from alas_assets.partitions import cell_key, register_cell
from alas_assets.provenance.store import Cell
from alas_assets.provenance.watching import set_watched
from alas_assets_tests.harness import Harness, requests, skipped

CELL = Cell.of("quill", 0)
BY_HAND = "__ASSET_JOB"
FAILURE, SUCCESS = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    """The domain `quill`, watched, whose iteration 000 is open; it may fail twice, and is tried again at once."""
    harness = Harness(tmp_path, "no-student-is-needed-here")
    harness.domain("quill", 9)
    path = harness.settings.home / "domains" / "quill.toml"
    path.write_text(path.read_text(encoding="utf-8") + "\n[retries]\nattempts = 2\nwait_minutes = 0\n", encoding="utf-8")
    set_watched(harness.settings.home, "quill", True)
    harness.opened("quill", 0)
    register_cell(harness.instance, CELL)
    return harness


def ran(harness: Harness, cell: Cell, job: str, status: dg.DagsterRunStatus, assets: str = "", **tags: str) -> None:
    """Record a run of a cell that ended so."""
    said = {"dagster/partition": cell_key(cell), "dagster/partition/domain": cell.domain, **tags}
    selected = frozenset(map(dg.AssetKey, assets.split())) or None
    run = harness.instance.create_run_for_job(
        harness.repository.get_job(job), tags=said, asset_selection=selected, status=dg.DagsterRunStatus.STARTED
    )
    event = dg.DagsterEventType.RUN_FAILURE if status is FAILURE else dg.DagsterEventType.RUN_SUCCESS
    harness.instance.report_dagster_event(dg.DagsterEvent(event.value, job), run.run_id)


def again(harness: Harness) -> list[str]:
    return [str(request.partition_key) for request in requests(harness.tick("failed_iterations"))]


def test_one_asset_made_by_hand_does_not_end_the_tries(harness: Harness) -> None:
    ran(harness, CELL, ITERATION_JOB, FAILURE)
    ran(harness, CELL, BY_HAND, SUCCESS, "curriculum")
    assert again(harness) == ["quill|000"]


def test_what_somebody_clicked_uses_up_no_try(harness: Harness) -> None:
    for _ in range(3):
        ran(harness, CELL, BY_HAND, FAILURE, "curriculum")
        ran(harness, CELL, ITERATION_JOB, FAILURE, "wrong_answers")
    assert "is unfinished, and no run of it failed" in skipped(harness.tick("failed_iterations"))
    ran(harness, CELL, ITERATION_JOB, FAILURE)
    assert again(harness) == ["quill|000"]


def test_a_run_of_automation_is_a_try_whatever_it_was_for(harness: Harness) -> None:
    for _ in range(2):
        ran(harness, CELL, BY_HAND, FAILURE, "curriculum", **{"dagster/sensor_name": AUTOMATION})
    assert "is closed: 2 runs failed" in skipped(harness.tick("failed_iterations"))


def test_runs_from_before_the_iteration_was_opened_use_up_no_try(harness: Harness) -> None:
    early = Cell.of("quill", 1)
    for _ in range(3):
        ran(harness, early, ITERATION_JOB, FAILURE)
        ran(harness, early, START_JOB, FAILURE)  # as a backfill does
    time.sleep(1.1)  # what the store dates is dated in whole seconds
    harness.revised("quill", 0, "continue")
    (request,) = requests(harness.tick("next_iteration"))
    assert (request.partition_key, request.run_key) == ("quill|001", "quill/001/3")
    harness.opened("quill", 1)
    assert "is unfinished, and no run of it failed" in skipped(harness.tick("failed_iterations"))


def test_a_cell_whose_key_was_deleted_in_the_ui_is_tried_again_all_the_same(harness: Harness) -> None:
    ran(harness, CELL, ITERATION_JOB, FAILURE)
    harness.instance.delete_dynamic_partition("iteration", "000")
    sensor = harness.repository.get_sensor_def("failed_iterations")
    with dg.build_sensor_context(
        instance=harness.instance,
        instance_ref=harness.instance.get_ref(),
        repository_def=harness.repository,
        resources={"alas": harness.alas},
        sensor_name="failed_iterations",
    ) as context:
        tick = sensor.evaluate_tick(context)
    assert [request.partition_key for request in tick.run_requests or []] == ["quill|000"]
