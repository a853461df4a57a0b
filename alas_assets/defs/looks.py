"""Looking at a domain's watched sources and remembering what they say, for the sensor and for each iteration's plan (O2, O3).

How a page is read is `retrieval.watch`, what is remembered `provenance.changes`; what follows is decided by the callers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl

from alas_assets.audit.reading import ReadOnce
from alas_assets.defs.lineage import last_opened
from alas_assets.defs.resources import Alas
from alas_assets.provenance.blocked.order import TAKEN_DOWN, Blocked
from alas_assets.provenance.changes import WatchState, read_watch_state, update_watch_state
from alas_assets.provenance.store import Cell, StoreError
from alas_assets.release.closing import given_up
from alas_assets.release.registry import RegistryError
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
    looks, as_read = _beside_readings(alas, domain, look(alas.domain(domain), alas.store, deadline, before.seen), before, deadline)
    blocked = Blocked(alas.store.root)

    def seen(state: WatchState) -> WatchState:
        fresh = [page for page in _changed(looks, as_read, state, blocked) if page not in state.pending]
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
    if last_opened(alas, cell.domain) in (cell, None) and alas.store.pointer(cell, "revised_curriculum") is None:
        before, blocked = read_watch_state(alas.settings.home, cell.domain), Blocked(alas.store.root)
        compared, as_read = _beside_readings(alas, cell.domain, looks, before, None, left_out=str(cell))

        def noted(state: WatchState) -> WatchState:
            fresh, after = _changed(compared, as_read, state, blocked), _after(state, compared)
            own = list(dict.fromkeys([*state.noticed.get(cell.iteration, []), *fresh]))
            return after.model_copy(update={"noticed": {**state.noticed, cell.iteration: own}}) if fresh else after

        update_watch_state(alas.settings.home, cell.domain, noted)
    return [one.page for one in looks if one.digest and one.entries is None], _unread(looks)


def _beside_readings(
    alas: Alas, domain: str, looks: list[Look], before: WatchState, deadline: float | None, left_out: str = ""
) -> tuple[list[Look], dict[str, str]]:
    """Return the looks, and what pages of a first look said when an iteration last read them, by the address that is watched.

    One that cannot be compared for now counts as not looked at, so that its change is not lost. What iterations read that were given up,
    and the cell `left_out`, was taught by nobody.
    """
    first = first_looks(looks, before.seen)
    if not first:
        return looks, {}
    said: dict[str, str | None] = {}
    try:
        by_nobody = [*given_up(alas.store, domain), left_out]
        readings = ReadOnce(alas.store).rows_of(domain, "documents").filter(~pl.col("cell").is_in(by_nobody))
        said = said_when_read(first, readings, alas.store, deadline)
        why = {url: "compared with what was read of it at a later look" for url, digest in said.items() if digest is None}
    except (StoreError, RegistryError) as error:
        why = dict.fromkeys(first.values(), f"cannot be compared with what was read of it ({error})")
    compared = [replace(one, digest=None, reason=why[one.url], late=True) if one.url in why else one for one in looks]
    return compared, {url: digest for url, digest in said.items() if digest}


def _changed(looks: Sequence[Look], as_read: Mapping[str, str], state: WatchState, blocked: Blocked) -> list[str]:
    """Return the pages that say something else than before, none that was taken down."""
    known = state.model_copy(update={"seen": {**as_read, **state.seen}})
    return [page for page in changed_pages(looks, known) if not blocked.address(page)]


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
