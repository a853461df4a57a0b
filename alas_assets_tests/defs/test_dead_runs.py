"""A run whose process was killed: it is closed, and what it held is free, when the store is opened next (O4)."""

import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg

from alas_assets.defs.running import open_instance
from alas_assets.defs.steps import HOST_TAG, PID_TAG
from alas_assets_tests.harness import Harness

KILLED_IN_A_POOL = """
import os, signal, sys
from pathlib import Path
import dagster as dg
from alas_assets.defs.running import open_instance
from alas_assets.defs.steps import PID_TAG
from alas_assets.settings import load_settings

@dg.asset(pool="gpu")
def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)

instance = open_instance(load_settings(Path(sys.argv[1])))
job = dg.Definitions(assets=[killed], jobs=[dg.define_asset_job("only")]).resolve_job_def("only")
job.execute_in_process(instance=instance, tags={PID_TAG: str(os.getpid())})
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


def test_a_run_on_another_machine_is_left_alone(tmp_path: Path) -> None:
    harness = Harness(tmp_path, "none")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for host in ("elsewhere", platform.node()):
        job = dg.JobDefinition(name="only", graph_def=dg.GraphDefinition(name="empty"))
        tags = {PID_TAG: str(gone.pid), HOST_TAG: host}
        harness.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)
    found = {run.tags[HOST_TAG]: run.status for run in open_instance(harness.settings).get_runs()}
    assert found == {"elsewhere": dg.DagsterRunStatus.STARTED, platform.node(): dg.DagsterRunStatus.FAILURE}


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
    assert run.tags[PID_TAG].isdigit()
