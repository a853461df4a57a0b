"""The domain file: one TOML per domain, validated so that every mistake is one line naming file and key.

Reading and validating only. Where the files lie is `domains.catalog`; what is done with the values is elsewhere.
"""

from __future__ import annotations

import math
import re
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from alas_assets.domains.hosts import named_host
from alas_assets.domains.mistakes import mistakes
from alas_assets.provenance.ids import CELL_NAME
from alas_assets.records import RULES, Category

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


_REPOSITORY = re.compile(r"[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_PLACEHOLDERS = ("topic", "context", "year")


class HostPace(_Section):
    """How one host is asked, where that differs from the rest (R5): your own mirror needs no pauses, a slow host longer ones."""

    host: str = Field(min_length=1, description="a name, which covers its subdomains, or host:port")
    per_host: int | None = Field(default=None, ge=1, le=MAX_CONNECTIONS, description="connections at a time; unset: as for the rest")
    delay_seconds: float | None = Field(
        default=None, ge=0, description="between two requests, unset: as for the rest; a longer crawl-delay of its robots.txt is kept"
    )


class SearchSettings(_Section):
    """Which search provider is asked for pages, and how much (R1, R2)."""

    provider: Literal["searxng", "brave", "tavily", "exa", "duckduckgo"] = Field(
        description="who is asked; searxng is a server of your own",
    )
    url: str = Field(default="", description="where the provider answers; needed for searxng, else the provider's own address")
    key_env: str = Field(default="", description="name of the environment variable that holds the key; the key itself never stands here")
    results: int = Field(default=5, ge=1, le=20, description="hits taken per topic, and asked for per query")
    queries: int = Field(default=24, ge=1, description="queries that one step may ask at most")
    since_days: int = Field(default=365, ge=0, description="how old a hit may be; 0: any age")
    deadline_seconds: float = Field(default=90.0, gt=0, description="after which one step asks no further query")
    templates: tuple[str, ...] = Field(
        default=("{topic} {context}", "{topic} release notes {year}"),
        min_length=1,
        description="queries asked for each topic, from {topic}, {context} (or the title, where there is none) and {year}",
    )

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        return _http_url(value) if value else value

    @field_validator("key_env")
    @classmethod
    def _key_env(cls, value: str) -> str:
        if value and not _VARIABLE.fullmatch(value):  # it may be the key itself, so it is not repeated
            raise ValueError("must be the name of an environment variable, such as BRAVE_API_KEY, and not the key")
        return value

    @field_validator("templates")
    @classmethod
    def _templates(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for template in value:
            for name in _PLACEHOLDER.findall(template):
                if name not in _PLACEHOLDERS:
                    raise ValueError(f"{template!r} has the unknown placeholder {{{name}}}; known are {{topic}}, {{context}} and {{year}}")
        return value

    @model_validator(mode="after")
    def _complete(self) -> SearchSettings:
        if self.provider == "searxng" and not self.url:
            raise ValueError("url: must be set for searxng, such as http://127.0.0.1:8080")
        if self.provider in ("brave", "tavily", "exa") and not self.key_env:
            raise ValueError(f"key_env: must be set for {self.provider}, to the name of the environment variable that holds the key")
        return self


class Sources(_Section):
    """Where pages come from (R1, R2, R5)."""

    seed_urls: tuple[str, ...] = Field(default=(), description="index pages; the pages they link to on the same host are studied")
    feeds: tuple[str, ...] = Field(default=(), max_length=50, description="RSS or Atom feeds; the pages of their entries are studied")
    github: tuple[str, ...] = Field(default=(), max_length=50, description="owner/repo whose releases are studied, through their feed")
    sitemaps: tuple[str, ...] = Field(
        default=(), max_length=50, description="sitemaps, sitemap indexes, plain lists of URLs, or robots.txt files that name sitemaps"
    )
    record_indexes: tuple[str, ...] = Field(
        default=(), max_length=50, description="change lists of vulnerability records: the CVE list's delta.json, OSV's modified_id.csv"
    )
    folder: str = Field(default="", description="a folder of documents, absolute or relative to this file's own folder")
    search: SearchSettings | None = Field(default=None, description="a search provider, asked per topic")
    feeds_ignore_robots: bool = Field(
        default=False, description="read the feeds named here although robots.txt disallows them, as feed readers do (github.com does)"
    )
    watch_urls: tuple[str, ...] = Field(
        default=(),
        max_length=50,
        description="pages whose change opens an iteration, also such that are not there yet; empty: seed_urls. Feeds are watched too",
    )
    allow_hosts: tuple[str, ...] = Field(default=(), description="if set, only these hosts are fetched")
    deny_hosts: tuple[str, ...] = Field(default=(), description="these hosts are never fetched")
    primary_hosts: tuple[str, ...] = Field(
        default=(),
        description="hosts of primary documentation, subdomains included: their pages come first and their word is enough (R1, R7); pages "
        "of other hosts are capped and need a second source. Empty: the hosts that this file names, so that what is named loses no fact",
    )
    private_hosts: tuple[str, ...] = Field(default=(), description="host or host:port on private or loopback addresses that may be fetched")
    link_pattern: str = Field(default="", description="regular expression that a linked or listed page's URL must match; empty: any")
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

    _urls = field_validator("seed_urls", "watch_urls", "feeds", "sitemaps", "record_indexes")(
        lambda urls: tuple(_http_url(u) for u in urls)
    )

    @field_validator("link_pattern")
    @classmethod
    def _link_pattern(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}") from error
        return value

    @field_validator("github")
    @classmethod
    def _github(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for repository in value:
            if not _REPOSITORY.fullmatch(repository):
                raise ValueError(f"{repository!r} is not a GitHub repository: write owner/repo")
        return value

    @model_validator(mode="after")
    def _some(self) -> Sources:
        if not (self.seed_urls or self.feeds or self.github or self.sitemaps or self.record_indexes or self.folder or self.search):
            raise ValueError(
                "seed_urls, feeds, github, sitemaps, record_indexes, folder or search must be set, else there is nothing to read"
            )
        return self

    @property
    def trusted_hosts(self) -> tuple[str, ...]:
        """The primary hosts; where none are named, those of the pages and lists that the file itself names (R7)."""
        return self.primary_hosts or tuple(dict.fromkeys(named_host(url) for url in self.named_urls))

    @property
    def named_urls(self) -> tuple[str, ...]:
        """Every address that the file names as a source."""
        return (*self.seed_urls, *self.watch_urls, *self.feed_urls, *self.sitemaps, *self.record_indexes)

    @property
    def feed_urls(self) -> tuple[str, ...]:
        """All feeds: those that are named, and those of the releases of repositories."""
        return (*self.feeds, *(f"https://github.com/{repository}/releases.atom" for repository in self.github))

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
    revision: str = Field(default="main", description="branch, tag or commit of a model on a hub")
    recipe: str = Field(default="smollm2-135m", description="how it is trained: a recipe that ships, or one of recipes.toml in the store")
    accumulate: Literal["warm-start", "fresh"] = Field(
        default="warm-start",
        description="whether a later iteration goes on from the current adapter or trains a new one on all facts (T2)",
    )
    embedder: str = Field(default="all-MiniLM-L6-v2", description="sentence-transformers name or folder")


class Price(_Section):
    """What a model costs, in the currency of the budget, per million tokens (O5)."""

    model: str = Field(min_length=1, description="its name at the endpoint")
    input: float = Field(ge=0, description="per million tokens that are sent")
    output: float = Field(ge=0, description="per million tokens that come back")


class TeacherSettings(_Section):
    """Who plans, writes, grades and revises: the built-in rules, or models behind an OpenAI-compatible endpoint (P1, S1, E2, V1)."""

    kind: Literal["extractive", "openai"] = Field(default="extractive", description="extractive needs no model; openai speaks the protocol")
    url: str = Field(
        default="", description="the endpoint's base, such as http://127.0.0.1:8000/v1; empty: OPENAI_BASE_URL, or OpenAI's own"
    )
    key_env: str = Field(
        default="OPENAI_API_KEY", description="environment variable that holds the key; a server that needs none needs none set"
    )
    model: str = Field(default="", description="the model's name at the endpoint")
    planner: str = Field(default="", description="the model that plans and revises; empty: model")
    judges: tuple[str, ...] = Field(default=(), max_length=9, description="models that grade, each every answer; empty: model")
    judge_guards: bool = Field(
        default=False,
        description="let the judges grade the guard and neighbour questions too. They are most of all answers and have short gold answers "
        "with aliases, so unless this is set the deterministic grade does it, for both sides that the gate compares",
    )
    api: Literal["auto", "chat", "responses"] = Field(
        default="auto", description="which of the two interfaces; auto: what the server answers"
    )
    answers: Literal["auto", "schema", "json", "xml", "lines"] = Field(
        default="auto", description="the form of answers; auto: schema where the server enforces one, else xml"
    )
    temperature: float = Field(default=0.0, ge=0, le=2, description="of the teacher's calls; 0 asks for the likeliest words")
    max_tokens: int = Field(default=4096, ge=64, description="tokens that one answer may have")
    page_chars: int = Field(default=12_000, ge=500, description="characters of a page that one request shows at most")
    concurrency: int = Field(default=50, ge=1, le=1000, description="calls at a time (S11)")
    requests_per_minute: int = Field(default=0, ge=0, description="in any 60 seconds; 0: no limit")
    tokens_per_minute: int = Field(default=0, ge=0, description="sent and received in any 60 seconds; 0: no limit")
    deadline_seconds: float = Field(default=120.0, gt=0, description="of one attempt, from the first byte sent to the last one read")
    attempts: int = Field(default=5, ge=1, le=20, description="of one call, where what failed may pass")
    format_attempts: int = Field(default=3, ge=1, le=10, description="askings of one item whose answer cannot be read, each simpler (S3)")
    prices: tuple[Price, ...] = Field(default=(), description="as [[teacher.prices]]; a model that is not named is looked up, else unknown")
    replay: bool = Field(default=False, description="answer from the ledger only; a call that is not in it fails")

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        return _http_url(value).rstrip("/") if value else value

    @field_validator("key_env")
    @classmethod
    def _key_env(cls, value: str) -> str:
        if not _VARIABLE.fullmatch(value):  # it may be the key itself, so it is not repeated
            raise ValueError("must be the name of an environment variable, such as OPENAI_API_KEY, and not the key")
        return value

    @field_validator("judges")
    @classmethod
    def _judges(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if RULES in value:
            raise ValueError(f'"{RULES}" is the deterministic grade, which is always given beside the judges; name models only')
        if len(set(value)) < len(value):
            raise ValueError("a model is named twice; its vote would count twice")
        return value

    @model_validator(mode="after")
    def _complete(self) -> TeacherSettings:
        if self.kind == "openai" and not self.model:
            raise ValueError('model: must be set for kind = "openai", to a name that the endpoint knows')
        if self.kind == "extractive" and self.model_fields_set - {"kind"}:
            named = sorted(self.model_fields_set - {"kind"})[0]
            raise ValueError(f'{named}: means nothing to the extractive teacher; set kind = "openai"')
        return self

    def what(self, *purposes: str) -> dict[str, Any]:
        """Return the settings that answers depend on; how fast, at what price and with which key changes no result (O4).

        Args:
            purposes: Of plan, write, judge and revise, those whose models count too.
        """
        if self.kind == "extractive":
            return {"kind": self.kind}
        found = self.model_dump(mode="json", include={"kind", "url", "answers", "temperature", "max_tokens", "page_chars"})
        for purpose in purposes:
            if purpose == "write":
                found |= {"write": self.model, "format_attempts": self.format_attempts}
            elif purpose == "judge":
                found["judge"] = list(self.judges) or [self.model]
            else:
                found |= {purpose: self.planner or self.model, "format_attempts": self.format_attempts}
        return found

    @property
    def rule_splits(self) -> tuple[str, ...]:
        """Splits of probes that the deterministic grade alone grades."""
        return () if self.judge_guards else ("guard", "neighbour")


class Budget(_Section):
    """What one iteration may spend (O5)."""

    min_topics: int = Field(default=10, ge=1, description="topics that an iteration should have; with fewer a check warns")
    max_topics: int = Field(default=12, ge=1, description="new topics at most; whole pages are taken until the next would exceed it")
    pairs_per_topic: int = Field(default=10, ge=1, description="facts of a topic at most")
    tokens: int = Field(default=0, ge=0, description="teacher tokens, sent and received, that one iteration may cost; 0: no cap")
    money: float = Field(default=0.0, ge=0, description="what one iteration's teacher calls may cost; 0: no cap")
    currency: str = Field(default="USD", min_length=1, max_length=8, description="of prices and money")
    max_iterations: int = Field(default=5, ge=1, description="counted from the last outside cause")

    def what(self) -> dict[str, Any]:
        """Return the settings that decide what is planned; a cap on spending changes no result (O4)."""
        return self.model_dump(mode="json", exclude={"tokens", "money", "currency"})


class Retries(_Section):
    """How often a watched domain's failed iteration is tried before it is closed as failed (O2)."""

    attempts: int = Field(default=3, ge=1, description="runs of one iteration that may fail")
    wait_minutes: float = Field(default=10.0, ge=0, description="after the first failure; twice as long after each further one")


class Thresholds(_Section):
    """The numbers that decide (G1, V1, V2, D3)."""

    phrasings: int = Field(default=6, ge=1, description="training phrasings per fact")
    ask_first: bool = Field(
        default=True, description="ask the student first; a fact that it gets right in all held-out wordings is not taught (P4)"
    )
    tau: float = Field(default=0.90, gt=0, le=1, description="share of right answers under which a topic gets remediation")
    delta: float = Field(default=0.01, ge=0, description="gain, as a share of right answers, below which the loop may stop")
    gamma: float = Field(default=0.01, ge=0, description="least gain that promotes, as a share of right answers")
    rho: float = Field(default=0.10, ge=0, le=1, description="most that the share of right answers of a guard set may fall")
    beta: float = Field(default=0.1, gt=0, description="DPO's beta: how strongly the SFT adapter holds")
    unknown_share: float = Field(
        default=0.0,
        ge=0,
        le=0.25,
        description="training rows that ask about an invented name and answer that nobody knows, as a share of the rows of facts (S12). "
        "0 until it is measured what they cost in facts",
    )
    ask_unknown: bool = Field(
        default=False,
        description="ask every system questions that nobody can answer (split `unknown`), also where none is trained on; always done with "
        "an unknown_share above 0. They count neither into the gate nor into the accuracy",
    )

    @property
    def asks_unknown(self) -> bool:
        """Whether unanswerable questions are asked (S12)."""
        return self.ask_unknown or self.unknown_share > 0


class Mix(_Section):
    """The shares of categories that the plan asks for, as fractions that sum to 1 (S6); all 0: whatever the pages give."""

    factual: float = Field(default=0.0, ge=0, le=1, description="what is so: a name, a number, a default")
    conceptual: float = Field(default=0.0, ge=0, le=1, description="what something is or means")
    application: float = Field(default=0.0, ge=0, le=1, description="what to use for a purpose")
    analysis: float = Field(default=0.0, ge=0, le=1, description="why something is so, or what follows from it")
    synthesis: float = Field(default=0.0, ge=0, le=1, description="what several statements say together")

    @model_validator(mode="after")
    def _whole(self) -> Mix:
        total = sum(self.model_dump().values())
        if total and abs(total - 1) > 0.01:
            raise ValueError(f"the shares sum to {total:.2f}; they must sum to 1, or all be left out")
        return self

    @property
    def shares(self) -> dict[Category, float]:
        """The share of each category; empty where no mix is asked for."""
        shares: dict[Category, float] = {name: getattr(self, name) for name in get_args(Category)}
        return shares if any(shares.values()) else {}


class Consensus(_Section):
    """What pages must agree on before a fact is taught (R7); `sources.primary_hosts` says whose word is enough."""

    disputed: Literal["reject", "primary", "keep"] = Field(
        default="reject",
        description="where pages disagree. reject: teach neither side; primary: teach the side that stands on a primary host, if only "
        "one does; keep: flag both and teach them, but for a question that has two answers word for word",
    )
    min_support: int = Field(default=2, ge=1, description="registrable domains that must state a fact of a host that is not primary")
    min_support_primary: int = Field(default=1, ge=1, description="the same for a primary host")
    max_share: float = Field(
        default=0.20, gt=0, le=1, description="accepted facts that one registrable domain may give where its host is not primary"
    )
    max_per_url: int = Field(
        default=10, ge=1, description="accepted facts that one page of such a host may give: no more than a topic has (pairs_per_topic)"
    )


class Domain(_Section):
    """One domain, as its file states it."""

    key: str = Field(description="the file's stem")
    title: str = Field(description="its name for people")
    description: str = Field(min_length=20, description="what it is about, in a sentence; the plan is made for it")
    seed_topics: tuple[str, ...] = Field(default=(), description="topics that the plan is to hold, beside those of the pages")
    note: str = Field(default="", description="what a user should know before running it")
    context: str = Field(default="", description='words that place a question, such as "In Python 3.15"; empty: taken from the page title')
    sources: Sources
    student: Student = Student()
    teacher: TeacherSettings = TeacherSettings()
    budget: Budget = Budget()
    thresholds: Thresholds = Thresholds()
    retries: Retries = Retries()
    consensus: Consensus = Consensus()
    mix: Mix = Mix()
    after_takedown: Literal["fall-back", "refuse"] = Field(
        default="fall-back",
        description="what answers users between a takedown and the end of the retraining: the newest model that learned nothing of the "
        "source, or nothing at all (A3)",
    )
    freshness_hours: float = Field(default=24 * 7, description="how old the domain's knowledge may be; a minute at least (O3)")
    seed: int = Field(default=17, ge=0, description="fixes every random choice")
    guard_file: str = Field(
        default="general.jsonl",
        description="in the folder guards of the store, or in data/guards: general questions that must not be forgotten",
    )
    neighbour_file: str = Field(default="", description="there too: questions on neighbouring topics; empty: none")
    replay_file: str = Field(
        default="general.jsonl",
        description="in the store's folder replay, or in data/replay: prompts the base student answers itself",
    )
    exam_file: str = Field(
        default="",
        description="in the store's folder exams, or in data/exams: scored, never read by planning, synthesis or training; empty: none",
    )

    @field_validator("key")
    @classmethod
    def _key(cls, value: str) -> str:
        if not CELL_NAME.match(value):
            raise ValueError(f"{value!r} cannot be a domain key: use a-z, 0-9 and '-', at most 64, starting with a letter or digit")
        return value

    @field_validator("freshness_hours")
    @classmethod
    def _freshness_hours(cls, value: float) -> float:
        if not 1 / 60 <= value < math.inf:
            raise ValueError("must be at least a minute, which is 0.017")
        return value


def read_domain(path: Path) -> Domain:
    """Read and validate one domain file; its stem is its key.

    Raises:
        DomainError: The file is missing, not TOML, or keys are wrong; a line for each mistake, naming file and key.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DomainError(f"{path}: no such domain file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DomainError(f"{path}: not valid TOML: {error}") from error
    if "key" in raw:
        raise DomainError(f"{path}: key: must not be set, the file's name is the domain's key")
    try:
        return _placed(Domain(key=path.stem, **raw), path)
    except ValidationError as error:
        raise DomainError("\n".join(f"{path}: {mistake}" for mistake in mistakes(error, Domain))) from error


def _placed(domain: Domain, path: Path) -> Domain:
    """Resolve the folder of documents against the domain file's own folder."""
    if not domain.sources.folder:
        return domain
    folder = str((path.parent / Path(domain.sources.folder).expanduser()).absolute())
    return domain.model_copy(update={"sources": domain.sources.model_copy(update={"folder": folder})})
