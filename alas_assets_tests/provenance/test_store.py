"""The artifact store: content addressed, atomic, and unwilling to leave its folder."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.provenance.ids import file_hash
from alas_assets.provenance.store import ArtifactStore, BadKeyError, Cell, CellBusyError, Pointer, StoreError, table_hash, write_atomic
from alas_assets.records import AdapterRef, Topic

CELL = Cell("py", "000")
FRAME = pl.DataFrame({"a": [1, 2], "when": ["x", "y"]})


def put(store: ArtifactStore, value, key: str = "k1", **options):
    return store.put(CELL, "qa_pairs", value, input_key=key, inputs={"documents": "d1"}, run_id="r1", **options)


def test_a_stored_table_and_record_come_back_equal(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    assert store.read_table(put(store, FRAME)).equals(FRAME)
    topic = Topic(topic_id="t", name="n")
    assert store.read_record(Topic, put(store, topic, "k2")) == topic


def test_equal_content_has_one_hash_whatever_the_volatile_columns_say(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    later = FRAME.with_columns(when=pl.lit("z"))
    assert put(store, FRAME, volatile=("when",)).hash == put(store, later, "k2", volatile=("when",)).hash
    assert table_hash(FRAME) != table_hash(later)


def test_known_inputs_are_found_again_until_the_file_is_deleted_or_damaged(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    pointer = put(store, FRAME)
    assert store.known("qa_pairs", "k1") == pointer
    path = store.artifact_path("qa_pairs", pointer.hash, "parquet")
    data = path.read_bytes()
    path.write_bytes(data[:-4])
    assert store.known("qa_pairs", "k1") is None
    path.unlink()
    assert store.known("qa_pairs", "k1") is None
    with pytest.raises(StoreError, match="materialise"):
        store.read_table(pointer)


def test_a_torn_file_is_written_over_by_what_is_made_again(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    path = store.artifact_path("qa_pairs", put(store, FRAME).hash, "parquet")
    path.write_bytes(path.read_bytes()[:-4])
    again = put(store, FRAME)
    assert store.read_table(again).equals(FRAME)
    assert store.known("qa_pairs", "k1") == again


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=3))
def test_whatever_bytes_of_a_file_were_changed_the_same_made_again_is_whole(edits: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = ArtifactStore(Path(folder))
        path = store.artifact_path("qa_pairs", put(store, FRAME).hash, "parquet")
        raw = bytearray(path.read_bytes())
        for place, byte in edits:
            raw[place % len(raw)] = byte
        path.write_bytes(raw)
        again = put(store, FRAME)
        assert store.read_table(again).equals(FRAME)
        assert store.known("qa_pairs", "k1") == again


def test_an_edited_file_is_never_taken_for_what_was_made_again(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    topic, frame = Topic(topic_id="t", name="n"), FRAME.with_columns(a=pl.lit(9, pl.Int64))
    record, table = put(store, topic), put(store, FRAME, "k2")
    path = store.artifact_path("qa_pairs", record.hash, "json")
    path.write_text(path.read_text().replace('"n"', '"edited"'))
    frame.write_parquet(store.artifact_path("qa_pairs", table.hash, "parquet"))
    assert store.read_record(Topic, put(store, topic)) == topic
    assert store.read_table(put(store, FRAME, "k2")).equals(FRAME)


def test_content_that_cells_share_is_whole_for_all_of_them_once_one_makes_it_again_at_another_time(tmp_path: Path) -> None:
    store, cells = ArtifactStore(tmp_path), [Cell.of("py", number) for number in range(3)]

    def made(cell: Cell, when: str, *, remember: bool = True) -> Pointer:
        table, key = FRAME.with_columns(when=pl.lit(when)), str(cell)
        return store.put(cell, "qa_pairs", table, input_key=key, inputs={}, run_id="r", volatile=("when",), remember=remember)

    shared = [made(cell, "first", remember=cell.number != 1) for cell in cells]
    path = store.artifact_path("qa_pairs", shared[0].hash, "parquet")
    path.write_bytes(path.read_bytes()[:50])
    made(cells[2], "later")
    for cell in cells:
        pointer = store.pointer(cell, "qa_pairs")
        assert pointer
        assert store.read_table(pointer)["when"].to_list() == ["later"] * FRAME.height
    assert store.known("qa_pairs", str(cells[0])) == store.pointer(cells[0], "qa_pairs")


def test_a_table_that_was_edited_is_not_read_by_its_pointer(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    pointer = put(store, FRAME)
    assert store.read_table(pointer).equals(FRAME)
    path = store.artifact_path("qa_pairs", pointer.hash, "parquet")
    FRAME.with_columns(a=pl.lit(9, pl.Int64)).write_parquet(path)
    with pytest.raises(StoreError, match=r"was changed since it was written, .* materialise qa_pairs of py\|000 again") as told:
        store.read_table(pointer)
    assert str(path) in str(told.value)
    assert store.read_table(put(store, FRAME)).equals(FRAME)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=3))
def test_whatever_bytes_of_a_table_were_changed_reading_it_is_an_error_of_the_store(edits: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = ArtifactStore(Path(folder))
        digest = put(store, FRAME).hash
        rows = store.training_rows_path("sft", table_hash(FRAME))
        rows.parent.mkdir()
        path = store.artifact_path("qa_pairs", digest, "parquet")
        raw = bytearray(path.read_bytes())
        for place, byte in edits:
            raw[place % len(raw)] = byte
        path.write_bytes(raw)
        rows.write_bytes(raw)
        for read in (lambda: store.read_table(digest, "qa_pairs"), lambda: store.read_training_rows("sft", table_hash(FRAME))):
            with suppress(StoreError):  # without a pointer nobody knows a table's bytes: what can be read is read
                read()


def test_a_file_that_is_whole_keeps_its_times_where_the_same_is_made_again(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    first = put(store, FRAME, volatile=("when",))
    again = put(store, FRAME.with_columns(when=pl.lit("z")), volatile=("when",))
    assert again.file_sha256 == first.file_sha256
    assert store.read_table(again).equals(FRAME)


def test_what_a_takedown_left_of_a_file_is_not_undone_by_a_step_that_makes_the_whole_again(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    pointer = put(store, FRAME)
    path = store.artifact_path("qa_pairs", pointer.hash, "parquet")
    FRAME.head(1).write_parquet(path)
    told = replace(pointer, file_sha256=file_hash(path), redacted=("takedown",))
    for kept in (tmp_path / "memo").rglob("*.json"):
        kept.write_text(json.dumps(told.__dict__))
    again = put(store, FRAME)
    assert again.redacted == ("takedown",)
    assert store.read_table(again).equals(FRAME.head(1))


@pytest.mark.parametrize("folder", ["pages", "texts"])
def test_a_stored_page_or_text_that_was_changed_makes_the_artifact_unknown_and_is_stored_again(tmp_path: Path, folder: str) -> None:
    store = ArtifactStore(tmp_path)
    place = tmp_path / folder
    digest = store.put_bytes(place, b"as it was read")
    put(store, FRAME, blobs=(f"{folder}/{digest}",))
    assert store.known("qa_pairs", "k1") is not None
    (place / digest).write_bytes(b"as it was rEad")
    assert store.known("qa_pairs", "k1") is None
    assert store.put_bytes(place, b"as it was read") == digest
    assert store.known("qa_pairs", "k1") is not None


@pytest.mark.parametrize(("key", "remember"), [("k1", True), ("k2", True), ("k1", False)])
def test_content_that_is_made_again_keeps_the_run_and_the_time_that_made_it_first(tmp_path: Path, key: str, remember: bool) -> None:
    store = ArtifactStore(tmp_path)
    first = put(store, FRAME)
    made = {"input_key": key, "inputs": {}, "remember": remember}
    again = store.put(CELL, "qa_pairs", FRAME, run_id="r2", **made)
    assert (again.run_id, again.made_at, again.input_key) == ("r1", first.made_at, key)
    assert store.pointer(CELL, "qa_pairs") == again
    assert store.put(CELL, "qa_pairs", FRAME.head(1), run_id="r3", **made).run_id == "r3", "other content"
    assert store.put(Cell("py", "001"), "qa_pairs", FRAME, run_id="r4", **made).run_id == "r4", "another cell"


def test_a_store_in_which_a_later_run_took_the_name_still_knows_the_run_that_was_first(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    first = put(store, FRAME)
    later = replace(first, input_key="k2", run_id="r2", made_at="2999-01-01T00:00:00+00:00")
    store.point(CELL, later)
    assert store.first_made(later) == first


def test_a_deleted_or_changed_blob_makes_the_artifact_unknown(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    made = tmp_path / "made"
    made.mkdir()
    (made / "weights").write_text("1")
    digest = store.put_folder(store.adapters, made)
    put(store, FRAME, blobs=(f"artifacts/adapters/{digest}",))
    assert store.known("qa_pairs", "k1") is not None
    (store.adapters / digest / "weights").write_text("2")
    assert store.known("qa_pairs", "k1") is None


def test_what_did_not_end_well_is_not_remembered(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    put(store, FRAME, remember=False)
    assert store.known("qa_pairs", "k1") is None
    assert store.pointer(CELL, "qa_pairs") is not None


def test_a_damaged_pointer_counts_as_never_made(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    put(store, FRAME)
    (tmp_path / "cells" / "py" / "000" / "qa-pairs.json").unlink(missing_ok=True)
    for path in (tmp_path / "cells").rglob("*.json"):
        path.write_text("{")
    assert store.pointer(CELL, "qa_pairs") is None


def test_a_failing_write_leaves_the_old_file_whole(tmp_path: Path) -> None:
    """Oracle: a real ENOSPC from a full device, and the target still has its old bytes."""
    target = tmp_path / "f"
    write_atomic(target, b"old")
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    code = (
        "import sys, resource, pathlib; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "from alas_assets.provenance.store import write_atomic;"
        "write_atomic(pathlib.Path(sys.argv[1]), b'n' * 5000)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(target)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert os.strerror(errno.EFBIG) in done.stderr
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_a_second_process_is_told_who_holds_the_cell(tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib; from alas_assets.provenance.store import ArtifactStore, Cell\n"
        "with ArtifactStore(pathlib.Path(sys.argv[1])).exclusive(Cell('py', '000'), 'qa_pairs', 'run one'):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "held"
        store = ArtifactStore(tmp_path)
        with (
            pytest.raises(CellBusyError, match=r"qa_pairs of py\|000 is being materialised by run one"),
            store.exclusive(CELL, "qa_pairs", "two"),
        ):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        deadline = time.monotonic() + 10
        while True:
            try:
                with store.exclusive(CELL, "qa_pairs", "two"):
                    break
            except CellBusyError:
                assert time.monotonic() < deadline
    finally:
        holder.kill()
        holder.wait()


HOSTILE = ["../../x", "a|b", "x" * 300, "💥", "", ".", "..", "/etc", "A", "a b", "a\x00b", "con\n"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_domain_is_refused_in_words(name: str) -> None:
    with pytest.raises(BadKeyError, match="cannot be a cell"):
        Cell(name, "000")


@pytest.mark.parametrize("name", [*HOSTILE, "1", "0001", "٠٠٠", "-01"])
def test_a_hostile_iteration_is_refused_in_words(name: str) -> None:
    with pytest.raises(BadKeyError, match="cannot be a cell"):
        Cell("py", name)


@settings(max_examples=1000, deadline=None)
@given(st.text(max_size=80), st.text(max_size=8))
def test_no_key_writes_outside_the_store(tmp_path_factory, domain: str, iteration: str) -> None:
    root = tmp_path_factory.getbasetemp() / "fuzz"
    store = ArtifactStore(root / "store")
    try:
        cell = Cell(domain, iteration)
    except BadKeyError:
        return
    store.put(cell, "qa_pairs", FRAME, input_key="k", inputs={}, run_id="r")
    assert {p.name for p in root.iterdir()} == {"store"}


def test_an_adapter_that_is_gone_or_damaged_is_not_handed_out_and_the_step_that_makes_it_again_is_named(tmp_path: Path) -> None:
    store, made = ArtifactStore(tmp_path), tmp_path / "made"
    (made / "deep").mkdir(parents=True)
    weights = "deep/adapter_model.safetensors"
    (made / weights).write_bytes(b"weights")
    for name in ("adapter_config.json", "adapter_model.safetensors", "manifest.json"):
        (made / name).write_bytes(b"{}")
    digest = store.put_folder(store.adapters, made)
    folder = store.adapters / digest
    assert store.adapter(digest) == store.adapter(digest) == folder
    (folder / weights).write_bytes(b"wei\0\0\0s")
    with pytest.raises(
        StoreError, match=rf"is damaged; no iteration .* trained it, so `alas rollback DOMAIN`.* {weights} was changed last"
    ):
        store.adapter(digest)
    ref = AdapterRef(adapter_hash=digest, kind="sft", trained=True, base_hash="b", rows_hash="r", probes_hash="p")
    store.put(CELL, "sft_adapter", ref, input_key="k", inputs={}, run_id="r")
    skipped = ref.model_copy(update={"kind": "dpo", "trained": False})
    store.put(CELL, "dpo_adapter", skipped, input_key="k", inputs={}, run_id="r")
    with pytest.raises(StoreError, match=r"is damaged; materialise sft_adapter of py\|000 again"):
        store.adapter(digest)
    (folder / weights).write_bytes(b"weights")
    assert store.adapter(digest) == folder
    (folder / "manifest.json").unlink()
    with pytest.raises(StoreError, match=r"is damaged; materialise sft_adapter of .* \(manifest\.json is missing\)"):
        store.adapter(digest)
    shutil.rmtree(folder)
    with pytest.raises(StoreError, match=r"is gone; materialise sft_adapter of py\|000 again"):
        store.adapter(digest)


def test_a_stray_file_in_an_adapters_folder_is_named_and_one_that_begins_with_a_dot_is_none_of_it(tmp_path: Path) -> None:
    store, made = ArtifactStore(tmp_path), tmp_path / "made"
    made.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors", "manifest.json"):
        (made / name).write_text(name, encoding="utf-8")
    digest = store.put_folder(store.adapters, made)
    folder, relative = store.adapters / digest, f"artifacts/adapters/{digest}"
    pointer = store.put(CELL, "qa_pairs", FRAME, input_key="k", inputs={}, run_id="r", blobs=(relative,))
    (folder / ".DS_Store").write_bytes(b"where the icons are")
    (folder / ".idea").mkdir()
    (folder / ".idea" / "workspace.xml").write_bytes(b"")
    assert store.adapter(digest) == folder
    assert store.whole(pointer)
    (folder / "copy of manifest.json").write_bytes(b"{}")
    with pytest.raises(StoreError, match=r"holds copy of manifest\.json, which is no part of it; remove that file"):
        store.adapter(digest)
