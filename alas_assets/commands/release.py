"""`alas export`, `serve`, `verify-served` and `rollback`: taking a model out, offering it, proving what answers, going back (G4, G5).

The work is `release`'s, `serving`'s and `defs.releasing`'s.
"""

import contextlib
import json
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from alas_assets.commands.common import DomainKey, Home, alas_of, at_home, err, fail, out, plain, settings_at, user_name
from alas_assets.settings import DEFAULT_SERVE_PORT
from alas_assets.wording import counted

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


class VerdictFormat(StrEnum):
    """How a verdict is printed."""

    text = "text"
    json = "json"


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
    from alas_assets.release.export import export, refuse_early
    from alas_assets.release.push import checked_repo, push_folder, token_for

    if public and not push:
        fail("--public goes with --push", 2)
    settings = settings_at(home)
    alas = alas_of(settings, domain)
    try:
        if push:
            token_for(checked_repo(push))
        chosen = chosen_adapter(alas, domain, adapter)
        target = to or Path(f"{domain}-{chosen[:12]}-{format.value}")
        if target.resolve().is_relative_to(alas.store.root):
            fail(f"{target} is in the store, where a takedown would have to look for it; name a folder outside of {alas.store.root}", 2)
        refuse_early(format.value, target, domain, chosen, settings.llama_cpp)
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
        out.print(
            f"{counted(len(done.manifest.files), 'file')}, hashes in release.json, card in README.md; precision {done.manifest.precision}"
        )
        if push:
            with err.status(f"pushing to {push}"):
                pushed = push_folder(done.folder, push, public=public)
            out.print(plain(f"pushed to {pushed.url} as commit {pushed.commit}: {pushed.files} files, all with our hashes there"))
    except OSError as error:
        fail(f"{error.filename or to or 'the export'}: {error.strerror or error}; free some space, or name another folder with --to")


@app.command()
def serve(
    domain: DomainKey,
    port: Annotated[int | None, typer.Option(help=f"Where it listens (default: ALAS_SERVE_PORT, {DEFAULT_SERVE_PORT}).")] = None,
    host: Annotated[str, typer.Option(help="The address it listens on; anything but loopback lets others ask.")] = "127.0.0.1",
    engine: Annotated[Engine, typer.Option("--with", help="The server that computes.")] = Engine.transformers,
    home: Home = None,
) -> None:
    """Serve the current model to OpenAI clients under the domain's name; promotions, rollbacks and takedowns need no restart."""
    from alas_assets.defs.offering import StoreModels, highest_rank
    from alas_assets.defs.steps import TOLD
    from alas_assets.release.export import vllm_rank
    from alas_assets.serving.backend import Backend, TransformersBackend, VllmBackend
    from alas_assets.serving.current import CurrentModel
    from alas_assets.serving.door import Door
    from alas_assets.serving.running import listen, run

    settings = settings_at(home)
    alas = alas_of(settings, domain)
    log = settings.home / "logs" / f"serve-{domain}.log"
    known = alas.domain(domain)
    with err.status("preparing the student"):
        student = alas.student(known)
    if engine is Engine.transformers:
        backend: Backend = TransformersBackend(log)
    else:
        backend = VllmBackend(log, student.folder, vllm_rank(highest_rank(alas, domain)))
    models = StoreModels(alas, domain, merged=engine is Engine.transformers)
    door = Door(CurrentModel(domain, models, backend, told=TOLD, say=lambda line: out.print(plain(line))), models)
    listener = listen(host, port or settings.serve_port)
    shown = f"http://{host if ':' not in host else f'[{host}]'}:{listener.getsockname()[1]}/v1"
    out.print(f"{shown}, model {domain}; computed by {backend.name} on loopback, log {log}. Ctrl-C ends both")
    with contextlib.suppress(KeyboardInterrupt):
        run(door, backend, listener)


@app.command("verify-served")
def verify_served(
    domain: DomainKey,
    url: Annotated[str, typer.Option("--url", help="Any OpenAI-compatible server (default: `alas serve` on its port here).")] = "",
    model: Annotated[str, typer.Option("--model", help="What that server calls the model (default: the domain's key).")] = "",
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="Ask so many recorded questions, drawn with a seed (default: all).")
    ] = None,
    key_env: Annotated[str, typer.Option("--key-env", help="The variable that holds that server's key, never the key.")] = "",
    format: Annotated[VerdictFormat, typer.Option("--format")] = VerdictFormat.text,
    home: Home = None,
) -> None:
    """Prove that what answers is what was evaluated: hashes, and every recorded closed-book answer again; exit code 1 if not."""
    from alas_assets.defs.proving import verify
    from alas_assets.defs.steps import TOLD
    from alas_assets.serving.verify import VerifyError

    settings = settings_at(home)
    alas = alas_of(settings, domain)
    key = os.environ.get(key_env, "") if key_env else ""
    if key_env and not key:
        fail(f"--key-env {key_env}: the variable is not set", 2)
    try:
        with err.status("reading what was recorded") as status:
            verdict = verify(
                alas,
                domain,
                url=url or f"http://127.0.0.1:{settings.serve_port}",
                model=model,
                sample=sample,
                key=key,
                on_progress=lambda done, of: status.update(f"asked {done} of {of}"),
            )
    except (VerifyError, *TOLD) as error:
        fail(str(error))
    if format is VerdictFormat.json:
        print(json.dumps({**verdict.model_dump(mode="json"), "proven": verdict.proven}, indent=1))
    else:
        from alas_assets.serving.report import verdict_lines

        for line in verdict_lines(verdict):
            print(line)
    if not verdict.proven:
        raise typer.Exit(1)


@app.command()
def rollback(
    domain: DomainKey,
    undo: Annotated[bool, typer.Option("--undo", help="Take the last rollback back.")] = False,
    to_base: Annotated[bool, typer.Option("--to-base", help="Go back to the base student at once.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept in the registry and shown in the UI.")] = "",
    by: Annotated[str, typer.Option("--by", help="Who does it (default: the name you are logged in with).")] = "",
    home: Home = None,
) -> None:
    """Make the adapter before the current one current again, one step a call, or the base student at once."""
    from alas_assets.defs.running import open_instance
    from alas_assets.defs.upkeep import show_rollback
    from alas_assets.review.wording import MAX_WORDS, words_of

    if len(reason) > MAX_WORDS or len(by) > MAX_WORDS:
        fail(f"--reason and --by take {MAX_WORDS} characters at most", 2)
    if undo and to_base:
        fail("--undo goes forward and --to-base back: give one of them", 2)
    settings = settings_at(home)
    alas = alas_of(settings, domain)
    instance = open_instance(settings)  # where that fails nothing is changed: the same command, given again, would go back a second step
    registry, who, why = alas.registry, words_of(by or user_name()), words_of(reason)
    before = len(registry.history(domain))
    if undo:
        registry.undo_rollback(domain, by=who, reason=why)
    else:
        registry.rollback(domain, to_base=to_base, by=who, reason=why)
    changes = registry.history(domain)[before:]
    for change in changes:
        show_rollback(instance, domain, change)
    out.print(f"current was {changes[0].previous or 'the base student'}")
    out.print(f"current is  {changes[-1].adapter_hash or 'the base student'}")
    if not undo:
        times = f" ({len(changes)} times, a step each)" if len(changes) > 1 else ""
        out.print(plain(f"to take it back: alas rollback {domain} --undo{at_home(home)}{times}"))
