"""With the daemon on and the domain watched, the loop goes round by itself, and nothing is trained twice (O1, O2)."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from alas_assets.partitions import cell_key
from alas_assets.provenance.store import Cell
from alas_assets.settings import PROJECT_ROOT
from alas_assets_tests.harness import Harness, Site

DEADLINE_SECONDS = 400


@pytest.fixture
def watched(tmp_path: Path, tiny_student: Path, quill_site: Site) -> Iterator[Harness]:
    """A watched domain of its own, with Dagster's daemon running beside."""
    harness = Harness(tmp_path, str(tiny_student))
    harness.domain("quill", quill_site.port)
    environment = {**os.environ, "ALAS_HOME": str(harness.settings.home), "DAGSTER_HOME": str(harness.settings.dagster_home)}
    subprocess.run([sys.executable, "-m", "alas_assets.cli", "watch", "on", "quill"], env=environment, check=True, capture_output=True)
    log = (tmp_path / "daemon.log").open("wb")
    daemon = subprocess.Popen(
        [sys.executable, "-m", "dagster._daemon", "run", "-w", str(PROJECT_ROOT / "workspace.yaml")],
        env=environment,
        cwd=PROJECT_ROOT,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        yield harness
    finally:
        daemon.send_signal(signal.SIGINT)
        try:
            daemon.wait(30)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
        log.close()


def trainings(harness: Harness, iteration: int) -> int:
    """Return how often the cell's SFT adapter was really trained."""
    found = harness.instance.fetch_materializations(
        dg.AssetRecordsFilter(dg.AssetKey("sft_adapter"), asset_partitions=[cell_key(Cell.of("quill", iteration))]), limit=50
    )
    events = [record.asset_materialization for record in found.records]
    return sum(1 for event in events if event and not event.metadata["unchanged"].value)


@pytest.mark.timeout(480)
def test_a_watched_domain_goes_round_by_itself_and_trains_each_adapter_once(watched: Harness) -> None:
    outcome = watched.run("quill")
    assert outcome.success, outcome.failures
    deadline = time.monotonic() + DEADLINE_SECONDS
    while "revised_curriculum" not in watched.pointers("quill", 1):
        assert time.monotonic() < deadline, watched.settings.home.parent.joinpath("daemon.log").read_text()[-3000:]
        time.sleep(2)
    assert trainings(watched, 0) == 1
    assert trainings(watched, 1) == 1
    births = watched.instance.get_runs(dg.RunsFilter(job_name="start_iteration"))
    assert [run.tags["dagster/partition/iteration"] for run in births if run.is_success] == ["001"]
