"""How often the gate promotes a candidate that is no better, and how often one that is, on answers of really trained adapters (G1).

    .venv/bin/python bench/gate/trained.py [TRIALS]

The answers come from `bench/recipe/compare.jsonl`: adapters trained with several seeds on the same facts with one recipe (arm `sft`)
are equal candidates; the same facts learned with half the sights (arm `half`) are what a truly better one is compared with.
A trial draws two adapters, facts and guards with replacement, and `release.gate.decide` judges them as in an iteration. Of equal ones a
coin decides for each fact and guard whose answers count as whose: one seed is a little better than another, and without the coin that
difference would be the truth of every trial. Intervals are those of the drawing, given these adapters. Prints Markdown.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
from pathlib import Path
from typing import Any

from judged import probe, promoted

from alas_assets.evaluation.statistics import wilson

RESULTS = Path(__file__).parents[1] / "recipe" / "compare.jsonl"
FACTS = 60
WORDINGS = 2
"""Held-out wordings of a fact in the studies."""

Row = dict[str, Any]


def rows_of(arm: str) -> list[Row]:
    """Return the rows of an arm, one a seed, of the recipe that was run last."""
    rows = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()] if RESULTS.exists() else []
    return [
        row
        for row in rows
        if row["arm"] == arm and row["facts"] == FACTS and row["recipe"] == rows[-1]["recipe"] and row["asked"] == rows[-1]["asked"]
    ]


def drawn(previous: Row, candidate: Row, new_facts: int, draw: random.Random, *, equal: bool) -> bool:
    """Draw facts and guards of two adapters' answers, and let the gate judge the second against the first; equal ones are shuffled."""
    facts = range(len(previous["right"]["probe"]) // WORDINGS)
    told = [*draw.choices(facts, k=new_facts), *draw.choices(facts, k=len(facts))]
    guards = draw.choices(range(len(previous["right"]["guard"])), k=len(previous["right"]["guard"]))
    rows = [probe("probe" if i < new_facts else "earlier", i, w) for i in range(len(told)) for w in range(WORDINGS)]
    rows += [probe("guard", i, 0) for i in range(len(guards))]

    swapped = [equal and draw.random() < 0.5 for _ in (*told, *guards)]

    def right(row: Row, other: Row) -> list[bool]:
        whose = [other if swap else row for swap in swapped]
        bits = [one["right"]["probe"][WORDINGS * fact + w] for one, fact in zip(whose, told, strict=False) for w in range(WORDINGS)]
        kept = [one["right"]["guard"][guard] for one, guard in zip(whose[len(told) :], guards, strict=True)]
        return [bit == "1" for bit in (*bits, *kept)]

    return promoted(rows, right(candidate, previous), right(previous, candidate), draw.randrange(2**31))


def rate(pairs: list[tuple[Row, Row]], new_facts: int, trials: int, *, equal: bool) -> str:
    """Return the share of promotions in so many trials, with its Wilson interval."""
    draw = random.Random(f"{new_facts} {len(pairs)}")
    count = sum(drawn(*draw.choice(pairs), new_facts, draw, equal=equal) for _ in range(trials))
    low, high = wilson(count, trials)
    return f"{100 * count / trials:.1f} % [{100 * low:.1f}-{100 * high:.1f}]"


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    equal, half = rows_of("sft"), rows_of("half")
    if len(equal) < 2 or not half:
        sys.exit(f"{RESULTS}: needs two rows of arm sft and one of arm half; run bench/recipe/compare.py STORE --arms sft half first")
    accuracy = {
        name: [row["scores"]["probe"][0] / row["scores"]["probe"][1] for row in rows] for name, rows in (("full", equal), ("half", half))
    }
    for name, values in accuracy.items():
        print(f"{name}: {len(values)} adapters, probes {', '.join(f'{100 * value:.0f} %' for value in values)}")
    print(f"\n| new facts | equal candidates promoted | better ones promoted |\n| --- | --- | --- |  <!-- {trials} trials each -->")
    same = list(itertools.permutations(equal, 2))
    better = list(itertools.product(half, equal))
    for new_facts in (6, 12, 24, 48):
        print(f"| {new_facts} | {rate(same, new_facts, trials, equal=True)} | {rate(better, new_facts, trials, equal=False)} |", flush=True)


if __name__ == "__main__":
    main()
