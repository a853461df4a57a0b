"""Proving that what is served is what was evaluated: gathers the recorded answers, recomputes the hashes, asks (G5).

The comparison is `serving.verify`.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import polars as pl

from alas_assets.defs.judging import DECODING
from alas_assets.defs.releasing import answers_as_now, answers_of_adapter, chosen_adapter
from alas_assets.defs.resources import Alas
from alas_assets.provenance.ids import file_hash, folder_hash
from alas_assets.provenance.store import Cell, StoreError
from alas_assets.release.identity import ReleaseError, damage, read_manifest
from alas_assets.release.served import served_folder, weights_hash
from alas_assets.serving.verify import Check, Recorded, Verdict, VerifyError, ask, look_into, sampled
from alas_assets.students.chat import markers_of
from alas_assets.teachers.protocol import GradeRequest

SPLITS = ("probe", "earlier", "guard", "neighbour")


def recorded_answers(alas: Alas, domain: str, adapter: str) -> list[Recorded]:
    """Return the closed-book answers that evaluation recorded of an adapter, facts first.

    Raises:
        VerifyError: It was never asked as the current model, its answers were decoded or computed otherwise than now, or the questions
            were made again since.
    """
    found = answers_of_adapter(alas, domain, adapter)
    if found is None:
        raise VerifyError(f"no iteration of {domain} has asked adapter {adapter[:12]} as the current model; `alas run {domain}` does")
    cell, answers, base = found
    wanted = answers.filter(pl.col("split").is_in(SPLITS) & (pl.col("context_hash") == ""))
    if wanted.is_empty():
        raise VerifyError(f"iteration {cell} recorded no closed-book answers of adapter {adapter[:12]}")
    if not answers_as_now(wanted):
        raise VerifyError(
            f"the answers of iteration {cell} were decoded or computed by an earlier version otherwise than now, so no server can be held "
            f"against them; `alas run {domain}` has them asked and judged again"
        )
    said = dict(base.select("probe_id", "answer").iter_rows())
    probes = {row["probe_id"]: row for row in _probes(alas, cell).iter_rows(named=True)}
    if not set(wanted["probe_id"]) <= probes.keys():
        raise VerifyError(f"the probes of iteration {cell} were made again after its answers; `alas run {domain}` judges it again")
    rows = sorted(wanted.to_dicts(), key=lambda row: SPLITS.index(row["split"]))
    return [_recorded(row, probes[row["probe_id"]], said.get(row["probe_id"])) for row in rows]


def _probes(alas: Alas, cell: Cell) -> pl.DataFrame:
    pointer = alas.store.pointer(cell, "probes")
    if pointer is None:
        raise StoreError(f"probes of {cell} is not there; materialise it first")
    return alas.store.read_table(pointer)


def _recorded(row: dict[str, Any], probe: dict[str, Any], base: str | None) -> Recorded:
    request = GradeRequest(
        question=probe["question"],
        gold=probe["answer"],
        aliases=probe["aliases"] or [],
        answer_kind=probe["answer_kind"] or "phrase",
        rivals=probe["rivals"] or [],
        answer=row["answer"],
    )
    return Recorded(
        answer_id=row["answer_id"],
        split=row["split"],
        question=row["question"],
        text=row["answer"],
        label=row["rule_label"],
        base_text=base,
        request=request,
    )


def verify(
    alas: Alas,
    domain: str,
    *,
    url: str,
    model: str = "",
    sample: int | None = None,
    key: str = "",
    on_progress: Callable[[int, int], None] | None = None,
) -> Verdict:
    """Verify what answers at an address against what was evaluated.

    Of a door of ours (`alas serve`) hashes are checked too; of any other server they cannot be seen, and the answers alone decide.

    Args:
        alas: The resource.
        domain: The domain.
        url: The server's base, with or without `/v1`.
        model: What the server calls the model; the domain's key by default.
        sample: Ask so many, drawn with the domain's seed; None asks all.
        key: A bearer token for the server.
        on_progress: Called with (answered, all) after each.

    Raises:
        VerifyError: Nothing can be verified.
        ReleaseError: No adapter is current.
        StoreError: The domain answers nothing for now, or something is gone.
    """
    base = url.rstrip("/")
    base = base if base.endswith("/v1") else f"{base}/v1"
    adapter = chosen_adapter(alas, domain)
    known, student = alas.domain(domain), alas.student(alas.domain(domain))
    recorded = recorded_answers(alas, domain, adapter)
    name, ours = _who(base, model or domain, bool(model), key)
    checks = [
        Check(what="the registry's adapter is the folder on disk, by its hash", ok=folder_hash(alas.store.adapter(adapter)) == adapter)
    ]
    notes: list[str] = []
    if ours is None:
        notes.append(f"{base} is no door of ours: which weights it has cannot be seen, and the answers alone decide")
    else:
        checks += _hashes(alas, domain, adapter, ours)
    chosen = sampled(recorded, sample, known.seed)
    compared = ask(base, name, chosen, DECODING, key, on_progress, markers_of(Path(student.folder)))
    folder = alas.store.adapter(adapter)
    precision = alas.worker.merge(student, folder, None).precision
    compared = look_into(compared, precision, lambda said: alas.worker.margins(student, said, folder, DECODING))
    if ours is not None:
        others = sorted({one.adapter for one in compared} - {adapter})
        checks.append(
            Check(
                what="every reply names this adapter",
                ok=not others,
                why=f"others: {', '.join(one[:12] or 'none' for one in others)}" if others else "",
            )
        )
    if alas.registry.current(domain) != adapter:
        checks.append(Check(what="the adapter stayed current meanwhile", ok=False, why="another became current; give the command again"))
    return Verdict(
        domain=domain,
        adapter_hash=adapter,
        url=base,
        model=name,
        checks=checks,
        compared=compared,
        of=len(recorded),
        notes=notes,
        by_hash=ours is not None,
    )


def _who(base: str, model: str, named: bool, key: str) -> tuple[str, dict[str, Any] | None]:
    """Return the model's name at a server, and what a door of ours says of it; None for any other server.

    Raises:
        VerifyError: Nothing answers there, or the model is not there.
    """
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        reply = httpx2.get(f"{base}/models", timeout=60, trust_env=False, headers=headers)
        listed = [one for one in json.loads(reply.content)["data"] if isinstance(one, dict) and isinstance(one.get("id"), str)]
    except httpx2.HTTPError as error:
        raise VerifyError(
            f"{base}: nothing answers there ({error}); start `alas serve`, or give another server's address with --url"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        if named:
            return model, None  # some servers list nothing
        raise VerifyError(f"{base}/models gives no list of models (status {reply.status_code}); name the model with --model") from error
    entry = next((one for one in listed if one["id"] == model), None)
    if entry is None and not named and len(listed) == 1:
        entry = listed[0]
    if entry is None and not named:
        raise VerifyError(
            f"{base} has no model {model!r}; it has {', '.join(one['id'] for one in listed[:10]) or 'none'}: name one with --model"
        )
    ours = entry.get("alas") if entry else None
    return (entry["id"] if entry else model), ours if isinstance(ours, dict) else None


def _hashes(alas: Alas, domain: str, adapter: str, ours: dict[str, Any]) -> list[Check]:
    """Check what our door says it serves: adapter, folder, files, and the weights against a fresh merge."""
    student = alas.student(alas.domain(domain))
    said = str(ours.get("adapter", "none"))
    checks = [
        Check(
            what="the door serves the registry's adapter", ok=said == adapter, why="" if said == adapter else str(ours.get("why") or said)
        )
    ]
    if not str(ours.get("backend", "")).startswith("transformers"):
        same = ours.get("weights_sha256") == file_hash(alas.store.adapter(adapter) / "adapter_model.safetensors")
        return [*checks, Check(what="the door's adapter has the weights on disk", ok=same)]
    folder = served_folder(alas.store.served, adapter, student.base_hash)
    try:
        manifest = read_manifest(folder)
        broken = damage(folder, manifest)
    except ReleaseError as error:
        return [*checks, Check(what="the served folder is whole", ok=False, why=str(error))]
    same_model = (manifest.adapter_hash, manifest.base.get("hash")) == (adapter, student.base_hash)
    weights = weights_hash(folder)
    with tempfile.TemporaryDirectory(prefix="alas-verify-") as again:
        alas.worker.merge(student, alas.store.adapter(adapter), Path(again))
        fresh = weights_hash(Path(again))
    return [
        *checks,
        Check(what="every file of the served folder has the hash of its release.json", ok=not broken, why="; ".join(broken[:5])),
        Check(what="its release.json names this adapter and this base", ok=same_model),
        Check(
            what="the door loaded this very folder", ok=ours.get("release_hash") == manifest.hash and ours.get("weights_sha256") == weights
        ),
        Check(what="merging the adapter again gives the same weights", ok=fresh == weights, why="" if fresh == weights else fresh),
    ]
