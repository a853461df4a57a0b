"""What a URL answered last time: its validators and the hash of its stored body, so that a 304 costs no body (R4).

Bodies lie in the artifact store under their hash; this is only the small tables beside them: a takedown learns from them whose each body
is, older ones of a URL included. There is no policy here: every use of an entry is confirmed by the server first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
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


@dataclass(frozen=True)
class Received:
    """A body that a URL answered with once."""

    url: str
    content_type: str
    body_sha256: str
    is_current: bool  # it is what the URL answered last


_COLUMNS = ", ".join(field.name for field in fields(CacheEntry))
_BUSY_SECONDS = 30


class HttpCache:
    """One SQLite file, open for a batch: opening it costs more than a look-up. Safe for several processes, used by one thread."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[HttpCache]:
        """Open the file, make it where there is none, and close it at the end of the block.

        Raises:
            StoreError: The file cannot be read or written.
        """
        with _explained(path):
            connection = _open(path)
        with closing(connection):
            yield cls(path, connection)

    def get(self, url: str) -> CacheEntry | None:
        """Return what the URL answered last, or None.

        Raises:
            StoreError: The file cannot be read.
        """
        with _explained(self._path):
            row = self._connection.execute(f"SELECT {_COLUMNS} FROM http WHERE url = ?", (url,)).fetchone()  # noqa: S608 (own column names)
        return CacheEntry(*row) if row else None

    def put(self, entry: CacheEntry) -> None:
        """Remember what a URL answered; other processes see it at once, and it outlives the end of this one, however it ends.

        What it answered before is remembered as superseded: the body stays in the store, and a takedown has to know whose it is.

        Raises:
            StoreError: The file cannot be written.
        """
        values = astuple(entry)
        marks = ", ".join("?" * len(values))
        with _explained(self._path), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(
                "INSERT OR IGNORE INTO superseded SELECT url, content_type, body_sha256 FROM http"
                " WHERE url = ? AND body_sha256 <> '' AND (content_type <> ? OR body_sha256 <> ?)",
                (entry.url, entry.content_type, entry.body_sha256),
            )
            self._connection.execute(f"INSERT OR REPLACE INTO http ({_COLUMNS}) VALUES ({marks})", values)  # noqa: S608


def received_bodies(path: Path) -> list[Received]:
    """Return every body that any URL ever answered with, as far as this file knows; nothing where there is no file.

    Raises:
        StoreError: It cannot be read.
    """
    if not path.is_file():
        return []
    with _explained(path), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)) as connection:
        tables = {"http": True, "superseded": False} if keeps_superseded(connection) else {"http": True}
        return [
            Received(url, content_type, body, is_current)
            for table, is_current in tables.items()
            for url, content_type, body in connection.execute(f"SELECT url, content_type, body_sha256 FROM {table}")  # noqa: S608
            if body
        ]


def keeps_superseded(connection: sqlite3.Connection) -> bool:
    """Tell whether a file has the table of superseded bodies: in an older store it comes with the next fetch."""
    return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'superseded'").fetchall())


def _open(path: Path) -> sqlite3.Connection:
    """Open the table; a damaged file is replaced by an empty one, which costs full requests and never a run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _connect(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        for end in ("", "-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        with suppress(sqlite3.OperationalError):  # another process is at it in this moment: either journal is safe
            connection.execute("PRAGMA journal_mode=WAL")
        # Not synced at every page: a power cut, and only that, may cost the newest entries, which is one full request for each.
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS http (url TEXT PRIMARY KEY, etag TEXT, last_modified TEXT, content_type TEXT,"
            " body_sha256 TEXT, body_bytes INTEGER, retrieved_at TEXT)"
        )
        connection.execute(
            "CREATE TABLE IF NOT EXISTS superseded (url TEXT, content_type TEXT, body_sha256 TEXT,"
            " PRIMARY KEY (url, content_type, body_sha256)) WITHOUT ROWID"
        )
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}; see to its disk and permissions, or remove the file") from error
