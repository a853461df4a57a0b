"""Whether a domain was trained again after a takedown is asked at every request of the door: it costs no more with every iteration."""

from pathlib import Path

from alas_assets.defs.resources import Alas
from alas_assets.defs.retraining import not_retrained
from alas_assets.provenance.blocked.order import Order, Share, write_order
from alas_assets.provenance.store import ArtifactStore, Cell
from alas_assets.records import RevisedCurriculum, Seed

ORDER = Order(
    id="0" * 20,
    source="http://127.0.0.1/3.html",
    by="page",
    reason="it is wrong",
    ordered_by="Ada",
    at="2026-11-01T00:00:00+00:00",
    salt="s",
    shares=[Share(domain="quill", adapters=1)],
    carried_out="2026-11-01T00:00:01+00:00",
)


def opened(store: ArtifactStore, number: int, *retrain: str) -> Path:
    """Store the seed of an iteration and return its file."""
    seed = Seed(domain="quill", iteration=number, description="", seed_topics=[], seed_urls=[], cause="test", retrain=list(retrain))
    cell = Cell.of("quill", number)
    made = store.put(cell, "curriculum_seed", seed, input_key=f"seed {number}", inputs={}, run_id="r")
    return store.artifact_path("curriculum_seed", made.hash, "json")


def revised(store: ArtifactStore, number: int) -> None:
    revision = RevisedCurriculum(domain="quill", iteration=number, decision="stop", reason="", accuracy=1.0)
    store.put(Cell.of("quill", number), "revised_curriculum", revision, input_key=f"end {number}", inputs={}, run_id="r")


def left(alas: Alas) -> list[str]:
    return [order.id for order in not_retrained(alas, "quill")]


def test_a_takedown_waits_until_the_iteration_that_took_it_up_has_come_to_its_end(tmp_path: Path) -> None:
    alas = Alas(home=str(tmp_path))
    write_order(tmp_path, ORDER)
    opened(alas.store, 0)
    revised(alas.store, 0)
    assert left(alas) == [ORDER.id]
    opened(alas.store, 1, ORDER.id)
    opened(alas.store, 2)
    revised(alas.store, 2)
    assert left(alas) == [ORDER.id]
    revised(alas.store, 1)
    assert left(alas) == []


def test_no_seed_is_read_that_is_older_than_the_retraining_and_none_twice(tmp_path: Path) -> None:
    alas = Alas(home=str(tmp_path))
    write_order(tmp_path, ORDER)
    older = [opened(alas.store, number) for number in range(3)]
    later = [opened(alas.store, 3, ORDER.id), opened(alas.store, 4)]
    revised(alas.store, 3)
    for path in older:
        path.unlink()
    assert left(alas) == []
    for path in later:
        path.unlink()
    assert left(alas) == []
