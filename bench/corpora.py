"""Run two domains side by side on folders of served pages, and check that nothing of one is found in the other (O8).

    .venv/bin/python bench/corpora.py STORE [--dry-run] [--topics 12] [--port 8551] KEY=FOLDER ...

Each folder is served on a loopback port of its own, always the same one, because facts are named after their addresses, and is studied
from its index.html, one iteration each, both at the same time in one store. Prints Markdown. Takes as long as the slower domain; a dry
run trains nothing.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import polars as pl

from alas_assets.defs.resources import Alas
from alas_assets.defs.revision import domain_scoreboard
from alas_assets.provenance.store import Cell
from alas_assets.records import GateDecision

DOMAIN = """title = "{key}"
description = "The pages of the folder {key}, served on this machine."
[sources]
seed_urls = ["http://127.0.0.1:{port}/index.html"]
private_hosts = ["127.0.0.1:{port}"]
delay_seconds = 0.0
[budget]
min_topics = 6
max_topics = {topics}
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


def serve(folder: Path, port: int) -> int:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("store", type=Path)
    parser.add_argument("folders", nargs="+", metavar="KEY=FOLDER")
    parser.add_argument("--topics", type=int, default=12)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--port", type=int, default=8551, help="of the first folder; the next ones follow")
    given = parser.parse_args()
    folders = dict(one.split("=", 1) for one in given.folders)
    home = given.store.resolve()
    (home / "domains").mkdir(parents=True, exist_ok=True)
    ports = {key: serve(Path(folder), given.port + i) for i, (key, folder) in enumerate(folders.items())}
    for key, port in ports.items():
        (home / "domains" / f"{key}.toml").write_text(DOMAIN.format(key=key, port=port, topics=given.topics), encoding="utf-8")
    environment = {**os.environ, "ALAS_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
    started = time.monotonic()
    runs = {}
    for key in ports:
        command = [sys.executable, "-m", "alas_assets.cli", "run", key, *(["--dry-run"] if given.dry_run else [])]
        runs[key] = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        time.sleep(3)  # the first makes Dagster's instance
    said = {key: run.communicate()[0] for key, run in runs.items()}
    print(f"Both together: {time.monotonic() - started:.0f} s.\n")
    print("| domain | pages read | passages | facts | probes | rejected | foreign rows | base | current | gate |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    alas = Alas(home=str(home))
    for key, port in ports.items():
        print(row(alas, key, port), flush=True)
    failed = [key for key, run in runs.items() if run.returncode]
    for key in failed:
        print(said[key][-3000:], file=sys.stderr)
    return 1 if failed else 0


def row(alas: Alas, key: str, port: int) -> str:
    cell = Cell.of(key, 0)
    tables = {name: alas.store.pointer(cell, name) for name in ("documents", "qa_pairs", "probes", "promotion")}
    documents, pairs, probes = (
        alas.store.read_table(p) if (p := tables[n]) else pl.DataFrame() for n in ("documents", "qa_pairs", "probes")
    )
    if documents.is_empty() or pairs.is_empty():
        return f"| {key} | no pairs |"
    own = pl.col("url").str.starts_with(f"http://127.0.0.1:{port}/") | (pl.col("url") == "") | pl.col("url").is_null()
    foreign = pairs.filter(~own).height + probes.filter(~own).height + documents.filter(~pl.col("host").str.ends_with(f":{port}")).height
    accepted = pairs.filter("accepted")
    shares = {"base": "-", "current": "-"}
    for one in domain_scoreboard(alas, key).filter(pl.col("split") == "probe").iter_rows(named=True):
        if one["system"] in shares:
            shares[one["system"]] = f"{one['correct']} of {one['n']}"
    gate = alas.store.read_record(GateDecision, tables["promotion"]).verdict if tables["promotion"] else "-"
    counts = (documents.filter("ok").height, int(documents["chunks"].sum() or 0), accepted["fact_id"].n_unique())
    counts += (probes.filter(pl.col("split") == "probe").height, pairs.height - accepted.height, foreign)
    return f"| {key} | {' | '.join(map(str, counts))} | {shares['base']} | {shares['current']} | {gate} |"


if __name__ == "__main__":
    sys.exit(main())
