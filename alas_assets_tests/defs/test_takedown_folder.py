"""A document of a domain's own folder is taken down like a page of the web; no student is needed for that (A3)."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from alas_assets.audit.derived import derived_from
from alas_assets.defs import takedown as work
from alas_assets.defs.documents import VOLATILE
from alas_assets.provenance.blocked.order import TAKEN_DOWN, AddressError, Order
from alas_assets.provenance.store import Cell, table_hash
from alas_assets.records import QA_SCHEMA, TRAIN_ROW_SCHEMA, Curriculum, Topic
from alas_assets.retrieval.store import ChunkStore
from alas_assets.retrieval.study import study, survey
from alas_assets_tests.harness import Harness

SECRET = (
    "Ada Byron lives at the corner of Maple Street and keeps seven grey cats behind the old blue mill. "
    "The second line of this page tells of nine silver spoons in a wooden drawer."
)
OTHER = "This other page tells about the weather and about bread and butter in plain words."


def with_folder(harness: Harness, key: str, **documents: str) -> Path:
    """Write a domain that reads a folder alone; returns the folder."""
    folder = harness.settings.home.parent / f"{key}-notes"
    folder.mkdir(exist_ok=True)
    for name, text in documents.items():
        (folder / f"{name}.md").write_text(f"# About {name}\n\n{text}\n", encoding="utf-8")
    harness.domain(key, 1, seed_urls=f'[]\nfolder = "{folder}"')
    return folder


def planned(harness: Harness, key: str, *, studied: bool) -> None:
    """Survey a domain and keep a plan with a topic for each document, and what an iteration reads of them where it does."""
    cell, domain, store = Cell(key, "000"), harness.alas.domain(key), harness.store
    outlines, failed = survey(domain, store)
    assert failed == []
    topics = [Topic(topic_id=f"{key}-{one.title}", name=f"All of {one.title} for {key}", urls=[one.url]) for one in outlines]
    harness.opened(key, 0)
    plan = Curriculum(domain=key, iteration=0, topics=topics, found_by={one.url: one.found_by for one in outlines})
    store.put(cell, "curriculum", plan, input_key=f"plan of {key}", inputs={}, run_id="r")
    if studied:
        read = study(topics, domain, store, embed=lambda texts: [[1.0, float(len(text))] for text in texts], embedder="e", tag=cell.tag)
        blobs = {f"pages/{sha}" for sha in read.fetches["body_sha256"]} | {f"texts/{sha}" for sha in read.fetches["text_sha256"]}
        key_of = {"input_key": f"documents of {key}", "inputs": {}, "run_id": "r"}
        store.put(cell, "documents", read.fetches, **key_of, volatile=VOLATILE, blobs=tuple(sorted(blobs)))  # pyright: ignore


def taken_down(harness: Harness, source: str) -> Order:
    found = work.plan(harness.alas, source, reason="it is wrong", by="Ada")
    work.begin(harness.alas, harness.instance, found)
    return work.carry_out(harness.alas, harness.instance, found.order.id)


def files_with(harness: Harness, words: str) -> list[str]:
    """Return the files of the store that hold some words as they are."""
    files = (path for path in harness.settings.home.rglob("*") if path.is_file())
    return [path.relative_to(harness.settings.home).as_posix() for path in files if words.encode() in path.read_bytes()]


@pytest.mark.parametrize("studied", [True, False])
@pytest.mark.parametrize("under_its_path", [True, False])
def test_nothing_that_was_read_of_a_document_is_left_also_where_it_changed_since(
    studied: bool, under_its_path: bool, tmp_path: Path
) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    folder = with_folder(harness, "quill", secret=SECRET, other=OTHER)
    planned(harness, "quill", studied=studied)
    (folder / "secret.md").write_text(f"# About secret\n\n{SECRET}\n\nOne word more.\n", encoding="utf-8")
    survey(harness.alas.domain("quill"), harness.store)
    if under_its_path:  # as older stores have it
        with closing(sqlite3.connect(harness.settings.home / "http_cache.sqlite", isolation_level=None)) as connection:
            for (key,) in connection.execute("SELECT url FROM http").fetchall():
                path = str(folder / Path(key.partition("#")[0]).name)
                connection.execute("UPDATE http SET url = ? WHERE url = ?", (path, key))
    order = taken_down(harness, "folder://local/secret.md")
    assert (order.shares[0].readings, order.shares[0].surveyed) == ((1, 0) if studied else (0, 1))
    assert files_with(harness, "Maple Street") == []
    assert files_with(harness, "bread and butter"), "what another document says stays"
    assert work.scan(harness.alas, harness.instance, order).clean


SHARED = "Both teams meet at noon in the long hall above the river."
STEAM = "Beta people write here of steam engines and of very long railway bridges over rivers."
INDEX = "folder://local/index.md"


def pair(harness: Harness, key: str) -> None:
    """Keep a pair of what both folders' documents say; its fact has the same id in either domain."""
    row = dict.fromkeys(QA_SCHEMA.names()) | {"qa_id": "q1", "fact_id": "f1", "fact_group": "f1", "topic_id": "t", "role": "train"}
    said = {"question": "Where do both teams meet?", "answer": "The long hall", "quote": SHARED, "accepted": True, "reason": ""}
    table = pl.DataFrame([row | said | {"page_id": INDEX, "url": INDEX, "topic": key}], schema=QA_SCHEMA)
    harness.store.put(Cell(key, "000"), "qa_pairs", table, input_key=f"pairs of {key}", inputs={}, run_id="r")


def rows_of(key: str) -> pl.DataFrame:
    """Return what a domain's adapter is trained on: the pair."""
    row = {"row_id": "q1", "kind": "fact", "fact_id": "f1", "prompt": f"{key}: Where do both teams meet?", "completion": "The long hall"}
    return pl.DataFrame([row], schema=TRAIN_ROW_SCHEMA)


def adapter(harness: Harness, key: str) -> None:
    """Put an adapter into the store that learned the pair's fact."""
    path, folder = harness.store.training_rows_path("sft", table_hash(rows_of(key))), harness.store.adapters / (key * 8)
    path.parent.mkdir(exist_ok=True)
    rows_of(key).write_parquet(path)
    folder.mkdir(parents=True)
    manifest = {"kind": "sft", "rows_hash": table_hash(rows_of(key)), "cell": f"{key}|000", "init_adapter": None}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def two_folders(folder: Path) -> tuple[Harness, Path, Path]:
    """Two domains whose folders have an `index.md` each, studied, with a pair on what both say and an adapter that learned it."""
    harness = Harness(folder, "no-student-is-needed-here")
    alpha = with_folder(harness, "alpha", index=f"{SECRET}\n\n{SHARED}", other=OTHER)
    beta = with_folder(harness, "beta", index=f"{STEAM}\n\n{SHARED}")
    for key in ("alpha", "beta"):
        planned(harness, key, studied=True)
        pair(harness, key)
        adapter(harness, key)
    return harness, alpha, beta


def said_of(harness: Harness, key: str) -> list[object]:
    """Return all that the store has of a domain: its tables, its plan, what it reads, and what came from the document."""
    cell, store = Cell(key, "000"), harness.store
    tables = [store.read_table(pointer).to_dicts() for asset in ("documents", "qa_pairs") if (pointer := store.pointer(cell, asset))]
    passages = ChunkStore(store.lance, key, "e").read_cell(cell.tag).to_dicts()
    plan = store.pointer(cell, "curriculum")
    assert plan is not None
    derived = derived_from(store, f"folder://{key}@local/index.md")
    rows = store.training_rows_path("sft", table_hash(rows_of(key))).read_bytes()
    return [tables, passages, store.read_record(Curriculum, plan), derived.readings, [fact.fact_id for fact in derived.taught], rows]


def test_a_document_whose_address_two_folders_have_is_refused_until_it_is_said_whose_is_meant(tmp_path: Path) -> None:
    harness, alpha, beta = two_folders(tmp_path)
    with pytest.raises(AddressError, match="say whose is meant") as refused:
        work.plan(harness.alas, INDEX, reason="r", by="Ada")
    assert f"folder://alpha@local/index.md ({alpha}), folder://beta@local/index.md ({beta})" in str(refused.value)
    assert work.plan(harness.alas, "folder://local/other.md", reason="r", by="Ada").order.domains == ["alpha"]


def test_a_takedown_of_one_folders_document_leaves_anothers_of_the_same_name_as_it_is(tmp_path: Path) -> None:
    harness, alpha, _ = two_folders(tmp_path)
    before = said_of(harness, "beta")
    order = taken_down(harness, "folder://alpha@local/index.md")
    (share,) = order.shares
    assert (share.domain, share.readings, share.facts, share.pairs) == ("alpha", 1, 1, 1)
    assert order.kept_facts == 1, "beta's document says it too"
    assert [one.adapter_hash for one in order.retired] == ["alpha" * 8]
    assert said_of(harness, "beta") == before
    assert files_with(harness, "Maple Street") == []
    assert files_with(harness, "steam engines")
    alphas = harness.store.pointer(Cell("alpha", "000"), "qa_pairs")
    assert alphas is not None
    assert harness.store.read_table(alphas).is_empty()
    assert work.scan(harness.alas, harness.instance, order).clean

    (alpha / "index.md").write_text(f"# About index\n\n{SECRET} And more.\n", encoding="utf-8")
    for moved in (False, True):
        if moved:
            alpha = alpha.rename(tmp_path / "moved")
            harness.domain("alpha", 1, seed_urls=f'[]\nfolder = "{alpha}"')
        outlines, failed = survey(harness.alas.domain("alpha"), harness.store)
        assert [one.url for one in outlines] == ["folder://local/other.md"]
        assert [(url, reason.startswith(TAKEN_DOWN)) for url, reason in failed] == [(INDEX, True)]
    outlines, failed = survey(harness.alas.domain("beta"), harness.store)
    assert ([one.url for one in outlines], failed) == ([INDEX], [])


def test_one_folder_that_two_domains_read_has_one_document_of_a_name(tmp_path: Path) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    folder = with_folder(harness, "alpha", index=SECRET)
    (tmp_path / "another way").symlink_to(folder)
    harness.domain("beta", 1, seed_urls=f'[]\nfolder = "{tmp_path / "another way"}"')
    for key in ("alpha", "beta"):
        planned(harness, key, studied=True)
    for source in (INDEX, "folder://beta@local/index.md"):
        assert work.plan(harness.alas, source, reason="r", by="Ada").order.domains == ["alpha", "beta"]
    taken_down(harness, "folder://beta@local/index.md")
    assert files_with(harness, "Maple Street") == []
    for key in ("alpha", "beta"):
        assert survey(harness.alas.domain(key), harness.store)[0] == []
