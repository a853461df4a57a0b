"""A local folder of documents as a source: its files come out as rows like fetched pages, nothing outside it ever does (R2, R3).

A document is named by a `folder:` URL, which only this module opens, and only among the files that it listed itself: the fetcher
refuses the scheme, and no link, feed, sitemap or search answer is read as one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote

from alas_assets.domains.sources import Sources
from alas_assets.provenance.blocked.documents import FOLDER, cache_key
from alas_assets.provenance.blocked.order import Blocked
from alas_assets.provenance.ids import sha256_hex
from alas_assets.provenance.store import ArtifactStore
from alas_assets.retrieval.fetch import Fetched, unreadable_kind
from alas_assets.retrieval.http_cache import CacheEntry, HttpCache

SCHEME = FOLDER

CONTENT_TYPES = {
    ".html": "text/html",
    ".htm": "text/html",
    ".md": "text/markdown",
    ".rst": "text/x-rst",
    ".txt": "text/plain",
    ".pdf": "application/pdf",
    ".json": "application/json",
}
MAX_FILES = 10_000


def is_folder_url(url: str) -> bool:
    """Tell whether a URL names a document of a domain's folder."""
    return url.startswith(SCHEME)


@dataclass(frozen=True)
class Listing:
    """What a folder holds, in the order of the names."""

    documents: dict[str, Path]  # by URL
    problems: list[tuple[str, str]]  # (url, reason) of what is there and not read


class Folder:
    """The documents under one domain's `sources.folder`.

    Args:
        sources: Its `folder` and `max_bytes`.
        store: Keeps the bodies, and when each was first seen.
    """

    def __init__(self, sources: Sources, store: ArtifactStore) -> None:
        self._root = Path(sources.folder) if sources.folder else None
        self._limit = sources.max_bytes
        self._store = store
        self._listing: Listing | None = None

    def listing(self) -> Listing:
        """List the folder once; hidden names are passed over, and so is whatever has another suffix than the documents'."""
        if self._listing is None:
            self._listing = self._listed()
        return self._listing

    def read(self, urls: list[str]) -> list[Fetched]:
        """Read documents by URL; one that cannot be read is a row with its reason, never an exception.

        Raises:
            OSError: The store cannot be written.
            StoreError: The memory of what was seen cannot be written.
        """
        if not urls:
            return []
        blocked = Blocked(self._store.root)
        with HttpCache.opened(self._store.root / "http_cache.sqlite") as seen:
            return [self._read(url, seen, blocked) for url in urls]

    def _listed(self) -> Listing:
        if self._root is None:
            return Listing({}, [])
        if not self._root.is_dir():
            return Listing({}, [(SCHEME, f"{_shown(self._root)} (sources.folder) is not a folder")])
        documents: dict[str, Path] = {}
        problems: list[tuple[str, str]] = []
        for path in _walk(self._root, problems):
            url = self._url(path)
            if path.suffix.lower() not in CONTENT_TYPES:
                continue
            if path.is_symlink():
                problems.append((url, "a symbolic link: only files that lie in the folder are read"))
            elif (shown := _shown(path)) != str(path):  # databases, tables and reports could not hold it
                problems.append((url, f"{shown} has a name that is not UTF-8; give it one that is, and it is read"))
            elif len(documents) == MAX_FILES:
                problems.append(
                    (SCHEME, f"{_shown(self._root)} (sources.folder) holds more than {MAX_FILES:,} documents; the rest is not read")
                )
                break
            else:
                documents[url] = path
        return Listing(documents, problems)

    def _url(self, path: Path) -> str:
        assert self._root is not None
        return SCHEME + quote(os.fsencode(path.relative_to(self._root).as_posix()))

    def _read(self, url: str, seen: HttpCache, blocked: Blocked) -> Fetched:
        now = datetime.now(UTC)

        def failed(reason: str) -> Fetched:
            return Fetched(url, url, False, None, reason, False, now, now)

        if refusal := blocked.document(url, self._root) if self._root else blocked.address(url):
            return failed(refusal)
        path = self.listing().documents.get(url)
        if path is None or self._root is None:
            return failed(f"{url} is not in sources.folder")
        if not path.resolve().is_relative_to(self._root.resolve()):  # a folder on the way was replaced since it was listed
            return failed(f"{path} leads out of sources.folder")
        try:
            body, changed = _contents(path, self._limit)
        except OSError as error:
            return failed(f"{path} cannot be read: {error.strerror or error}")
        if len(body) > self._limit:
            return failed(f"{path} is larger than {self._limit:,} bytes (sources.max_bytes)")
        content_type = CONTENT_TYPES[path.suffix.lower()]
        if not body.strip():
            return failed(f"{path} is empty")
        if problem := unreadable_kind(body, content_type):
            return failed(f"{path} is {problem}, which is not read")
        if refusal := blocked.body(sha256_hex(body)):
            return failed(refusal)
        return self._row(url, path, body, format_datetime(changed, usegmt=True), content_type, now, seen)

    def _row(self, url: str, path: Path, body: bytes, last_modified: str, content_type: str, now: datetime, seen: HttpCache) -> Fetched:
        digest = self._store.put_bytes(self._store.pages, body)
        assert self._root is not None
        name = cache_key(url, self._root)
        earlier = seen.get(name) or seen.get(str(path))  # older stores have it under its path
        first_seen = earlier.retrieved_at if earlier is not None and earlier.body_sha256 == digest else now.isoformat()
        seen.put(CacheEntry(name, "", last_modified, content_type, digest, len(body), first_seen))
        return Fetched(
            requested_url=url,
            final_url=url,
            ok=True,
            status=None,
            reason="",
            from_cache=False,
            retrieved_at=now,
            body_retrieved_at=datetime.fromisoformat(first_seen),
            last_modified=last_modified,
            content_type=content_type,
            body_sha256=digest,
            body_bytes=len(body),
        )


def _walk(root: Path, problems: list[tuple[str, str]]) -> Iterator[Path]:
    """Yield the files of a tree in the order of their names, without entering linked or hidden folders."""

    def unread(error: OSError) -> None:
        problems.append((SCHEME, f"{_shown(error.filename)} cannot be listed: {error.strerror}"))

    for folder, subfolders, files in os.walk(root, onerror=unread, followlinks=False):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in subfolders:
            if (Path(folder) / name).is_symlink():
                problems.append(
                    (SCHEME, f"{_shown(Path(folder) / name)} is a symbolic link: only folders that lie in sources.folder are read")
                )
        yield from (Path(folder) / name for name in sorted(files) if not name.startswith("."))


def _shown(path: Path | str) -> str:
    """Return a path as text, each byte that is no part of UTF-8 as its number."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _contents(path: Path, limit: int) -> tuple[bytes, datetime]:
    """Return a regular file's bytes, at most one more than the limit, and its time of change; a link in its place is an error.

    Raises:
        OSError: It is gone, a link, no regular file, or may not be read.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(None, "not a regular file")
        return file.read(limit + 1), datetime.fromtimestamp(int(status.st_mtime), UTC)
