"""What can be done about a wrong answer: who decided already, the commands that change what is taught, and where else it is said (A1, S13).

Words only; which kind of wrong it is, `audit.verdict` decides.
"""

from __future__ import annotations

import shlex

import polars as pl

from alas_assets.audit.objections import decision_in_words, waiting_decisions
from alas_assets.audit.overruled import after_people
from alas_assets.audit.reading import ReadOnce
from alas_assets.audit.trace import ABOUT_FACTS, ANSWER_TABLES, SourceTrace, Trace
from alas_assets.audit.verdict import Verdict
from alas_assets.provenance.blocked.documents import FOLDER, with_domain
from alas_assets.provenance.store import ArtifactStore
from alas_assets.release.closing import given_up
from alas_assets.review.pairs import ITEM
from alas_assets.wording import counted


def what_now(store: ArtifactStore, trace: Trace, verdict: Verdict, option: str = "") -> list[str]:
    """Return what can be done where the pair or its page is at fault, a sentence each; nothing where what was taught is right.

    Args:
        store: The store that the trace came from.
        trace: The walk from the answer to its source.
        verdict: Which kind of wrong the answer is.
        option: What every command needs to find the store, with a space before it.

    Raises:
        ReviewError: What people decided is damaged.
        StoreError: A table of pairs or answers is damaged or gone.
        RegistryError: The domain's registry is damaged.
    """
    if verdict.kind not in ("bad pair", "bad source") or trace.source is None or not any(pair.accepted for pair in trace.pairs):
        return []
    store, domain, fact = ReadOnce.over(store), trace.cell.partition("|")[0], trace.matched_fact or trace.fact_id
    return [*_mends(store, trace, trace.source, verdict, domain, fact, option), *_said_elsewhere(store, trace, domain, fact)]


def _mends(store: ReadOnce, trace: Trace, source: SourceTrace, verdict: Verdict, domain: str, fact: str, option: str) -> list[str]:
    waiting = waiting_decisions(store, domain, {fact}).get(fact, [])
    words = "; ".join(map(decision_in_words, waiting))
    lines = [f"decided already: {words}; `alas review list {domain}{option}` says when it is taken up"] if waiting else []
    if any(one.decision == "reject fact" or one.new_answer for one in waiting):
        return lines
    counts = ~pl.col("cell").is_in(list(given_up(store, domain)))
    left = after_people(store.rows_of(domain, "qa_pairs").filter(pl.col("url") == source.url, counts))
    if fact not in left.standing and fact in left.overruled:
        return [f"{word.word}, and {word.cell} took it up" for word in left.overruled[fact]]
    if source.since and not source.since.states_it:
        lines.append("it is rehearsed and asked no more: its page, as read since, no longer states it")
    else:
        pair = next(pair for pair in trace.pairs if pair.accepted)
        iteration = next((int(run.cell.partition("|")[2]) for run in trace.runs if run.step == "qa_pairs"), 0)
        decide = "edit and the right answer, or reject fact," if verdict.kind == "bad pair" else "reject fact"
        lines.append(
            f"to teach it no more: `alas review export {domain}{option} --what pairs --iteration {iteration}`, write {decide} in the row "
            f"{ITEM}{pair.qa_id}, `alas review import {domain}{option} FILE`, then `alas run {domain}{option}`"
        )
    if verdict.kind == "bad source":
        page = shlex.quote(with_domain(source.url, domain) if source.url.startswith(FOLDER) else source.url)
        lines.append(f"if the page is not to be trusted at all: `alas takedown {page}{option} --dry-run` shows what goes with it")
    return lines


def _said_elsewhere(store: ReadOnce, trace: Trace, domain: str, fact: str) -> list[str]:
    """Return how many other questions about the fact the same model answers with the same words and is graded right."""
    about = pl.col("split").is_in(ABOUT_FACTS) & (pl.col("fact_id") == fact) & (pl.col("answer") == trace.answer)
    others = about & (pl.col("adapter_hash") == trace.adapter_hash) & (pl.col("answer_id") != trace.answer_id)
    answers = pl.concat([store.rows_of(domain, asset).filter(others, pl.col("label") == "correct") for asset in ANSWER_TABLES])
    asked = answers["question"].n_unique()
    if not asked:
        return []
    questions = f"{counted(asked, 'other question')} about the fact"
    return [f"the same model says it to {questions} too and is graded right there, until it is taught no more"]
