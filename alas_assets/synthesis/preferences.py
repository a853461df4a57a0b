"""Mines DPO pairs from what the SFT candidate got wrong on training-side questions, and filters them (D1, D2).

Mining only: the questions come from `synthesis.probes.mining_questions`, training is `training`'s.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from difflib import SequenceMatcher
from math import ceil
from typing import Any

import polars as pl

from alas_assets.evaluation import tokens
from alas_assets.evaluation.denials import declines, hedges
from alas_assets.provenance import ids
from alas_assets.records import PREFERENCE_SCHEMA
from alas_assets.synthesis.wording import clean, differ_in_identity, mentions, normalise, words

_NAMED_KINDS = {"version", "pep", "cve", "issue", "identifier", "date", "quantity", "name"}
_LONG_WORDS = 6  # answers from this length on are compared word by word
_SIMILAR_WORDS = 0.8
_SIMILAR_CHARS = 0.8
_DECLINES = re.compile(r"\b(?:i (?:do not|don't) know|i am not sure|i'm not sure|cannot answer|can't answer|no information)\b")
"""Words of declining, whatever else is said: what the grader takes for an answer may still be no guess to punish."""
_MAX_COMPARED = 4000  # characters; an answer is cut at a few hundred tokens when it is generated


def mine_pairs(graded: pl.DataFrame, qa: pl.DataFrame) -> pl.DataFrame:
    """Return one pair per wrong answer, filtered ones with their reason (`PREFERENCE_SCHEMA`, sorted by pair id; D1, D2).

    Args:
        graded: The SFT candidate's graded answers (`ANSWER_SCHEMA`) to the accepted `mine` questions.
        qa: The iteration's pairs (`QA_SCHEMA`), where the reference answers stand.

    Pairs whose answers are nearly alike displace the chosen answer's likelihood, because most of the loss falls on
    words that both share. That holds for sentences: from six words on, a pair that shares four fifths of its words
    goes. It does not hold for the short answers we train, where the one word that differs is the fact (3.14 for 3.15,
    one PEP for another): these are kept whenever an identifier, number or version differs, and dropped where only
    spelling does ("collection" for "collector"), which is as likely right in other words. A short answer that shares no word with question
    or reference is another fact's name, the very confusion to correct; only a sentence of that kind is off topic.

    No category is filled up by copying. In one with more pairs than its share, further pairs of a fact that has one go.
    """
    mine = qa.filter(pl.col("accepted") & (pl.col("role") == "mine"))
    pairs = {ids.probe_id(row["fact_id"], row["question"]): row for row in mine.iter_rows(named=True)}
    rows: list[dict[str, Any]] = []
    for answer in graded.filter(pl.col("label") != "correct").sort(["probe_id", "answer_id"]).iter_rows(named=True):
        rows.append(_pair(answer, pairs.get(ids.probe_id(answer["fact_id"], answer["question"]))))
    _drop_repeats(rows)
    _cap_categories(rows)
    for row in rows:
        row["accepted"] = not row["reason"]
    return pl.DataFrame(rows, schema=PREFERENCE_SCHEMA).sort(["pair_id", "qa_id", "accepted", "reason"])


def enough(pairs: pl.DataFrame, min_pairs: int) -> str | None:
    """Return why DPO is skipped, or None when there are enough accepted pairs (D2, D3)."""
    accepted = pairs.filter(pl.col("accepted")).height
    if accepted >= max(min_pairs, 1):
        return None
    if pairs.is_empty():
        return "the SFT candidate made no mistake on the mining questions; DPO is skipped and it goes on to the gate"
    return f"{accepted} usable of {pairs.height} wrong answers, {min_pairs} are needed; DPO is skipped and the SFT candidate goes on"


def _pair(answer: dict[str, Any], source: dict[str, Any] | None) -> dict[str, Any]:
    said = clean(answer["answer"] or "").strip()
    chosen = source["answer"] if source else clean(answer["gold"] or "")
    qa_id = source["qa_id"] if source else ""
    return {
        "pair_id": ids.short_id("pair", qa_id, answer["fact_id"], answer["question"], said),
        "qa_id": qa_id,
        "fact_id": answer["fact_id"],
        "question": answer["question"],
        "chosen": chosen,
        "rejected": said,
        "category": source["category"] if source else answer["category"],
        "reason": _why_not(answer, source, chosen, said),
    }


def _why_not(answer: dict[str, Any], source: dict[str, Any] | None, chosen: str, said: str) -> str:
    if source is None:
        return "not a mining question"  # a probe that decides promotion must never be trained on
    if answer["label"] == "failed":
        return "not graded"
    if not words(said):
        return "empty"
    rights = (chosen, *source["aliases"])
    if any(_same_words(said, right) for right in rights):
        return "right in other words"
    if any(mentions(said, right) for right in rights):
        return "names the reference too"  # right with more words, or beside a rival: to push it down pushes both
    if answer["label"] == "partial" and mentions(chosen, said):
        return "part of the reference"
    if declines(said, source["question"]) or hedges(tokens.normalise(said)) or _DECLINES.search(" ".join(words(said))):
        return "declines to answer"  # to punish it would teach the student to guess
    if _degenerate(said):
        return "degenerate repetition"
    if (answer["error_type"] == "off topic" and len(words(said)) >= _LONG_WORDS) or _echoes(said, source["question"]):
        return "off topic"
    if _too_alike(chosen, said, source["answer_kind"]):
        return "differs by a few words only"
    return ""


def _same_words(said: str, right: str) -> bool:
    small = {"a", "an", "the"}
    return sorted(w for w in words(said) if w not in small) == sorted(w for w in words(right) if w not in small)


def _degenerate(said: str) -> bool:
    """Tell whether an answer says the same again and again: few different words, or one word four times running."""
    parts = words(said)
    if any(parts[i : i + 4] == (parts[i],) * 4 for i in range(len(parts) - 3)):
        return True
    return len(parts) >= 8 and len(set(parts)) / len(parts) < 0.4


def _echoes(said: str, question: str) -> bool:
    parts, asked = words(said), set(words(question))
    return len(parts) >= 4 and sum(part in asked for part in parts) / len(parts) >= 0.9


def _too_alike(chosen: str, said: str, kind: str) -> bool:
    chosen, said = chosen[:_MAX_COMPARED], said[:_MAX_COMPARED]
    right, wrong = words(chosen), words(said)
    if min(len(right), len(wrong)) >= _LONG_WORDS:
        return SequenceMatcher(None, right, wrong, autojunk=False).ratio() >= _SIMILAR_WORDS
    if kind in _NAMED_KINDS or differ_in_identity(chosen, said):
        return False
    return SequenceMatcher(None, normalise(chosen), normalise(said), autojunk=False).ratio() >= _SIMILAR_CHARS


def _drop_repeats(rows: list[dict[str, Any]]) -> None:
    seen: set[tuple[str, str]] = set()
    for row in rows:
        key = (row["qa_id"], normalise(row["rejected"]))
        if not row["reason"] and key in seen:
            row["reason"] = "repeated pair"
        elif not row["reason"]:
            seen.add(key)


def _cap_categories(rows: list[dict[str, Any]]) -> None:
    """Thin out categories above an equal share by dropping repeated pairs of one fact; a fact's last pair stays (S6, D2)."""
    by_category: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if not row["reason"]:
            by_category[row["category"]].append(row)
    if not by_category:
        return
    share = ceil(sum(len(group) for group in by_category.values()) / len(by_category))
    for group in by_category.values():
        left = len(group)
        of_fact = Counter(row["fact_id"] for row in group)
        for row in reversed(group):
            if left <= share:
                break
            if of_fact[row["fact_id"]] > 1:
                row["reason"] = "repeat in an over-represented category"
                of_fact[row["fact_id"]] -= 1
                left -= 1
