"""Looking at a domain's watched sources and remembering what they say, for the sensor and for each iteration's plan (O2, O3).

How a page is read is `retrieval.watch`, what is remembered `provenance.changes`; what follows is decided by the callers.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from alas_assets.audit.reading import ReadOnce
from alas_assets.defs.lineage import last_opened
from alas_assets.defs.resources import Alas
from alas_assets.provenance.blocked.order import TAKEN_DOWN, Blocked
from alas_assets.provenance.changes import WatchState, read_watch_state, update_watch_state
from alas_assets.provenance.store import Cell
from alas_assets.retrieval.watch import Look, changed_pages, first_looks, look, remembered, said_when_read, shown_entries

Unread = list[tuple[str, str]]
"""(url, reason) of every watched source that could not be read; one that was taken down is none any more."""


def look_for_changes(alas: Alas, domain: str, deadline: float) -> tuple[WatchState, Unread]:
    """Look at a domain's watched sources for the sensor: what changed is pending until an iteration takes it up.

    A page that is watched for the first time has changed if it says something else than when an iteration last read it.

    Args:
        alas: The resource.
        domain: The domain's key.
        deadline: Seconds for all sources together.
    """
    before = read_watch_state(alas.settings.home, domain)
    looks = look(alas.domain(domain), alas.store, deadline, before.seen)
    changed = _changes(alas, domain, looks, before)

    def seen(state: WatchState) -> WatchState:
        fresh = [page for page in changed(state) if page not in state.pending]
        return _after(state, looks).model_copy(update={"pending": [*state.pending, *fresh]})

    return update_watch_state(alas.settings.home, domain, seen), _unread(looks)


def take_note(alas: Alas, cell: Cell) -> tuple[list[str], Unread]:
    """Look at a domain's watched sources for an iteration that goes on to read them: what changed is its own, and pending if it fails.

    One that came to its revision before takes no note, newest or old: nobody says that its plan is gone on with, and what changed since
    would be nobody's.

    Returns:
        The pages that are there, and the sources that could not be read.
    """
    looks = look(alas.domain(cell.domain), alas.store, None)
    changed = _changes(alas, cell.domain, looks, read_watch_state(alas.settings.home, cell.domain))

    def noted(state: WatchState) -> WatchState:
        fresh = changed(state)
        if not fresh:
            return _after(state, looks)
        own = list(dict.fromkeys([*state.noticed.get(cell.iteration, []), *fresh]))
        return _after(state, looks).model_copy(update={"noticed": {**state.noticed, cell.iteration: own}})

    if last_opened(alas, cell.domain) in (cell, None) and alas.store.pointer(cell, "revised_curriculum") is None:
        update_watch_state(alas.settings.home, cell.domain, noted)
    return [one.page for one in looks if one.digest and one.entries is None], _unread(looks)


def _changes(alas: Alas, domain: str, looks: Sequence[Look], before: WatchState) -> Callable[[WatchState], list[str]]:
    """Return what says, of a state that may be newer than `before`, which pages changed since; none that was taken down."""
    first = first_looks(looks, before.seen)
    as_read = said_when_read(first, ReadOnce(alas.store).rows_of(domain, "documents"), alas.store) if first else {}
    blocked = Blocked(alas.store.root)

    def changed(state: WatchState) -> list[str]:
        known = state.model_copy(update={"seen": as_read | state.seen})
        return [page for page in changed_pages(looks, known) if not blocked.address(page)]

    return changed


def _after(state: WatchState, looks: Sequence[Look]) -> WatchState:
    return state.model_copy(
        update={
            "looked_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "seen": remembered(looks, state.seen),
            "entries": shown_entries(looks, state.entries),
        }
    )


def _unread(looks: Sequence[Look]) -> Unread:
    return [(one.url, one.reason) for one in looks if one.digest is None and not one.reason.startswith(TAKEN_DOWN)]
