"""The DPO child, as a real process on a tiny random model (D3)."""

import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from alas_assets.provenance.ids import folder_hash
from alas_assets.training.spec import TrainingResult, TrainingSpec, read_result
from alas_assets_tests.training.factory import make_spec, pairs, run_child


@pytest.fixture(scope="module")
def dpo_run(sft_run: tuple[TrainingSpec, str], tiny_student: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingSpec, str]:
    spec = make_spec("dpo", tmp_path_factory.mktemp("dpo"), tiny_student, pairs(12), init_adapter=sft_run[0].output_dir)
    done = run_child(spec)
    assert done.returncode == 0, done.stderr
    return spec, done.stdout


def result_of(spec: TrainingSpec) -> TrainingResult:
    result = read_result(spec.result_path)
    assert result is not None
    return result


def test_every_tensor_of_the_candidate_moved_and_the_reference_is_not_saved(
    sft_run: tuple[TrainingSpec, str], dpo_run: tuple[TrainingSpec, str]
) -> None:
    before, after = (load_file(Path(run[0].output_dir) / "adapter_model.safetensors") for run in (sft_run, dpo_run))
    assert before.keys() == after.keys()
    for name in before:
        assert (before[name] != after[name]).any(), f"{name} has not changed"
    assert not [p for p in Path(dpo_run[0].output_dir).rglob("*") if p.is_dir() or p.suffix in {".bin", ".pt", ".pth"}]


def test_the_log_probability_of_the_chosen_answers_is_measured_before_and_after(dpo_run: tuple[TrainingSpec, str]) -> None:
    spec, printed = dpo_run
    measured = result_of(spec).measured
    # a random model may lose on the chosen answers too; what counts is that a fall is said aloud
    assert ("it FELL" in printed) == (measured["logps_chosen_after"] < measured["logps_chosen_before"])
    assert measured["reward_margin_after"] > 0
    assert f"{measured['logps_chosen_before']:.2f} -> {measured['logps_chosen_after']:.2f}" in printed
    manifest = json.loads((Path(spec.output_dir) / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["measured"].keys() == measured.keys()


def test_the_manifest_names_the_accepted_pairs_and_the_candidate(
    sft_run: tuple[TrainingSpec, str], dpo_run: tuple[TrainingSpec, str]
) -> None:
    manifest = json.loads((Path(dpo_run[0].output_dir) / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["row_ids"] == [f"pair-{i:03d}" for i in range(12) if i != 3]
    assert manifest["init_adapter"] == folder_hash(Path(sft_run[0].output_dir))
    assert manifest["beta"] == 0.1


def test_without_a_candidate_dpo_is_refused(tiny_student: Path, tmp_path: Path) -> None:
    done = run_child(make_spec("dpo", tmp_path, tiny_student, pairs(12)))
    assert done.returncode == 1
    assert "init_adapter is not set" in done.stderr


def test_pairs_that_are_all_too_long_are_refused(sft_run: tuple[TrainingSpec, str], tiny_student: Path, tmp_path: Path) -> None:
    recipe = sft_run[0].recipe.model_copy(update={"dpo": sft_run[0].recipe.dpo.model_copy(update={"max_length": 8})})
    done = run_child(make_spec("dpo", tmp_path, tiny_student, pairs(12), init_adapter=sft_run[0].output_dir, recipe=recipe))
    assert done.returncode == 1
    assert "all 11 pairs are longer than max_length 8" in done.stderr
