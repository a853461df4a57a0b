"""Sensor `release_pages`: a watched source that changed opens the next iteration of its domain (O2).

It looks, remembers, and asks `births` whether an iteration may be opened. How a page is read is `retrieval.watch`.
"""

import time
from datetime import UTC, datetime, timedelta

import dagster as dg

from alas_assets.defs.births import Opening, automatic_opening, births, each_by_itself
from alas_assets.defs.lineage import last_opened
from alas_assets.defs.looks import look_for_changes
from alas_assets.defs.resources import Alas
from alas_assets.defs.sensors import NOBODY_WATCHED, start_iteration
from alas_assets.provenance.changes import WatchState, read_watch_state
from alas_assets.provenance.store import Cell, StoreError
from alas_assets.provenance.watching import watched_domains
from alas_assets.settings import load_settings
from alas_assets.wording import counted

LOOK_SECONDS = 8.0
"""For the sources of one domain, and after which no further domain is begun: a tick stays under 20 s whatever the sites do."""

RECENT = 10
"""How many of the newest iterations are asked how often a page has changed lately."""

AT_ONCE = 2
"""A page that no more of them studied because it changed opens the next as soon as it changes again."""

FIRST_WAIT, LONGEST_WAIT = timedelta(hours=1), timedelta(days=1)
"""After how long another does, from the opening of the last one that studied it: twice as long each time, up to a day.

So a page that says something else at every look, as one with a counter does, opens an iteration a day in the end, and a page that
somebody edits every day is still studied every day.
"""


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
    newest = last_opened(alas, domain)
    if newest is None:
        return Opening(None, f"{domain}: was never run; its first iteration studies every page, start it with `alas run {domain}`{said}")
    cause = f"{len(state.pending)} watched pages changed: {', '.join(state.pending)}"[:400]
    opening = automatic_opening(alas, instance, domain, outside_cause=cause)
    if opening.cell is None:
        return Opening(None, f"{opening.reason}; then: {cause}{said}")
    when = min(_due(alas, page, state, newest) for page in state.pending)
    return opening if when <= datetime.now(UTC) else Opening(None, f"{domain}: {_waiting(state.pending, when, domain)}{said}")


def _due(alas: Alas, page: str, state: WatchState, newest: Cell) -> datetime:
    """Return when a changed page may open an iteration: later and later if it keeps changing; those that failed have not studied it."""
    recent = [Cell.of(newest.domain, number) for number in range(newest.number, max(-1, newest.number - RECENT), -1)]
    studied = [cell for cell in recent if cell.iteration not in state.closed and page in state.pages_of(cell)]
    opened = alas.store.pointer(studied[0], "curriculum_seed") if len(studied) > AT_ONCE else None
    if opened is None:
        return datetime.min.replace(tzinfo=UTC)
    return datetime.fromisoformat(opened.made_at) + min(FIRST_WAIT * 2 ** (len(studied) - AT_ONCE - 1), LONGEST_WAIT)


def _waiting(pages: list[str], when: datetime, domain: str) -> str:
    changed = f"{counted(len(pages), 'watched page')} changed as in most iterations lately: {', '.join(pages)}"[:400]
    return (
        f"{changed}; the next iteration is opened at {when:%Y-%m-%d %H:%M} UTC, or by `alas open {domain}`. If what changes there is no "
        "news, such as a counter, name other pages in sources.watch_urls"
    )
