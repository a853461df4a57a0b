"""Which takedowns a domain's model was not retrained after, and which iteration does it (A3).

Reads stored state only. When an iteration is opened is decided by `defs.births`, what it trains on by `defs.training`.
"""

from functools import lru_cache
from pathlib import Path

from alas_assets.defs.lineage import closed_because, made_cells, opened_cells, revised
from alas_assets.defs.resources import Alas
from alas_assets.provenance.blocked.order import Order, orders
from alas_assets.provenance.store import ArtifactStore, Cell
from alas_assets.records import Seed


def _seeds(alas: Alas, domain: str, *, closed: bool = False) -> list[tuple[Cell, Seed]]:
    """Return the seeds of a domain's iterations, oldest first; those that were closed as failed only where they are asked for."""
    cells = [cell for cell in opened_cells(alas, domain) if closed or closed_because(alas, cell) is None]
    pointers = [(cell, alas.store.pointer(cell, "curriculum_seed")) for cell in cells]
    return [(cell, alas.store.read_record(Seed, pointer)) for cell, pointer in pointers if pointer]


def _to_retrain(alas: Alas, domain: str) -> list[Order]:
    found = [order for order in orders(alas.store.root) if order.carried_out]
    return [order for order in found if any(share.domain == domain and share.to_retrain for share in order.shares)]


def waiting(alas: Alas, domain: str, *, untried: bool = False) -> list[Order]:
    """Return the takedowns whose retraining no iteration of a domain has taken up, oldest first.

    Args:
        alas: The resource.
        domain: The domain's key.
        untried: Leave out those that an iteration took up which was then closed as failed.
    """
    wanted = _to_retrain(alas, domain)
    taken = {one for _, seed in _seeds(alas, domain, closed=untried) for one in seed.retrain} if wanted else set[str]()
    return [order for order in wanted if order.id not in taken]


def not_retrained(alas: Alas, domain: str) -> list[Order]:
    """Return the takedowns after which no iteration of a domain has come to its end yet, oldest first.

    The door asks at every request: iterations are gone through from the newest back, no further than needed, and each seed is read once.
    """
    wanted = _to_retrain(alas, domain)
    left, store = {order.id for order in wanted}, alas.store
    for cell in reversed(made_cells(alas, domain)) if left else ():
        pointer = store.pointer(cell, "curriculum_seed")
        taken = left & _retrain_of(store.root, pointer.hash) if pointer else set[str]()
        if taken and revised(alas, cell):
            left -= taken
            if not left:
                break
    return [order for order in wanted if order.id in left]


@lru_cache(maxsize=1024)
def _retrain_of(root: Path, seed: str) -> frozenset[str]:
    """Return the takedowns that a seed takes up; the same for ever, as a seed lies under the hash of what it says."""
    return frozenset(ArtifactStore(root).read_record(Seed, seed, "curriculum_seed").retrain)


def retrained_by(alas: Alas, cell: Cell) -> list[str]:
    """Return the takedowns that an iteration retrains for: those it took up when it was opened, or else those that wait."""
    pointer = alas.store.pointer(cell, "curriculum_seed")
    if pointer is not None and closed_because(alas, cell) is None:
        return alas.store.read_record(Seed, pointer).retrain
    return [order.id for order in waiting(alas, cell.domain)]


def takedown_cause(alas: Alas, domain: str) -> str | None:
    """Return why a takedown opens a domain's next iteration; None where none waits, or where an iteration failed at it.

    What failed is taken up again by the next iteration, whatever opens that one; it opens none by itself, or a domain of which nothing is
    left would go on for ever.
    """
    found = waiting(alas, domain, untried=True)
    if not found:
        return None
    facts = sum(order.facts_of(domain) for order in found)
    return f"takedown of {facts} facts ({', '.join(order.id for order in found)})"
