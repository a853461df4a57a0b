"""A killed training goes on where it was and ends at the very same bytes (T4)."""

import json
import resource
import signal
import subprocess
import time
from pathlib import Path

import polars as pl
import pytest
from filelock import FileLock

from alas_assets.provenance.ids import folder_hash
from alas_assets.training.checkpoints import newest_valid_checkpoint, step_of
from alas_assets.training.spec import Recipe, TrainingSpec, read_result
from alas_assets_tests.training.factory import make_spec, pairs, run_child, start_child, tiny_recipe, train_rows


def long_recipe() -> Recipe:
    """Enough steps to be killed in, with dropout so that the random state matters; SFT with the drift penalty, rows as written."""
    recipe = tiny_recipe(epochs=1, learning_rate=2e-3, dropout=0.1, save_steps=8, replay_kl=1.0, replay_kl_every=2, order="as-written")
    return recipe.model_copy(update={"dpo": recipe.dpo.model_copy(update={"epochs": 8, "learning_rate": 1e-3})})


def wait_for_step(spec: TrainingSpec, child: subprocess.Popen[str], step: int) -> None:
    while child.poll() is None:
        newest = newest_valid_checkpoint(spec.work_dir)
        if newest is not None and step_of(newest) >= step:
            return
        time.sleep(0.05)
    raise AssertionError(f"the child ended before step {step}: {child.communicate()[0]}")


def kill_after(spec: TrainingSpec, step: int) -> None:
    child = start_child(spec)
    wait_for_step(spec, child, step)
    child.kill()
    child.wait()
    assert not Path(spec.output_dir).exists()


@pytest.fixture(scope="module")
def uninterrupted(tiny_student: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingSpec:
    # each pass in another order: what stands beside a row in its batch changes, and must decide nothing
    rows = pl.concat([train_rows(32).sample(fraction=1.0, shuffle=True, seed=turn) for turn in range(12)])
    spec = make_spec("sft", tmp_path_factory.mktemp("whole"), tiny_student, rows, recipe=long_recipe())
    done = run_child(spec)
    assert done.returncode == 0, done.stderr
    return spec


def elsewhere(spec: TrainingSpec, tmp_path: Path) -> TrainingSpec:
    return spec.model_copy(update={"output_dir": str(tmp_path / "adapter"), "checkpoint_dir": str(tmp_path / "checkpoints")})


def test_a_training_killed_again_and_again_ends_at_the_bytes_of_an_uninterrupted_one(uninterrupted: TrainingSpec, tmp_path: Path) -> None:
    spec = elsewhere(uninterrupted, tmp_path)
    kill_after(spec, 16)

    # asked to stop: it saves the step it is at and says so
    child = start_child(spec, wrapped=True)
    wait_for_step(spec, child, 40)
    child.send_signal(signal.SIGINT)
    printed, _ = child.communicate(timeout=120)
    assert child.returncode == 3, printed
    assert "interrupted; the next run continues from the newest checkpoint" in printed
    assert "resuming from step " in printed

    # killed, and the newest checkpoint is cut short: the one before is taken
    kill_after(spec, 64)
    newest = newest_valid_checkpoint(spec.work_dir)
    assert newest is not None
    weights = newest / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-40])
    older = newest_valid_checkpoint(spec.work_dir)
    assert older is not None
    done = run_child(spec)
    assert done.returncode == 0, done.stderr
    assert f"dropped {newest.name}: adapter_model.safetensors" in done.stdout

    result, whole = read_result(spec.result_path), read_result(uninterrupted.result_path)
    assert result is not None
    assert whole is not None
    assert result.resumed_from == step_of(older)
    assert result.loss_history == whole.loss_history
    assert (result.steps, result.tokens) == (whole.steps, whole.tokens)
    assert whole.steps == 96
    assert folder_hash(Path(spec.output_dir)) == folder_hash(Path(uninterrupted.output_dir))


def test_early_stopping_goes_on_counting_after_a_kill(tiny_student: Path, tmp_path: Path) -> None:
    # at this rate the dev loss soon gets worse, and then the count runs
    recipe = tiny_recipe(dev_share=0.2, early_stopping_patience=20, epochs=80, learning_rate=0.5, save_steps=3)
    whole = make_spec("sft", tmp_path / "whole", tiny_student, train_rows(32), recipe=recipe)
    done = run_child(whole)
    assert done.returncode == 0, done.stderr
    ended = read_result(whole.result_path)
    assert ended is not None
    spec = elsewhere(whole, tmp_path)
    kill_after(spec, ended.steps - 30)
    again = run_child(spec)
    assert again.returncode == 0, again.stderr
    result = read_result(spec.result_path)
    assert result is not None
    assert result.resumed_from > 0
    assert (result.steps, result.adapter_hash) == (ended.steps, ended.adapter_hash)


def test_a_killed_dpo_ends_at_the_bytes_of_an_uninterrupted_one(
    sft_run: tuple[TrainingSpec, str], tiny_student: Path, tmp_path: Path
) -> None:
    recipe = long_recipe()
    whole, killed = (
        make_spec("dpo", tmp_path / name, tiny_student, pairs(32), init_adapter=sft_run[0].output_dir, recipe=recipe)
        for name in ("whole", "killed")
    )
    done = run_child(whole)
    assert done.returncode == 0, done.stderr
    kill_after(killed, 24)
    done = run_child(killed)
    assert done.returncode == 0, done.stderr
    assert "resuming from step " in done.stdout
    assert folder_hash(Path(killed.output_dir)) == folder_hash(Path(whole.output_dir))


def test_a_full_disk_is_one_line_and_leaves_the_earlier_checkpoints_whole(uninterrupted: TrainingSpec, tmp_path: Path) -> None:
    spec = elsewhere(uninterrupted, tmp_path)
    child = start_child(spec)
    wait_for_step(spec, child, 16)
    # from now on no file of the child can grow beyond 2000 bytes: what a full disk does, without needing a disk of our own
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (2000, 2000))
    printed, _ = child.communicate(timeout=120)
    assert child.returncode == 1
    (line,) = [line for line in printed.splitlines() if "failed" in line]
    assert f"cannot write to {spec.work_dir}/checkpoint-" in line
    assert "earlier checkpoints are kept; free some space and run again" in line
    assert newest_valid_checkpoint(spec.work_dir) is not None
    assert not Path(spec.output_dir).exists()


def test_a_second_child_on_the_same_checkpoints_is_refused(uninterrupted: TrainingSpec, tmp_path: Path) -> None:
    spec = elsewhere(uninterrupted, tmp_path)
    spec.work_dir.mkdir(parents=True)
    with FileLock(spec.work_dir / ".lock"):
        done = run_child(spec)
    assert done.returncode == 1
    assert f"another process trains in {spec.work_dir}" in done.stderr


def test_the_manifest_is_older_than_the_first_checkpoint(uninterrupted: TrainingSpec, tmp_path: Path) -> None:
    spec = elsewhere(uninterrupted, tmp_path)
    kill_after(spec, 8)
    manifest = spec.work_dir / "manifest.json"
    assert json.loads(manifest.read_text(encoding="utf-8"))["probes_hash"] == spec.probes_hash
    oldest = min(path.stat().st_mtime_ns for path in spec.work_dir.glob("checkpoint-*/*"))
    assert manifest.stat().st_mtime_ns <= oldest
