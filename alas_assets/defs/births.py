"""Opening an iteration: the one function behind the sensors, the command line and the schedule (O2).

It reads stored state and runs under way, never events, so a missed tick costs nothing and no cause opens two iterations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile

import dagster as dg

from alas_assets.defs.curriculum import CAUSE_TAG
from alas_assets.defs.lineage import ancestors, being_made_again, closed_because, closed_words, finished, last_opened
from alas_assets.defs.resources import Alas
from alas_assets.defs.retraining import takedown_cause
from alas_assets.domains.config import DomainError, Retries
from alas_assets.partitions import cell_key, domains, iterations
from alas_assets.provenance.blocked.order import under_way as takedown_under_way
from alas_assets.provenance.blocked.order import unfinished_words
from alas_assets.provenance.store import BadKeyError, Cell, StoreError
from alas_assets.records import RevisedCurriculum
from alas_assets.release.registry import RegistryError

UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
START_JOB, ITERATION_JOB, AUTOMATION = "start_iteration", "iteration", "automation"
"""The jobs that open an iteration and fill it, and the sensor that fills it too."""
LONGEST_WAIT = timedelta(days=3650)
"""So that a date can still hold when the next try is due."""


@dataclass(frozen=True)
class Opening:
    """Which cell may be opened next, or why none."""

    cell: Cell | None
    reason: str


def next_opening(alas: Alas, instance: dg.DagsterInstance, domain: str, outside_cause: str | None = None) -> Opening:
    """Say which iteration may be opened next; refuses while the newest one is unfinished or being opened.

    A loop that stopped is opened again by an outside cause only, such as a page that changed; so is one whose newest iteration was
    closed as failed. A takedown from which the domain's model was not retrained yet is such a cause; it also comes before what is made
    again of an iteration that has a revision, since that goes on from what was removed, and the retraining teaches all of it anew.
    """
    if order := takedown_under_way(alas.store.root, domain):
        return Opening(None, f"{domain}: {unfinished_words(order)}")
    takedown = takedown_cause(alas, domain)
    outside_cause = outside_cause or takedown
    newest = last_opened(alas, domain)
    births = dg.RunsFilter(job_name=START_JOB, tags={"dagster/partition/domain": domain}, statuses=UNDER_WAY)
    if instance.get_runs_count(births):
        return Opening(None, f"{domain}: an iteration is being opened")
    if newest is None:
        return Opening(Cell.of(domain, 0), outside_cause or "the first iteration")
    revision = alas.store.pointer(newest, "revised_curriculum")
    if revision is None or not (takedown or finished(alas, newest)):
        given_up = closed_because(alas, newest)
        if given_up is None:
            again = being_made_again(alas, newest)
            return Opening(
                None, f"{domain}: {again or f'iteration {newest.iteration} is unfinished; run `alas run {domain}` to go on with it'}"
            )
        if outside_cause is None:
            return Opening(None, f"{domain}: {closed_words(newest, given_up)}; a page that changes opens another")
        return _after(newest, outside_cause)
    revised = alas.store.read_record(RevisedCurriculum, revision)
    if outside_cause:
        return _after(newest, outside_cause)
    if revised.decision == "stop":
        return Opening(None, f"{domain}: stopped after {newest.iteration}: {revised.reason}")
    return _after(newest, f"revision {newest.iteration}: {revised.reason}")


def _after(newest: Cell, cause: str) -> Opening:
    """Return the opening of the iteration after a domain's newest one, or say that it was the last."""
    try:
        return Opening(Cell.of(newest.domain, newest.number + 1), cause)
    except BadKeyError as error:
        return Opening(None, f"{newest.domain}: {error}")


def automatic_opening(alas: Alas, instance: dg.DagsterInstance, domain: str, outside_cause: str | None = None) -> Opening:
    """As `next_opening`, but hold back where opening this cell failed: until the next try is due, and for good after the last.

    One that somebody cancelled counts as failed here: it opened nothing, and is not to be requested anew at once.
    """
    opening = next_opening(alas, instance, domain, outside_cause)
    failures = _failures_to_open(alas, instance, opening.cell) if opening.cell else []
    if opening.cell is None or not failures:
        return opening
    retries, run_id = alas.domain(domain).retries, failures[0].dagster_run.run_id
    said = f"{domain}: opening iteration {opening.cell.iteration} failed or was cancelled {len(failures)} times, last in run {run_id[:8]}"
    if len(failures) >= retries.attempts:
        return Opening(None, f"{said}; see that run, then `alas open {domain}`")
    when = due(retries, failures)
    return opening if when <= datetime.now(UTC) else Opening(None, f"{said}; the next try is at {when:%H:%M} UTC")


def under_way(instance: dg.DagsterInstance, cell: Cell) -> list[str]:
    """Return the ids of the cell's runs that have not ended."""
    runs = instance.get_runs(dg.RunsFilter(tags={"dagster/partition": cell_key(cell)}, statuses=UNDER_WAY))
    return [run.run_id for run in runs]


def run_of(instance: dg.DagsterInstance, domain: str) -> str:
    """Return the id of a domain's run that has not ended, of an iteration or of its scoreboard; "" where there is none."""
    for tag in ("dagster/partition/domain", "dagster/partition"):
        if runs := instance.get_runs(dg.RunsFilter(tags={tag: domain}, statuses=UNDER_WAY), limit=1):
            return runs[0].run_id
    return ""


def efforts(alas: Alas, instance: dg.DagsterInstance, cell: Cell) -> list[dg.RunRecord]:
    """Return the ended runs that were to fill a cell, newest first: of the job `iteration`, or of automation, since the cell was opened.

    Those up to the newest that came to the revision are over and done with. A run of some assets that somebody chose says nothing of the
    iteration, whether it failed or not; nor does a dry run.
    """
    seed = alas.store.pointer(cell, "curriculum_seed")
    records = instance.get_run_records(dg.RunsFilter(tags={"dagster/partition": cell_key(cell)}))
    tries = [one for one in records if _fills(one.dagster_run) and (seed is None or _ended(one) >= datetime.fromisoformat(seed.made_at))]
    return list(takewhile(lambda one: not _came_to_its_end(one.dagster_run), tries))


def _fills(run: dg.DagsterRun) -> bool:
    return (run.job_name == ITERATION_JOB and _whole(run)) or run.tags.get("dagster/sensor_name") == AUTOMATION


def _whole(run: dg.DagsterRun) -> bool:
    return not run.asset_selection or dg.AssetKey("revised_curriculum") in run.asset_selection


def _came_to_its_end(run: dg.DagsterRun) -> bool:
    return run.status is dg.DagsterRunStatus.SUCCESS and _whole(run)


def _births_of(cell: Cell, *ended: dg.DagsterRunStatus) -> dg.RunsFilter:
    return dg.RunsFilter(job_name=START_JOB, tags={"dagster/partition": cell_key(cell)}, statuses=ended)


def _failures_to_open(alas: Alas, instance: dg.DagsterInstance, cell: Cell) -> list[dg.RunRecord]:
    """Return the runs that were to open a cell and failed or were cancelled, newest first.

    A cell cannot be opened before the iteration that it follows has ended: who tried was early, which does not count.
    """
    previous = next(reversed(ancestors(alas, cell)), None)
    revision = alas.store.pointer(previous, "revised_curriculum") if previous else None
    failed = instance.get_run_records(_births_of(cell, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED))
    return [one for one in failed if revision is None or _ended(one) >= datetime.fromisoformat(revision.made_at)]


def _ended(record: dg.RunRecord) -> datetime:
    return datetime.fromtimestamp(record.end_time or record.update_timestamp.timestamp(), UTC)


def due(retries: Retries, failures: Sequence[dg.RunRecord]) -> datetime:
    """Return when the next try is due: after the newest failure, twice as long each time (O2)."""
    return _ended(failures[0]) + wait_after(retries, len(failures), LONGEST_WAIT)


def wait_after(retries: Retries, failures: int, most: timedelta) -> timedelta:
    """Return how long to wait after so many failures: twice as long each time, up to a limit."""
    doubled = retries.wait_minutes * 2 ** min(failures - 1, 60)  # beyond that any limit is passed, and a float would not hold it
    return timedelta(minutes=min(doubled, most / timedelta(minutes=1)))


def each_by_itself(domain: str, consider: Callable[[str], Opening]) -> Opening:
    """Consider one domain so that a damaged file of it, or a broken domain file, is named and keeps no other domain waiting."""
    try:
        return consider(domain)
    except (BadKeyError, DomainError, RegistryError, StoreError) as error:
        return Opening(None, f"{domain}: {error}")


def added(cells: Sequence[Cell]) -> list[dg.AddDynamicPartitionsRequest]:
    """Return the requests that make cells' keys known to Dagster; asking for those that are known is harmless."""
    return [
        domains.build_add_request(sorted({cell.domain for cell in cells})),
        iterations.build_add_request(sorted({cell.iteration for cell in cells})),
    ]


def births(instance: dg.DagsterInstance, openings: Sequence[Opening], shown: Sequence[dg.AssetCheckEvaluation] = ()) -> dg.SensorResult:
    """Return the sensor result that adds the partitions and requests the seeds of these openings, and logs what is to be `shown`.

    Dagster remembers a run key for ever, so a cell that was to be opened before has to be requested under another, whether that failed, was
    cancelled, or opened it and its seed is gone since.
    """
    ended = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.SUCCESS)
    opened = [(opening.cell, opening.reason) for opening in openings if opening.cell]
    return dg.SensorResult(
        dynamic_partitions_requests=added([cell for cell, _ in opened]),
        run_requests=[
            dg.RunRequest(
                run_key=f"{cell.domain}/{cell.iteration}/{instance.get_runs_count(_births_of(cell, *ended))}",
                partition_key=cell_key(cell),
                tags={CAUSE_TAG: reason},
            )
            for cell, reason in opened
        ],
        asset_events=shown,
    )
