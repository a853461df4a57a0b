"""Freeing what nothing names: old artifacts, finished working folders, adapters that no cell and no registry entry uses."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from alas_assets.provenance.ids import safe_name
from alas_assets.release.registry import Registry


@dataclass(frozen=True)
class Freed:
    """What was freed."""

    files: int
    bytes: int


def collect_garbage(home: Path, domain: str) -> Freed:
    """Free the domain's unnamed files: memo entries whose artifact no cell points at, and working folders of finished steps.

    An artifact stays if any cell of any domain points at it, if a seed inherited it, or if the registry names it; a served model, which can
    be merged again, if it is current or a base student's. Nothing of the domain may run meanwhile: nothing names what it has just made.
    """
    named, blobs, inputs = _named(home, domain)
    own = f"{domain}|"
    freed_files = freed_bytes = 0
    for memo in sorted((home / "memo").rglob("*.json")):
        entry = json.loads(memo.read_text(encoding="utf-8"))
        if not entry["cell"].startswith(own) or (entry["asset"], entry["hash"]) in named:
            continue
        artifact = home / "artifacts" / safe_name(entry["asset"]) / f"{entry['hash']}.{entry['kind']}"
        for path in (artifact, *(home / blob for blob in entry["blobs"] if blob.startswith("artifacts/adapters/") and blob not in blobs)):
            files, size = _remove(path)
            freed_files, freed_bytes = freed_files + files, freed_bytes + size
        memo.unlink()
    for folder in sorted((home / "work").glob("*/*")):
        if folder.name in inputs:
            files, size = _remove(folder)
            freed_files, freed_bytes = freed_files + files, freed_bytes + size
    current = {adapter for path in (home / "registry").glob("*.json") if (adapter := Registry(home / "registry").current(path.stem))}
    for folder in sorted((home / "served").glob("*")):
        spared = folder.name in current or folder.name.startswith((".", "base-"))  # a base student answers wherever nothing is current
        if folder.is_dir() and not spared:  # each can be merged again
            files, size = _remove(folder)
            freed_files, freed_bytes = freed_files + files, freed_bytes + size
    return Freed(freed_files, freed_bytes)


def _named(home: Path, domain: str) -> tuple[set[tuple[str, str]], set[str], set[str]]:
    """Return the artifacts and blobs that some cell, seed or registry entry names, and the domain's finished input keys."""
    named: set[tuple[str, str]] = set()
    blobs: set[str] = set()
    inputs: set[str] = set()
    for pointer in sorted((home / "cells").rglob("*.json")):
        entry = json.loads(pointer.read_text(encoding="utf-8"))
        named.add((entry["asset"], entry["hash"]))
        blobs.update(entry["blobs"])
        if entry["cell"].startswith(f"{domain}|"):
            inputs.add(entry["input_key"][:20])
        if entry["asset"] == "curriculum_seed":
            seed = json.loads((home / "artifacts" / safe_name("curriculum_seed") / f"{entry['hash']}.json").read_text(encoding="utf-8"))
            named.update(("qa_pairs", digest) for digest in seed["inherited"]["qa_hashes"])
            named.update(("probes", digest) for digest in seed["inherited"]["probe_hashes"])
            named.update(("documents", digest) for digest in seed["inherited"].get("document_hashes", []))
    for registry in sorted((home / "registry").glob("*.json")):
        text = registry.read_text(encoding="utf-8")
        blobs.update(f"artifacts/adapters/{path.name}" for path in (home / "artifacts" / "adapters").glob("*") if path.name in text)
    return named, blobs, inputs


def _remove(path: Path) -> tuple[int, int]:
    if path.is_file():
        size = path.stat().st_size
        path.unlink()
        return 1, size
    if path.is_dir():
        files = [p for p in path.rglob("*") if p.is_file()]
        size = sum(p.stat().st_size for p in files)
        shutil.rmtree(path)
        return len(files), size
    return 0, 0
