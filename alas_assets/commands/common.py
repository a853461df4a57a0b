"""What every command group shares: consoles, options, and how errors end a command (0 done, 1 the work failed, 2 wrong usage).

Nothing heavy is imported here; Dagster and the model only by the commands that need them.
"""

import contextlib
import getpass
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from alas_assets.settings import SettingError, Settings, load_settings

if TYPE_CHECKING:
    from alas_assets.defs.resources import Alas

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)

Home = Annotated[Path | None, typer.Option("--home", help="The store; outranks ALAS_HOME (default: data/store in the clone).")]
DomainKey = Annotated[str, typer.Argument(metavar="DOMAIN", help="A domain's key: the name of its file without .toml.")]


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command with one message and an exit code."""
    err.print(f"[bold red]error[/] {plain(message)}")
    raise typer.Exit(code)


def plain(text: str) -> str:
    """Return a text that prints as it is, whatever brackets are in it."""
    from rich.markup import escape

    return escape(text)


def user_name() -> str:
    """Return the name somebody is logged in with; "" where there is none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return ""


def settings_at(home: Path | None) -> Settings:
    """Read the environment; a wrong value is wrong usage."""
    try:
        return load_settings(home)
    except SettingError as error:
        fail(str(error), 2)


def alas_of(settings: Settings, domain: str | None = None) -> "Alas":
    """Return the resource, after checking the domain so that a wrong key is wrong usage."""
    from alas_assets.domains.catalog import load_domain
    from alas_assets.domains.config import DomainError

    if domain is not None:
        try:
            load_domain(settings, domain)
        except DomainError as error:
            fail(str(error), 2)
    from alas_assets.defs.resources import Alas

    return Alas(home=str(settings.home))


def check_ready(alas: "Alas", domain: str) -> None:
    """End a command that is about to work on a domain's next iteration where it lacks what that needs, and say what is doubtful."""
    from alas_assets.teachers.readiness import doubtful, lacking

    known = alas.domain(domain)
    if problem := lacking(alas.settings, known):
        fail(problem, 2)
    for line in doubtful(alas.settings, known):
        err.print(f"[yellow]note[/] {plain(line)}")


def at_home(home: Path | None) -> str:
    """Return the option that a further command needs to find the same store, with a space before it; "" where none was given."""
    return f" --home {shlex.quote(str(home))}" if home else ""


def how_to_report(domain: str, question: str, home: Path | None) -> str:
    """Return the command that reports what the current model of this store says to a question, for whoever sees that it is wrong."""
    return f'is it wrong? alas report-wrong{at_home(home)} --domain {domain} --question {shlex.quote(question)} --should-be "what is right"'


@contextlib.contextmanager
def site_served(settings: Settings, live: bool) -> Iterator[None]:
    """Serve the sample site while a domain that studies it is at work."""
    from alas_assets.viewer.serve import ServeError, running

    if live:
        yield
        return
    try:
        with running(settings):
            yield
    except ServeError as error:
        fail(str(error))
