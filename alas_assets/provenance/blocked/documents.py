"""Whose document the address of a user's folder means, where several domains have a folder and each may hold one of that name (R3, A3).

A document's address names no folder, so every domain's `index.md` has the same. Who takes one down says whose by the domain before it:
`folder://DOMAIN@local/index.md`. Reading such files is `retrieval.finding.folder`'s.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urldefrag

from alas_assets.provenance.store import ArtifactStore

FOLDER = "folder://local/"
"""What every document's URL begins with; "local" is a name that no host on the web has."""
_SCHEME = "folder://"


def split_source(source: str) -> tuple[str, str]:
    """Return a source's address as it is stored, and the domain that is named in it; "" where none is."""
    domain, at, rest = source.removeprefix(_SCHEME).partition("@")
    if source.startswith(_SCHEME) and at and "/" not in domain and f"{_SCHEME}{rest}".startswith(FOLDER):
        return f"{_SCHEME}{rest}", domain
    return source, ""


def with_domain(address: str, domain: str) -> str:
    """Return a document's address with the domain whose folder is meant."""
    return f"{_SCHEME}{domain}@{address.removeprefix(_SCHEME)}"


def folder_name(root: Path | str) -> str:
    """Return a folder as it stands behind the addresses of its documents in the cache."""
    return quote(os.fsencode(os.path.abspath(root)))


def cache_key(address: str, root: Path | str) -> str:
    """Return what a document's body is cached under: its address, which takedowns compare, and its folder, as two may name one alike."""
    return f"{address}#{folder_name(root)}"


def addresses_of(key: str) -> list[str]:
    """Return the addresses that an entry of the cache may be of; where it was cached under a file's path, one for each folder above."""
    if not key.startswith("/"):
        return [urldefrag(key).url]
    parts = key.strip("/").split("/")
    return [FOLDER + quote(os.fsencode("/".join(parts[start:]))) for start in range(len(parts))]


def lies_in(key: str, roots: Iterable[str]) -> bool:
    """Tell whether an entry of the cache is of a document in one of these folders, which are named as `folder_name` does."""
    if key.startswith("/"):
        return any(quote(os.fsencode(key)).startswith(f"{root}/") for root in roots)
    return key.startswith(FOLDER) and urldefrag(key).fragment in roots


@dataclass(frozen=True)
class Limit:
    """What a takedown is kept to where the documents of some domains' folders are meant and others have one of the same name.

    Attributes:
        domains: Those whose document is meant; None: everything is.
        spared: The folders of all others, as `folder_name` gives them.
        owners: The domains that each stored artifact is on record for, by its asset and hash.
    """

    domains: frozenset[str] | None = None
    spared: frozenset[str] = frozenset()
    owners: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    def covers(self, domain: str) -> bool:
        """Tell whether a domain's document is meant."""
        return self.domains is None or domain in self.domains

    def holds(self, asset: str, digest: str) -> bool:
        """Tell whether an artifact may hold something of the document; one that no cell is on record for may be of any domain."""
        return self.domains is None or not (owners := self.owners.get((asset, digest))) or bool(owners & self.domains)

    def is_certain(self, asset: str, digest: str) -> bool:
        """Tell whether an artifact is known to be of a domain whose document is meant."""
        return self.domains is None or bool(self.owners.get((asset, digest), frozenset()) & self.domains)


EVERYTHING = Limit()
"""No limit: whatever has the address is meant."""


def limit_to(store: ArtifactStore, domains: Iterable[str], spared: Iterable[str] = ()) -> Limit:
    """Return a limit to some domains' documents."""
    owners: dict[tuple[str, str], set[str]] = {}
    for asset, digest, domain in _on_record(store):
        owners.setdefault((asset, digest), set()).add(domain)
    return Limit(frozenset(domains), frozenset(spared), {place: frozenset(found) for place, found in owners.items()})


def _on_record(store: ArtifactStore) -> Iterator[tuple[str, str, str]]:
    """Yield (asset, hash, domain) of all that any cell points at or ever was given, and of the rows that adapters were trained on."""
    for folder in ("cells", "memo"):
        for path, entry in _entries((store.root / folder).rglob("*.json")):
            if all(isinstance(entry.get(name), str) for name in ("asset", "hash", "cell")):
                yield entry["asset"], entry["hash"], entry["cell"].partition("|")[0]
                if folder == "cells":  # a cell may point at what another one made
                    yield entry["asset"], entry["hash"], path.parent.parent.name
    for _, entry in _entries(store.adapters.glob("*/manifest.json")):
        yield "rows", f"{entry.get('kind')}-{entry.get('rows_hash')}", str(entry.get("cell")).partition("|")[0]


def _entries(paths: Iterable[Path]) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in paths:
        try:
            entry = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue  # what a damaged one names is on nobody's record, and so may be anybody's
        if isinstance(entry, dict):
            yield path, entry


def own_entries(pages: Iterable[str], *, limited: bool, form: Callable[[str], str]) -> Callable[[str], bool]:
    """Return what tells whether an entry of the cache is of removed pages, among which the entries of a limited takedown stand themselves.

    Args:
        pages: The removed pages.
        limited: Whether other documents of the same address stay.
        form: How addresses are compared.
    """
    if limited:
        exact = frozenset(pages)
        return exact.__contains__
    blocked = {form(page) for page in pages}
    return lambda key: form(key) in blocked
