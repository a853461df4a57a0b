"""Measures fetching, fetch-to-indexed and a re-run with one page in a hundred changed, beside two plain loops, in one run.

`python bench/retrieval/measure.py --pages 1000 --repeat 3`. The pages and the server are `pages.py`; the README says what the figures mean.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import polars as pl
import psutil

sys.path.insert(0, str(Path(__file__).parent))

from pages import LATENCY_SECONDS, write_page, write_site

from alas_assets.domains.config import Domain
from alas_assets.domains.sources import Sources
from alas_assets.provenance.store import ArtifactStore
from alas_assets.records import Topic
from alas_assets.retrieval import study as study_module
from alas_assets.retrieval.extract import Extractor
from alas_assets.retrieval.fetch import Fetcher
from alas_assets.retrieval.finding.folder import Folder
from alas_assets.retrieval.store import ChunkStore
from alas_assets.students.client import ModelWorker
from alas_assets.students.embedding import EMBEDDED_EMBEDDER

SEED = 11
CONNECTIONS = 16


@dataclass
class Clock:
    """Wall seconds of the main thread, by part."""

    seconds: dict[str, float] = field(default_factory=dict)

    def wrap(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - started

        return timed


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Serve the pages from a process of their own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, str(Path(__file__).with_name("pages.py")), str(folder), "--port", str(port)])
    try:
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > until or server.poll() is not None:
                    raise
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", psutil.Process(server.pid)
    finally:
        server.kill()
        server.wait()


def domain_of(base: str) -> Domain:
    host = base.removeprefix("http://")
    pace = {"host": host, "per_host": CONNECTIONS, "delay_seconds": 0}
    sources = Sources.model_validate({"seed_urls": [f"{base}/0.html"], "private_hosts": [host], "hosts": [pace], "timeout_seconds": 60})
    return Domain(key="bench", title="Bench", description="Pages that the benchmark serves from this machine.", sources=sources)


def cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


@contextmanager
def parts_timed(clock: Clock) -> Iterator[None]:
    """Time the parts of `study` from outside while the block lasts."""
    targets = [
        (Fetcher, "fetch_many", "fetching, other pages being read meanwhile"),
        (study_module, "_read", "fetching and reading"),
        (study_module, "split", "cutting into passages"),
        (ChunkStore, "upsert", "LanceDB and embedding"),
        (ChunkStore, "tag_cell", "LanceDB: tag, indices, compaction"),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in targets]
    for owner, name, part in targets:
        setattr(owner, name, clock.wrap(part, getattr(owner, name)))
    try:
        yield
    finally:
        for owner, name, call in before:
            setattr(owner, name, call)


def fetch_only(domain: Domain, urls: list[str], home: Path) -> float:
    """Seconds to fetch all pages into a fresh store."""
    shutil.rmtree(home, ignore_errors=True)
    started = time.perf_counter()
    pages = Fetcher(domain.sources, ArtifactStore(home)).fetch_many(urls)
    taken = time.perf_counter() - started
    assert all(page.ok for page in pages), next(page.reason for page in pages if not page.ok)
    return taken


def fetch_and_read(domain: Domain, urls: list[str], home: Path) -> float:
    """Seconds from nothing to the text of all pages, which is what the plain loops do."""
    shutil.rmtree(home, ignore_errors=True)
    store = ArtifactStore(home)
    started = time.perf_counter()
    with Extractor(store, readers=domain.sources.readers) as extractor:
        found = study_module._read(urls, Fetcher(domain.sources, store), Folder(domain.sources, store), extractor)
    taken = time.perf_counter() - started
    assert all(text.text for _, text in found)
    return taken


def indexed(domain: Domain, urls: list[str], home: Path, tag: str, worker: ModelWorker, server: psutil.Process) -> dict[str, Any]:
    """Run `study` once; wall seconds by part of the main thread, core seconds by process, and what was asked and embedded."""
    clock, texts = Clock(), []

    def embed(passages: list[str]) -> list[list[float]]:
        texts.extend(passages)
        return worker.embed(passages, EMBEDDED_EMBEDDER)

    child = worker._child
    assert child is not None, "warmed up before"
    model = psutil.Process(child.pid)
    own, readers = os.times(), os.times()
    before = {"embedding": cpu(model), "site": cpu(server)}
    topic = Topic(topic_id="all", name="All pages", urls=urls)
    timed_embed = clock.wrap("embedding", embed)
    started = time.perf_counter()
    with parts_timed(clock):
        got = study_module.study([topic], domain, ArtifactStore(home), embed=timed_embed, embedder=EMBEDDED_EMBEDDER, tag=tag)
    wall = time.perf_counter() - started
    end = os.times()
    assert got.fetches["ok"].all(), got.fetches.filter(~pl.col("ok"))["reason"][0]
    part = clock.seconds
    walls = {
        "fetching (reading goes on meanwhile)": part["fetching, other pages being read meanwhile"],
        "waiting for the last pages to be read": part["fetching and reading"] - part["fetching, other pages being read meanwhile"],
        "cutting into passages": part["cutting into passages"],
        "embedding": part.get("embedding", 0.0),
        "LanceDB": part["LanceDB and embedding"] - part.get("embedding", 0.0) + part["LanceDB: tag, indices, compaction"],
    }
    walls["the rest of our code"] = wall - sum(walls.values())
    cores = {
        "our code and LanceDB": end.user + end.system - own.user - own.system,
        "reading (newspaper4k, BeautifulSoup, markdownify)": end.children_user
        + end.children_system
        - readers.children_user
        - readers.children_system,
        "embedding": cpu(model) - before["embedding"],
        "the site's server": cpu(server) - before["site"],
    }
    return {
        "seconds": wall,
        "walls": walls,
        "cores": cores,
        "chunks": got.chunks,
        "embedded": got.embedded,
        "texts": texts,
        "answered 304": int(got.fetches["from_cache"].sum()),
    }


def newspaper_loop(urls: list[str]) -> float:
    """Seconds of newspaper4k's documented loop."""
    import newspaper

    logging.getLogger("tldextract").setLevel(logging.CRITICAL)  # offline, its download of the suffix list fails once, in the warm-up

    def one(url: str) -> None:
        article = newspaper.Article(url)
        article.download()
        article.parse()
        assert article.text

    one(urls[0])  # what is loaded at the first page is not counted
    started = time.perf_counter()
    for url in urls:
        one(url)
    return time.perf_counter() - started


def trafilatura_loop(urls: list[str]) -> float:
    """Seconds of trafilatura's documented loop."""
    import trafilatura
    from trafilatura.settings import use_config

    settings = use_config()
    settings.set("DEFAULT", "SSRF_PROTECTION", "off")  # it too refuses loopback addresses

    def one(url: str) -> None:
        page = trafilatura.fetch_url(url, config=settings)
        assert page
        assert trafilatura.extract(page)

    one(urls[0])
    started = time.perf_counter()
    for url in urls:
        one(url)
    return time.perf_counter() - started


def measure(count: int, repeat: int, sample: int, work: Path, kept: Path) -> None:
    """Run everything until `kept` has `repeat` rounds, our parts and the loops in turns, so that a busy machine disturbs all alike."""
    pages = work / "site"
    write_site(pages, count, SEED)
    with served(pages) as (base, server), ModelWorker(work / "worker.log") as worker:
        domain, urls = domain_of(base), [f"{base}/{number}.html" for number in range(count)]
        worker.embed(["A first text, so that imports and the loading of the model are not counted."], EMBEDDED_EMBEDDER)
        indexed(domain, urls[:2], work / "warm", "cell-000", worker, server)
        for turn in range(len(rounds_in(kept)), repeat):
            write_site(pages, count, SEED)
            home = work / f"store-{turn}"
            once: dict[str, Any] = {
                "fetch": fetch_only(domain, urls, work / "fetched"),
                "read": fetch_and_read(domain, urls, work / "read"),
            }
            first = indexed(domain, urls, home, "cell-000", worker, server)
            changed = list(range(0, count, 100))
            for number in changed:
                write_page(pages, number, SEED, edited=f"The page was edited in turn {turn} and says {number} now.")
            again = indexed(domain, urls, home, "cell-001", worker, server)
            check_changed(first, again, {urls[number] for number in changed}, count)
            once |= {"first": first, "again": again}
            part = urls[:: max(1, count // sample)]
            once["newspaper4k"] = newspaper_loop(part) * count / len(part)
            once["trafilatura"] = trafilatura_loop(part) * count / len(part)
            once["sampled"] = len(part)
            with kept.open("a", encoding="utf-8") as rounds:
                rounds.write(json.dumps(once) + "\n")
            shutil.rmtree(home)


def measure_fetching(count: int, repeat: int, work: Path) -> None:
    """Print pages a second of fetching, and of fetching to text, `repeat` times."""
    write_site(work / "site", count, SEED)
    with served(work / "site") as (base, _):
        domain, urls = domain_of(base), [f"{base}/{number}.html" for number in range(count)]
        fetch_and_read(domain, urls[:2], work / "warm")
        for _ in range(repeat):
            fetched, read = fetch_only(domain, urls, work / "fetched"), fetch_and_read(domain, urls, work / "read")
            print(f"fetched {count / fetched:.1f} pages/s, to text {count / read:.1f} pages/s", flush=True)


def rounds_in(kept: Path) -> list[dict[str, Any]]:
    """Return the rounds that were finished."""
    return [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()] if kept.exists() else []


def check_changed(first: dict[str, Any], again: dict[str, Any], changed: set[str], count: int) -> None:
    """Hold the re-run to its word: one request a page, and vectors made for the changed pages' new passages and no others."""
    new = again["chunks"].join(first["chunks"], on="chunk_id", how="anti")
    assert sorted(again["texts"]) == sorted(new["text"].to_list())
    assert set(new["url"]) == changed
    assert again["answered 304"] == count - len(changed)
    for run in (first, again):
        run["passages"] = len(run.pop("chunks"))
        del run["texts"]


def table(title: str, columns: list[str], rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}", *(f"| {' | '.join(row)} |" for row in rows)]
    return f"{title}\n\n" + "\n".join(lines) + "\n"


def report(rounds: list[dict[str, Any]], count: int) -> str:
    """Return the Markdown section: best and spread of all rounds, ratios within a round, and the profile of the best round."""
    firsts, agains = [one["first"]["seconds"] for one in rounds], [one["again"]["seconds"] for one in rounds]
    named = {
        "our fetch": [one["fetch"] for one in rounds],
        "our fetch to text": [one["read"] for one in rounds],
        f"newspaper4k loop ({rounds[0]['sampled']} pages, scaled)": [one["newspaper4k"] for one in rounds],
        f"trafilatura loop ({rounds[0]['sampled']} pages, scaled)": [one["trafilatura"] for one in rounds],
        "our fetch to indexed": firsts,
        "our re-run, 1 page in 100 changed": agains,
    }
    rows = []
    for name, seconds in named.items():
        ratios = [one / rounds[turn]["read"] for turn, one in enumerate(seconds)]
        rows.append(
            [
                name,
                f"{min(seconds):.1f}",
                f"{min(seconds):.1f}-{max(seconds):.1f}",
                f"{count / min(seconds):.1f}",
                f"{min(ratios):.2f}-{max(ratios):.2f}",
            ]
        )
    best = min(rounds, key=lambda one: one["first"]["seconds"])
    first, again = best["first"], best["again"]
    share = [again_ / first_ for first_, again_ in zip(firsts, agains, strict=True)]
    text = [
        table(f"{count} pages, {len(rounds)} rounds:", ["what", "best, s", "spread, s", "pages/s, best", "times our fetch to text"], rows),
        f"Re-run: {min(share):.1%} to {max(share):.1%} of its first run's time; {again['answered 304']} pages answered 304,"
        f" {again['embedded']} of {again['passages']} passages embedded, exactly the new ones of the {count - again['answered 304']}"
        " changed pages.\n",
    ]
    for title, run in (("First run, the best round", first), ("Re-run of that round", again)):
        wall = run["seconds"]
        text.append(
            table(
                f"{title}: {wall:.1f} s, where the main thread is:",
                ["part", "s", "share"],
                [[n, f"{s:.2f}", f"{s / wall:.1%}"] for n, s in run["walls"].items()],
            )
        )
        offered = wall * (os.cpu_count() or 1)
        cores = [[n, f"{s:.1f}", f"{s / offered:.1%}"] for n, s in run["cores"].items()]
        text.append(
            table(f"Core seconds of the {offered:.1f} that {os.cpu_count()} cores offer meanwhile:", ["process", "core s", "share"], cores)
        )
    return "\n".join(text)


def machine() -> str:
    model = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "?")
    return f"{os.cpu_count()} cores, {model}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--sample", type=int, default=50, help="pages that the plain loops read; their time is scaled")
    parser.add_argument("--keep", type=Path, help="a file to which each round is added, so that a run that was stopped goes on there")
    parser.add_argument("--quick", action="store_true", help="100 pages, one round")
    parser.add_argument("--fetch-only", action="store_true", help="fetch, and fetch to text; a minute or two")
    given = parser.parse_args()
    count, repeat = (100, 1) if given.quick else (given.pages, given.repeat)
    with tempfile.TemporaryDirectory() as work:
        if given.fetch_only:
            measure_fetching(count, repeat, Path(work))
            return
        kept = given.keep or Path(work) / "rounds.jsonl"
        measure(count, repeat, given.sample, Path(work), kept)
        rounds = rounds_in(kept)
    print(f"{machine()}; {LATENCY_SECONDS * 1000:.0f} ms before every answer; {CONNECTIONS} connections.\n")
    print(report(rounds, count))


if __name__ == "__main__":
    main()
