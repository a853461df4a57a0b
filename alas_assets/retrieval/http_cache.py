"""What a URL answered last time: its validators and the hash of its stored body, so that a 304 costs no body (R4).

Bodies lie in the artifact store under their hash; this is only the small table beside them. It holds no policy: every use
of an entry is confirmed by the server first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from alas_assets.provenance.store import StoreError


@dataclass(frozen=True)
class CacheEntry:
    """The last 200 answer of one URL."""

    url: str
    etag: str
    last_modified: str
    content_type: str
    body_sha256: str
    body_bytes: int
    retrieved_at: str  # ISO 8601, UTC: when this very body was first received


_COLUMNS = ", ".join(field.name for field in fields(CacheEntry))


class HttpCache:
    """One SQLite file; safe for several processes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open the table; a damaged file is replaced by an empty one, which costs full requests and never a run.

        Raises:
            StoreError: The file cannot be read or written for another reason.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            try:
                connection = self._connect()
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                self._path.unlink(missing_ok=True)
                connection = self._connect()
            with closing(connection), connection:
                yield connection
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}; see to its disk and permissions, or remove the file") from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=30)
        try:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS http (url TEXT PRIMARY KEY, etag TEXT, last_modified TEXT, content_type TEXT,"
                " body_sha256 TEXT, body_bytes INTEGER, retrieved_at TEXT)"
            )
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def get(self, url: str) -> CacheEntry | None:
        """Return what the URL answered last, or None."""
        with self._open() as connection:
            row = connection.execute(f"SELECT {_COLUMNS} FROM http WHERE url = ?", (url,)).fetchone()  # noqa: S608 (own column names)
        return CacheEntry(*row) if row else None

    def put(self, entry: CacheEntry) -> None:
        """Remember what a URL answered."""
        values = astuple(entry)
        with self._open() as connection:
            marks = ", ".join("?" * len(values))
            connection.execute(f"INSERT OR REPLACE INTO http ({_COLUMNS}) VALUES ({marks})", values)  # noqa: S608
