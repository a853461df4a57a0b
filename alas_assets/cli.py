"""The `alas` command: the same Dagster instance and assets as the UI, from a terminal (O1, U2).

Arguments, progress and exit codes live here (0 done, 1 the work failed, 2 wrong usage); every step is an asset or a
function of a plain package. Groups of subcommands have a module each in `alas_assets.commands`. Dagster and the model are imported
only by the commands that need them.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alas_assets.commands import audit, ledger, release, review, takedown
from alas_assets.commands.common import DomainKey, Home, alas_of, err, fail, out, plain, settings_at, site_served
from alas_assets.settings import PROJECT_ROOT, Settings

if TYPE_CHECKING:
    import dagster as dg

    from alas_assets.defs.resources import Alas
    from alas_assets.provenance.store import Cell

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Keep a small language model current: the same instance and assets as the Dagster UI.",
)
app.add_typer(audit.app)
app.add_typer(review.app, name="review")
app.add_typer(ledger.app, name="ledger")
app.add_typer(takedown.app)
app.add_typer(release.app)

DEMO_DOMAIN = "python-releases"
DEMO_ITERATIONS = 2
NAMED_FAILURES = 20


class TableFormat(StrEnum):
    """How tables are printed."""

    table = "table"
    json = "json"


class AskSystem(StrEnum):
    """Who answers."""

    base = "base"
    rag = "rag"
    current = "current"
    all = "all"


class Switch(StrEnum):
    """On or off."""

    on = "on"
    off = "off"


class _Progress:
    """Prints a line per finished step, and a live line for the one at work."""

    def __init__(self) -> None:
        self.status = out.status("starting") if out.is_terminal else None

    def __enter__(self) -> "_Progress":
        if self.status:
            self.status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.status:
            self.status.stop()

    def __call__(self, kind: str, line: str) -> None:
        if kind == "done":
            out.print(f"  [green]done[/]    {plain(line)}")
        elif kind == "failed":
            out.print(f"  [red]failed[/]  {plain(line.split(':', maxsplit=1)[0])}")  # why is said once, at the end
        elif kind == "check":
            out.print(f"  [yellow]note[/]    {plain(line)}")
        elif kind == "log" and not self.status:
            out.print(f"          {plain(line)}")
        if self.status and kind in ("start", "log"):
            self.status.update(plain(line[:150]))


def _run_one(instance: "dg.DagsterInstance", settings: Settings, cell: "Cell", cause: str, dry_run: bool = False) -> None:
    from alas_assets.defs.running import run_cell

    out.print(f"[bold]iteration {cell.iteration}[/] of {cell.domain}: {plain(cause)}")
    with _Progress() as progress:
        outcome = run_cell(instance, settings, cell, cause=cause, on_event=progress, dry_run=dry_run)
    if not outcome.success:
        fail("\n".join(outcome.failures) or f"run {outcome.run_id} did not finish; see it in the UI (`make ui`)")


def _score(instance: "dg.DagsterInstance", settings: Settings, domain: str) -> None:
    from alas_assets.defs.running import run_scoreboard

    with _Progress() as progress:
        outcome = run_scoreboard(instance, settings, domain, on_event=progress)
    if not outcome.success:
        fail("\n".join(outcome.failures))


@app.command()
def demo(home: Home = None) -> None:
    """Teach the embedded student what is new in Python 3.15, twice round the loop, and show what it learned."""
    from alas_assets.defs.lineage import finished
    from alas_assets.defs.running import open_instance
    from alas_assets.provenance.store import Cell

    settings = settings_at(home)
    alas = alas_of(settings, DEMO_DOMAIN)
    instance = open_instance(settings)
    started = time.monotonic()
    if not finished(alas, Cell.of(DEMO_DOMAIN, DEMO_ITERATIONS - 1)):
        out.print("About 20 minutes on two cores that compute in bf16, 45 on two that do not. If stopped, the same command goes on.")
    with site_served(settings, live=False):
        for number in range(DEMO_ITERATIONS):
            _run_one(instance, settings, Cell.of(DEMO_DOMAIN, number), "alas demo")
        _score(instance, settings, DEMO_DOMAIN)
    _print_scoreboard(alas, DEMO_DOMAIN)
    _print_example(alas, DEMO_DOMAIN)
    minutes, seconds = divmod(int(time.monotonic() - started), 60)
    out.print(f"\n{minutes} min {seconds:02d} s. Look at it in Dagster: [bold]make ui[/]; trace any answer: [bold]alas trace ANSWER_ID[/]")


@app.command()
def run(
    domain: DomainKey,
    iterations: Annotated[int, typer.Option(min=1, help="How many iterations at most, the newest one included.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan and write pairs only; nothing is trained.")] = False,
    home: Home = None,
) -> None:
    """Run the newest unfinished iteration, or check the newest, and go on while the revision says continue."""
    from alas_assets.defs.births import next_opening
    from alas_assets.defs.lineage import closed_because, finished, last_opened
    from alas_assets.defs.retraining import waiting
    from alas_assets.defs.running import open_instance
    from alas_assets.provenance.store import Cell

    settings = settings_at(home)
    alas = alas_of(settings, domain)
    instance = open_instance(settings)
    with site_served(settings, live=alas.domain(domain).sources.live):
        cell, cause = last_opened(alas, domain) or Cell.of(domain, 0), "alas run"
        after_takedown = waiting(alas, domain) and finished(alas, cell)
        if after_takedown or closed_because(alas, cell):
            closed = None if after_takedown else f"alas run, after {cell.iteration} was closed"
            opening = next_opening(alas, instance, domain, outside_cause=closed)
            if opening.cell is None:
                fail(opening.reason)
            cell, cause = opening.cell, opening.reason
        for turn in range(iterations):
            _run_one(instance, settings, cell, cause, dry_run)
            if dry_run:
                _print_pairs(alas, cell)
                return
            opening = next_opening(alas, instance, domain)
            if opening.cell is None:
                out.print(plain(opening.reason))
                break
            if turn + 1 == iterations:
                out.print(
                    plain(f"iteration {opening.cell.iteration} is next: {opening.reason}; alas run {domain} --iterations 2 goes on with it")
                )
                break
            cell, cause = opening.cell, opening.reason
        _score(instance, settings, domain)
    _print_scoreboard(alas, domain)


@app.command("open")
def open_(domain: DomainKey, home: Home = None) -> None:
    """Open the next iteration: add its keys, materialise its seed, print the cell."""
    from alas_assets.defs.births import next_opening
    from alas_assets.defs.running import open_cell, open_instance

    settings = settings_at(home)
    alas = alas_of(settings, domain)
    instance = open_instance(settings)
    opening = next_opening(alas, instance, domain)
    if opening.cell is None:
        fail(opening.reason)
    outcome = open_cell(instance, settings, opening.cell, cause=opening.reason, on_event=lambda *_: None)
    if not outcome.success:
        fail("\n".join(outcome.failures))
    out.print(str(opening.cell))
    err.print(f"materialise the rest in the UI (job `iteration`), or with: alas run {domain}")


@app.command()
def status(home: Home = None) -> None:
    """Show every domain: how far it is, what is current, what comes next."""
    from rich.table import Table

    from alas_assets.defs.failures import failed_because
    from alas_assets.defs.freshness import last_heartbeat
    from alas_assets.defs.lineage import closed_because, last_opened
    from alas_assets.defs.retraining import not_retrained
    from alas_assets.defs.revision import rolled_back
    from alas_assets.defs.running import open_instance
    from alas_assets.domains.catalog import domain_files, load_domain
    from alas_assets.domains.config import DomainError
    from alas_assets.provenance.watching import watched_domains
    from alas_assets.records import RevisedCurriculum

    settings = settings_at(home)
    alas = alas_of(settings)
    watched = watched_domains(settings.home)
    instance = open_instance(settings) if settings.dagster_home.is_dir() else None
    table = Table("domain", "newest", "current", "accuracy", "next", "as of", "watched", box=None)
    table.columns[0].no_wrap = True
    broken: list[str] = []
    notes: list[str] = []
    for key in domain_files(settings):
        try:
            load_domain(settings, key)
        except DomainError as error:
            broken.append(str(error))
            continue
        newest = last_opened(alas, key)
        pointer = alas.store.pointer(newest, "revised_curriculum") if newest else None
        revised = alas.store.read_record(RevisedCurriculum, pointer) if pointer else None
        closed = closed_because(alas, newest) if newest else None
        failed = failed_because(instance, newest) if instance and newest and not revised and not closed else None
        beat = last_heartbeat(instance, key) if instance else None
        other = rolled_back(alas, key)  # then the accuracy is another model's
        table.add_row(
            key,
            newest.iteration if newest else "-",
            (alas.registry.current(key) or "base student")[:12],
            f"{100 * revised.accuracy:.1f} %" if revised and not other else "-",
            revised.decision if revised else _unrevised(closed, failed, newest),
            f"{beat:%Y-%m-%d %H:%M}" if beat else "-",
            "yes" if key in watched else "no",
        )
        if revised:
            notes.append(f"{key}: {revised.reason}")
        if newest and closed:
            notes.append(f"{key}: iteration {newest.iteration} was closed as failed: {closed}; `alas retry {key}` goes on with it")
        if newest and failed:
            notes.append(f"{key}: iteration {newest.iteration} failed: {failed}; `alas retry {key}` goes on with it")
        if other:
            notes.append(other)
        notes += [
            f"{key}: is to be trained again after takedown {order.id}; `alas run {key}` does it" for order in not_retrained(alas, key)
        ]
    out.print(table)
    for line in notes:
        out.print(plain(line))
    where = "" if settings.home.is_dir() else ", which is not there yet"
    out.print(f"store {settings.home}{where}; Dagster {settings.dagster_home}")
    for line in broken:
        err.print(f"[red]broken[/] {plain(line)}")
    if broken:
        raise typer.Exit(1)


def _unrevised(closed: str | None, failed: str | None, newest: "Cell | None") -> str:
    return "closed" if closed else "failed" if failed else "unfinished" if newest else "never run"


@app.command()
def scoreboard(domain: DomainKey, format: Annotated[TableFormat, typer.Option("--format")] = TableFormat.table, home: Home = None) -> None:
    """Show every iteration of a domain side by side, with intervals."""
    from alas_assets.defs.revision import domain_scoreboard

    alas = alas_of(settings_at(home), domain)
    if format is TableFormat.table:
        _print_scoreboard(alas, domain)
        return
    rows = domain_scoreboard(alas, domain)
    print(json.dumps(rows.to_dicts(), indent=1))
    if rows.is_empty():
        fail(f"no iteration of {domain} has been judged yet; run `alas run {domain}`")


@app.command()
def exam(
    domain: DomainKey,
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="Lines of id, question, answer, aliases, optional paraphrase.")],
    format: Annotated[TableFormat, typer.Option("--format")] = TableFormat.table,
    home: Home = None,
) -> None:
    """Ask base and current the questions of a file that the loop never reads."""
    from alas_assets.defs.serving import sit_exam
    from alas_assets.evaluation.exam import ExamError
    from alas_assets.evaluation.scoreboard import render_table
    from alas_assets.evaluation.verdicts import VerdictError
    from alas_assets.provenance.store import StoreError
    from alas_assets.teachers.endpoint.calls import BudgetSpentError, EndpointError

    alas = alas_of(settings_at(home), domain)
    try:
        with err.status("the student sits the exam"):
            rows, taught = sit_exam(alas, domain, file)
    except ExamError as error:
        fail(str(error), 2)
    except (StoreError, EndpointError, BudgetSpentError, VerdictError) as error:
        fail(str(error))
    if format is TableFormat.json:
        print(json.dumps(rows.to_dicts(), indent=1))
    else:
        out.print(render_table(rows))
        out.print("Only the questions whose fact has an accepted pair:")
        out.print(render_table(taught) if taught.height else "none")


@app.command()
def estimate(domain: DomainKey, home: Home = None) -> None:
    """Say what the next iteration would read, write and train, before anything is spent."""
    from alas_assets.defs.outlook import estimate_iteration
    from alas_assets.defs.steps import StageError
    from alas_assets.provenance.store import StoreError

    settings = settings_at(home)
    alas = alas_of(settings, domain)
    try:
        with site_served(settings, live=alas.domain(domain).sources.live):
            estimated = estimate_iteration(alas, domain)
    except (StageError, StoreError) as error:
        fail(str(error))
    for name, value in estimated.figures.items():
        out.print(f"{name:22} {plain(str(value))}")
    _print_failures(estimated.failures)
    if not estimated.readable:
        fail(f"no page of {domain} could be surveyed, so nothing can be estimated; see sources in its domain file")


@app.command()
def ask(
    domain: DomainKey,
    question: Annotated[str, typer.Argument(help="Anything about the domain.")],
    system: Annotated[AskSystem, typer.Option("--system")] = AskSystem.current,
    home: Home = None,
) -> None:
    """Ask the student, and see the facts, quotes and URLs the answer rests on, or that nothing taught it."""
    from alas_assets.defs.serving import ask_student
    from alas_assets.provenance.store import StoreError

    if not question.strip():
        fail("the question is empty", 2)
    alas = alas_of(settings_at(home), domain)
    systems = ["base", "rag", "current"] if system is AskSystem.all else [system.value]
    try:
        with err.status("loading the student"):
            replies = ask_student(alas, domain, question, systems)
    except StoreError as error:
        fail(str(error))
    for reply in replies:
        out.print(f"[bold]{reply.system}[/]  {plain(reply.answer or '(nothing)')}")
        if reply.note:
            out.print(f"    {plain(reply.note)}")
        for source in reply.sources:
            out.print(f'    {plain(source.question)} -> {plain(source.answer)}\n    "{plain(source.quote)}"\n    {plain(source.url)}')


@app.command()
def new(
    domain: DomainKey,
    describe: Annotated[
        str, typer.Option("--describe", help="What the student should stay current in, in a sentence or two (20 characters or more).")
    ],
    url: Annotated[list[str] | None, typer.Option("--url", help="An index page; the pages it links to are studied. Repeatable.")] = None,
    feed: Annotated[list[str] | None, typer.Option("--feed", help="An RSS or Atom feed; the pages of its entries. Repeatable.")] = None,
    folder: Annotated[Path | None, typer.Option("--folder", help="A folder of documents: .html, .md, .rst, .txt, .pdf, .json.")] = None,
    watch: Annotated[
        list[str] | None, typer.Option("--watch", help="A page to watch in place of the index pages, also while not there yet. Repeatable.")
    ] = None,
    home: Home = None,
) -> None:
    """Write a domain file into the store's domains folder and validate it; it needs a --url, a --feed or a --folder."""
    from alas_assets.domains.config import DomainError
    from alas_assets.domains.writing import NewSources, new_domain

    sources = NewSources(url or [], feed or [], folder, watch or [])
    try:
        path = new_domain(settings_at(home), domain, describe, sources)
    except DomainError as error:
        fail(str(error), 2)
    out.print(f"wrote {path}")
    if sources.private_hosts:
        out.print(f"private_hosts lets {', '.join(sources.private_hosts)} be read, which is not on the public internet")
    out.print(f"next: alas run {domain} --dry-run")


@app.command()
def rollback(
    domain: DomainKey,
    undo: Annotated[bool, typer.Option("--undo", help="Take the last rollback back.")] = False,
    home: Home = None,
) -> None:
    """Make the adapter before the current one current again, one step a call."""
    from alas_assets.release.registry import RegistryError

    alas = alas_of(settings_at(home), domain)
    try:
        before = alas.registry.current(domain)
        now = alas.registry.undo_rollback(domain) if undo else alas.registry.rollback(domain)
    except RegistryError as error:
        fail(str(error))
    out.print(f"current was {before or 'the base student'}")
    out.print(f"current is  {now or 'the base student'}")
    if not undo:
        out.print(f"to take it back: alas rollback {domain} --undo")


@app.command()
def gc(domain: DomainKey, home: Home = None) -> None:
    """Free working folders and artifacts that no cell and no registry entry names."""
    from alas_assets.provenance.collect import collect_garbage

    settings = settings_at(home)
    alas_of(settings, domain)
    freed = collect_garbage(settings.home, domain)
    out.print(f"freed {freed.files} files, {freed.bytes / 1e6:.1f} MB")


@app.command()
def watch(switch: Switch, domain: DomainKey, home: Home = None) -> None:
    """Let the sensors open this domain's iterations by themselves, or stop them."""
    from alas_assets.defs.running import open_instance
    from alas_assets.defs.switching import SwitchError, switch_sensors
    from alas_assets.provenance.watching import set_watched, watched_domains

    settings = settings_at(home)
    if switch is Switch.on or domain not in watched_domains(settings.home):  # a domain whose file is gone can still be left alone
        alas = alas_of(settings, domain)
        if switch is Switch.on and (note := _unwatchable(alas, domain)):
            out.print(plain(note))
    watched = set_watched(settings.home, domain, switch is Switch.on)
    try:
        with err.status("turning the sensors " + ("on" if watched else "off")):
            switch_sensors(open_instance(settings), on=bool(watched))
    except SwitchError as error:
        fail(f"{error}. `alas watch {switch.value} {domain}` can be given again")
    out.print(
        f"watched: {', '.join(watched)}. The daemon of `make ui` does the work." if watched else "no domain is watched, the sensors are off"
    )


def _unwatchable(alas: "Alas", domain: str) -> str:
    """Say that no page and no feed of a domain can be looked at for changes, and what opens its iterations all the same."""
    from alas_assets.defs.freshness import in_words
    from alas_assets.retrieval.watch import watched_pages

    known = alas.domain(domain)
    if watched_pages(known) or known.sources.feed_urls:
        return ""
    window = in_words(timedelta(hours=known.freshness_hours))
    return (
        f"no page or feed of {domain} is watched: sources.watch_urls, seed_urls, feeds and github name none. "
        f"Its other sources are read again once its knowledge is older than {window} (freshness_hours)"
    )


@app.command()
def retry(domain: DomainKey, home: Home = None) -> None:
    """Go on with the newest iteration although it failed or was closed; what is done is kept, and its failures count anew."""
    from alas_assets.defs.lineage import finished, last_opened
    from alas_assets.defs.running import open_instance
    from alas_assets.provenance.changes import retry_iteration

    settings = settings_at(home)
    alas = alas_of(settings, domain)
    cell = last_opened(alas, domain)
    if cell is None or finished(alas, cell):
        fail(f"{domain} has no unfinished iteration; `alas run {domain}` starts or checks one")
    instance = open_instance(settings)
    retry_iteration(settings.home, cell)
    with site_served(settings, live=alas.domain(domain).sources.live):
        _run_one(instance, settings, cell, "alas retry")
        _score(instance, settings, domain)
    _print_scoreboard(alas, domain)


@app.command()
def abandon(
    domain: DomainKey,
    because: Annotated[str, typer.Option("--because", help="Why, for whoever reads it later.")] = "abandoned by hand",
    home: Home = None,
) -> None:
    """Close the newest unfinished iteration as failed, so that the next cause can open another; what it made is kept."""
    from alas_assets.defs.births import under_way
    from alas_assets.defs.lineage import closed_because, finished, last_opened
    from alas_assets.defs.running import open_instance
    from alas_assets.provenance.changes import close_iteration

    settings = settings_at(home)
    alas = alas_of(settings, domain)
    cell = last_opened(alas, domain)
    if cell is None or finished(alas, cell) or closed_because(alas, cell):
        fail(f"{domain} has no unfinished iteration that could be closed")
    if runs := under_way(open_instance(settings), cell):
        fail(f"iteration {cell.iteration} of {domain} is under way in run {runs[0][:8]}; end that run first")
    close_iteration(settings.home, cell, because)
    out.print(f"iteration {cell.iteration} of {domain} is closed: {plain(because)}. To go on with it all the same: alas retry {domain}")


@app.command()
def ui(port: Annotated[int | None, typer.Option(help="Dagster's port (default: ALAS_UI_PORT, 3000).")] = None, home: Home = None) -> None:
    """Open the results in Dagster, with the sample site, stored pages and reports behind its links."""
    from alas_assets.defs.running import offer_first_cells, open_instance
    from alas_assets.viewer.serve import ServeError, ensure_port_free

    settings = settings_at(home)
    port = port or settings.ui_port
    os.environ["ALAS_UI_PORT"] = str(port)  # the viewer's links to runs lead there
    try:
        ensure_port_free(port, "--port")
    except ServeError as error:
        fail(str(error))
    offer_first_cells(open_instance(settings), settings)
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(PROJECT_ROOT / "workspace.yaml"), "-h", "127.0.0.1", "-p", str(port)]
    with site_served(settings, live=False):
        out.print(f"Dagster on http://127.0.0.1:{port}, sample site on {settings.site_url}; Ctrl-C ends both")
        child = subprocess.Popen(command, cwd=PROJECT_ROOT, env=os.environ | {"DAGSTER_HOME": str(settings.dagster_home)})
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        with contextlib.suppress(KeyboardInterrupt):
            code = child.wait()
            if code:
                fail(f"Dagster ended with exit code {code}")
        child.wait()


def _print_scoreboard(alas: "Alas", domain: str) -> None:
    from alas_assets.defs.revision import domain_scoreboard, exam_with_a_pair, human_agreement, rolled_back
    from alas_assets.evaluation.scoreboard import render_table, summary
    from alas_assets.review.journal import ReviewError

    rows = domain_scoreboard(alas, domain)
    if rows.is_empty():
        fail(f"no iteration of {domain} has been judged yet; run `alas run {domain}`")
    out.print(render_table(rows))
    other = rolled_back(alas, domain)
    if other:
        out.print(f"[yellow]note[/] {plain(other)}")
    out.print(f"\nThe newest iteration, all in all{', as its gate left it' if other else ''}:")
    for line in summary(rows, exam_with_a_pair(alas, domain)):
        out.print(plain(line))
    try:
        for line in human_agreement(alas, domain):
            out.print(f"      {plain(line)}")
    except ReviewError as error:
        fail(str(error))


def _print_pairs(alas: "Alas", cell: "Cell") -> None:
    """Show what a dry run found: facts by page, some of them, and what could not be read."""
    import polars as pl

    from alas_assets.defs.outlook import facts_by_page, unread_lines

    pointer = alas.store.pointer(cell, "qa_pairs")
    if pointer is None:
        return
    accepted = alas.store.read_table(pointer).filter("accepted")
    facts = accepted["fact_id"].n_unique()
    out.print(f"{facts} facts, {accepted.height} pairs; nothing was trained.{' Some of them:' if facts else ''}")
    for row in accepted.filter(pl.col("role") == "train").unique("fact_id", maintain_order=True).head(8).to_dicts():
        out.print(f"  {plain(row['question'])} -> {plain(row['answer'])}\n    {plain(row['url'])}")
    _print_pages(facts_by_page(alas, cell).rows())
    _print_failures(unread_lines(alas, cell))


def _print_pages(pages: list[tuple[Any, ...]]) -> None:
    from rich.table import Table

    table = Table("facts", "rejected", "passages", "page", box=None)
    for url, passages, facts, rejected in pages:
        table.add_row(str(facts), str(rejected), str(passages), plain(url))
    out.print(table)


def _print_failures(lines: list[str]) -> None:
    """Name what could not be read; of many only the first, which are those that the domain file names."""
    if lines:
        out.print(f"not read: {len(lines)}")
    for line in lines[:NAMED_FAILURES]:
        out.print(f"  {plain(line)}")
    if len(lines) > NAMED_FAILURES:
        out.print(f"  and {len(lines) - NAMED_FAILURES} more")


def _print_example(alas: "Alas", domain: str) -> None:
    """Trace one wrong answer of the current model; if none is left, one right answer."""
    from alas_assets.defs.serving import example_answer
    from alas_assets.provenance.render import trace_text, verdict_text
    from alas_assets.provenance.store import StoreError
    from alas_assets.provenance.trace import trace_answer
    from alas_assets.provenance.verdict import verdict_of
    from alas_assets.review.journal import ReviewError

    example: dict[str, Any] | None = example_answer(alas, domain)
    if example is None:
        return
    kind = "A right answer (none is wrong)" if example["label"] == "correct" else "A wrong answer"
    out.print(f"\n[bold]{kind}, traced to its source[/]")
    try:
        found = trace_answer(alas.store, example["answer_id"])
        print(f"{trace_text(found)}\n{verdict_text(verdict_of(alas.store, found))}")
    except (StoreError, ReviewError) as error:
        fail(str(error))


def main() -> None:
    """Run the command line; Ctrl-C ends with exit code 1 and one line."""
    try:
        app()
    except KeyboardInterrupt:
        err.print("interrupted; finished steps are kept, the next run goes on from there")
        sys.exit(1)


if __name__ == "__main__":
    main()
