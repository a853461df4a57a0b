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
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def ready(folder: Path, site: Site, seed: int, iteration: int) -> Iterator[Harness]:
    """Give the store in a folder after an iteration of `quill` has ended; its model's process ends with the block."""
    harness = Harness(folder, "SmolLM2-135M-Instruct", RECIPE)
    try:
        harness.domain("quill", site.port, max_topics="18", guard_file='"general.jsonl"', seed=str(seed), tau="0.3")
        outcome = harness.run("quill", iteration)
        if not outcome.success:
            raise RuntimeError(str(outcome.failures))
        yield harness
    finally:
        harness.alas.worker.close()


def decided(harness: Harness, iteration: int) -> GateDecision:
    """Return what the gate said."""
    return harness.store.read_record(GateDecision, harness.pointers("quill", iteration)["promotion"], "promotion")


def learned(harness: Harness, seed: int, old: str, seconds: float) -> dict[str, Any]:
    """Return what the gate said of an edit, as a row; `probes` are those that the edited name answers."""
    pointers, decision = harness.pointers("quill", 1), decided(harness, 1)
    system = "dpo_judge_scores" if decision.candidate_system == "dpo" else "judge_scores"
    new = harness.store.read_table(pointers[system], system).filter(
        (pl.col("split") == "probe")
        & (pl.col("gold").str.contains(ONE_BY_ONE[old], literal=True) | pl.col("question").str.contains(ONE_BY_ONE[old], literal=True))
    )
    sets = {guard.name: [guard.other_correct, guard.candidate_correct, guard.n, round(guard.bound, 4)] for guard in decision.guards}
    return {
        "seed": seed,
        "edit": [old, ONE_BY_ONE[old]],
        "before": decision.current_before,
        "verdict": decision.verdict,
        "rule": decision.rule,
        "probes": [new.filter(pl.col("label") == "correct").height, new.height],
        "sets": sets,
        "reason": decision.reason,
        "seconds": round(seconds),
    }


def one_seed(folder: Path, site: Site, seed: int, recipe: str, known: set[tuple[int, str]]) -> bool:
    """Learn the site, then each edit that has no row yet from there; return whether all went well. An edit that fails fails alone.

    Raises:
        RuntimeError: The site itself was not learned, so there is nothing to edit.
    """
    well, parent = True, folder / f"seed-{seed}"
    shutil.rmtree(parent, ignore_errors=True)
    with ready(parent, site, seed, 0) as harness:
        if decided(harness, 0).verdict != "promote":
            raise RuntimeError(f"what the site taught was not promoted: {decided(harness, 0).reason}")
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
            with ready(own, site, seed, 1) as harness:
                row = {"recipe": recipe, **learned(harness, seed, old, time.monotonic() - started)}
        except RuntimeError as error:
            print(f"FAILED  seed {seed}, {old} -> {new}: {error}", flush=True)
            well = False
            continue
        finally:
            shutil.rmtree(own)
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(row)}\n")
        print(f"{row['seconds']:5d} s  seed {seed}, {old} -> {new}: {row['verdict']}, {row['probes']}, {row['sets']}", flush=True)
    return well


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
            try:
                well &= one_seed(folder, site, seed, recipe, known)
            except RuntimeError as error:
                print(f"FAILED  seed {seed}: {error}", flush=True)
                well = False
    sys.exit(not well)


if __name__ == "__main__":
    main()
