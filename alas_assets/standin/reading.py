"""Takes a teacher's prompt apart: the task, the fenced data, how many are asked for, in what form. What is answered is `standin.answers`.

A prompt is hostile input: whatever it holds, it is read or refused with `UnreadablePromptError`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, get_args

Task = Literal["plan", "write", "paraphrase", "judge", "revise"]
Form = Literal["schema", "json", "xml", "lines"]
TASKS: tuple[str, ...] = get_args(Task)
FORMS: tuple[str, ...] = get_args(Form)
MOST_BLOCKS = 2000
_OPEN = re.compile(r"\[(passage|page|topic|question|reference|answer) (\d{1,6}) \| ([0-9a-f]{8})(?: \| (.*))?\]\s*")
_END = re.compile(r"\[end (\d{1,6}) \| ([0-9a-f]{8})\]\s*")
_TASK = re.compile(r"Task: (\w+)\s*")
_FORM = re.compile(r"Answer as: (\w+)\s*")


class UnreadablePromptError(ValueError):
    """The prompt is not laid out as a teacher's prompt; the message says what is missing."""


@dataclass(frozen=True)
class Block:
    """One piece of fenced data: a passage, a page's outline, a topic, a question, a reference or an answer."""

    kind: str
    number: int
    text: str
    title: str = ""


@dataclass(frozen=True)
class Prompt:
    """What a prompt asks for.

    Attributes:
        task: What is to be done.
        form: How the answer is to be written.
        instructions: The user text outside the fences.
        blocks: The fenced data, in order.
    """

    task: Task
    form: Form
    instructions: str
    blocks: list[Block] = field(default_factory=list)

    def of(self, kind: str) -> list[Block]:
        """Return the blocks of a kind, in order."""
        return [block for block in self.blocks if block.kind == kind]

    def numbered(self, kind: str) -> dict[int, Block]:
        """Return the blocks of a kind by number; of two with one number the first counts."""
        found: dict[int, Block] = {}
        for block in self.of(kind):
            found.setdefault(block.number, block)
        return found

    def count(self, what: str, default: int) -> int:
        """Return how many of something the instructions ask for ("at most 10 pairs", "8 other ways"), at most 1000.

        Args:
            what: A regular expression for the thing counted.
            default: What holds where no number is named.
        """
        found = re.search(rf"\b(\d{{1,4}}) (?:[\w-]+ ){{0,3}}?(?:{what})", self.instructions)
        return min(int(found[1]), 1000) if found else default


def read_prompt(system: str, user: str) -> Prompt:
    """Take a prompt apart.

    Raises:
        UnreadablePromptError: There is no task or form that is known, a fence is not closed, or there are too many.
    """
    task = _TASK.fullmatch(system.lstrip().split("\n", 1)[0])
    if task is None or task[1] not in TASKS:
        raise UnreadablePromptError(f"the system text must begin with a line 'Task: {'|'.join(TASKS)}'")
    form = _FORM.fullmatch(user.rstrip().rsplit("\n", 1)[-1])
    if form is None or form[1] not in FORMS:
        raise UnreadablePromptError(f"the user text must end with a line 'Answer as: {'|'.join(FORMS)}'")
    outside, blocks = _fenced(user)
    return Prompt(task[1], form[1], outside, blocks)  # pyright: ignore[reportArgumentType] (both were looked up above)


def _fenced(user: str) -> tuple[str, list[Block]]:
    outside: list[str] = []
    blocks: list[Block] = []
    opened: re.Match[str] | None = None
    inside: list[str] = []
    for line in user.split("\n"):
        if opened is None:
            opened = _OPEN.fullmatch(line)
            if opened is None:
                outside.append(line)
            elif len(blocks) == MOST_BLOCKS:
                raise UnreadablePromptError(f"more than {MOST_BLOCKS} fenced blocks")
            inside = []
            continue
        end = _END.fullmatch(line)
        if end is not None and end.groups() == (opened[2], opened[3]):
            blocks.append(Block(opened[1], int(opened[2]), "\n".join(inside), opened[4] or ""))
            opened = None
        else:
            inside.append(line)
    if opened is not None:
        raise UnreadablePromptError(f"the fence of {opened[1]} {opened[2]} is not closed")
    return "\n".join(outside), blocks
