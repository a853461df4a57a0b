"""How long what reads a whole domain takes after 10, 50 and 200 iterations: audits, retrieval, scoreboard, outlook, and each sensor's tick.

    .venv/bin/python bench/speed/iterations.py [--at 10 50 200] [--home FOLDER] [--only PART] [--profile]

The store is made by `made_store.py`, in a folder that is removed afterwards unless `--home` names one; where that has iterations already
it goes on from them. Prints Markdown: seconds of processor time, which other work on the machine disturbs least, the median of three calls,
or one call where that takes more than five; and the last column over the first. `--only` keeps to lines that hold some words, `--profile`
prints what takes their time instead.
"""

from __future__ import annotations

import argparse
import cProfile
import logging
import pstats
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import polars as pl
from made_store import DOMAIN, ManyIterations, embed, page_url

from alas_assets.audit.derived import derived_from
from alas_assets.audit.trace import find_answer, trace_answer
from alas_assets.audit.verdict import verdict_of
from alas_assets.audit.wrong import wrong_answers
from alas_assets.defs import upkeep
from alas_assets.defs.births import automatic_opening
from alas_assets.defs.currency import evaluate
from alas_assets.defs.documents import cell_tags, chunk_store
from alas_assets.defs.outlook import chars_of_a_fact, coming_seed, training_time
from alas_assets.defs.revision import domain_scoreboard, exam_with_a_pair, rolled_back
from alas_assets.provenance.blocked.order import Order, Share, folder_of, write_order
from alas_assets.provenance.store import Cell
from alas_assets.retrieval.open_book import contexts_again, find_contexts

Measurement = Callable[[], object]
LONG = 5.0


def measurements(made: ManyIterations, instance: dg.DagsterInstance) -> dict[str, Measurement]:
    """Return what is timed, by its line in the table."""
    alas, store, newest = made.alas, made.store, Cell.of(DOMAIN, made.count - 1)

    def table(cell: Cell, asset: str) -> pl.DataFrame:
        pointer = store.pointer(cell, asset)
        assert pointer is not None
        return store.read_table(pointer)

    oldest = table(Cell.of(DOMAIN, 0), "judge_scores")["answer_id"][0]
    wrong = table(newest, "judge_scores").filter((pl.col("label") != "correct") & (pl.col("split") == "earlier"))["answer_id"][0]
    shown = table(newest, "baseline_scores").filter(pl.col("system") == "rag").row(0, named=True)
    first_passages = table(Cell.of(DOMAIN, 0), "baseline_scores").filter(pl.col("system") == "rag")["context_chunks"][0].to_list()
    asked, passages, tags = table(newest, "probes"), chunk_store(alas, DOMAIN), cell_tags(alas, newest)
    traced = trace_answer(store, wrong)
    own_passages = passages.read_cell(newest.tag)
    return {
        "an answer of the first iteration by its id (`find_answer`)": lambda: find_answer(store, oldest),
        "an answer by the beginning of its id": lambda: find_answer(store, oldest[:14]),
        "the trace of a wrong answer on an earlier fact (`alas trace`)": lambda: trace_answer(store, wrong),
        "the verdict on it": lambda: verdict_of(store, traced),
        "the trace of an answer with passages": lambda: trace_answer(store, shown["answer_id"]),
        "passages shown again, of the first iteration": lambda: contexts_again(first_passages, passages, tags),
        "all wrong answers of the newest iteration (`wrong_answers`)": lambda: wrong_answers(store, newest),
        "passages for ten questions (`find_contexts`)": lambda: find_contexts(asked.head(10), chunk_store(alas, DOMAIN), tags, embed),
        "passages for one question": lambda: find_contexts(asked.head(1), chunk_store(alas, DOMAIN), tags, embed),
        "its passages stored again": lambda: made.keep_passages(newest, own_passages),
        "what a page of the first iteration taught (`alas sources URL`)": lambda: derived_from(store, page_url(0, 0)),
        "what the host taught (`alas sources HOST`)": lambda: derived_from(store, "many.example"),
        "the scoreboard (`domain_scoreboard`)": lambda: domain_scoreboard(alas, DOMAIN),
        "the exam's part with a pair": lambda: exam_with_a_pair(alas, DOMAIN),
        "whether what is current was judged": lambda: rolled_back(alas, DOMAIN),
        "the seed of the next iteration (`coming_seed`)": lambda: coming_seed(alas, DOMAIN),
        "characters to a fact, for `alas estimate`": lambda: chars_of_a_fact(alas, alas.domain(DOMAIN)),
        "seconds to a step, for `alas estimate`": lambda: training_time(alas, alas.domain(DOMAIN), 100),
        "tick of `next_iteration`": lambda: automatic_opening(alas, instance, DOMAIN),
        "the same with a takedown on record": lambda: with_takedown(made, lambda: automatic_opening(alas, instance, DOMAIN)),
        "tick of `overdue_domains`": lambda: upkeep._if_overdue(alas, instance, DOMAIN),
        "tick of `knowledge_is_fresh`": lambda: evaluate(alas, instance, DOMAIN),
        "tick of `failed_iterations`": lambda: upkeep._retry(alas, instance, DOMAIN),
    }


def with_takedown(made: ManyIterations, measured: Measurement) -> None:
    """Measure while a takedown of an adapter's source, after which the domain was not retrained, is on record."""
    share = Share(domain=DOMAIN, since="000", adapters=1)
    at = "2026-06-01T00:00:00+00:00"
    order = Order(
        id="bench", source="gone.example", by="host", reason="", ordered_by="bench", at=at, salt="", shares=[share], carried_out=at
    )
    write_order(made.store.root, order)
    try:
        measured()
    finally:
        shutil.rmtree(folder_of(made.store.root))


def seconds(measured: Measurement) -> float:
    """Return how long a call takes."""
    taken: list[float] = []
    while len(taken) < 3 and (not taken or taken[0] < LONG):
        started = time.process_time()
        measured()
        taken.append(time.process_time() - started)
    return statistics.median(taken)


def profiled(measured: Measurement) -> None:
    """Print which functions take the time of a call."""
    with cProfile.Profile() as profile:
        measured()
    pstats.Stats(profile, stream=sys.stderr).sort_stats("cumulative").print_stats(45)


def measure(home: Path, sizes: list[int], only: str, profile: bool) -> dict[str, list[float]]:
    """Grow a store and time everything at each size; by line of the table the seconds at each."""
    found: dict[str, list[float]] = {}
    made, instance = ManyIterations(home), dg.DagsterInstance.ephemeral()
    for size in sizes:
        while made.count < size:
            made.add()
        for name, measured in measurements(made, instance).items():
            if only not in name:
                continue
            if profile:
                profiled(measured)
                continue
            found.setdefault(name, []).append(seconds(measured))
            print(f"{size:>4} {found[name][-1]:8.3f} s  {name}", file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--at", type=int, nargs="+", default=[10, 50, 200])
    parser.add_argument("--home", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(given.home or Path(folder), sorted(given.at), given.only, given.profile)
    if given.profile:
        return
    sizes = sorted(given.at)
    print(f"| seconds after so many iterations | {' | '.join(map(str, sizes))} | {sizes[-1]} to {sizes[0]} |")
    print(f"| --- |{' ---: |' * (len(sizes) + 1)}")
    for name, taken in found.items():
        print(f"| {name} | {' | '.join(f'{one:.3f}' for one in taken)} | {taken[-1] / taken[0]:.1f} |")


if __name__ == "__main__":
    main()
