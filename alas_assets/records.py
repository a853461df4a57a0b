"""The shape of every record and table that passes between stages; the columns are the audit's join keys.

Only shapes live here. Who fills them: planning, retrieval, synthesis, evaluation, training, release.
Scalars and small lists travel as pydantic records (stored as JSON), rows as polars tables (stored as Parquet).
"""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

Difficulty = Literal["Easy", "Medium", "Hard"]
Category = Literal["factual", "conceptual", "application", "analysis", "synthesis"]
AnswerKind = Literal["version", "pep", "cve", "issue", "identifier", "date", "quantity", "name", "phrase"]
Role = Literal["train", "mine", "probe"]
"""What a phrasing is for: SFT rows, mining DPO pairs, or deciding promotion. A template has one role for all facts."""


class Record(BaseModel):
    """Base of all records: unknown fields are refused, so that a typo never passes silently."""

    model_config = ConfigDict(extra="forbid")


# ------------------------------------------------------------------------------------------------ planning


class PageOutline(Record):
    """What the planner knows of a page before it is studied."""

    url: str
    title: str
    headings: list[str] = Field(default_factory=list, description="h2 and h3 in document order")
    summary: str = ""
    text_sha256: str = Field(default="", description="of the page's text, so that a page that reads differently is noticed")
    text_chars: int = Field(default=0, description="length of the page's text, by which its cost is estimated")
    found_by: str = Field(default="", description="what led to it: seed, link, feed, sitemap, records, folder or search, with which")


class Topic(Record):
    """One topic of the syllabus (P1)."""

    topic_id: str
    name: str
    summary: str = ""
    prerequisites: list[str] = Field(default_factory=list, description="names of topics to learn before")
    objectives: list[str] = Field(default_factory=list)
    difficulty: Difficulty = "Easy"
    urls: list[str] = Field(default_factory=list, description="pages to study")
    heading: str | None = Field(default=None, description="the section of the page; None for the whole page")
    origin: Literal["new", "remediation", "advanced", "changed"] = "new"
    parent: str | None = Field(default=None, description="topic_id that this one remediates or advances")


class AdapterRef(Record):
    """A trained (or deliberately not trained) adapter; the folder lies in the store under its hash."""

    adapter_hash: str
    kind: Literal["sft", "dpo"]
    trained: bool = Field(description="False where the step was skipped and the hash is the SFT candidate's")
    reason: str = ""
    base_hash: str
    rows_hash: str = Field(description="content hash of the exact training rows")
    probes_hash: str = Field(description="hash of the probe table that was fixed before the first optimiser step")
    manifest_hash: str = ""
    steps: int = 0
    tokens: int = 0
    seconds: float = Field(default=0.0, description="wall-clock seconds of the training child; not part of any hash")
    resumed_from: int = Field(
        default=0,
        exclude_if=lambda step: not step,  # a reference without it has the hash that it had before
        description="step of the checkpoint that these seconds start at; not part of any hash",
    )
    loss_history: list[tuple[int, float]] = Field(default_factory=list, description="(step, loss)")


class Tombstone(Record):
    """What a takedown leaves in the folder of an adapter that it retired: hashes, and which takedown it was (A3)."""

    takedown: str
    adapter_hash: str
    rows_hash: str
    kind: str
    init_adapter: str = Field(default="", description="what it was trained from, so that an old answer can still be traced")
    at: str


class Inherited(Record):
    """What an iteration takes over from earlier ones, by id and content hash."""

    current_adapter: str | None = Field(default=None, description="adapter hash that was current at opening")
    qa_hashes: list[str] = Field(default_factory=list, description="qa_pairs artifacts of earlier iterations, oldest first")
    probe_hashes: list[str] = Field(default_factory=list, description="probes artifacts of earlier iterations, oldest first")
    document_hashes: list[str] = Field(default_factory=list, description="documents artifacts of earlier iterations, oldest first")
    mastered: list[str] = Field(default_factory=list, description="topic names")
    covered_urls: list[str] = Field(default_factory=list)
    covered_topics: list[str] = Field(default_factory=list, description="topic_ids planned before")
    accuracy_history: list[float] = Field(default_factory=list, description="A_t of earlier iterations (V2)")


class Seed(Record):
    """The feedback port: where an iteration starts (`curriculum_seed`)."""

    domain: str
    iteration: int
    description: str
    seed_topics: list[str]
    seed_urls: list[str]
    cause: str = Field(description="why this iteration was opened, in words")
    since_cause: int = Field(default=1, ge=1, description="iterations since the last outside cause, this one included")
    changed_pages: list[str] = Field(default_factory=list, description="pages that changed since they were studied: again, and first (O2)")
    weak_topics: list[Topic] = Field(default_factory=list, description="remediation first (V1)")
    next_topics: list[Topic] = Field(default_factory=list, description="topics left over or spawned by the revision")
    inherited: Inherited = Field(default_factory=Inherited)
    revised_from: str | None = Field(default=None, description="content hash of the revision this seed came from")
    retrain: list[str] = Field(
        default_factory=list, description="takedowns for which all standing facts are trained anew from the base student (A3)"
    )

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave out what no takedown set, so that the content hashes of all other seeds stay what they are."""
        return {name: value for name, value in handler(self).items() if name != "retrain" or value}


class Curriculum(Record):
    """The ordered syllabus of one iteration (P1-P3)."""

    domain: str
    iteration: int
    topics: list[Topic]
    deferred: list[Topic] = Field(default_factory=list, description="planned, but beyond this iteration's budget")
    merged: list[tuple[str, str]] = Field(default_factory=list, description="(dropped name, kept name)")
    merged_ids: list[tuple[str, str]] = Field(
        default_factory=list,
        exclude_if=lambda ids: not ids,  # a plan without it has the hash that it had before
        description="(dropped topic_id, kept topic_id): what the kept topic covers too",
    )
    broken_cycles: list[list[str]] = Field(default_factory=list)
    failed_urls: list[tuple[str, str]] = Field(default_factory=list, description="(url, reason) of pages not surveyed")
    changed_pages: list[str] = Field(default_factory=list, description="pages that read differently from when they were last studied")
    unread_sources: list[tuple[str, str]] = Field(default_factory=list, description="(url, reason) of watched sources not read (O3)")
    found_by: dict[str, str] = Field(default_factory=dict, description="what led to each surveyed page, by URL")
    teacher: str = ""


class TopicScore(Record):
    """A topic's accuracy under the model that is current after the gate (E4)."""

    topic_id: str
    name: str
    n: int
    correct: int
    accuracy: float


class RevisedCurriculum(Record):
    """What comes next, and why (V1, V2)."""

    domain: str
    iteration: int
    decision: Literal["continue", "stop"]
    reason: str
    accuracy: float | None = Field(
        description="A_t: the current model on all still valid probes; without any, as in the iteration before, None in the first"
    )
    previous_accuracy: float | None = None
    topic_scores: list[TopicScore] = Field(default_factory=list)
    mastered: list[str] = Field(default_factory=list)
    remediation: list[Topic] = Field(default_factory=list)
    next_topics: list[Topic] = Field(default_factory=list)
    novel_facts: int = Field(default=0, description="facts this iteration taught that no earlier one did")
    since_cause: int = Field(default=1, ge=1, description="iterations since the last outside cause, this one included")


# ------------------------------------------------------------------------------------------------ synthesis


class Phrasing(Record):
    """One way to ask for a fact."""

    text: str
    template: str = Field(description="id of the rule or prompt that made it; roles never share a template")
    role: Role


class DraftFact(Record):
    """One fact as a teacher wrote it, before curation (S1, S2, S4)."""

    topic_id: str
    chunk_id: str
    quote: str = Field(description="verbatim from the chunk, after whitespace folding")
    answer: str
    aliases: list[str] = Field(default_factory=list)
    answer_kind: AnswerKind = "phrase"
    category: Category = "factual"
    difficulty: Difficulty = "Easy"
    rationale: str = ""
    phrasings: list[Phrasing]


class RejectedDraft(Record):
    """Something a teacher could not turn into a pair, kept with its reason (S10)."""

    topic_id: str
    chunk_id: str
    text: str
    reason: str


# ------------------------------------------------------------------------------------------------ release


class PairedTest(Record):
    """A paired comparison of two systems on the same probes."""

    n: int
    wins: int = Field(description="probes only the candidate got right")
    losses: int = Field(description="probes only the other got right")
    candidate_correct: int
    other_correct: int
    gain: float = Field(description="difference of the two accuracies, a fraction")
    p_value: float = Field(description="exact one-sided McNemar")
    ci_low: float = Field(description="of the gain, 95 %, facts resampled")
    ci_high: float


class GuardResult(Record):
    """How one guard set fared (G2)."""

    name: str
    n: int
    candidate_correct: int
    other_correct: int
    drop: float = Field(description="points as a fraction; positive is worse")
    allowed: float
    facts_lost: int = Field(default=0, description="facts, or questions of their own, that lost more than half of their wordings")
    bound: float = Field(
        default=1.0,
        description="one-sided 95 % bound of the drop, by wordings and, if a fact was lost, by facts; the mean if nothing was lost",
    )
    ok: bool


class GateDecision(Record):
    """The gate's verdict on one candidate (G1)."""

    domain: str
    iteration: int
    verdict: Literal["promote", "keep", "undecided"]
    reason: str
    candidate: str | None = Field(description="adapter hash that met the gate")
    candidate_system: Literal["sft", "dpo"] | None = None
    rule: Literal["gain", "correction"] = Field(
        default="gain", description="what decided: the paired test, or the rule for few changed facts"
    )
    current_before: str | None
    current_after: str | None
    test: PairedTest | None = None
    guards: list[GuardResult] = Field(default_factory=list)
    probes_to_decide: int | None = Field(default=None, description="how many probes would decide, where undecided")


# ---------------------------------------------------------------------------------------------- tables

_TEXT_LIST = pl.List(pl.String)
_UTC = pl.Datetime("us", "UTC")
_VERDICT = pl.Struct({"judge": pl.String, "label": pl.String, "error_type": pl.String, "explanation": pl.String})

FETCH_SCHEMA = pl.Schema(
    {
        "requested_url": pl.String,
        "final_url": pl.String,
        "canonical_url": pl.String,  # declared by the page; shown, never identity (R3)
        "page_id": pl.String,
        "host": pl.String,
        "topic_ids": _TEXT_LIST,
        "found_by": pl.String,  # seed | link | feed <url> | sitemap <url> | records <url> | folder | search <provider>: <query> | query
        "ok": pl.Boolean,
        "status": pl.Int32,  # HTTP status; null where no answer came
        "reason": pl.String,  # why it failed, in words; "" when ok (R6)
        "from_cache": pl.Boolean,  # answered by 304 or reused
        "title": pl.String,
        "authors": _TEXT_LIST,
        "published_at": pl.String,
        "retrieved_at": _UTC,
        "etag": pl.String,
        "last_modified": pl.String,
        "content_type": pl.String,
        "licence": pl.String,
        "body_sha256": pl.String,  # raw page: pages/<sha>
        "text_sha256": pl.String,  # extracted text: texts/<sha>
        "body_bytes": pl.Int64,
        "text_chars": pl.Int64,
        "page_words": pl.Int64,  # words the page shows, navigation and hidden parts apart
        "kept_words": pl.Int64,  # of these, words that reached its chunks
        "how": pl.String,  # what the text was taken from: main, role=main, article, newspaper, trafilatura, body, pdf, ...
        "chunks": pl.Int32,
    }
)
"""One row per fetch attempt, failed ones too (R3, R6)."""

CHUNK_SCHEMA = pl.Schema(
    {
        "chunk_id": pl.String,
        "page_id": pl.String,
        "url": pl.String,
        "title": pl.String,
        "heading_path": _TEXT_LIST,  # from the page's h1 down to the chunk's own heading
        "ordinal": pl.Int32,  # position on the page
        "text": pl.String,  # Markdown: headings, lists, `code`, tables survive
        "start": pl.Int64,  # character offsets into the stored text texts/<text_sha256>
        "end": pl.Int64,
        "text_sha256": pl.String,
        "body_sha256": pl.String,
        "retrieved_at": _UTC,
    }
)
"""Passages as the LanceDB table holds them (there with `vector`, `embedder`)."""

QA_SCHEMA = pl.Schema(
    {
        "qa_id": pl.String,
        "fact_id": pl.String,
        "fact_group": pl.String,  # facts that say the same share one
        "topic_id": pl.String,
        "topic": pl.String,
        "role": pl.String,  # train | mine | probe
        "template": pl.String,
        "question": pl.String,
        "answer": pl.String,
        "aliases": _TEXT_LIST,
        "answer_kind": pl.String,
        "category": pl.String,
        "difficulty": pl.String,
        "rationale": pl.String,
        "quote": pl.String,
        "quote_start": pl.Int64,  # offsets into the stored text
        "quote_end": pl.Int64,
        "chunk_id": pl.String,
        "page_id": pl.String,
        "url": pl.String,
        "text_sha256": pl.String,
        "body_sha256": pl.String,
        "retrieved_at": _UTC,
        "tokens": pl.Int32,  # question and answer, student's tokenizer
        "teacher": pl.String,
        "accepted": pl.Boolean,
        "reason": pl.String,  # why it was rejected; "" when accepted
        "iteration": pl.Int32,  # the iteration that wrote it
        "support": pl.Int32,  # registrable domains with a page that states the fact (R7); null where its quote was not found
        "disputed_with": _TEXT_LIST,  # fact_ids of other pages that answer the same question differently (R7)
        "review": pl.String,  # what a person decided on it, who and when (S13); "" where nobody did
    }
)
"""Accepted and rejected pairs side by side; only accepted `train` rows are ever trained on (S2, S10)."""


def as_pairs(table: pl.DataFrame) -> pl.DataFrame:
    """Return a stored pair table with every column of `QA_SCHEMA`; an older one has no support, no dispute or no review."""
    new = {"support": pl.lit(None, pl.Int32), "disputed_with": pl.lit([], _TEXT_LIST), "review": pl.lit("")}
    return table.with_columns(value.alias(name) for name, value in new.items() if name not in table.columns).select(QA_SCHEMA.names())


UNKNOWN = "unknown"
"""Split, answer kind and kind of training row of questions that nobody can answer (S12)."""

PROBE_SCHEMA = pl.Schema(
    {
        "probe_id": pl.String,
        "split": pl.String,  # probe | guard | neighbour | earlier | unknown
        "fact_id": pl.String,  # for guards: the file's own id; for unknown ones `ids.unknown_id`, which no fact has
        "fact_group": pl.String,
        "topic_id": pl.String,
        "topic": pl.String,
        "question": pl.String,
        "answer": pl.String,
        "aliases": _TEXT_LIST,
        "answer_kind": pl.String,
        "rivals": _TEXT_LIST,  # other answers of the same kind in this domain; naming one beside the gold is not correct
        "category": pl.String,
        "difficulty": pl.String,
        "template": pl.String,
        "qa_id": pl.String,  # the accepted pair row it came from, or was made from; "" for guards
        "chunk_id": pl.String,
        "url": pl.String,
        "iteration": pl.Int32,  # the iteration whose facts it asks for; -1 for guards
        "overlap": pl.Float64,  # word overlap with the nearest training row, 0..1; null for guards and unknown ones
    }
)
"""Evaluation questions; none is ever trained on (E1, S8)."""

ANSWER_SCHEMA = pl.Schema(
    {
        "answer_id": pl.String,
        "probe_id": pl.String,
        "system": pl.String,  # base | rag | sft | dpo | previous
        "split": pl.String,
        "fact_id": pl.String,
        "topic_id": pl.String,
        "topic": pl.String,
        "category": pl.String,
        "difficulty": pl.String,
        "question": pl.String,
        "gold": pl.String,
        "answer": pl.String,  # what the model said, as decoded
        "label": pl.String,  # correct | partial | incorrect | failed (E2, E7)
        "error_type": pl.String,  # omission | wrong version | misinterpretation | off topic | other; "" when correct
        "explanation": pl.String,
        "token_f1": pl.Float64,
        "judge": pl.String,  # who graded: the judges that were asked, or "rules" for the deterministic grade
        "base_hash": pl.String,
        "adapter_hash": pl.String,  # "" for base and rag
        "context_hash": pl.String,  # "" without retrieval
        "context_chunks": _TEXT_LIST,  # chunk ids that rag was shown
        "iteration": pl.Int32,
        "rule_label": pl.String,  # the deterministic grade, whoever judged (E3)
        "rule_explanation": pl.String,
        "verdicts": pl.List(_VERDICT),  # what each judge said; `label` follows from them. Empty where nobody was asked
    }
)
"""One graded answer a row; `failed` stays in the denominator (E7)."""

ASKED = "asked"
"""Split of a question that somebody put to the model outside the loop; its fact was found by meaning."""

RULES = "rules"
"""The deterministic grade's name as a judge (E3)."""


def as_answers(table: pl.DataFrame) -> pl.DataFrame:
    """Return a stored answer table with every column of `ANSWER_SCHEMA`; one from before judges was graded by rule alone."""
    verdict = pl.struct(pl.lit(RULES).alias("judge"), "label", "error_type", "explanation")
    new = {
        "rule_label": pl.col("label"),
        "rule_explanation": pl.col("explanation"),
        "verdicts": pl.concat_list(verdict).cast(ANSWER_SCHEMA["verdicts"]),
    }
    missing = [value.alias(name) for name, value in new.items() if name not in table.columns]
    return table.with_columns(missing).select(ANSWER_SCHEMA.names())


WRONG_SCHEMA = pl.Schema(
    {
        "answer_id": pl.String,
        "iteration": pl.Int32,  # whose answer it is: an earlier one's where a page read now says otherwise
        "system": pl.String,  # sft | dpo | current
        "is_current": pl.Boolean,  # said by the adapter that is current after the iteration's gate
        "split": pl.String,
        "topic": pl.String,
        "question": pl.String,
        "answer": pl.String,
        "truth": pl.String,  # what it was held against
        "verdict": pl.String,  # bad source | bad pair | bad learning | forgotten | never taught
        "because": pl.String,
        "evidence": _TEXT_LIST,
        "counted_by": _TEXT_LIST,  # probe | exam | question file | no grade | a person | a newer reading | another source
        "label": pl.String,
        "error_type": pl.String,
        "probe_id": pl.String,
        "fact_id": pl.String,
        "url": pl.String,  # "" where no page was read for the question
        "quote": pl.String,
        "quote_start": pl.Int64,  # offsets into the stored text
        "quote_end": pl.Int64,
        "text_sha256": pl.String,
        "body_sha256": pl.String,
        "adapter_hash": pl.String,
        "run_id": pl.String,  # the run that trained the adapter; "" where it is gone from the store
    }
)
"""One wrong answer of a trained model a row, with its verdict (A1)."""

PREFERENCE_SCHEMA = pl.Schema(
    {
        "pair_id": pl.String,
        "qa_id": pl.String,  # the `mine` row that was asked
        "fact_id": pl.String,
        "question": pl.String,
        "chosen": pl.String,
        "rejected": pl.String,
        "category": pl.String,
        "accepted": pl.Boolean,
        "reason": pl.String,
    }
)
"""DPO pairs mined from training-side questions, filtered ones kept with their reason (D1, D2)."""

TRAIN_ROW_SCHEMA = pl.Schema(
    {
        "row_id": pl.String,  # qa_id, `ids.unknown_id` of the pair it was made from, or the replay prompt's id
        "kind": pl.String,  # fact | rehearsal | unknown | replay
        "fact_id": pl.String,  # "" for replay and unknown, which teach no fact
        "prompt": pl.String,
        "completion": pl.String,
    }
)
"""What SFT sees, in order, before the chat template."""

SCOREBOARD_SCHEMA = pl.Schema(
    {
        "domain": pl.String,
        "iteration": pl.Int32,
        "system": pl.String,  # base | rag | previous | sft | dpo | current
        "split": pl.String,  # probe | guard | neighbour | earlier | unknown | exam | exam_paraphrase
        "n": pl.Int64,
        "correct": pl.Int64,
        "partial": pl.Int64,
        "accuracy": pl.Float64,
        "ci_low": pl.Float64,
        "ci_high": pl.Float64,
    }
)
"""One line a script can rely on: rates are fractions, intervals Wilson 95 % (E4)."""


def empty(schema: pl.Schema) -> pl.DataFrame:
    """Return a table of this schema without rows."""
    return pl.DataFrame(schema=schema)
