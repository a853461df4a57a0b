"""Giving up an iteration, and which of those that were given up count no more: none whose promotion is in force (O7).

What is on record of a closing is `provenance.changes`; why one is closed is decided by the callers.
"""

from __future__ import annotations

from pathlib import Path

from alas_assets.provenance.changes import WatchState, read_watch_state, update_watch_state
from alas_assets.provenance.store import ArtifactStore, Cell
from alas_assets.release.registry import Registry


def close_iteration(home: Path, cell: Cell, reason: str) -> None:
    """Give up an unfinished iteration, so that the next cause can open another; the changes it was to study are pending again.

    Not where its promotion is in force: what is current was taught them, and the iterations that follow take its readings over.

    Raises:
        StoreError: The file is damaged, or another process keeps it locked.
        RegistryError: The domain's registry cannot be read.
    """
    learned = Registry(home / "registry").stands(cell.domain, cell.number)

    def closed(state: WatchState) -> WatchState:
        back = [] if learned else [page for page in state.pages_of(cell) if page not in state.pending]
        return state.model_copy(update={"closed": {**state.closed, cell.iteration: reason}, "pending": [*state.pending, *back]})

    update_watch_state(home, cell.domain, closed)


def given_up(store: ArtifactStore, domain: str) -> set[str]:
    """Return the cells of a domain whose pairs count no more: closed as failed before their revision, and nothing of them is current.

    Raises:
        StoreError: The domain's file is damaged.
        RegistryError: Its registry is.
    """
    registry = Registry(store.root / "registry")
    closed = (Cell(domain, iteration) for iteration in read_watch_state(store.root, domain).closed)
    unrevised = [cell for cell in closed if store.pointer(cell, "revised_curriculum") is None]
    return {str(cell) for cell in unrevised if not registry.stands(domain, cell.number)}
