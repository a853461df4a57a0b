"""What the training child costs over a bare TRL script on the same rows, in turns on one machine (T1, T4).

    .venv/bin/python bench/speed/training.py STORE [--domain KEY] [--rounds 5] [--threads 2]

STORE is a finished demo's, or one with a finished iteration of KEY. The rows are the beginning of those of its first training, without
the drift penalty, which the bare script does not have (its price is the third row). Prints Markdown: medians, and the ratio with the range
of the rounds' own ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl

from alas_assets.defs.resources import Alas
from alas_assets.processors import waiting_briefly
from alas_assets.provenance.store import Cell
from alas_assets.records import AdapterRef
from alas_assets.students.catalog import StudentRef
from alas_assets.synthesis.training_rows import rows_hash
from alas_assets.training.spec import Recipe, TrainingSpec, load_recipe, read_result

RECIPE = "smollm2-135m"
BARE = Path(__file__).with_name("bare.py")
Seconds = tuple[float, float]
"""Of the whole process, and of the training alone."""


def first_training(store: Path, domain: str, most: int) -> tuple[StudentRef, pl.DataFrame]:
    """Return a domain's student and the beginning of the rows of its first training."""
    alas = Alas(home=str(store.resolve()))
    pointer = alas.store.pointer(Cell.of(domain, 0), "sft_adapter")
    if pointer is None:
        sys.exit(f"{store}: holds no adapter of {domain}; run `make demo` first")
    rows = alas.store.read_training_rows("sft", alas.store.read_record(AdapterRef, pointer).rows_hash)
    return alas.student(alas.domain(domain)), rows.head(most)


def ours(student: StudentRef, rows: pl.DataFrame, recipe: Recipe, folder: Path, threads: int) -> Seconds:
    """Train with our child process."""
    rows.write_parquet(folder / "rows.parquet")
    spec = TrainingSpec(
        kind="sft",
        cell="bench|000",
        student_folder=student.folder,
        student_name=student.name,
        student_revision=student.revision,
        base_hash=student.base_hash,
        rows_file=str(folder / "rows.parquet"),
        rows_hash=rows_hash(rows),
        probes_hash="0",
        output_dir=str(folder / "adapter"),
        checkpoint_dir=str(folder / "checkpoints"),
        recipe=recipe,
        threads=threads,
    )
    (folder / "spec.json").write_text(spec.model_dump_json(), encoding="utf-8")
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "alas_assets.training.sft", str(folder / "spec.json")], check=True, stdout=subprocess.DEVNULL)
    result = read_result(spec.result_path)
    assert result is not None
    assert result.ok, result
    return time.monotonic() - started, result.phases["train"]


def bare(student: StudentRef, rows: pl.DataFrame, recipe: Recipe, folder: Path, threads: int) -> Seconds:
    """Train with the bare script."""
    from alas_assets.training.loading import choose_precision

    rows.write_parquet(folder / "rows.parquet")
    settings = recipe.model_dump(mode="json") | {"precision": choose_precision(recipe)[1]}
    (folder / "recipe.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, str(BARE), student.folder, folder / "rows.parquet", folder / "out", folder / "recipe.json", str(threads)]
    started = time.monotonic()
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}
    quiet |= waiting_briefly(os.environ)  # as our child has it
    said = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, env=quiet).stdout
    return time.monotonic() - started, json.loads(said.splitlines()[-1])["train_seconds"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("store", type=Path)
    parser.add_argument("--domain", default="python-releases")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=480, help="rows of a training")
    given = parser.parse_args()
    student, rows = first_training(given.store, given.domain, given.rows)
    full = load_recipe(RECIPE)
    plain = full.model_copy(update={"replay_kl": 0.0})
    ways: dict[str, tuple[Any, Recipe]] = {"bare TRL": (bare, plain), "ours": (ours, plain), "ours with drift penalty": (ours, full)}
    taken: dict[str, list[Seconds]] = {name: [] for name in ways}
    for round_ in range(given.rounds):
        for name in list(ways) if round_ % 2 == 0 else list(ways)[::-1]:  # in turns, so that a slow minute hits all
            way, recipe = ways[name]
            with tempfile.TemporaryDirectory() as folder:
                taken[name].append(way(student, rows, recipe, Path(folder), given.threads))
            print(
                f"round {round_ + 1}: {name}: {taken[name][-1][0]:.1f} s, training {taken[name][-1][1]:.1f} s", file=sys.stderr, flush=True
            )
    print(f"{rows.height} rows, {given.rounds} rounds in turns, {given.threads} threads\n")
    print("| | whole process | ratio | training alone | ratio |\n| --- | --- | --- | --- | --- |")
    for name, values in taken.items():
        cells = []
        for part in (0, 1):
            own, base = [value[part] for value in values], [value[part] for value in taken["bare TRL"]]
            ratios = sorted(a / b for a, b in zip(own, base, strict=True))
            cells += [f"{statistics.median(own):.1f} s", f"{statistics.median(ratios):.2f} [{ratios[0]:.2f}-{ratios[-1]:.2f}]"]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
