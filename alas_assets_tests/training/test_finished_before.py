"""A training that was done is not done again where only the note of it was lost (T4)."""

from pathlib import Path

from alas_assets.provenance.ids import folder_hash
from alas_assets.provenance.store import ArtifactStore
from alas_assets.training.spec import TrainingResult, finished_before
from alas_assets_tests.training.factory import make_spec, train_rows


def test_a_training_that_was_done_is_known_until_its_adapter_is_damaged_or_another_is_wanted(tmp_path: Path) -> None:
    spec = make_spec("sft", tmp_path / "a", tmp_path, train_rows(8))
    store, made = ArtifactStore(tmp_path / "store"), Path(spec.output_dir)
    assert finished_before(spec) is finished_before(spec, store.adapters) is None
    made.mkdir()
    (made / "adapter_model.safetensors").write_bytes(b"weights")
    done = TrainingResult(ok=True, kind="sft", cell=spec.cell, spec_hash=spec.spec_hash, adapter_hash=folder_hash(made))
    spec.result_path.write_text(done.model_dump_json(), encoding="utf-8")
    assert (finished_before(spec), finished_before(spec, store.adapters)) == (done, None)
    digest = store.put_folder(store.adapters, made)
    assert (finished_before(spec), finished_before(spec, store.adapters)) == (None, done)
    assert finished_before(make_spec("sft", tmp_path / "a", tmp_path, train_rows(8), seed=18), store.adapters) is None
    (store.adapters / digest / "adapter_model.safetensors").write_bytes(b"other")
    assert finished_before(spec, store.adapters) is None
