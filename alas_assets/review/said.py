"""What people said of single answers: right or wrong, and what would be right (A1, E6, S13).

Sheets are `review.answers`; what follows from a wrong answer is `audit.verdict`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alas_assets.evaluation.agreement import item_key
from alas_assets.records import ANSWER_SCHEMA, ASKED, Record
from alas_assets.review.journal import Journal
from alas_assets.review.wording import words_of


class Said(Record):
    """A person's word on one answer."""

    label: str
    should_be: str = ""
    comment: str = ""
    by: str
    at: str


def people_said(root: Path, domain: str) -> dict[str, Said]:
    """Return what people said of a domain's answers, by `evaluation.agreement.item_key`; the last word counts.

    Raises:
        ReviewError: What they said is damaged.
    """
    journal = Journal(root, domain)
    imports = sorted((one for kind in ("answers", "reports") for one in journal.imports(kind)), key=lambda one: one.at)
    return {
        str(row["item"]): Said(
            label=str(row["label"]),
            should_be=str(row.get("should_be", "")),
            comment=str(row.get("comment", "")),
            by=one.by,
            at=one.at,
        )
        for one in imports
        for row in one.rows
    }


def asked_answers(root: Path, domain: str) -> list[dict[str, Any]]:
    """Return the answers to questions in free words that people reported (`ANSWER_SCHEMA` and a note), each once, oldest first.

    Raises:
        ReviewError: What they said is damaged.
    """
    rows = [row["asked"] for one in Journal(root, domain).imports("reports") for row in one.rows if "asked" in row]
    return list({row["answer_id"]: row for row in rows}.values())


def report_wrong(root: Path, domain: str, answer: Mapping[str, Any], *, should_be: str, comment: str, by: str, at: str) -> bool:
    """Keep a person's word that an answer is wrong; it counts in audits, and not in the agreement of judges: nobody drew it.

    Args:
        root: The store's folder.
        domain: The domain's key.
        answer: A graded answer (`ANSWER_SCHEMA`); one to a question in free words stands in no table, so it is kept with the report.
        should_be: What is right; may be empty.
        comment: Why, in free words.
        by: Who says so.
        at: When (UTC, ISO 8601).

    Returns:
        Whether it is new: the same word by the same person right again counts once.
    """
    row: dict[str, Any] = {
        "item": item_key(answer["question"], answer["gold"], answer["answer"]),
        "answer_id": answer["answer_id"],
        "label": "incorrect",
        "error_type": "",
        "should_be": words_of(should_be),
        "comment": words_of(comment),
    }
    if answer["split"] == ASKED:
        row["asked"] = {name: answer[name] for name in (*ANSWER_SCHEMA.names(), "note")}
    return Journal(root, domain).add("reports", [row], by=words_of(by) or "somebody", at=at)[1]
