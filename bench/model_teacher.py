"""One whole iteration on a folder of served pages whose teacher is the stand-in with recorded pairs, and its figures.

    .venv/bin/python bench/model_teacher.py STORE PAGES_FOLDER PAIRS_FOLDER [--index 3.15/index.html] [--topics 16] [--dry-run]

The stand-in answers from the recorded pairs over a real socket; it is not a model. Pages are served on one port always: facts are named
after their addresses, so a store that is filled again has the same ones. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
from corpora import serve

from alas_assets.defs.resources import Alas
from alas_assets.defs.revision import domain_scoreboard, exam_with_a_pair
from alas_assets.evaluation.agreement import agreement, ratings, said
from alas_assets.provenance.store import Cell
from alas_assets.records import GateDecision
from alas_assets.synthesis.curate import coverage, reasons
from alas_assets.teachers.endpoint.ledger import open_ledger

KEY = "python-3-15"
DOMAIN = """title = "Python 3.15"
description = "What is new in Python 3.15: the language, the standard library, the C API, the build and what was removed."
context = "In Python 3.15"
exam_file = "python-releases.jsonl"
neighbour_file = "python-releases.jsonl"
[sources]
seed_urls = ["http://127.0.0.1:{port}/{index}"]
private_hosts = ["127.0.0.1:{port}"]
delay_seconds = 0.0
[teacher]
kind = "openai"
url = "{url}"
model = "stand-in"
judges = ["stand-in", "stand-in-strict"]
max_tokens = 16384
[budget]
max_topics = {topics}
[thresholds]
phrasings = 3
"""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("store", type=Path)
    parser.add_argument("pages", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--index", default="3.15/index.html", help="the page that links to the pages to study")
    parser.add_argument("--topics", type=int, default=16)
    parser.add_argument("--port", type=int, default=8550, help="of the served pages")
    parser.add_argument("--dry-run", action="store_true")
    given = parser.parse_args()
    home = given.store.resolve()
    (home / "domains").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "alas_assets.standin", str(given.pairs), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as standin:
        try:
            line = standin.stdout.readline() if standin.stdout else ""
            url = re.findall(r"http://\S+/v1", line)[0]
            text = DOMAIN.format(port=serve(given.pages, given.port), url=url, topics=given.topics, index=given.index)
            (home / "domains" / f"{KEY}.toml").write_text(text, encoding="utf-8")
            environment = {**os.environ, "ALAS_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
            run = [sys.executable, "-m", "alas_assets.cli", "run", KEY, *(["--dry-run"] if given.dry_run else [])]
            started = time.monotonic()
            code = subprocess.run(run, env=environment, check=False).returncode
            seconds = time.monotonic() - started
        finally:
            standin.terminate()
    report(Alas(home=str(home)), line.split(":")[0], seconds)
    return code


def report(alas: Alas, recorded: str, seconds: float) -> None:
    cell = Cell.of(KEY, 0)
    found = {name: alas.store.pointer(cell, name) for name in ("qa_pairs", "documents", "judge_scores", "promotion")}
    assert found["qa_pairs"] is not None
    pairs = alas.store.read_table(found["qa_pairs"])
    accepted, drafted = pairs.filter("accepted"), pairs.filter(pl.col("fact_id") != "")
    print(f"\n{recorded}; the iteration took {seconds / 60:.0f} min.\n")
    print(f"Facts drafted {drafted['fact_id'].n_unique()}, accepted {accepted['fact_id'].n_unique()}; ", end="")
    print(f"pairs {drafted.height}, accepted {accepted.height} ({accepted.height / max(1, drafted.height):.1%}).\n")
    print("| rejected because | rows |\n| --- | --- |")
    for row in reasons(pairs).iter_rows(named=True):
        print(f"| {row['reason']} | {row['rows']} |")
    from alas_assets.defs.documents import chunks_of

    share = coverage(pairs, chunks_of(alas, cell))
    print(f"\nPassages with an accepted pair: {share['covered'].sum()} of {share['passages'].sum()} on {share.height} pages.\n")
    with open_ledger(alas.ledger) as ledger:
        print("| calls for | calls | replayed | tokens sent | received | cut off | failed |\n| --- | --- | --- | --- | --- | --- | --- |")
        for one in ledger.totals((KEY, 0)):
            sums = (one.calls, one.replayed, one.prompt_tokens, one.completion_tokens, one.truncated, one.failed)
            print(f"| {one.purpose} | {' | '.join(map(str, sums))} |")
    if found["promotion"] is None or found["judge_scores"] is None:
        return
    print("\n| system | split | n | correct | accuracy | 95 % interval |\n| --- | --- | --- | --- | --- | --- |")
    for row in domain_scoreboard(alas, KEY).iter_rows(named=True):
        print(f"| {row['system']} | {row['split']} | {row['n']} | {row['correct']} | {row['accuracy']:.1%} | ", end="")
        print(f"{row['ci_low']:.1%} to {row['ci_high']:.1%} |")
    taught = exam_with_a_pair(alas, KEY)
    for row in taught.iter_rows(named=True):
        print(f"Exam questions whose fact has an accepted pair: {row['system']}, {row['split']}: {row['correct']} of {row['n']}")
    if taught.is_empty():
        print("\nNo exam question's fact has an accepted pair.")
    decision = alas.store.read_record(GateDecision, found["promotion"])
    print(f"\nGate: {decision.verdict}. {decision.reason}\n")
    for row in agreement(ratings(alas.store.read_table(found["judge_scores"]), {})).iter_rows(named=True):
        print(f"- {said(row)}")


if __name__ == "__main__":
    sys.exit(main())
