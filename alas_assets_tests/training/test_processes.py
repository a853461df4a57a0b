"""Several processes train as one does: the same batches, shared out (T1, T4). On a CPU they talk over gloo."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from safetensors.numpy import load_file

from alas_assets.serving.backend import free_port
from alas_assets.training.launch import WRAPPER, training_command
from alas_assets.training.spec import TrainingSpec, read_result
from alas_assets_tests.training.factory import (
    child_command,
    environment,
    make_spec,
    pairs,
    run_child,
    start_child,
    tiny_recipe,
    train_rows,
)

pytestmark = pytest.mark.timeout(300)


def weights(spec: TrainingSpec) -> Any:
    return load_file(Path(spec.output_dir) / "adapter_model.safetensors")


def test_two_processes_learn_what_one_learns(tiny_student: Path, tmp_path: Path) -> None:
    specs = [make_spec("sft", tmp_path / str(n), tiny_student, train_rows(24), processes=n) for n in (1, 2)]
    for spec in specs:
        done = run_child(spec, wrapped=True)
        assert done.returncode == 0, done.stdout + done.stderr
    one, two = (read_result(spec.result_path) for spec in specs)
    assert one is not None
    assert two is not None
    assert (two.ok, two.steps, two.tokens, two.rows) == (True, one.steps, one.tokens, one.rows)
    losses = [[loss for _, loss in result.loss_history] for result in (one, two)]
    assert losses[1][0] == pytest.approx(losses[0][0], rel=1e-3)  # the same rows; each process takes the mean over its own
    assert losses[1] == pytest.approx(losses[0], rel=2e-2)
    assert losses[1][-1] < losses[1][0]
    assert weights(specs[0]).keys() == weights(specs[1]).keys()


def test_dpo_in_two_processes_goes_on_from_the_candidate(tiny_student: Path, tmp_path: Path) -> None:
    sft = make_spec("sft", tmp_path / "sft", tiny_student, train_rows(24))
    assert run_child(sft).returncode == 0
    dpo = make_spec("dpo", tmp_path / "dpo", tiny_student, pairs(12), init_adapter=sft.output_dir, processes=2)
    done = run_child(dpo, wrapped=True)
    assert done.returncode == 0, done.stdout + done.stderr
    result = read_result(dpo.result_path)
    assert result is not None
    assert result.steps == 6
    assert not (dpo.work_dir / "pairs").exists(), "no pair stays behind"
    assert result.measured["reward_margin_after"] > 0
    assert any((weights(dpo)[name] != values).any() for name, values in weights(sft).items())


def test_a_batch_that_cannot_be_shared_is_one_clear_line(tiny_student: Path, tmp_path: Path) -> None:
    spec = make_spec("sft", tmp_path, tiny_student, train_rows(24), recipe=tiny_recipe(batch_size=3), processes=2)
    done = run_child(spec, wrapped=True)
    assert done.returncode not in (0, 3)
    assert "a batch of 3 rows cannot be shared by 2 processes; set ALAS_TRAINING_PROCESSES or batch_size" in done.stderr


def wait_for_a_checkpoint(spec: TrainingSpec, child: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not list(spec.work_dir.glob("checkpoint-*/trainer_state.json")):
        assert time.monotonic() < deadline
        assert child.poll() is None, child.stdout.read() if child.stdout else ""
        time.sleep(0.1)


def training(spec: TrainingSpec) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """Start a long training and wait for its first checkpoint; return the wrapper, and the launcher and workers under it."""
    wrapper = start_child(spec, wrapped=True)
    wait_for_a_checkpoint(spec, wrapper)
    family = psutil.Process(wrapper.pid).children(recursive=True)
    assert len(family) >= 3
    return wrapper, family


def endless(tmp_path: Path, student: Path) -> TrainingSpec:
    return make_spec("sft", tmp_path, student, train_rows(24), recipe=tiny_recipe(epochs=2000, save_steps=2), processes=2)


def test_stopping_ends_all_of_them_and_the_next_run_goes_on_from_the_checkpoint(tiny_student: Path, tmp_path: Path) -> None:
    spec = make_spec("sft", tmp_path, tiny_student, train_rows(24), recipe=tiny_recipe(epochs=40, save_steps=2), processes=2)
    wrapper, family = training(spec)
    wrapper.send_signal(signal.SIGINT)
    assert wrapper.wait(timeout=60) == 3
    assert not psutil.wait_procs(family, timeout=5)[1]
    again = run_child(spec, wrapped=True)
    assert again.returncode == 0, again.stdout + again.stderr
    result = read_result(spec.result_path)
    assert result is not None
    assert result.resumed_from >= 2


@pytest.mark.parametrize("killed", ["launcher", "wrapper"])
def test_no_worker_outlives_who_started_it(tiny_student: Path, tmp_path: Path, killed: str) -> None:
    wrapper, family = training(endless(tmp_path, tiny_student))
    (family[0] if killed == "launcher" else wrapper).kill()
    wrapper.wait(timeout=60)
    assert not psutil.wait_procs(family, timeout=60)[1]


def start_worker(spec: TrainingSpec, rank: int, port: int, wrapper: int) -> subprocess.Popen[str]:
    """Start one of two workers without the launcher, each with a wrapper of its own."""
    child_command(spec)  # writes the specification
    together = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return subprocess.Popen(
        training_command("alas_assets.training.sft", Path(spec.output_dir).parent / "spec.json", processes=1),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment() | together | {WRAPPER: str(wrapper)},
    )


def test_a_worker_that_alone_sees_the_wrapper_gone_takes_the_other_with_it(tiny_student: Path, tmp_path: Path) -> None:
    """Workers look one after the other, so a wrapper can die between two looks."""
    spec = endless(tmp_path, tiny_student)
    wrappers = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) for _ in range(2)]
    port = free_port()
    workers = [start_worker(spec, rank, port, wrapper.pid) for rank, wrapper in enumerate(wrappers)]
    try:
        wait_for_a_checkpoint(spec, workers[0])
        wrappers[0].kill()
        wrappers[0].wait()
        assert [worker.wait(timeout=60) != 0 for worker in workers] == [True, True]
    finally:
        for process in (*workers, *wrappers):
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    ("set_before", "seen"),
    [({}, "0"), ({"CUDA_VISIBLE_DEVICES": "3,1"}, "3"), ({"CUDA_VISIBLE_DEVICES": ""}, ""), ({"WORLD_SIZE": "2", "RANK": "1"}, None)],
)
def test_a_lone_process_sees_one_gpu(tmp_path: Path, set_before: dict[str, str], seen: str | None) -> None:
    spec = make_spec("sft", tmp_path, tmp_path, train_rows(4))
    child_command(spec)
    code = (
        "import os, sys; from alas_assets.training.child import run_child\n"
        "def train(session): print(repr(os.environ.get('CUDA_VISIBLE_DEVICES')), 'torch' in sys.modules)\n"
        "run_child('sft', train, sys.argv[1:])"
    )
    inherited = {name: value for name, value in environment().items() if name != "CUDA_VISIBLE_DEVICES"}
    command = [sys.executable, "-c", code, str(tmp_path / "spec.json")]
    done = subprocess.run(command, capture_output=True, text=True, env=inherited | set_before, check=False, timeout=120)
    assert done.stdout.splitlines()[0] == f"{seen!r} False", "before torch counts the GPUs"
