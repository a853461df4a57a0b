"""How often the gate promotes a candidate that is no better, and how often one that is, on answers of really trained adapters (G1).

    .venv/bin/python bench/gate/trained.py [TRIALS]

The answers come from `bench/recipe/compare.jsonl`: adapters trained with several seeds on the same facts with one recipe (arm `sft`)
are equal candidates; the same facts learned with half the sights (arm `half`) are what a truly better one is compared with.
A trial draws two adapters, facts and guards with replacement, and `release.gate.decide` judges them as in an iteration. Prints Markdown.
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
    rows = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row["arm"] == arm and row["facts"] == FACTS and row["recipe"] == rows[-1]["recipe"]]


def drawn(previous: Row, candidate: Row, new_facts: int, draw: random.Random) -> bool:
    """Draw facts and guards of two adapters' answers, and let the gate judge the second against the first."""
    facts = range(len(previous["right"]["probe"]) // WORDINGS)
    told = [*draw.choices(facts, k=new_facts), *draw.choices(facts, k=len(facts))]
    guards = draw.choices(range(len(previous["right"]["guard"])), k=len(previous["right"]["guard"]))
    rows = [probe("probe" if i < new_facts else "earlier", i, w) for i in range(len(told)) for w in range(WORDINGS)]
    rows += [probe("guard", i, 0) for i in range(len(guards))]

    def right(row: Row) -> list[bool]:
        bits = [row["right"]["probe"][WORDINGS * fact + w] for fact in told for w in range(WORDINGS)]
        return [bit == "1" for bit in (*bits, *(row["right"]["guard"][guard] for guard in guards))]

    return promoted(rows, right(candidate), right(previous), draw.randrange(2**31))


def rate(pairs: list[tuple[Row, Row]], new_facts: int, trials: int) -> str:
    """Return the share of promotions in so many trials, with its Wilson interval."""
    draw = random.Random(f"{new_facts} {len(pairs)}")
    count = sum(drawn(*draw.choice(pairs), new_facts, draw) for _ in range(trials))
    low, high = wilson(count, trials)
    return f"{100 * count / trials:.1f} % [{100 * low:.1f}-{100 * high:.1f}]"


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    equal, half = rows_of("sft"), rows_of("half")
    accuracy = {
        name: [row["scores"]["probe"][0] / row["scores"]["probe"][1] for row in rows] for name, rows in (("full", equal), ("half", half))
    }
    for name, values in accuracy.items():
        print(f"{name}: {len(values)} adapters, probes {', '.join(f'{100 * value:.0f} %' for value in values)}")
    print(f"\n| new facts | equal candidates promoted | better ones promoted |\n| --- | --- | --- |  <!-- {trials} trials each -->")
    same = list(itertools.permutations(equal, 2))
    better = list(itertools.product(half, equal))
    for new_facts in (6, 12, 24, 48):
        print(f"| {new_facts} | {rate(same, new_facts, trials)} | {rate(better, new_facts, trials)} |", flush=True)


if __name__ == "__main__":
    main()
