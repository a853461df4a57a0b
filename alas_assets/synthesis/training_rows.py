"""Puts together the exact rows SFT sees: new facts, rehearsal of earlier ones, replay of other skills, unknowns (T2, T6, S12).

Building only. The chat template and the training itself are `training`'s.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence, Set
from functools import partial
from math import ceil
from typing import Any, NamedTuple

import polars as pl

from alas_assets.provenance import ids
from alas_assets.provenance.store import table_hash
from alas_assets.records import TRAIN_ROW_SCHEMA, UNKNOWN, empty
from alas_assets.synthesis.disputed import lost_since
from alas_assets.synthesis.leaks import held_out, usable_replay
from alas_assets.synthesis.questions import GuardQuestion, ReplayPrompt
from alas_assets.synthesis.wording import GAP, clean, normalise

BATCHES_PER_BLOCK = 10


class ReplayError(ValueError):
    """A replay share is asked for that the replay prompts cannot give; the message says what to change."""


def build_rows(
    qa: pl.DataFrame,
    earlier_qa: Sequence[pl.DataFrame],
    replay: Sequence[tuple[ReplayPrompt, str]],
    *,
    replay_share: float,
    rehearsal_per_fact: int | None,
    seed: int,
    guards: Sequence[GuardQuestion] = (),
    retired_facts: Set[str] = frozenset(),
    passes: int = 1,
    cloze_repeat: int = 1,
    word_dropout: float = 0.0,
    telling_word_dropout: float | None = None,
    batch_size: int = 1,
    rehearse_alike: bool = False,
    rehearsal_most: float | None = None,
    iteration: int = 0,
    without_new: bool = False,
    unknown: pl.DataFrame | None = None,
    unknown_share: float = 0.0,
) -> pl.DataFrame:
    """Return the training rows in training order (`TRAIN_ROW_SCHEMA`); equal inputs give the equal table.

    Facts and replay are mixed evenly, so that every batch holds both in the same proportion.

    Args:
        qa: This iteration's pairs; only accepted rows of role `train` are taken.
        earlier_qa: Pair tables of earlier iterations, oldest first, for rehearsal.
        replay: Replay prompts with the base student's own answers; empty answers are left out.
        replay_share: Share of replay rows among all rows, 0 <= share < 1.
        rehearsal_per_fact: Rows of each earlier fact, chosen by seed; None for all of them.
        seed: Fixes sampling and order.
        guards: Guard and neighbour questions; replay prompts near one, or near a held-out wording of these pairs, are left out.
        retired_facts: Facts that are rehearsed no more, beside those that lost a dispute since they were taught.
        passes: Times every fact row stands in the table; each pass is ordered anew and takes the next replay prompts.
        cloze_repeat: Times a prompt with a gap (___) stands in a pass; questions outnumber gaps among the phrasings.
        word_dropout: Chance of each word of a fact's prompt to be left out, in half of the rows of a pass. A student that
            has seen a question with holes leans on its content, not on its frame.
        telling_word_dropout: The same chance for words in the prompts of few facts (at most the square root of their number); None for
            `word_dropout`. Without the words that tell it from its neighbours a question has several right answers.
        batch_size: Rows of one optimiser step; rows of like length share one, as padding costs time.
        rehearse_alike: Rehearse as many rows as are new, if `rehearsal_per_fact` gives fewer, prompts with a gap repeated alike.
        rehearsal_most: Rehearsal rows of a pass at most, but one fact's at least, as a multiple of the rows of new facts; earlier facts
            take turns from pass to pass. None for no limit, and then a pass costs more with every fact that is known.
        iteration: Whose rows these are: with that limit each iteration takes earlier facts in another order, or some would never be
            rehearsed again.
        without_new: Teach earlier facts also where there is no new one, and like new ones, prompts with a gap repeated (after a takedown).
        unknown: Unanswerable questions to draw from (`unknowns.unknown_rows`).
        unknown_share: Rows that teach to decline, as a share of the rows of facts and rehearsal (S12); over all passes, so that few
            facts get theirs too. Each pass takes the next ones. Where there is none to draw from, none is taught.

    Where there are too few prompts for the share, they repeat in whole rounds before any is used once more; a
    repeated row keeps its id. Without a row of this iteration nothing is trained, so the table is empty, unless `without_new` is set.

    Raises:
        ValueError: A share is not in [0, 1).
        ReplayError: The share is above 0 and no usable prompt is left.
    """
    if not 0 <= replay_share < 1:
        raise ValueError(f"replay_share is {replay_share}; it must be at least 0 and under 1")
    if not 0 <= unknown_share < 1:
        raise ValueError(f"unknown_share is {unknown_share}; it must be at least 0 and under 1")
    new = [_fact_row(row, "fact") for row in _accepted(qa, ["train"]).iter_rows(named=True)]
    earlier = _by_fact(qa, earlier_qa, retired_facts)
    if not new and not (without_new and earlier):
        return empty(TRAIN_ROW_SCHEMA)
    new = _with_repeated_gaps(new, cloze_repeat)
    if without_new:
        earlier = [_with_repeated_gaps(rows, cloze_repeat) for rows in earlier]
    elif rehearse_alike and earlier and rehearsal_per_fact is not None:
        rehearsal_per_fact = max(rehearsal_per_fact, ceil(len(new) / len(earlier)))
        earlier = [_with_repeated_gaps(rows, cloze_repeat) if len(rows) < rehearsal_per_fact else rows for rows in earlier]
    most = None if rehearsal_most is None else rehearsal_most * len(new)
    rehearsal = partial(_rehearsal, earlier, rehearsal_per_fact, seed, most=most, iteration=iteration)
    taught_rows = len(new) + sum(len(rehearsal(turn)) for turn in range(passes)) / passes
    declined = _unknowns(unknown, taught_rows * unknown_share, passes, seed)
    wanted = round((taught_rows + len(declined) / passes) * replay_share / (1 - replay_share))
    replays = _replay(replay, guards, held_out([*earlier_qa, qa]), wanted * passes, replay_share, seed)
    chance = _chances(new, earlier, word_dropout, word_dropout if telling_word_dropout is None else telling_word_dropout)
    rows: list[dict[str, str]] = []
    for turn in range(passes):
        share = declined[turn * len(declined) // passes : (turn + 1) * len(declined) // passes]
        taught = _shuffled(new + rehearsal(turn) + share, seed, f"order {turn}")
        facts = [_with_holes(row, chance, f"{seed} {turn} {i}") for i, row in enumerate(taught)]
        rows += _mixed(facts, replays[turn * wanted : (turn + 1) * wanted])
    return pl.DataFrame(_of_like_length(rows, batch_size, seed), schema=TRAIN_ROW_SCHEMA)


class Amount(NamedTuple):
    """How many times a training goes through its rows, and with how much replay."""

    passes: int
    replays: int
    """Replay rows of all passes together."""
    rehearse_alike: bool
    """Whether earlier facts get their share of steps that few new ones get to spare."""


def amount_of(
    count: Callable[[bool], int],
    *,
    rows_per_fact: float,
    passes: int,
    min_sights: int,
    min_steps: int,
    batch_size: int,
    replay_share: float,
) -> Amount:
    """Return how much of everything a recipe asks for.

    Args:
        count: Rows of one pass without replay (those of `build_rows`), given whether rehearsal is to be alike.
        rows_per_fact: Rows of a new fact in one pass (`rows_of_a_fact`).
        passes: Times every fact row is to be seen at least.
        min_sights: Times every new fact is to be seen at least, in whatever wordings: facts with few wordings get more passes.
        min_steps: Optimiser steps at least: few rows are gone through more often.
        batch_size: Rows of a step.
        replay_share: Share of replay rows among all.
    """
    if rows_per_fact:
        passes = max(passes, ceil(round(min_sights / rows_per_fact, 9)))  # 65 / (65 / 29) is a little more than 29
    beside = replay_share / (1 - replay_share)
    taught, alike = count(False), False
    if (taught + round(taught * beside)) * passes < min_steps * batch_size:
        taught, alike = count(True), True
    replays = round(taught * beside)
    passes = max(passes, ceil(min_steps * batch_size / max(1, taught + replays)))
    return Amount(passes, replays * passes, alike)


def rows_of_a_fact(qa: pl.DataFrame, cloze_repeat: int) -> float:
    """Return how many rows of a pass teach one of these facts, on average; 0 where nothing is taught."""
    taught = _accepted(qa, ["train"])
    gaps = taught.filter(pl.col("question").str.contains(GAP, literal=True)).height
    return (taught.height + (cloze_repeat - 1) * gaps) / taught["fact_id"].n_unique() if taught.height else 0.0


def at_risk(
    qa: pl.DataFrame,
    earlier_qa: Sequence[pl.DataFrame],
    replay: Sequence[ReplayPrompt],
    guards: Sequence[GuardQuestion],
    retired_facts: Set[str] = frozenset(),
    unknown: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return everything that training could see, for the leak check before anything is trained (`TRAIN_ROW_SCHEMA`, S8).

    Accepted train and mine rows (DPO trains on those), all rehearsal, the replay prompts, as yet without answers, and all unanswerable
    questions that may be drawn.
    """
    rows = [_fact_row(row, "fact") for row in _accepted(qa, ["train", "mine"]).iter_rows(named=True)]
    rows += [_fact_row(row, "rehearsal") for row in _earlier_rows(qa, earlier_qa, retired_facts)]
    rows += [_replay_row(prompt, "") for prompt in usable_replay(replay, guards, held_out([*earlier_qa, qa]))]
    rows += unknown.to_dicts() if unknown is not None else []
    return pl.DataFrame(rows, schema=TRAIN_ROW_SCHEMA)


def rows_hash(rows: pl.DataFrame) -> str:
    """Return the content hash of the exact training rows in their order (T5)."""
    return table_hash(rows)


def standing_rows(qa: pl.DataFrame, earlier_qa: Sequence[pl.DataFrame], retired_facts: Set[str]) -> pl.DataFrame:
    """Return the earlier accepted training pairs that still hold beside these (`QA_SCHEMA`), sorted by id."""
    return pl.DataFrame(_earlier_rows(qa, earlier_qa, retired_facts), schema=qa.schema)


def _accepted(qa: pl.DataFrame, roles: list[str]) -> pl.DataFrame:
    return qa.filter(pl.col("accepted") & pl.col("role").is_in(roles))


def _earlier_rows(qa: pl.DataFrame, earlier_qa: Sequence[pl.DataFrame], retired: Set[str]) -> list[dict[str, Any]]:
    """Return earlier training rows that still hold, sorted by id; a newer answer to the same question retires the older row.

    So does a dispute that its fact lost since, however the other side was asked.
    """
    current = qa.filter(pl.col("accepted"))
    retired = retired | lost_since([*earlier_qa, qa], retired)
    taught = set(current["fact_id"])
    newest = {normalise(row["question"]): normalise(row["answer"]) for row in current.iter_rows(named=True)}
    kept: dict[str, dict[str, Any]] = {}
    for frame in reversed(earlier_qa):
        for row in _accepted(frame, ["train"]).iter_rows(named=True):
            answer = normalise(row["answer"])
            if row["fact_id"] in taught or row["fact_id"] in retired:
                continue
            if newest.setdefault(normalise(row["question"]), answer) == answer:
                kept.setdefault(row["qa_id"], row)
    return [kept[key] for key in sorted(kept)]


def _by_fact(qa: pl.DataFrame, earlier_qa: Sequence[pl.DataFrame], retired: Set[str]) -> list[list[dict[str, str]]]:
    by_fact: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in _earlier_rows(qa, earlier_qa, retired):
        by_fact[row["fact_id"]].append(_fact_row(row, "rehearsal"))
    return [by_fact[fact] for fact in sorted(by_fact)]


def _with_repeated_gaps(rows: list[dict[str, str]], times: int) -> list[dict[str, str]]:
    return [row for row in rows for _ in range(times if GAP in row["prompt"] else 1)]


def _rehearsal(
    facts: list[list[dict[str, str]]], per_fact: int | None, seed: int, turn: int, *, most: float | None, iteration: int
) -> list[dict[str, str]]:
    """Return this pass's rehearsal: of each fact whose turn it is a prompt with a gap, where there is one, and the next of its questions.

    The same rows in every pass would be learned as such, and the fact's other wordings forgotten.
    """
    size = len(facts) if most is None or not per_fact else min(len(facts), max(1, int(most / per_fact)))
    queue = facts
    if size < len(facts):
        queue = sorted(facts, key=lambda rows: ids.short_id("turns", str(seed), str(iteration), rows[0]["fact_id"]))
    chosen: list[dict[str, str]] = []
    for place in range(turn * size, (turn + 1) * size):
        visit, at = divmod(place, len(facts))
        chosen += _rows_of_visit(_shuffled(queue[at], seed, "rehearsal"), per_fact, visit)
    return chosen


def _rows_of_visit(ordered: list[dict[str, str]], per_fact: int | None, visit: int) -> list[dict[str, str]]:
    """Return the rows of one fact that are rehearsed when it is taken up for the n-th time."""
    if per_fact is None or per_fact >= len(ordered):
        return ordered
    gaps, asked = [row for row in ordered if GAP in row["prompt"]], [row for row in ordered if GAP not in row["prompt"]]
    first = gaps[visit % len(gaps) :][:1] if gaps and per_fact > 1 else []
    rest = asked or gaps
    at = visit * (per_fact - len(first))
    return first + [rest[(at + i) % len(rest)] for i in range(min(per_fact - len(first), len(rest)))]


def _unknowns(unknown: pl.DataFrame | None, per_pass: float, passes: int, seed: int) -> list[dict[str, str]]:
    """Return the rows that teach to decline, in the order in which the passes take them; whole rounds before one is used again."""
    wanted = round(per_pass * passes)
    if unknown is None or unknown.is_empty() or not wanted:
        return []
    rows = unknown.to_dicts()
    rounds = ceil(wanted / len(rows))
    return [row for turn in range(rounds) for row in _shuffled(rows, seed, f"unknown {turn}")][:wanted]


def _replay(
    replay: Sequence[tuple[ReplayPrompt, str]], guards: Sequence[GuardQuestion], asked: Sequence[str], wanted: int, share: float, seed: int
) -> list[dict[str, str]]:
    if not wanted:
        return []
    usable = {prompt.id for prompt in usable_replay([prompt for prompt, _ in replay], guards, asked)}
    rows = [_replay_row(prompt, answer) for prompt, answer in replay if prompt.id in usable and answer.strip()]
    if not rows:
        raise ReplayError(
            f"replay_share is {share}, but none of {len(replay)} replay prompts has an answer and is clear of guard questions and probes; "
            "give the domain's replay_file other prompts or set the share to 0"
        )
    rounds = -(-wanted // len(rows))
    return [row for turn in range(rounds) for row in _shuffled(rows, seed, f"replay {turn}")][:wanted]


def _mixed(facts: list[dict[str, str]], replays: list[dict[str, str]]) -> list[dict[str, str]]:
    """Spread replay rows evenly among fact rows, both in their order."""
    placed = [((i + 0.5) / len(facts), 0, i, row) for i, row in enumerate(facts)]
    placed += [((i + 0.5) / len(replays), 1, i, row) for i, row in enumerate(replays)]
    return [row for *_, row in sorted(placed, key=lambda item: item[:3])]


def _of_like_length(rows: list[dict[str, str]], batch_size: int, seed: int) -> list[dict[str, str]]:
    """Exchange rows among neighbouring batches until each holds rows of like length; its share of replay stays.

    Only within blocks of a few batches, whose order is drawn: what stands together changes from pass to pass.
    """
    if batch_size == 1:
        return rows
    ordered: list[dict[str, str]] = []
    size = batch_size * BATCHES_PER_BLOCK
    for start in range(0, len(rows), size):
        block = sorted(rows[start : start + size], key=lambda row: len(row["prompt"]) + len(row["completion"]))
        mixed = _mixed([row for row in block if row["kind"] != "replay"], [row for row in block if row["kind"] == "replay"])
        whole = len(mixed) - len(mixed) % batch_size
        batches = [mixed[i : i + batch_size] for i in range(0, whole, batch_size)]
        random.Random(ids.short_id("batches", str(seed), str(start))).shuffle(batches)  # noqa: S311 - repeatable, no secret
        ordered += [row for batch in batches for row in batch] + mixed[whole:]
    return ordered


def _chances(new: list[dict[str, str]], earlier: list[list[dict[str, str]]], common: float, telling: float) -> Callable[[str], float]:
    """Return the chance of a word to be left out, by how many facts have it in a prompt."""
    if common == telling:
        return lambda _: common
    facts: dict[str, set[str]] = defaultdict(set)
    for row in [*new, *(row for rows in earlier for row in rows)]:
        for word in row["prompt"].split(" "):
            facts[_bare(word)].add(row["fact_id"])
    few = len(set().union(*facts.values())) ** 0.5
    return lambda word: telling if len(facts[_bare(word)]) <= few else common


def _bare(word: str) -> str:
    return word.strip(".,;:?!()'\"`").casefold()


def _with_holes(row: dict[str, str], chance: Callable[[str], float], draw_id: str) -> dict[str, str]:
    """Leave words out of half of the prompts that teach a fact; the gap of a cloze and at least three words stay."""
    draw = random.Random(ids.short_id("holes", draw_id, row["row_id"]))  # noqa: S311 - a repeatable draw, no secret
    if row["kind"] == UNKNOWN or draw.random() < 0.5:  # without its invented name it would be a fact's question
        return row
    kept = [word for word in row["prompt"].split(" ") if GAP in word or draw.random() >= chance(word)]
    return {**row, "prompt": " ".join(kept)} if len(kept) >= 3 else row


def _fact_row(row: dict[str, Any], kind: str) -> dict[str, str]:
    return {
        "row_id": row["qa_id"],
        "kind": kind,
        "fact_id": row["fact_id"],
        "prompt": row["question"],
        "completion": row["answer"],
    }


def _replay_row(prompt: ReplayPrompt, answer: str) -> dict[str, str]:
    return {"row_id": prompt.id, "kind": "replay", "fact_id": "", "prompt": prompt.prompt, "completion": clean(answer).strip()}


def _shuffled(rows: list[dict[str, str]], seed: int, purpose: str) -> list[dict[str, str]]:
    """Order rows by a hash of seed and id: random, the same on every machine, and hardly changed by one row more."""
    seen: dict[str, int] = defaultdict(int)
    keyed: list[tuple[str, dict[str, str]]] = []
    for row in sorted(rows, key=lambda r: (r["kind"], r["row_id"], r["prompt"], r["completion"])):
        key = f"{row['kind']} {row['row_id']}"
        seen[key] += 1
        keyed.append((ids.short_id("shuffle", str(seed), purpose, key, str(seen[key])), row))
    return [row for _, row in sorted(keyed, key=lambda item: item[0])]
