"""`alas demo`, `run`, `open`, `retry`, `abandon` and `watch`: what makes a domain go round (O1, U2).

Runs and cells are `defs.running`'s, `births`' and `switching`'s.
"""

import time
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alas_assets.commands.common import DomainKey, Home, alas_of, at_home, check_ready, err, fail, out, plain, settings_at, site_served
from alas_assets.commands.printing import Progress, print_example, print_pairs, print_scoreboard
from alas_assets.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

    from alas_assets.defs.resources import Alas
    from alas_assets.provenance.store import Cell


app = typer.Typer()

DEMO_DOMAIN = "python-releases"
DEMO_ITERATIONS = 2


class Switch(StrEnum):
    """On or off."""

    on = "on"
    off = "off"


@app.command()
def demo(home: Home = None) -> None:
    """Teach the embedded student what is new in Python 3.15, twice round the loop, and show what it learned."""
    from alas_assets.defs.lineage import finished
    from alas_assets.defs.running import open_instance
    from alas_assets.provenance.store import Cell

    settings = settings_at(home)
    alas = alas_of(settings, DEMO_DOMAIN)
    check_ready(alas, DEMO_DOMAIN)
    instance = open_instance(settings)
    started = time.monotonic()
    if not finished(alas, Cell.of(DEMO_DOMAIN, DEMO_ITERATIONS - 1)):
        out.print("About 20 minutes on two cores that compute in bf16, 45 on two that do not. If stopped, the same command goes on.")
    with site_served(settings, live=False):
        for number in range(DEMO_ITERATIONS):
            _run_one(instance, settings, Cell.of(DEMO_DOMAIN, number), "alas demo", home)
        _score(instance, settings, DEMO_DOMAIN)
    print_scoreboard(alas, DEMO_DOMAIN)
    print_example(alas, DEMO_DOMAIN)
    minutes, seconds = divmod(int(time.monotonic() - started), 60)
    trace = plain(f"alas trace ANSWER_ID{at_home(home)}")
    out.print(f"\n{minutes} min {seconds:02d} s. Look at it in Dagster: [bold]{plain(_ui(home))}[/]; trace any answer: [bold]{trace}[/]")


@app.command()
def run(
    domain: DomainKey,
    iterations: Annotated[int, typer.Option(min=1, help="How many iterations at most, the newest one included.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan and write pairs only; nothing is trained.")] = False,
    home: Home = None,
) -> None:
    """Finish or re-check the newest iteration; with --iterations 2 or more, also run the next ones while the revision says continue."""
    from alas_assets.defs.births import next_opening
    from alas_assets.defs.lineage import being_made_again, closed_because, last_opened, revised
    from alas_assets.defs.retraining import waiting
    from alas_assets.defs.running import open_instance
    from alas_assets.provenance.store import Cell

    settings = settings_at(home)
    alas = alas_of(settings, domain)
    check_ready(alas, domain)
    instance = open_instance(settings)
    with site_served(settings, live=alas.domain(domain).sources.live):
        cell, cause = last_opened(alas, domain) or Cell.of(domain, 0), "alas run"
        after_takedown = waiting(alas, domain) and revised(alas, cell)
        if after_takedown or closed_because(alas, cell):
            closed = None if after_takedown else f"alas run, after {cell.iteration} was closed"
            opening = next_opening(alas, instance, domain, outside_cause=closed)
            if opening.cell is None:
                fail(opening.reason)
            cell, cause = opening.cell, opening.reason
        for turn in range(iterations):
            _run_one(instance, settings, cell, cause, home, dry_run)
            if dry_run:
                print_pairs(alas, cell)
                if again := being_made_again(alas, cell):
                    out.print(plain(f"{again}, and no other is opened before"))
                return
            opening = next_opening(alas, instance, domain)
            if opening.cell is None:
                out.print(plain(opening.reason))
                break
            if turn + 1 == iterations:
                again = f"alas run {domain} --iterations 2{at_home(home)}"
                out.print(plain(f"iteration {opening.cell.iteration} is next: {opening.reason}; {again} goes on with it"))
                break
            cell, cause = opening.cell, opening.reason
        _score(instance, settings, domain)
    print_scoreboard(alas, domain)


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
    err.print(plain(f"materialise the rest in the UI (job `iteration`), or with: alas run {domain}{at_home(home)}"))


@app.command()
def retry(domain: DomainKey, home: Home = None) -> None:
    """Go on with the newest iteration though it failed or was closed (not by a takedown); what is done is kept, failures count anew."""
    from alas_assets.defs.lineage import cannot_go_on, closed_because, closed_words, finished, last_opened
    from alas_assets.defs.running import open_instance
    from alas_assets.provenance.changes import retry_iteration

    settings = settings_at(home)
    alas = alas_of(settings, domain)
    cell = last_opened(alas, domain)
    if cell is None or finished(alas, cell):
        fail(f"{domain} has no unfinished iteration; `alas run {domain}{at_home(home)}` starts or checks one")
    closed = closed_because(alas, cell)
    if closed and cannot_go_on(closed):
        fail(f"{domain}: {closed_words(cell, closed)}")
    check_ready(alas, domain)
    instance = open_instance(settings)
    retry_iteration(settings.home, cell)
    with site_served(settings, live=alas.domain(domain).sources.live):
        _run_one(instance, settings, cell, "alas retry", home)
        _score(instance, settings, domain)
    print_scoreboard(alas, domain)


@app.command()
def abandon(
    domain: DomainKey,
    because: Annotated[str, typer.Option("--because", help="Why, for whoever reads it later.")] = "abandoned by hand",
    home: Home = None,
) -> None:
    """Close the newest unfinished iteration as failed, so that the next cause can open another; what it made is kept."""
    from alas_assets.defs.births import under_way
    from alas_assets.defs.lineage import being_made_again, closed_because, last_opened, revised
    from alas_assets.defs.running import open_instance
    from alas_assets.release.closing import close_iteration

    settings = settings_at(home)
    alas = alas_of(settings, domain)
    cell = last_opened(alas, domain)
    if cell and (again := being_made_again(alas, cell)):
        fail(f"{domain}: {again}. It came to its revision before, which stands, so it cannot be closed")
    if cell is None or revised(alas, cell) or closed_because(alas, cell):
        fail(f"{domain} has no unfinished iteration that could be closed")
    if runs := under_way(open_instance(settings), cell):
        fail(f"iteration {cell.iteration} of {domain} is under way in run {runs[0][:8]}; end that run first")
    close_iteration(settings.home, cell, because)
    again = plain(f"alas retry {domain}{at_home(home)}")
    out.print(f"iteration {cell.iteration} of {domain} is closed: {plain(because)}. To go on with it all the same: {again}")


@app.command()
def watch(switch: Switch, domain: DomainKey, home: Home = None) -> None:
    """Let the sensors open this domain's iterations by themselves, or stop them."""
    from alas_assets.defs.running import open_instance
    from alas_assets.defs.switching import SwitchError, switch_sensors
    from alas_assets.provenance.watching import set_watched, watched_domains

    settings = settings_at(home)
    if switch is Switch.on or domain not in watched_domains(settings.home):  # a domain whose file is gone can still be left alone
        alas = alas_of(settings, domain)
        if switch is Switch.on:
            for note in _before_watching(alas, domain):
                out.print(plain(note))
    watched = set_watched(settings.home, domain, switch is Switch.on)
    try:
        with err.status("turning the sensors " + ("on" if watched else "off")):
            switch_sensors(open_instance(settings), on=bool(watched))
    except SwitchError as error:
        fail(f"{error}. `alas watch {switch.value} {domain}{at_home(home)}` can be given again")
    does = f"The daemon of `{_ui(home)}` does the work."
    out.print(plain(f"watched: {', '.join(watched)}. {does}" if watched else "no domain is watched, the sensors are off"))


def _ui(home: Path | None) -> str:
    """Return the command that shows this store in Dagster and runs the daemon on it."""
    return f"alas ui{at_home(home)}" if home else "make ui"


def _before_watching(alas: "Alas", domain: str) -> list[str]:
    """Say that a domain has no iteration yet, so that one is opened at once, and that none of its pages can be looked at for changes."""
    from alas_assets.defs.freshness import in_words
    from alas_assets.defs.lineage import last_opened
    from alas_assets.retrieval.watch import watched_pages

    notes = []
    if last_opened(alas, domain) is None:
        notes.append(f"{domain} was never run in {alas.home}: the daemon opens its first iteration there, as `alas run {domain}` would")
    known = alas.domain(domain)
    if not watched_pages(known) and not known.sources.feed_urls:
        window = in_words(timedelta(hours=known.freshness_hours))
        notes.append(
            f"no page or feed of {domain} is watched: sources.watch_urls, seed_urls, feeds and github name none. "
            f"Its other sources are read again once its knowledge is older than {window} (freshness_hours)"
        )
    return notes


def _run_one(
    instance: "dg.DagsterInstance", settings: Settings, cell: "Cell", cause: str, home: Path | None, dry_run: bool = False
) -> None:
    from alas_assets.defs.running import run_cell

    out.print(f"[bold]iteration {cell.iteration}[/] of {cell.domain}: {plain(cause)}")
    with Progress() as progress:
        outcome = run_cell(instance, settings, cell, cause=cause, on_event=progress, dry_run=dry_run)
    if not outcome.success:
        fail("\n".join(outcome.failures) or f"run {outcome.run_id} did not finish; see it in the UI (`{_ui(home)}`)")


def _score(instance: "dg.DagsterInstance", settings: Settings, domain: str) -> None:
    from alas_assets.defs.running import run_scoreboard

    with Progress() as progress:
        outcome = run_scoreboard(instance, settings, domain, on_event=progress)
    if not outcome.success:
        fail("\n".join(outcome.failures))
