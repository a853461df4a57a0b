"""Which questions a domain's untrained student answers right: the guard file that another model needs (G2). Changes no cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from alas_assets.defs.judging import DECODING
from alas_assets.defs.resources import Alas
from alas_assets.evaluation.answers import ask_all, grade_answers
from alas_assets.records import QA_SCHEMA
from alas_assets.students.client import WorkerError
from alas_assets.synthesis.probes import build_probes
from alas_assets.synthesis.questions import GuardQuestion
from alas_assets.teachers.extractive import ExtractiveTeacher


def answered_guards(
    alas: Alas, domain_key: str, questions: Sequence[GuardQuestion], on_progress: Callable[[int, int], None] | None = None
) -> list[GuardQuestion]:
    """Return the questions that a domain's student, untrained, answers right as its evaluation asks and grades by rule, in their order.

    Args:
        alas: The resource.
        domain_key: The domain, whose `[student]` is asked.
        questions: Candidates; each wording once.
        on_progress: Told how many of how many are answered, after each batch.

    Raises:
        StudentError: The student cannot be prepared.
        WorkerError: The student's process failed, or it failed on single questions, which is no wrong answer.
    """
    student = alas.student(alas.domain(domain_key))
    probes = build_probes(QA_SCHEMA.to_frame(), questions, [], [], 0)
    said = ask_all(
        probes,
        "base",
        lambda items: alas.worker.answer(student, items, None, DECODING, on_progress=on_progress),
        alas.answers,
        base_hash=student.base_hash,
        adapter_hash="",
        decoding=DECODING.model_dump(mode="json"),
    )
    graded = grade_answers(probes, said, ExtractiveTeacher(), by_rule=("guard",))
    failed = graded.filter(pl.col("label") == "failed")
    if failed.height:
        raise WorkerError(
            f"{failed.height} of {graded.height} questions were not answered ({failed['explanation'][0]}); give the command again"
        )
    kept = set(graded.filter(pl.col("label") == "correct")["question"])
    return [question for question in questions if question.question in kept]
