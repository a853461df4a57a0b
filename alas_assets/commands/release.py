"""`alas export`, `alas serve` and `alas verify-served`: taking a domain's model out, offering it, and proving that it is the evaluated one (G5).

The work is `release`'s, `serving`'s and `defs.releasing`'s.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from alas_assets.commands.common import DomainKey, Home, alas_of, err, fail, out, plain, settings_at
from alas_assets.settings import DEFAULT_SERVE_PORT

app = typer.Typer()


class ExportFormat(StrEnum):
    """What an export is for."""

    merged = "merged"
    adapter = "adapter"
    gguf = "gguf"
    ollama = "ollama"
    vllm = "vllm"


class Engine(StrEnum):
    """Which server computes the answers."""

    transformers = "transformers"
    vllm = "vllm"


@app.command("export")
def export_(
    domain: DomainKey,
    format: Annotated[ExportFormat, typer.Option("--format", help="What it is for.")] = ExportFormat.merged,
    to: Annotated[Path | None, typer.Option("--to", help="The folder (default: DOMAIN-HASH-FORMAT here).")] = None,
    adapter: Annotated[str, typer.Option("--adapter", metavar="HASH", help="Another adapter than the current one, or its beginning.")] = "",
    push: Annotated[
        str, typer.Option("--push", metavar="OWNER/NAME", help="Also push it to a model hub (HF_ENDPOINT, HF_TOKEN); private.")
    ] = "",
    public: Annotated[bool, typer.Option("--public", help="With --push: let everybody read it.")] = False,
    home: Home = None,
) -> None:
    """Write the current model as a folder that other programs load, with its card and the hashes that prove it."""
    from alas_assets.defs.releasing import chosen_adapter, gather
    from alas_assets.defs.steps import TOLD
    from alas_assets.release.export import export
    from alas_assets.release.push import checked_repo, push_folder

    if public and not push:
        fail("--public goes with --push", 2)
    settings = settings_at(home)
    alas = alas_of(settings, domain)
    try:
        if push:
            checked_repo(push)
        chosen = chosen_adapter(alas, domain, adapter)
        target = to or Path(f"{domain}-{chosen[:12]}-{format.value}")
        if target.resolve().is_relative_to(alas.store.root):
            fail(f"{target} is in the store, where a takedown would have to look for it; name a folder outside of {alas.store.root}", 2)
        with err.status("writing the export"):
            release = gather(alas, domain, chosen)
            done = export(
                release,
                format.value,
                target,
                student=alas.student(alas.domain(domain)),
                adapter=alas.store.adapter(chosen),
                worker=alas.worker,
                llama_cpp=settings.llama_cpp,
            )
        out.print(f"{'wrote' if done.new else 'is there already:'} {plain(str(done.folder))}, {format.value} of adapter {chosen[:16]}")
        out.print(f"{len(done.manifest.files)} files, hashes in release.json, card in README.md; precision {done.manifest.precision}")
        if push:
            with err.status(f"pushing to {push}"):
                pushed = push_folder(done.folder, push, public=public)
            out.print(plain(f"pushed to {pushed.url} as commit {pushed.commit}: {pushed.files} files, all with our hashes there"))
    except TOLD as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or to or 'the export'}: {error.strerror or error}; free some space, or name another folder with --to")
