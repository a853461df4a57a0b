"""Reads recorded question-answer pairs: JSON Lines, one pair a line. What is answered from them is `standin.answers`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from alas_assets.provenance.ids import fold
from alas_assets.records import Category, Difficulty


class RecordedError(ValueError):
    """Recorded pairs cannot be read; one line that names file, line and key."""


class RecordedPair(BaseModel):
    """One pair as a strong model or a person wrote it; columns that are not named here are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    page: str = Field(default="", description="where its page lies, relative to anything; pairs of one page share it")
    topic: str
    question: str
    answer: str = Field(description="a sentence")
    short_answer: str = Field(description="one to eight words, in the quote")
    aliases: tuple[str, ...] = ()
    category: Category
    difficulty: Difficulty
    rationale: str = ""
    quote: str = Field(description="verbatim from the page, white space and Markdown marks apart")
    phrasings: tuple[str, ...] = Field(default=(), description="other ways to ask; none holds the answer")

    @field_validator("topic", "question", "answer", "short_answer", "quote", mode="after")
    @classmethod
    def _said(cls, value: str) -> str:
        value = fold(value.encode("utf-8", "replace").decode())
        if not value:
            raise ValueError("must not be empty")
        return value

    @field_validator("aliases", "phrasings", mode="after")
    @classmethod
    def _each_said(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        folded = (fold(value.encode("utf-8", "replace").decode()) for value in values)
        return tuple(dict.fromkeys(value for value in folded if value))

    @property
    def asked(self) -> tuple[str, ...]:
        """The question and its other phrasings."""
        return (self.question, *self.phrasings)


def read_pairs(places: Sequence[Path]) -> list[RecordedPair]:
    """Read all pairs of some files and folders, in the order of the places, a folder's `*.jsonl` by name.

    Raises:
        RecordedError: A place is missing or holds no pairs, or a line is wrong.
    """
    pairs: list[RecordedPair] = []
    for place in places:
        files = sorted(place.glob("*.jsonl")) if place.is_dir() else [place]
        if not files:
            raise RecordedError(f"{place}: holds no .jsonl file")
        found = [pair for path in files for pair in _read(path)]
        if not found:
            raise RecordedError(f"{place}: holds no pairs")
        pairs += found
    return pairs


def _read(path: Path) -> list[RecordedPair]:
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise RecordedError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RecordedError(f"{path}: not UTF-8") from error
    found: list[RecordedPair] = []
    for number, line in enumerate(text.split("\n"), start=1):  # not splitlines: U+2028 may stand inside a string
        if not line.strip():
            continue
        try:
            found.append(RecordedPair.model_validate(json.loads(line)))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            raise RecordedError(f"{path}:{number}: {key}: {first['msg']}"[:300]) from error
        except (ValueError, RecursionError) as error:
            raise RecordedError(f"{path}:{number}: not valid JSON: {error}"[:300]) from error
    return found
