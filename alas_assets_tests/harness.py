"""Drives real cells: a small site over real HTTP that counts its requests, a domain file, runs on a real Dagster instance."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import dagster as dg
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange

from alas_assets.definitions import build_defs
from alas_assets.defs.births import START_JOB
from alas_assets.defs.currency import FRESH_CHECK
from alas_assets.defs.curriculum import CAUSE_TAG
from alas_assets.defs.freshness import currency_key
from alas_assets.defs.resources import Alas
from alas_assets.defs.running import Outcome, open_instance, run_cell
from alas_assets.provenance.store import ArtifactStore, Cell
from alas_assets.provenance.watching import set_watched
from alas_assets.records import Curriculum, Record, RevisedCurriculum, Seed
from alas_assets.settings import PROJECT_ROOT, load_settings

LOOP = (
    "curriculum_seed",
    "curriculum",
    "documents",
    "qa_pairs",
    "probes",
    "baseline_scores",
    "sft_adapter",
    "judge_scores",
    "preference_pairs",
    "dpo_adapter",
    "dpo_judge_scores",
    "promotion",
    "exam_scores",
    "wrong_answers",
    "revised_curriculum",
)

PAGE = """<!DOCTYPE html><html lang="en"><head><title>{title}</title></head><body><main><article><h1>{title}</h1>
{body}</article></main></body></html>"""


class Site:
    """Pages by path, served over loopback; pages can be changed, and every request is counted.

    Args:
        port: Where, unless somebody is there already. Ids of facts depend on their page's address, and what is drawn in training on the
            ids: on one port and one processor a student learns the same in every run.
    """

    def __init__(self, port: int = 0) -> None:
        self.pages: dict[str, str] = {}
        self.requests: Counter[str] = Counter()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests[self.path] += 1
                page = site.pages.get(self.path)
                body = (page or "gone").encode()
                self.send_response(200 if page is not None else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8" if page is not None else "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        try:
            self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except OSError:
            self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def page(self, path: str, title: str, body: str) -> None:
        """Put a page under a path."""
        self.pages[path] = PAGE.format(title=title, body=body)

    def close(self) -> None:
        """Stop serving."""
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def serving(port: int = 0) -> Iterator[Site]:
    """Serve a site of two releases, two pages with two sections each, written for rule-made questions."""
    site = Site(port)
    site.page(
        "/",
        "Quill release notes",
        "<p>What changed in the Quill toolkit, release by release.</p>"
        '<ul><li><a href="/3.html">Quill 3</a></li><li><a href="/4.html">Quill 4</a></li></ul>',
    )
    site.page(
        "/3.html",
        "What is new in Quill 3",
        "<h2>quill.ink</h2><p>The <code>quill.ink</code> module gained the <code>blot()</code> function.</p>"
        "<p>The default value of the <code>depth</code> parameter of <code>dip()</code> is now 7.</p>"
        "<h2>quill.paper</h2><p>The <code>fold()</code> function was deprecated in favour of <code>crease()</code>.</p>"
        "<p>Reading a torn sheet with <code>scan()</code> now raises <code>SheetError</code>.</p>",
    )
    site.page(
        "/4.html",
        "What is new in Quill 4",
        "<h2>quill.seal</h2><p>The <code>quill.seal</code> module gained the <code>stamp()</code> function.</p>"
        "<p>Building Quill now requires GCC 12.3 or newer.</p>"
        "<h2>quill.desk</h2><p>The <code>drawer()</code> function was removed; use <code>shelf()</code> instead.</p>"
        "<p>The <code>tidy()</code> function now accepts the <code>hurry</code> argument.</p>",
    )
    try:
        yield site
    finally:
        site.close()


@contextmanager
def serving_more(port: int = 0) -> Iterator[Site]:
    """Serve the site with two older releases beside: enough facts that what is kept can be told from what is lost."""
    with serving(port) as site:
        site.page(
            "/1.html",
            "What is new in Quill 1",
            "<h2>quill.nib</h2><p>The <code>quill.nib</code> module gained the <code>trim()</code> function.</p>"
            "<p>The <code>weigh()</code> function was deprecated in favour of <code>balance()</code>.</p>"
            "<h2>quill.wax</h2><p>The <code>pour()</code> function now accepts the <code>slowly</code> argument.</p>"
            "<p>Building the manual now requires Sphinx 7.2 or newer.</p>",
        )
        site.page(
            "/2.html",
            "What is new in Quill 2",
            "<h2>quill.case</h2><p>The <code>quill.case</code> module gained the <code>latch()</code> function.</p>"
            "<p>Opening a locked case with <code>unlock()</code> now raises <code>LockError</code>.</p>"
            "<h2>quill.rack</h2><p>The <code>hang()</code> function was removed; use <code>hook()</code> instead.</p>"
            "<p>The <code>arrange()</code> function now accepts the <code>backwards</code> argument.</p>",
        )
        older = '<li><a href="/1.html">Quill 1</a></li><li><a href="/2.html">Quill 2</a></li>'
        site.pages["/"] = site.pages["/"].replace('<li><a href="/3.html">', f'{older}<li><a href="/3.html">')
        yield site


DOMAIN = """
title = "Quill"
description = "The releases of the Quill toolkit, which exists only in this test."
seed = 3
exam_file = ""
guard_file = "cves.jsonl"
freshness_hours = 168
replay_file = "general.jsonl"
[sources]
seed_urls = ["http://127.0.0.1:{port}/"]
watch_urls = []
private_hosts = ["127.0.0.1:{port}"]
delay_seconds = 0.0
timeout_seconds = 5.0
[student]
model = "{student}"
recipe = "{recipe}"
[budget]
min_topics = 1
max_topics = 3
max_iterations = 4
[thresholds]
phrasings = 4
tau = 0.9
"""


EDITS = {
    "dip()": "plunge()",
    "crease()": "pleat()",
    "SheetError": "TornError",
    "stamp()": "emboss()",
    "GCC 12.3": "GCC 13.2",
    "shelf()": "cabinet()",
    "hurry": "calm",
}
"""Seven facts of that site, and what an edit makes of them."""


def requests(result: dg.SensorResult | dg.SkipReason) -> list[dg.RunRequest]:
    """Return the runs that a tick asked for."""
    return list(result.run_requests or []) if isinstance(result, dg.SensorResult) else []


def skipped(result: dg.SensorResult | dg.SkipReason) -> str:
    """Return why a tick asked for nothing."""
    reason = result.skip_reason if isinstance(result, dg.SensorResult) else result
    assert reason is not None
    return str(reason.skip_message)


class Harness:
    """A store, a Dagster instance and domains of its own in one folder."""

    def __init__(self, folder: Path, student: str, recipe: str = "tiny-test") -> None:
        os.environ.pop("DAGSTER_HOME", None)  # another harness's, whose instance would be shared
        self.settings = load_settings(folder / "store")
        self.student, self.recipe = student, recipe
        self.instance: dg.DagsterInstance = open_instance(self.settings)
        self.store = ArtifactStore(self.settings.home)
        self.alas = Alas(home=str(self.settings.home))
        self.events: list[tuple[str, str]] = []

    def copied(self, folder: Path, ignore: tuple[str, ...] = ()) -> "Harness":
        """Copy the store, its Dagster instance included, for a test that goes on from it; files named in `ignore` are left out."""
        shutil.copytree(self.settings.home, folder / "store", ignore=shutil.ignore_patterns(*ignore))
        return Harness(folder, self.student, self.recipe)

    def domain(self, key: str, port: int, **changes: str) -> None:
        """Write a domain file; `changes` replace whole lines by their key."""
        text = DOMAIN.format(port=port, student=self.student, recipe=self.recipe)
        lines = [
            f"{line.split(' = ')[0]} = {changes[line.split(' = ')[0]]}" if line.split(" = ")[0] in changes else line
            for line in text.splitlines()
        ]
        target = self.settings.home / "domains" / f"{key}.toml"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("\n".join(lines), encoding="utf-8")

    def run(self, domain: str, iteration: int = 0, *, dry_run: bool = False) -> Outcome:
        """Materialise one cell as `alas run` does."""
        self.events.clear()
        return run_cell(
            self.instance,
            self.settings,
            Cell.of(domain, iteration),
            cause="test",
            on_event=lambda kind, line: self.events.append((kind, line)),
            dry_run=dry_run,
        )

    def tick(self, sensor: str) -> dg.SensorResult | dg.SkipReason:
        """Evaluate a sensor as the daemon would, on this instance, and log the asset events that it asks for."""
        repository = self.repository
        with dg.build_sensor_context(
            instance=self.instance, repository_def=repository, resources={"alas": self.alas}, sensor_name=sensor
        ) as context:
            result: dg.SensorResult | dg.SkipReason = repository.get_sensor_def(sensor)(context)  # type: ignore[assignment]
        for event in result.asset_events if isinstance(result, dg.SensorResult) else []:
            self.instance.report_runless_asset_event(event)
        return result

    def freshness_shown(self, domain: str) -> list[dg.AssetCheckEvaluation]:
        """Return every evaluation of the domain's check `knowledge_is_fresh`, oldest first."""
        return self.check_shown(dg.AssetCheckKey(currency_key(domain), FRESH_CHECK))

    def check_shown(self, key: dg.AssetCheckKey) -> list[dg.AssetCheckEvaluation]:
        """Return every evaluation of a check, oldest first."""
        records = self.instance.event_log_storage.get_asset_check_execution_history(key, limit=100)
        return [record.event.dagster_event.asset_check_evaluation_data for record in reversed(records)]  # type: ignore[union-attr]

    @cached_property
    def repository(self) -> dg.RepositoryDefinition:
        """The code location, loaded once; domain files are read at each use."""
        return build_defs(home=str(self.settings.home)).get_repository_def()

    def opened(self, domain: str, iteration: int, cause: str = "test") -> None:
        """Store a seed alone: an iteration that is unfinished."""
        seed = Seed(domain=domain, iteration=iteration, description="d", seed_topics=[], seed_urls=[], cause=cause)
        self._put(domain, iteration, "curriculum_seed", seed)

    def revised(self, domain: str, iteration: int, decision: str, reason: str = "a topic is under tau") -> None:
        """Store a revision alone."""
        revision = RevisedCurriculum(domain=domain, iteration=iteration, decision=decision, reason=reason, accuracy=0.5)  # pyright: ignore
        self._put(domain, iteration, "revised_curriculum", revision)

    def finished(self, domain: str, iteration: int, decision: str = "stop", cause: str = "test") -> None:
        """Watch a domain whose iteration is done, without having run it."""
        set_watched(self.settings.home, domain, True)
        self.opened(domain, iteration, cause)
        self._put(domain, iteration, "curriculum", Curriculum(domain=domain, iteration=iteration, topics=[]))
        self.revised(domain, iteration, decision)

    def stale(self, domain: str) -> None:
        """Record that the domain's freshness policy failed, as Dagster's freshness daemon does."""
        change = FreshnessStateChange(
            key=currency_key(domain),
            new_state=FreshnessState.FAIL,
            previous_state=FreshnessState.PASS,
            state_change_timestamp=time.time(),
        )
        self.instance.report_runless_asset_event(change)

    def _put(self, domain: str, iteration: int, asset: str, record: Record) -> None:
        self.store.put(Cell.of(domain, iteration), asset, record, input_key=f"{domain}{iteration}{asset}", inputs={}, run_id="r")

    def watch(self, domain: str) -> None:
        """Turn the sensors on for a domain as a user does."""
        command = [sys.executable, "-m", "alas_assets.cli", "watch", "on", domain, "--home", str(self.settings.home)]
        subprocess.run(command, check=True, capture_output=True)

    def openings(self, domain: str) -> list[tuple[str, str]]:
        """Return (iteration, cause) of every iteration that a sensor has opened, oldest first."""
        wanted = dg.RunsFilter(job_name=START_JOB, tags={"dagster/partition/domain": domain})
        runs = [run for run in self.instance.get_runs(wanted) if "dagster/sensor_name" in run.tags]
        return [(run.tags["dagster/partition/iteration"], run.tags[CAUSE_TAG]) for run in reversed(runs)]

    def wait_for(self, domain: str, iteration: int, asset: str, seconds: float, log: Path) -> None:
        """Wait until a cell's asset is there."""
        deadline = time.monotonic() + seconds
        while asset not in self.pointers(domain, iteration):
            assert time.monotonic() < deadline, f"{asset} of {domain}|{iteration:03d} did not come:\n{log.read_text()[-3000:]}"
            time.sleep(1)

    def pointers(self, domain: str, iteration: int = 0) -> dict[str, str]:
        """Return the content hash of every asset of a cell that is there."""
        cell = Cell.of(domain, iteration)
        return {name: pointer.hash for name in LOOP if (pointer := self.store.pointer(cell, name))}

    def redone(self) -> set[str]:
        """Return the assets that the last run really made again."""
        lines = [line for kind, line in self.events if kind == "done"]
        return {line.split(" ")[0] for line in lines if "(unchanged)" not in line}


def end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """Ask a process to end, and end it if it does not."""
    process.send_signal(how)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def daemon(harness: Harness, log: Path) -> Iterator[None]:
    """Run Dagster's daemon on the harness's instance until the block ends; watched sources are looked at every ten seconds."""
    environment = {
        **os.environ,
        "ALAS_HOME": str(harness.settings.home),
        "DAGSTER_HOME": str(harness.settings.dagster_home),
        "ALAS_WATCH_SECONDS": "10",
    }
    with log.open("ab") as written:
        command = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(PROJECT_ROOT / "workspace.yaml")]
        process = subprocess.Popen(command, env=environment, cwd=PROJECT_ROOT, stdout=written, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            end(process, signal.SIGINT)


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def wait_until_served(url: str, log: Path, seconds: float = 120) -> None:
    """Wait until a server that is being started answers."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, OSError):
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(1)


@contextmanager
def webserver(harness: Harness, log: Path) -> Iterator[str]:
    """Serve Dagster's UI on the harness's instance until the block ends; yields its address."""
    environment = {**os.environ, "ALAS_HOME": str(harness.settings.home), "DAGSTER_HOME": str(harness.settings.dagster_home)}
    port = free_port()
    with log.open("ab") as written:
        command = [sys.executable, "-m", "dagster_webserver", "-w", str(PROJECT_ROOT / "workspace.yaml"), "-p", str(port)]
        process = subprocess.Popen(command, env=environment, cwd=PROJECT_ROOT, stdout=written, stderr=subprocess.STDOUT)
        try:
            wait_until_served(f"http://127.0.0.1:{port}/server_info", log)
            yield f"http://127.0.0.1:{port}"
        finally:
            end(process, signal.SIGINT)


def graphql(base: str, query: str) -> dict[str, Any]:
    """Ask Dagster's webserver what its pages ask it."""
    request = Request(f"{base}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=60) as answer:
        told = json.load(answer)
    assert "errors" not in told, told
    return told["data"]
