"""Asking a model for grades: the rubric, many answers a call, shuffled and without a name, each graded exactly once (E2, E7).

Which model judges is the caller's choice; the deterministic grade beside it is `evaluation.grading`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from alas_assets.evaluation.tokens import normalise
from alas_assets.provenance.ids import content_hash, fold
from alas_assets.provenance.unseen import without_unseen
from alas_assets.synthesis.wording import clean
from alas_assets.teachers.endpoint.calls import Asker, ModelCall
from alas_assets.teachers.llm.asking import Hooks, Outcome, Task, ask_until_read, not_asked
from alas_assets.teachers.llm.fences import Block, cut, data, line, pack
from alas_assets.teachers.llm.making import Making
from alas_assets.teachers.llm.prompts import Form
from alas_assets.teachers.llm.reading import Reading
from alas_assets.teachers.llm.reading.shapes import JUDGE, Verdict
from alas_assets.teachers.protocol import Grade, GradeRequest
from alas_assets.wording import counted

ITEMS_PER_CALL = 10
ITEMS_PER_RETRY = 3
ANSWER_CHARS = 1_500
_READ_CHARS = 2 * ANSWER_CHARS  # beyond what a judge is shown nothing can be aimed at it
ERROR_TYPES = tuple(name for name in get_args(Grade.model_fields["error_type"].annotation) if name)

_AIMED = re.compile(
    r"""
      \[\s*(?:/?end|answer|question|reference|passage)\s*\d+\s*[|\]]                       # our fences
    | </?\s*(?:grades?|label|error_type|think)\s*>                                         # tags of a judge's answer
    | <\|(?:im_start|start_header_id|system|user|assistant)[^|<>]{0,40}\|>                  # marks of a chat template
    | \b(?:label|grade|verdict)\b["'*_]*\s*[:=]\s*["'*_]*(?:correct|partial|incorrect)\b    # claimed grades
    | \b(?:score|grade)\b["'*_]*\s*[:=]\s*["'*_]*(?:full\b|perfect\b|(\d+)\s*/\s*\1\b)
    | \b(?:ignore|disregard|forget)\b.{0,40}\b(?:instructions?|rubric|system\s+prompt)\b    # orders
    | \b(?:mark|grade|rate|label|score|judge)\s+(?:this|it|me|my|the\s+answer)\b.{0,40}\b(?:correct|right|full|partial)\b
    | \b(?:dear|note\s+to(?:\s+the)?|attention,?|hey,?)\s+(?:judge|grader|evaluator|examiner)\b
    | \b(?:task:\s*judge|answer\s+as:\s*(?:schema|json|xml|lines))\b
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


def aimed_at_the_judge(request: GradeRequest) -> str:
    """Return the piece of an answer that speaks to a judge instead of about its question, "" where there is none.

    It is looked for without the characters that no reader sees, and once more as a prompt shows the answer, with a space for each
    control character. What the question, the gold answer or an alias says itself is no such piece: a page on prompt injection may be
    asked about.
    """
    told = _read(" ".join([request.question, request.gold, *request.aliases]))
    answer = clean(request.answer[:_READ_CHARS])
    for reading in dict.fromkeys([_read(answer), _read(data(answer))]):
        for match in _AIMED.finditer(reading):
            if match[0] not in told:
                return fold(match[0])
    return ""


def _read(text: str) -> str:
    return normalise(without_unseen(clean(text)))


@dataclass(frozen=True, kw_only=True)
class JudgeTask(Task):
    """Some answers, each with its place among the requests."""

    making: Making
    model: str
    entries: tuple[tuple[int, GradeRequest], ...]

    def call(self) -> ModelCall:
        """Return the call."""
        return self.making.call(
            "judge",
            JUDGE,
            self.form,
            {},
            [block for i, (_, request) in enumerate(self.entries, start=1) for block in _blocks(request, i)],
            item=f"{counted(len(self.entries), 'answer')}, the first to {self.entries[0][1].question}",
            attempt=self.attempt,
            model=self.model,
        )

    def fault_in(self, reading: Reading[Verdict]) -> str:
        """Say that the reading grades an item that was not asked: which grade belongs to which answer cannot be told then."""
        strange = not_asked((*(item.item for item in reading.items), *(item.number for item in reading.rejected)), len(self.entries))
        return f"a grade for item {strange[0]}, which was not asked, so that none of its grades counts" if strange else ""


def _blocks(request: GradeRequest, number: int) -> list[Block]:
    others = "; ".join(line(alias, 160) for alias in request.aliases[:10])
    return [
        Block("question", number, line(request.question, 600)),
        Block("reference", number, cut(line(request.gold, 400) + (f"\nAlso right: {others}" if others else ""), 800)),
        Block("answer", number, cut(request.answer, ANSWER_CHARS)),
    ]


def grade(
    asker: Asker, making: Making, model: str, requests: Sequence[GradeRequest], *, form: Form, hooks: Hooks, replay: bool = False
) -> list[Grade]:
    """Grade answers, one grade for each request, in order; what is not graded is "failed" with its reason (E2, E7).

    An empty answer and one that speaks to the judge are graded without a model. A grade counts only for a number that was asked, given
    exactly once, in a reply that names no other; what is missing is asked for once more, in smaller batches. Where that is answered by
    what an earlier run was told already, it is asked until the judge answers anew: what failed would else fail in every run by one reply.

    Args:
        asker: Answers calls.
        making: How calls are made.
        model: The judge.
        requests: What to grade.
        form: How answers are written.
        hooks: Who is told.
        replay: Whether only what was answered before may be read (`teacher.replay`), so that nothing is answered anew.
    """
    grades: dict[int, Grade] = {i: made for i, request in enumerate(requests) if (made := _without_a_model(request)) is not None}
    asked = [(i, request) for i, request in enumerate(requests) if i not in grades]
    # The order is a hash of the content: it says nothing of who answered, and equal sets make equal calls.
    asked.sort(key=lambda entry: content_hash(["judge", clean(entry[1].question), clean(entry[1].gold), clean(entry[1].answer)]))
    missing: dict[int, str] = {}
    again, attempt = asked, 0
    while again and (attempt < 2 or not replay):
        tasks = _tasks(again, making, model, form, attempt, ITEMS_PER_RETRY if attempt else ITEMS_PER_CALL)
        left, old = _ask(asker, tasks, grades, hooks)
        missing = {place: reason for place, reason in missing.items() if place not in grades} | left
        again = [entry for entry in again if entry[0] in (old if attempt else left)]
        attempt += 1
    grades.update({place: Grade(label="failed", explanation=f"not judged: {reason}"[:500]) for place, reason in missing.items()})
    return [grades[i] for i in range(len(requests))]


def _ask(asker: Asker, tasks: Sequence[JudgeTask], grades: dict[int, Grade], hooks: Hooks) -> tuple[dict[int, str], set[int]]:
    """Ask once; return what is missing, with the reason, and which of that an earlier run was told already."""
    missing: dict[int, str] = {}
    old: set[int] = set()
    for outcomes in ask_until_read(asker, tasks, JUDGE, 0, hooks):
        for outcome in outcomes:
            left: dict[int, str] = {}
            _take(outcome, grades, left)
            missing |= left
            old |= set(left) if outcome.replayed else set()
    return missing, old


def _without_a_model(request: GradeRequest) -> Grade | None:
    if not normalise(clean(request.gold)).split() and not any(normalise(clean(alias)).split() for alias in request.aliases):
        return Grade(label="failed", explanation="the probe has no gold answer to compare with")
    if not normalise(clean(request.answer)).split():
        return Grade(label="incorrect", error_type="omission", explanation="the answer is empty")
    aimed = aimed_at_the_judge(request)
    if aimed:
        return Grade(label="incorrect", error_type="other", explanation=f"holds text aimed at the judge: {aimed[:100]!r}")
    return None


def _tasks(entries: Sequence[tuple[int, GradeRequest]], making: Making, model: str, form: Form, attempt: int, size: int) -> list[JudgeTask]:
    groups = [_blocks(request, i) for i, (_, request) in enumerate(entries)]
    return [
        JudgeTask(
            form=form,
            attempt=attempt,
            making=making,
            model=model,
            entries=tuple(entries[group[0].number] for group in packed),
        )
        for packed in pack(groups, making.page_chars, size)
    ]


def _take(outcome: Outcome[JudgeTask, Verdict], grades: dict[int, Grade], missing: dict[int, str]) -> None:
    """Take the verdicts that count; an item that was graded twice is failed for good, since either grade may be a planted one."""
    task, reading = outcome.task, outcome.reading
    places = {number: place for number, (place, _) in enumerate(task.entries, start=1)}
    if reading is None:
        missing.update(dict.fromkeys(places.values(), outcome.reason))
        return
    times = Counter([item.item for item in reading.items] + [item.number for item in reading.rejected if item.number is not None])
    by_number = {item.item: item for item in reading.items}
    why = {item.number: item.reason for item in reading.rejected}
    for number, place in places.items():
        if times[number] > 1:
            grades[place] = Grade(label="failed", explanation=f"not judged: the judge graded it {times[number]} times")
        elif number in by_number:
            grades[place] = _grade(by_number[number])
        else:
            missing[place] = why.get(number) or "the judge left it out"


def _grade(verdict: Verdict) -> Grade:
    said = verdict.error_type.casefold().replace("_", " ").strip()
    error = "" if verdict.label == "correct" else said if said in ERROR_TYPES else "other"
    return Grade(label=verdict.label, error_type=error, explanation=verdict.explanation)  # type: ignore[arg-type]
