"""`alas status`, `scoreboard`, `exam`, `estimate` and `ask`: what there is, what it scored, what it would cost, what it says (E4, E8, U2).

Nothing here trains or changes a cell.
"""

import json
import textwrap
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alas_assets.commands.common import (
    DomainKey,
    Home,
    alas_of,
    check_ready,
    err,
    fail,
    how_to_report,
    out,
    plain,
    settings_at,
    site_served,
)
from alas_assets.commands.printing import print_failures, print_scoreboard

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from alas_assets.defs.failures import Failed
    from alas_assets.defs.resources import Alas
    from alas_assets.provenance.store import Cell


app = typer.Typer()


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


@app.command()
def status(home: Home = None) -> None:
    """Show every domain: how far it is, what is current, what comes next."""
    from rich.table import Table

    from alas_assets.defs.decisions import waiting_note
    from alas_assets.defs.running import open_instance
    from alas_assets.defs.steps import TOLD
    from alas_assets.domains.catalog import domain_files
    from alas_assets.provenance.watching import watched_domains

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
            cells, own = _status_of(alas, instance, key, watched=key in watched)
        except TOLD as error:  # the others are shown all the same
            broken.append(str(error))
            continue
        table.add_row(*cells)
        notes += own
        try:
            notes += filter(None, [waiting_note(alas, key)])
        except TOLD as error:  # what the domain has come to is known without what people decided
            broken.append(str(error))
    out.print(table)
    for line in notes:
        out.print(plain(line))
    where = "" if settings.home.is_dir() else ", which is not there yet"
    out.print(f"store {settings.home}{where}; Dagster {settings.dagster_home}")
    for line in broken:
        err.print(f"[red]broken[/] {plain(line)}")
    if broken:
        raise typer.Exit(1)


def _status_of(alas: "Alas", instance: "DagsterInstance | None", key: str, *, watched: bool) -> tuple[list[str], list[str]]:
    """Return a domain's row of the table, and what is to be said below it.

    Raises:
        TOLD: The domain file, or one of the store's files of the domain, cannot be used.
    """
    from alas_assets.defs.failures import failed_because
    from alas_assets.defs.freshness import last_heartbeat
    from alas_assets.defs.lineage import being_made_again, closed_because, closed_words, finished, last_opened
    from alas_assets.defs.retraining import not_retrained
    from alas_assets.defs.revision import rolled_back
    from alas_assets.domains.catalog import missing_guards
    from alas_assets.records import RevisedCurriculum

    domain = alas.domain(key)
    newest = last_opened(alas, key)
    pointer = alas.store.pointer(newest, "revised_curriculum") if newest and finished(alas, newest) else None
    revised = alas.store.read_record(RevisedCurriculum, pointer) if pointer else None
    closed = closed_because(alas, newest) if newest else None
    failed = failed_because(instance, newest) if instance and newest and not revised and not closed else None
    beat = last_heartbeat(instance, key) if instance else None
    other = rolled_back(alas, key)  # then the accuracy is another model's
    cells = [
        key,
        newest.iteration if newest else "-",
        (alas.registry.current(key) or "base student")[:12],
        f"{100 * revised.accuracy:.1f} %" if revised and revised.accuracy is not None and not other else "-",
        revised.decision if revised else _unrevised(closed, failed, newest),
        f"{beat:%Y-%m-%d %H:%M}" if beat else "-",
        "yes" if watched else "no",
    ]
    notes = [f"{key}: {revised.reason}"] if revised and not other else []
    if newest and not closed and (again := being_made_again(alas, newest)):
        notes.append(f"{key}: {again}")
    if newest and closed:
        notes.append(f"{key}: {closed_words(newest, closed)}")
    if newest and failed:
        notes.append(f"{key}: iteration {newest.iteration} failed: {failed.why}; {_goes_on(key, failed.dry_run)}")
    if other:
        notes.append(other)
    notes += [f"{key}: is to be trained again after takedown {order.id}; `alas run {key}` does it" for order in not_retrained(alas, key)]
    if missing := missing_guards(alas.settings, domain):
        notes.append(missing)
    return cells, notes


def _goes_on(key: str, dry_run: bool) -> str:
    again = f"`alas run {key} --dry-run` looks again without training, " if dry_run else ""
    return f"{again}`alas retry {key}` goes on with it{' and trains' if dry_run else ''}"


def _unrevised(closed: str | None, failed: "Failed | None", newest: "Cell | None") -> str:
    return "closed" if closed else "failed" if failed else "unfinished" if newest else "never run"


@app.command()
def scoreboard(domain: DomainKey, format: Annotated[TableFormat, typer.Option("--format")] = TableFormat.table, home: Home = None) -> None:
    """Show every iteration of a domain side by side, with intervals."""
    from alas_assets.defs.revision import domain_scoreboard

    alas = alas_of(settings_at(home), domain)
    if format is TableFormat.table:
        print_scoreboard(alas, domain)
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
    from alas_assets.defs.decisions import waiting_note
    from alas_assets.defs.outlook import estimate_iteration
    from alas_assets.defs.steps import StageError
    from alas_assets.provenance.store import BadKeyError, StoreError
    from alas_assets.review.journal import ReviewError

    settings = settings_at(home)
    alas = alas_of(settings, domain)
    check_ready(alas, domain)
    try:
        with site_served(settings, live=alas.domain(domain).sources.live):
            estimated = estimate_iteration(alas, domain)
        waits = waiting_note(alas, domain)
    except (BadKeyError, StageError, StoreError, ReviewError) as error:
        fail(str(error))
    for name, value in estimated.figures.items():
        out.print(f"{name:22} {plain(str(value))}")
    print_failures(estimated.failures)
    if waits:
        out.print(plain(f"not counted here: {waits}"))
    if not estimated.readable:
        fail(f"no page of {domain} could be surveyed, so nothing can be estimated; see sources in its domain file")


@app.command()
def ask(
    domain: DomainKey,
    question: Annotated[str, typer.Argument(help="Anything about the domain.")],
    system: Annotated[AskSystem, typer.Option("--system")] = AskSystem.current,
    home: Home = None,
) -> None:
    """Ask the student, and see the taught facts nearest to the question, with quote and URL, or that nothing taught is near."""
    from alas_assets.audit.render import shown_text
    from alas_assets.audit.trace import model_in_place
    from alas_assets.defs.serving import ask_student
    from alas_assets.provenance.store import StoreError

    if not question.strip():
        fail("the question is empty", 2)
    alas = alas_of(settings_at(home), domain)
    systems = ["base", "rag", "current"] if system is AskSystem.all else [system.value]
    try:
        with err.status("loading the student"):
            replies = ask_student(alas, domain, question, systems)
        in_place = model_in_place(alas.store, domain)
    except StoreError as error:
        fail(str(error))
    for reply in replies:
        out.print(f"[bold]{reply.system}[/]  {plain(reply.answer or '(nothing)')}")
        if reply.system == "current":
            out.print(f"    {plain(in_place.in_words)}")
        if reply.note:
            out.print(f"    {plain(reply.note)}")
        for passage in reply.shown:
            out.print(plain(textwrap.indent(shown_text(passage), "    ")))
        for source in reply.sources:
            out.print(f'    {plain(source.question)} -> {plain(source.answer)}\n    "{plain(source.quote)}"\n    {plain(source.url)}')
    if "current" in systems:
        out.print(plain(how_to_report(domain, question.strip(), home)))
