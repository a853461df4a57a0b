"""Which cells of a domain follow on one another: the newest that was opened, and whose revision an iteration goes on from (V1, O2).

Reads stored state only. Who may open the next is `defs.births`, what is handed over `defs.curriculum`.
"""

import re

from alas_assets.defs.resources import Alas
from alas_assets.provenance.changes import read_watch_state
from alas_assets.provenance.store import Cell

_ITERATION = re.compile(r"[0-9]{3,}")


def made_cells(alas: Alas, domain: str) -> list[Cell]:
    """Return the domain's cells that have anything, oldest first; what else lies there, such as a file manager's files, is none."""
    folder = alas.store.root / "cells" / domain
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return [Cell(domain, name) for name in sorted(filter(_ITERATION.fullmatch, names), key=int)]


def opened_cells(alas: Alas, domain: str) -> list[Cell]:
    """Return the domain's cells that have a seed, oldest first."""
    return [cell for cell in made_cells(alas, domain) if alas.store.pointer(cell, "curriculum_seed")]


def last_opened(alas: Alas, domain: str) -> Cell | None:
    """Return the domain's newest cell that has a seed."""
    cells = opened_cells(alas, domain)
    return cells[-1] if cells else None


def finished(alas: Alas, cell: Cell) -> bool:
    """Tell whether an iteration came to its revision."""
    return alas.store.pointer(cell, "revised_curriculum") is not None


def closed_because(alas: Alas, cell: Cell) -> str | None:
    """Return why an iteration was given up; None where it was not, or was finished all the same."""
    reason = read_watch_state(alas.settings.home, cell.domain).closed.get(cell.iteration)
    return None if reason is None or finished(alas, cell) else reason


def ancestors(alas: Alas, cell: Cell) -> list[Cell]:
    """Return the earlier iterations that an iteration builds on, oldest first: all but those that were closed as failed."""
    earlier = [Cell.of(cell.domain, number) for number in range(cell.number)]
    return [one for one in earlier if closed_because(alas, one) is None]


def taught_before(alas: Alas, cell: Cell) -> list[Cell]:
    """Return the earlier iterations whose facts an iteration takes over, oldest first.

    One that was closed as failed after its candidate had been promoted is among them as long as that stands: what is current was taught its
    facts, so they are rehearsed and guarded like all others.
    """
    earlier = [Cell.of(cell.domain, number) for number in range(cell.number)]
    return [one for one in earlier if closed_because(alas, one) is None or alas.registry.stands(one.domain, one.number)]
