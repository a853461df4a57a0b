"""The exam: questions written outside the loop, read, asked and matched to taught facts for reporting only (E8, S8).

Nothing in planning, synthesis or training may import this module; a test holds that.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import polars as pl
from pydantic import Field, ValidationError, field_validator

from alas_assets.evaluation.grading import grade
from alas_assets.evaluation.tokens import content_words, words
from alas_assets.evaluation.values import kind_of
from alas_assets.provenance.ids import probe_id
from alas_assets.records import PROBE_SCHEMA, Record
from alas_assets.teachers.protocol import GradeRequest

COVERED_OVERLAP = 0.25
"""Share of an exam question's content words that a pair must hold, where the exam names the page.

Measured on 216 reworded questions about 1293 recorded pairs: 88-92 % find their own pair, 5 % another pair of the page
with the same answer.
"""

COVERED_OVERLAP_ANY_PAGE = 0.35
"""The same where it names none: 72-77 % find their own pair, 8 % another one; any page may give that answer."""


class ExamError(ValueError):
    """An exam file cannot be used; the message names file, line and key."""


class ExamQuestion(Record):
    """One question of an exam file."""

    id: str = Field(min_length=1, max_length=200)
    question: str = Field(min_length=1)
    answer: str = Field(min_length=1)
    aliases: list[str] = Field(default_factory=list)
    paraphrase: str = Field(default="", description="a second wording, asked and reported apart")
    page: str = Field(default="", description="the end of the URL of the page that answers it")

    @field_validator("id", "question", "answer")
    @classmethod
    def _not_blank(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("is blank")
        return value.strip()


def read_exam(path: Path) -> list[ExamQuestion]:
    """Read an exam file (JSONL: id, question, answer, aliases, optional paraphrase, optional page).

    Raises:
        ExamError: The file is missing, holds no question, or a line is wrong; one line naming file, line and key.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # a string of JSON may hold what `splitlines` takes for a line's end
    except OSError as error:
        raise ExamError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise ExamError(f"{path}: is not UTF-8 (byte {error.start})") from error
    questions: dict[str, ExamQuestion] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        question = _parse(line, f"{path}:{number}")
        if question.id in questions:
            raise ExamError(f"{path}:{number}: id: {question.id[:80]!r} was used before")
        questions[question.id] = question
    if not questions:
        raise ExamError(f"{path}: holds no question")
    return list(questions.values())


def _parse(line: str, where: str) -> ExamQuestion:
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ExamError(f"{where}: is not JSON ({str(error)[:120]})") from error
    if not isinstance(raw, dict):
        raise ExamError(f"{where}: is not a JSON object with id, question and answer")
    try:
        question = ExamQuestion.model_validate(raw, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])[:80].replace("\n", " ")
        message = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        raise ExamError(f"{where}: {key}: {message}") from error
    for key, text in [("answer", question.answer), *(("aliases", alias) for alias in question.aliases)]:
        verdict = grade(_request(question, text))
        if verdict.label != "correct":
            raise ExamError(f"{where}: {key}: {text[:80]!r} would not be graded correct ({verdict.explanation})")
    return question


def _request(question: ExamQuestion, answer: str) -> GradeRequest:
    return GradeRequest(
        question=question.question, gold=question.answer, aliases=question.aliases, answer_kind=kind_of(question.answer), answer=answer
    )


def exam_probes(exam: Sequence[ExamQuestion]) -> pl.DataFrame:
    """Return the exam as questions to ask (`PROBE_SCHEMA`): split `exam`, and `exam_paraphrase` where there is one.

    `fact_id` is the exam's own id, `url` and `topic` its page. The answer kind is read off the answer's form.
    """
    rows = []
    for item in exam:
        for split, text in (("exam", item.question), ("exam_paraphrase", item.paraphrase.strip())):
            if text:
                rows.append(
                    {
                        **dict.fromkeys(("topic_id", "category", "difficulty", "qa_id", "chunk_id"), ""),
                        "probe_id": probe_id(f"{split}:{item.id}", text),
                        "split": split,
                        "fact_id": item.id,
                        "fact_group": item.id,
                        "question": text,
                        "answer": item.answer,
                        "aliases": item.aliases,
                        "answer_kind": kind_of(item.answer),
                        "rivals": [],
                        "template": split,
                        "url": item.page,
                        "topic": item.page,
                        "iteration": -1,
                        "overlap": None,
                    }
                )
    return pl.DataFrame(rows, schema=PROBE_SCHEMA)


def covered_by(exam: Sequence[ExamQuestion], qa_pairs: pl.DataFrame) -> dict[str, str]:
    """Match exam questions to taught facts, afterwards and for reporting only.

    A question is covered when an accepted pair of the same page (where the exam names one) has the same answer - one
    grades correct against the other - and speaks of the same thing: enough of the question's content words stand in the
    pair's quote and questions.

    Args:
        exam: The exam.
        qa_pairs: Pairs of all iterations (`QA_SCHEMA`).

    Returns:
        The best matching `fact_id` by exam id; questions without a match are left out.
    """
    facts = (
        qa_pairs.filter("accepted")
        .sort("fact_id", "qa_id")
        .group_by("fact_id", maintain_order=True)
        .agg(pl.col("url", "answer", "aliases", "answer_kind", "quote").first(), pl.col("question"))
        .to_dicts()
    )
    spoken = {fact["fact_id"]: _stems(" ".join([fact["quote"] or "", *fact["question"]])) for fact in facts}
    found: dict[str, str] = {}
    for item in exam:
        asked = _stems(item.question) | _stems(item.paraphrase)
        best = COVERED_OVERLAP if item.page else COVERED_OVERLAP_ANY_PAGE
        for fact in facts:
            share = len(asked & spoken[fact["fact_id"]]) / len(asked) if asked else 0.0
            if (share > best or (share == best and item.id not in found)) and is_page(item.page, fact["url"]) and _same_answer(item, fact):
                best, found[item.id] = share, fact["fact_id"]
    return found


def _stems(text: str) -> set[str]:
    """Return content words cut back to a rough stem, so that "removed" meets "removes"."""
    stems = set()
    for word in content_words(text):
        stem = word
        for ending in ("ing", "ed", "es", "s"):
            if word.isalpha() and word.endswith(ending) and len(word) - len(ending) >= 3:
                stem = word.removesuffix(ending)
                break
        stems.add(stem.removesuffix("e") if len(stem) > 3 else stem)
    return stems


def is_page(page: str, url: str) -> bool:
    """Tell whether an address is that of the page that an exam's question names by the end of its URL; of any page where it names none."""
    wanted = page.strip().lstrip("./").lower()
    return not wanted or ("/" + urlsplit(url).path.lstrip("/").lower()).endswith("/" + wanted) or url.lower() == page.strip().lower()


def _same_answer(item: ExamQuestion, fact: dict[str, object]) -> bool:
    pair_answer, pair_aliases = str(fact["answer"]), [str(alias) for alias in (fact["aliases"] or [])]  # type: ignore[union-attr]
    ours = _request(item, pair_answer)
    theirs = GradeRequest(
        question=item.question, gold=pair_answer, aliases=pair_aliases, answer_kind=str(fact["answer_kind"]), answer=item.answer
    )
    return grade(ours).label == "correct" or grade(theirs).label == "correct"


OVERLAP_SCHEMA = pl.Schema({"exam_id": pl.String, "split": pl.String, "overlap": pl.Float64, "question": pl.String, "nearest": pl.String})


def overlap_report(exam: Sequence[ExamQuestion], train_questions: Sequence[str]) -> pl.DataFrame:
    """Compare the exam's wording with what was trained, after training; reported, never used to filter (S8).

    Args:
        exam: The exam.
        train_questions: The questions of the training rows.

    Returns:
        For each question the training row with the highest share of common words (Jaccard, 0..1), highest first.
    """
    trained = [(question, set(words(question))) for question in sorted(set(train_questions))]
    rows = []
    for probe in exam_probes(exam).iter_rows(named=True):
        asked = set(words(probe["question"]))
        scored = [(len(asked & known) / len(asked | known), question) for question, known in trained if asked | known]
        overlap, nearest = max(scored, key=lambda pair: pair[0], default=(0.0, ""))
        rows.append(
            {"exam_id": probe["fact_id"], "split": probe["split"], "overlap": overlap, "question": probe["question"], "nearest": nearest}
        )
    return pl.DataFrame(rows, schema=OVERLAP_SCHEMA).sort("overlap", "exam_id", "split", descending=[True, False, False])
