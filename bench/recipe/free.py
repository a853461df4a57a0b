"""Asks the free-wording questions of the adapters that study `all` trained, each once, after its recipe was fixed (T6, E8).

    .venv/bin/python bench/recipe/free.py STORE

Needs an adapter of that study in the folder beside the store. Appends to `free.jsonl` an answer of each system to each question, those that
have none yet, and writes `free.md` of all of them.
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
WHAT = {
    "base": "untouched student",
    "rag": "the same, shown retrieved passages",
    "quick": "taught as the first cell of `all`, no passages",
    "told": "taught as the second, no passages",
}
TAUGHT = dict(zip(("quick", "told"), STUDIES["all"], strict=True))
"""The systems that are a cell's adapter."""


def known() -> list[dict[str, Any]]:
    """Return the answers that are there."""
    return [json.loads(line) for line in ANSWERS.read_text(encoding="utf-8").splitlines()] if ANSWERS.exists() else []


def answers(bench: Bench, system: str, taught: pl.DataFrame) -> list[dict[str, Any]]:
    """Ask a system; return a row per question."""
    exam = read_exam(QUESTIONS)
    fact_of = covered_by(exam, taught)
    probes = exam_probes(exam)
    adapter = bench.folder / TAUGHT[system].name / "adapter" if system in TAUGHT else None
    graded = bench.graded(probes, adapter, bench.passages(probes) if system == "rag" else None)
    return [
        {
            "id": row["fact_id"],
            "system": system,
            "taught": fact_of.get(row["fact_id"], ""),
            "gold": row["gold"],
            "answer": row["answer"],
            "label": row["label"],
        }
        for row in graded.sort("fact_id").iter_rows(named=True)
    ]


def table(rows: list[dict[str, Any]], nearest: float) -> list[str]:
    """Return the scores as Markdown lines."""
    lines = [
        "# Free wordings",
        "",
        "Written by `free.py` from `free.jsonl`: questions that somebody wrote from the pages of the `report` half without having seen",
        "a pair, asked once of each system; cells are those of study `all` in `results.md`. *Taught*: a pair of the same page",
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
            if own
            else f"| `{system}`: {told} | not asked | | | |"
        )
    return lines


def main(store: Path) -> None:
    """Ask what was not asked, and write both files."""
    bench = Bench(store, threads=2)
    rows = known()
    asked = {row["system"] for row in rows}
    ready = [
        system
        for system in WHAT
        if system not in asked and (system not in TAUGHT or (bench.folder / TAUGHT[system].name / "adapter").is_dir())
    ]
    if not ready and not rows:
        sys.exit(f"{bench.folder}: no adapter of study all is there; run bench/recipe/study.py {store} all first")
    setting = next(iter(TAUGHT.values()))
    try:
        taught = worded(half_of(bench.pairs, setting.half), setting.wordings, setting.gaps)
        for system in ready:
            rows += answers(bench, system, taught)
    finally:
        bench.worker.close()
    ANSWERS.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    nearest = overlap_report(read_exam(QUESTIONS), taught["question"].to_list())["overlap"].median()
    assert isinstance(nearest, float)
    TABLE.write_text("\n".join([*table(rows, nearest), ""]), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
