"""Executing a job in this process as a run that Dagster's UI counts among those of its own code location (U1).

The UI's timeline and a job's list of runs show only runs that say which code location their job comes from, and `execute_in_process` makes
runs that do not say it. Everything private that this takes is used here and nowhere else: the calls with which Dagster's own run worker
executes a run.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator
from dagster._core.remote_origin import RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.tags import MAX_RETRIES_TAG
from dagster._core.workspace.load import location_origins_from_yaml_paths

from alas_assets.settings import PROJECT_ROOT


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
        # Nobody but who gave the command goes on with it: a daemon that is told to repeat failed runs must not train behind a Ctrl-C.
        tags={**definition.run_tags, **definition.get_tags_for_partition_key(partition, keys), **tags, MAX_RETRIES_TAG: "0"},
        asset_selection=keys,
        remote_job_origin=_origin(repository.name, job),
    )
    return list(execute_run_iterator(InMemoryJob(definition), run, instance))


def _origin(repository: str, job: str) -> RemoteJobOrigin:
    """Return where `alas ui` and `dagster dev` load the job from."""
    (location,) = location_origins_from_yaml_paths([str(PROJECT_ROOT / "workspace.yaml")])
    return RemoteRepositoryOrigin(location, repository).get_job_origin(job)
