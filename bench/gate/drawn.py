"""How often the gate's rule for few changed facts promotes what it should not, and what it should (G1).

    .venv/bin/python bench/gate/drawn.py [TRIALS]

Answers are drawn, not asked: every case says what is true of the candidate, and `release.gate.decide` judges it. Prints Markdown.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass

from judged import RHO, probe, promoted

from alas_assets.evaluation.statistics import wilson

GUARDS, EARLIER_FACTS, WORDINGS = 236, 24, 3
"""As in the demo's second iteration."""


@dataclass(frozen=True)
class Case:
    """What is true of a candidate; shares of questions, drawn independently for guards and by fact for earlier facts."""

    name: str
    knows_change: float = 1.0  # chance of each held-out wording of a changed fact to be answered right
    loses_earlier: float = 0.0  # chance that an earlier fact is lost, all its wordings together
    loses_guards: float = 0.0
    wins_guards: float = 0.0
    should: bool = False  # be promoted


CASES = [
    Case("has not learned the change (1 wording in 20 right by luck)", knows_change=0.05),
    Case("half knows it (each wording right with 50 %)", knows_change=0.5),
    Case("learned it, truly lost 10 % of earlier facts", loses_earlier=RHO),
    Case("learned it, truly lost 10 % of the guards", loses_guards=RHO),
    Case("learned it, truly lost 3 % of the guards, won 1 %", loses_guards=0.03, wins_guards=0.01, should=True),
    Case("learned it, lost nothing, guards waver by 1 % both ways", loses_guards=0.01, wins_guards=0.01, should=True),
]


def drawn(case: Case, changed_facts: int, seed: int) -> bool:
    """Draw one candidate and let the gate judge it."""
    draw = random.Random(seed)
    rows = [probe("probe", fact, wording) for fact in range(changed_facts) for wording in range(WORDINGS)]
    rows += [probe("earlier", fact, wording) for fact in range(EARLIER_FACTS) for wording in range(WORDINGS)]
    rows += [probe("guard", fact, 0) for fact in range(GUARDS)]
    lost = {fact: draw.random() < case.loses_earlier for fact in range(EARLIER_FACTS)}
    before = [draw.random() >= case.wins_guards for _ in range(GUARDS)]  # what the candidate wins was wrong before
    known = [draw.random() < case.knows_change for _ in range(changed_facts * WORDINGS)]
    kept = [not lost[fact] for fact in range(EARLIER_FACTS) for _ in range(WORDINGS)]
    candidate = [*known, *kept, *[not ok or draw.random() >= case.loses_guards for ok in before]]
    held = [True] * (EARLIER_FACTS * WORDINGS)
    previous = [*[False] * len(known), *held, *before]
    return promoted(rows, candidate, previous, seed)


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    print("| the candidate | should be promoted | changed facts | promoted |\n| --- | --- | --- | --- |")
    for case in CASES:
        for changed in (1, 4):
            count = sum(drawn(case, changed, seed) for seed in range(trials))
            low, high = wilson(count, trials)
            share = f"{100 * count / trials:.1f} % [{100 * low:.1f}-{100 * high:.1f}]"
            print(f"| {case.name} | {'yes' if case.should else 'no'} | {changed} | {share} |", flush=True)


if __name__ == "__main__":
    main()
