"""Sensors that report: `failed_runs` for runs, `standing_notices` for stale domains, candidates not promoted and closed iterations.

What is told, and once; how it is sent is `alas_assets.notices`.
"""

import json
import time

import dagster as dg

from alas_assets.defs.currency import news_of_freshness
from alas_assets.defs.failures import failure_words
from alas_assets.defs.freshness import freshness, in_words
from alas_assets.defs.lineage import closed_because, last_opened, opened_cells
from alas_assets.defs.resources import Alas
from alas_assets.defs.sensors import NOBODY_WATCHED
from alas_assets.domains.config import DomainError
from alas_assets.notices import Notice, tell
from alas_assets.partitions import cell_of
from alas_assets.provenance.store import BadKeyError, Cell, StoreError
from alas_assets.provenance.watching import watched_domains
from alas_assets.records import GateDecision

TELLING_SECONDS = 30.0
"""After which a tick tells nothing more: where the webhook hangs one notice takes a third of that, and Dagster ends a sensor after 60 s."""


@dg.run_failure_sensor(
    name="failed_runs",
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Tells that a run failed, at which steps and why: in its own log, and at ALAS_WEBHOOK_URL where that is set.",
)
def failed_runs(context: dg.RunFailureSensorContext, alas: Alas) -> dg.SkipReason:
    """Tell that a run failed, at which steps and why."""
    run = context.dagster_run
    why = failure_words(context.for_run_failure().get_step_failure_events()) or context.failure_event.message or "no reason was recorded"
    partition = run.tags.get("dagster/partition", "")
    try:
        cell = cell_of(partition)
        domain, iteration = cell.domain, cell.iteration
    except BadKeyError:
        domain, iteration = partition, ""
    text = f"run {run.run_id[:8]} of {run.job_name} {partition} failed: {why}"
    problem = tell(Notice(kind="failure", domain=domain, iteration=iteration, run_id=run.run_id, text=text), alas.settings.webhook)
    return dg.SkipReason(f"told: {text[:200]}{f'; {problem}' if problem else ''}")


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Tells once of every watched domain that became stale, candidate that was not promoted, and iteration that was closed.",
)
def standing_notices(context: dg.SensorEvaluationContext, alas: Alas) -> dg.SensorResult:
    """Tell once of every watched domain that has become stale, candidate that was not promoted, and iteration that was closed.

    What the webhook did not take is told again at the next tick. The check `knowledge_is_fresh` is evaluated here too, for those who
    turned `overdue_domains` off.
    """
    told: dict[str, list[str]] = json.loads(context.cursor) if context.cursor else {}
    said: list[str] = []
    now: dict[str, list[str]] = {}
    until = time.monotonic() + TELLING_SECONDS
    for domain in watched_domains(alas.settings.home):
        try:
            notices = standing(alas, context.instance, domain)
        except (DomainError, StoreError) as error:
            said.append(f"{domain}: {error}")
            now[domain] = told.get(domain, [])
            continue
        undelivered = set()
        for key, notice in notices.items():
            if key not in told.get(domain, []):
                problem = tell(notice, alas.settings.webhook) if time.monotonic() < until else "the webhook is slow; in the next tick"
                said.append(f"{'not told yet' if problem else 'told'}: {notice.text}{f'; {problem}' if problem else ''}")
                undelivered |= {key} if problem else set()
        now[domain] = sorted(notices.keys() - undelivered)
    context.update_cursor(json.dumps(now))
    reasons = "; ".join(said)[:2000] or ("nothing new" if now else NOBODY_WATCHED)
    return dg.SensorResult(skip_reason=reasons, asset_events=news_of_freshness(alas, context.instance))


def standing(alas: Alas, instance: dg.DagsterInstance, domain: str) -> dict[str, Notice]:
    """Return what is to be told of a domain as it stands, by a key that changes when it becomes news again."""
    notices: dict[str, Notice] = {}
    known = freshness(alas, instance, domain)
    if known.stale:
        text = f"{domain} is stale: its sources were not all read again within {in_words(known.window)}"
        notices["stale"] = Notice(kind="stale", domain=domain, text=text)
    newest = last_opened(alas, domain)
    if newest and (reason := closed_because(alas, newest)):
        text = f"iteration {newest.iteration} of {domain} was closed as failed: {reason}; `alas retry {domain}` goes on with it"
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
