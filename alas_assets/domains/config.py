"""The domain file: one TOML per domain, validated so that every mistake is one line naming file and key.

Reading and validating only. Where the files lie is `domains.catalog`; what is done with the values is elsewhere.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from alas_assets.provenance.ids import CELL_NAME

MAX_CONNECTIONS = 16
"""Connections that one run holds altogether, and so also to one host."""


class DomainError(ValueError):
    """A domain file is missing or wrong; the message names the file and the key."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{value!r} is not an http(s) URL")
    if parts.username or parts.password:
        raise ValueError(f"{parts.hostname}: a user name or password must not stand in a URL, where logs and tables would show it")
    return value


class HostPace(_Section):
    """How one host is asked, where that differs from the rest (R5): your own mirror needs no pauses, a slow host longer ones."""

    host: str = Field(min_length=1, description="a name, which covers its subdomains, or host:port")
    per_host: int | None = Field(default=None, ge=1, le=MAX_CONNECTIONS, description="connections at a time; unset: as for the rest")
    delay_seconds: float | None = Field(
        default=None, ge=0, description="between two requests, unset: as for the rest; a longer crawl-delay of its robots.txt is kept"
    )


class Sources(_Section):
    """Where pages come from (R2, R5)."""

    seed_urls: tuple[str, ...] = Field(min_length=1, description="index pages; the pages they link to on the same host are studied")
    watch_urls: tuple[str, ...] = Field(
        default=(), max_length=50, description="pages whose change opens an iteration, also such that are not there yet; empty: seed_urls"
    )
    allow_hosts: tuple[str, ...] = Field(default=(), description="if set, only these hosts are fetched")
    deny_hosts: tuple[str, ...] = ()
    private_hosts: tuple[str, ...] = Field(default=(), description="host or host:port on private or loopback addresses that may be fetched")
    link_pattern: str = Field(default="", description="regular expression a linked page's URL must match; empty: any on the seed's host")
    max_pages: int = Field(default=200, ge=1, description="pages surveyed at most")
    timeout_seconds: float = Field(default=20.0, gt=0, description="total deadline for one URL")
    max_bytes: int = Field(default=8_000_000, ge=1000, description="decoded bytes of one page at most")
    delay_seconds: float = Field(default=1.0, ge=0, description="between two requests to one host")
    per_host: int = Field(default=1, ge=1, le=MAX_CONNECTIONS, description="connections to one host at a time")
    hosts: tuple[HostPace, ...] = Field(
        default=(), description="hosts with a pace of their own, as [[sources.hosts]]; the first that fits counts"
    )
    readers: int = Field(
        default=0, ge=0, le=64, description="pages read at a time, each in a process of its own; 0: one per core, at most 8"
    )
    live: bool = Field(default=True, description="false: the pages are the sample site that `alas` serves itself")

    _urls = field_validator("seed_urls", "watch_urls")(lambda urls: tuple(_http_url(u) for u in urls))

    def pace(self, own: HostPace | None) -> tuple[int, float]:
        """Return connections at a time and seconds between two requests of a host, `own` being what is set for it."""
        per_host = own.per_host if own and own.per_host is not None else self.per_host
        delay = own.delay_seconds if own and own.delay_seconds is not None else self.delay_seconds
        return per_host, delay

    def what(self) -> dict[str, Any]:
        """Return the settings that decide what is read; how fast it comes changes no result, so no work is done again for that (O4)."""
        return self.model_dump(mode="json", exclude={"per_host", "hosts", "readers"})


class Student(_Section):
    """The model that learns (T, R3)."""

    model: str = Field(default="SmolLM2-135M-Instruct", description="the embedded student, a Hugging Face name, or a folder")
    revision: str = "main"
    recipe: str = Field(default="smollm2-135m", description="a name in alas_assets/training/recipes.toml")
    accumulate: Literal["warm-start", "fresh"] = Field(default="warm-start", description="T2: how a later iteration builds on earlier ones")
    embedder: str = Field(default="all-MiniLM-L6-v2", description="sentence-transformers name or folder")


class TeacherSettings(_Section):
    """Who plans, writes, grades and revises."""

    kind: Literal["extractive"] = "extractive"


class Budget(_Section):
    """What one iteration may spend (O5)."""

    min_topics: int = Field(default=10, ge=1)
    max_topics: int = Field(default=12, ge=1, description="new topics at most; whole pages are taken until the next would exceed it")
    pairs_per_topic: int = Field(default=10, ge=1)
    max_iterations: int = Field(default=5, ge=1, description="counted from the last outside cause")


class Thresholds(_Section):
    """The numbers that decide (G1, V1, V2, D3)."""

    phrasings: int = Field(default=6, ge=1, description="training phrasings per fact")
    tau: float = Field(default=0.90, gt=0, le=1, description="a topic under it gets remediation")
    delta: float = Field(default=0.01, ge=0, description="gain below which the loop may stop")
    gamma: float = Field(default=0.01, ge=0, description="least gain that promotes")
    rho: float = Field(default=0.10, ge=0, le=1, description="most a guard set may fall")
    beta: float = Field(default=0.1, gt=0, description="DPO's beta")


class Domain(_Section):
    """One domain, as its file states it."""

    key: str = Field(description="the file's stem")
    title: str
    description: str = Field(min_length=20)
    seed_topics: tuple[str, ...] = ()
    note: str = Field(default="", description="what a user should know before running it")
    context: str = Field(default="", description='words that place a question, such as "In Python 3.15"; empty: taken from the page title')
    sources: Sources
    student: Student = Student()
    teacher: TeacherSettings = TeacherSettings()
    budget: Budget = Budget()
    thresholds: Thresholds = Thresholds()
    freshness_hours: float = Field(default=24 * 7, gt=0, description="how old the domain's knowledge may be (O3)")
    seed: int = Field(default=17, ge=0, description="fixes every random choice")
    guard_file: str = Field(default="general.jsonl", description="in data/guards")
    neighbour_file: str = Field(default="", description="in data/guards; questions on neighbouring topics")
    replay_file: str = Field(default="general.jsonl", description="in data/replay: prompts the base student answers itself")
    exam_file: str = Field(default="", description="in data/exams; scored, never read by planning, synthesis or training")

    @field_validator("key")
    @classmethod
    def _key(cls, value: str) -> str:
        if not CELL_NAME.match(value):
            raise ValueError(f"{value!r} cannot be a domain key: use a-z, 0-9 and '-', at most 64, starting with a letter or digit")
        return value


def read_domain(path: Path) -> Domain:
    """Read and validate one domain file; its stem is its key.

    Raises:
        DomainError: The file is missing, not TOML, or a key is wrong; one line naming file and key.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DomainError(f"{path}: no such domain file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DomainError(f"{path}: not valid TOML: {error}") from error
    try:
        return Domain(key=path.stem, **raw)
    except TypeError as error:
        raise DomainError(f"{path}: key: must not be set, the file's name is the domain's key") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = "unknown key"
        raise DomainError(f"{path}: {where}: {message}") from error
