"""Turning Dagster's sensors on and off in one go, as the UI's switches do; whose domain they act on is `provenance.watching`.

Dagster 1.13 has no public call for this. Everything private that it takes is used here and nowhere else.
"""

import contextlib
from collections.abc import Iterator

import dagster as dg
from dagster._cli.workspace.cli_target import get_workspace_from_cli_opts
from dagster._core.remote_representation.external import RemoteRepository
from dagster_shared.cli import WorkspaceOpts

from alas_assets.settings import PROJECT_ROOT

LOCATION = "alas_assets"


class SwitchError(RuntimeError):
    """The sensors could not be switched; the message says why and what to do."""


def switch_sensors(instance: dg.DagsterInstance, *, on: bool) -> list[str]:
    """Turn all sensors of this code location on or off, whichever state each is in.

    A running daemon notices at its next round. What was switched before a failure stays switched, and doing it again is safe.

    Args:
        instance: Keeps the state of the switches.
        on: What they are to be afterwards.

    Returns:
        The names of the sensors that are in that state now: all there are.

    Raises:
        SwitchError: The code location cannot be loaded.
    """
    with _repository(instance) as repository:
        sensors = sorted(repository.get_sensors(), key=lambda sensor: sensor.name)
        for sensor in sensors:
            if on:
                instance.start_sensor(sensor)
            else:
                instance.stop_sensor(sensor.get_remote_origin_id(), sensor.selector_id, sensor)
    return [sensor.name for sensor in sensors]


@contextlib.contextmanager
def _repository(instance: dg.DagsterInstance) -> Iterator[RemoteRepository]:
    """Load the code location as `dagster dev` does: the state of a switch is kept under where its sensor was loaded from."""
    target = WorkspaceOpts(workspace=(str(PROJECT_ROOT / "workspace.yaml"),))
    with get_workspace_from_cli_opts(instance, version=dg.__version__, workspace_opts=target, log_level="WARNING") as workspace:
        if LOCATION not in workspace.code_location_names or workspace.has_code_location_error(LOCATION):
            error = workspace.get_code_location_error(LOCATION) if LOCATION in workspace.code_location_names else None
            raise SwitchError(f"Dagster cannot load {LOCATION}: {error.message.strip()[-500:] if error else 'workspace.yaml names it not'}")
        (repository,) = workspace.get_code_location(LOCATION).get_repositories().values()
        yield repository
