"""The domain file: one TOML per domain, validated so that every mistake is one line naming file and key.

Reading and validating only. Where the files lie is `domains.catalog`, the table of sources `domains.sources`; what is done with the values
is elsewhere.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, ValidationError, field_validator, model_validator

from alas_assets.domains.mistakes import mistakes
from alas_assets.domains.sections import VARIABLE, Section, http_url
from alas_assets.domains.sources import Sources
from alas_assets.provenance.ids import CELL_NAME
from alas_assets.records import RULES, Category

MOST_FRESHNESS_HOURS = 87_600
"""How old knowledge may be at most: ten years, so that a date can still hold when it grows stale."""


class DomainError(ValueError):
    """A domain file is missing or wrong; the message names the file and the key."""


class Student(Section):
    """The model that learns."""

    model: str = Field(
        default="SmolLM2-135M-Instruct",
        description="the embedded student, a Hugging Face name, or a folder (a relative path counts from the domain file)",
    )
    revision: str = Field(default="main", description="branch, tag or commit of a model on a hub")
    recipe: str = Field(default="smollm2-135m", description="how it is trained: a recipe that ships, or one of recipes.toml in the store")
    accumulate: Literal["warm-start", "fresh"] = Field(
        default="warm-start",
        description="whether a later iteration goes on from the current adapter or trains a new one on all facts (T2)",
    )
    embedder: str = Field(
        default="all-MiniLM-L6-v2", description="sentence-transformers name or folder (a relative path counts from the domain file)"
    )


class Price(Section):
    """What a model costs, in the currency of the budget, per million tokens (O5)."""

    model: str = Field(min_length=1, description="its name at the endpoint")
    input: float = Field(ge=0, description="per million tokens that are sent")
    output: float = Field(ge=0, description="per million tokens that come back")


class TeacherSettings(Section):
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
    replay: bool = Field(
        default=False, description="answer from the ledger only, and fail where a call is not in it; no relation to replay_file"
    )

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        return http_url(value).rstrip("/") if value else value

    @field_validator("key_env")
    @classmethod
    def _key_env(cls, value: str) -> str:
        if not VARIABLE.fullmatch(value):  # it may be the key itself, so it is not repeated
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


class Budget(Section):
    """What one iteration may spend (O5)."""

    min_topics: int = Field(default=10, ge=1, description="topics that an iteration should have; with fewer a check warns")
    max_topics: int = Field(default=12, ge=1, description="new topics at most; whole pages are taken until the next would exceed it")
    pairs_per_topic: int = Field(default=10, ge=1, description="facts of a topic at most")
    tokens: int = Field(default=0, ge=0, description="teacher tokens, sent and received, that one iteration may cost; 0: no cap")
    money: float = Field(default=0.0, ge=0, description="what one iteration's teacher calls may cost; 0: no cap")
    currency: str = Field(default="USD", min_length=1, max_length=8, description="of prices and money")
    max_iterations: int = Field(
        default=5, ge=1, description="counted from the last outside cause: the first run, a changed or stale source, a takedown"
    )

    def what(self) -> dict[str, Any]:
        """Return the settings that decide what is planned; a cap on spending changes no result (O4)."""
        return self.model_dump(mode="json", exclude={"tokens", "money", "currency"})


class Retries(Section):
    """How often a watched domain's failed iteration is tried before it is closed as failed (O2)."""

    attempts: int = Field(default=3, ge=1, description="runs of one iteration that may fail")
    wait_minutes: float = Field(default=10.0, ge=0, description="after the first failure; twice as long after each further one")


class Thresholds(Section):
    """The numbers that decide (G1, V1, V2, D3)."""

    phrasings: int = Field(default=6, ge=1, description="training phrasings per fact")
    ask_first: bool = Field(
        default=True, description="ask the student first; a fact that it gets right in all held-out wordings is not taught (P4)"
    )
    tau: float = Field(
        default=0.90, gt=0, le=1, description="share of right answers under which a topic is weak, and is planned and taught again"
    )
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


class Mix(Section):
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


class Consensus(Section):
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


class Domain(Section):
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
    freshness_hours: float = Field(default=24 * 7, description="how old the domain's knowledge may be; from a minute to ten years (O3)")
    seed: int = Field(default=17, ge=0, le=2**32 - 1, description="fixes every random choice")
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
        if not value >= 1 / 60:
            raise ValueError("must be at least a minute, which is 0.017")
        if value > MOST_FRESHNESS_HOURS:
            raise ValueError(f"must be at most ten years, which is {MOST_FRESHNESS_HOURS}")
        return value


def read_domain(path: Path) -> Domain:
    """Read and validate one domain file; its stem is its key.

    Raises:
        DomainError: The file is missing, cannot be read, is not TOML, or keys are wrong; a line for each mistake, naming file and key.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors of Windows begin a file with a mark
    except FileNotFoundError as error:
        raise DomainError(f"{path}: no such domain file") from error
    except OSError as error:
        raise DomainError(f"{path}: cannot be read: {error.strerror}; move it away, or let it be read") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DomainError(f"{path}: not valid TOML: {error}") from error
    if "key" in raw:
        raise DomainError(f"{path}: key: must not be set, the file's name is the domain's key")
    try:
        return _placed(Domain(key=path.stem, **raw), path)
    except ValidationError as error:
        raise DomainError("\n".join(f"{path}: {mistake}" for mistake in mistakes(error, Domain))) from error


def _placed(domain: Domain, path: Path) -> Domain:
    """Resolve the folders that a domain file names against its own: from wherever it is read, the same ones are meant."""
    student = {"model": _model_folder(domain.student.model, path), "embedder": _model_folder(domain.student.embedder, path)}
    placed: dict[str, Any] = {"student": domain.student.model_copy(update=student)}
    if domain.sources.folder:
        folder = str((path.parent / Path(domain.sources.folder).expanduser()).absolute())
        placed["sources"] = domain.sources.model_copy(update={"folder": folder})
    return domain.model_copy(update=placed)


def _model_folder(model: str, path: Path) -> str:
    """Return a model's name, or its folder, absolute, where it looks like one or is one beside the domain file."""
    folder = path.parent / Path(model).expanduser()
    return str(folder.absolute()) if model.startswith(("/", "./", "../", "~")) or folder.is_dir() else model
