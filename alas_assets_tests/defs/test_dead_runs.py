"""A run whose process was killed: it is closed, and what it held is free, when the store is opened next (O4)."""

import os
import platform
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest

from alas_assets.defs.births import ITERATION_JOB
from alas_assets.defs.dead_runs import BORN_TAG, HOST_TAG, LOCK_TAG, PID_TAG, close_dead_runs, process_tags, under_way_words
from alas_assets.defs.running import open_instance
from alas_assets.partitions import cell_key, register_cell
from alas_assets.provenance.store import Cell
from alas_assets.provenance.watching import set_watched
from alas_assets_tests.harness import Harness, skipped

KILLED_IN_A_POOL = """
import os, signal, sys, uuid
from pathlib import Path
import dagster as dg
from alas_assets.defs.dead_runs import process_tags
from alas_assets.defs.running import open_instance
from alas_assets.settings import load_settings

@dg.asset(pool="gpu")
def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)

instance = open_instance(load_settings(Path(sys.argv[1])))
job = dg.Definitions(assets=[killed], jobs=[dg.define_asset_job("only")]).resolve_job_def("only")
run_id = str(uuid.uuid4())
job.execute_in_process(instance=instance, run_id=run_id, tags=process_tags(run_id))
"""


def test_a_run_killed_in_a_pool_is_failed_and_its_place_is_free(tmp_path: Path) -> None:
    harness = Harness(tmp_path, "none")
    child = subprocess.run(
        [sys.executable, "-c", KILLED_IN_A_POOL, str(harness.settings.home)], capture_output=True, text=True, check=False
    )
    assert child.returncode == -9, child.stderr
    assert harness.instance.event_log_storage.get_concurrency_run_ids()
    opened = open_instance(harness.settings)
    (run,) = opened.get_runs()
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert not opened.event_log_storage.get_concurrency_run_ids()


HOLDING = """
import sys, time, uuid
from pathlib import Path
import dagster as dg
from alas_assets.defs.dead_runs import HOST_TAG, hold_run
from alas_assets.defs.running import open_instance
from alas_assets.settings import load_settings

instance = open_instance(load_settings(Path(sys.argv[1])))
job, run_id = dg.JobDefinition(name="iteration", graph_def=dg.GraphDefinition(name="empty")), str(uuid.uuid4())
tags = hold_run(instance, run_id) | {HOST_TAG: "an earlier name", "dagster/partition/domain": "quill"}
instance.create_run_for_job(job, run_id=run_id, status=dg.DagsterRunStatus.STARTED, tags=tags)
print(run_id, flush=True)
time.sleep(600)
"""


@pytest.fixture
def holding(tmp_path: Path) -> Iterator[tuple[Harness, subprocess.Popen[str], str]]:
    """A run that is at work in another process, on a machine that had another name when it began."""
    harness = Harness(tmp_path, "none")
    command = [sys.executable, "-c", HOLDING, str(harness.settings.home)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield harness, process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def locks(harness: Harness) -> list[Path]:
    return list((harness.settings.dagster_home / "run_locks").iterdir())


def test_a_killed_process_is_told_by_its_lock_whatever_its_machine_is_called_by_now(
    holding: tuple[Harness, subprocess.Popen[str], str],
) -> None:
    harness, process, run_id = holding

    def status() -> dg.DagsterRunStatus:
        (run,) = open_instance(harness.settings).get_runs()
        assert run.run_id == run_id
        return run.status

    assert status() is dg.DagsterRunStatus.STARTED
    process.kill()
    process.wait()
    assert status() is dg.DagsterRunStatus.FAILURE
    assert locks(harness) == [], "nor is anything left of the lock"


def test_a_run_whose_lock_was_deleted_is_judged_by_where_it_says_it_is(holding: tuple[Harness, subprocess.Popen[str], str]) -> None:
    harness, _, _ = holding
    for path in locks(harness):
        path.unlink()
    (run,) = open_instance(harness.settings).get_runs()
    assert run.status is dg.DagsterRunStatus.STARTED


def test_a_run_on_another_machine_is_named_with_it_and_with_how_it_is_ended(tmp_path: Path, gone: int) -> None:
    harness = Harness(tmp_path, "none")
    there, here = started(harness, gone, "elsewhere"), started(harness, os.getpid(), platform.node())
    said = under_way_words(harness.instance, there, "quill")
    assert said.startswith(f"run {there[:8]} of quill is under way since 20")
    assert "UTC on elsewhere, which is another machine, or this one under an earlier name; if it is gone, end the run in the UI" in said
    assert under_way_words(harness.instance, here, "quill").endswith("UTC")


def started(
    harness: Harness,
    pid: int,
    host: str,
    of: str = "",
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED,
    tags: dict[str, str] | None = None,
) -> str:
    """Record a run that is at work in a process, or whose tags were copied from the run `of`; returns its id."""
    job, run_id = dg.JobDefinition(name=ITERATION_JOB, graph_def=dg.GraphDefinition(name="empty")), str(uuid.uuid4())
    said = {PID_TAG: f"{pid}:{of or run_id}", HOST_TAG: host, **(tags or {})}
    harness.instance.create_run_for_job(job, run_id=run_id, status=status, tags=said)
    return run_id


@pytest.fixture
def gone() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_run_on_another_machine_is_left_alone(tmp_path: Path, gone: int) -> None:
    harness = Harness(tmp_path, "none")
    for host in ("elsewhere", platform.node()):
        started(harness, gone, host)
    found = {run.tags[HOST_TAG]: run.status for run in open_instance(harness.settings).get_runs()}
    assert found == {"elsewhere": dg.DagsterRunStatus.STARTED, platform.node(): dg.DagsterRunStatus.FAILURE}


@pytest.mark.parametrize(
    ("left", "ended"),
    [
        (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.FAILURE),  # killed between making the run and starting it
        (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.FAILURE),
        (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED),  # killed while Ctrl-C was ending it
    ],
)
def test_whatever_a_killed_process_left_its_run_as_is_ended(
    tmp_path: Path, gone: int, left: dg.DagsterRunStatus, ended: dg.DagsterRunStatus
) -> None:
    harness = Harness(tmp_path, "none")
    dead, alive = started(harness, gone, platform.node(), status=left), started(harness, os.getpid(), platform.node(), status=left)
    found = {run.run_id: run.status for run in open_instance(harness.settings).get_runs()}
    assert found == {dead: ended, alive: left}


def test_a_process_that_got_the_id_of_a_dead_one_is_not_taken_for_it(tmp_path: Path) -> None:
    harness, mine = Harness(tmp_path, "none"), process_tags("r")[BORN_TAG]
    earlier = started(harness, os.getpid(), platform.node(), tags={BORN_TAG: f"{mine}1"})
    alive = {started(harness, os.getpid(), platform.node(), tags=born) for born in ({BORN_TAG: mine}, {})}
    found = {run.run_id: run.status for run in open_instance(harness.settings).get_runs()}
    assert found == {earlier: dg.DagsterRunStatus.FAILURE} | dict.fromkeys(alive, dg.DagsterRunStatus.STARTED)


def test_a_process_began_when_it_began_however_often_and_from_wherever_that_is_asked(tmp_path: Path) -> None:
    harness = Harness(tmp_path, "none")
    job, run_id = dg.JobDefinition(name=ITERATION_JOB, graph_def=dg.GraphDefinition(name="empty")), str(uuid.uuid4())
    harness.instance.create_run_for_job(job, run_id=run_id, status=dg.DagsterRunStatus.STARTED, tags=process_tags(run_id))
    look = "import sys; from pathlib import Path; from alas_assets.defs.running import open_instance; " + (
        "from alas_assets.settings import load_settings; open_instance(load_settings(Path(sys.argv[1])))"
    )
    subprocess.run([sys.executable, "-c", look, str(harness.settings.home)], check=True, capture_output=True)
    close_dead_runs(harness.instance)
    (run,) = harness.instance.get_runs()
    assert run.status is dg.DagsterRunStatus.STARTED


def test_a_scoreboards_run_says_which_process_it_is_in(tmp_path: Path) -> None:
    harness = Harness(tmp_path, "none")
    harness.domain("quill", 9)
    harness.instance.add_dynamic_partitions("domain", ["quill"])
    scores = harness.repository.get_job("scores")
    result = scores.execute_in_process(instance=harness.instance, partition_key="quill", raise_on_error=False)
    run = harness.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert (process_tags(run.run_id) | {LOCK_TAG: run.run_id}).items() <= run.tags.items()


def test_a_run_that_the_ui_executes_again_is_not_taken_for_the_dead_one_whose_tags_it_has(tmp_path: Path, gone: int) -> None:
    harness = Harness(tmp_path, "none")
    dead = started(harness, gone, platform.node())
    alive = started(harness, gone, platform.node(), of=dead)
    pools = harness.instance.event_log_storage
    pools.initialize_concurrency_limit_to_default("gpu")
    assert pools.claim_concurrency_slot("gpu", alive, "sft_adapter").is_claimed
    found = {run.run_id: run.status for run in open_instance(harness.settings).get_runs()}
    assert found == {dead: dg.DagsterRunStatus.FAILURE, alive: dg.DagsterRunStatus.STARTED}
    assert pools.get_concurrency_run_ids() == {alive}


def test_a_watched_domain_whose_run_was_killed_is_tried_again_although_no_command_is_given(tmp_path: Path, gone: int) -> None:
    harness, cell = Harness(tmp_path, "none"), Cell.of("quill", 0)
    harness.domain("quill", 9)
    set_watched(harness.settings.home, "quill", True)
    harness.opened("quill", 0)
    register_cell(harness.instance, cell)
    started(harness, gone, platform.node(), tags={"dagster/partition": cell_key(cell)})
    assert "iteration 000 failed; it is tried again at" in skipped(harness.tick("failed_iterations"))


def test_a_run_that_waits_for_another_in_a_pool_says_so_and_goes_on_once_it_is_free(quill: Harness) -> None:
    pools = quill.instance.event_log_storage
    assert pools.claim_concurrency_slot("lancedb", "another run", "documents").is_claimed
    try:
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(quill.run, "quill")
            deadline = time.monotonic() + 120
            while not any("documents: waits for its turn; another run holds the pool lancedb" in line for _, line in quill.events):
                assert time.monotonic() < deadline, quill.events
                assert not running.done(), quill.events
                time.sleep(0.2)
            pools.free_concurrency_slots_for_run("another run")
            assert running.result(timeout=120).success
    finally:
        pools.free_concurrency_slots_for_run("another run")


def test_a_run_that_nobody_tagged_says_which_process_it_is_in(quill: Harness) -> None:
    result = quill.repository.get_job("iteration").execute_in_process(
        instance=quill.instance, partition_key="quill|000", asset_selection=[dg.AssetKey("curriculum")]
    )
    run = quill.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert (run.tags[PID_TAG], run.tags[LOCK_TAG]) == (f"{os.getpid()}:{run.run_id}", run.run_id)


def test_a_run_of_a_command_holds_its_lock_while_it_is_at_work_and_no_longer(quill: Harness, tmp_path: Path) -> None:
    harness = quill.copied(tmp_path)
    outcome = harness.run("quill", 7)
    run = harness.instance.get_run_by_id(outcome.run_id)
    assert run is not None
    assert run.tags[LOCK_TAG] == run.run_id
    left = harness.settings.dagster_home / "run_locks" / f"{run.run_id}.lock"
    assert left.is_file()
    close_dead_runs(harness.instance)
    assert not left.exists(), "it is free, or it would still be there"
