"""Sensors that report: `failed_runs` for runs, `standing_notices` for stale domains, candidates not promoted and closed iterations.

What is told, and once; how it is kept and sent is `alas_assets.notices`.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from alas_assets.defs.currency import news_of_freshness
from alas_assets.defs.failures import failure_words
from alas_assets.defs.freshness import SKEW, freshness, in_words
from alas_assets.defs.lineage import closed_because, closed_words, last_opened, opened_cells
from alas_assets.defs.resources import Alas
from alas_assets.defs.sensors import NOBODY_WATCHED
from alas_assets.domains.config import DomainError
from alas_assets.notices import Notice, Outbox
from alas_assets.partitions import cell_of
from alas_assets.provenance.store import BadKeyError, Cell, StoreError
from alas_assets.provenance.watching import watched_domains
from alas_assets.records import GateDecision

TELLING_SECONDS = 30.0
"""After which a tick tells nothing more: where the webhook hangs one notice takes a third of that, and Dagster ends a sensor after 60 s."""
AT_ONCE = 50
"""Failed runs that one tick takes up: it reads the log of each."""


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Tells that a run failed, at which steps and why: in its own log, and at ALAS_WEBHOOK_URL where that is set.",
)
def failed_runs(context: dg.SensorEvaluationContext, alas: Alas) -> dg.SkipReason:
    """Tell that runs failed, at which steps and why.

    Not a run-failure sensor of Dagster's: that one moves on from a run whatever became of its notice, even where the function raised, and
    is not called again before another run fails. This one moves on from a run once its notice is kept, and sends what waits at every tick.
    """
    outbox = Outbox(alas.settings.home, alas.settings.webhook)
    newest = next(iter(context.instance.fetch_run_status_changes(dg.DagsterEventType.RUN_FAILURE, limit=1).records), None)
    if not context.cursor:
        context.update_cursor(_position(newest))
        return dg.SkipReason(_in_words(outbox.deliver(TELLING_SECONDS), "runs that fail from now on are told"))
    after, restarted = _after(context, newest)
    records = context.instance.fetch_run_status_changes(after, limit=AT_ONCE, ascending=True).records
    found = {record.storage_id: notice for record in records for notice in _of_failure(context, record)}
    news, left = outbox.add(failed_runs.name, {"": {notice.run_id: notice for notice in found.values()}})
    first_left = next((at for at, notice in found.items() if notice.run_id in left), None)
    past = [record for record in records if first_left is None or record.storage_id < first_left]
    if past or not records:
        context.update_cursor(_position(past[-1]) if past else _position(newest) if restarted else context.cursor)
    told = (notice.text[:200] for notice in news)
    return dg.SkipReason(_in_words(outbox.deliver(TELLING_SECONDS), restarted, *told) or "no run failed")


def _position(event: dg.EventLogRecord | None) -> str:
    """Return the cursor after an event, with the names that Dagster's run-status sensors give it: from one of theirs it is gone on from."""
    if event is None:
        return json.dumps({"record_id": 0})
    return json.dumps({"record_id": event.storage_id, "record_timestamp": _time_of(event).isoformat()})


def _time_of(event: dg.EventLogRecord) -> datetime:
    return datetime.fromtimestamp(event.timestamp, UTC)


def _after(context: dg.SensorEvaluationContext, newest: dg.EventLogRecord | None) -> tuple[dg.RunStatusChangeRecordsFilter, str]:
    """Return which failures are to be told: those numbered after the cursor; and where it lies past the end, why others are.

    The numbers of events begin again in a new database, as where a damaged one was moved away, and fall back where an older copy was put in
    its place or the newest runs were deleted. Then the failures that came later than the last one that was told are news.
    """
    position = json.loads(context.cursor or "{}")
    number, last = position["record_id"], position.get("record_timestamp")
    told = datetime.fromisoformat(last) if last else None
    if newest is None:
        fell_back = number > 0
    else:
        fell_back = newest.storage_id < number or (newest.storage_id == number and told is not None and _time_of(newest) > told)
    if not fell_back:
        return dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_FAILURE, after_storage_id=number), ""
    if told is None and (context.instance.event_log_storage.get_maximum_record_id() or 0) >= number:
        return dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_FAILURE, after_storage_id=number), _FELL_BACK
    since = told.timestamp() if told and told <= datetime.now(UTC) + SKEW else None
    return dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_FAILURE, after_timestamp=since), _FELL_BACK


_FELL_BACK = (
    "the newest failed run in Dagster's database is older than the last one that was told: the database was replaced, or runs were "
    "deleted; those that failed since are told"
)


def _in_words(*said: str) -> str:
    return "; ".join(part for part in said if part)[:2000]


def _of_failure(context: dg.SensorEvaluationContext, record: dg.EventLogRecord) -> Iterator[Notice]:
    """Yield the notice of a failed run of this code location; none where the run was deleted, or told of when it first failed."""
    run = context.instance.get_run_by_id(record.run_id)
    if run is None or not _is_ours(context, run):
        return
    instance = context.instance
    first = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE, limit=1).records
    if first and first[0].timestamp != record.timestamp:  # two that close the run of a killed process each log that it failed
        return
    failed = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
    words = failure_words(event for step in failed if (event := step.event_log_entry.dagster_event))
    ended = record.event_log_entry.dagster_event
    why = words or (ended and ended.message) or "no reason was recorded"
    partition = run.tags.get("dagster/partition", "")
    try:
        cell = cell_of(partition)
        domain, iteration = cell.domain, cell.iteration
    except BadKeyError:
        domain, iteration = partition, ""
    text = f"run {run.run_id[:8]} of {f'{run.job_name} {partition}'.strip()} failed: {why}"
    yield Notice(kind="failure", domain=domain, iteration=iteration, run_id=run.run_id, text=text)


def _is_ours(context: dg.SensorEvaluationContext, run: dg.DagsterRun) -> bool:
    """Tell whether a run is of this code location: others may share the instance."""
    of, here = run.remote_job_origin, context.code_location_origin
    if of is None or here is None:
        return False
    return (of.location_name, of.repository_origin.repository_name) == (here.location_name, context.repository_name)


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Tells once of every watched domain that became stale, candidate that was not promoted, and iteration that was closed.",
)
def standing_notices(context: dg.SensorEvaluationContext, alas: Alas) -> dg.SensorResult:
    """Tell once of every watched domain that has become stale, candidate that was not promoted, and iteration that was closed.

    The check `knowledge_is_fresh` is evaluated here too, for those who turned `overdue_domains` off.
    """
    outbox = Outbox(alas.settings.home, alas.settings.webhook)
    said: list[str] = []
    found: dict[str, dict[str, Notice] | None] = {}
    for domain in watched_domains(alas.settings.home):
        try:
            found[domain] = standing(alas, context.instance, domain)
        except (DomainError, StoreError) as error:
            said.append(f"{domain}: {error}")
            found[domain] = None
    news, _ = outbox.add(standing_notices.name, found)
    said += [notice.text for notice in news]
    reasons = _in_words(outbox.deliver(TELLING_SECONDS), *said) or ("nothing new" if found else NOBODY_WATCHED)
    return dg.SensorResult(skip_reason=reasons, asset_events=news_of_freshness(alas, context.instance))


def standing(alas: Alas, instance: dg.DagsterInstance, domain: str) -> dict[str, Notice]:
    """Return what is to be told of a domain as it stands, by a key that changes when it becomes news again."""
    notices: dict[str, Notice] = {}
    known = freshness(alas, instance, domain)
    if known.stale:
        text = f"{domain} is stale: its sources were not all read again within {in_words(known.window)}"
        text += f" ({known.doubt})" if known.doubt else ""
        notices["stale"] = Notice(kind="stale", domain=domain, text=text)
    newest = last_opened(alas, domain)
    if newest and (reason := closed_because(alas, newest)):
        text = f"{domain}: {closed_words(newest, reason)}"
        notices[f"closed {newest.iteration}"] = Notice(kind="closed", domain=domain, iteration=newest.iteration, text=text)
    if judged := _newest_decision(alas, domain):
        cell, digest, decision = judged
        if decision.verdict != "promote" and decision.candidate:
            text = f"the candidate of iteration {cell.iteration} of {domain} was not promoted: {decision.reason}"
            notices[f"gate {digest}"] = Notice(kind="not promoted", domain=domain, iteration=cell.iteration, text=text)
    return notices


def _newest_decision(alas: Alas, domain: str) -> tuple[Cell, str, GateDecision] | None:
    for cell in reversed(opened_cells(alas, domain)):
        if pointer := alas.store.pointer(cell, "promotion"):
            return cell, pointer.hash, alas.store.read_record(GateDecision, pointer)
    return None
