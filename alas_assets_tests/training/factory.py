"""Tiny trainings for tests: rows, specifications and the child as a real process."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl

from alas_assets.provenance.store import table_hash
from alas_assets.records import PREFERENCE_SCHEMA, TRAIN_ROW_SCHEMA
from alas_assets.training.launch import training_command
from alas_assets.training.spec import Recipe, TrainingSpec, load_recipe

REPOSITORY = Path(__file__).resolve().parents[2]


def train_rows(count: int) -> pl.DataFrame:
    rows = [
        {
            "row_id": f"row-{i:03d}",
            "kind": "replay" if i % 4 == 3 else "fact",
            "fact_id": "" if i % 4 == 3 else f"fact-{i // 8}",
            "prompt": f"What is number {i}{'?' * (1 + i % 5)}",
            "completion": f"it is {i * 7}",
        }
        for i in range(count)
    ]
    return pl.DataFrame(rows, schema=TRAIN_ROW_SCHEMA)


def pairs(count: int) -> pl.DataFrame:
    rows = [
        {
            "pair_id": f"pair-{i:03d}",
            "qa_id": f"qa-{i}",
            "fact_id": f"fact-{i}",
            "question": f"What is number {i}?",
            "chosen": f"it is {i * 7}",
            "rejected": f"perhaps {i + 1} of them",
            "category": "factual",
            "accepted": i != 3,
            "reason": "" if i != 3 else "right in other words",
        }
        for i in range(count)
    ]
    return pl.DataFrame(rows, schema=PREFERENCE_SCHEMA)


def tiny_recipe(**changes: Any) -> Recipe:
    return load_recipe("tiny-test").model_copy(update=changes)


def make_spec(kind: str, root: Path, student: Path, rows: pl.DataFrame, **changes: Any) -> TrainingSpec:
    """Write the rows under `root` and return a specification whose places are all there."""
    root.mkdir(parents=True, exist_ok=True)
    rows.write_parquet(root / "rows.parquet")
    fields: dict[str, Any] = {
        "kind": kind,
        "cell": "demo|000",
        "student_folder": str(student),
        "student_name": "Tiny-Student",
        "student_revision": "r1",
        "base_hash": "b" * 64,
        "rows_file": str(root / "rows.parquet"),
        "rows_hash": table_hash(rows),
        "probes_hash": "p" * 64,
        "output_dir": str(root / "adapter"),
        "checkpoint_dir": str(root / "checkpoints"),
        "recipe": tiny_recipe(),
        "threads": 1,
        "extra": {"prompts": {"curriculum": "abc"}},
    }
    return TrainingSpec(**(fields | changes))


def child_command(spec: TrainingSpec, *, wrapped: bool = False) -> list[str]:
    """Write the specification beside its output and return the command that trains it."""
    path = Path(spec.output_dir).parent / "spec.json"
    path.write_text(spec.model_dump_json(), encoding="utf-8")
    direct = training_command(f"alas_assets.training.{spec.kind}", path, spec.processes)
    return [sys.executable, "-m", "alas_assets.training.launch", "--", *direct] if wrapped else direct


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}


def run_child(spec: TrainingSpec, *, wrapped: bool = False) -> subprocess.CompletedProcess[str]:
    return subprocess.run(child_command(spec, wrapped=wrapped), capture_output=True, text=True, env=environment(), check=False, timeout=240)


def start_child(spec: TrainingSpec, *, wrapped: bool = False) -> subprocess.Popen[str]:
    return subprocess.Popen(
        child_command(spec, wrapped=wrapped), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment()
    )
