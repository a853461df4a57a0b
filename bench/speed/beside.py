"""What another program on one of two processors does to a training of two threads, and what briefer waiting saves (T3, S4).

    .venv/bin/python bench/speed/beside.py STORE [--domain KEY] [--rounds 3] [--rows 80]

STORE is a finished demo's, or one with a finished iteration of KEY. The first rows of its first training are trained with libgomp's own
choice of how long threads wait awake for each other (here its 300,000 turns written out), and with ours, each with both processors free
and with an endless loop beside. Nothing else may run. Prints Markdown: medians of the training without loading, and the ratio with the
range of the rounds' own ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training import RECIPE, first_training, ours

from alas_assets.training.spec import Recipe, load_recipe

THREADS = 2
SPINS = {"as libgomp has it": "300000", "briefly, as ours": ""}
"""GOMP_SPINCOUNT; "" leaves it to the training."""


@contextmanager
def busy(processors: int) -> Iterator[None]:
    """Keep so many processors busy."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processors)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@contextmanager
def waiting(spins: str) -> Iterator[None]:
    """Start trainings with this choice of waiting."""
    os.environ.pop("OMP_WAIT_POLICY", None)
    if spins:
        os.environ["GOMP_SPINCOUNT"] = spins
    try:
        yield
    finally:
        os.environ.pop("GOMP_SPINCOUNT", None)


def main() -> None:
    """Train in turns and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("store", type=Path)
    parser.add_argument("--domain", default="python-releases")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=80, help="rows of a training")
    given = parser.parse_args()
    if (processors := len(os.sched_getaffinity(0))) != THREADS:
        sys.exit(f"this needs {THREADS} processors, as many as threads, and has {processors}: start it with `taskset -c 0,1`")
    student, rows = first_training(given.store, given.domain, given.rows)
    recipe: Recipe = load_recipe(RECIPE)
    taken: dict[tuple[int, str], list[float]] = {(beside, name): [] for beside in (0, 1) for name in SPINS}
    for round_ in range(given.rounds):
        for beside, name in list(taken) if round_ % 2 == 0 else list(taken)[::-1]:  # in turns, so that a slow minute hits all
            with tempfile.TemporaryDirectory() as folder, busy(beside), waiting(SPINS[name]):
                taken[beside, name].append(ours(student, rows, recipe, Path(folder), THREADS)[1])
            print(f"round {round_ + 1}: {beside} beside, {name}: {taken[beside, name][-1]:.1f} s", file=sys.stderr, flush=True)
    print(f"{rows.height} rows, {given.rounds} rounds in turns, without loading, {THREADS} threads on as many processors\n")
    print("| threads wait | processors free | ratio | a loop beside | ratio |\n| --- | --- | --- | --- | --- |")
    for name in SPINS:
        cells = []
        for beside in (0, 1):
            own = taken[beside, name]
            ratios = sorted(a / b for a, b in zip(own, taken[beside, next(iter(SPINS))], strict=True))
            cells += [f"{statistics.median(own):.1f} s", f"{statistics.median(ratios):.2f} [{ratios[0]:.2f}-{ratios[-1]:.2f}]"]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
