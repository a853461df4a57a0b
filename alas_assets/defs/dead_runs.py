"""Runs whose process was killed: told by the tags that say which process a run is in, and closed, so that nothing waits for them (O4)."""

import os
import platform
from pathlib import Path

import dagster as dg
import psutil

PID_TAG, HOST_TAG, BORN_TAG = "alas/pid", "alas/host", "alas/pid_born"
"""The process that a run is in, with the run's own id after it, its machine, and when the process began."""

BEGUN = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
"""What a run is left as when its process is killed; one that is queued is in no process yet."""


def process_tags(run_id: str) -> dict[str, str]:
    """Return the tags that say that a run is in this process.

    A run that is executed again gets a copy of the first one's tags, hence the id: what names another run says nothing.
    """
    return {PID_TAG: f"{os.getpid()}:{run_id}", HOST_TAG: platform.node(), BORN_TAG: _born(os.getpid())}


def tag_process(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Let a run say that it is in this process, which one of the UI's or a sensor's does not until a step of it does."""
    tags = process_tags(run.run_id)
    if not tags.items() <= run.tags.items():
        instance.add_run_tags(run.run_id, tags)


def close_dead_runs(instance: dg.DagsterInstance) -> None:
    """Mark runs of killed processes as failed, or as cancelled where that was under way, and give back their places in Dagster's pools.

    Otherwise they would count as in progress for ever, and the next run would wait for a place that only the daemon gives back.
    """
    for run in instance.get_runs(dg.RunsFilter(statuses=BEGUN)):
        pid, _, named = run.tags.get(PID_TAG, "").partition(":")
        own = named == run.run_id and run.tags.get(HOST_TAG) == platform.node()
        if not own or not pid.isdigit() or _alive(int(pid), run.tags.get(BORN_TAG, "")):
            continue
        message = f"process {pid} that ran this is gone (killed?); finished steps are kept"
        if run.status is dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, message=message)
        else:
            instance.report_run_failed(run, message=message)
    pools = instance.event_log_storage
    for run_id in pools.get_concurrency_run_ids():
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            pools.free_concurrency_slots_for_run(run_id)


def _alive(pid: int, born: str) -> bool:
    """Tell whether a process is there still, and is not another that got its id, as after the machine was started anew.

    Where it cannot be said when either began, whatever has the id is taken for it: no run that is at work is ever closed.
    """
    now = _born(pid)
    return psutil.pid_exists(pid) and (not born or not now or born == now)


def _born(pid: int) -> str:
    """Return when a process began; "" where that cannot be said.

    On Linux in ticks since the machine was started: a date would be another once the clock is set.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except OSError:
        pass
    try:
        return str(psutil.Process(pid).create_time())
    except psutil.Error:
        return ""
