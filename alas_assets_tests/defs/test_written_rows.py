"""The exact training rows lie under their hash, whatever happened to their file since (T5)."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import polars as pl
import pytest

from alas_assets.defs.steps import Step
from alas_assets.defs.training import describe_untrained, write_rows
from alas_assets.provenance.store import ArtifactStore
from alas_assets.records import AdapterRef
from alas_assets.training.rows import RowsError, read_rows
from alas_assets_tests.training.factory import make_spec, train_rows


def edited(path: Path) -> None:
    train_rows(4).with_columns(completion=pl.lit("another answer")).write_parquet(path)


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("harm", [edited, torn])
def test_rows_that_were_written_over_are_refused_by_a_training_and_made_again_by_its_step(
    harm: Callable[[Path], None], tmp_path: Path
) -> None:
    step = cast("Step", SimpleNamespace(store=ArtifactStore(tmp_path / "store")))
    digest, path = write_rows(step, "sft", train_rows(4))
    whole = path.read_bytes()
    spec = make_spec("sft", tmp_path / "work", tmp_path / "student", train_rows(4), rows_file=str(path), rows_hash=digest)
    harm(path)
    with pytest.raises(RowsError, match=r"make the rows again|cannot be read"):
        read_rows(spec)
    assert write_rows(step, "sft", train_rows(4)) == (digest, path)
    assert path.read_bytes() == whole
    assert read_rows(spec).equals(train_rows(4))


def test_rows_that_were_left_out_or_only_measured_are_shown_as_such(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    ref = AdapterRef(adapter_hash="a" * 64, kind="sft", trained=True, base_hash="b", rows_hash="r", probes_hash="p")
    assert describe_untrained(store, ref) == {"rows_left_out": 0, "rows_only_measured": 0}
    manifest = store.adapters / ref.adapter_hash / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"row_ids": ["a"], "left_out": ["b", "b"], "dev_row_ids": ["c"]}), encoding="utf-8")
    assert describe_untrained(store, ref) == {"rows_left_out": 2, "rows_only_measured": 1}
