"""`alas review`: answers and pairs out to a spreadsheet for a person, and back, and what became of it (E6, S13).

The work is in `defs.reviewing`, and for the list in `review.overview`.
"""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alas_assets.commands.common import DomainKey, Home, alas_of, at_home, err, fail, out, plain, settings_at, user_name

if TYPE_CHECKING:
    from alas_assets.review.overview import OnRecord

ANSWERS_SHARE = 0.05
"""The share of graded answers that a person looks at, as the paper has it (E6)."""

app = typer.Typer(no_args_is_help=True, help="Let a person grade answers, or approve, edit and reject pairs, in a spreadsheet.")


class What(StrEnum):
    """What a person looks at."""

    answers = "answers"
    pairs = "pairs"


class ListFormat(StrEnum):
    """How the list is printed."""

    text = "text"
    json = "json"


@app.command("export")
def export(
    domain: DomainKey,
    what: Annotated[
        What, typer.Option("--what", help="answers: graded answers, to grade blind. pairs: training pairs, to decide on.")
    ] = What.answers,
    share: Annotated[
        float | None, typer.Option("--share", min=0.0001, max=1.0, help="How many, as a fraction (default: 0.05 of answers, all pairs).")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--out", help="A .csv or .jsonl file; default: named after domain and iteration, here.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Another seed draws another sample (default: the domain's).")] = None,
    show_judge: Annotated[
        bool, typer.Option("--show-judge", help="answers: show the system and the judges' grade too; not blind.")
    ] = False,
    rejected: Annotated[bool, typer.Option("--rejected", help="pairs of the newest iteration: rejected ones too.")] = False,
    iteration: Annotated[
        int | None,
        typer.Option("--iteration", min=0, help="pairs: those of an earlier iteration that are still taught (default: the newest)."),
    ] = None,
    home: Home = None,
) -> None:
    """Write a sheet for a person: a sample of graded answers, or an iteration's pairs."""
    from alas_assets.defs.reviewing import export_answers, export_pairs
    from alas_assets.provenance.store import StoreError
    from alas_assets.review.journal import ReviewError
    from alas_assets.review.sheet import SheetError

    if (show_judge and what is What.pairs) or (what is What.answers and (rejected or iteration is not None)):
        fail("--show-judge goes with --what answers, --rejected and --iteration with --what pairs", 2)
    alas = alas_of(settings_at(home), domain)
    try:
        if what is What.answers:
            made = export_answers(alas, domain, file, share=share or ANSWERS_SHARE, seed=seed, show_judge=show_judge)
        else:
            made = export_pairs(alas, domain, file, share=share or 1.0, seed=seed, rejected=rejected, iteration=iteration)
    except SheetError as error:
        fail(str(error), 2)
    except (ReviewError, StoreError) as error:
        fail(str(error))
    out.print(f"wrote {plain(str(made.file))}: {made.rows} of {made.of} {what.value} of {plain(str(made.cell))}")
    todo = (
        "write correct, partial or incorrect under label; error_type, should_be (the right answer) and comment may stay empty"
        if what is What.answers
        else "write approve, edit, reject or reject fact under decision; with edit change question, answer or aliases in place"
    )
    err.print(f"{todo}; leave the other columns. Then: alas review import {domain} {plain(str(made.file))}")


@app.command("import")
def import_(
    domain: DomainKey,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sheet of `alas review export`, filled in.")],
    by: Annotated[str, typer.Option("--by", help="Who decided (default: the name you are logged in with).")] = "",
    home: Home = None,
) -> None:
    """Read a sheet back: all of it, or nothing and every mistake with row and column."""
    from alas_assets.defs.reviewing import import_sheet
    from alas_assets.provenance.store import StoreError
    from alas_assets.review.journal import ReviewError
    from alas_assets.review.sheet import SheetError
    from alas_assets.review.wording import words_of

    alas = alas_of(settings_at(home), domain)
    try:
        read = import_sheet(alas, domain, file, words_of(by or user_name()) or "somebody")
    except SheetError as error:
        fail(str(error), 2)
    except (ReviewError, StoreError) as error:
        fail(str(error))
    again = "" if read.new else ", as they were imported before"
    left = f", {read.blank} rows left open" if read.blank else ""
    out.print(f"{read.decided} {read.what} decided{left}{again}; kept as {read.hash[:12]}")
    for line in read.lines:
        out.print(plain(line))
    err.print(plain(f"what becomes of it: alas review list {domain}{at_home(home)}"))


@app.command("list")
def list_(
    domain: Annotated[str, typer.Argument(metavar="[DOMAIN]", help="A domain's key; without it every domain of the store.")] = "",
    format: Annotated[ListFormat, typer.Option("--format")] = ListFormat.text,
    home: Home = None,
) -> None:
    """Show every decision of people: who decided what and when, which iteration took it up, and what takes up those that wait."""
    from alas_assets.defs.decisions import decisions_on_record
    from alas_assets.defs.steps import TOLD
    from alas_assets.review.overview import reviewed_domains

    settings = settings_at(home)
    alas = alas_of(settings, domain or None)
    found: list[OnRecord] = []
    broken: list[str] = []
    for key in [one for one in reviewed_domains(settings.home) if domain in ("", one)]:
        try:
            own = decisions_on_record(alas, key)
        except TOLD as error:  # the others are shown all the same
            broken.append(f"{key}: {error}")
            continue
        found += [one.model_copy(update={"command": f"{one.command}{at_home(home)}"}) if one.command else one for one in own]
    if format is ListFormat.json:
        print(json.dumps([one.model_dump() for one in found], indent=1))
    else:
        _print_decisions(found, domain or "any domain", at_home(home), complete=not broken)
    if broken:
        fail("\n".join(broken))


def _print_decisions(found: "list[OnRecord]", where: str, home: str, *, complete: bool) -> None:
    """Print decisions by domain and iteration, and at the end what takes up those that wait."""
    if complete and not found:
        out.print(plain(f"nobody has decided anything in {where} yet; `alas review export DOMAIN{home}` writes a sheet to decide in"))
    for domain, iteration in sorted({(one.domain, one.iteration) for one in found}):
        out.print(f"[bold]{plain(domain)}[/], {f'iteration {iteration}' if iteration else 'of no iteration that is there'}")
        for one in found:
            if (one.domain, one.iteration) == (domain, iteration):
                _print_decision(one)
    waits = [one for one in found if one.state == "waits"]
    for command in dict.fromkeys(one.command for one in waits):
        out.print(plain(f"{sum(one.command == command for one in waits)} waiting, taken up by: {command}"))
    if found and not waits:
        out.print("none waits")


def _print_decision(one: "OnRecord") -> None:
    state = f"taken up by iteration {one.taken_up_by}" if one.taken_up_by else one.state
    out.print(plain(f"  {one.what} {one.id}  {one.decision}, by {one.by} at {one.at}{f': {one.comment}' if one.comment else ''}"))
    out.print(plain(f"    {one.question or '(gone)'} -> {one.answer or '(nothing)'}{f'; {one.change}' if one.change else ''}"))
    out.print(plain(f"    {state}{f', {one.because}' if one.because else ''}"))
