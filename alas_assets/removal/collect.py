"""Freeing what nothing names: old artifacts, finished working folders, adapters that no cell and no registry entry uses."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alas_assets.provenance.ids import safe_name
from alas_assets.provenance.store import ArtifactStore, StoreError
from alas_assets.records import Seed
from alas_assets.release.registry import Registry

_SAYS = {"asset", "cell", "hash", "kind", "input_key", "blobs"}


@dataclass(frozen=True)
class Unnamed:
    """Something of the store that nothing names.

    Attributes:
        kind: What it is: the asset that it is an artifact of, `adapter`, `working folder` or `merged model`.
        path: The file or folder.
        files: How many files it holds.
        size: Their bytes.
    """

    kind: str
    path: Path
    files: int
    size: int


@dataclass(frozen=True)
class Garbage:
    """What of a domain can be freed: the unnamed files, and the memo entries that lead to them."""

    unnamed: list[Unnamed]
    memos: list[Path]

    def by_kind(self) -> dict[str, tuple[int, int]]:
        """Return how many files and bytes there are of each kind, the largest first."""
        sums: dict[str, tuple[int, int]] = {}
        for each in self.unnamed:
            files, size = sums.get(each.kind, (0, 0))
            sums[each.kind] = (files + each.files, size + each.size)
        return dict(sorted(sums.items(), key=lambda item: (-item[1][1], item[0])))


def find_garbage(home: Path, domain: str) -> Garbage:
    """Find the domain's unnamed files: artifacts that a memo entry alone leads to, and working folders of finished steps.

    An artifact stays if any cell of any domain points at it, if a seed inherited it, or if the registry names it; a served model, which can
    be merged again, if it is current or a base student's. Nothing of the domain may run meanwhile: nothing names what it has just made.

    Raises:
        StoreError: A pointer or a seed cannot be read, so that nobody knows what it names.
        RegistryError: Nor can a domain's registry.
    """
    named, blobs, inputs = _named(home, domain)
    paths: dict[Path, str] = {}
    memos: list[Path] = []
    for memo in sorted((home / "memo").rglob("*.json")):
        entry = _entry(memo)
        if entry is None:  # it leads to nothing any more, and its step is done again with or without it
            memos.append(memo)
            continue
        if not entry["cell"].startswith(f"{domain}|") or (entry["asset"], entry["hash"]) in named:
            continue
        memos.append(memo)
        paths[home / "artifacts" / safe_name(entry["asset"]) / f"{entry['hash']}.{entry['kind']}"] = entry["asset"]
        paths |= {home / blob: "adapter" for blob in entry["blobs"] if blob.startswith("artifacts/adapters/") and blob not in blobs}
    paths |= {folder: "working folder" for folder in sorted((home / "work").glob("*/*")) if folder.name in inputs}
    current = {adapter for path in (home / "registry").glob("*.json") if (adapter := Registry(home / "registry").current(path.stem))}
    for folder in sorted((home / "served").glob("*")):
        spared = folder.name in current or folder.name.startswith((".", "base-"))  # a base student answers wherever nothing is current
        if folder.is_dir() and not spared:
            paths[folder] = "merged model"
    return Garbage([_measured(kind, path) for path, kind in paths.items() if path.exists()], memos)


def free(garbage: Garbage) -> None:
    """Remove what was found. A memo entry goes after what it leads to, so that what a kill leaves behind is found again."""
    for each in garbage.unnamed:
        if each.path.is_dir():
            shutil.rmtree(each.path)
        else:
            each.path.unlink()
    for memo in garbage.memos:
        memo.unlink()


def _named(home: Path, domain: str) -> tuple[set[tuple[str, str]], set[str], set[str]]:
    """Return the artifacts and blobs that some cell, seed or registry entry names, and the domain's finished input keys."""
    named: set[tuple[str, str]] = set()
    blobs: set[str] = set()
    inputs: set[str] = set()
    for pointer in sorted((home / "cells").rglob("*.json")):
        entry = _entry(pointer)
        if entry is None:
            domain_key, iteration = pointer.parts[-3:-1]
            raise StoreError(
                f"{pointer}: torn, so nobody knows what it names, and nothing can be freed; materialise {pointer.stem} of "
                f"{domain_key}|{iteration} again"
            )
        named.add((entry["asset"], entry["hash"]))
        blobs.update(entry["blobs"])
        if entry["cell"].startswith(f"{domain}|"):
            inputs.add(entry["input_key"][:20])
        if entry["asset"] == "curriculum_seed":
            inherited = ArtifactStore(home).read_record(Seed, entry["hash"], "curriculum_seed").inherited
            named.update(("qa_pairs", digest) for digest in inherited.qa_hashes)
            named.update(("probes", digest) for digest in inherited.probe_hashes)
            named.update(("documents", digest) for digest in inherited.document_hashes)
    for registry in sorted((home / "registry").glob("*.json")):
        text = registry.read_text(encoding="utf-8")
        blobs.update(f"artifacts/adapters/{path.name}" for path in (home / "artifacts" / "adapters").glob("*") if path.name in text)
    return named, blobs, inputs


def _entry(path: Path) -> dict[str, Any] | None:
    """Return what a pointer or a memo entry says; None where it is torn."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return said if isinstance(said, dict) and said.keys() >= _SAYS else None


def _measured(kind: str, path: Path) -> Unnamed:
    files = [path] if path.is_file() else [inside for inside in path.rglob("*") if inside.is_file()]
    return Unnamed(kind, path, len(files), sum(file.stat().st_size for file in files))
