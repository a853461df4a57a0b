"""What `alas gc` keeps: tables that an opened iteration inherited, whatever their own cell points at now."""

from pathlib import Path

import polars as pl
import pytest

from alas_assets.provenance.collect import find_garbage, free
from alas_assets.provenance.store import ArtifactStore, Cell
from alas_assets.records import Inherited, Seed
from alas_assets.release.registry import Registry

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
