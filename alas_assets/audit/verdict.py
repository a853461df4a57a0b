"""Which kind of wrong an answer is: the source, the pair, the learning, forgotten, or never taught (spec A1).

Decided from a trace and stored tables alone; nothing is asked again and no page is read again here.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import polars as pl
from pydantic import Field

from alas_assets.audit.reading import ReadOnce
from alas_assets.audit.trace import (
    ABOUT_FACTS,
    ANSWER_TABLES,
    EXAM,
    LearnedBy,
    PairTrace,
    Trace,
)
from alas_assets.evaluation.agreement import item_key
from alas_assets.evaluation.grading import grade
from alas_assets.evaluation.values import kind_of
from alas_assets.provenance.blocked.order import orders
from alas_assets.provenance.store import ArtifactStore, StoreError
from alas_assets.records import ASKED, Record
from alas_assets.synthesis.wording import holds_answer
from alas_assets.teachers.protocol import GradeRequest
from alas_assets.wording import counted

Kind = Literal["right", "bad source", "bad pair", "bad learning", "forgotten", "never taught"]
VERDICTS: tuple[Kind, ...] = ("bad source", "bad pair", "bad learning", "forgotten", "never taught")


class Verdict(Record):
    """Why an answer is wrong, and on what grounds."""

    kind: Kind
    because: str = Field(description="one sentence")
    truth: str = Field(description="what the answer was held against: what the auditor said, else the probe's gold answer")
    evidence: list[str] = Field(default_factory=list)


def verdict_of(store: ArtifactStore, trace: Trace, should_be: str = "") -> Verdict:
    """Return which kind of wrong a traced answer is (A1).

    Args:
        store: The artifact store that the trace came from.
        trace: What `trace_answer` returned.
        should_be: The right answer by the auditor's word; without it, what a person said of this answer before (`alas report-wrong`,
            a review sheet). A bad source and a bad pair can only be told by it, or by what the page or another page says since:
            against its own gold answer a pair is always right.

    Raises:
        StoreError: An adapter's manifest or a table on the way is damaged or gone.
        ReviewError: What people said of answers is damaged.
    """
    should_be = should_be.strip() or (trace.said.should_be if trace.said else "")
    verdict = _kind_of(store, trace, should_be, should_be or trace.gold)
    grounds = [*verdict.evidence, *_grounds(trace), *(_taken_down(store, trace) if verdict.kind == "never taught" else [])]
    # an answer to a question in free words is held against the fact that was found; an exam has an answer of its own
    doubtful = verdict.kind != "right" or (trace.split == ASKED and not should_be and trace.said is None)
    doubt = ", provided that the question is about this fact" if trace.found_without_an_id and doubtful else ""
    return verdict.model_copy(update={"because": verdict.because + doubt, "evidence": grounds})


def _kind_of(store: ArtifactStore, trace: Trace, should_be: str, truth: str) -> Verdict:
    if _is_right(trace, should_be):
        return _overtaken(trace, should_be) or Verdict(kind="right", because=f"the answer says {truth!r}", truth=truth)
    if trace.split in EXAM and not trace.matched_fact:
        because = "no accepted pair has this answer and speaks of what the exam asks"
        return Verdict(kind="never taught", because=because, truth=truth, evidence=[f"{trace.question!r} in the exam"])
    accepted = [pair for pair in trace.pairs if pair.accepted]
    if not accepted:
        return _without_a_pair(store, trace, truth)
    if _was_of_another_fact(trace, should_be):
        because = (
            f"the fact that was found says neither {should_be!r} nor what was answered: nothing taught is known to be about the question"
        )
        evidence = [f"it says {trace.gold!r}: {accepted[0].question}"]
        return Verdict(kind="never taught", because=because, truth=truth, evidence=evidence)
    if _was_taught_wrong(trace, should_be):
        return _wrong_before_training(trace, should_be)
    return _wrong_since_training(store, trace, truth, accepted)


def _was_of_another_fact(trace: Trace, should_be: str) -> bool:
    """Tell whether the fact that was found for a question in free words is neither what is right nor what was answered."""
    if trace.split != ASKED or not should_be:
        return False
    return not any(
        says(trace.question, one, other) for one, other in ((should_be, trace.gold), (trace.gold, should_be), (trace.gold, trace.answer))
    )


def _was_taught_wrong(trace: Trace, should_be: str) -> bool:
    """Tell whether the fault is older than the training, by the auditor's word or a person's; judges alone blame no page."""
    return bool(should_be or trace.said) and blames_the_fact(trace.question, trace.gold, trace.answer, should_be)


def blames_the_fact(question: str, gold: str, answer: str, should_be: str) -> bool:
    """Tell whether who calls an answer wrong blames what was taught (`gold`): the answer says just that, or what should be is neither.

    What is right may hold what was taught and more: that alone blames nothing, since the model may not have said even this.
    """
    if should_be and says(question, should_be, answer):
        return False
    if says(question, gold, answer):
        return True
    return bool(should_be) and not says(question, should_be, gold) and not says(question, gold, should_be)


def _is_right(trace: Trace, should_be: str) -> bool:
    if should_be:
        return says(trace.question, should_be, trace.answer)
    if trace.said:
        return trace.said.label == "correct"
    return (trace.rule_label if trace.label == "failed" else trace.label) == "correct"


def _overtaken(trace: Trace, should_be: str) -> Verdict | None:
    """Return why an answer that says what its page said is wrong all the same: the page changed, or another page says otherwise."""
    source = trace.source
    if should_be or source is None or not any(pair.accepted for pair in trace.pairs):
        return None
    if source.since and not source.since.states_it:
        now = ", ".join(repr(answer) for answer in source.since.answers)
        because = f"the page said {trace.gold!r} when it was read, and says so no more{f': now it is {now}' if now else ''}"
        return Verdict(kind="bad source", because=because, truth=source.since.answers[0] if now else "")
    if trace.disputes:
        other = trace.disputes[0]
        return Verdict(kind="bad source", because=f"{other.url} says {other.answer!r}; one of the two pages is wrong", truth=other.answer)
    return None


def _taken_down(store: ArtifactStore, trace: Trace) -> list[str]:
    """Return what was removed from the domain: whether it had taught the fact is known no more."""
    domain = trace.cell.partition("|")[0]
    return [
        f"what {order.source} taught is removed and not looked at: {order.refusal}"
        for order in orders(store.root)
        if domain in order.domains
    ]


def _grounds(trace: Trace) -> list[str]:
    """Return what else speaks on the answer: how its fact was found, a person, the page as it was read since, other pages."""
    lines = [trace.note] if trace.found_without_an_id else []
    if trace.said:
        right = f", and that {trace.said.should_be!r} is right" if trace.said.should_be else ""
        why = f" ({trace.said.comment})" if trace.said.comment else ""
        lines.append(f"{trace.said.by} said on {trace.said.at} that it is {trace.said.label}{right}{why}")
    if (source := trace.source) and (since := source.since):
        states = "still states" if since.states_it else "no longer states"
        lines.append(f"{source.url} as read on {since.retrieved_at} for {since.cell} {states} the quote")
    lines += [f"{dispute.url} says otherwise: {dispute.quote!r} gives {dispute.answer!r}" for dispute in trace.disputes]
    return lines


def says(question: str, truth: str, answer: str) -> bool:
    """Tell whether an answer says what is held for the truth, by rule."""
    request = GradeRequest(question=question, gold=truth, answer=answer, answer_kind=kind_of(truth))
    return grade(request).label == "correct"


def _rows_of(by: LearnedBy) -> str:
    return f"{by.rows} rows on it in {by.kind} adapter {by.adapter_hash[:16]} of {by.cell}"


def _shown_in_words(trace: Trace, truth: str) -> str:
    """Tell, of an answer beside which passages were shown, one that was not found from one that was not read."""
    holding, gone = sum(holds_answer(passage.text, truth) for passage in trace.shown), sum(bool(passage.gone) for passage in trace.shown)
    if gone:  # what was in those is not known, so neither is why the answer is wrong
        known = f"{holding or 'none'} is known to have had {truth!r} in it"
        return f"of {counted(len(trace.shown), 'passage')} beside the question {known}, and {gone} can be read no more"
    how = f"{holding or 'none'} of the {counted(len(trace.shown), 'passage')} beside the question had {truth!r} in it"
    return f"{how}: {'it was there and not read' if holding else 'the search did not find it'}"


def _without_a_pair(store: ArtifactStore, trace: Trace, truth: str) -> Verdict:
    """Decide on questions for which no pair was accepted: nothing can have taught them, but they can be forgotten."""
    if trace.adapter_hash and (before := _right_before(store, trace, truth, {"", *adapter_line(store, trace.adapter_hash)[1:]})):
        because = "no page was read for this question, and before it was taught what it was taught since, the student answered it right"
        return Verdict(kind="forgotten", because=because, truth=truth, evidence=before)
    rejected = [f"pair {pair.qa_id} was rejected: {pair.reason}" for pair in trace.pairs]
    because = "every pair on it was rejected" if rejected else "no pair was ever written on it"
    return Verdict(kind="never taught", because=because, truth=truth, evidence=rejected or [trace.note])


def _wrong_before_training(trace: Trace, truth: str) -> Verdict:
    """Tell a page that is wrong from a pair that misread it, where what was taught is not the truth; "" where nobody said what is."""
    source = trace.source
    if source is None:
        raise ValueError(f"{trace.answer_id}: a traced fact without a source")
    stated = f"{source.url}, fetched {source.retrieved_at}: {source.quote!r}"
    if not source.quote_stands:
        because = f"what was taught, {trace.gold!r}, rests on a quote that does not stand on the stored page"
        return Verdict(kind="bad pair", because=because, truth=truth, evidence=[stated])
    if truth and holds_answer(source.quote, truth):
        because = f"the page says {truth!r}, and the pair took {trace.gold!r} from it"
        return Verdict(kind="bad pair", because=because, truth=truth, evidence=[stated])
    if not holds_answer(source.quote, trace.gold):
        because = f"the page does not say {trace.gold!r} where the pair takes it from"
        return Verdict(kind="bad pair", because=because, truth=truth, evidence=[stated])
    because = f"the page itself says {trace.gold!r}"
    return Verdict(kind="bad source", because=because, truth=truth, evidence=[stated])


def _wrong_since_training(store: ArtifactStore, trace: Trace, truth: str, accepted: list[PairTrace]) -> Verdict:
    """Tell what the model was not taught, did not learn, or learned and lost, where what was written is the truth."""
    family = adapter_line(store, trace.adapter_hash)
    learned = [by for by in trace.learned_by if by.adapter_hash in family]
    if not learned:
        who = f"adapter {trace.adapter_hash[:16]}" if trace.adapter_hash else f"the base student ({trace.system})"
        elsewhere = [f"it was taught to {by.kind} adapter {by.adapter_hash[:16]} of {by.cell}" for by in trace.learned_by]
        because = f"no training row of {who} or of what it was trained from holds the fact"
        if gone := [by.in_words for by in trace.rows_gone if by.adapter_hash in family]:
            because = f"no training row that is left of {who} or of what it was trained from holds the fact, and not all are left"
            elsewhere = [*gone, *elsewhere]
        if trace.shown and not trace.adapter_hash:
            because = f"it was taught nothing and had to read: {_shown_in_words(trace, truth)}"
        return Verdict(
            kind="never taught", because=because, truth=truth, evidence=elsewhere or [f"{counted(len(accepted), 'pair')} accepted"]
        )
    taught = [_rows_of(by) for by in learned]
    if trace.split == ASKED and (knows := _right_before(store, trace, truth, {trace.adapter_hash})):
        because = f"pairs that say so were trained on, and the model says {truth!r} where it is asked in other words"
        return Verdict(kind="bad learning", because=because, truth=truth, evidence=[*knows, *taught])
    earlier = {by.adapter_hash for by in trace.learned_by if by.cell < trace.cell}
    if before := _right_before(store, trace, truth, {*family[1:], *earlier} - {trace.adapter_hash}):
        because = "a model that was taught it before answered it right"
        return Verdict(kind="forgotten", because=because, truth=truth, evidence=[*before, *taught])
    because = f"pairs that say so were trained on, and the model still does not say {truth!r}"
    return Verdict(kind="bad learning", because=because, truth=truth, evidence=taught)


def adapter_line(store: ArtifactStore, adapter_hash: str) -> list[str]:
    """Return an adapter and those that it was trained from, newest first; nothing for the base student.

    One that a takedown retired still says what it was trained from: an old answer stays traceable.

    Raises:
        StoreError: A manifest is gone or damaged.
    """
    line: list[str] = []
    while adapter_hash and adapter_hash not in line:
        line.append(adapter_hash)
        if stone := store.tombstone(adapter_hash):
            adapter_hash = stone.init_adapter
            continue
        path = store.adapters / adapter_hash / "manifest.json"
        try:
            manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            adapter_hash = manifest["init_adapter"] or ""
        except (OSError, ValueError, KeyError) as error:
            raise StoreError(f"{path}: cannot be read ({error}); materialise the adapter of that cell again") from error
    return line


def _right_before(store: ArtifactStore, trace: Trace, truth: str, adapters: set[str]) -> list[str]:
    """Return right answers to the same question that came before this one, by these adapters; "" is the base student.

    What somebody asked in free words was hardly asked before: there every question about the fact counts.
    """
    same = pl.col("question") == trace.question
    if trace.split == ASKED:
        same = pl.col("split").is_in(ABOUT_FACTS) & (pl.col("fact_id") == trace.fact_id)
    same &= pl.col("adapter_hash").is_in(sorted(adapters)) & (pl.col("system") != "rag") & (pl.col("cell") <= trace.cell)
    once, domain = ReadOnce.over(store), trace.cell.partition("|")[0]
    asked = pl.concat([once.rows_of(domain, asset).filter(same) for asset in ANSWER_TABLES]).sort("cell", maintain_order=True)
    found: dict[str, str] = {}
    for row in asked.iter_rows(named=True):
        word = once.said(domain).get(item_key(row["question"], row["gold"], row["answer"]))
        label = word.label if word else row["label"]  # a person's word outranks the grade
        # a label says whether the probe's own gold answer was given, which the auditor may not hold for the truth
        if label == "correct" if truth == trace.gold else says(row["question"], truth, row["answer"]):
            said = f"{row['cell']}: {row['system']} answered {row['answer']!r}, which was right (answer {row['answer_id'][:16]})"
            found.setdefault(row["answer_id"], said)
    return list(found.values())
