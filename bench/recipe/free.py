"""Asks the free-wording questions of the adapter that the first cell of study `all` trained, once the recipe is fixed (T6, E8).

    .venv/bin/python bench/recipe/free.py STORE

Needs that study's adapter in the folder beside the store. Writes `free.jsonl`, an answer of each system to each question, and `free.md`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
from cell import Bench
from facts import half_of, worded
from shown import rate
from studies import STUDIES

from alas_assets.evaluation.exam import covered_by, exam_probes, overlap_report, read_exam

QUESTIONS = Path(__file__).with_name("free_wording.jsonl")
ANSWERS = Path(__file__).with_name("free.jsonl")
TABLE = Path(__file__).with_name("free.md")
WHAT = {"base": "untouched student", "rag": "the same, shown retrieved passages", "sft": "taught, no passages"}


def answers(bench: Bench, adapter: Path, taught: pl.DataFrame) -> list[dict[str, Any]]:
    """Ask all three systems; return a row per question and system."""
    exam = read_exam(QUESTIONS)
    fact_of = covered_by(exam, taught)
    probes = exam_probes(exam)
    asked = {
        "base": bench.graded(probes, None),
        "rag": bench.graded(probes, None, bench.passages(probes)),
        "sft": bench.graded(probes, adapter),
    }
    return [
        {
            "id": row["fact_id"],
            "system": system,
            "taught": fact_of.get(row["fact_id"], ""),
            "gold": row["gold"],
            "answer": row["answer"],
            "label": row["label"],
        }
        for system, graded in asked.items()
        for row in graded.sort("fact_id").iter_rows(named=True)
    ]


def table(rows: list[dict[str, Any]], nearest: float) -> list[str]:
    """Return the scores as Markdown lines."""
    lines = [
        "# Free wordings",
        "",
        "Written by `free.py` from `free.jsonl`: questions that somebody wrote from the pages of the `report` half without having seen",
        "a pair, asked once, of the adapter that the first cell of study `all` in `results.md` trained. *Taught*: a pair of the same page",
        "with the same answer that speaks of the same thing was trained on (`evaluation.exam.covered_by`). Graded by rule. Wilson 95 %",
        f"intervals. The median question shares {nearest:.0%} of its words with the training row nearest to it.",
        "",
        "| system | all questions | n | whose fact was taught | n |",
        "|---|---|---|---|---|",
    ]
    for system, told in WHAT.items():
        own = [row for row in rows if row["system"] == system]
        of_taught = [row for row in own if row["taught"]]
        right, right_taught = (sum(row["label"] == "correct" for row in some) for some in (own, of_taught))
        lines.append(
            f"| `{system}`: {told} | {rate(right, len(own))} | {len(own)} | {rate(right_taught, len(of_taught))} | {len(of_taught)} |"
        )
    return lines


def main(store: Path) -> None:
    """Ask, and write both files."""
    setting = STUDIES["all"][0]
    bench = Bench(store, threads=2)
    adapter = bench.folder / setting.name / "adapter"
    if not adapter.is_dir():
        sys.exit(f"{adapter}: is not there; run bench/recipe/study.py {store} all first")
    try:
        taught = worded(half_of(bench.pairs, setting.half), setting.wordings, setting.gaps)
        rows = answers(bench, adapter, taught)
    finally:
        bench.worker.close()
    ANSWERS.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    nearest = overlap_report(read_exam(QUESTIONS), taught["question"].to_list())["overlap"].median()
    assert isinstance(nearest, float)
    TABLE.write_text("\n".join([*table(rows, nearest), ""]), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
