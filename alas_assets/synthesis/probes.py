# ruff: noqa: SIM905 - word lists read better as text
"""Builds the table of evaluation questions: held-out phrasings, guards, and what earlier iterations asked (E1, G2).

Building only: answering and grading are `evaluation`'s, the leak check is `synthesis.leaks`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence, Set
from itertools import chain
from typing import Any

import polars as pl

from alas_assets.provenance import ids
from alas_assets.records import PROBE_SCHEMA
from alas_assets.synthesis.aliases import is_kind
from alas_assets.synthesis.questions import GuardQuestion
from alas_assets.synthesis.wording import mentions, normalise, word_set

MAX_RIVALS = 20
_SAY_NO_MORE = frozenset(
    "inc incorporated corp corporation ltd limited llc gmbh ag company co foundation group team license licence framework platform "
    "database toolkit engine browser editor compiler interpreter protocol format standard".split()
)
"""Words behind a name that leave it what it is, besides those that only say a kind."""


def build_probes(
    qa: pl.DataFrame,
    guards: Sequence[GuardQuestion],
    neighbours: Sequence[GuardQuestion],
    earlier: Sequence[pl.DataFrame],
    iteration: int,
    *,
    retired_facts: Set[str] = frozenset(),
    overruled: Set[str] = frozenset(),
    unknown: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return all evaluation questions of an iteration, ordered by split and id (E1).

    Args:
        qa: The iteration's pairs (`QA_SCHEMA`); accepted rows of role `probe` become split `probe`.
        guards: General questions, split `guard`.
        neighbours: Questions on neighbouring topics, split `neighbour`.
        earlier: Probe tables of earlier iterations, oldest first; their still valid probes become split `earlier`.
        iteration: This iteration's number.
        retired_facts: Facts that no longer hold, lost a dispute or were taken down.
        overruled: Earlier pairs (`qa_id`) that a person rejected or corrected since.
        unknown: Unanswerable questions (`unknowns.unknown_probes`), asked in this iteration only: their names may be real later.

    An earlier probe is no longer valid when its fact is retired, when its pair is overruled, or when a newer accepted pair or probe
    asks the same question and answers it differently. One of a fact that this iteration asks itself is left out, whatever its wording:
    what is taught again cannot show what is forgotten.
    """
    accepted = qa.filter(pl.col("accepted"))
    rows = [_from_pair(row, "probe", iteration) for row in accepted.filter(pl.col("role") == "probe").iter_rows(named=True)]
    _measure_overlap(rows, accepted.filter(pl.col("role") == "train")["question"].to_list())
    rows += _still_valid(earlier, accepted, rows, retired_facts, overruled)
    _add_rivals(rows, accepted)
    rows += [_from_guard(guard, "guard") for guard in guards]
    rows += [_from_guard(guard, "neighbour") for guard in neighbours]
    rows += unknown.to_dicts() if unknown is not None else []
    return pl.DataFrame(rows, schema=PROBE_SCHEMA).sort(["split", "probe_id"])


def mining_questions(qa: pl.DataFrame, iteration: int) -> pl.DataFrame:
    """Return the questions to ask the SFT candidate for preference pairs, as `PROBE_SCHEMA` with split `mine` (D1)."""
    accepted = qa.filter(pl.col("accepted"))
    rows = [_from_pair(row, "mine", iteration) for row in accepted.filter(pl.col("role") == "mine").iter_rows(named=True)]
    _add_rivals(rows, accepted)
    return pl.DataFrame(rows, schema=PROBE_SCHEMA).sort("probe_id")


def median_overlap(probes: pl.DataFrame) -> float | None:
    """Return the median word overlap of this iteration's probes with their nearest training row, 0..1; None without probes."""
    values = probes.filter(pl.col("split") == "probe")["overlap"].drop_nulls()
    median = values.median()
    return float(median) if isinstance(median, (int, float)) else None


def cut_short(probes: pl.DataFrame, count_tokens: Callable[[str], int], most: int) -> list[str]:
    """Return a line for each probe of a fact that no student can pass, as no form of the right answer fits into what it may say.

    Guard questions are left out: before and after a training their answers are cut alike.

    Args:
        probes: What is asked (`PROBE_SCHEMA`).
        count_tokens: Tokens of a text by the student's tokenizer.
        most: Tokens after which an answer is cut.
    """
    lines: list[str] = []
    for row in probes.filter(pl.col("split").is_in(["probe", "earlier"])).iter_rows(named=True):
        shortest = min(map(count_tokens, (row["answer"], *(row["aliases"] or ()))))
        if shortest > most:
            lines.append(
                f"probe {row['probe_id']} ({row['question'][:80]!r}): an answer is cut after {most} tokens, its own has {shortest}"
            )
    return lines


def _from_pair(row: dict[str, Any], split: str, iteration: int) -> dict[str, Any]:
    same = ("fact_id", "fact_group", "topic_id", "topic", "question", "answer", "aliases", "answer_kind", "category", "difficulty")
    return {
        **{name: row[name] for name in (*same, "template", "qa_id", "chunk_id", "url")},
        "probe_id": ids.probe_id(row["fact_id"], row["question"]),
        "split": split,
        "rivals": [],
        "iteration": iteration,
        "overlap": None,
    }


def _from_guard(guard: GuardQuestion, split: str) -> dict[str, Any]:
    return {
        "probe_id": ids.probe_id(f"{split}:{guard.id}", guard.question),  # one question may stand in both files
        "split": split,
        "fact_id": guard.id,
        "fact_group": guard.id,
        "topic_id": "",
        "topic": split,
        "question": guard.question,
        "answer": guard.answer,
        "aliases": guard.aliases,
        "answer_kind": "phrase",
        "rivals": [],
        "category": "factual",
        "difficulty": "Easy",
        "template": "",
        "qa_id": "",
        "chunk_id": "",
        "url": "",
        "iteration": -1,
        "overlap": None,
    }


def _still_valid(
    earlier: Sequence[pl.DataFrame], accepted: pl.DataFrame, own: list[dict[str, Any]], retired: Set[str], overruled: Set[str]
) -> list[dict[str, Any]]:
    asked: set[str] = set()
    again = {row["fact_id"] for row in own}
    answers: dict[str, str] = {}  # question to its newest answer
    for row in accepted.iter_rows(named=True):
        answers.setdefault(normalise(row["question"]), normalise(row["answer"]))
    kept: list[dict[str, Any]] = []
    for table in reversed(earlier):
        for row in table.filter(pl.col("split").is_in(["probe", "earlier"])).sort("probe_id").iter_rows(named=True):
            if row["probe_id"] in asked or row["fact_id"] in again or row["fact_id"] in retired or row["qa_id"] in overruled:
                continue
            if answers.setdefault(normalise(row["question"]), normalise(row["answer"])) != normalise(row["answer"]):
                continue
            asked.add(row["probe_id"])
            kept.append({**row, "split": "earlier", "rivals": []})
    return kept


def _measure_overlap(rows: list[dict[str, Any]], training: list[str]) -> None:
    """Set each probe's word overlap (Jaccard of lower-case word sets) with the nearest training row of any fact."""
    import numpy as np

    sizes = np.array([len(word_set(text)) for text in training])
    holders: dict[str, list[int]] = defaultdict(list)
    for i, text in enumerate(training):
        for word in word_set(text):
            holders[word].append(i)
    places = {word: np.array(rows_with) for word, rows_with in holders.items()}
    for row in rows:
        own = word_set(row["question"])
        found = [places[word] for word in own if word in places]
        common = np.bincount(np.concatenate(found), minlength=len(training)) if found else np.zeros(len(training))
        row["overlap"] = float((common / np.maximum(len(own) + sizes - common, 1)).max(initial=0.0))


def _add_rivals(rows: list[dict[str, Any]], accepted: pl.DataFrame) -> None:
    """Give each probe other answers of its kind in this domain, those of its own topic first, `MAX_RIVALS` at most.

    An answer is no rival where it is an alias, lies inside the right answer or holds it, or is named by the question: a right answer
    would then be marked wrong. It is one where it goes on from the right answer to another name ("React Native" beside "React"), unless
    that stands for the same fact.
    """
    of_kind: dict[str, set[str]] = defaultdict(set)
    of_topic: dict[tuple[str, str], set[str]] = defaultdict(set)
    groups: dict[str, set[str]] = defaultdict(set)
    for row in [*accepted.iter_rows(named=True), *rows]:
        of_kind[row["answer_kind"]].add(row["answer"])
        of_topic[row["answer_kind"], row["topic_id"]].add(row["answer"])
        groups[row["answer"]].add(row["fact_group"])
    ordered = {kind: sorted(answers) for kind, answers in of_kind.items()}
    near = {place: sorted(answers) for place, answers in of_topic.items()}
    for row in rows:
        right = [row["answer"], *row["aliases"]]
        chosen: dict[str, None] = {}
        for answer in chain(near[row["answer_kind"], row["topic_id"]], ordered[row["answer_kind"]]):
            if len(chosen) == MAX_RIVALS:
                break
            if answer in chosen:
                continue
            if any(mentions(text, answer) for text in right) or mentions(row["question"], answer):
                continue
            held = [text for text in right if mentions(answer, text)]
            if held and (row["fact_group"] in groups[answer] or not all(_goes_on(answer, text) for text in held)):
                continue
            chosen[answer] = None
        row["rivals"] = sorted(chosen)


def _goes_on(answer: str, right: str) -> bool:
    """Tell whether an answer is the right one and a further name behind it, by which it names something else: React Native, not React 19.

    What only says of what kind the thing is, or whose, does not: React Library, Microsoft Corporation.
    """
    said, its = answer.strip("` ").split(), right.strip("` ").split()
    more = said[len(its) :]
    begins = [word.casefold() for word in said[: len(its)]] == [word.casefold() for word in its]
    return begins and bool(more) and its[0][:1].isupper() and all(word.isalpha() and word[0].isupper() and _names(word) for word in more)


def _names(word: str) -> bool:
    return not is_kind(word) and word.casefold() not in _SAY_NO_MORE
