"""Which cells of a domain follow on one another: the newest that was opened, and whose revision an iteration goes on from (V1, O2).

Reads stored state only. Who may open the next is `defs.births`, what is handed over `defs.curriculum`.
"""

import re
from collections.abc import Mapping

from alas_assets.defs.resources import Alas
from alas_assets.provenance.changes import read_watch_state
from alas_assets.provenance.store import Cell
from alas_assets.release.closing import given_up

_REVISION = "revised_curriculum"
_BY_TAKEDOWN = re.compile(r"takedown [0-9a-f]+")


def made_cells(alas: Alas, domain: str) -> list[Cell]:
    """Return the domain's cells that have anything, oldest first."""
    return alas.store.cells(domain)


def opened_cells(alas: Alas, domain: str) -> list[Cell]:
    """Return the domain's cells that have a seed, oldest first."""
    return [cell for cell in made_cells(alas, domain) if alas.store.pointer(cell, "curriculum_seed")]


def last_opened(alas: Alas, domain: str) -> Cell | None:
    """Return the domain's newest cell that has a seed."""
    cells = opened_cells(alas, domain)
    return cells[-1] if cells else None


def changed_since(alas: Alas, cell: Cell) -> list[str]:
    """Return the assets of a cell that are others now than those its revision was made from, directly or not.

    A dry run, a run of some assets, or one that did not come to its end leaves such a cell behind: what it was trained on, and what its
    answers were held against, are not what lies there. A cell without a revision has none.
    """
    revision = alas.store.pointer(cell, _REVISION)
    found, seen, left = set[str](), set[str](), [revision] if revision else []
    while left:
        for name, digest in left.pop().inputs.items():
            if name in seen:
                continue
            seen.add(name)
            now = alas.store.pointer(cell, name)
            if now is None or now.hash != digest:
                found.add(name)
            else:
                left.append(now)
    return sorted(found)


def being_made_again(alas: Alas, cell: Cell) -> str:
    """Say what of an iteration that came to its revision is another since, and what finishes it; "" where nothing is."""
    if not (changed := changed_since(alas, cell)):
        return ""
    return f"iteration {cell.iteration} is being made again because its {', '.join(changed)} changed; `alas run {cell.domain}` finishes it"


def revised(alas: Alas, cell: Cell) -> bool:
    """Tell whether an iteration ever came to its revision: it is never given up then, whatever of it is made again."""
    return alas.store.pointer(cell, _REVISION) is not None


def finished(alas: Alas, cell: Cell) -> bool:
    """Tell whether an iteration came to its revision, and has all still that this was made from: the next may go on from it."""
    return revised(alas, cell) and not changed_since(alas, cell)


def closed_because(alas: Alas, cell: Cell) -> str | None:
    """Return why an iteration was given up; None where it was not, or came to its revision all the same."""
    return _given_up(alas, cell, read_watch_state(alas.settings.home, cell.domain).closed)


def _given_up(alas: Alas, cell: Cell, closed: Mapping[str, str]) -> str | None:
    reason = closed.get(cell.iteration)
    return None if reason is None or revised(alas, cell) else reason


def closed_by(takedown: str) -> str:
    """Return the reason of an iteration that a takedown closes."""
    return f"takedown {takedown}"


def cannot_go_on(reason: str) -> bool:
    """Tell whether it was a takedown that closed an iteration: its seed goes on from what was removed."""
    return _BY_TAKEDOWN.fullmatch(reason) is not None


def closed_words(cell: Cell, reason: str) -> str:
    """Say why an iteration was closed, and which command goes on."""
    if cannot_go_on(reason):
        next_one = f"`alas run {cell.domain}` opens the next"
        return f"iteration {cell.iteration} was closed by {reason}, as it goes on from what was removed; {next_one}"
    return f"iteration {cell.iteration} was closed as failed: {reason}; `alas retry {cell.domain}` goes on with it"


def ancestors(alas: Alas, cell: Cell) -> list[Cell]:
    """Return the earlier iterations that an iteration builds on, oldest first: all but those that were closed as failed."""
    closed = read_watch_state(alas.settings.home, cell.domain).closed  # once for all of them
    return [one for one in _before(cell) if _given_up(alas, one, closed) is None]


def taught_before(alas: Alas, cell: Cell) -> list[Cell]:
    """Return the earlier iterations whose facts an iteration takes over, oldest first.

    One that was closed as failed after its candidate had been promoted is among them as long as that stands: what is current was taught its
    facts, so they are rehearsed and guarded like all others.
    """
    aside = given_up(alas.store, cell.domain)
    return [one for one in _before(cell) if str(one) not in aside]


def _before(cell: Cell) -> list[Cell]:
    return [Cell.of(cell.domain, number) for number in range(cell.number)]
