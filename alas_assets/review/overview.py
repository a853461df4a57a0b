"""Every decision of people on record, and what became of it: taken up, waiting, taken back, or without effect (S13, E6, A1).

Tables and the journal only. Which iterations of a domain count, and which is made next, the caller says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field

from alas_assets.provenance.ids import CELL_NAME, fold
from alas_assets.records import ASKED, Record
from alas_assets.review.earlier import still_taught, works_on_earlier
from alas_assets.review.journal import Journal
from alas_assets.review.pairs import ITEM, Decision, Reviewed, taken_back, word_of
from alas_assets.review.taken_up import carried_out, is_pair_of, why_refused
from alas_assets.synthesis.wording import clean

State = Literal["waits", "taken up", "counts", "no effect", "taken back"]


class OnRecord(Record):
    """One decision of a person and what became of it."""

    domain: str
    iteration: str = Field(description='the first iteration that has the pair or answer; "" where none has it any more')
    what: Literal["pair", "answer"]
    id: str = Field(description="of the pair or answer, as `alas review export` and `alas trace` name it")
    decision: str
    question: str
    answer: str
    change: str = Field(description="what it is to be instead, in words")
    comment: str
    by: str
    at: str
    state: State
    taken_up_by: str = Field(default="", description="the iteration that took it up")
    because: str = Field(default="", description="what follows, or why nothing does")
    command: str = Field(default="", description="what takes it up, where it waits")


@dataclass(frozen=True)
class Made:
    """The pairs of a domain's iterations, as the next `alas run` finds them.

    Attributes:
        tables: The pairs of every iteration that has some (`QA_SCHEMA`), by iteration, oldest first.
        counting: The iterations whose pairs hold for the next run, oldest first; those closed as failed are not among them.
        upcoming: The iteration that the next run makes, anew or for the first time.
        retired: Facts that their page states no more.
        corrections: What that iteration has to take up of decisions on earlier pairs.
        ended_by_takedown: The iterations that a takedown closed: they are not gone on with.
    """

    tables: Mapping[str, pl.DataFrame]
    counting: Sequence[str]
    upcoming: str
    retired: frozenset[str]
    corrections: Reviewed = field(default_factory=lambda: Reviewed([]))
    ended_by_takedown: frozenset[str] = frozenset()


def reviewed_domains(root: Path) -> list[str]:
    """Return the domains in which people decided anything."""
    return sorted(path.parent.name for path in (root / "review").glob("*/journal.json") if CELL_NAME.match(path.parent.name))


# ---------------------------------------------------------------------------------------------- pairs


def pairs_on_record(domain: str, decisions: Sequence[Decision], made: Made) -> list[OnRecord]:
    """Return what became of all that people decided on a domain's pairs, in that order.

    Args:
        domain: The domain's key.
        decisions: All that people decided, oldest first (`every_decision`).
        made: The domain's pairs.
    """
    gone = taken_back(decisions)
    live = [decision for place, decision in enumerate(decisions) if place not in gone]
    known = _Known(domain, made, decisions)
    outcomes = known.outcomes(live)
    return [
        OnRecord(
            domain=domain,
            iteration=known.first_with(decision),
            what="pair",
            id=f"{ITEM}{decision.qa_id}",
            decision=decision.decision,
            question=decision.question,
            answer=decision.answer,
            change=decision.change,
            comment=decision.comment,
            by=decision.by,
            at=decision.at,
            **vars(outcomes[decision.qa_id] if place not in gone else _Outcome("taken back", because=_later(gone[place]))),
        )
        for place, decision in enumerate(decisions)
    ]


@dataclass(frozen=True)
class _Outcome:
    """What became of a decision, in the words of `OnRecord`."""

    state: State
    taken_up_by: str = ""
    because: str = ""
    command: str = ""


class _Known:
    """What the iterations of a domain say of the facts that people decided on.

    Args:
        domain: The domain's key.
        made: The domain's pairs.
        decisions: All that people decided on them.
    """

    def __init__(self, domain: str, made: Made, decisions: Sequence[Decision]) -> None:
        self.domain, self.made = domain, made
        facts = {decision.fact_id for decision in decisions}
        decided = pl.col("fact_id").is_in(list(facts)) | (pl.col("review") != "")  # of thousands of pairs a few
        tables = {iteration: table.filter(decided) for iteration, table in made.tables.items()}
        self.rows = {iteration: table.to_dicts() for iteration, table in tables.items()}
        before = [tables[one] for one in made.counting if one != made.upcoming and one in tables]
        self.earlier = set(still_taught(before).filter(~pl.col("fact_id").is_in(list(made.retired)))["qa_id"])
        """The pairs that iterations before the upcoming one taught and that hold."""
        again = zip(made.corrections.set_aside, made.corrections.refusals, strict=True)
        self.expected = {(_words(one.text), _words(draft.answer), word) for draft, (_, word) in again for one in draft.phrasings}
        """Questions and answers that the upcoming iteration sets aside of those, and by whose word."""

    def first_with(self, decision: Decision) -> str:
        """Return the first iteration that has the pair; "" where none has it any more."""
        return next((one for one, rows in self.rows.items() if any(is_pair_of(decision, row) for row in rows)), "")

    def outcomes(self, live: Sequence[Decision]) -> dict[str, _Outcome]:
        """Return what became of each decision that counts, by `qa_id`."""
        found: dict[str, _Outcome] = {}
        known: list[dict[str, Any]] = []
        for iteration in self.made.counting:
            said = [row for row in self.rows.get(iteration, []) if row["review"]]
            known += self.rows.get(iteration, [])
            for decision in carried_out([one for one in live if one.qa_id not in found], said, known):
                refused = why_refused(decision, said)
                because = f"and it is not taught so, since curation refused it: {refused}" if refused else ""
                found[decision.qa_id] = _Outcome("taken up", iteration, because)
        return {one.qa_id: found[one.qa_id] if one.qa_id in found else self._not_taken_up(one, live) for one in live}

    def _not_taken_up(self, decision: Decision, live: Sequence[Decision]) -> _Outcome:
        """Say what becomes of a decision that no iteration which counts speaks of."""
        again = _Outcome("waits", command=f"alas run {self.domain}")
        own = [row for row in self.rows.get(self.made.upcoming, []) if is_pair_of(decision, row)]
        settled = {row["review"] for row in own}
        for_all = (one for one in live if one is not decision and (one.decision == "reject fact" or one.new_answer))
        if other := next((one for one in for_all if one.fact_id == decision.fact_id and word_of(one) in settled), None):
            return _Outcome("no effect", because=f"{other.decision} by {other.who} holds for the whole fact")
        if decision.qa_id in self.earlier and not any(row["accepted"] or row["review"] for row in own):
            return again if self._changes_earlier(decision) else _Outcome("no effect", because=self._why_nothing_changes(decision))
        if own:
            return again
        if decision.fact_id in self.made.retired:
            return _Outcome("no effect", because="its page states the fact no more, so nothing teaches it")
        closed = [one for one in self.rows if one not in self.made.counting and any(is_pair_of(decision, row) for row in self.rows[one])]
        if closed and closed[-1] in self.made.ended_by_takedown:
            return replace(again, because="its iteration was closed by a takedown")
        if closed:
            return _Outcome("waits", because="its iteration was closed as failed", command=f"alas retry {self.domain}")
        return _Outcome("no effect", because="no iteration teaches this pair any more")

    def _changes_earlier(self, decision: Decision) -> bool:
        question, answer = _words(decision.question), _words(decision.answer)
        by_it = any((asked, word) == (question, word_of(decision)) for asked, _, word in self.expected)
        # where another decision changes the fact first, the wording is set aside under the new answer, and this pair for that decision
        return works_on_earlier(decision) and by_it and any(one[:2] == (question, answer) for one in self.expected)

    def _why_nothing_changes(self, decision: Decision) -> str:
        if decision.decision == "approve":
            return "the pair stays as it was taught"
        if not works_on_earlier(decision):
            return "a later iteration was opened first, and of a pair that an earlier one taught only the answer can be edited"
        return "a later decision on the same fact undoes it"


def _words(text: str) -> str:
    return fold(clean(text))


def _later(later: Decision) -> str:
    return f"{later.by} decided {later.decision} at {later.at}"


# ---------------------------------------------------------------------------------------------- answers


def answers_on_record(root: Path, domain: str, answers: pl.DataFrame, listed: pl.DataFrame, newest: str) -> list[OnRecord]:
    """Return all that people said of a domain's answers, oldest first: graded in a sheet, or reported as wrong.

    A person's word counts at once in traces and in the agreement of graders. The lists `wrong_answers` show it when they are made.

    Args:
        root: The store's folder.
        domain: The domain's key.
        answers: The domain's graded answers (`ANSWER_SCHEMA` and a `cell`).
        listed: Its lists of wrong answers (`WRONG_SCHEMA` and a `cell`).
        newest: The iteration whose list `alas run` makes again; no earlier one's is.

    Raises:
        ReviewError: What they said is damaged.
    """
    imports = sorted((one for kind in ("answers", "reports") for one in Journal(root, domain).imports(kind)), key=lambda one: one.at)
    words = [(one, row) for one in imports for row in one.rows]
    last = {str(row["item"]): place for place, (_, row) in enumerate(words)}
    named = answers.filter(pl.col("answer_id").is_in([row["answer_id"] for _, row in words])).unique("answer_id", keep="first")
    by_id = {row["answer_id"]: row for row in named.to_dicts()}
    found = []
    for place, (one, word) in enumerate(words):
        answer = word.get("asked") or by_id.get(word["answer_id"], {})
        now = words[last[str(word["item"])]][0]
        outcome = (
            _Outcome("taken back", because=f"{now.by} said otherwise, or the same again, at {now.at}")
            if last[str(word["item"])] != place
            else _counted(domain, answer, f"{one.by} said on {one.at} that it is {word['label']}", listed, newest)
        )
        found.append(
            OnRecord(
                domain=domain,
                iteration=f"{answer['iteration']:03d}" if answer else "",
                what="answer",
                id=word["answer_id"],
                decision=str(word["label"]),
                question=answer.get("question", ""),
                answer=answer.get("answer", ""),
                change=f"right is {word['should_be']!r}" if word.get("should_be") else "",
                comment=str(word.get("comment", "")),
                by=one.by,
                at=one.at,
                **vars(outcome),
            )
        )
    return found


def _counted(domain: str, answer: Mapping[str, Any], said: str, listed: pl.DataFrame, newest: str) -> _Outcome:
    """Say where a person's word on an answer shows.

    Args:
        domain: The domain's key.
        answer: The answer (`ANSWER_SCHEMA`); empty where no table has it any more.
        said: How the grounds of a verdict begin that rests on that word.
        listed: The lists of wrong answers (`WRONG_SCHEMA` and a `cell`).
        newest: The iteration whose list `alas run` makes again.
    """
    if not answer:
        return _Outcome("counts", because="in the agreement of graders; its answer stands in no iteration any more")
    if not answer["adapter_hash"]:
        return _Outcome("counts", because="in its trace and in the agreement of graders; no list of wrong answers holds untrained models")
    iteration = newest if answer["split"] == ASKED else f"{answer['iteration']:03d}"
    lists = listed.filter(pl.col("cell") == f"{domain}|{iteration}")
    rows = lists.filter((pl.col("question") == answer["question"]) & (pl.col("answer") == answer["answer"]))
    if any(ground.startswith(said) for grounds in rows["evidence"].to_list() for ground in grounds):
        return _Outcome("taken up", iteration, "in its list of wrong answers")
    if rows.is_empty() and said.endswith(" correct"):
        return _Outcome("counts", because="in its trace and in the agreement of graders; no list calls it wrong")
    if iteration == newest:
        return _Outcome(
            "waits", because=f"the list of wrong answers of iteration {iteration} does not have it yet", command=f"alas run {domain}"
        )
    lists_it = f"once wrong_answers of {domain}|{iteration} is materialised in the UI, its list has it too"
    return _Outcome("counts", because=f"in its trace; {lists_it}")
