"""Training rows are read as they were written, or not at all."""

from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.training.rows import RowsError, read_rows, split_dev
from alas_assets_tests.audit.by_hand import damaged
from alas_assets_tests.training.factory import make_spec, pairs, train_rows


def test_rows_come_back_in_order(tmp_path: Path) -> None:
    assert read_rows(make_spec("sft", tmp_path, tmp_path, train_rows(8))).equals(train_rows(8))


def test_only_accepted_pairs_are_trained_on(tmp_path: Path) -> None:
    read = read_rows(make_spec("dpo", tmp_path, tmp_path, pairs(8)))
    assert read["pair_id"].to_list() == [f"pair-{i:03d}" for i in range(8) if i != 3]


def test_rows_that_changed_after_the_specification_are_refused(tmp_path: Path) -> None:
    spec = make_spec("sft", tmp_path, tmp_path, train_rows(8))
    train_rows(8).reverse().write_parquet(spec.rows_file)
    with pytest.raises(RowsError, match=r"rows\.parquet: its content is not what the specification names"):
        read_rows(spec)


def test_no_rows_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RowsError, match="no accepted pair"):
        read_rows(make_spec("dpo", tmp_path, tmp_path, pairs(8).filter(~pl.col("accepted"))))


@given(st.binary(max_size=200))
def test_a_damaged_rows_file_is_one_line_naming_it(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    spec = make_spec("sft", tmp_path_factory.mktemp("rows"), Path("/nowhere"), train_rows(4))
    Path(spec.rows_file).write_bytes(data)
    with pytest.raises(RowsError, match=r"rows\.parquet") as caught:
        read_rows(spec)
    assert "\n" not in str(caught.value)


def test_whatever_byte_of_the_rows_footer_was_changed_reading_them_is_an_error_of_the_rows(tmp_path: Path) -> None:
    spec = make_spec("sft", tmp_path, Path("/nowhere"), train_rows(1))
    path = Path(spec.rows_file)
    for data in damaged(path.read_bytes()):
        path.write_bytes(data)
        with suppress(RowsError):
            read_rows(spec)


@given(count=st.integers(1, 60), share=st.floats(0, 0.5), seed=st.integers(0, 5))
def test_dev_rows_are_fact_phrasings_whose_fact_is_still_trained(count: int, share: float, seed: int) -> None:
    rows = train_rows(count)
    kept, dev = split_dev(rows, share, seed)
    assert sorted([*kept["row_id"], *dev["row_id"]]) == sorted(rows["row_id"])
    assert set(dev["kind"]) <= {"fact"}
    assert dev["fact_id"].is_unique().all()
    assert set(dev["fact_id"]) <= set(kept["fact_id"])
    assert dev.height <= round(share * rows.filter(pl.col("kind") == "fact").height)


@pytest.mark.parametrize("passes", [3, 13])
def test_the_share_of_dev_rows_is_that_of_the_phrasings_however_often_each_is_trained(passes: int) -> None:
    once, often = train_rows(40), pl.concat([train_rows(40)] * passes)
    (kept_once, dev_once), (kept, dev) = split_dev(once, 0.2, 3), split_dev(often, 0.2, 3)
    assert dev.equals(dev_once)
    assert kept.equals(pl.concat([kept_once] * passes))


def test_dev_rows_do_not_depend_on_the_order_of_the_rows() -> None:
    forward, backward = split_dev(train_rows(40), 0.2, 3)[1], split_dev(train_rows(40).reverse(), 0.2, 3)[1]
    assert forward.height == 5
    assert set(forward["row_id"]) == set(backward["row_id"])
