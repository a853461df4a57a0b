"""The exact training rows lie under their hash, whatever happened to their file since (T5)."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import polars as pl
import pytest

from alas_assets.defs.steps import Step
from alas_assets.defs.training import write_rows
from alas_assets.provenance.store import ArtifactStore
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
