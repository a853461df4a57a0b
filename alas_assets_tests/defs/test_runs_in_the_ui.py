"""What the command line ran is shown in Dagster's UI as what the UI ran, and is nobody else's to go on with (O1, U1)."""

import os
from pathlib import Path

import pytest
from dagster._core.execution.retries import auto_reexecution_should_retry_run

from alas_assets.defs.births import START_JOB
from alas_assets.defs.dead_runs import PID_TAG
from alas_assets.defs.running import open_cell, open_instance
from alas_assets.provenance.store import Cell
from alas_assets_tests.harness import Harness, graphql, webserver

JOB = f'repositoryLocationName: "alas_assets", repositoryName: "__repository__", pipelineName: "{START_JOB}"'
UNDER_ITS_JOB = f"{{pipelineOrError(params: {{{JOB}}}) {{... on Pipeline {{runs(limit: 9) {{runId status}}}}}}}}"
ON_THE_TIMELINE = "{runsOrError {... on Runs {results {runId repositoryOrigin {repositoryName repositoryLocationName}}}}}"


@pytest.fixture
def opened(tmp_path: Path) -> tuple[Harness, str]:
    """A store where the command line opened one iteration, and that run's id."""
    harness = Harness(tmp_path, "none")
    harness.domain("quill", 1)
    outcome = open_cell(harness.instance, harness.settings, Cell.of("quill", 0), cause="by hand", on_event=lambda *_: None)
    assert outcome.success, outcome.failures
    return harness, outcome.run_id


def test_a_run_of_the_command_line_is_on_the_timeline_and_under_its_job(opened: tuple[Harness, str], tmp_path: Path) -> None:
    harness, run_id = opened
    with webserver(harness, tmp_path / "webserver.log") as base:
        assert graphql(base, UNDER_ITS_JOB)["pipelineOrError"]["runs"] == [{"runId": run_id, "status": "SUCCESS"}]
        (run,) = graphql(base, ON_THE_TIMELINE)["runsOrError"]["results"]
    assert run["repositoryOrigin"] == {"repositoryName": "__repository__", "repositoryLocationName": "alas_assets"}


def test_a_daemon_that_repeats_failed_runs_leaves_the_command_line_s_alone(tmp_path: Path) -> None:
    harness = Harness(tmp_path, "none")
    file = harness.settings.dagster_home / "dagster.yaml"
    file.write_text(f"{file.read_text()}\nrun_retries: {{enabled: true, max_retries: 2}}\n")
    repeating = open_instance(harness.settings)
    failed = open_cell(repeating, harness.settings, Cell.of("nosuch", 0), cause="by hand", on_event=lambda *_: None)
    assert not failed.success
    run = repeating.get_run_by_id(failed.run_id)
    assert run is not None
    assert not auto_reexecution_should_retry_run(repeating, run, None)


def test_a_run_executed_again_in_the_ui_is_not_taken_for_the_dead_process_of_the_first(opened: tuple[Harness, str]) -> None:
    harness, run_id = opened
    first = harness.instance.get_run_by_id(run_id)
    assert first is not None
    again = harness.repository.get_job(START_JOB).execute_in_process(
        instance=harness.instance, partition_key="quill|000", tags={**first.tags, PID_TAG: f"999999999:{run_id}"}
    )
    run = harness.instance.get_run_by_id(again.run_id)
    assert run is not None
    assert run.tags[PID_TAG] == f"{os.getpid()}:{run.run_id}"
