"""A verdict on what is served, in lines for a terminal. Words only; what is verified is `serving.verify`."""

from __future__ import annotations

from collections.abc import Iterator

from alas_assets.serving.verify import Compared, Verdict

_SHOWN = 20


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """Yield what was checked, counted and found, and the conclusion last."""
    yield f"{verdict.model} at {verdict.url}, against adapter {verdict.adapter_hash} of {verdict.domain}"
    for check in verdict.checks:
        yield f"{'yes' if check.ok else 'NO ':4} {check.what}{f': {check.why}' if check.why and not check.ok else ''}"
    for note in verdict.notes:
        yield f"note {note}"
    asked = verdict.compared
    yield f"     {len(asked)} of {verdict.of} recorded answers were asked again, greedily"
    for split in dict.fromkeys(one.split for one in asked):
        yield f"     {_counted(split, [one for one in asked if one.split == split])}"
    told_apart = [one for one in asked if not one.error and not (one.like_base and one.same_text)]
    unlike = sum(not one.like_base for one in asked if not one.error)
    yield f"     {unlike} of {len(asked)} differ from what the base student answered"
    if verdict.without_effect:
        yield f"NO   an adapter without effect: {len(told_apart)} answers are the base student's where the evaluated model said otherwise"
    elif asked and verdict.could_be_base:
        more = (
            "ask more of them with --sample"
            if len(asked) < verdict.of
            else "only `alas serve`, whose hashes tell them apart, can be verified"
        )
        yield f"NO   none of these answers tells the evaluated model from the base student: {more}"
    for one in verdict.failed[:_SHOWN]:
        yield f"NO   {one.split}: {one.question[:150]}"
        yield f"       recorded {one.recorded[:150]!r}, {_why(one)}"
    if len(verdict.failed) > _SHOWN:
        yield f"     and {len(verdict.failed) - _SHOWN} more; --format json has all"
    if not verdict.proven:
        yield "NOT PROVEN: what answers was not shown to be what was evaluated"
    elif len(asked) < verdict.of:
        yield f"proven on a sample of {len(asked)} of {verdict.of} answers: what answers is what was evaluated, as far as was asked"
    else:
        yield "proven: what answers is what was evaluated"


def _counted(split: str, part: list[Compared]) -> str:
    same = sum(one.same_text for one in part)
    ties = sum(bool(one.tie) for one in part)
    other = sum(not one.same_text and not one.tie and not one.error for one in part)
    grades = sum(not one.same_grade and not one.error for one in part)
    failed = sum(bool(one.error) for one in part)
    return (
        f"{split:10} {same} of {len(part)} the same text, {ties} differ in a numerical tie, {other} differ otherwise, "
        f"{grades} with another grade, {failed} without an answer"
    )


def _why(one: Compared) -> str:
    if one.error:
        return one.error
    behind = "could not be measured" if one.behind is None else f"falls {one.behind:g} logits behind the best"
    grade = "the same grade" if one.same_grade else "another grade"
    return f"served {one.served[:150]!r}, {grade}; it {behind}"
