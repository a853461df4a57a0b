"""Several judges, one label: what an answer counts as when judges differ or fail (E2, E7).

Grades in, a grade out. Who asks the judges is `evaluation.verdicts`, how far they agree is `evaluation.agreement`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from alas_assets.teachers.protocol import Grade

SCALE = ("incorrect", "partial", "correct")
"""From worst to best; labels are ordered, so the middle one of several means something."""


def decide(grades: Mapping[str, Grade]) -> Grade:
    """Return the grade that several judges' verdicts on one answer come to; it never leans towards the answer.

    The label is the middle one of all judges', the lower of the two middle ones where their number is even. So it is the majority's
    label where there is a majority, and "correct" only where more than half say so: of two judges who differ the stricter decides.

    A judge that failed could have said anything. Where that could change the label the answer is "failed": it stays in the
    denominator, counts as not correct, and is judged again in the next run (E7). An outage of two strict judges therefore never lets
    a lenient third one decide alone.

    Args:
        grades: What each judge said, by its name, in the order of the judges; at least one.
    """
    labels = [grade.label for grade in grades.values()]
    worst, best = (_middle(end if label == "failed" else label for label in labels) for end in (SCALE[0], SCALE[-1]))
    if worst != best:
        return Grade(label="failed", explanation=_why_open(grades))
    deciding = {judge: grade for judge, grade in grades.items() if grade.label == worst}
    kinds = [grade.error_type for grade in deciding.values() if grade.error_type]
    first = next(iter(deciding.values()))
    vote = f"{len(deciding)} of {len(grades)} judges: " if len(grades) > 1 else ""
    error_type = max(kinds, key=kinds.count) if kinds and first.label != "correct" else ""
    return first.model_copy(update={"error_type": error_type, "explanation": vote + first.explanation})


def _middle(labels: Iterable[str]) -> str:
    ranked = sorted(labels, key=SCALE.index)
    return ranked[(len(ranked) - 1) // 2]


def _why_open(grades: Mapping[str, Grade]) -> str:
    said = [f"{judge} says {grade.label}" for judge, grade in grades.items() if grade.label != "failed"]
    failed = [f"{judge} failed: {grade.explanation}" for judge, grade in grades.items() if grade.label == "failed"]
    if len(grades) == 1:
        return failed[0].split(": ", 1)[1]
    return "; ".join([*failed, *said])
