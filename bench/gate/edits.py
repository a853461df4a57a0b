"""How often one edited fact is learned and promoted: the real student, one sentence of its site changed at a time (G1, O2).

    OMP_NUM_THREADS=1 .venv/bin/python -m bench.gate.edits FOLDER SEED ...

For each seed the student learns the site of the tests (`alas_assets_tests.harness.serving_more`, 11 facts) once; from there each of
eight edits is an iteration of its own. A row for each goes to `edits.jsonl`; those that have one are not run again. A run that was killed
learns the site anew first: it is served on another port then, and ids depend on it. FOLDER holds the stores meanwhile.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl

from alas_assets.provenance.ids import content_hash
from alas_assets.records import GateDecision
from alas_assets.training.spec import load_recipe
from alas_assets_tests.harness import EDITS, Harness, Site, serving_more

RESULTS = Path(__file__).with_name("edits.jsonl")
RECIPE = "smollm2-135m"
ONE_BY_ONE = {"blot()": "smear()", **EDITS}
"""What is edited, and to what; one sentence of the site each."""


def ready(folder: Path, site: Site, seed: int, iteration: int) -> Harness:
    """Return the store in a folder after an iteration of `quill` has ended."""
    harness = Harness(folder, "SmolLM2-135M-Instruct", RECIPE)
    harness.domain("quill", site.port, max_topics="18", guard_file='"general.jsonl"', seed=str(seed), tau="0.3")
    outcome = harness.run("quill", iteration)
    if not outcome.success:
        raise RuntimeError(str(outcome.failures))
    return harness


def learned(harness: Harness, seed: int, old: str, seconds: float) -> dict[str, Any]:
    """Return what the gate said of an edit, as a row."""
    pointers = harness.pointers("quill", 1)
    decision = harness.store.read_record(GateDecision, pointers["promotion"], "promotion")
    system = "dpo_judge_scores" if decision.candidate_system == "dpo" else "judge_scores"
    new = harness.store.read_table(pointers[system], system).filter(pl.col("split") == "probe")
    sets = {guard.name: [guard.other_correct, guard.candidate_correct, guard.n, round(guard.bound, 4)] for guard in decision.guards}
    return {
        "seed": seed,
        "edit": [old, ONE_BY_ONE[old]],
        "verdict": decision.verdict,
        "rule": decision.rule,
        "probes": [new.filter(pl.col("label") == "correct").height, new.height],
        "sets": sets,
        "reason": decision.reason,
        "seconds": round(seconds),
    }


def main() -> None:
    folder = Path(sys.argv[1])
    lines = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.exists() else []
    recipe = content_hash(load_recipe(RECIPE).model_dump(mode="json"))[:16]
    known = {(row["seed"], row["edit"][0]) for row in map(json.loads, lines) if row["recipe"] == recipe}
    well = True
    for seed in map(int, sys.argv[2:]):
        if all((seed, old) in known for old in ONE_BY_ONE):
            continue
        with serving_more() as site:
            parent = folder / f"seed-{seed}"
            shutil.rmtree(parent, ignore_errors=True)
            ready(parent, site, seed, 0).alas.worker.close()
            pages = dict(site.pages)
            for old, new in ONE_BY_ONE.items():
                if (seed, old) in known:
                    continue
                own = folder / f"seed-{seed}-{list(ONE_BY_ONE).index(old)}"
                shutil.rmtree(own, ignore_errors=True)
                shutil.copytree(parent, own)
                (path,) = [path for path, page in pages.items() if old in page]
                site.pages.update({**pages, path: pages[path].replace(old, new)})
                started = time.monotonic()
                try:
                    harness = ready(own, site, seed, 1)
                except RuntimeError as error:
                    print(f"FAILED  seed {seed}, {old} -> {new}: {error}", flush=True)
                    well = False
                    continue
                row = {"recipe": recipe, **learned(harness, seed, old, time.monotonic() - started)}
                harness.alas.worker.close()
                with RESULTS.open("a", encoding="utf-8") as file:
                    file.write(f"{json.dumps(row)}\n")
                told = f"{row['verdict']}, {row['probes']}, {row['sets']}"
                print(f"{row['seconds']:5d} s  seed {seed}, {old} -> {new}: {told}", flush=True)
                shutil.rmtree(own)
    sys.exit(not well)


if __name__ == "__main__":
    main()
