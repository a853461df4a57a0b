"""A person's word on single pairs: approve, edit or reject, applied to the drafts before curation, so that it is checked like them (S13).

Which pairs are offered and where sheets lie is `defs.reviewing`'s. An edit makes another draft; nothing is taken on a person's word alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import polars as pl
from pydantic import Field

from alas_assets.provenance import ids
from alas_assets.provenance.redaction import redact
from alas_assets.records import DraftFact, Phrasing, Record, as_pairs
from alas_assets.review.journal import Journal, ReviewError
from alas_assets.review.sheet import Line, Problems
from alas_assets.review.wording import visible, words_of
from alas_assets.synthesis.passages import Passages
from alas_assets.synthesis.wording import clean

ITEM = "q-"
SEPARATOR = " | "
_BAR = re.compile(r"(?<!\\)(\\*)\|")
COLUMNS = ("item", "decision", "question", "answer", "aliases", "comment", "role", "quote", "topic", "url", "status", "review")
DECISIONS = ("approve", "edit", "reject", "reject fact")
REJECTED = "rejected by review"
REPLACED = "replaced by review"
EDITED, APPROVED = "edited by ", "approved by "
"""How the column `review` begins of a pair that a person edited or approved."""


class Decision(Record):
    """What one person decided on one pair, by what the pair was then."""

    qa_id: str
    fact_id: str
    question: str
    answer: str
    decision: Literal["approve", "edit", "reject", "reject fact"]
    new_question: str = Field(default="", description="empty: as it was")
    new_answer: str = Field(default="", description="empty: as it was; holds for all phrasings of the fact")
    new_aliases: list[str] | None = Field(default=None, description="None: as they were; holds for all phrasings of the fact")
    comment: str = ""
    by: str = ""
    at: str = ""

    @property
    def who(self) -> str:
        """Who decided, and on which day."""
        return f"{self.by} on {self.at[:10]}"

    @property
    def change(self) -> str:
        """What the pair is to be instead, in words; "" where it is to be dropped or stays."""
        parts = [f"{name} {value!r}" for name, value in (("question", self.new_question), ("answer", self.new_answer)) if value]
        if self.new_aliases is not None:
            parts.append(f"aliases {', '.join(map(repr, self.new_aliases)) or 'none'}")
        return ", ".join(parts)


# ---------------------------------------------------------------------------------------------- out and back


def sheet_rows(pairs: pl.DataFrame) -> list[dict[str, str]]:
    """Return the rows of the sheet, phrasings of a fact together (`COLUMNS`).

    Args:
        pairs: Pairs to decide on (`QA_SCHEMA`).
    """
    return [
        {
            "item": ITEM + row["qa_id"],
            **{name: row[name] or "" for name in ("question", "answer", "role", "quote", "topic", "url", "review")},
            "aliases": _joined(row["aliases"] or []),
            "status": "accepted" if row["accepted"] else f"rejected: {row['reason']}",
        }
        for row in pairs.iter_rows(named=True)
    ]


def reviewable(pairs: pl.DataFrame, rejected: bool = False) -> pl.DataFrame:
    """Return the pairs that a person can decide on: accepted ones, and on request rejected ones that are pairs of a fact."""
    whole = [
        bool(fact) and qa == ids.qa_id(fact, question or "")
        for qa, fact, question in pairs.select("qa_id", "fact_id", "question").iter_rows()
    ]
    offered = pairs.filter(pl.Series(whole, dtype=pl.Boolean) & (pl.col("accepted") | pl.lit(rejected)))
    return offered.filter(~pl.col("reason").str.starts_with(REPLACED))


def read_decisions(lines: Sequence[Line], pairs: pl.DataFrame, file: Path) -> tuple[list[Decision], list[str], int]:
    """Return what a person decided, the place of each decision, and on how many rows nothing was decided.

    Args:
        lines: The sheet as read back.
        pairs: The pairs that it was made from (`QA_SCHEMA`).
        file: Named in messages.

    Raises:
        SheetError: The message names every row and column at fault: an unknown item or decision, a changed cell without the
            decision `edit`, an edit that changes nothing, two edits of one fact that differ.
    """
    problems = Problems(file)
    known = {row["qa_id"]: row for row in reviewable(as_pairs(pairs), rejected=True).iter_rows(named=True)}
    decisions: list[Decision] = []
    places: list[str] = []
    first: dict[str, str] = {}
    blank = 0
    for line in lines:
        item = line.cells["item"]
        row = known.get(item.removeprefix(ITEM)) if item.startswith(ITEM) else None
        if row is None:
            problems.add(line.where, "item", f"{item[:60]!r} is no pair that can be decided on now; leave this column as it was exported")
            continue
        if item in first:
            problems.add(line.where, "item", f"stands in {first[item]} already")
        first.setdefault(item, line.where)
        decision = _decision(line, row, problems)
        blank += decision is None
        if decision is not None:
            decisions.append(decision)
            places.append(line.where)
    _refuse_quarrels(decisions, places, problems)
    problems.refuse()
    return decisions, places, blank


def _decision(line: Line, row: Mapping[str, Any], problems: Problems) -> Decision | None:
    cells = line.cells
    word = " ".join(cells["decision"].lower().split())
    if word and word not in DECISIONS:
        problems.add(line.where, "decision", f"{word[:40]!r} is none of {', '.join(DECISIONS)}")
        return None
    if visible(cells["quote"]) != visible(row["quote"]):
        problems.add(
            line.where, "quote", "is not what was exported with this item; quotes cannot be edited, and columns are sorted together"
        )
    new: dict[str, Any] = {name: cells[name] for name in ("question", "answer") if visible(cells[name]) != visible(row[name])}
    aliases = _parted(cells["aliases"])
    if _seen(aliases) != _seen(row["aliases"] or []):
        new["aliases"] = aliases
    if word != "edit":
        for name, value in new.items():
            shown = _joined(value) if name == "aliases" else value
            problems.add(
                line.where, name, f"became {shown[:60]!r}; write edit as the decision, or restore it (a spreadsheet may have changed it)"
            )
    elif not new:
        problems.add(line.where, "decision", "is edit, but question, answer and aliases are as they were")
    for name in ("question", "answer"):
        if name in new and not new[name]:
            problems.add(line.where, name, "is empty; to drop the pair write reject as the decision")
    if word == "approve" and not row["accepted"] and not row["reason"].startswith(REJECTED):
        problems.add(line.where, "decision", f"this pair was refused ({row['reason']}); edit it instead")
    if not word:
        return None
    return Decision(
        qa_id=row["qa_id"],
        fact_id=row["fact_id"],
        question=row["question"],
        answer=row["answer"],
        decision=cast(Any, word),
        new_question=new.get("question", ""),
        new_answer=new.get("answer", ""),
        new_aliases=new.get("aliases"),
        comment=words_of(cells.get("comment", "")),
    )


def _joined(aliases: Iterable[str]) -> str:
    r"""Return aliases as one cell; a | within one is written \|, and a backslash before a | twice."""
    return SEPARATOR.join(_BAR.sub(lambda match: f"{match[1] * 2}\\|", alias) for alias in aliases)


def _parted(cell: str) -> list[str]:
    """Return the aliases that a cell holds, as `_joined` wrote it or as a person did; without empty ones."""
    aliases, at = [""], 0
    for match in _BAR.finditer(cell):
        slashes = len(match[1])
        aliases[-1] += cell[at : match.start()] + "\\" * (slashes // 2) + "|" * (slashes % 2)
        if slashes % 2 == 0:
            aliases.append("")
        at = match.end()
    aliases[-1] += cell[at:]
    return [alias.strip() for alias in aliases if alias.strip()]


def _seen(aliases: Iterable[str]) -> list[str]:
    return [seen for alias in aliases if (seen := visible(alias))]


def _refuse_quarrels(decisions: Sequence[Decision], places: Sequence[str], problems: Problems) -> None:
    dropped = {one.fact_id: place for place, one in zip(places, decisions, strict=True) if one.decision == "reject fact"}
    for place, decision in zip(places, decisions, strict=True):
        if decision.decision in ("approve", "edit") and decision.fact_id in dropped:
            rejects = dropped[decision.fact_id]
            problems.add(place, "decision", f"is {decision.decision}, but {rejects}, which is about the same fact, rejects the whole fact")
    edited: dict[str, tuple[str, Decision]] = {}
    for place, decision in zip(places, decisions, strict=True):
        if decision.decision != "edit" or not (decision.new_answer or decision.new_aliases is not None):
            continue
        earlier = edited.setdefault(decision.fact_id, (place, decision))
        if (earlier[1].new_answer, earlier[1].new_aliases) != (decision.new_answer, decision.new_aliases):
            problems.add(
                place, "answer", f"is edited otherwise in {earlier[0]}, which is about the same fact; one answer holds for all its rows"
            )


def decisions_of(root: Path, domain: str) -> list[Decision]:
    """Return what people decided on a domain's pairs, oldest first; on the same pair the last word counts.

    Who approves or edits a pair takes back that its whole fact was rejected.

    Raises:
        ReviewError: What they decided is damaged.
    """
    decisions = every_decision(root, domain)
    gone = taken_back(decisions)
    return [decision for place, decision in enumerate(decisions) if place not in gone]


def every_decision(root: Path, domain: str) -> list[Decision]:
    """Return all that people ever decided on a domain's pairs, oldest first, whether it still counts or not.

    Raises:
        ReviewError: What they decided is damaged.
    """
    decisions: list[Decision] = []
    for one in Journal(root, domain).imports("pairs"):
        for row in one.rows:
            try:
                decisions.append(Decision.model_validate({**row, "by": one.by, "at": one.at}))
            except ValueError as error:
                raise ReviewError(f"import {one.hash[:12]} of {one.by} cannot be read ({error}); import the sheet again") from error
    return decisions


def taken_back(decisions: Sequence[Decision]) -> dict[int, Decision]:
    """Return which decisions count no more, by their place, each with the later one that took its place.

    Args:
        decisions: All that people decided in a domain (`every_decision`).
    """
    latest: dict[str, int] = {}
    gone: dict[int, Decision] = {}
    for place, decision in enumerate(decisions):
        before = [latest[decision.qa_id]] if decision.qa_id in latest else []
        if decision.decision in ("approve", "edit"):
            before += [one for one in latest.values() if _rejects_fact_of(decisions[one], decision)]
        for one in before:
            latest.pop(decisions[one].qa_id, None)
            gone[one] = decision
        latest[decision.qa_id] = place
    return gone


def _rejects_fact_of(one: Decision, other: Decision) -> bool:
    return (one.fact_id, one.decision) == (other.fact_id, "reject fact")


def decisions_without_a_pair(decisions: Iterable[Decision], pairs: pl.DataFrame) -> list[Decision]:
    """Return the decisions that took effect on no pair of this table: another iteration's, or of a page that reads differently now.

    Args:
        decisions: What people decided.
        pairs: A table that was made with them (`QA_SCHEMA`).
    """
    decided = pairs.filter(pl.col("review") != "")
    here = {ids.qa_id(fact, question or "") for fact, question in decided.select("fact_id", "question").iter_rows()}
    return [decision for decision in decisions if decision.qa_id not in here]


def edits_not_taught(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs that a person edited and that are not accepted as edited, each with curation's reason: nothing teaches that fact so.

    Args:
        pairs: A table that was made with the edits (`QA_SCHEMA`).
    """
    by_word = pl.col("reason").str.starts_with(REJECTED) | pl.col("reason").str.starts_with(REPLACED)
    return pairs.filter(pl.col("review").str.starts_with(EDITED) & ~pl.col("accepted") & ~by_word)


def decisions_hash(decisions: Iterable[Decision]) -> str:
    """Return the hash of what people decided, for the input key of what is made from it (O4); "" for nothing."""
    rows = [decision.model_dump() for decision in decisions]
    return ids.content_hash(rows) if rows else ""


# ---------------------------------------------------------------------------------------------- applying


@dataclass
class Reviewed:
    """Drafts after people's decisions.

    Attributes:
        drafts: What goes on to curation.
        set_aside: What people rejected or replaced; becomes rejected rows.
        approvals: What is said of a pair that goes on, by `qa_id`.
        refusals: Why each draft of `set_aside` was set aside, and who did it, in the same order.
    """

    drafts: list[DraftFact]
    set_aside: list[DraftFact] = field(default_factory=list)
    approvals: dict[str, str] = field(default_factory=dict)
    refusals: list[tuple[str, str]] = field(default_factory=list)

    def and_also(self, other: Reviewed) -> Reviewed:
        """Return both, this one first."""
        return Reviewed(
            [*self.drafts, *other.drafts],
            [*self.set_aside, *other.set_aside],
            self.approvals | other.approvals,
            [*self.refusals, *other.refusals],
        )

    def mark(self, pairs: pl.DataFrame, aside: pl.DataFrame) -> pl.DataFrame:
        """Return curated pairs with what people decided on each, and after them the pairs set aside, rejected with that reason.

        Args:
            pairs: The curated drafts (`QA_SCHEMA`).
            aside: The curated `set_aside` (`QA_SCHEMA`), in its order, for its columns; whether it would have been accepted does not
                matter.
        """
        said = [self.approvals.get(qa_id, "") for qa_id in pairs["qa_id"]]
        marked = pairs.with_columns(pl.Series("review", said, dtype=pl.String))
        rows: dict[str, dict[str, Any]] = {}
        taken = set(pairs["qa_id"])
        for row, (question, reason, who) in zip(aside.iter_rows(named=True), self._refused_questions(), strict=True):
            qa_id = ids.qa_id(row["fact_id"], question)
            own = qa_id if qa_id not in taken else ids.short_id("aside", qa_id)
            rows[own] = {**row, "qa_id": own, "accepted": False, "reason": reason, "review": who}
        return pl.concat([marked, pl.DataFrame(list(rows.values()), schema=pairs.schema)]) if rows else marked

    def _refused_questions(self) -> list[tuple[str, str, str]]:
        """Return question, reason and who of every row that `set_aside` becomes; the row itself may hold a redacted question."""
        return [
            (question, reason, who)
            for draft, (reason, who) in zip(self.set_aside, self.refusals, strict=True)
            for question in [_text(phrasing) for phrasing in draft.phrasings] or [""]
        ]


def under_review(drafts: Sequence[DraftFact], chunks: pl.DataFrame, decisions: Sequence[Decision]) -> Reviewed:
    """Apply people's decisions to a teacher's drafts, in their order.

    An edited answer or alias holds for all phrasings of its fact; a changed question for its phrasing alone. What is rejected or
    replaced is set aside. Decisions on pairs that are not among these drafts change nothing.

    Args:
        drafts: As the teacher wrote them.
        chunks: The passages they cite (`CHUNK_SCHEMA`).
        decisions: What people decided (`decisions_of`).
    """
    passages = Passages.of(chunks)
    reviewed = Reviewed([])
    # Another answer makes another fact: what was said of the one before holds for it too, whatever the order of a sheet's rows.
    left = [({passages.fact_id(draft)}, draft) for draft in drafts] if decisions else [(set[str](), draft) for draft in drafts]
    for decision in decisions:
        kept: list[tuple[set[str], DraftFact]] = []
        for names, draft in left:
            if decision.fact_id in names:
                kept += [(names | {passages.fact_id(one)}, one) for one in _apply(decision, draft, passages, reviewed)]
            else:
                kept.append((names, draft))
        left = kept
    reviewed.drafts = [draft for _, draft in left]
    return reviewed


def _apply(decision: Decision, draft: DraftFact, passages: Passages, reviewed: Reviewed) -> list[DraftFact]:
    """Return what is left of a draft of the decision's fact, and note the rest."""
    asked = ids.fold(decision.question)
    hit = [phrasing for phrasing in draft.phrasings if _text(phrasing) == asked]
    if decision.decision == "reject fact":
        _set_aside(decision, draft, draft.phrasings, reviewed)
        return []
    if not hit:
        return [draft]
    rest = [phrasing for phrasing in draft.phrasings if _text(phrasing) != asked]
    if decision.decision == "approve":
        reviewed.approvals[decision.qa_id] = approval_of(decision)
        return [draft]
    if decision.decision == "reject":
        _set_aside(decision, draft, hit, reviewed)
        return [draft.model_copy(update={"phrasings": rest})] if rest else []
    return [_edited(decision, draft, hit, passages, reviewed)]


def _edited(decision: Decision, draft: DraftFact, hit: Sequence[Phrasing], passages: Passages, reviewed: Reviewed) -> DraftFact:
    reworded = [
        phrasing.model_copy(update={"text": decision.new_question}) if phrasing in hit and decision.new_question else phrasing
        for phrasing in draft.phrasings
    ]
    answer = decision.new_answer or draft.answer
    aliases = draft.aliases if decision.new_aliases is None else decision.new_aliases
    edited = draft.model_copy(update={"phrasings": reworded, "answer": answer, "aliases": aliases})
    whole_fact = decision.new_answer != "" or decision.new_aliases is not None
    fact_id = passages.fact_id(edited)
    if fact_id != passages.fact_id(draft):
        _set_aside(decision, draft, draft.phrasings, reviewed)
    elif decision.new_question:
        _set_aside(decision, draft, hit, reviewed)
    was = [f"the question was {decision.question!r}"] if decision.new_question else []
    was += [f"the answer was {draft.answer!r}"] if decision.new_answer else []
    was += [f"the aliases were {_joined(draft.aliases)!r}"] if decision.new_aliases is not None else []
    note = words_of(redact(f"{EDITED}{decision.who}: {', '.join(was)}{_because(decision)}"))
    touched = reworded if whole_fact else [phrasing for phrasing, old in zip(reworded, draft.phrasings, strict=True) if old in hit]
    reviewed.approvals.update((ids.qa_id(fact_id, _text(phrasing)), note) for phrasing in touched)
    return edited


def _set_aside(decision: Decision, draft: DraftFact, phrasings: Sequence[Phrasing], reviewed: Reviewed) -> None:
    replaced = decision.decision == "edit"
    reason = f"{REPLACED if replaced else REJECTED}{_because(decision)}"
    reviewed.set_aside.append(draft.model_copy(update={"phrasings": list(phrasings)}))
    reviewed.refusals.append((reason, word_of(decision)))


def word_of(decision: Decision) -> str:
    """Return what the column `review` says of a pair that a decision set aside."""
    return f"{EDITED if decision.decision == 'edit' else 'rejected by '}{decision.who}{_because(decision)}"


def approval_of(decision: Decision) -> str:
    """Return what the column `review` says of a pair that a decision approved."""
    return f"{APPROVED}{decision.who}{_because(decision)}"


def _because(decision: Decision) -> str:
    return f": {decision.comment}" if decision.comment else ""


def _text(phrasing: Phrasing) -> str:
    return ids.fold(clean(phrasing.text))


# ---------------------------------------------------------------------------------------------- checking edits


def drafts_again(pairs: pl.DataFrame, decisions: Iterable[Decision]) -> list[DraftFact]:
    """Return the drafts of the facts that are decided on, put together from their rows, so that an edit can be curated at once.

    Args:
        pairs: The iteration's pairs (`QA_SCHEMA`).
        decisions: What a person decided on them.
    """
    facts = {decision.fact_id for decision in decisions}
    named = {decision.qa_id for decision in decisions}
    drafts: list[DraftFact] = []
    table = pairs.filter(pl.col("fact_id").is_in(list(facts)) & (pl.col("accepted") | pl.col("qa_id").is_in(list(named))))
    for rows in table.partition_by("fact_id", maintain_order=True):
        first = rows.row(0, named=True)
        phrasings = [Phrasing(text=r["question"], template=r["template"], role=r["role"]) for r in rows.iter_rows(named=True)]
        names = ("topic_id", "chunk_id", "quote", "answer", "aliases", "answer_kind", "category", "difficulty", "rationale")
        drafts.append(DraftFact(phrasings=phrasings, **{name: first[name] for name in names}))
    return drafts


def refused_edits(reviewed: Reviewed, curated: pl.DataFrame, decisions: Sequence[Decision], chunks: pl.DataFrame) -> dict[int, str]:
    """Return why curation refuses an edited pair, by the place of its decision.

    Args:
        reviewed: The decisions applied to `drafts_again`.
        curated: Its drafts, curated (`QA_SCHEMA`).
        decisions: What was decided, in the order that counts.
        chunks: The passages (`CHUNK_SCHEMA`).
    """
    passages = Passages.of(chunks)
    left = {passages.fact_id(draft): draft for draft in reviewed.drafts}
    verdict = {row["qa_id"]: row for row in curated.iter_rows(named=True)}
    why: dict[int, str] = {}
    for i, decision in enumerate(decisions):
        if decision.decision != "edit":
            continue
        asked = ids.fold(clean(decision.new_question or decision.question))
        rows = [verdict.get(ids.qa_id(fact, asked)) for fact, draft in left.items() if asked in map(_text, draft.phrasings)]
        found = [row for row in rows if row is not None]
        if not found:
            why[i] = "another decision in this file drops it"
        elif not any(row["accepted"] for row in found):
            why[i] = found[0]["reason"]
    return why
