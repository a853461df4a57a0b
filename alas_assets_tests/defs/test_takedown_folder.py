"""A document of a domain's own folder is taken down like a page of the web; no student is needed for that (A3)."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from alas_assets.defs import takedown as work
from alas_assets.defs.documents import VOLATILE
from alas_assets.provenance.store import Cell
from alas_assets.provenance.takedown.order import Order
from alas_assets.records import Curriculum, Topic
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
