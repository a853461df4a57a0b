"""Which checkpoint can be trusted after a kill, a crash or a full disk (T4). Nothing here trains or loads a tensor.

transformers takes the highest number without a look inside; a truncated newest checkpoint would end every resume.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

from safetensors import SafetensorError, safe_open

INCOMPLETE = "checkpoint-is-incomplete.txt"
_PREFIX = "checkpoint-"
_NEEDED = ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json")


def newest_valid_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint with the highest step that is whole, or None where there is none."""
    return next((path for path in _checkpoints(folder) if why_invalid(path) is None), None)


def drop_invalid_checkpoints(folder: Path) -> list[str]:
    """Remove what a kill left half-written, so that it neither counts as one to keep nor is resumed from.

    Returns:
        One line per removed checkpoint, naming it and what was wrong.
    """
    dropped: list[str] = []
    for path in _checkpoints(folder):
        reason = why_invalid(path)
        if reason is not None:
            shutil.rmtree(path)
            dropped.append(f"{path.name}: {reason}")
    return dropped


def drop_checkpoints(folder: Path) -> None:
    """Remove all checkpoints: what they led to stands."""
    for path in _checkpoints(folder):
        shutil.rmtree(path, ignore_errors=True)


def step_of(checkpoint: Path) -> int:
    """Return the optimiser step a checkpoint was saved after."""
    return int(checkpoint.name.removeprefix(_PREFIX))


def why_invalid(checkpoint: Path) -> str | None:
    """Return what is wrong with a checkpoint, or None where it is whole.

    Whole means: not marked incomplete, `trainer_state.json` (written last) parses and names the folder's step, every
    safetensors file has the size its header states, and every torch file is a zip archive with right checksums.
    """
    if (checkpoint / INCOMPLETE).exists():
        return f"{INCOMPLETE} is there"
    if missing := [name for name in _NEEDED if not (checkpoint / name).is_file()]:
        return f"{missing[0]} is missing"
    if not list(checkpoint.glob("rng_state*.pth")):
        return "rng_state.pth is missing"
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_bytes())
        if state["global_step"] != step_of(checkpoint):
            return f"trainer_state.json is of step {state['global_step']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "trainer_state.json does not parse"
    for path in sorted(checkpoint.rglob("*.safetensors")):
        if reason := why_unreadable(path):
            return f"{path.name}: {reason}"
    for path in sorted([*checkpoint.glob("*.pt"), *checkpoint.glob("*.pth")]):
        try:
            with zipfile.ZipFile(path) as archive:
                if archive.testzip() is not None:
                    return f"{path.name} is damaged"
        except (OSError, zipfile.BadZipFile):
            return f"{path.name} is cut short"
    return None


def why_unreadable(weights: Path) -> str | None:
    """Return what is wrong with a safetensors file (its header, or a size other than the header states), or None."""
    try:
        with safe_open(str(weights), framework="numpy"):
            return None
    except (OSError, SafetensorError) as error:
        return str(error)


def _checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoint folders, highest step first."""
    found = [
        p
        for p in folder.glob(f"{_PREFIX}*")
        if p.is_dir() and p.name.removeprefix(_PREFIX).isascii() and p.name.removeprefix(_PREFIX).isdigit()
    ]
    return sorted(found, key=step_of, reverse=True)
