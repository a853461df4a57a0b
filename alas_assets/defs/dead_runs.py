"""Runs whose process was killed: told by a lock that the process held, and closed, so that nothing waits for them (O4).

A lock is free once its process is gone, whatever the machine is called by then: a container is made anew under another name. Where there
is none, as of runs of an older version, the tags say which process a run is in.
"""

import os
import platform
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import psutil
from filelock import FileLock, Timeout

PID_TAG, HOST_TAG, BORN_TAG, LOCK_TAG = "alas/pid", "alas/host", "alas/pid_born", "alas/lock"
"""The process that a run is in, with the run's own id after it; its machine; when the process began; the run whose lock it holds."""

_held: dict[str, FileLock] = {}
"""The locks of the runs that are in this process, by the run's id; one that nothing refers to would be freed."""

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


def hold_run(instance: dg.DagsterInstance, run_id: str) -> dict[str, str]:
    """Hold a run's lock for as long as this process lives, or until `let_go`; return the tags that say that the run is in it."""
    tags = process_tags(run_id)
    if run_id not in _held:
        lock = _lock(instance, run_id)
        try:
            Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=1)  # somebody may be looking whether it is free
        except (Timeout, OSError, NotImplementedError):  # a file system that knows no locks: the tags say where the run is
            return tags
        _held[run_id] = lock
    return {**tags, LOCK_TAG: run_id}


def let_go(run_id: str) -> None:
    """Free the lock of a run that this process is done with."""
    if lock := _held.pop(run_id, None):
        lock.release()


def tag_process(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Let a run say that it is in this process, which one of the UI's or a sensor's does not until a step of it does."""
    tags = hold_run(instance, run.run_id)
    if not tags.items() <= run.tags.items():
        instance.add_run_tags(run.run_id, tags)


def close_dead_runs(instance: dg.DagsterInstance) -> None:
    """Mark runs of killed processes as failed, or as cancelled where that was under way, and give back their places in Dagster's pools.

    Otherwise they would count as in progress for ever, and the next run would wait for a place that only the daemon gives back.
    """
    for run in instance.get_runs(dg.RunsFilter(statuses=BEGUN)):
        if not _is_dead(instance, run):
            continue
        pid, host = run.tags[PID_TAG].partition(":")[0], run.tags.get(HOST_TAG, "")
        where = "" if host == platform.node() else f" of {host}"
        message = f"process {pid}{where} that ran this is gone (killed?); finished steps are kept"
        if run.status is dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, message=message)
        else:
            instance.report_run_failed(run, message=message)
    _remove_locks(instance)
    pools = instance.event_log_storage
    for run_id in pools.get_concurrency_run_ids():
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            pools.free_concurrency_slots_for_run(run_id)


def under_way_words(instance: dg.DagsterInstance, run_id: str, domain: str) -> str:
    """Say which run of a domain is under way, where and since when, and how to end it where its machine is gone."""
    record = next(iter(instance.get_run_records(dg.RunsFilter(run_ids=[run_id]))), None)
    said = f"run {run_id[:8]} of {domain} is under way"
    if record is None:
        return said
    since = datetime.fromtimestamp(record.start_time, UTC) if record.start_time else record.create_timestamp.astimezone(UTC)
    run, said = record.dagster_run, f"{said} since {since:%Y-%m-%d %H:%M} UTC"
    host = run.tags.get(HOST_TAG, "")
    if run.tags.get(PID_TAG, "").partition(":")[2] != run_id or host == platform.node():
        return said
    return (
        f"{said} on {host}, which is another machine, or this one under an earlier name; if it is gone, end the run in the UI (Runs, "
        "Terminate, with `Force termination immediately`)"
    )


def _lock(instance: dg.DagsterInstance, run_id: str) -> FileLock:
    return FileLock(_locks(instance) / f"{run_id}.lock", thread_local=False)  # a step may be in another thread than what ends its run


def _locks(instance: dg.DagsterInstance) -> Path:
    """Return where the locks lie: beside Dagster's databases, so that whoever sees a run sees its lock."""
    return Path(instance.root_directory) / "run_locks"


def _is_dead(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Tell whether a run's process is gone; never of one of which that cannot be said."""
    pid, _, named = run.tags.get(PID_TAG, "").partition(":")
    if named != run.run_id or not pid.isdigit():
        return False
    lock = _lock(instance, run.run_id)
    if run.tags.get(LOCK_TAG) == run.run_id and Path(lock.lock_file).is_file():
        return _is_free(lock)
    return run.tags.get(HOST_TAG) == platform.node() and not _alive(int(pid), run.tags.get(BORN_TAG, ""))


def _is_free(lock: FileLock) -> bool:
    try:
        with lock.acquire(timeout=0):
            return True
    except (Timeout, OSError, NotImplementedError):
        return False


def _remove_locks(instance: dg.DagsterInstance) -> None:
    """Remove the locks of runs that have ended."""
    for path in _locks(instance).glob("*.lock"):
        run = instance.get_run_by_id(path.stem)
        if (run is None or run.is_finished) and _is_free(_lock(instance, path.stem)):
            with suppress(OSError):
                path.unlink()


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
