"""Opening an iteration: the one function behind the sensor, the command line and the UI (O2).

It reads stored state, never events, so a missed tick costs nothing and no cause opens two iterations.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from alas_assets.defs.curriculum import CAUSE_TAG
from alas_assets.defs.resources import Alas
from alas_assets.partitions import cell_key, domains, iterations
from alas_assets.provenance.store import Cell
from alas_assets.records import RevisedCurriculum

UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
START_JOB = "start_iteration"


@dataclass(frozen=True)
class Opening:
    """Which cell may be opened next, or why none."""

    cell: Cell | None
    reason: str


def last_opened(alas: Alas, domain: str) -> Cell | None:
    """Return the domain's newest cell that has a seed."""
    folder = alas.store.root / "cells" / domain
    names = sorted((path.name for path in folder.iterdir()), reverse=True) if folder.is_dir() else []
    return next((cell for name in names if alas.store.pointer(cell := Cell(domain, name), "curriculum_seed")), None)


def next_opening(alas: Alas, instance: dg.DagsterInstance, domain: str, outside_cause: str | None = None) -> Opening:
    """Say which iteration may be opened next; refuses while the newest one is unfinished or being opened.

    A loop that stopped is opened again by an outside cause only, such as a page that changed.
    """
    newest = last_opened(alas, domain)
    births = dg.RunsFilter(job_name=START_JOB, tags={"dagster/partition/domain": domain}, statuses=UNDER_WAY)
    if instance.get_runs_count(births):
        return Opening(None, f"{domain}: an iteration is being opened")
    if newest is None:
        return Opening(Cell.of(domain, 0), "the first iteration")
    revision = alas.store.pointer(newest, "revised_curriculum")
    if revision is None:
        return Opening(None, f"{domain}: iteration {newest.iteration} is unfinished; run `alas run {domain}` to go on with it")
    revised = alas.store.read_record(RevisedCurriculum, revision)
    if outside_cause:
        return Opening(Cell.of(domain, newest.number + 1), outside_cause)
    if revised.decision == "stop":
        return Opening(None, f"{domain}: stopped after {newest.iteration}: {revised.reason}")
    return Opening(Cell.of(domain, newest.number + 1), f"revision {newest.iteration}: {revised.reason}")


def births(openings: Sequence[Opening]) -> dg.SensorResult:
    """Return the sensor result that adds the partitions and requests the seeds of these openings."""
    opened = [(opening.cell, opening.reason) for opening in openings if opening.cell]
    return dg.SensorResult(
        dynamic_partitions_requests=[
            domains.build_add_request(sorted({cell.domain for cell, _ in opened})),
            iterations.build_add_request(sorted({cell.iteration for cell, _ in opened})),
        ],
        run_requests=[
            dg.RunRequest(run_key=f"{cell.domain}/{cell.iteration}", partition_key=cell_key(cell), tags={CAUSE_TAG: reason})
            for cell, reason in opened
        ],
    )
