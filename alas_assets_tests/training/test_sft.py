"""The SFT child, as a real process on a tiny random model (T1-T5)."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

from alas_assets.defs.resources import Trainer
from alas_assets.provenance.ids import file_hash, folder_hash
from alas_assets.training.spec import TrainingResult, TrainingSpec, read_result
from alas_assets_tests.training.factory import child_command, environment, make_spec, run_child, tiny_recipe, train_rows


def result_of(spec: TrainingSpec) -> TrainingResult:
    result = read_result(spec.result_path)
    assert result is not None
    return result


def manifest_of(spec: TrainingSpec) -> dict[str, Any]:
    return json.loads((Path(spec.output_dir) / "manifest.json").read_text(encoding="utf-8"))


def test_the_folder_holds_the_adapter_its_papers_and_the_tokenizer_and_nothing_that_is_a_pickle(sft_run: tuple[TrainingSpec, str]) -> None:
    assert sorted(p.name for p in Path(sft_run[0].output_dir).iterdir()) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "chat_template.jinja",
        "manifest.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_the_configuration_names_the_student_and_is_sorted(sft_run: tuple[TrainingSpec, str]) -> None:
    text = (Path(sft_run[0].output_dir) / "adapter_config.json").read_text(encoding="utf-8")
    config = json.loads(text)
    assert config["base_model_name_or_path"] == "Tiny-Student"
    assert config["target_modules"] == sorted(sft_run[0].recipe.target_modules)
    assert list(config) == sorted(config)


def test_the_manifest_says_what_was_learned_from_and_names_no_place_and_no_time(sft_run: tuple[TrainingSpec, str]) -> None:
    spec, _ = sft_run
    manifest = manifest_of(spec)
    assert manifest["base"] == {"name": "Tiny-Student", "revision": "r1", "hash": "b" * 64}
    assert manifest["row_ids"] == train_rows(24)["row_id"].to_list()
    assert manifest["left_out"] == ["row-000-long"]  # never cut or dropped without a word
    assert manifest["counts"] == {"fact": 18, "replay": 6}
    assert manifest["rows_hash"] == spec.rows_hash
    assert manifest["probes_hash"] == "p" * 64
    assert manifest["recipe"] == spec.recipe.model_dump(mode="json")
    assert manifest["extra"] == {"prompts": {"curriculum": "abc"}}
    assert len(manifest["loss_history"]) == manifest["steps"] == 12
    assert {"torch", "trl", "peft", "transformers"} <= set(manifest["packages"])
    everything = "".join(
        (Path(spec.output_dir) / name).read_text(encoding="utf-8") for name in ("manifest.json", "README.md", "adapter_config.json")
    )
    assert str(Path(spec.output_dir).parent) not in everything
    assert spec.student_folder not in everything


def test_the_result_lies_beside_the_folder_with_everything_a_parent_needs(sft_run: tuple[TrainingSpec, str]) -> None:
    spec, _ = sft_run
    result = result_of(spec)
    assert result.ok
    assert result.adapter_hash == folder_hash(Path(spec.output_dir))
    assert result.manifest_hash == file_hash(Path(spec.output_dir) / "manifest.json")
    assert (result.steps, result.rows, result.resumed_from) == (12, 24, 0)
    assert result.tokens == manifest_of(spec)["tokens"] > 1000
    assert set(result.phases) == {"import", "load", "train", "save"}
    assert result.tokens_per_second > 0
    assert result.peak_memory_mb > 0
    assert result.loss_history[0][1] > result.loss_history[-1][1]


def test_the_manifest_stands_before_the_first_step(sft_run: tuple[TrainingSpec, str]) -> None:
    spec, printed = sft_run
    assert printed.index("manifest written") < printed.index("step 1/12")
    early = json.loads((spec.work_dir / "manifest.json").read_text(encoding="utf-8"))
    assert early["probes_hash"] == spec.probes_hash
    assert "loss_history" not in early  # it is the file of before the training, not a copy of the finished one


def test_checkpoints_are_gone_once_the_adapter_stands(sft_run: tuple[TrainingSpec, str]) -> None:
    assert not list(sft_run[0].work_dir.glob("checkpoint-*"))


def test_a_finished_training_is_not_done_again(sft_run: tuple[TrainingSpec, str]) -> None:
    before = result_of(sft_run[0])
    again = run_child(sft_run[0])
    assert again.returncode == 0
    assert "already done" in again.stdout
    assert result_of(sft_run[0]) == before


def test_the_adapter_loads_onto_the_student_and_changes_what_it_says(sft_run: tuple[TrainingSpec, str]) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    spec, _ = sft_run
    base = AutoModelForCausalLM.from_pretrained(spec.student_folder, dtype=torch.float32)
    ids = torch.arange(3, 40).unsqueeze(0)
    before = base(input_ids=ids).logits
    adapted = PeftModel.from_pretrained(base, spec.output_dir)
    assert not torch.allclose(before, adapted(input_ids=ids).logits)


def test_every_lora_matrix_moved_from_zero(sft_run: tuple[TrainingSpec, str]) -> None:
    tensors = load_file(Path(sft_run[0].output_dir) / "adapter_model.safetensors")
    assert len(tensors) == 2 * 7 * 2  # A and B of seven modules in two layers
    assert {str(t.dtype) for t in tensors.values()} == {"float32"}
    for name, tensor in tensors.items():
        assert tensor.any(), name  # B starts at zero


def test_the_same_training_under_dagster_gives_the_same_bytes_and_reports_live(
    sft_run: tuple[TrainingSpec, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = sft_run
    spec = first.model_copy(update={"output_dir": str(tmp_path / "adapter"), "checkpoint_dir": str(tmp_path / "checkpoints")})
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    reports: list[Any] = []

    @dg.asset
    def adapter(context: dg.AssetExecutionContext, pipes: dg.PipesSubprocessClient) -> dg.MaterializeResult[Any]:
        reports.extend(pipes.run(command=child_command(spec, wrapped=True), context=context.op_execution_context).get_custom_messages())
        return dg.MaterializeResult(metadata={"reports": len(reports)})

    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([adapter], resources={"pipes": dg.PipesSubprocessClient()}, instance=instance)
        lines = [entry.user_message for entry in instance.all_logs(done.run_id)]
    assert [TrainingResult.model_validate(report) for report in reports] == [result_of(spec)]
    assert any(line.startswith("step 12/12: loss ") for line in lines)
    assert len(done.asset_materializations_for_node("adapter")) == 1  # the parent's own: the child reports none
    assert folder_hash(Path(spec.output_dir)) == folder_hash(Path(first.output_dir))


def test_a_warm_start_moves_every_tensor_of_the_adapter_it_goes_on_from(
    sft_run: tuple[TrainingSpec, str], tiny_student: Path, tmp_path: Path
) -> None:
    first, _ = sft_run
    spec = make_spec("sft", tmp_path, tiny_student, train_rows(16), init_adapter=first.output_dir, recipe=tiny_recipe(precision="fp32"))
    done = run_child(spec, wrapped=True)
    assert done.returncode == 0, done.stderr
    before, after = (load_file(Path(s.output_dir) / "adapter_model.safetensors") for s in (first, spec))
    assert before.keys() == after.keys()
    for name in before:
        assert (before[name] != after[name]).any(), f"{name} has not changed"
    assert manifest_of(spec)["init_adapter"] == folder_hash(Path(first.output_dir))
    assert manifest_of(spec)["precision"] == "fp32"


def test_the_drift_penalty_trains_a_bf16_student_and_keeps_the_adapter_in_fp32(tiny_student: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(precision="bf16", replay_kl=5.0, order="as-written")
    spec = make_spec("sft", tmp_path, tiny_student, train_rows(16), recipe=recipe)
    done = run_child(spec)
    assert done.returncode == 0, done.stderr
    weights = load_file(Path(spec.output_dir) / "adapter_model.safetensors")
    assert all(weight.dtype == np.float32 and weight.any() for weight in weights.values())
    assert manifest_of(spec)["precision"] == "bf16"


def test_a_warm_start_has_its_own_rate_and_a_fresh_one_does_not_know_of_it(
    sft_run: tuple[TrainingSpec, str], tiny_student: Path, tmp_path: Path
) -> None:
    first, recipe = sft_run[0], sft_run[0].recipe.model_copy(update={"warm_learning_rate": 1e-9})
    fresh = first.model_copy(
        update={"recipe": recipe, "output_dir": str(tmp_path / "fresh"), "checkpoint_dir": str(tmp_path / "checkpoints")}
    )
    warm = make_spec("sft", tmp_path / "warm", tiny_student, train_rows(16), init_adapter=first.output_dir, recipe=recipe)
    for spec in (fresh, warm):
        done = run_child(spec)
        assert done.returncode == 0, done.stderr
    learned, again, after = (load_file(Path(s.output_dir) / "adapter_model.safetensors") for s in (first, fresh, warm))
    for name in learned:
        assert (learned[name] == again[name]).all(), f"{name} of a fresh start depends on the rate of a warm one"
        assert abs(learned[name] - after[name]).max() < 1e-6, f"{name} moved further than such a rate can take it"


def test_early_stopping_on_dev_rows_ends_before_the_epochs_do_and_only_the_chosen_layers_learn(tiny_student: Path, tmp_path: Path) -> None:
    # at this rate the dev loss gets worse soon
    recipe = tiny_recipe(dev_share=0.2, early_stopping_patience=2, epochs=40, learning_rate=0.5, save_steps=3, layers=1)
    spec = make_spec("sft", tmp_path, tiny_student, train_rows(32), recipe=recipe)
    done = run_child(spec)
    assert done.returncode == 0, done.stderr
    result, manifest = result_of(spec), manifest_of(spec)
    assert result.steps < 40 * 7
    assert result.measured["dev_loss_best"] <= result.measured["dev_loss_last"]
    assert len(manifest["dev_row_ids"]) == 4  # one each of the four facts, though a fifth of 24 rows were 5
    assert set(manifest["dev_row_ids"]).isdisjoint(manifest["row_ids"])
    names = load_file(Path(spec.output_dir) / "adapter_model.safetensors")
    assert names
    assert all(".layers.1." in name for name in names)


def test_a_dev_row_that_does_not_fit_is_named_and_not_measured_half(tiny_student: Path, tmp_path: Path) -> None:
    long = pl.col("prompt") + " and so on" * 400
    dev = pl.concat([train_rows(4), train_rows(1).with_columns(long, row_id=pl.lit("long-dev"))])
    dev.write_parquet(tmp_path / "dev.parquet")
    recipe, dev_file = tiny_recipe(epochs=1, save_steps=1), str(tmp_path / "dev.parquet")
    spec = make_spec("sft", tmp_path, tiny_student, train_rows(8), recipe=recipe, dev_file=dev_file)
    done = run_child(spec)
    assert done.returncode == 0, done.stderr
    manifest = manifest_of(spec)
    assert "long-dev" in manifest["left_out"]
    assert "long-dev" not in manifest["dev_row_ids"]
    assert result_of(spec).measured["dev_loss_last"] > 0


def damage_base(spec: TrainingSpec, tmp_path: Path) -> TrainingSpec:
    import shutil

    folder = tmp_path / "damaged"
    shutil.copytree(spec.student_folder, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    return spec.model_copy(update={"student_folder": str(folder)})


def damage_adapter(spec: TrainingSpec, tmp_path: Path) -> TrainingSpec:
    folder = tmp_path / "damaged"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{", encoding="utf-8")
    return spec.model_copy(update={"init_adapter": str(folder)})


def change_rows(spec: TrainingSpec, tmp_path: Path) -> TrainingSpec:
    train_rows(5).with_columns(pl.lit("other").alias("completion")).write_parquet(spec.rows_file)
    return spec


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s, _: s.model_copy(update={"student_folder": "/nowhere"}), "base model Tiny-Student: /nowhere/config.json is missing"),
        (damage_base, "damaged/model.safetensors is damaged"),
        (lambda s, _: s.model_copy(update={"init_adapter": "/nowhere"}), "adapter /nowhere: adapter_config.json is missing or damaged"),
        (damage_adapter, "adapter_config.json is missing or damaged"),
        (change_rows, "rows.parquet: its content is not what the specification names"),
    ],
    ids=["no base", "damaged base", "no adapter", "damaged adapter", "changed rows"],
)
def test_what_is_missing_or_damaged_is_one_line_and_a_failed_result(change: Any, says: str, tiny_student: Path, tmp_path: Path) -> None:
    spec = change(make_spec("sft", tmp_path, tiny_student, train_rows(8)), tmp_path)
    done = run_child(spec)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("sft training of demo|000 failed: ")
    assert says in line
    result = result_of(spec)
    assert not result.ok
    assert says in result.error
    assert not Path(spec.output_dir).exists()


def test_a_warm_start_with_another_rank_is_refused_with_the_remedy(
    sft_run: tuple[TrainingSpec, str], tiny_student: Path, tmp_path: Path
) -> None:
    spec = make_spec("sft", tmp_path, tiny_student, train_rows(8), init_adapter=sft_run[0].output_dir, recipe=tiny_recipe(rank=8))
    done = run_child(spec)
    assert done.returncode == 1
    assert 'or accumulate = "fresh"' in done.stderr


def test_wrong_usage_is_exit_code_two(sft_run: tuple[TrainingSpec, str]) -> None:
    command = child_command(sft_run[0])
    wrong_kind = subprocess.run(
        [part.replace(".sft", ".dpo") for part in command], capture_output=True, text=True, env=environment(), check=False
    )
    assert wrong_kind.returncode == 2
    assert "kind: is 'sft'" in wrong_kind.stderr
    assert subprocess.run(command[:-1], capture_output=True, env=environment(), check=False).returncode == 2


def test_a_training_that_fails_under_dagster_ends_with_the_childs_last_words(tiny_student: Path, tmp_path: Path) -> None:
    spec = make_spec("sft", tmp_path, tiny_student, train_rows(8))
    Path(spec.rows_file).unlink()

    @dg.asset
    def adapter(context: dg.AssetExecutionContext, trainer: Trainer) -> None:
        trainer.train(context, "alas_assets.training.sft", spec, tmp_path / "spec.json")

    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([adapter], resources={"trainer": Trainer()}, instance=instance, raise_on_error=False)
    (failure,) = [event.step_failure_data for event in done.all_events if event.is_step_failure]
    assert failure.user_failure_data is not None
    told = str(failure.user_failure_data.description)
    assert "the next run continues from them" in told
    assert f"{spec.rows_file}: the training rows cannot be read" in " ".join(told.split())


def test_packing_that_leaves_too_few_steps_is_refused_and_others_are_told(tmp_path: Path, tiny_student: Path) -> None:
    few = make_spec("sft", tmp_path / "few", tiny_student, train_rows(24), recipe=tiny_recipe(packing=True, min_steps=3))
    assert run_child(few).returncode == 1
    assert "sequences of all rows, so 2 optimiser steps where min_steps asks for 3; set packing = false" in result_of(few).error
    told = make_spec("sft", tmp_path / "told", tiny_student, train_rows(24), recipe=tiny_recipe(packing=True))
    assert re.search(r"packed into \d sequences: 2 steps", run_child(told).stdout)
    assert result_of(told).steps == 2
