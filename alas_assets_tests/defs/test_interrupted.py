"""A run of the command line that Ctrl-C ends is cancelled, not failed, so that neither sensor nor automation goes on with it (O1)."""

import os
import signal
import threading
import time
import uuid
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError

from alas_assets.defs.in_process import execute_here
from alas_assets.partitions import cells, register_cell
from alas_assets.provenance.store import Cell


def press() -> None:
    """Press Ctrl-C, and wait until it is felt."""
    threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    time.sleep(30)


@dg.asset(partitions_def=cells)
def in_a_step() -> None:
    press()


@dg.asset(partitions_def=cells)
def in_requests_at_a_time() -> None:
    try:
        press()
    except DagsterExecutionInterruptedError as error:
        raise BaseExceptionGroup("unhandled errors in a task group", [error]) from None


@dg.resource
def model(_: dg.InitResourceContext) -> None:
    press()


@dg.asset(partitions_def=cells, required_resource_keys={"model"})
def before_a_step() -> None: ...


@dg.asset(partitions_def=cells)
def in_the_ui(context: dg.AssetExecutionContext) -> None:
    """Is terminated there: what that notes of the run of another process is all that it does."""
    context.instance.report_run_canceling(context.run)
    time.sleep(30)
    raise ValueError("went on all the same")


@dg.asset(partitions_def=cells)
def in_the_ui_after_a_fault(context: dg.AssetExecutionContext) -> None:
    """As before, after Dagster's database could not be read for a while."""
    runs = Path(context.instance.root_directory) / "history" / "runs.db"
    aside = runs.rename(runs.with_suffix(".aside"))
    runs.write_bytes(b"no database" * 100)
    time.sleep(3)
    aside.replace(runs)
    context.instance.report_run_canceling(context.run)
    time.sleep(30)
    raise ValueError("went on all the same")


@dg.asset(partitions_def=cells)
def by_an_error_of_its_own() -> None:
    raise ValueError("told to")


DEFS = dg.Definitions(
    assets=[in_a_step, in_requests_at_a_time, before_a_step, in_the_ui, in_the_ui_after_a_fault, by_an_error_of_its_own],
    jobs=[dg.define_asset_job("iteration", partitions_def=cells)],
    resources={"model": model},
    executor=dg.in_process_executor,
)


def ended(asset: str) -> dg.DagsterRunStatus:
    """Execute a run as the command line does, and return how it ended."""
    with dg.instance_for_test() as instance:
        register_cell(instance, Cell.of("quill", 0))
        run_id = str(uuid.uuid4())
        execute_here(
            instance,
            DEFS.get_repository_def(),
            "iteration",
            run_id=run_id,
            partition="quill|000",
            tags={},
            selection=[asset],
            run_config={},
        )
        run = instance.get_run_by_id(run_id)
        assert run is not None
        return run.status


@pytest.mark.parametrize("asset", ["in_a_step", "in_requests_at_a_time", "before_a_step"])
def test_a_run_that_is_interrupted_is_cancelled(asset: str) -> None:
    assert ended(asset) is dg.DagsterRunStatus.CANCELED


def test_a_run_that_somebody_terminates_in_the_ui_after_dagsters_database_could_not_be_read_ends_too() -> None:
    begun = time.monotonic()
    assert ended("in_the_ui_after_a_fault") is dg.DagsterRunStatus.CANCELED
    assert time.monotonic() - begun < 28, "it ended by itself"


def test_a_run_that_somebody_terminates_in_the_ui_ends_and_is_cancelled() -> None:
    begun = time.monotonic()
    assert ended("in_the_ui") is dg.DagsterRunStatus.CANCELED
    assert time.monotonic() - begun < 25, "it ended by itself"


def test_a_run_with_an_error_of_its_own_is_failed() -> None:
    assert ended("by_an_error_of_its_own") is dg.DagsterRunStatus.FAILURE
