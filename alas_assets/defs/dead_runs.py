"""Runs whose process was killed: told by the tags that say which process a run is in, and closed, so that nothing waits for them (O4)."""

import os
import platform

import dagster as dg
import psutil

PID_TAG, HOST_TAG = "alas/pid", "alas/host"
"""The process that a run is in, with the run's own id after it, and its machine."""


def process_tags(run_id: str) -> dict[str, str]:
    """Return the tags that say that a run is in this process.

    A run that is executed again gets a copy of the first one's tags, hence the id: what names another run says nothing.
    """
    return {PID_TAG: f"{os.getpid()}:{run_id}", HOST_TAG: platform.node()}


def close_dead_runs(instance: dg.DagsterInstance) -> None:
    """Mark runs of killed processes as failed, and give back their places in Dagster's pools.

    Otherwise they would count as in progress for ever, and the next run would wait for a place that only the daemon gives back.
    """
    live = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    for run in instance.get_runs(live):
        pid, _, named = run.tags.get(PID_TAG, "").partition(":")
        own = named == run.run_id and run.tags.get(HOST_TAG) == platform.node()
        if own and pid.isdigit() and not psutil.pid_exists(int(pid)):
            instance.report_run_failed(run, message=f"process {pid} that ran this is gone (killed?); finished steps are kept")
    pools = instance.event_log_storage
    for run_id in pools.get_concurrency_run_ids():
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            pools.free_concurrency_slots_for_run(run_id)
