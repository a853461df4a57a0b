"""Small probe and answer tables for the tests of evaluation, release and planning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from alas_assets.evaluation.grading import grade
from alas_assets.provenance.ids import probe_id
from alas_assets.records import ANSWER_SCHEMA, PROBE_SCHEMA, QA_SCHEMA
from alas_assets.teachers.protocol import Grade, GradeRequest


def probe(number: int, split: str = "probe", **more: Any) -> dict[str, Any]:
    """Return one probe; two wordings a fact."""
    fact = f"{split}-fact-{number // 2}"
    question = f"What is the {split} answer number {number}?"
    return {
        **dict.fromkeys(("category", "difficulty", "template", "qa_id", "chunk_id", "url"), ""),
        "probe_id": probe_id(fact, question),
        "split": split,
        "fact_id": fact,
        "fact_group": fact,
        "topic_id": f"{split}-topic",
        "topic": f"{split} topic",
        "question": question,
        "answer": f"gold_{number}",
        "aliases": [],
        "answer_kind": "identifier",
        "rivals": [],
        "iteration": 0,
        "overlap": None,
        **more,
    }


def probes(*rows: Mapping[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=PROBE_SCHEMA)


def many(n: int, split: str = "probe", **more: Any) -> list[dict[str, Any]]:
    return [probe(i, split, **more) for i in range(n)]


def answers(asked: pl.DataFrame, system: str, right: Sequence[bool | str], adapter: str = "") -> pl.DataFrame:
    """Return graded answers in the order of the probes; a string is a label of its own."""
    rows = []
    for row, ok in zip(asked.iter_rows(named=True), right, strict=True):
        label = ok if isinstance(ok, str) else "correct" if ok else "incorrect"
        shared = {name: row[name] for name in ("probe_id", "split", "fact_id", "topic_id", "topic", "category", "difficulty", "question")}
        rows.append(
            {
                **dict.fromkeys(("explanation", "judge", "context_hash"), ""),
                **shared,
                "base_hash": "b",
                "answer_id": f"{system}-{row['probe_id']}",
                "system": system,
                "gold": row["answer"],
                "answer": row["answer"] if ok is True else "",
                "label": label,
                "error_type": "omission" if label == "incorrect" else "",
                "token_f1": 1.0 if ok is True else 0.0,
                "adapter_hash": adapter,
                "context_chunks": [],
                "iteration": row["iteration"],
            }
        )
    return pl.DataFrame(rows, schema=ANSWER_SCHEMA)


def pairs(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Return accepted training pairs; what a row leaves out is empty."""
    blank = {
        **dict.fromkeys(QA_SCHEMA.names()),
        "accepted": True,
        "role": "train",
        "aliases": [],
        "answer_kind": "phrase",
        "quote": "",
        "url": "",
    }
    return pl.DataFrame([{**blank, **row} for row in rows], schema=QA_SCHEMA)


class RuleTeacher:
    """A teacher that grades by rule and can be told to fail; nothing else."""

    name = "rules"
    version = "1"
    judges = ("rules",)

    def __init__(self, fail_on: str = "") -> None:
        self.fail_on = fail_on
        self.asked = 0

    def grade_as(self, judge: str, requests: Sequence[GradeRequest]) -> list[Grade]:
        self.asked += len(requests)
        if self.fail_on and any(self.fail_on in request.answer for request in requests):
            raise TimeoutError("the judge did not answer")
        return [grade(request) for request in requests]
