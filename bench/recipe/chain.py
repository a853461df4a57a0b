"""Forgetting: a student is taught a handful of new facts, again and again, and asked everything it was ever taught (T2, G2).

    .venv/bin/python bench/recipe/chain.py STORE [--steps 8] [--facts 20] [--seed 17] [--threads 1] [--in-turn] [--rehearsal N] [--most X]
        [--at-once]

Each step trains as an iteration of the loop does: from the adapter before it, with rehearsal and replay of the recipe, and nothing is
promoted or refused. A row for each step goes to `forgetting.jsonl`; steps that have one are not run again. Facts come from the
`report` half of the Python pages, on which no recipe was chosen; `--in-turn` takes those of every other step from the CVE records.
`--rehearsal` changes how many rows of each earlier fact stand in a pass: with the recipe's four a step costs more with every fact known.
`--most` limits that: earlier facts then take turns from pass to pass. `--at-once` teaches the facts of all steps in one, from the untouched
student: what there is to compare with.

Besides the guards, all of which the untouched student answers, so that they can only fall, each step is asked `general.jsonl`: questions
that somebody wrote without asking any model, so that what is lost and what is won both count.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import polars as pl
from cell import CVES, Bench
from facts import asked, drawn, half_of, worded

from alas_assets.defs.qa import guards_of, neighbours_of
from alas_assets.provenance.ids import content_hash
from alas_assets.records import QA_SCHEMA, empty
from alas_assets.synthesis.probes import build_probes
from alas_assets.synthesis.questions import read_guards
from alas_assets.training.spec import Recipe, load_recipe

RESULTS = Path(__file__).with_name("forgetting.jsonl")
OPEN = Path(__file__).with_name("general.jsonl")
RECIPE = "smollm2-135m-quick"
WORDINGS = 4
REHEARSAL = ("rehearsal_per_fact", "rehearsal_most")


def chain_of(recipe: Recipe, groups: list[pl.DataFrame], facts: int, seed: int, *, at_once: bool = False) -> dict[str, Any]:
    """Return what names a chain: everything that decides its adapters; a store that was filled anew, at another port, has other facts.

    What is taught at once rehearses nothing, so how is no part of its name.
    """
    taught = content_hash([sorted(group["qa_id"].to_list()) for group in groups])[:16]
    chain = {"facts": facts, "steps": len(groups), "seed": seed, "taught": taught, "recipe": recipe.model_dump(mode="json")}
    return at_once_of(chain) if at_once else chain


def at_once_of(chain: dict[str, Any]) -> dict[str, Any]:
    """Return what names the training that teaches at once what a chain teaches in steps."""
    recipe = {name: value for name, value in chain["recipe"].items() if name not in REHEARSAL}
    return {**chain, "recipe": recipe, "at_once": True}


def known(chain: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Return the rows of a chain that are there, by step."""
    lines = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.exists() else []
    return {row["step"]: row for row in map(json.loads, lines) if row["chain"] == chain}


def groups_of(pairs: pl.DataFrame, size: int, seed: int, steps: int) -> list[pl.DataFrame]:
    """Return the pairs of each step's facts; a larger draw of a seed holds the smaller one."""
    groups, before = [], pairs.clear()
    for step in range(steps):
        now = drawn(pairs, size * (step + 1), seed)
        groups.append(now.filter(~pl.col("fact_id").is_in(before["fact_id"].unique().to_list())))
        before = now
    return groups


def open_questions() -> pl.DataFrame:
    """Return the general questions that nobody chose by what the student knows, as split `general`."""
    return build_probes(empty(QA_SCHEMA), read_guards(OPEN), [], [], 0).with_columns(split=pl.lit("general"))


def run_step(bench: Bench, recipe: Recipe, chain: dict[str, Any], groups: list[pl.DataFrame], step: int) -> dict[str, Any]:
    """Train one step and ask everything that was taught so far, the guards and the neighbours."""
    name = f"chain-{content_hash(chain)[:12]}"
    guards, neighbours = guards_of(bench.alas, bench.domain), neighbours_of(bench.alas, bench.domain)
    taught = [worded(group, WORDINGS, 0) for group in groups[: step + 1]]
    started = time.monotonic()
    # a wrong answer is told from a right one with the help of other facts' answers: those of all steps, or grades would get stricter
    every = build_probes(pl.concat([*(worded(group, WORDINGS, 0) for group in groups), *map(asked, groups)]), guards, neighbours, [], step)
    so_far = pl.concat(groups[: step + 1])["fact_id"].unique().to_list()
    probes = every.filter((pl.col("split") != "probe") | pl.col("fact_id").is_in(so_far))
    if chain.get("at_once"):
        rows, before = bench.rows(recipe, pl.concat(taught), [], chain["seed"] + step), None
    else:
        rows = bench.rows(recipe, taught[-1], taught[:-1], chain["seed"] + step)
        before = bench.folder / name / f"step-{step - 1}" / "adapter" if step else None
    result = bench.train(f"{name}/step-{step}", recipe, rows, probes, chain["seed"], before)
    adapter = bench.folder / name / f"step-{step}" / "adapter"
    right = bench.right(probes, adapter) | bench.right(open_questions(), adapter)
    own = {fact: i for i, group in enumerate(groups) for fact in group["fact_id"]}
    order = probes.filter(pl.col("split") == "probe").sort("fact_id", "probe_id")
    by_step: dict[str, str] = {}
    for fact, bit in zip(order["fact_id"], right.pop("probe"), strict=True):
        by_step[str(own[fact])] = by_step.get(str(own[fact]), "") + bit
    return {
        "chain": chain,
        "step": step,
        "right": by_step | right,
        "base": bench.right(open_questions(), None),
        "rows": rows.height,
        "steps": result.steps,
        "threads": bench.threads,
        "precision": result.precision,
        "seconds": round(time.monotonic() - started),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("store", type=Path)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--facts", type=int, default=20, help="new facts of each step")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--in-turn", action="store_true", help="two domains in turn")
    parser.add_argument("--rehearsal", type=int, default=load_recipe(RECIPE).rehearsal_per_fact, help="rows of an earlier fact in a pass")
    parser.add_argument("--most", type=float, default=None, help="rehearsal rows of a pass at most, as a multiple of the rows of new facts")
    parser.add_argument("--at-once", action="store_true", help="the facts of all steps in one")
    given = parser.parse_args()
    bench = Bench(given.store.resolve(), given.threads)
    groups = groups_of(half_of(bench.pairs, "report"), given.facts, given.seed, given.steps)
    if given.in_turn:
        groups[1::2] = groups_of(half_of(bench.pairs_of(CVES), "both"), given.facts, given.seed, given.steps // 2)
    recipe = load_recipe(RECIPE).model_copy(update={"rehearsal_per_fact": given.rehearsal, "rehearsal_most": given.most})
    chain = chain_of(recipe, groups, given.facts, given.seed, at_once=given.at_once)
    try:
        for step in [given.steps - 1] if given.at_once else range(given.steps):
            if step in known(chain):
                continue
            row = run_step(bench, recipe, chain, groups, step)
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(row)}\n")
            told = {name: f"{bits.count('1')}/{len(bits)}" for name, bits in row["right"].items()}
            print(f"{row['seconds']:5d} s  step {step}: {json.dumps(told)}", flush=True)
    finally:
        bench.worker.close()


if __name__ == "__main__":
    main()
