"""`alas new`, `keys`, `guards`, `gc` and `ui`: a domain's files, the store's space, Dagster's UI (U1, U2).

Nothing here runs a cell; that is `loop`.
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from alas_assets.commands.common import DomainKey, Home, alas_of, at_home, err, fail, out, plain, settings_at, site_served
from alas_assets.settings import PROJECT_ROOT
from alas_assets.wording import counted

app = typer.Typer()

FEW_GUARDS = 150
"""Guard questions below which their interval is wider than what the gate lets them fall."""


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
    out.print(plain(f"next: alas estimate {domain}{at_home(home)}, then alas run {domain} --dry-run{at_home(home)}"))


@app.command()
def keys() -> None:
    """Print every key of a domain file and of a training recipe with its meaning, as Markdown."""
    from alas_assets.domains.reference import reference

    sys.stdout.write(reference())


@app.command()
def guards(
    domain: DomainKey,
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="Written anew; the domain file then names it as `guard_file`.")],
    candidates: Annotated[
        Path | None,
        typer.Option("--from", metavar="QUESTIONS.jsonl", help="Lines of id, question, answer, aliases (default: what ships)."),
    ] = None,
    home: Home = None,
) -> None:
    """Write the guard questions that this domain's own student answers before any training, for a student of your own."""
    from alas_assets.defs.guarding import answered_guards
    from alas_assets.provenance.store import write_atomic
    from alas_assets.students.catalog import StudentError
    from alas_assets.students.client import WorkerError
    from alas_assets.synthesis.questions import QuestionFileError, read_guards

    settings = settings_at(home)
    alas = alas_of(settings, domain)
    if file.exists():
        fail(f"{file} is there already; name another", code=2)
    try:
        asked = read_guards(candidates or settings.data / "guards" / "general.jsonl")
        with err.status(f"{alas.domain(domain).student.model} answers {counted(len(asked), 'question')}") as status:
            kept = answered_guards(alas, domain, asked, lambda done, all_: status.update(f"{done} of {all_} questions answered"))
        if not kept:
            fail(f"it answers none of {len(asked)} right, so nothing would show what training damages; ask easier ones (--from)")
        write_atomic(file, "".join(f"{question.model_dump_json()}\n" for question in kept).encode())
    except (QuestionFileError, StudentError, WorkerError, OSError) as error:
        fail(str(error))
    out.print(f"{len(kept)} of {len(asked)} are answered right and kept in {plain(str(file))}")
    folders = [(place / "guards").resolve() for place in (settings.home, settings.data)]
    if file.resolve().parent not in folders:
        out.print(plain(f"guard_file names files of {folders[0]}: move it there"))
    if len(kept) < FEW_GUARDS:
        out.print(f"fewer than {FEW_GUARDS}: a fall of some points would look like chance, so add questions (--from)")


@app.command()
def gc(
    domain: DomainKey,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be freed.")] = False,
    home: Home = None,
) -> None:
    """Free working folders and artifacts that no cell and no registry entry names, and say how much of what."""
    from alas_assets.defs.births import run_of
    from alas_assets.defs.running import open_instance
    from alas_assets.removal.collect import find_garbage, free

    settings = settings_at(home)
    alas_of(settings, domain)
    if run_id := run_of(open_instance(settings), domain):
        fail(f"run {run_id[:8]} of {domain} is under way, and what it has just made is named by nothing yet; wait for it, or end it")
    garbage = find_garbage(settings.home, domain)
    kinds = garbage.by_kind()
    for kind, (files, size) in kinds.items():
        out.print(f"  {kind}: {files} files, {size / 1e6:.1f} MB")
    if not dry_run:
        free(garbage)
    files, size = (sum(column) for column in zip(*kinds.values(), strict=True)) if kinds else (0, 0)
    out.print(f"{'would free' if dry_run else 'freed'} {files} files, {size / 1e6:.1f} MB")


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
