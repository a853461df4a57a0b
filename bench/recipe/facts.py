"""Which facts a cell of a study teaches, and in which wordings (T6).

Facts come from `qa_pairs` of a store that `bench/model_teacher.py` filled; pages are split into two halves by `halves.json`: recipes are
chosen on one, figures are reported from the other. Facts that say the same (one fact_group) stand in the half of their first page.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import polars as pl

from alas_assets.provenance.ids import short_id
from alas_assets.synthesis.wording import GAP
from alas_assets.teachers.llm.wordings import SENTENCE

Half = Literal["choose", "report", "both"]
HALVES = Path(__file__).with_name("halves.json")
HELD_OUT = 2
"""Wordings of a fact that are only asked."""
TRAINED = 4
"""Recorded questions of a fact that can be trained on at most: those of roles train and mine."""
FRAMES = (
    "Fill the gap, as it stands in the notes: {}",
    "Complete the sentence: {}",
    "What is missing here? {}",
    "One sentence of the notes, with a gap: {}",
)


def page_of(url: str) -> str:
    """Return a page's name in `halves.json`: the path of its address."""
    return urlsplit(url).path


def half_of(pairs: pl.DataFrame, half: Half) -> pl.DataFrame:
    """Return the accepted pairs of the facts of one half, or of both, whatever their pages.

    Raises:
        ValueError: A page stands in neither half.
    """
    if half == "both":
        return pairs.filter("accepted")
    halves: dict[str, list[str]] = json.loads(HALVES.read_text(encoding="utf-8"))
    where = {page: name for name, pages in halves.items() for page in pages}
    accepted = pairs.filter("accepted").with_columns(pl.col("url").map_elements(page_of, return_dtype=pl.String).alias("page"))
    if unknown := sorted(set(accepted["page"]) - set(where)):
        raise ValueError(f"{HALVES}: {unknown[0]} stands in neither half; add the pages of this corpus")
    first = accepted.group_by("fact_group").agg(pl.col("page").min())
    own = [group for group, page in first.iter_rows() if where[page] == half]
    return accepted.filter(pl.col("fact_group").is_in(own)).drop("page")


def drawn(pairs: pl.DataFrame, count: int, seed: int) -> pl.DataFrame:
    """Return the pairs of so many facts that have all their wordings; a larger draw of the same seed holds the smaller one.

    Raises:
        ValueError: There are not so many.
    """
    roles = pairs.group_by("fact_id", "fact_group").agg(
        ((pl.col("role") != "probe") & (pl.col("template") != SENTENCE)).sum().alias("trained"),
        (pl.col("role") == "probe").sum().alias("asked"),
    )
    whole = roles.filter((pl.col("trained") >= TRAINED) & (pl.col("asked") >= HELD_OUT)).unique("fact_group", keep="none")
    facts = sorted(whole["fact_id"], key=lambda fact: short_id("draw", str(seed), fact))
    if len(facts) < count:
        raise ValueError(f"{count} facts are asked for, and {len(facts)} have {TRAINED} wordings to train on and {HELD_OUT} to ask")
    return pairs.filter(pl.col("fact_id").is_in(facts[:count]))


def split_up(pairs: pl.DataFrame, parts: int, seed: int) -> list[pl.DataFrame]:
    """Return the pairs in so many parts of about equal numbers of facts, drawn by seed; a fact stays whole."""
    facts = sorted(pairs["fact_id"].unique(), key=lambda fact: short_id("part", str(seed), fact))
    return [pairs.filter(pl.col("fact_id").is_in(facts[i::parts])) for i in range(parts)]


def worded(pairs: pl.DataFrame, wordings: int, gaps: int, told: bool = False) -> pl.DataFrame:
    """Return pairs to train on, role `train`: so many questions of each fact, and so many sentences of its page with a gap.

    A fact whose answer does not stand in its quote as it is gets no gap. With `told` the recorded sentence that answers the question is
    trained on too, with a gap.
    """
    rows = []
    for _, own in pairs.sort("fact_id", "role", "template").group_by("fact_id", maintain_order=True):
        trained = own.filter(pl.col("role") != "probe")
        ready = sorted(trained.filter(pl.col("template") != SENTENCE).to_dicts(), key=lambda row: (row["role"] == "mine", row["template"]))
        rows += trained.filter(pl.col("template") == SENTENCE).to_dicts() if told else []
        rows += [{**row, "role": "train"} for row in ready[:wordings]]
        quote, answer = ready[0]["quote"], ready[0]["answer"]
        if answer in quote:
            holed = quote.replace(answer, GAP, 1)
            frames = random.Random(ready[0]["fact_id"]).sample(FRAMES, len(FRAMES))
            rows += [
                {
                    **ready[0],
                    "role": "train",
                    "template": f"gap-{i}",
                    "question": frame.format(holed),
                    "qa_id": f"{ready[0]['qa_id']}-gap-{i}",
                }
                for i, frame in enumerate(frames[:gaps])
            ]
    return pl.DataFrame(rows, schema=pairs.schema)


def one_trained(taught: pl.DataFrame) -> pl.DataFrame:
    """Return a trained wording of each fact as a question to ask: what it fails on was not even learned by heart."""
    return taught.group_by("fact_id", maintain_order=True).head(1).with_columns(role=pl.lit("probe")).select(taught.columns)


def asked(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the held-out pairs, `HELD_OUT` of each fact."""
    return (
        pairs.filter(pl.col("role") == "probe")
        .sort("fact_id", "template")
        .group_by("fact_id", maintain_order=True)
        .head(HELD_OUT)
        .select(pairs.columns)
    )
