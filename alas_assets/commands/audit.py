"""Commands of the audit: from an answer to its source and back, a person's word, and whether sources still say it (A1, A2)."""

import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alas_assets.commands.common import (
    DomainKey,
    Home,
    alas_of,
    at_home,
    err,
    fail,
    how_to_report,
    out,
    plain,
    settings_at,
    site_served,
    user_name,
)
from alas_assets.settings import Settings

if TYPE_CHECKING:
    import polars as pl

    from alas_assets.audit.trace import InPlace, Trace
    from alas_assets.defs.resources import Alas
    from alas_assets.defs.serving import NearProbe
    from alas_assets.provenance.store import Cell

app = typer.Typer()

TEXT_LIMIT = 20
"""Wrong answers that are printed where nobody says how many."""


class ReportFormat(StrEnum):
    """How a report is printed; html is a file."""

    text = "text"
    json = "json"
    html = "html"


class ListFormat(StrEnum):
    """How a list is printed."""

    text = "text"
    json = "json"


class WrongSystem(StrEnum):
    """Whose wrong answers are listed in the place of the current model's."""

    base = "base"
    rag = "rag"
    previous = "previous"
    sft = "sft"
    dpo = "dpo"


ShouldBe = Annotated[str, typer.Option(help="What is right by your word; else the probe's own answer is taken for right.")]


@app.command()
def trace(
    answer_id: Annotated[
        str,
        typer.Argument(metavar="[ANSWER_ID]", help="An answer's id, or its beginning; wrong_answers in the UI lists them."),
    ] = "",
    question: Annotated[str, typer.Option(help="Instead of an id: ask the current model this, and trace what it says.")] = "",
    domain: Annotated[str, typer.Option(metavar="DOMAIN", help="With --question: whose model is asked.")] = "",
    should_be: ShouldBe = "",
    format: Annotated[ReportFormat, typer.Option("--format")] = ReportFormat.text,
    file: Annotated[Path | None, typer.Option("--out", help="With --format html: the file (default: among the store's reports).")] = None,
    home: Home = None,
) -> None:
    """Walk from an answer through probe, pair, quote and stored page to the URL, and say which kind of wrong it is."""
    from alas_assets.audit.advice import what_now
    from alas_assets.audit.report import answer_html
    from alas_assets.audit.trace import TraceError, trace_answer
    from alas_assets.audit.verdict import verdict_of
    from alas_assets.provenance.ids import short_id
    from alas_assets.provenance.store import ArtifactStore, StoreError
    from alas_assets.review.journal import ReviewError

    _id_or_question(answer_id, question, domain)
    if file is not None and format is not ReportFormat.html:
        fail("--out goes with --format html", 2)
    settings = settings_at(home)
    store = ArtifactStore(settings.home, settings.lance)
    try:
        found, near = _asked(settings, domain, question, should_be) if question else (trace_answer(store, answer_id), [])
        if format is ReportFormat.text:
            _print_trace(found, near)  # it stands, also where the verdict misses a file
        verdict = verdict_of(store, found, should_be)
        now = what_now(store, found, verdict, at_home(home))
        if format is ReportFormat.html:
            name = f"trace-{found.answer_id or short_id(question.strip())}.html"
            _write(file or settings.home / "reports" / name, answer_html(store, found, verdict, now))
    except (TraceError, StoreError, ReviewError) as error:
        fail(str(error))
    if format is ReportFormat.text:
        from alas_assets.audit.render import verdict_text

        print(verdict_text(verdict, now))
        if question:
            print(how_to_report(domain, question.strip(), home))
    elif format is ReportFormat.json:
        nearest = {"nearest_probes": [probe.model_dump() for probe in near]} if near else {}
        print(
            json.dumps({**found.model_dump(mode="json"), **nearest, "verdict": verdict.model_dump(mode="json"), "what_now": now}, indent=1)
        )


def _id_or_question(answer_id: str, question: str, domain: str) -> None:
    """End the command unless either an answer is named, or a question and whose model is asked."""
    if bool(answer_id) == bool(question.strip()):
        fail("give an ANSWER_ID, or --question with --domain", 2)
    if bool(question.strip()) != bool(domain):
        fail("--question and --domain go together", 2)


def _asked(settings: Settings, domain: str, question: str, should_be: str) -> "tuple[Trace, list[NearProbe]]":
    from alas_assets.audit.trace import model_in_place
    from alas_assets.defs.serving import trace_question

    alas = alas_of(settings, domain)
    with err.status("asking the current model"):
        found, near = trace_question(alas, domain, question.strip(), should_be.strip())
    return found.model_copy(update={"in_place": model_in_place(alas.store, domain).in_words}), near


def _print_trace(found: "Trace", near: "list[NearProbe]") -> None:
    from alas_assets.audit.render import trace_text

    print(trace_text(found))
    for probe in near:
        print(f"near     {probe.similarity:.2f}  answer {probe.answer_id} ({probe.label})\n  {probe.question} -> {probe.answer}")


def _write(path: Path, html: str) -> None:
    """Write a report, or say why not and end the command."""
    from alas_assets.provenance.store import write_atomic

    try:
        write_atomic(path, html.encode())
    except OSError as error:
        fail(f"{path}: {error.strerror or error}; name another file with --out", 2)
    out.print(plain(f"wrote {path}"))


@app.command()
def sources(
    source: Annotated[str, typer.Argument(metavar="URL|HOST", help="A page's URL, or a host with its port.")],
    format: Annotated[ReportFormat, typer.Option("--format")] = ReportFormat.text,
    file: Annotated[Path | None, typer.Option("--out", help="With --format html: the file (default: among the store's reports).")] = None,
    home: Home = None,
) -> None:
    """Show everything that a page or a host taught: readings, facts, probes, adapters, and what was answered on it."""
    from alas_assets.audit.derived import derived_from
    from alas_assets.audit.render import derived_text
    from alas_assets.audit.report import derived_html
    from alas_assets.audit.trace import TraceError
    from alas_assets.provenance.ids import short_id
    from alas_assets.provenance.store import ArtifactStore, StoreError

    if file is not None and format is not ReportFormat.html:
        fail("--out goes with --format html", 2)
    settings = settings_at(home)
    try:
        found = derived_from(ArtifactStore(settings.home, settings.lance), source)
    except (TraceError, StoreError) as error:
        fail(str(error))
    if format is not ReportFormat.html:
        print(found.model_dump_json(indent=1) if format is ReportFormat.json else derived_text(found))
        return
    _write(file or settings.home / "reports" / f"source-{short_id(source)}.html", derived_html(found))


@app.command("report-wrong")
def report_wrong(
    answer_id: Annotated[str, typer.Argument(metavar="[ANSWER_ID]", help="The answer's id, or its beginning.")] = "",
    question: Annotated[str, typer.Option(help="Instead of an id: ask the current model this, and keep what it says with your word.")] = "",
    domain: Annotated[str, typer.Option(metavar="DOMAIN", help="With --question: whose model is asked.")] = "",
    should_be: Annotated[str | None, typer.Option(help="What is right: the answer itself, as short as it can be.")] = None,
    comment: Annotated[str, typer.Option(help="How you know.")] = "",
    by: Annotated[str, typer.Option("--by", help="Who says so (default: the name you are logged in with).")] = "",
    home: Home = None,
) -> None:
    """Keep your word that an answer is wrong, whatever its grade, and bring the iteration's `wrong_answers` up to date."""
    from alas_assets.audit.advice import what_now
    from alas_assets.audit.render import verdict_text
    from alas_assets.audit.trace import TraceError, find_answer, trace_row
    from alas_assets.audit.verdict import says, verdict_of
    from alas_assets.defs.running import open_instance, run_audit
    from alas_assets.defs.serving import newest_scored
    from alas_assets.evaluation.agreement import item_key
    from alas_assets.provenance.store import ArtifactStore, StoreError
    from alas_assets.records import ASKED
    from alas_assets.review import said
    from alas_assets.review.journal import ReviewError
    from alas_assets.review.wording import MAX_WORDS

    _id_or_question(answer_id, question, domain)
    if should_be is not None and not should_be.strip():
        fail("--should-be is empty; give what is right, or leave it out", 2)
    should_be = (should_be or "").strip()
    if len(should_be) > MAX_WORDS or len(comment) > MAX_WORDS:
        fail(f"--should-be and --comment take {MAX_WORDS} characters at most; give the answer itself", 2)
    settings = settings_at(home)
    store = ArtifactStore(settings.home, settings.lance)
    try:
        cell, answer = _asked_to_report(settings, domain, question, should_be) if question else find_answer(store, answer_id)
        if should_be and says(answer["question"], should_be, answer["answer"]):
            fail(f"the model said {answer['answer'][:200]!r}, which is what --should-be says is right; nothing is kept", 2)
        earlier = said.people_said(store.root, cell.domain).get(item_key(answer["question"], answer["gold"], answer["answer"]))
        at = datetime.now(UTC).isoformat(timespec="seconds")
        new = said.report_wrong(store.root, cell.domain, answer, should_be=should_be, comment=comment, by=by or user_name(), at=at)
        found = trace_row(store, cell, answer)
        verdict = verdict_of(store, found)
        now = what_now(store, found, verdict, at_home(home))
    except (TraceError, StoreError, ReviewError) as error:
        fail(str(error))
    out.print(f"{'kept' if new else 'was kept before'}: answer {answer['answer_id']} of {plain(str(cell))} is wrong")
    if new and earlier:
        right = f", right is {earlier.should_be!r}" if earlier.should_be else ""
        out.print(plain(f"it takes the place of what {earlier.by} said at {earlier.at}: {earlier.label}{right}"))
    print(verdict_text(verdict, now))
    if answer["split"] == ASKED:
        cell = newest_scored(alas_of(settings), cell.domain)
    if not answer["adapter_hash"]:
        out.print(f"{plain(answer['system'])} was taught nothing, so wrong_answers does not list it; its trace keeps your word")
        return
    if store.pointer(cell, "exam_scores") is None:
        out.print(f"wrong_answers of {plain(str(cell))} will hold it once that iteration is judged to its end")
        return
    outcome = run_audit(
        open_instance(settings), settings, cell, cause=f"answer {answer['answer_id']} was reported", on_event=lambda *_: None
    )
    if not outcome.success:
        fail("\n".join(outcome.failures))
    out.print(f"wrong_answers of {plain(str(cell))} is up to date")


def _asked_to_report(settings: Settings, domain: str, question: str, should_be: str) -> "tuple[Cell, dict[str, Any]]":
    """Ask the current model, and return what is to be kept of it; what a takedown removed is not learned again by way of a report."""
    from alas_assets.defs.serving import asked_answer, forgotten

    alas = alas_of(settings, domain)
    with err.status("asking the current model"):
        cell, answer = asked_answer(alas, domain, question.strip(), should_be)
    out.print(plain(f"said     {answer['answer'] or '(nothing)'}"))
    if any(map(forgotten(alas).touches, (answer["question"], answer["answer"], answer["gold"]))):
        fail("question or answer hold words that a takedown removed, so they are not kept; `alas takedown` with that source searches again")
    return cell, answer


@app.command("wrong")
def wrong(
    domain: DomainKey,
    every: Annotated[
        bool, typer.Option("--all", help="Also of other models, and to questions that no taught fact covers (guards, parts of an exam).")
    ] = False,
    system: Annotated[
        WrongSystem | None,
        typer.Option(
            help="Instead of the current model: the base student, it with passages, the adapter that was current before, or a candidate."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="How many to show; by default 20 as text, and all of them as json.")] = None,
    format: Annotated[ListFormat, typer.Option("--format")] = ListFormat.text,
    home: Home = None,
) -> None:
    """List what the current model, or --system, says wrong about taught facts in the newest judged iteration, with ids and verdicts."""
    from alas_assets.audit.trace import TraceError, model_in_place
    from alas_assets.provenance.store import StoreError
    from alas_assets.review.journal import ReviewError

    alas = alas_of(settings_at(home), domain)
    try:
        in_place = model_in_place(alas.store, domain)
        found, taught, in_words = _wrong_of_system(alas, domain, system) if system else _wrong_of_current(alas, domain, in_place)
    except (StoreError, TraceError, ReviewError) as error:
        fail(str(error))
    mine = found if every else taught
    if format is ListFormat.json:
        print(mine.head(limit or mine.height).write_json())
        return
    limit = limit or TEXT_LIMIT
    for row in mine.head(limit).iter_rows(named=True):
        print(f"{row['answer_id']}  {row['verdict']}: {row['because']}\n  {row['question']}")
        source = f", from {row['url']}" if row["url"] else ""
        print(f"  said {row['answer'] or '(nothing)'!r}, right is {row['truth']!r}{source}")
    print(in_place.in_words)
    if not (system or in_place.adapter_hash):
        print(f"it was taught nothing, so nothing of it is listed here: `alas wrong {domain} --system base{at_home(home)}` does")
    if not (system or in_place.as_judged):
        print(_whose_list(alas, domain, in_place, home))
    left = f", {mine.height - limit} more with --limit" if mine.height > limit else ""
    print(f"{min(limit, mine.height)} shown{left}; `alas trace ID` walks each back to its source")
    print(f"{in_words}{'; --all lists them all' if mine.height < found.height else ''}")


def _whose_list(alas: "Alas", domain: str, in_place: "InPlace", home: Path | None) -> str:
    """Say that the list is not of the model that answers now, and how to list that one's, if the iteration asked it."""
    from alas_assets.audit.wrong import systems_of
    from alas_assets.defs.serving import newest_scored

    asked = systems_of(alas.store, newest_scored(alas, domain)).items()
    system = next((name for name, adapter in asked if adapter == in_place.adapter_hash), "")
    own = (
        f"`alas wrong {domain} --system {system}{at_home(home)}` lists what answers now"
        if system
        else "no probe was put to what answers now"
    )
    return f"the list is of what the newest gate left in place; {own}"


def _wrong_of_current(alas: "Alas", domain: str, in_place: "InPlace") -> "tuple[pl.DataFrame, pl.DataFrame, str]":
    """Return all wrong answers of the newest list, those of the current model about taught facts, and how many there are in words."""
    from alas_assets.audit.render import wrong_text
    from alas_assets.audit.wrong import about_taught_facts
    from alas_assets.defs.revision import newest_wrong_answers

    found = newest_wrong_answers(alas, domain)
    if found is None:
        fail(f"no iteration of {domain} has a list of wrong answers yet; run `alas run {domain}`")
    whose = "the current model" if in_place.as_judged else "the model that the newest gate left in place"
    return found, about_taught_facts(found), wrong_text(found, whose)


def _wrong_of_system(alas: "Alas", domain: str, system: WrongSystem) -> "tuple[pl.DataFrame, pl.DataFrame, str]":
    """Return the same of one system of the newest judged iteration, which no asset lists, so that it is judged here."""
    from alas_assets.audit.render import system_wrong_text
    from alas_assets.audit.wrong import with_a_source, wrong_of
    from alas_assets.defs.serving import newest_scored

    cell = newest_scored(alas, domain)
    with err.status(f"judging what {system.value} says wrong"):
        found = wrong_of(alas.store, cell, system.value)
    return found, with_a_source(found), system_wrong_text(found, str(cell), system.value)


@app.command("ask-again")
def ask_again(
    answer_id: Annotated[str, typer.Argument(metavar="ANSWER_ID", help="The answer's id, or its beginning.")],
    home: Home = None,
) -> None:
    """Ask a past question again, with the exact student, adapter, settings and passages of its time."""
    from alas_assets.audit.trace import TraceError
    from alas_assets.defs import serving
    from alas_assets.defs.steps import TOLD

    alas = alas_of(settings_at(home))
    try:
        with err.status("loading the student"):
            again = serving.ask_again(alas, answer_id)
    except (TraceError, *TOLD) as error:
        fail(str(error))
    out.print(f"{again.system} of {again.cell}, {'adapter ' + again.adapter_hash[:16] if again.adapter_hash else 'no adapter'}")
    out.print(f"question {plain(again.question)}")
    out.print(f"said     {plain(again.said or '(nothing)')}")
    out.print(f"says     {plain(again.says or '(nothing)')}{'' if again.same else '  [bold red](not the same)[/]'}")
    if again.context:
        out.print(f"shown    {plain(again.context)}")
    if not again.same:
        fail("the answer is not the same; other versions of the libraries or another processor may round otherwise")


@app.command("verify-sources")
def verify_sources(
    domain: DomainKey,
    format: Annotated[ListFormat, typer.Option("--format")] = ListFormat.text,
    home: Home = None,
) -> None:
    """Read the cited pages again and list the quotes that no longer stand there; exit code 1 if any does not stand for certain."""
    from alas_assets.audit.render import drift_text
    from alas_assets.defs.serving import taught_tables
    from alas_assets.provenance.store import StoreError
    from alas_assets.retrieval import drift

    settings = settings_at(home)
    alas = alas_of(settings, domain)
    try:
        with site_served(settings, live=alas.domain(domain).sources.live), err.status("reading the cited pages again"):
            found = drift.verify_sources(alas.domain(domain), alas.store, taught_tables(alas, domain))
    except StoreError as error:
        fail(str(error))
    print(found.model_dump_json(indent=1) if format is ListFormat.json else drift_text(found))
    if found.drifted:
        raise typer.Exit(1)
