"""What people hold against taught facts: decisions that no iteration took up so far, and words on answers (A1, A2, S13).

Tables and the journal only. What an iteration took up of a decision is `audit.overruled`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

import polars as pl

from alas_assets.audit.reading import ReadOnce
from alas_assets.audit.trace import ABOUT_FACTS, ANSWER_TABLES
from alas_assets.audit.verdict import blames_the_fact, says
from alas_assets.evaluation.agreement import item_key
from alas_assets.provenance.store import ArtifactStore
from alas_assets.records import ASKED
from alas_assets.release.closing import given_up
from alas_assets.review.earlier import works_on_earlier
from alas_assets.review.pairs import Decision, decisions_of
from alas_assets.review.said import Said, asked_answers, people_said
from alas_assets.review.taken_up import as_kept, carried_out


def waiting_decisions(store: ArtifactStore, domain: str, facts: Set[str]) -> dict[str, list[Decision]]:
    """Return, by `fact_id`, what people decided on pairs of these facts and no iteration that counts took up so far, oldest first.

    Left out is what changes nothing: an approval, and of a pair that an earlier iteration taught an edit of its question or aliases.

    Raises:
        ReviewError: What they decided is damaged.
        StoreError: A table of pairs, or what is known of the domain's closed iterations, is damaged or gone.
    """
    decisions = [one for one in decisions_of(store.root, domain) if one.fact_id in facts and one.decision != "approve"]
    if not decisions:
        return {}
    store, aside = ReadOnce.over(store), given_up(store, domain)
    rows = store.rows_of(domain, "qa_pairs").filter(~pl.col("cell").is_in(list(aside)))
    made = [as_kept(value) for one in decisions for value in (one.new_question, one.new_answer) if value]
    known = rows.filter(pl.col("question").is_in(made) | pl.col("answer").is_in(made)).to_dicts()
    left = {one.qa_id: one for one in decisions}
    for said in rows.filter(pl.col("review") != "").partition_by("cell", maintain_order=True):
        for one in carried_out(list(left.values()), said.to_dicts(), known):
            left.pop(one.qa_id, None)
    made_cells = [str(cell) for cell in store.cells(domain) if str(cell) not in aside and store.pointer(cell, "qa_pairs")]
    newest = set(rows.filter(pl.col("cell") == max(made_cells, default=""))["qa_id"])
    found: dict[str, list[Decision]] = {}
    for one in left.values():
        if works_on_earlier(one) or one.qa_id in newest:
            found.setdefault(one.fact_id, []).append(one)
    return found


def decision_in_words(decision: Decision) -> str:
    """Say what a person decided, who and when, and why."""
    change = f", {decision.change}" if decision.change else ""
    return f"{decision.decision} by {decision.who}{change}{f' ({decision.comment})' if decision.comment else ''}"


def denials(store: ArtifactStore, domain: str, facts: Set[str]) -> dict[str, list[str]]:
    """Return in words, by `fact_id`, what people said of answers that speaks against the facts themselves; of each answer once.

    Whoever says that what the fact says is right, and the model said something else, speaks against the model alone.

    Raises:
        ReviewError: What they said is damaged.
        StoreError: A table of answers is damaged or gone.
    """
    said = {item: one for item, one in people_said(store.root, domain).items() if one.label != "correct"}
    if not said:
        return {}
    once, about = ReadOnce.over(store), pl.col("split").is_in(ABOUT_FACTS) & pl.col("fact_id").is_in(list(facts))
    columns = ["answer_id", "split", "fact_id", "question", "gold", "answer"]
    answers = [row for asset in ANSWER_TABLES for row in once.rows_of(domain, asset).filter(about).select(columns).iter_rows(named=True)]
    answers += [answer for answer in asked_answers(store.root, domain) if answer["fact_id"] in facts]
    found: dict[str, dict[str, str]] = {}
    for answer in answers:
        item = item_key(answer["question"], answer["gold"], answer["answer"])
        if item in said and _speaks_against_the_fact(said[item], answer):
            found.setdefault(answer["fact_id"], {}).setdefault(item, _word_on(answer, said[item]))
    return {fact: list(words.values()) for fact, words in found.items()}


def _speaks_against_the_fact(said: Said, answer: Mapping[str, str]) -> bool:
    question, gold = answer["question"], answer["gold"]
    if answer["split"] == ASKED and not says(question, gold, answer["answer"]):
        return False  # a question in free words may be about another fact than the one that was found
    return blames_the_fact(question, gold, answer["answer"], said.should_be)


def _word_on(answer: Mapping[str, str], said: Said) -> str:
    right = f", right is {said.should_be!r}" if said.should_be else ""
    why = f" ({said.comment})" if said.comment else ""
    return f"{answer['answer']!r} is {said.label}, says {said.by} on {said.at[:10]}{right}{why}: answer {answer['answer_id'][:16]}"
