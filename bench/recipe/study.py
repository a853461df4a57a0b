"""Runs the studies that choose a recipe: what is missing in `results.jsonl` is run, a row is appended for each cell (T6).

    .venv/bin/python bench/recipe/study.py STORE rate wordings ... [--side-by-side 2]

STORE is one that `bench/model_teacher.py STORE PAGES PAIRS --topics 200 --dry-run` filled. A cell takes some minutes on one core; one
that was killed goes on from its checkpoint. `report.py` makes tables and plots of the rows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cell import Setting
from studies import STUDIES

RESULTS = Path(__file__).with_name("results.jsonl")
CELL = Path(__file__).with_name("cell.py")
_appending = threading.Lock()


def known() -> dict[str, dict[str, Any]]:
    """Return the rows that are there, by the name of their setting."""
    lines = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.exists() else []
    return {Setting(**row["setting"]).name: row for row in map(json.loads, lines)}


def missing(studies: list[str]) -> Iterator[Setting]:
    """Yield the cells that have no row yet, in their order; a cell that two studies share is run once."""
    seen = set(known())
    for setting in (setting for study in studies for setting in STUDIES[study]):
        if setting.name not in seen:
            seen.add(setting.name)
            yield setting


def run(store: Path, setting: Setting, threads: int) -> bool:
    """Run a cell in a process of its own and append its row; what it said where it failed goes to the terminal."""
    started = time.monotonic()
    command = [sys.executable, str(CELL), str(store), setting.model_dump_json(), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = (
        f"{setting.study}: {setting.facts or 'all'} facts, {json.dumps(setting.recipe)}, wordings {setting.wordings}, gaps {setting.gaps}"
    )
    if done.returncode:
        print(f"FAILED  {told}\n{done.stderr[-2000:]}", flush=True)
        return False
    row = json.loads(done.stdout.splitlines()[-1]) | {"seconds": round(time.monotonic() - started)}
    with _appending, RESULTS.open("a", encoding="utf-8") as file:
        file.write(f"{json.dumps(row)}\n")
    print(f"{row['seconds']:5d} s  {told}: {json.dumps(row['scores'])}", flush=True)
    return True


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("store", type=Path)
    parser.add_argument("studies", nargs="+", choices=sorted(STUDIES))
    parser.add_argument("--side-by-side", type=int, default=1, help="cells at the same time, a core each")
    parser.add_argument("--threads", type=int, default=1, help="threads of a cell")
    given = parser.parse_args()
    cells = list(missing(given.studies))
    print(f"{len(cells)} cells to run", flush=True)
    with ThreadPoolExecutor(given.side_by_side) as pool:
        done = list(pool.map(lambda setting: run(given.store.resolve(), setting, given.threads), cells))
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
