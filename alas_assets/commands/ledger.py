"""`alas ledger`: what teacher calls cost, and the paid answers out to a file and back (O4, O5, O7). The work is in `teachers.endpoint`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from alas_assets.commands.common import DomainKey, Home, alas_of, fail, out, plain, settings_at
from alas_assets.wording import counted

app = typer.Typer(no_args_is_help=True, help="See what a model teacher's calls cost, and record or replay them.")


_SHOWN = ("iteration", "purpose", "calls", "replayed", "sent", "received", "money", "failed")
"""What fits a terminal; the UI and the JSON have more."""


class Format(StrEnum):
    """How the costs are printed."""

    table = "table"
    json = "json"


def _lines(home: Path | None, domain: str) -> list[dict[str, Any]]:
    from alas_assets.defs.costs import cost_line
    from alas_assets.defs.lineage import last_opened
    from alas_assets.teachers.endpoint.ledger import open_ledger

    alas = alas_of(settings_at(home), domain)
    newest = last_opened(alas, domain)
    if newest is None or not alas.ledger.exists():
        return []
    currency = alas.domain(domain).budget.currency
    with open_ledger(alas.ledger) as ledger:
        return [
            {"iteration": number, **cost_line(one, currency)}
            for number in range(newest.number + 1)
            for one in ledger.totals((domain, number))
        ]


@app.command("show")
def show(domain: DomainKey, format: Annotated[Format, typer.Option("--format")] = Format.table, home: Home = None) -> None:
    """Show what each iteration's calls came to, by purpose: calls, tokens, money, what failed."""
    import json

    from rich.table import Table

    lines = _lines(home, domain)
    if format is Format.json:
        print(json.dumps(lines, indent=1))
        return
    if not lines:
        out.print(f"no teacher call of {plain(domain)} is in the ledger")
        return
    table = Table("it", "purpose", "calls", "again", "sent", "received", "money", "failed", box=None)
    for column in table.columns[:6]:
        column.no_wrap = True
    for line in lines:
        table.add_row(*(plain(str(line[name])) for name in _SHOWN))
    out.print(table)
    for line in lines:
        if line["faults"] or line["cut_off"]:
            what = f"{line['cut_off']} answers cut off; attempts without an answer: {line['faults'] or 'none'}"
            out.print(plain(f"{line['iteration']} {line['purpose']}: {what}"))
    out.print("probe: what the endpoint can do. again: answers that were here already, so nothing was sent or paid")


@app.command("export")
def export(
    domain: DomainKey,
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="Where to; what is there is replaced.")],
    iteration: Annotated[int | None, typer.Option("--iteration", min=0, help="Of this iteration only (default: the newest).")] = None,
    home: Home = None,
) -> None:
    """Write the paid answers that an iteration used, so that it can be made again anywhere, without the endpoint."""
    from alas_assets.defs.lineage import last_opened
    from alas_assets.teachers.endpoint.ledger import LedgerError, open_ledger

    alas = alas_of(settings_at(home), domain)
    newest = last_opened(alas, domain)
    if newest is None or not alas.ledger.exists():
        fail(f"no teacher call of {domain} is in the ledger {alas.ledger}")
    try:
        with open_ledger(alas.ledger) as ledger:
            count = ledger.export(file, (domain, newest.number if iteration is None else iteration))
    except LedgerError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{file}: {error.strerror}", 2)
    out.print(
        plain(f"wrote {counted(count, 'call')} to {file}; elsewhere: alas ledger import {file.name}, and replay = true under [teacher]")
    )


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="What `alas ledger export` wrote.")], home: Home = None
) -> None:
    """Take over paid answers; a call that is here already stays as it is."""
    from alas_assets.teachers.endpoint.ledger import LedgerError, open_ledger

    alas = alas_of(settings_at(home))
    try:
        with open_ledger(alas.ledger) as ledger:
            count = ledger.load(file)
    except LedgerError as error:
        fail(str(error), 2)
    out.print(plain(f"{counted(count, 'new call')} in {alas.ledger}; set replay = true under [teacher] to send none"))
