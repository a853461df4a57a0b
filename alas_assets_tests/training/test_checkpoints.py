"""Only a whole checkpoint is resumed from."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from alas_assets.training.checkpoints import (
    INCOMPLETE,
    drop_checkpoints,
    drop_invalid_checkpoints,
    newest_valid_checkpoint,
    step_of,
    why_invalid,
)


def write_checkpoint(folder: Path, step: int) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    save_file({"a": np.arange(64, dtype=np.float32)}, path / "adapter_model.safetensors")
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        with zipfile.ZipFile(path / name, "w") as archive:
            archive.writestr("data", bytes(range(256)))
    (path / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    return path


def cut(name: str) -> Callable[[Path], None]:
    def damage(checkpoint: Path) -> None:
        (checkpoint / name).write_bytes((checkpoint / name).read_bytes()[:-20])

    return damage


def test_the_newest_by_step_wins(tmp_path: Path) -> None:
    for step in (8, 16, 120):
        write_checkpoint(tmp_path, step)
    (tmp_path / "checkpoint-x").mkdir()
    newest = newest_valid_checkpoint(tmp_path)
    assert newest is not None
    assert step_of(newest) == 120


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert newest_valid_checkpoint(tmp_path) is None
    assert newest_valid_checkpoint(tmp_path / "never-made") is None


DAMAGES: dict[str, Callable[[Path], None]] = {
    "adapter_model.safetensors": cut("adapter_model.safetensors"),
    "optimizer.pt": cut("optimizer.pt"),
    "scheduler.pt is missing": lambda c: (c / "scheduler.pt").unlink(),
    "rng_state.pth": cut("rng_state.pth"),
    "trainer_state.json does not parse": cut("trainer_state.json"),
    "trainer_state.json is missing": lambda c: (c / "trainer_state.json").unlink(),
    "trainer_state.json is of step 8": lambda c: (c / "trainer_state.json").write_text('{"global_step": 8}') and None,
    INCOMPLETE: lambda c: (c / INCOMPLETE).touch(),
}


@pytest.mark.parametrize("reason", DAMAGES)
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before_and_is_dropped(tmp_path: Path, reason: str) -> None:
    whole = write_checkpoint(tmp_path, 8)
    DAMAGES[reason](write_checkpoint(tmp_path, 16))
    assert newest_valid_checkpoint(tmp_path) == whole
    (line,) = drop_invalid_checkpoints(tmp_path)
    assert line.startswith("checkpoint-16: ")
    assert reason in line
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint-8"]


def test_a_flipped_bit_in_the_optimizer_is_seen(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path, 8)
    data = bytearray((path / "optimizer.pt").read_bytes())
    data[data.index(bytes(range(100, 120)))] ^= 1
    (path / "optimizer.pt").write_bytes(data)
    assert why_invalid(path) == "optimizer.pt is damaged"


@given(name=st.sampled_from(["adapter_model.safetensors", "optimizer.pt", "rng_state.pth"]), data=st.binary(max_size=80))
def test_no_garbage_passes_for_a_checkpoint(tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes) -> None:
    path = write_checkpoint(tmp_path_factory.mktemp("garbage"), 8)
    (path / name).write_bytes(data)
    assert why_invalid(path) is not None


def test_finished_checkpoints_are_dropped_and_nothing_else(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 8)
    (tmp_path / "manifest.json").touch()
    drop_checkpoints(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["manifest.json"]
