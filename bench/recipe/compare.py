"""The loop against what else one could do with the same facts, on the same held-out questions (E5, D3; the paper's comparisons).

    .venv/bin/python bench/recipe/compare.py STORE [--seeds 1 2 3] [--facts 60] [--threads 1] [--side-by-side 2]

Facts come from the `report` half of the pages, on which no recipe was chosen; the recipe is the default one. A seed is one of the
training, the facts stay. A row for each arm and seed goes to `compare.jsonl`; those that have one are not run again. `compared.py`
makes tables of the rows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from cell import Bench
from facts import asked, drawn, half_of, split_up, worded

from alas_assets.defs.qa import guards_of, neighbours_of
from alas_assets.provenance.ids import content_hash, short_id
from alas_assets.records import TRAIN_ROW_SCHEMA
from alas_assets.synthesis.leaks import find_leaks
from alas_assets.synthesis.preferences import enough
from alas_assets.synthesis.probes import build_probes
from alas_assets.training.spec import DpoRecipe, Recipe, TrainingResult, load_recipe

RESULTS = Path(__file__).with_name("compare.jsonl")
RECIPE = "smollm2-135m"
DRAW = 17
WORDINGS = 3
"""Wordings that are trained on; the fourth is asked for DPO's pairs, two more are only asked."""
PARTS = 3
"""Iterations into which the facts are split where there are several."""

FEW = 2
"""Pairs that a form of DPO is tried with at least."""

DPO: dict[str, dict[str, Any]] = {
    "dpo": {},
    "dpo, rate x 10": {"learning_rate": 5e-5, "min_pairs": FEW},
    "dpo, rate x 10, 4 epochs": {"learning_rate": 5e-5, "epochs": 4, "min_pairs": FEW},
    "dpo, rate x 10, without the SFT term": {"learning_rate": 5e-5, "loss_type": ["sigmoid"], "loss_weights": [1.0], "min_pairs": FEW},
    "dpo, rate x 40, 4 epochs": {"learning_rate": 2e-4, "epochs": 4, "min_pairs": FEW},
}
"""What is tried after the same SFT; the first is the default, which skips where there are few pairs."""


class Made(NamedTuple):
    """What an arm came to: an adapter or none, and what is worth a column."""

    adapter: Path | None
    notes: dict[str, Any]


class Comparison:
    """One seed's arms. What an arm shares with another, the SFT before DPO, is trained once.

    Args:
        bench: The store and the student.
        facts: How many.
        seed: Of the training.
    """

    def __init__(self, bench: Bench, facts: int, seed: int) -> None:
        self.bench, self.seed = bench, seed
        self.recipe = load_recipe(RECIPE)
        self.pairs = drawn(half_of(bench.pairs, "report"), facts, DRAW)
        self.taught = worded(self.pairs, WORDINGS, 0)
        guards, neighbours = guards_of(bench.alas, bench.domain), neighbours_of(bench.alas, bench.domain)
        self.probes = build_probes(pl.concat([self.taught, asked(self.pairs)]), guards, neighbours, [], 0)
        self.asked = content_hash(self.probes.sort("probe_id")["probe_id"].to_list())[:16]
        """Names the questions: a store that was filled anew, at another port, has others, whose answers stand in another order."""
        self.folder = f"compare-{content_hash([self.asked, self.recipe.model_dump(mode='json')])[:12]}-{seed}"

    def made(self, arm: str) -> Made:
        """Make an arm's adapter."""
        arms: dict[str, Callable[[], Made]] = {
            "base": lambda: Made(None, {}),
            "rag": lambda: Made(None, {}),
            "static": self.static,
            "plain": self.plain,
            "sft": self.sft,
            "half": self.half,
            "loop": self.loop,
        }
        return arms[arm]() if arm in arms else self.after_dpo(arm)

    def static(self) -> Made:
        """Generation without research: the student's own answers from memory to the questions, trained as the loop trains."""
        questions = self.taught.unique("question", maintain_order=True)
        blank = build_probes(questions.with_columns(role=pl.lit("probe")), [], [], [], 0)
        said = self.bench.ask(blank, "base", None)
        by_question = dict(zip(blank["question"], blank.join(said, on="probe_id", maintain_order="left")["text"], strict=True))
        own = self.taught.with_columns(answer=pl.col("question").replace_strict(by_question))
        return self._sft("static", self.recipe, own.filter(pl.col("answer").str.strip_chars() != ""))

    def plain(self) -> Made:
        """Standard SFT: one wording, rejected pairs too, nothing else in the rows; as many steps as the loop takes."""
        steps = ceil(self.bench.rows(self.recipe, self.taught, [], self.seed).height * self.recipe.epochs / self.recipe.batch_size)
        once, kept = worded(self.pairs, 1, 0), self.bench.pairs.filter("accepted")
        refused = self.bench.pairs.filter(  # whole facts; single wordings that were refused of an accepted fact are right, or leak
            ~pl.col("accepted")
            & (pl.col("answer") != "")
            & (pl.col("question") != "")
            & ~pl.col("fact_id").is_in(kept["fact_id"].unique().to_list())
            & ~pl.col("fact_group").is_in(self.pairs["fact_group"].unique().to_list())
        ).unique("fact_id", maintain_order=True)
        share = refused.height / (refused.height + kept["fact_id"].n_unique())
        ordered = refused.sort(pl.col("qa_id").map_elements(lambda one: short_id("plain", one), return_dtype=pl.String))
        refused = ordered.head(round(once.height * share / (1 - share)))
        rows = pl.DataFrame(
            [
                {"row_id": row["qa_id"], "kind": "fact", "fact_id": row["fact_id"], "prompt": row["question"], "completion": row["answer"]}
                for row in pl.concat([once, refused]).iter_rows(named=True)
            ],
            schema=TRAIN_ROW_SCHEMA,
        )
        leaking = sorted({leak.row_id for leak in find_leaks(self.probes, rows)})
        rows = rows.filter(~pl.col("row_id").is_in(leaking))
        changes = {"replay_share": 0.0, "replay_kl": 0.0, "word_dropout": 0.0, "order": "length-grouped", "passes": 1}
        settings = (
            self.recipe.model_dump()
            | changes
            | {"min_sights": 0, "min_steps": 0, "epochs": steps / ceil(rows.height / self.recipe.batch_size)}
        )
        result = self.bench.train(f"{self.folder}/plain", Recipe.model_validate(settings), rows, self.probes, self.seed)
        return self._made("plain", result, {"rows": rows.height, "refused": refused.height, "leaking": len(leaking)})

    def sft(self) -> Made:
        """The loop's SFT."""
        return self._sft("sft", self.recipe, self.taught)

    def half(self) -> Made:
        """The loop's SFT with half as many sights of each fact: truly worse, for the gate's power."""
        halved = self.recipe.model_copy(update={"min_sights": self.recipe.min_sights // 2, "min_steps": self.recipe.min_steps // 2})
        return self._sft("half", halved, self.taught)

    def after_dpo(self, arm: str) -> Made:
        """The loop's DPO, in one of its forms, after the loop's SFT."""
        adapter = self.sft().adapter
        assert adapter is not None
        held = self.pairs.filter(~pl.col("qa_id").is_in(self.taught["qa_id"].to_list()))
        return self._dpo(arm, adapter, held, DPO[arm])

    def loop(self) -> Made:
        """The loop in several iterations on a part of the facts each; the adapter that the gate would be given goes on."""
        before: Path | None = None
        parts = split_up(self.pairs, PARTS, DRAW)
        steps, mined = 0, []
        for i, part in enumerate(parts):
            taught = worded(part, WORDINGS, 0)
            rows = self.bench.rows(self.recipe, taught, [worded(one, WORDINGS, 0) for one in parts[:i]], self.seed + i)
            name = f"{self.folder}/loop-{i}"
            result = self.bench.train(name, self.recipe, rows, self.probes, self.seed, before)
            steps += result.steps
            held = part.filter(~pl.col("qa_id").is_in(taught["qa_id"].to_list()))
            before = self.bench.folder / name / "adapter"
            after = self._dpo(f"loop-{i}-dpo", before, held, {})
            if after.adapter is not None and after.adapter != before:
                new = build_probes(pl.concat([taught, asked(part)]), [], [], [], i)
                sft, dpo = (self.bench.right(new, adapter)["probe"].count("1") for adapter in (before, after.adapter))
                before = after.adapter if dpo > sft else before
            mined.append(after.notes["mined"])
        return Made(before, {"steps": steps, "mined": mined})

    def _sft(self, arm: str, recipe: Recipe, taught: pl.DataFrame) -> Made:
        rows = self.bench.rows(recipe, taught, [], self.seed)
        return self._made(arm, self.bench.train(f"{self.folder}/{arm}", recipe, rows, self.probes, self.seed), {"rows": rows.height})

    def _dpo(self, arm: str, sft: Path, pairs: pl.DataFrame, changes: dict[str, Any]) -> Made:
        """Mine and train; with too few pairs the SFT adapter goes on, as in the loop."""
        mined = self.bench.preferences(pairs, sft)
        usable = mined.filter("accepted")
        notes = {"mined": usable.height, "filtered": mined.height - usable.height}
        dpo = DpoRecipe.model_validate(self.recipe.dpo.model_dump() | changes)
        skipped = enough(mined, dpo.min_pairs)
        if skipped:
            return Made(sft, {**notes, "skipped": skipped})
        recipe = self.recipe.model_copy(update={"dpo": dpo})
        result = self.bench.train(f"{self.folder}/{arm}", recipe, usable, self.probes, self.seed, sft, kind="dpo")
        return self._made(arm, result, {**notes, "measured": result.measured})

    def _made(self, arm: str, result: TrainingResult, notes: dict[str, Any]) -> Made:
        told = {"steps": result.steps, "seconds": round(result.phases.get("train", 0.0)), "precision": result.precision}
        return Made(self.bench.folder / self.folder / arm / "adapter", {**told, **notes})

    def row(self, arm: str) -> dict[str, Any]:
        """Make an arm, ask everything, and return its row."""
        started = time.monotonic()
        made = self.made(arm)
        contexts = self.bench.passages(self.probes) if arm == "rag" else None
        right = self.bench.right(self.probes, made.adapter, contexts)
        scores = {split: [bits.count("1"), len(bits)] for split, bits in right.items()}
        seconds = round(time.monotonic() - started)
        about = {"arm": arm, "seed": self.seed, "asked": self.asked}
        return {**about, "scores": scores, **made.notes, "right": right, "all_seconds": seconds}


ARMS = ("base", "rag", "sft", *DPO, "half", "plain", "static", "loop")


def recipe_hash() -> str:
    """Name the default recipe as it is now."""
    return content_hash(load_recipe(RECIPE).model_dump(mode="json"))[:16]


def known(facts: int) -> dict[tuple[str, int], dict[str, Any]]:
    """Return the rows of today's default recipe with so many facts, by arm and seed.

    Raises:
        SystemExit: They are answers to different questions, so they cannot be compared.
    """
    lines = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.exists() else []
    rows = [row for row in map(json.loads, lines) if (row["recipe"], row["facts"]) == (recipe_hash(), facts)]
    if len({row["asked"] for row in rows}) > 1:
        sys.exit(f"{RESULTS}: the rows of {facts} facts are of several stores; remove those of one")
    return {(row["arm"], row["seed"]): row for row in rows}


def one_seed(store: Path, facts: int, seed: int, threads: int, arms: list[str]) -> bool:
    """Run a seed's arms that are missing, and append their rows; return whether all went well. An arm that fails fails alone."""
    bench, well = Bench(store, threads), True
    try:
        comparison = Comparison(bench, facts, seed)
        there = known(facts)
        if other := next((row for row in there.values() if row["asked"] != comparison.asked), None):
            sys.exit(f"{store}: asks other questions than the rows of {RESULTS} (seed {other['seed']}, {other['arm']}); fill it as it was")
        for arm in arms:
            if (arm, seed) in there:
                continue
            try:
                row = {"recipe": recipe_hash(), "facts": facts, **comparison.row(arm), "threads": threads}
            except (subprocess.CalledProcessError, RuntimeError) as error:
                print(f"FAILED  seed {seed}, {arm}: {error}", flush=True)
                well = False
                continue
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(row)}\n")
            print(f"{row['all_seconds']:5d} s  seed {seed}, {arm}: {json.dumps(row['scores'])}", flush=True)
    finally:
        bench.worker.close()
    return well


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("store", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--facts", type=int, default=60)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--side-by-side", type=int, default=1, help="seeds at the same time, each in a process of its own")
    given = parser.parse_args()
    if len(given.seeds) == 1:
        sys.exit(not one_seed(given.store.resolve(), given.facts, given.seeds[0], given.threads, given.arms))
    same = [str(given.store), "--facts", str(given.facts), "--threads", str(given.threads), "--arms", *given.arms]
    failed = threading.Event()

    def run(seed: int) -> None:
        if subprocess.run([sys.executable, __file__, *same, "--seeds", str(seed)], check=False).returncode:
            failed.set()

    with ThreadPoolExecutor(given.side_by_side) as pool:
        list(pool.map(run, given.seeds))
    sys.exit(int(failed.is_set()))


if __name__ == "__main__":
    main()
