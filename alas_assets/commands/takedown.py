"""`alas takedown`: shows what a source taught, asks, removes it everywhere, searches for what is left, and writes the report (A3).

The work is `defs.takedown`'s and `removal`'s.
"""

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alas_assets.commands.common import Home, alas_of, err, fail, out, plain, settings_at, user_name
from alas_assets.settings import Settings

if TYPE_CHECKING:
    from alas_assets.defs.resources import Alas
    from alas_assets.provenance.blocked.order import Order
    from alas_assets.removal.plan import Plan
    from alas_assets.removal.scan import Scan

app = typer.Typer()

_SHOWN_FINDINGS = 20


@app.command("takedown")
def takedown(
    source: Annotated[str, typer.Argument(metavar="URL|HOST", help="A page's URL, or a host with its port.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the report.")] = "",
    by: Annotated[str, typer.Option("--by", help="Who orders it (default: the name you are logged in with).")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and stop.")] = False,
    questions: Annotated[
        Path | None,
        typer.Option(
            "--questions", metavar="FILE.jsonl", help="Write the retired facts' questions there, outside the store, for `alas exam`."
        ),
    ] = None,
    home: Home = None,
) -> None:
    """Remove a source and all that came from it, block it, and have the models that learned from it trained again without it."""
    from alas_assets.audit.trace import TraceError
    from alas_assets.provenance.blocked.order import MAX_WORDS, AddressError, TakedownError, read_order, takedown_id
    from alas_assets.provenance.store import StoreError
    from alas_assets.release.registry import RegistryError
    from alas_assets.removal.plan import checked_source

    settings = settings_at(home)
    alas = alas_of(settings)
    if len(reason) > MAX_WORDS or len(by) > 200:
        fail(f"--reason takes {MAX_WORDS} characters at most, --by 200", 2)
    try:
        source = checked_source(source)
        order = read_order(settings.home, takedown_id(source))
        if order is None:
            order = _ordered(settings, alas, source, reason.strip(), by.strip(), yes=yes, dry_run=dry_run, questions=questions)
        elif dry_run:
            out.print(plain(_state(order)))
            return
        elif questions is not None:
            fail(
                f"takedown {order.id} is on record: its questions were removed, or are about to be; --questions goes with the first call", 2
            )
        if order is not None:
            _finish(settings, alas, order)
    except (TraceError, AddressError) as error:
        fail(str(error), 2)
    except (TakedownError, StoreError, RegistryError) as error:
        fail(str(error))


def _state(order: "Order") -> str:
    if order.carried_out:
        return f"{order.source} was taken down on {order.at[:10]} by {order.ordered_by} (takedown {order.id}): nothing more would go"
    return f"takedown {order.id} of {order.source} is under way: done is {', '.join(sorted(order.done)) or 'nothing yet'}"


def _ordered(
    settings: Settings, alas: "Alas", source: str, reason: str, by: str, *, yes: bool, dry_run: bool, questions: Path | None
) -> "Order | None":
    """Show what would go, ask, and put the takedown on record; None where nothing is to be done."""
    from alas_assets.defs import takedown as work
    from alas_assets.defs.running import open_instance

    if not reason and not dry_run:
        fail('say why, with --reason "..."; it stands in the report', 2)
    with err.status("looking for what came from it"):
        planned = work.plan(alas, source, reason=reason, by=by or user_name() or "somebody")
    _print_plan(planned)
    if questions is not None:
        _write_questions(settings, alas, planned, questions)
    if dry_run:
        out.print("nothing was changed in the store (--dry-run)")
        return None
    if not yes:
        if not sys.stdin.isatty():
            fail("this asks before it removes anything, and nobody is there to answer: give --yes", 2)
        if not typer.confirm("Remove all of this? It cannot be undone"):
            out.print("nothing was changed")
            raise typer.Exit(1)
    return work.begin(alas, open_instance(settings), planned)


def _write_questions(settings: Settings, alas: "Alas", planned: "Plan", file: Path) -> None:
    from alas_assets.removal.plan import question_lines
    from alas_assets.wording import counted

    for root in (settings.home, settings.dagster_home):
        if file.resolve().is_relative_to(root):
            fail(f"{file} lies in {root}, which is about to forget these questions; name a file outside", 2)
    lines = question_lines(planned.derived, alas.store)
    try:
        file.write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        fail(f"{file}: {error.strerror or error}; name another file with --questions", 2)
    out.print(
        plain(f"wrote {counted(len(lines), 'question')} to {file}; now and after the retraining: alas exam DOMAIN {shlex.quote(str(file))}")
    )


def _print_plan(planned: "Plan") -> None:
    from rich.table import Table

    from alas_assets.wording import counted

    order = planned.order
    out.print(f"[bold]{plain(order.source)}[/], takedown {order.id}: what would go")
    table = Table("", *(plain(share.domain) for share in order.shares), box=None)
    for name, field in _LINES:
        table.add_row(name, *(str(getattr(share, field)) for share in order.shares))
    table.add_row("current now", *((share.current_before or "the base student")[:16] for share in order.shares))
    table.add_row("current then", *((share.current_after or "the base student")[:16] for share in order.shares))
    out.print(table)
    for one in order.retired:
        rows = f"{counted(one.rows, 'row')} on {counted(one.facts, 'fact')} of it"
        why = one.because or (f"trained from {one.trained_from[:16]}" if one.trained_from else rows)
        out.print(plain(f"adapter {one.adapter_hash[:16]} ({one.kind} of {one.cell}): {why}"))
    for fact in planned.derived.facts:
        if fact.also_stated_by:
            out.print(plain(f"stays     {fact.answer!r} is stated by {', '.join(fact.also_stated_by)} too: the pairs from there stay"))
    if order.kept_facts:
        out.print(f"{order.kept_facts} of its facts are stated elsewhere too and go on being taught from there")


_LINES = (
    ("readings", "readings"),
    ("surveyed only", "surveyed"),
    ("passages", "passages"),
    ("facts", "facts"),
    ("pairs", "pairs"),
    ("probes", "probes"),
    ("answers", "answers"),
    ("answers shown it", "shown"),
    ("training rows", "training_rows"),
    ("adapters", "adapters"),
)


def _finish(settings: Settings, alas: "Alas", order: "Order") -> None:
    """Carry out what is left, search, and write the report; a takedown that is done is only searched for."""
    from alas_assets.defs import takedown as work
    from alas_assets.defs.running import open_instance

    instance = open_instance(settings)
    was_done = bool(order.carried_out)
    if was_done:
        out.print(plain(_state(order)))
    else:
        order = work.carry_out(alas, instance, order.id, lambda name, did: out.print(f"  [green]done[/]    {plain(_did(name, did))}"))
    with err.status("searching the store"):
        found = work.scan(alas, instance, order)
    _report(settings, alas, order, found, was_done=was_done)
    _print_scan(order, found)
    if not was_done:
        _print_next(alas, order)
    if not found.clean:
        raise typer.Exit(1)


def _did(name: str, did: dict[str, int]) -> str:
    told = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in did.items() if count)
    return f"{name}{f': {told}' if told else ''}"


def _report(settings: Settings, alas: "Alas", order: "Order", found: "Scan", *, was_done: bool) -> None:
    """Write the report; one that is signed off as clean is left as it is."""
    from alas_assets.provenance.blocked.order import read_marks, report_files
    from alas_assets.removal.report import is_as_signed, write_report

    as_json, _ = report_files(settings.home, order.id)
    if was_done and as_json.is_file():
        try:
            report: dict[str, Any] = json.loads(as_json.read_text(encoding="utf-8"))
        except ValueError:
            report = {}
        if is_as_signed(report) and (report.get("clean") or not found.clean):
            out.print(plain(f"report    {as_json} (as signed off on {report['signed_off']['at']})"))
            return
    as_json, as_html = write_report(alas.store, order, read_marks(settings.home, order.id), found)
    out.print(plain(f"report    {as_json}\n          {as_html}"))


def _print_scan(order: "Order", found: "Scan") -> None:
    files, texts = sum(place.files for place in found.places), sum(place.texts for place in found.places)
    blind = sum(place.not_text for place in found.places)
    out.print(f"searched  {files} files, {texts} texts; {blind} files hold no text (weights, pictures)")
    if found.clean:
        out.print(f"found     nothing of {plain(order.source)}")
        return
    for one in found.findings[:_SHOWN_FINDINGS]:
        err.print(
            plain(f"found     {one.where}{f' ({one.within})' if one.within else ''}: {one.problem or f'{one.runs} runs of its words'}")
        )
    if len(found.findings) > _SHOWN_FINDINGS:
        err.print(f"found     and {len(found.findings) - _SHOWN_FINDINGS} more; the report names all")


def _print_next(alas: "Alas", order: "Order") -> None:
    """Say what answers now, and how the retraining comes about."""
    from alas_assets.provenance.watching import watched_domains

    watched = watched_domains(alas.settings.home)
    for share in order.shares:
        now = alas.registry.current(share.domain) or "the base student"
        how = "its sensors open the next iteration" if share.domain in watched else f"alas run {share.domain}"
        out.print(plain(f"{share.domain}: current is {now[:16]}{f'; to train without it: {how}' if share.to_retrain else ''}"))
