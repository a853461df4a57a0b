"""What an export is: which adapter on which base, judged how, taught from which pages; and the hashes that prove it (T5, G5).

Shapes and `release.json` only. Who gathers it from the store is `defs.releasing`, who writes folders is `release.export`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from alas_assets.provenance.ids import content_hash, file_hash
from alas_assets.records import GateDecision, Record
from alas_assets.students.answering import Decoding, Precision

RELEASE = "release.json"
CARD = "README.md"

Format = Literal["merged", "adapter", "vllm", "ollama", "gguf"]


DTYPES: dict[Precision, str] = {"fp32": "float32", "bf16": "bfloat16"}
"""What torch and vLLM call a precision."""


class ReleaseError(RuntimeError):
    """Something cannot be exported, served or pushed; the message says what to do."""


class Source(Record):
    """A page that taught the adapter."""

    url: str
    title: str
    licence: str = Field(description="as the page states it; empty where it states none")
    facts: int
    read: str = Field(default="", description="day of its newest reading, UTC, ISO 8601; empty where it is not on record")


class Score(Record):
    """One line of the evaluation (`SCOREBOARD_SCHEMA`)."""

    system: str
    split: str
    n: int
    correct: int
    accuracy: float
    ci_low: float
    ci_high: float


class Release(Record):
    """Everything that an export says of its model; no time but the days of its pages, and no path of a machine is in it."""

    domain: str
    title: str
    cell: str = Field(description="the iteration that trained the adapter")
    adapter_hash: str
    kind: Literal["sft", "dpo"]
    base_name: str
    base_revision: str
    base_hash: str
    base_on_hub: bool = Field(description="the base can be had from the hub by name and revision; else it is part of what needs it")
    rank: int
    rows: int
    rows_hash: str
    counts: dict[str, int] = Field(description="training rows by kind")
    trained_from: list[str] = Field(default_factory=list, description="adapters that training went on from, newest first")
    probes_hash: str
    seed: int
    decision: GateDecision
    decision_hash: str
    rolled_back: str = Field(
        default="", description="by whom and when it was rolled back, and why; empty where it was not, or is current again"
    )
    scores_of: str = Field(description="the iteration whose scores these are")
    scores: list[Score]
    scored_as_answering: bool = Field(default=True, description="False: the answers behind the scores were decoded or computed otherwise")
    sources: list[Source]
    unknown_sources: int = Field(default=0, description="facts whose page is no longer on record")
    decoding: Decoding = Field(default_factory=Decoding)

    @property
    def judged(self) -> bool:
        """Whether the gate's decision is on this adapter, and not on the other candidate of its iteration."""
        return self.decision.candidate == self.adapter_hash

    @property
    def model_name(self) -> str:
        """What a server calls it."""
        return self.domain


class Manifest(Record):
    """`release.json`: what machines compare."""

    format: Format | Literal["served"]
    domain: str
    cell: str
    adapter_hash: str = Field(description='"" for the base student')
    base: dict[str, str]
    rows_hash: str
    probes_hash: str
    decision: dict[str, str]
    precision: Precision
    decoding: Decoding
    scores_of: str = Field(default="", description="the iteration whose scores these are")
    scores: list[Score] = Field(default_factory=list, description="those of the card; what is served has none")
    sources: list[Source] = Field(default_factory=list, description="all pages that taught it; what is served has none")
    files: dict[str, str] = Field(description="SHA-256 of every other file of the folder, by its path in it")

    @property
    def hash(self) -> str:
        """The hash of all of it."""
        return content_hash(self.model_dump(mode="json"))


def file_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a folder but `release.json`, by its path in it."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {name: file_hash(path) for path in found if (name := path.relative_to(folder).as_posix()) != RELEASE}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `release.json`."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False)
    (folder / RELEASE).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read the `release.json` of a folder.

    Raises:
        ReleaseError: There is none, or it is damaged.
    """
    path = folder / RELEASE
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise ReleaseError(f"{folder} holds no {RELEASE}, so it is no export") from error
    except (OSError, ValidationError) as error:
        raise ReleaseError(f"{path}: cannot be read ({str(error)[:200]}); export it again into another folder") from error


def damage(folder: Path, manifest: Manifest) -> list[str]:
    """Return what in a folder is not as its manifest says, in words; nothing where it is whole."""
    found = file_hashes(folder)
    missing = [f"{name} is missing" for name in sorted(manifest.files.keys() - found.keys())]
    changed = [f"{name} has other bytes" for name in sorted(manifest.files.keys() & found.keys()) if found[name] != manifest.files[name]]
    return [*missing, *changed, *(f"{name} is not part of it" for name in sorted(found.keys() - manifest.files.keys()))]
