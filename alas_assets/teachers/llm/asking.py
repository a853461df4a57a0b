"""Asking many things at once, and again what could not be read: each time simpler and smaller, all that is left in one batch (S3, S11).

What is asked is a `Task`; how calls travel is the `Asker`'s matter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Self, TypeVar

from pydantic import Field

from alas_assets.records import Record
from alas_assets.teachers.endpoint.calls import Asker, ModelCall, ModelReply, Purpose, is_too_long
from alas_assets.teachers.llm.prompts import Form
from alas_assets.teachers.llm.reading import Reading, UnreadableError, read_reply
from alas_assets.teachers.llm.reading.shapes import Shape, T, raw


class Trouble(Record):
    """Something that could not be used, also where it was asked again and then answered (S10)."""

    purpose: Purpose
    item: str
    attempt: int
    reason: str
    text: str
    unanswered: bool = Field(default=False, description="no answer came at all; another run may get one")


@dataclass(frozen=True)
class Hooks:
    """Who is told while models are asked.

    Attributes:
        trouble: Told of every answer, or part of one, that cannot be used.
    """

    trouble: Callable[[Trouble], None] | None = None


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """One thing to ask.

    Attributes:
        form: How its answer is written.
        attempt: How often it was asked before.
    """

    form: Form
    attempt: int = 0

    @abstractmethod
    def call(self) -> ModelCall:
        """Return the call; equal tasks make equal calls."""

    def simpler(self) -> Sequence[Self]:
        """Return what is asked in its place when its answer cannot be read: the same once more, where nothing simpler is known."""
        return [replace(self, attempt=self.attempt + 1)]

    def smaller(self) -> Sequence[Self]:
        """Return what is asked in its place when the prompt is too long for the model; nothing where it cannot be made shorter."""
        return []

    def fault_in(self, reading: Reading[Any]) -> str:  # noqa: ARG002 - for tasks that number what they ask
        """Return why nothing of a reading counts although each of its items can be read, "" where it does: asked again as unreadable."""
        return ""


def not_asked(numbers: Iterable[int | None], asked: int) -> list[int]:
    """Return the numbers that an answer names although none of the things asked, 1 to `asked`, has them, in order.

    Where there is one, the model may have counted from 0: then every other item stands under the number of its neighbour too.
    """
    return sorted({number for number in numbers if number is not None and not 1 <= number <= asked})


K = TypeVar("K", bound=Task)


@dataclass(frozen=True)
class Outcome(Generic[K, T]):
    """What became of one asking: a reading, or the reason why there is none, with the raw text; and whether the answer is an old one."""

    task: K
    reading: Reading[T] | None
    reason: str = ""
    text: str = ""
    replayed: bool = False


def ask_until_read(asker: Asker, tasks: Sequence[K], shape: Shape[T], again: int, hooks: Hooks) -> list[list[Outcome[K, T]]]:
    """Ask every task, and what could not be read, or was refused as too long, again in simpler and smaller parts.

    Args:
        asker: Answers calls, many at a time.
        tasks: What to ask.
        shape: What all their answers hold.
        again: How often one task is asked again at most.
        hooks: Who is told.

    Returns:
        For each task the outcomes of the parts that it ended in, in order; a task that was read at once has one.

    Raises:
        EndpointError: No further call makes sense.
        BudgetSpentError: The cap is reached.
    """
    ended: dict[tuple[int, ...], Outcome[K, T]] = {}
    pending: list[tuple[tuple[int, ...], K]] = [((i,), task) for i, task in enumerate(tasks)]
    while pending:
        calls = [task.call() for _, task in pending]
        replies = asker.ask(calls)
        following: list[tuple[tuple[int, ...], K]] = []
        for (path, task), call, reply in zip(pending, calls, replies, strict=True):
            parts = _asked_next(task, reply) if task.attempt < again else []
            outcome = _outcome(task, shape, call, reply, hooks, asked_again=bool(parts))
            if outcome.reading is not None and (outcome.reading.items or not outcome.reading.rejected):
                ended[path] = outcome
                continue
            following += [((*path, i), part) for i, part in enumerate(parts)]
            if not parts:
                ended[path] = outcome
        pending = following
    grouped: list[list[Outcome[K, T]]] = [[] for _ in tasks]
    for path in sorted(ended):
        grouped[path[0]].append(ended[path])
    return grouped


def _asked_next(task: K, reply: ModelReply) -> Sequence[K]:
    """Return what is asked in the place of a task whose answer cannot be read, or whose prompt was refused for its length."""
    if is_too_long(reply.failure):
        return task.smaller()
    return [] if reply.failure or reply.finish == "filtered" else task.simpler()


def _outcome(task: K, shape: Shape[T], call: ModelCall, reply: ModelReply, hooks: Hooks, asked_again: bool) -> Outcome[K, T]:
    def trouble(reason: str, text: str) -> None:
        if hooks.trouble is not None:
            none = bool(reply.failure) and reply.finish == "none" and not asked_again
            told = Trouble(purpose=call.purpose, item=call.item, attempt=call.attempt, reason=reason, text=text, unanswered=none)
            hooks.trouble(told)

    try:
        reading = read_reply(reply, task.form, shape)
    except UnreadableError as error:
        trouble(error.reason, error.text)
        return Outcome(task, None, error.reason, error.text, reply.replayed)
    if fault := task.fault_in(reading):
        trouble(fault, raw(reply.text))
        return Outcome(task, None, fault, raw(reply.text), reply.replayed)
    for item in reading.rejected:
        trouble(item.reason, item.text)
    return Outcome(task, reading, replayed=reply.replayed)


_SIMPLER: dict[Form, Form] = {"schema": "xml", "json": "xml", "xml": "lines", "lines": "lines"}


def simpler_form(form: Form) -> Form:
    """Return a form that is easier to write."""
    return _SIMPLER[form]
