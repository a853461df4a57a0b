"""Sensor `release_pages`: a watched source that changed opens the next iteration of its domain (O2).

It looks, remembers, and asks `births` whether an iteration may be opened. How a page is read is `retrieval.watch`.
"""

import time

import dagster as dg

from alas_assets.defs.births import Opening, automatic_opening, births, each_by_itself
from alas_assets.defs.lineage import last_opened
from alas_assets.defs.looks import look_for_changes
from alas_assets.defs.resources import Alas
from alas_assets.defs.sensors import NOBODY_WATCHED, start_iteration
from alas_assets.provenance.changes import read_watch_state
from alas_assets.provenance.store import StoreError
from alas_assets.provenance.watching import watched_domains
from alas_assets.settings import load_settings

LOOK_SECONDS = 8.0
"""For the sources of one domain, and after which no further domain is begun: a tick stays under 20 s whatever the sites do."""


@dg.sensor(
    job=start_iteration,
    minimum_interval_seconds=load_settings().watch_seconds,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Looks at the watched pages and feeds of watched domains; a change opens the next iteration. `alas watch` switches it.",
)
def release_pages(context: dg.SensorEvaluationContext, alas: Alas) -> dg.SensorResult | dg.SkipReason:
    """Look at the watched pages of every watched domain; a change opens the next iteration once the newest is finished."""
    started = time.monotonic()
    openings: list[Opening] = []
    # the domain that was not looked at for longest goes first, so that slow sites keep none out for ever
    for domain in sorted(watched_domains(alas.settings.home), key=lambda key: _looked_at(alas, key)):
        if time.monotonic() - started > LOOK_SECONDS:
            openings.append(Opening(None, f"{domain}: looked at in a later tick, other sites were slow"))
            continue
        openings.append(each_by_itself(domain, lambda key: _opening(alas, context.instance, key)))
    if any(opening.cell for opening in openings):
        return births(context.instance, openings)
    return dg.SkipReason("; ".join(opening.reason for opening in openings) or NOBODY_WATCHED)


def _looked_at(alas: Alas, domain: str) -> str:
    try:
        return read_watch_state(alas.settings.home, domain).looked_at
    except StoreError:
        return ""  # its turn comes first, and says what is wrong


def _opening(alas: Alas, instance: dg.DagsterInstance, domain: str) -> Opening:
    """Look at one domain's sources, and say what follows from all changes that no iteration has taken up."""
    state, unread = look_for_changes(alas, domain, LOOK_SECONDS)
    not_read = "; ".join(f"{url}: {reason}" for url, reason in unread)
    said = f"; not read: {not_read}" if unread else ""
    if unread:
        dg.get_dagster_logger().warning("%s: watched sources were not read: %s", domain, not_read)
    if not state.pending:
        return Opening(None, f"{domain}: no watched page changed{said}")
    if last_opened(alas, domain) is None:
        return Opening(None, f"{domain}: was never run; its first iteration studies every page, start it with `alas run {domain}`{said}")
    cause = f"{len(state.pending)} watched pages changed: {', '.join(state.pending)}"[:400]
    opening = automatic_opening(alas, instance, domain, outside_cause=cause)
    return opening if opening.cell else Opening(None, f"{opening.reason}; then: {cause}{said}")
