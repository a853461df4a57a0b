"""A sample of graded answers for a person to grade blind, read back, and held against the judges (E6).

Which tables are sampled and where the sheet lies is `defs.reviewing`'s; agreement is computed in `evaluation.agreement`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any, get_args

import polars as pl

from alas_assets.evaluation.agreement import HUMAN, agreement, item_key, ratings, said
from alas_assets.evaluation.panel import SCALE
from alas_assets.provenance.ids import short_id
from alas_assets.records import RULES
from alas_assets.review.journal import Journal
from alas_assets.review.sheet import Line, Problems
from alas_assets.review.wording import MAX_WORDS, visible, words_of
from alas_assets.teachers.protocol import Grade

ITEM = "a-"
"""Stands before every item: a bare id of digits and one "e" would become a number in a spreadsheet."""

COLUMNS = ("item", "question", "reference", "answer", "label", "error_type", "should_be", "comment")
JUDGE_COLUMNS = ("system", "judge_label", "judge_error_type", "judge_explanation")
ERROR_TYPES = tuple(kind for kind in get_args(Grade.model_fields["error_type"].annotation) if kind)


def draw(answers: pl.DataFrame, share: float, seed: int) -> pl.DataFrame:
    """Return a random share of the different graded answers, at least one, stratified, in random order.

    Every answer has the same chance: the answers are ordered by system, split, label and topic and taken at equal distances from a
    random start, so that each stratum is there in its proportion and the agreement measured on the sample is that of all. Answers
    that only the rules graded are left out where judges graded others; so are those that have no label to compare.

    Args:
        answers: Graded answers (`ANSWER_SCHEMA`).
        share: 0 < share <= 1.
        seed: Fixes the draw; another seed draws another sample.
    """
    graded = answers.filter(pl.col("label") != "failed")
    judged = graded.filter(pl.col("judge") != RULES)
    distinct: dict[str, dict[str, Any]] = {}
    for row in (judged if judged.height else graded).iter_rows(named=True):
        distinct.setdefault(item_key(row["question"], row["gold"], row["answer"]), row)
    if not distinct:
        return graded.clear()
    chance = {key: short_id("review", str(seed), key) for key in distinct}
    strata = sorted(distinct, key=lambda key: (*(str(distinct[key][name]) for name in ("system", "split", "label", "topic")), chance[key]))
    wanted = ceil(share * len(strata))
    start = int(short_id("start", str(seed)), 16) / 16**20
    chosen = {strata[int((i + start) * len(strata) / wanted)] for i in range(wanted)}
    return pl.DataFrame([distinct[key] for key in sorted(chosen, key=lambda key: chance[key])], schema=answers.schema)


def sheet_rows(sample: pl.DataFrame, show_judge: bool = False) -> list[dict[str, str]]:
    """Return the rows of the sheet; without `show_judge` neither the system nor any grade is in it."""
    rows = []
    for row in sample.iter_rows(named=True):
        cells = {"item": ITEM + row["answer_id"], "question": row["question"], "reference": row["gold"], "answer": row["answer"]}
        if show_judge:
            cells |= {
                "system": row["system"],
                "judge_label": row["label"],
                "judge_error_type": row["error_type"] or "",
                "judge_explanation": row["explanation"],
            }
        rows.append(cells)
    return rows


def read_labels(
    lines: Sequence[Line], find: Callable[[Iterable[str]], Mapping[str, Mapping[str, Any]]], file: Path
) -> tuple[list[dict[str, str]], int]:
    """Return what a person decided, and how many rows were left ungraded.

    Args:
        lines: The sheet as read back.
        find: Returns stored graded answers by `answer_id`.
        file: Named in messages.

    Raises:
        SheetError: A label or error type is none, an item is unknown or twice there, or question and answer no longer stand beside
            the item that they were exported with; the message names every row and column.
    """
    problems = Problems(file)
    stored = find({line.cells["item"].removeprefix(ITEM) for line in lines})
    rows: list[dict[str, str]] = []
    first: dict[str, str] = {}
    blank = 0
    for line in lines:
        cells = line.cells
        answer = stored.get(cells["item"].removeprefix(ITEM)) if cells["item"].startswith(ITEM) else None
        if answer is None:
            problems.add(line.where, "item", f"{cells['item'][:60]!r} is no answer of this domain; leave this column as it was exported")
            continue
        label, kind = cells["label"].lower(), cells.get("error_type", "").lower()
        if cells["item"] in first:
            problems.add(line.where, "item", f"stands in {first[cells['item']]} already")
        first.setdefault(cells["item"], line.where)
        for column, name in (("question", "question"), ("reference", "gold"), ("answer", "answer")):
            if visible(cells[column]) != visible(answer[name]):
                problems.add(line.where, column, "is not what was exported with this item; was one column sorted without the others?")
        if label and label not in SCALE:
            problems.add(line.where, "label", f"{label[:40]!r} is none of {', '.join(reversed(SCALE))}")
        if kind and kind not in ERROR_TYPES:
            problems.add(line.where, "error_type", f"{kind[:40]!r} is none of {', '.join(ERROR_TYPES)}")
        elif kind and label in ("", "correct"):
            problems.add(line.where, "error_type", "belongs to a label partial or incorrect only")
        should_be = cells.get("should_be", "").strip()
        if should_be and label in ("", "correct"):
            problems.add(line.where, "should_be", "belongs to a label partial or incorrect only")
        elif len(should_be) > MAX_WORDS:
            problems.add(line.where, "should_be", f"has {len(should_be)} characters; give the answer itself, {MAX_WORDS} at most")
        if not label:
            blank += 1
            continue
        rows.append(
            {
                "item": item_key(answer["question"], answer["gold"], answer["answer"]),
                "answer_id": answer["answer_id"],
                "label": label,
                "error_type": kind,
                "should_be": words_of(should_be),
                "comment": cells.get("comment", ""),
            }
        )
    problems.refuse()
    return rows, blank


def human_labels(root: Path, domain: str) -> dict[str, str]:
    """Return the labels that people gave in a domain, by `evaluation.agreement.item_key`; the last one counts.

    Raises:
        ReviewError: What they decided is damaged.
    """
    return {str(row["item"]): str(row["label"]) for one in Journal(root, domain).imports("answers") for row in one.rows}


def human_lines(answers: pl.DataFrame, human: Mapping[str, str]) -> list[str]:
    """Return in sentences how far each grader agrees with people; empty where they graded none of these answers (E6)."""
    agreed = agreement(ratings(answers, human)).filter((pl.col("one") == HUMAN) | (pl.col("other") == HUMAN))
    return [said(row) for row in agreed.iter_rows(named=True)]
