"""Why runs failed, in words: of one run, and of a cell whose newest run failed. Reads Dagster's event log and decides nothing."""

from collections.abc import Iterable
from dataclasses import dataclass

import dagster as dg

from alas_assets.partitions import cell_key
from alas_assets.provenance.store import Cell

DRY_RUN_TAG = "alas/dry_run"
"""On a run of the command line's that plans and writes pairs only."""

LONGEST = 300
"""Characters that are told of one step's reason."""


def failure_words(events: Iterable[dg.DagsterEvent]) -> str:
    """Return in one line what the failed steps of a run say; empty where no step failed.

    Args:
        events: The run's step failures; others are left out.
    """
    found = [event.step_failure_data for event in events if event.is_step_failure]
    reasons = [data.user_failure_data.description if data.user_failure_data else data.error and data.error.message for data in found]
    return "; ".join(_shortened(str(reason)) for reason in reasons if reason)


def _shortened(reason: str) -> str:
    """Return a reason as one line; what was cut off is marked."""
    line = " ".join(reason.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."


@dataclass(frozen=True)
class Failed:
    """A cell's newest run, which failed.

    Attributes:
        why: In one line, with the run's short id.
        dry_run: It would have trained nothing.
    """

    why: str
    dry_run: bool


def failed_because(instance: dg.DagsterInstance, cell: Cell) -> Failed | None:
    """Return why the newest run of a cell failed; None where it did not fail."""
    newest = instance.get_run_records(dg.RunsFilter(tags={"dagster/partition": cell_key(cell)}), limit=1)
    if not newest or newest[0].dagster_run.status is not dg.DagsterRunStatus.FAILURE:
        return None
    run = newest[0].dagster_run
    wanted = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    events = [event for entry in instance.all_logs(run.run_id, of_type=wanted) if (event := entry.dagster_event)]
    why = failure_words(events) or "; ".join(event.message for event in events if event.message) or "no reason was recorded"
    return Failed(f"{why} (run {run.run_id[:8]})", dry_run=DRY_RUN_TAG in run.tags)
