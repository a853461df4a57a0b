"""A takedown's steps over a store whose files are damaged: what nobody can read is named, and nothing counts as searched (A3)."""

import html
import json
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.provenance.blocked.marks import Finder, marks_of
from alas_assets.provenance.blocked.order import Order, report_files, write_order
from alas_assets.provenance.store import ArtifactStore, Cell, StoreError
from alas_assets.removal.files import UnreadableError, texts_in_file
from alas_assets.removal.plan import Ids
from alas_assets.removal.purge import purge_leftovers, purge_tables
from alas_assets.removal.tables import Removal
from alas_assets_tests.audit.by_hand import damaged

ORDER = Order(id="t1", source="http://example.org", by="page", reason="wrong", ordered_by="Ada", at="2026-11-27T10:00:00+00:00", salt="s")
NOTHING = Removal(ORDER, Ids.model_validate({name: [] for name in Ids.model_fields}), Finder(marks_of([], [], [], "s")))


def test_whatever_byte_of_a_tables_footer_was_changed_a_takedown_says_that_nobody_can_read_it(tmp_path: Path) -> None:
    store, table = ArtifactStore(tmp_path), pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    pointer = store.put(Cell.of("quill", 0), "chunks", table, input_key="k", inputs={}, run_id="r")
    path = store.artifact_path("chunks", pointer.hash, "parquet")
    for data in damaged(path.read_bytes()):
        path.write_bytes(data)
        with suppress(StoreError):
            purge_tables(store, NOTHING)
        with suppress(UnreadableError):
            list(texts_in_file(path))


def named(tmp_path: Path, said: str, page: str, name: str = "trace.html") -> bool:
    """Tell whether a report is removed that says something, with a page."""
    report = tmp_path / "reports" / name
    report.parent.mkdir(exist_ok=True)
    report.write_text(said, encoding="utf-8")
    ids = NOTHING.ids.model_copy(update={"pages": [page]})
    purge_leftovers(ArtifactStore(tmp_path), Removal(ORDER, ids, NOTHING.finder))
    return not report.exists()


DOCS = "http://example.org/docs/"
NAMES = (
    f"see {DOCS}",
    f"see {DOCS}.",
    f"({DOCS}), and more",
    f'<a href="{DOCS}">x</a>',
    json.dumps({"a": [DOCS]}),
    f"[it]({DOCS})[more](x)",
    f"{DOCS}#top",
    f"{DOCS},http://example.org/b",
    html.escape(f"'{DOCS}'"),
    f"{DOCS}a.html and {DOCS}",
)
NAMES_ANOTHER = (f"{DOCS}a.html", f"{DOCS}?page=2", f"{DOCS}(draft)", f"{DOCS}.well-known/x", f"{DOCS}é.html", json.dumps([f"{DOCS}a"]))


@pytest.mark.parametrize("said", NAMES)
def test_a_report_that_names_a_page_goes(said: str, tmp_path: Path) -> None:
    assert named(tmp_path, said, DOCS)


@pytest.mark.parametrize("said", NAMES_ANOTHER)
def test_a_report_that_names_pages_below_an_index_stays(said: str, tmp_path: Path) -> None:
    assert not named(tmp_path, said, DOCS)


def test_a_report_names_a_page_with_a_query_also_where_it_is_escaped_and_one_with_a_last_slash(tmp_path: Path) -> None:
    page = "http://example.org/a?x=1&y=2"
    assert named(tmp_path, html.escape(f'<a href="{page}">'), page)
    assert not named(tmp_path, html.escape(f'<a href="{page}3">'), page)
    assert named(tmp_path, "http://example.org/docs/ is read", "http://example.org/docs")


@given(before=st.text(max_size=20), after=st.text(max_size=20))
def test_whatever_stands_around_a_quoted_address_it_is_named(before: str, after: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert named(tmp_path_factory.mktemp("store"), f'{before}"{DOCS}"{after}', DOCS)


def test_the_signed_reports_of_other_takedowns_stay_whatever_they_name(tmp_path: Path) -> None:
    earlier = ORDER.model_copy(update={"id": "t0", "carried_out": "2026-11-27T10:01:00+00:00"})
    write_order(tmp_path, earlier)
    for path in report_files(tmp_path, earlier.id):
        assert not named(tmp_path, json.dumps({"source": DOCS}), DOCS, path.name)
    assert named(tmp_path, json.dumps({"source": DOCS}), DOCS, "takedown-t9.json"), "one of no takedown"
