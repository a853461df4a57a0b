"""`alas new`, `rollback`, `gc` and `ui`: a domain's file, its current adapter, the store's space, and Dagster's UI (G4, U1, U2).

Nothing here runs a cell; that is `loop`.
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alas_assets.commands.common import DomainKey, Home, alas_of, fail, out, settings_at, site_served
from alas_assets.settings import PROJECT_ROOT

if TYPE_CHECKING:
    pass


app = typer.Typer()


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
