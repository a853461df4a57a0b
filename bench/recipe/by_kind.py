"""Prints how the CVE facts of study `cves` came out by what is asked about a record, beside what guessing would give (T6, E5).

    .venv/bin/python bench/recipe/by_kind.py STORE

STORE is the one that the study was run on. The student is not asked again: a row of `results.jsonl` holds a bit for each question.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from pathlib import Path

from cell import CVES, Bench
from facts import asked, half_of
from studies import STUDIES
from study import known

from alas_assets.synthesis.probes import build_probes

WORDS = {"product": "the product", "date": "made public", "severity": "the severity", "weakness": "weakness type"}
"""What a question says where it asks for this; any other question has words of its record's own."""


def kind(question: str) -> str:
    """Return what is asked about a record."""
    return next((name for name, words in WORDS.items() if words in question), "other")


def main(store: Path) -> None:
    """Count and print."""
    setting = STUDIES["cves"][0]
    row = known()[setting.name]
    bench = Bench(store, 1, CVES)
    try:
        probes = build_probes(asked(half_of(bench.pairs, setting.half)), [], [], [], 0).sort("fact_id", "probe_id")
    finally:
        bench.worker.close()
    bits = row["right"]["probe"]
    if len(bits) != probes.height:
        sys.exit(f"{store}: has {probes.height} held-out questions of {CVES}, and the row of study cves {len(bits)}; fill it as it was")
    answers, right = defaultdict[str, Counter[str]](Counter), Counter[str]()
    for question, answer, bit in zip(probes["question"], probes["answer"], bits, strict=True):
        answers[kind(question)][answer] += 1
        right[kind(question)] += bit == "1"
    print("| asked for | n | right | the commonest answer alone |\n| --- | --- | --- | --- |")
    for name, said in answers.items():
        print(f"| {name} | {said.total()} | {right[name]} | {said.most_common(1)[0][1]} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
