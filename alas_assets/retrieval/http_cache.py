"""What a URL answered last time: its validators and the hash of its stored body, so that a 304 costs no body (R4).

Bodies lie in the artifact store under their hash; this is only the small table beside them. It holds no policy: every use
of an entry is confirmed by the server first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
    """One SQLite file; safe for several processes, used by one thread of each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def opened(self) -> Iterator[HttpCache]:
        """Keep the file open for a batch: opening it costs more than a look-up.

        Raises:
            StoreError: The file cannot be read or written.
        """
        with self._explained():
            self._connection = self._open()
        try:
            yield self
        finally:
            self._connection.close()
            self._connection = None

    def get(self, url: str) -> CacheEntry | None:
        """Return what the URL answered last, or None.

        Raises:
            StoreError: The file cannot be read.
        """
        with self._explained():
            row = self._table().execute(f"SELECT {_COLUMNS} FROM http WHERE url = ?", (url,)).fetchone()  # noqa: S608 (own column names)
        return CacheEntry(*row) if row else None

    def put(self, entry: CacheEntry) -> None:
        """Remember what a URL answered; other processes see it at once, and it outlives the end of this one, however it ends.

        Raises:
            StoreError: The file cannot be written.
        """
        values = astuple(entry)
        marks = ", ".join("?" * len(values))
        with self._explained():
            self._table().execute(f"INSERT OR REPLACE INTO http ({_COLUMNS}) VALUES ({marks})", values)  # noqa: S608

    def _table(self) -> sqlite3.Connection:
        assert self._connection is not None, "used outside of opened()"
        return self._connection

    def _open(self) -> sqlite3.Connection:
        """Open the table; a damaged file is replaced by an empty one, which costs full requests and never a run."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return self._connect()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            for end in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + end).unlink(missing_ok=True)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        try:
            with suppress(sqlite3.OperationalError):  # another process is at it in this moment: either journal is safe
                connection.execute("PRAGMA journal_mode=WAL")
            # Not synced at every page: a power cut, and only that, may cost the newest entries, which is one full request for each.
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS http (url TEXT PRIMARY KEY, etag TEXT, last_modified TEXT, content_type TEXT,"
                " body_sha256 TEXT, body_bytes INTEGER, retrieved_at TEXT)"
            )
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}; see to its disk and permissions, or remove the file") from error
