"""Which domains the sensors may open iterations for; one small file in the store, written by `alas watch`."""

from __future__ import annotations

import json
from pathlib import Path

from filelock import FileLock, Timeout

from alas_assets.provenance.store import StoreError, write_atomic

_LOCK_SECONDS = 10


def _file(home: Path) -> Path:
    return home / "watched.json"


def watched_domains(home: Path) -> list[str]:
    """Return the watched domains, sorted.

    Raises:
        StoreError: The file is damaged; the message names it.
    """
    path = _file(home)
    if not path.exists():
        return []
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return sorted(str(name) for name in found)
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path}: not a JSON list of domains; delete it and run `alas watch on DOMAIN` again") from error


def set_watched(home: Path, domain: str, on: bool) -> list[str]:
    """Add or remove a domain and return what is watched now; processes that do so at once take turns.

    Raises:
        StoreError: The file is damaged, or another process keeps it locked.
    """
    path = _file(home)
    home.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_suffix(".lock"), timeout=_LOCK_SECONDS):
            now = sorted(set(watched_domains(home)) - {domain} | ({domain} if on else set()))
            write_atomic(path, json.dumps(now).encode())
            return now
    except Timeout as error:
        raise StoreError(f"{path}: locked for {_LOCK_SECONDS} s by another process; try again") from error
