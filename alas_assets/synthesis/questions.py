"""Reads the tracked question files: guard questions (G2) and replay prompts.

One JSON object a line. Which file a domain uses is `domains.config`; what is done with the questions is elsewhere.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError, field_validator

from alas_assets.records import Record
from alas_assets.synthesis.wording import clean, normalise


class QuestionFileError(ValueError):
    """A question file is missing or wrong; the message names file, line and key."""


def _said(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    if clean(value) != value:
        raise ValueError("holds a lone surrogate, which is not text")
    return value.strip()


class GuardQuestion(Record):
    """A question that the student must not unlearn; it is never trained on (G2)."""

    id: str
    question: str
    answer: str
    aliases: list[str] = Field(default_factory=list, description="other answers that are right")

    _filled = field_validator("id", "question", "answer")(_said)
    _aliases = field_validator("aliases")(lambda values: [_said(value) for value in values])


class ReplayPrompt(Record):
    """A prompt whose answer by the base student is trained again, so that other skills stay (T6)."""

    id: str
    prompt: str

    _filled = field_validator("id", "prompt")(_said)


Q = TypeVar("Q", GuardQuestion, ReplayPrompt)


def read_guards(path: Path) -> list[GuardQuestion]:
    """Read a guard file.

    Raises:
        QuestionFileError: The file is missing, empty, or a line is wrong or repeats another; one line naming them.
    """
    return _read(path, GuardQuestion, "question")


def read_replay(path: Path) -> list[ReplayPrompt]:
    """Read a file of replay prompts.

    Raises:
        QuestionFileError: As `read_guards`.
    """
    return _read(path, ReplayPrompt, "prompt")


def _read(path: Path, model: type[Q], text_key: str) -> list[Q]:
    try:
        content = path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise QuestionFileError(f"{path}: no such file") from error
    except OSError as error:
        raise QuestionFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise QuestionFileError(f"{path}:{line}: not UTF-8") from error
    found: list[Q] = []
    seen: dict[tuple[str, str], int] = {}
    for number, line in enumerate(content.split("\n"), start=1):  # not splitlines: U+2028 may stand inside a string
        if not line.strip():
            continue
        item = _parse(path, number, line, model)
        for key, value in (("id", item.id), (text_key, normalise(getattr(item, text_key)))):
            first = seen.setdefault((key, value), number)
            if first != number:
                raise QuestionFileError(f"{path}:{number}: {key}: repeats line {first}")
        found.append(item)
    if not found:
        raise QuestionFileError(f"{path}: holds no questions")
    return found


def _parse(path: Path, number: int, line: str, model: type[Q]) -> Q:
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise QuestionFileError(f"{path}:{number}: not valid JSON: {_one_line(error)}") from error
    if not isinstance(raw, dict):
        raise QuestionFileError(f"{path}:{number}: must be a JSON object")
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        message = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        raise QuestionFileError(f"{path}:{number}: {_one_line(key)}: {_one_line(message)}") from error


def _one_line(value: object) -> str:
    return " ".join(str(value).encode("utf-8", "replace").decode().split())[:200]
