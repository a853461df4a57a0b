"""Measure audits of a large store: `python bench/audit/measure.py [--home FOLDER]`; writes what it found to standard output.

Each figure is a run of `alas` as a process of its own, less the start of the program (`alas trace --help`), five runs each.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from generate import CELLS, DOMAIN, generate, url_of

from alas_assets.provenance.store import ArtifactStore, Cell

RUNS = 5


def seconds(*arguments: str, code: int = 0) -> list[float]:
    """Run `alas` several times and return the wall-clock seconds of each."""
    taken = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "alas_assets.cli", *arguments], capture_output=True, check=False)
        taken.append(time.perf_counter() - begun)
        if done.returncode != code:
            raise SystemExit(done.stderr.decode()[-2000:])
    return taken


def said(name: str, taken: list[float], start: float) -> None:
    """Print the median and the range of several runs, less the program's start."""
    less = [one - start for one in taken]
    print(f"{name}: {statistics.median(less):.2f} s [{min(less):.2f}-{max(less):.2f}] beyond a start of {start:.2f} s, n = {len(less)}")


def main() -> None:
    """Make the store unless it is there, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="keep the store here, and use it again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = given.home or Path(folder)
        store = ArtifactStore(home)
        if store.pointer(Cell.of(DOMAIN, CELLS - 1), "promotion") is None:
            store = generate(home)
        pointer = store.pointer(Cell.of(DOMAIN, 7), "judge_scores")
        if pointer is None:
            raise SystemExit(f"{home}: judge_scores of cell 7 is missing")
        answer = store.read_table(pointer)["answer_id"][100]
        place = ("--home", str(home))
        start = statistics.median(seconds("trace", "--help"))
        said("trace of an answer", seconds("trace", answer, *place), start)
        said("trace of an id that is not there", seconds("trace", "nosuch", *place, code=1), start)
        said("sources of a page", seconds("sources", url_of(20, 3), *place), start)
        said("sources of a host with every page", seconds("sources", "docs.example", *place), start)
    print(f"most memory of one command: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
