"""What `alas gc` keeps: tables that an opened iteration inherited, whatever their own cell points at now."""

from pathlib import Path

import polars as pl
import pytest

from alas_assets.provenance.store import ArtifactStore, Cell, StoreError
from alas_assets.records import Inherited, Seed
from alas_assets.release.registry import Registry
from alas_assets.removal.collect import find_garbage, free

FIRST, SECOND = Cell("quill", "000"), Cell("quill", "001")
INHERITED = {"qa_pairs": "qa_hashes", "probes": "probe_hashes", "documents": "document_hashes"}


def made(store: ArtifactStore, asset: str, value: int) -> str:
    table = pl.DataFrame({"value": [value]})
    return store.put(FIRST, asset, table, input_key=f"{asset} {value}", inputs={}, run_id="run").hash


@pytest.mark.parametrize("asset", INHERITED)
@pytest.mark.parametrize("is_inherited", [True, False])
def test_a_table_that_was_made_again_stays_if_a_later_iteration_inherited_the_old_one(
    tmp_path: Path, asset: str, is_inherited: bool
) -> None:
    store = ArtifactStore(tmp_path)
    old, new = made(store, asset, 1), made(store, asset, 2)
    inherited = Inherited.model_validate({INHERITED[asset]: [old]} if is_inherited else {})
    seed = Seed(domain="quill", iteration=1, description="", seed_topics=[], seed_urls=[], cause="test", inherited=inherited)
    store.put(SECOND, "curriculum_seed", seed, input_key="seed", inputs={}, run_id="run")
    free(find_garbage(tmp_path, "quill"))
    assert store.artifact_path(asset, old, "parquet").exists() == is_inherited
    assert store.artifact_path(asset, new, "parquet").exists()


def test_of_merged_models_only_those_of_current_adapters_and_of_base_students_stay(tmp_path: Path) -> None:
    old, new = "1" * 64, "2" * 64
    for name in (old, new, "base-3333"):
        (tmp_path / "served" / name).mkdir(parents=True)
        (tmp_path / "served" / name / "model.safetensors").write_bytes(b"x")
    registry = Registry(tmp_path / "registry")
    for number, adapter in enumerate((old, new)):
        before = registry.current("quill")
        registry.promote("quill", adapter, iteration=number, decision_hash=adapter, run_id="r", at="2026", previous=before)
    garbage = find_garbage(tmp_path, "quill")
    assert garbage.by_kind() == {"merged model": (1, 1)}
    free(garbage)
    assert {path.name for path in (tmp_path / "served").iterdir()} == {new, "base-3333"}, "it may answer for a domain that has no adapter"


def test_what_is_found_is_what_is_freed_and_finding_it_frees_nothing(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    old = store.artifact_path("qa_pairs", made(store, "qa_pairs", 1), "parquet")
    size = old.stat().st_size
    made(store, "qa_pairs", 2)
    garbage = find_garbage(tmp_path, "quill")
    assert garbage == find_garbage(tmp_path, "quill")
    assert garbage.by_kind() == {"qa_pairs": (1, size)}
    assert old.exists()
    free(garbage)
    assert not old.exists()
    assert find_garbage(tmp_path, "quill").by_kind() == {}


def test_after_a_kill_in_the_middle_the_rest_is_still_found(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    first, second = (store.artifact_path("qa_pairs", made(store, "qa_pairs", value), "parquet") for value in (1, 2))
    made(store, "qa_pairs", 3)
    first.unlink()  # as far as it came: its memo entry is still there
    free(find_garbage(tmp_path, "quill"))
    assert not second.exists()
    assert not find_garbage(tmp_path, "quill").memos


TORN = ["", '{"asset": "qa_pairs"', "[]", '{"asset": "qa_pairs"}']


@pytest.mark.parametrize("torn", TORN)
def test_a_torn_memo_entry_is_freed_like_one_that_leads_nowhere(tmp_path: Path, torn: str) -> None:
    store = ArtifactStore(tmp_path)
    old, new = made(store, "qa_pairs", 1), made(store, "qa_pairs", 2)
    memo = store.root / "memo" / "qa_pairs" / f"{'0' * 64}.json"
    memo.write_text(torn, encoding="utf-8")
    free(find_garbage(tmp_path, "quill"))
    assert not memo.exists()
    assert not store.artifact_path("qa_pairs", old, "parquet").exists()
    assert store.artifact_path("qa_pairs", new, "parquet").exists()


@pytest.mark.parametrize("torn", TORN)
def test_with_a_torn_pointer_nothing_is_freed_and_it_is_named(tmp_path: Path, torn: str) -> None:
    made(ArtifactStore(tmp_path), "qa_pairs", 1)
    pointer = tmp_path / "cells" / "quill" / "000" / "qa_pairs.json"
    pointer.write_text(torn, encoding="utf-8")
    with pytest.raises(StoreError, match=rf"^{pointer}: torn.* materialise qa_pairs of quill\|000 again"):
        find_garbage(tmp_path, "other")


def test_with_a_seed_that_cannot_be_read_nothing_is_freed_and_it_is_named(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    seed = Seed(domain="quill", iteration=1, description="", seed_topics=[], seed_urls=[], cause="test")
    path = store.artifact_path(
        "curriculum_seed", store.put(SECOND, "curriculum_seed", seed, input_key="s", inputs={}, run_id="r").hash, "json"
    )
    path.unlink()
    with pytest.raises(StoreError, match=f"^{path}: cannot be read"):
        find_garbage(tmp_path, "quill")
