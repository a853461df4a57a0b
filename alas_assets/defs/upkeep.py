"""What keeps a watched domain going when no page changes: `overdue_domains`, `failed_iterations`, and a schedule (O2, O3).

Sensors and schedule only; whether an iteration may be opened is `births`', what stale means is `freshness`'.
"""

from datetime import UTC, datetime

import dagster as dg

from alas_assets.defs.births import (
    Opening,
    added,
    automatic_opening,
    births,
    due,
    each_by_itself,
    efforts,
    under_way,
    wait_after,
)
from alas_assets.defs.currency import news_of_freshness
from alas_assets.defs.curriculum import CAUSE_TAG
from alas_assets.defs.dead_runs import close_dead_runs
from alas_assets.defs.freshness import freshness, in_words, is_ahead
from alas_assets.defs.lineage import being_made_again, closed_because, finished, last_opened, opened_cells, revised
from alas_assets.defs.resources import Alas
from alas_assets.defs.sensors import NOBODY_WATCHED, iteration, start_iteration
from alas_assets.partitions import cell_key, cell_of
from alas_assets.provenance.changes import read_watch_state
from alas_assets.provenance.store import Cell
from alas_assets.provenance.watching import watched_domains
from alas_assets.records import Seed
from alas_assets.release.closing import close_iteration
from alas_assets.release.registry import Entry
from alas_assets.wording import counted

OVERDUE = "overdue"
"""The first word of the cause of an iteration that was opened because knowledge was stale."""


@dg.sensor(
    job=start_iteration,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Opens an iteration of every watched domain that is older than its freshness_hours; again only after a while.",
)
def overdue_domains(context: dg.SensorEvaluationContext, alas: Alas) -> dg.SensorResult | dg.SkipReason:
    """Open an iteration of every watched domain whose freshness policy failed; once, and again only after a while if it stays stale.

    The check `knowledge_is_fresh` shows what it found of every domain, whenever that changed.
    """
    openings = [
        each_by_itself(domain, lambda key: _if_overdue(alas, context.instance, key)) for domain in watched_domains(alas.settings.home)
    ]
    shown = news_of_freshness(alas, context.instance)
    if any(opening.cell for opening in openings):
        return births(context.instance, openings, shown)
    reasons = "; ".join(opening.reason for opening in openings) or NOBODY_WATCHED
    return dg.SensorResult(skip_reason=reasons, asset_events=shown) if shown else dg.SkipReason(reasons)


def _if_overdue(alas: Alas, instance: dg.DagsterInstance, domain: str) -> Opening:
    if last_opened(alas, domain) is None:
        return Opening(None, f"{domain}: was never run; start it with `alas run {domain}`")
    known = freshness(alas, instance, domain)
    if not known.stale:
        return Opening(None, f"{domain}: {in_words(known.age)} old, {in_words(known.window)} are allowed")
    tries = _tries_since(alas, domain, known.beat)
    if tries:
        wait = wait_after(alas.domain(domain).retries, len(tries), known.window)
        when = _made_at(alas, tries[-1], "revised_curriculum" if revised(alas, tries[-1]) else "curriculum_seed") + wait
        if when > datetime.now(UTC) and not is_ahead(when - wait):
            return Opening(
                None,
                f"{domain}: iteration {tries[-1].iteration} failed or did not read every source, so it is still stale (the check "
                f"`sources_read` names those); the next try is at {when:%Y-%m-%d %H:%M} UTC",
            )
    age = f"{in_words(known.age)} old" if known.as_of else f"of nobody knows when, since {known.doubt}"
    cause = f"{OVERDUE}: knowledge is {age}, {in_words(known.window)} are allowed (freshness_hours)"
    return automatic_opening(alas, instance, domain, outside_cause=cause)


def show_rollback(instance: dg.DagsterInstance, domain: str, change: Entry) -> None:
    """Show in the UI, among the scoreboard's events, that a person changed what is current (G4).

    Args:
        instance: Dagster's.
        domain: The domain's key.
        change: The registry's entry.
    """
    shown = {
        "current_before": change.previous or "base student",
        "current_after": change.adapter_hash or "base student",
        "by": change.by or "somebody",
        "reason": change.reason or "none was given",
    }
    seen = dg.AssetObservation(
        "scoreboard", partition=domain, description="what is current was changed by hand (`alas rollback`)", metadata=shown
    )
    instance.report_runless_asset_event(seen)


def _tries_since(alas: Alas, domain: str, beat: datetime | None) -> list[Cell]:
    """Return the iterations that staleness opened since the last heartbeat and that ended, none of which made the domain current."""
    store = alas.store
    tries = []
    for cell in opened_cells(alas, domain):
        seed = store.pointer(cell, "curriculum_seed")
        if seed is None or (beat and datetime.fromisoformat(seed.made_at) <= beat):
            continue
        ended = revised(alas, cell) or closed_because(alas, cell) is not None
        if ended and store.read_record(Seed, seed).cause.startswith(OVERDUE):
            tries.append(cell)
    return tries


def _made_at(alas: Alas, cell: Cell, asset: str) -> datetime:
    pointer = alas.store.pointer(cell, asset)
    assert pointer is not None
    return datetime.fromisoformat(pointer.made_at)


@dg.sensor(
    job=iteration,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Tries a watched domain's failed iteration again, later each time; after the last try it is closed.",
)
def failed_iterations(context: dg.SensorEvaluationContext, alas: Alas) -> dg.SensorResult | dg.SkipReason:
    """Try a watched domain's failed iteration again, later each time; after the last try close it for the next cause.

    An iteration whose process was killed is found failed here first: nobody else ends its run as long as no command is given.
    """
    close_dead_runs(context.instance)
    requests: list[dg.RunRequest] = []
    said: list[str] = []
    for domain in watched_domains(alas.settings.home):

        def consider(key: str) -> Opening:
            request, reason = _retry(alas, context.instance, key)
            requests.extend([request] if request else [])
            return Opening(None, reason)

        said.append(each_by_itself(domain, consider).reason)
    if not requests:
        return dg.SkipReason("; ".join(said) or NOBODY_WATCHED)
    cells = [cell_of(str(request.partition_key)) for request in requests]
    return dg.SensorResult(run_requests=requests, dynamic_partitions_requests=added(cells))  # the keys may have been deleted in the UI


def _retry(alas: Alas, instance: dg.DagsterInstance, domain: str) -> tuple[dg.RunRequest | None, str]:
    newest = last_opened(alas, domain)
    if newest is None or finished(alas, newest):
        return None, f"{domain}: nothing is unfinished"
    if reason := closed_because(alas, newest):
        return None, f"{domain}: iteration {newest.iteration} was closed: {reason}"
    if under_way(instance, newest):
        return None, f"{domain}: iteration {newest.iteration} is under way"
    ran = efforts(alas, instance, newest)
    if not ran or ran[0].dagster_run.status is not dg.DagsterRunStatus.FAILURE:
        by_hand = bool(ran) and ran[0].dagster_run.status is dg.DagsterRunStatus.CANCELED
        waits = f"was cancelled by hand; `alas retry {domain}` goes on with it" if by_hand else "is unfinished, and no run of it failed"
        return None, f"{domain}: iteration {newest.iteration} {waits}"
    retries, anew = alas.domain(domain).retries, read_watch_state(alas.settings.home, domain).retried.get(newest.iteration, "")
    failures = [record for record in ran if record.dagster_run.status is dg.DagsterRunStatus.FAILURE]
    failures = [record for record in failures if not anew or record.create_timestamp.replace(tzinfo=UTC) > datetime.fromisoformat(anew)]
    if not failures:
        return None, f"{domain}: iteration {newest.iteration} waits for `alas retry`'s run"
    if len(failures) >= retries.attempts:
        reason = f"{counted(len(failures), 'run')} failed, the last is {failures[0].dagster_run.run_id[:8]}"
        if revised(alas, newest):  # what it decided and left to the next one stands
            return None, f"{domain}: {being_made_again(alas, newest)}; {reason}, so it is not tried again by itself"
        close_iteration(alas.settings.home, newest, reason)
        return None, f"{domain}: iteration {newest.iteration} is closed: {reason}"
    when = due(retries, failures)
    if when > datetime.now(UTC):
        return None, f"{domain}: iteration {newest.iteration} failed; it is tried again at {when:%H:%M} UTC"
    cause = f"try {len(failures) + 1} of {retries.attempts}, after run {failures[0].dagster_run.run_id[:8]} failed"
    return dg.RunRequest(run_key=failures[0].dagster_run.run_id, partition_key=cell_key(newest), tags={CAUSE_TAG: cause}), cause


@dg.schedule(
    job=start_iteration,
    cron_schedule="0 3 * * *",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Opens an iteration of every watched domain each night, for those who prefer a clock to sensors.",
)
def nightly(context: dg.ScheduleEvaluationContext, alas: Alas) -> list[dg.RunRequest] | dg.SkipReason:
    """Open an iteration of every watched domain each night, for those who prefer a clock to sensors (O1)."""
    day = context.scheduled_execution_time
    openings = [
        each_by_itself(domain, lambda key: automatic_opening(alas, context.instance, key, outside_cause=f"the schedule of {day:%Y-%m-%d}"))
        for domain in watched_domains(alas.settings.home)
    ]
    result = births(context.instance, openings)
    for request in result.dynamic_partitions_requests or []:
        context.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
    return list(result.run_requests or []) or dg.SkipReason("; ".join(opening.reason for opening in openings) or NOBODY_WATCHED)
