"""What a takedown would remove, in a store whose tables are written by hand: no page is fetched and no student trains."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from alas_assets.audit.derived import derived_from
from alas_assets.audit.render import derived_text
from alas_assets.provenance.blocked.documents import limit_to
from alas_assets.provenance.store import ArtifactStore, Cell, table_hash
from alas_assets.records import FETCH_SCHEMA, QA_SCHEMA, TRAIN_ROW_SCHEMA, AdapterRef, Curriculum, Topic
from alas_assets.release.registry import Registry
from alas_assets.removal.plan import Plan, plan_takedown

CELL = Cell("quill", "000")
HOST = "xn--strae-oqa.example"
PAGE = f"http://{HOST}/notes/4.html"
ADAPTER = "a" * 64


def table(schema: pl.Schema, row: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([dict.fromkeys(schema.names()) | row], schema=schema)


ROW = table(TRAIN_ROW_SCHEMA, {"row_id": "q1", "kind": "fact", "fact_id": "f1", "prompt": "p", "completion": "c"})
ROWS = table_hash(ROW)


def put(store: ArtifactStore, asset: str, value: pl.DataFrame | AdapterRef | Curriculum) -> None:
    store.put(CELL, asset, value, input_key=f"key of {asset}", inputs={}, run_id="r")


def with_adapter(store: ArtifactStore) -> Registry:
    """Put an adapter with one training row into the store, and make it current."""
    path = store.training_rows_path("sft", ROWS)
    path.parent.mkdir(parents=True)
    ROW.write_parquet(path)
    folder = store.adapters / ADAPTER
    folder.mkdir(parents=True)
    manifest = {"kind": "sft", "rows_hash": ROWS, "cell": str(CELL), "init_adapter": None}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    put(store, "sft_adapter", AdapterRef(adapter_hash=ADAPTER, kind="sft", trained=True, base_hash="x", rows_hash=ROWS, probes_hash="x"))
    registry = Registry(store.root / "registry")
    at = "2026-11-27T00:00:00+00:00"
    registry.promote("quill", ADAPTER, iteration=0, decision_hash="by hand", run_id="r", at=at, previous=None)
    return registry


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "store")


@pytest.fixture
def learned(store: ArtifactStore) -> tuple[ArtifactStore, Registry]:
    """A store in which one page was read, one fact written from it and one adapter trained on that, which is current."""
    read = {"requested_url": PAGE, "final_url": PAGE, "page_id": PAGE, "host": HOST, "ok": True, "reason": "", "chunks": 1}
    put(store, "documents", table(FETCH_SCHEMA, read | {"body_sha256": "c" * 64, "text_sha256": "d" * 64}))
    pair = {"qa_id": "q1", "fact_id": "f1", "fact_group": "f1", "topic_id": "t", "role": "train", "reason": "", "chunk_id": "c1"}
    said = {"question": "Which is the newest note?", "answer": "The fourth", "quote": "The newest note is the fourth.", "accepted": True}
    put(store, "qa_pairs", table(QA_SCHEMA, pair | said | {"page_id": PAGE, "url": PAGE}))
    return store, with_adapter(store)


def plan(store: ArtifactStore, registry: Registry, source: str, data: Path) -> Plan:
    return plan_takedown(store, registry, source, data=data, reason="r", by="Ada")


SPELLINGS = [
    PAGE,
    f"{PAGE}/",
    f"{PAGE}#end",
    PAGE.replace("http:", "https:"),
    PAGE.replace(".example", ".example:80"),
    PAGE.replace(HOST, "stra\u00dfe.EXAMPLE"),
    PAGE.replace("4.html", "%34.html"),
    HOST,
    f"{HOST}:80",
    f"{HOST}:443",
    "stra\u00dfe.example",
]


@pytest.mark.parametrize("source", SPELLINGS)
@pytest.mark.parametrize("rows_are_gone", [False, True])
def test_a_source_is_counted_and_its_model_retired_however_its_address_is_written(
    source: str, rows_are_gone: bool, learned: tuple[ArtifactStore, Registry], tmp_path: Path
) -> None:
    store, registry = learned
    if rows_are_gone:
        store.training_rows_path("sft", ROWS).unlink()
    found = plan(store, registry, source, tmp_path)
    (share,) = found.order.shares
    assert (share.readings, share.facts, share.pairs, share.adapters) == (1, 1, 1, 1)
    assert (share.current_before, share.current_after) == (ADAPTER, None)
    assert (PAGE in found.ids.pages, found.ids.facts, found.ids.bodies) == (True, ["f1"], ["c" * 64])
    (retired,) = found.order.retired
    assert retired.because == ("its training rows are gone from the store" if rows_are_gone else "")


def test_of_an_adapter_whose_rows_are_gone_nobody_says_that_it_learned_nothing(learned: tuple[ArtifactStore, Registry]) -> None:
    store, _ = learned
    assert "sft adapter aaaaaaaaaaaaaaaa of quill|000: 1 fact, 1 of 1 row, run r" in derived_text(derived_from(store, PAGE))
    store.training_rows_path("sft", ROWS).unlink()
    derived = derived_from(store, PAGE)
    assert (derived.learned, [one.adapter_hash for one in derived.adapters]) == (0, [ADAPTER])
    assert "nobody can say what, as its training rows are gone from the store, run r" in derived_text(derived)


def test_a_model_whose_rows_are_gone_is_retired_where_its_domain_only_planned_with_the_source(store: ArtifactStore, tmp_path: Path) -> None:
    registry = with_adapter(store)
    put(store, "curriculum", Curriculum(domain="quill", iteration=0, topics=[Topic(topic_id="t", name="All of it", urls=[PAGE])]))
    assert plan(store, registry, PAGE, tmp_path).order.retired == []
    store.training_rows_path("sft", ROWS).unlink()
    assert [one.adapter_hash for one in plan(store, registry, PAGE, tmp_path).order.retired] == [ADAPTER]


def test_what_led_to_a_page_is_no_page_of_the_source(learned: tuple[ArtifactStore, Registry], tmp_path: Path) -> None:
    store, registry = learned
    latest = f"http://{HOST}/latest"
    read = {"requested_url": latest, "final_url": PAGE, "page_id": PAGE, "host": HOST, "ok": True, "reason": "", "chunks": 1}
    put(store, "documents", table(FETCH_SCHEMA, read | {"body_sha256": "c" * 64, "text_sha256": "d" * 64}))
    assert latest not in plan(store, registry, PAGE, tmp_path).ids.pages
    assert {latest, PAGE} <= set(plan(store, registry, latest, tmp_path).ids.pages)


def test_a_table_is_of_every_domain_that_points_at_it_and_of_any_where_none_does(store: ArtifactStore) -> None:
    pairs = table(QA_SCHEMA, {"qa_id": "q1"})
    pointer = store.put(Cell("beta", "000"), "qa_pairs", pairs, input_key="k", inputs={}, run_id="r")
    alphas = limit_to(store, ["alpha"])
    assert (alphas.holds("qa_pairs", pointer.hash), alphas.is_certain("qa_pairs", pointer.hash)) == (False, False)
    assert (alphas.holds("qa_pairs", "0" * 64), alphas.is_certain("qa_pairs", "0" * 64)) == (True, False)
    store.point(Cell("alpha", "000"), pointer)
    both = limit_to(store, ["alpha"])
    assert (both.holds("qa_pairs", pointer.hash), both.is_certain("qa_pairs", pointer.hash)) == (True, True)
