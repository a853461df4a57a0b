"""Proving that what answers over HTTP is what was evaluated: recorded answers are asked again and compared, word for word (G5).

What is compared comes from `defs.proving`; hashes of folders are its, too. A text that differs is looked into: where every token of it is
as good as the evaluated model's best there, it is a numerical tie. A grade that differs is never one.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

import httpx2
from pydantic import Field

from alas_assets.evaluation.grading import grade
from alas_assets.records import Record
from alas_assets.serving.door import ADAPTER_HEADER
from alas_assets.students.answering import AskItem, Decoding, Margins
from alas_assets.students.chat import ANY_MARKER, user_message
from alas_assets.teachers.protocol import GradeRequest

TIE = {"fp32": 0.001, "bf16": 0.5}
"""Logits by which a token may fall behind the best and still be a tie, by the precision of the evaluation.

Measured on 457 answers of the embedded student: between bf16 in batches and bf16 alone 88 texts differ, and no token of the latter is more
than 0.22 behind; in fp32 none differs.
"""
_SECONDS = 600.0
_MAX_REPLY = 1_000_000


class VerifyError(RuntimeError):
    """Nothing can be verified; the message says why and what to do."""


class Recorded(Record):
    """One answer as evaluation recorded it."""

    answer_id: str
    split: str
    question: str
    text: str
    label: str = Field(description="the deterministic grade")
    base_text: str | None = Field(description="what the base student answered; None where it was not asked")
    request: GradeRequest

    @property
    def tells(self) -> bool:
        """Whether it tells the evaluated model from the base student, which answered otherwise."""
        return self.base_text is not None and self.text != self.base_text


class Compared(Record):
    """One answer asked again."""

    answer_id: str
    split: str
    question: str
    recorded: str
    served: str = ""
    error: str = ""
    same_text: bool = False
    same_grade: bool = False
    tie: bool | None = Field(default=None, description="whether a text that differs is a numerical tie; None where it was not looked into")
    behind: float | None = Field(default=None, description="how far its tokens fall behind the best, in logits, at most")
    like_base: bool = Field(default=False, description="the served text is the base student's recorded one")
    tells: bool = Field(default=False, description="neither the recorded nor the served text is the base student's")
    adapter: str = Field(default="", description="what the server says answered")


class Check(Record):
    """One thing that was checked besides the answers."""

    what: str
    ok: bool
    why: str = ""


class Verdict(Record):
    """What verification found."""

    domain: str
    adapter_hash: str
    url: str
    model: str
    checks: list[Check]
    compared: list[Compared]
    of: int = Field(description="recorded answers that there are")
    notes: list[str] = Field(default_factory=list)
    by_hash: bool = Field(default=False, description="the server is a door of ours: the checks tell by hash which weights it has")

    @property
    def failed(self) -> list[Compared]:
        """Answers that speak against it: no answer, another grade, or another text that is no tie."""
        return [one for one in self.compared if one.error or not one.same_grade or not (one.same_text or one.tie)]

    @property
    def without_effect(self) -> bool:
        """Whether the adapter seems to do nothing: all is as the base answered, also where the evaluated model answered otherwise."""
        told_apart = [one for one in self.compared if not one.error and not (one.like_base and one.same_text)]
        return bool(told_apart) and all(one.like_base for one in told_apart)

    @property
    def could_be_base(self) -> bool:
        """Whether nothing that was asked or checked tells the evaluated model from the base student."""
        return not self.by_hash and not any(one.tells for one in self.compared)

    @property
    def proven(self) -> bool:
        """Whether what answers was shown to be what was evaluated."""
        against = self.failed or self.without_effect or self.could_be_base
        return bool(self.compared) and all(check.ok for check in self.checks) and not against


def sampled(recorded: Sequence[Recorded], n: int | None, seed: int) -> list[Recorded]:
    """Return all recorded answers, or `n` of them drawn with a seed, in their order; of each split as many, as far as it has them.

    Splits take turns in the order in which they come, so that facts are drawn before guards. One that tells the model from the base student
    is among them wherever there is one: a sample without it proves nothing.
    """
    if n is None or n >= len(recorded):
        return list(recorded)
    draw, splits = random.Random(seed), {one.split: list[int]() for one in recorded}  # noqa: S311 - a sample, no secret
    for index in draw.sample(range(len(recorded)), len(recorded)):
        splits[recorded[index].split].append(index)
    in_turn = [index for turn in zip_longest(*splits.values()) for index in turn if index is not None]
    telling = next((index for index in in_turn if recorded[index].tells), in_turn[0])
    return [recorded[index] for index in sorted([telling, *(index for index in in_turn if index != telling)][:n])]


def ask(
    url: str,
    model: str,
    recorded: Sequence[Recorded],
    decoding: Decoding,
    key: str = "",
    on_progress: Callable[[int, int], None] | None = None,
    markers: re.Pattern[str] = ANY_MARKER,
) -> list[Compared]:
    """Ask a server recorded questions as evaluation did, greedily, and compare texts and deterministic grades.

    Args:
        url: The server's base, with `/v1`.
        model: What it calls the model.
        recorded: The answers.
        decoding: How evaluation decoded.
        key: Sent as a bearer token; "" for none.
        on_progress: Called with (answered, all) after each.
        markers: The student's (`chat.markers_of`), which were broken up in evaluation too; a server that is none of ours does not.

    Raises:
        VerifyError: The server cannot be reached at all.
    """
    found = []
    with httpx2.Client(timeout=_SECONDS, trust_env=False, headers={"authorization": f"Bearer {key}"} if key else {}) as client:
        for number, one in enumerate(recorded):
            found.append(_compared(client, url, model, one, decoding, markers))
            if on_progress is not None:
                on_progress(number + 1, len(recorded))
    return found


def _compared(client: httpx2.Client, url: str, model: str, one: Recorded, decoding: Decoding, markers: re.Pattern[str]) -> Compared:
    asked = {
        "model": model,
        "messages": [{"role": "user", "content": user_message(one.question, markers=markers)}],
        "temperature": 0,
        "max_tokens": decoding.max_new_tokens,
    }
    known: dict[str, Any] = {"answer_id": one.answer_id, "split": one.split, "question": one.question, "recorded": one.text}
    try:
        reply = client.post(f"{url}/chat/completions", json=asked)
    except httpx2.ConnectError as error:
        raise VerifyError(f"{url}: nothing answers there ({error}); start the server, or give its address with --url") from error
    except httpx2.HTTPError as error:
        return Compared(**known, error=f"no reply: {str(error) or type(error).__name__}")
    adapter = reply.headers.get(ADAPTER_HEADER, "")
    text = content_of(reply.content) if reply.status_code == 200 else None
    if text is None:
        return Compared(**known, adapter=adapter, error=f"status {reply.status_code}: {reply.text[:300]}")
    served = text.strip()
    label = grade(one.request.model_copy(update={"answer": served})).label
    return Compared(
        **known,
        served=served,
        same_text=served == one.text,
        same_grade=label == one.label,
        like_base=served == one.base_text,
        tells=one.tells and served != one.base_text,
        adapter=adapter,
    )


def content_of(raw: bytes) -> str | None:
    """Return the text of a chat completion; None where it is none."""
    if len(raw) > _MAX_REPLY:
        return None
    try:
        body: Any = json.loads(raw)
        content = body["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return None
    return content if isinstance(content, str) else "" if content is None else None


def look_into(
    compared: Sequence[Compared], precision: str, margins: Callable[[list[tuple[AskItem, str]]], list[Margins]]
) -> list[Compared]:
    """Say of every text that differs whether it is a numerical tie under the evaluated model.

    Args:
        compared: What was compared.
        precision: What the evaluation computed in.
        margins: Measures texts under the evaluated model (`ModelWorker.margins`).
    """
    other = [one for one in compared if not one.error and not one.same_text]
    measured = margins([(AskItem(question=one.question), one.served) for one in other])
    found = {one.answer_id: margin for one, margin in zip(other, measured, strict=True)}
    return [
        one.model_copy(update={"behind": margin.worst if not margin.error else None, "tie": margin.worst <= TIE[precision]})
        if (margin := found.get(one.answer_id))
        else one
        for one in compared
    ]
