"""Sensor `release_pages`: a watched page that changed opens the next iteration of its domain (O2).

It looks, remembers, and asks `births` whether an iteration may be opened. How a page is read is `retrieval.watch`.
"""

import time
from datetime import UTC, datetime

import dagster as dg

from alas_assets.defs.births import Opening, births, last_opened, next_opening
from alas_assets.defs.resources import Alas
from alas_assets.defs.sensors import start_iteration
from alas_assets.domains.config import DomainError
from alas_assets.provenance.changes import WatchState, read_watch_state, update_watch_state
from alas_assets.provenance.watching import watched_domains
from alas_assets.retrieval.watch import changed_pages, look, remembered

LOOK_SECONDS = 8.0
"""For the pages of one domain, and after which no further domain is begun: a tick stays under 20 s whatever the sites do."""


@dg.sensor(job=start_iteration, minimum_interval_seconds=120, default_status=dg.DefaultSensorStatus.STOPPED)
def release_pages(context: dg.SensorEvaluationContext, alas: Alas) -> dg.SensorResult | dg.SkipReason:
    """Look at the watched pages of every watched domain; a change opens the next iteration once the newest is finished."""
    started = time.monotonic()
    home = alas.settings.home
    openings: list[Opening] = []
    # the domain that was not looked at for longest goes first, so that slow sites keep none out for ever
    for domain in sorted(watched_domains(home), key=lambda key: read_watch_state(home, key).looked_at):
        if time.monotonic() - started > LOOK_SECONDS:
            openings.append(Opening(None, f"{domain}: looked at in a later tick, other sites were slow"))
            continue
        try:
            openings.append(_opening(alas, context.instance, domain))
        except DomainError as error:
            openings.append(Opening(None, str(error)))
    if any(opening.cell for opening in openings):
        return births(openings)
    return dg.SkipReason("; ".join(opening.reason for opening in openings) or "no domain is watched; `alas watch on DOMAIN` adds one")


def _opening(alas: Alas, instance: dg.DagsterInstance, domain: str) -> Opening:
    """Look at one domain's pages, and say what follows from all changes that no iteration has taken up."""
    state, unread = look_at(alas, domain)
    said = f"; not read: {'; '.join(unread)}" if unread else ""
    if unread:
        dg.get_dagster_logger().warning("%s: watched pages were not read: %s", domain, "; ".join(unread))
    if not state.pending:
        return Opening(None, f"{domain}: no watched page changed{said}")
    if last_opened(alas, domain) is None:
        return Opening(None, f"{domain}: was never run; its first iteration studies every page, start it with `alas run {domain}`{said}")
    cause = f"{len(state.pending)} watched pages changed: {', '.join(state.pending)}"[:400]
    opening = next_opening(alas, instance, domain, outside_cause=cause)
    return opening if opening.cell else Opening(None, f"{opening.reason}; then: {cause}{said}")


def look_at(alas: Alas, domain: str) -> tuple[WatchState, list[str]]:
    """Look at a domain's watched pages, remember what they say, and return that with (page: reason) of those not read."""
    looks = look(alas.domain(domain), alas.store, LOOK_SECONDS)

    def seen(state: WatchState) -> WatchState:
        fresh = [page for page in changed_pages(looks, state.seen) if page not in state.pending]
        return state.model_copy(
            update={
                "looked_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "seen": remembered(looks, state.seen),
                "pending": [*state.pending, *fresh],
            }
        )

    state = update_watch_state(alas.settings.home, domain, seen)
    return state, [f"{one.url}: {one.reason}" for one in looks if one.digest is None]
