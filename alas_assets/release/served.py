"""Merged models in the store, ready to be served: made once for each adapter, checked by hash, removed by a takedown (G5, A3)."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from alas_assets.provenance.ids import file_hash, safe_name
from alas_assets.release.identity import Manifest, ReleaseError, damage, file_hashes, read_manifest, write_manifest
from alas_assets.students.catalog import StudentRef
from alas_assets.students.client import ModelWorker


@dataclass(frozen=True)
class ServedModel:
    """A folder that a server loads.

    Attributes:
        folder: Where it lies.
        manifest: Its `release.json`.
        device: Where evaluation computes; "" where the folder was there already.
    """

    folder: Path
    manifest: Manifest
    device: str = ""


def served_folder(root: Path, adapter: str, base_hash: str) -> Path:
    """Return where the merged model of an adapter lies, or that of the base student (adapter "")."""
    return root / (adapter or f"base-{base_hash[:32]}")


def merged_model(root: Path, manifest: Manifest, student: StudentRef, adapter: Path | None, worker: ModelWorker) -> ServedModel:
    """Return the merged model of an adapter, merging it first where it is not there, whole.

    Args:
        root: The store's folder of served models.
        manifest: What its `release.json` is to say; precision and files are filled in.
        student: The base student.
        adapter: The adapter's folder; None for the base student.
        worker: Merges.

    Raises:
        AdapterError: The adapter is damaged, or made for another base.
        ReleaseError: It could not be written.
    """
    target = served_folder(root, manifest.adapter_hash, student.base_hash)
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f".{safe_name(target.name)}.lock"):
        made = root / f".{target.name}.part"
        shutil.rmtree(made, ignore_errors=True)  # of a process that was killed
        try:
            there = read_manifest(target) if target.is_dir() else None
        except ReleaseError:
            there = None  # damaged: it is made again
        if there is not None and there.base == manifest.base and there.decoding == manifest.decoding and not damage(target, there):
            return ServedModel(target, there)
        try:
            made.mkdir()
            merged = worker.merge(student, adapter, made)
            done = manifest.model_copy(update={"precision": merged.precision, "files": file_hashes(made)})
            write_manifest(made, done)
            shutil.rmtree(target, ignore_errors=True)
            os.rename(made, target)
        except OSError as error:
            raise ReleaseError(f"{target} could not be written: {error.strerror or error}; free some space") from error
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return ServedModel(target, done, merged.device)


def weights_hash(folder: Path) -> str:
    """Return the SHA-256 of a folder's weights; of several files, of the list of theirs."""
    from alas_assets.provenance.ids import content_hash

    found = sorted(folder.glob("*.safetensors"))
    return file_hash(found[0]) if len(found) == 1 else content_hash([[path.name, file_hash(path)] for path in found])


def generation(folder: Path) -> tuple[tuple[int, ...], int]:
    """Return the ids of the tokens that end an answer in a merged folder, and that of the padding token."""
    config = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    ends = config["eos_token_id"]
    return (tuple(ends) if isinstance(ends, list) else (ends,)), config["pad_token_id"]


def window(folder: Path) -> int:
    """Return how many tokens a model's prompt and answer may have together; 0 where it does not say."""
    return int(json.loads((folder / "config.json").read_text(encoding="utf-8")).get("max_position_embeddings") or 0)
