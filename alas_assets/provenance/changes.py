"""What is known of a domain outside its cells: what watched pages said when last read, which changes no iteration has taken up,
and which iterations were closed as failed (O2). One small file per domain in the store, so that a restart forgets nothing.

Reading pages is `retrieval.watch`; when an iteration is opened or closed is decided by `defs.births`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import Field, ValidationError

from alas_assets.provenance.ids import safe_name
from alas_assets.provenance.store import Cell, StoreError, write_atomic
from alas_assets.records import Record

_LOCK_SECONDS = 10


class WatchState(Record):
    """The watched pages and closed iterations of one domain."""

    looked_at: str = Field(default="", description="ISO 8601, UTC; empty before the first look")
    seen: dict[str, str] = Field(
        default_factory=dict, description="watched URL to the digest of its article; empty where the page was not there"
    )
    pending: list[str] = Field(default_factory=list, description="pages that changed and that no iteration has taken up")
    taken: dict[str, list[str]] = Field(default_factory=dict, description="iteration to the changed pages it took up")
    noticed: dict[str, list[str]] = Field(default_factory=dict, description="iteration to the changed pages it found itself as it planned")
    entries: dict[str, list[str]] = Field(default_factory=dict, description="watched feed to the ids of the entries that it has shown")
    closed: dict[str, str] = Field(default_factory=dict, description="unfinished iteration that was given up, and why")
    retried: dict[str, str] = Field(default_factory=dict, description="iteration to when its failures began to count anew, ISO 8601, UTC")

    def pages_of(self, cell: Cell) -> list[str]:
        """Return the changed pages that an iteration of the domain is to study: those it took up, and those it found itself."""
        return list(dict.fromkeys([*self.taken.get(cell.iteration, []), *self.noticed.get(cell.iteration, [])]))


def _file(home: Path, domain: str) -> Path:
    return home / "watch" / f"{safe_name(domain)}.json"


def read_watch_state(home: Path, domain: str) -> WatchState:
    """Return what is known of a domain's watched pages.

    Raises:
        StoreError: The file is damaged; the message names it.
    """
    path = _file(home, domain)
    try:
        return WatchState.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return WatchState()
    except ValidationError as error:
        raise StoreError(f"{path}: damaged; delete it, the watched pages are then looked at as if for the first time") from error


def update_watch_state(home: Path, domain: str, change: Callable[[WatchState], WatchState]) -> WatchState:
    """Replace what is known of a domain's watched pages and return it; sensor and runs take turns.

    Raises:
        StoreError: The file is damaged, or another process keeps it locked.
    """
    path = _file(home, domain)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_suffix(".lock"), timeout=_LOCK_SECONDS):
            state = change(read_watch_state(home, domain))
            write_atomic(path, state.model_dump_json(indent=1).encode())
            return state
    except Timeout as error:
        raise StoreError(f"{path}: locked for {_LOCK_SECONDS} s by another process; try again") from error


def pages_for(home: Path, cell: Cell, *, opened: bool) -> list[str]:
    """Return the changed pages that an iteration is for: those it took up, or the pending ones where it was not opened yet."""
    state = read_watch_state(home, cell.domain)
    return state.taken.get(cell.iteration, [] if opened else state.pending)


def take_up(home: Path, cell: Cell, pages: Collection[str]) -> None:
    """Note that an iteration studies these changed pages, so that no later one does, and itself the same ones when run again."""

    def taken(state: WatchState) -> WatchState:
        if cell.iteration in state.taken:
            return state
        pending = [page for page in state.pending if page not in pages]
        return state.model_copy(update={"pending": pending, "taken": {**state.taken, cell.iteration: list(pages)}})

    if pages:
        update_watch_state(home, cell.domain, taken)


def retry_iteration(home: Path, cell: Cell) -> None:
    """Let an iteration's failures count anew, and take back that it was closed, if it was."""

    def reopened(state: WatchState) -> WatchState:
        again = {"retried": {**state.retried, cell.iteration: datetime.now(UTC).isoformat()}}
        if cell.iteration not in state.closed:
            return state.model_copy(update=again)
        pending = [page for page in state.pending if page not in state.pages_of(cell)]
        closed = {iteration: reason for iteration, reason in state.closed.items() if iteration != cell.iteration}
        return state.model_copy(update={**again, "closed": closed, "pending": pending})

    update_watch_state(home, cell.domain, reopened)
