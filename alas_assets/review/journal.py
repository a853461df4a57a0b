"""What people decided, kept for good: each import once under its content hash, and a journal of who brought it when (S13, E6).

Files only. What the rows mean is `review.answers` and `review.pairs`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from alas_assets.provenance.ids import CELL_NAME, content_hash
from alas_assets.provenance.store import write_atomic
from alas_assets.wording import counted

Kind = Literal["answers", "pairs", "reports"]


class ReviewError(RuntimeError):
    """Decisions of people are missing or damaged, or refer to what is not there; the message says what to do."""


@dataclass(frozen=True)
class Import:
    """One import of people's decisions.

    Attributes:
        kind: On a drawn sample of graded answers, on pairs, or on single answers that somebody found wrong.
        hash: Content hash of its rows.
        by: Who decided, as told.
        at: When it was imported (UTC, ISO 8601).
        rows: The decisions.
    """

    kind: Kind
    hash: str
    by: str
    at: str
    rows: Sequence[Mapping[str, Any]]


class Journal:
    """A domain's imports, oldest first, under `review/DOMAIN` in the store.

    Args:
        root: The store's folder.
        domain: The domain's key.
    """

    def __init__(self, root: Path, domain: str) -> None:
        if not CELL_NAME.match(domain):
            raise ReviewError(f"domain {domain[:80]!r} cannot be reviewed: use a-z, 0-9 and '-', at most 64, first a letter or digit")
        self.folder = root / "review" / domain

    def add(self, kind: Kind, rows: Sequence[Mapping[str, Any]], *, by: str, at: str) -> tuple[str, bool]:
        """Keep an import; the same rows by the same person right after each other count once.

        Returns:
            Its content hash, and whether it is new.
        """
        digest = content_hash({"kind": kind, "by": by, "rows": list(rows)})
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / "journal.lock"):
            entries = self._entries()
            last = next((entry for entry in reversed(entries) if entry["kind"] == kind), None)
            if last and last["hash"] == digest:
                return digest, False
            if not entries:  # else a kill between the first import and its entry would leave what looks like a lost journal
                self._write([])
            write_atomic(self._path(digest), json.dumps(list(rows), indent=1, ensure_ascii=False).encode())
            entries.append({"kind": kind, "hash": digest, "by": by, "at": at})
            self._write(entries)
        return digest, True

    def imports(self, kind: Kind) -> list[Import]:
        """Return what was imported of a kind, oldest first.

        Raises:
            ReviewError: A file is gone, damaged or changed; people's work is not passed over in silence.
        """
        entries = [entry for entry in self._entries() if entry["kind"] == kind]
        return [Import(kind, entry["hash"], entry["by"], entry["at"], self._rows(entry)) for entry in entries]

    def _path(self, digest: str) -> Path:
        return self.folder / f"{digest}.json"

    def _write(self, entries: Sequence[Mapping[str, str]]) -> None:
        write_atomic(self.folder / "journal.json", json.dumps(entries, indent=1, ensure_ascii=False).encode())

    def _entries(self) -> list[dict[str, str]]:
        path = self.folder / "journal.json"
        if not path.exists():
            if kept := sum(one.is_file() for one in self.folder.glob("*.json")):
                raise ReviewError(
                    f"{path}: is gone, and without it nothing says who decided what of {counted(kept, 'import')} beside it; restore it, or "
                    "move its folder away to start without reviews"
                )
            return []
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
            return [{name: str(entry[name]) for name in ("kind", "hash", "by", "at")} for entry in entries]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ReviewError(f"{path}: cannot be read ({error}); restore it, or move its folder away to start without reviews") from error

    def _rows(self, entry: Mapping[str, str]) -> list[dict[str, Any]]:
        path = self._path(entry["hash"])
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ReviewError(f"{path}: cannot be read ({error}); restore it, or import the sheet of {entry['by']} again") from error
        if content_hash({"kind": entry["kind"], "by": entry["by"], "rows": rows}) != entry["hash"]:
            raise ReviewError(f"{path}: was changed since it was imported; restore it, or import the sheet of {entry['by']} again")
        return rows
