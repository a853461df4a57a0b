"""How fast calls are made, how well a limit is kept, and what they cost in memory, against a server of this machine in its own process.

.venv/bin/python -m bench.endpoint.measure speed|limit|memory|profile [--runs N]
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import os
import platform
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from alas_assets.domains.config import Budget, TeacherSettings
from alas_assets.teachers.endpoint.calls import ModelCall
from alas_assets.teachers.endpoint.client import Endpoint, open_endpoint
from alas_assets_tests.teachers.endpoint.faulty import most_in

LATENCY = 0.3
CONCURRENCY = 50
PAGE = ("The new release adds a module for lazy imports, and deprecates the old one. " * 160)[:12_000]


@contextmanager
def served(latency: float, words: int = 300) -> Iterator[str]:
    """Run the fault server, without faults, and give its base URL."""
    command = [sys.executable, "-m", "alas_assets_tests.teachers.endpoint.faulty", "--latency", str(latency), "--words", str(words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def arrivals(url: str) -> list[float]:
    """Return when the server saw each request."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as answer:
        return json.load(answer)["at"]


def calls(count: int, page: str = PAGE) -> list[ModelCall]:
    """Return writer calls that each show a page."""
    return [
        ModelCall(
            purpose="write",
            model="tiny",
            item=f"page {n}",
            system="Task: write",
            user=f"{page} {n}",
            prompt="writer@1",
            max_tokens=1000,
        )
        for n in range(count)
    ]


def endpoint(url: str, folder: str, **settings: object) -> Endpoint:
    given = {"api": "chat", "answers": "xml", "concurrency": CONCURRENCY} | settings
    made = open_endpoint(
        TeacherSettings.model_validate({"kind": "openai", "url": url, "model": "tiny"} | given), Budget(), Path(folder) / "t.sqlite"
    )
    assert isinstance(made, Endpoint)
    return made


def speed(count: int = 1000) -> float:
    """Return how many times the ideal a batch takes."""
    with served(LATENCY) as url, tempfile.TemporaryDirectory() as folder:
        asker = endpoint(url, folder)
        asked = calls(count)
        cpu, started = time.process_time(), time.monotonic()
        replies = asker.ask(asked)
        took, cpu = time.monotonic() - started, time.process_time() - cpu
        assert all(reply.complete for reply in replies)
    ideal = count / CONCURRENCY * LATENCY
    what = f"{count} calls, {LATENCY} s latency, {CONCURRENCY} at a time"
    print(f"{what}: {took:.2f} s, ideal {ideal:.2f} s, ratio {took / ideal:.2f}; own CPU {cpu:.2f} s")
    return took / ideal


def bare(count: int = 1000) -> None:
    """Print what the client library alone takes for the same requests: no ledger, no redaction, no retries."""

    async def run(url: str) -> None:
        import openai

        gate = asyncio.Semaphore(CONCURRENCY)
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:

            async def one(n: int) -> None:
                async with gate:
                    messages = [{"role": "system", "content": "Task: write"}, {"role": "user", "content": f"{PAGE} {n}"}]
                    await client.chat.completions.create(model="tiny", messages=messages, max_tokens=1000)  # pyright: ignore

            await asyncio.gather(*(one(n) for n in range(count)))

    with served(LATENCY) as url:
        cpu, started = time.process_time(), time.monotonic()
        asyncio.run(run(url))
        took, cpu = time.monotonic() - started, time.process_time() - cpu
    ideal = count / CONCURRENCY * LATENCY
    print(f"the openai client alone: {took:.2f} s, ratio {took / ideal:.2f}; own CPU {cpu:.2f} s")


def limit(per_minute: int = 600, minutes: float = 2.5) -> None:
    """Print the most requests in any 60 s as the server counts, and the mean rate."""
    with served(LATENCY, words=30) as url, tempfile.TemporaryDirectory() as folder:
        endpoint(url, folder, requests_per_minute=per_minute).ask(calls(int(per_minute * minutes), page="short"))
        times = arrivals(url)
    most = most_in(times, 60.0)
    seconds = times[-1] - times[0]
    rate = (len(times) - 1) / seconds * 60
    print(f"limit {per_minute}/min, {len(times)} requests in {seconds:.1f} s: most in any 60 s {most}, mean {rate:.1f}/min", end="")
    print(f", {rate / per_minute:.1%} of the limit")


def memory(count: int) -> None:
    """Print by how much the process grows over a batch; run in a process of its own."""
    with served(0.0, words=100) as url, tempfile.TemporaryDirectory() as folder:
        asker = endpoint(url, folder)
        asker.ask(calls(50, page="warm up"))
        process = psutil.Process()
        before, most = process.memory_info().rss, [0]

        def look(place: int, _: object) -> None:
            if place % 50 == 0:
                most[0] = max(most[0], process.memory_info().rss)

        asker.ask(calls(count, page="x" * 200), look)
        print(f"{count} calls: {(most[0] - before) / 1e6:.1f} MB more at most, {(most[0] - before) / count / 1e3:.2f} KB a call")


def profile() -> None:
    """Print where the time of a batch goes."""
    with served(LATENCY) as url, tempfile.TemporaryDirectory() as folder:
        asker, asked = endpoint(url, folder), calls(1000)
        profiler = cProfile.Profile()
        profiler.enable()
        asker.ask(asked)
        profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["speed", "limit", "memory", "profile"])
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}")
    if args.what == "speed":
        ratios: list[float] = []
        for _ in range(args.runs):
            bare()
            ratios.append(speed())
        print(f"n = {args.runs}: median ratio {statistics.median(ratios):.2f}, worst {max(ratios):.2f}")
    elif args.what == "limit":
        limit()
    elif args.what == "memory":
        for count in (1000, 10_000):
            memory(count)
    else:
        profile()


if __name__ == "__main__":
    main()
