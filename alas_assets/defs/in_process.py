"""Executing a job in this process as a run that Dagster's UI counts among those of its own code location (U1).

The UI's timeline and a job's list of runs show only runs that say which code location their job comes from, and `execute_in_process` makes
runs that do not say it. Everything private that this takes is used here and nowhere else: the calls with which Dagster's own run worker
executes a run.
"""

import logging
import signal
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._core.execution.api import execute_run_iterator
from dagster._core.remote_origin import RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.tags import MAX_RETRIES_TAG
from dagster._core.workspace.load import location_origins_from_yaml_paths
from sqlalchemy.exc import DBAPIError

from alas_assets.settings import PROJECT_ROOT

log = logging.getLogger(__name__)

_INTERRUPTED = {"DagsterExecutionInterruptedError", "KeyboardInterrupt", "BaseExceptionGroup"}
"""How Ctrl-C shows in a step; the last is what concurrent requests make of it: errors proper come in an `ExceptionGroup`."""
_LOOK_SECONDS = 1.0


def execute_here(
    instance: dg.DagsterInstance,
    repository: dg.RepositoryDefinition,
    job: str,
    *,
    run_id: str,
    partition: str,
    tags: Mapping[str, str],
    selection: Sequence[str] | None,
    run_config: Mapping[str, Any],
) -> list[dg.DagsterEvent]:
    """Create a run and execute it in this process, whatever becomes of its steps.

    One that Ctrl-C ends is cancelled, not failed: nobody but who gave the command goes on with it.

    Args:
        instance: Records the run.
        repository: The code location's definitions.
        job: The job's name.
        run_id: The run's id to be.
        partition: The partition's key; it must be known to the instance.
        tags: Tags of the run beside those of job and partition.
        selection: The assets to materialise; None for all of the job.
        run_config: Dagster's configuration of the run.

    Returns:
        Every event of the run.
    """
    definition = repository.get_job(job)
    keys = frozenset(dg.AssetKey(name) for name in selection) if selection else None
    run = instance.create_run_for_job(
        definition,
        run_id=run_id,
        run_config=run_config,
        # A daemon that is told to repeat failed runs must not train behind the back of who gave the command.
        tags={**definition.run_tags, **definition.get_tags_for_partition_key(partition, keys), **tags, MAX_RETRIES_TAG: "0"},
        asset_selection=keys,
        remote_job_origin=_origin(repository.name, job),
    )
    return _executed(instance, run, execute_run_iterator(InMemoryJob(definition), run, instance))


def interrupted(event: dg.DagsterEvent) -> bool:
    """Tell whether it was Ctrl-C that ended a step."""
    error = event.step_failure_data.error if event.is_step_failure else None
    while error:
        if error.cls_name in _INTERRUPTED:
            return True
        error = error.cause
    return False


def _executed(instance: dg.DagsterInstance, run: dg.DagsterRun, events: Iterable[dg.DagsterEvent]) -> list[dg.DagsterEvent]:
    """Execute a run and return its events. Dagster calls an interrupted run failed, unless somebody asked before for its end."""
    seen: list[dg.DagsterEvent] = []
    elsewhere = _EndAskedElsewhere(instance, run.run_id)
    if threading.current_thread() is threading.main_thread():  # no other can be interrupted
        elsewhere.start()
    try:
        for event in events:
            if interrupted(event):
                elsewhere.over.set()
                instance.report_run_canceling(run)
            seen.append(event)
    except KeyboardInterrupt:  # while nothing of Dagster's was at work, which therefore ends the run in no way
        elsewhere.over.set()
        instance.report_run_canceled(run)
        raise
    finally:
        elsewhere.over.set()
    if seen and _ended_between_steps(seen[-1]):
        instance.report_run_canceled(run)
    return seen


class _EndAskedElsewhere(threading.Thread):
    """Interrupts this process, as Ctrl-C does, once somebody asks for its run's end elsewhere, until `over` is set.

    The UI's `Terminate` only notes that the run is to end: it reaches the processes that it started itself, and no other.
    """

    def __init__(self, instance: dg.DagsterInstance, run_id: str) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self._instance, self._run_id = instance, run_id

    def run(self) -> None:
        while not self.over.wait(_LOOK_SECONDS):
            try:
                run = self._instance.get_run_by_id(self._run_id)
            except DBAPIError as error:  # a database that is locked for a moment can be read at a later look
                log.debug("run %s: %s", self._run_id, error)
                continue
            asked = run is not None and run.status in (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED)
            if asked and not self.over.is_set():  # what this process noted itself was felt already
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                return


def _ended_between_steps(event: dg.DagsterEvent) -> bool:
    data = event.event_specific_data
    return isinstance(data, JobFailureData) and data.failure_reason is RunFailureReason.UNEXPECTED_TERMINATION


def _origin(repository: str, job: str) -> RemoteJobOrigin:
    """Return where `alas ui` and `dagster dev` load the job from."""
    (location,) = location_origins_from_yaml_paths([str(PROJECT_ROOT / "workspace.yaml")])
    return RemoteRepositoryOrigin(location, repository).get_job_origin(job)
