"""Every text in a file, whatever kind of file it is: tables, databases, JSON, logs, packed files, raw bytes (A3).

Reading only, and of the user's own store; pages that were fetched are read as bytes, never parsed by a foreign library.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import json
import lzma
import re
import sqlite3
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from alas_assets.provenance.blocked.marks import strings_in
from alas_assets.provenance.tables import read_unvouched

WEIGHTS = (".safetensors", ".gguf", ".bin", ".pt", ".pth", ".onnx")
"""Files of numbers; of safetensors the header is read."""
BYTES = "bytes of the file"
"""Where a text is that was read from a database's raw bytes: also what was deleted and is not overwritten."""
ROW = "whole row"
"""Where a text is that has all values of a row in a row, as they lie in the file: what reads on from one value into the next."""
_STRICT = (".parquet", ".sqlite", ".sqlite3", ".db")
"""Our own tables and databases: one that cannot be read as such is damaged. Any other file may only begin like one, as a page can."""
_OPAQUE = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"%PDF", b"RIFF")
_CHARSETS = (
    *("cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp866", "cp874"),
    *("iso8859_2", "iso8859_3", "iso8859_4", "iso8859_5", "iso8859_6", "iso8859_7", "iso8859_8", "iso8859_10", "iso8859_13", "iso8859_14"),
    *("iso8859_15", "iso8859_16", "koi8_r", "koi8_u", "mac_roman", "mac_cyrillic"),
    *("gb18030", "big5hkscs", "euc_jp", "cp932", "cp949"),
)
"""What else than UTF-8 and UTF-16 browsers read pages in (the Encoding Standard's), bytes above 127 and so no valid UTF-8."""
_SHIFTED = {b"\x1b": "iso2022_jp", b"~{": "hz"}
"""Charsets of seven bits, by what leads out of ASCII in them."""
_PACKED = re.compile(r"^[A-Za-z0-9+/=_-]{24,}$")
_HEX = re.compile(r"^[0-9a-f-]+$")
_MAX_DEPTH = 4
_MAX_UNPACKED = 1 << 27


class UnreadableError(Exception):
    """A file of a known kind cannot be read, so that nobody can say what it holds."""


def is_text(path: Path) -> bool:
    """Tell whether what a file holds can be read as text, as a table or as a database; weights and pictures cannot."""
    if path.suffix.lower() in WEIGHTS:
        return False
    with path.open("rb") as handle:
        return not handle.read(8).startswith(_OPAQUE)


def texts_in_body(path: Path) -> Iterator[tuple[str, str]]:
    """Yield as `located_texts` what a stored page holds, and where it is no UTF-8 what it says in every charset that pages come in.

    In which one it was sent only its server said.

    Raises:
        UnreadableError: It cannot be opened, or is damaged.
    """
    yield from located_texts(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"{type(error).__name__}: {str(error)[:200]}") from error
    seen: set[str] = set()
    for charset in _charsets_of(data):
        text = data.decode(charset, "replace")
        if text not in seen:
            seen.add(text)
            yield f"as {charset}", text


def _charsets_of(data: bytes) -> Iterator[str]:
    yield from (charset for sign, charset in _SHIFTED.items() if sign in data)
    try:
        data.decode()
    except UnicodeDecodeError:
        yield from _CHARSETS


def texts_in_file(path: Path) -> Iterator[str]:
    """Yield every text in a file, also from within JSON strings, packed data and what a database has deleted but not overwritten.

    Raises:
        UnreadableError: It is damaged, or cannot be opened; the message says why.
    """
    yield from (text for where, text in located_texts(path) if where != ROW)


def located_texts(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (where in the file, text), of databases whole rows too; else as `texts_in_file`."""
    try:
        if path.suffix.lower() in WEIGHTS:
            yield from (("header", text) for text in _header(path))
            return
        with path.open("rb") as handle:
            head = handle.read(16)
        table = _parquet if head.startswith(b"PAR1") else _sqlite if head.startswith(b"SQLite format 3\0") else None
        if table is not None:
            yield from _as_table(path, table)
        if table is not _parquet:
            if table is None:
                yield from (("", text) for text in texts_in_bytes(path.read_bytes()))
            else:  # also what was deleted and is not overwritten
                yield BYTES, path.read_bytes().decode("utf-8", "replace").replace("\0", " ")
    except UnreadableError:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise UnreadableError(f"{type(error).__name__}: {str(error)[:200]}") from error


def _as_table(path: Path, read: Callable[[Path], Iterator[tuple[str, str]]]) -> Iterator[tuple[str, str]]:
    """Yield what a table or database holds; of a file that only begins like one its bytes.

    Raises:
        UnreadableError: It is named as one and is damaged.
    """
    try:
        yield from read(path)
    except (OSError, ValueError, sqlite3.Error) as error:
        if path.suffix.lower() in _STRICT:
            raise UnreadableError(f"{type(error).__name__}: {str(error)[:200]}") from error
        yield from ((BYTES, text) for text in texts_in_bytes(path.read_bytes()))


def texts_in_bytes(data: bytes, depth: int = 0) -> Iterator[str]:
    """Yield every text in bytes of any kind: unpacked where they are packed, JSON string by string, else in the usual encodings."""
    unpacked = _unpacked(data) if depth < _MAX_DEPTH else []
    for inner in unpacked:
        yield from texts_in_bytes(inner, depth + 1)
    if unpacked:
        return
    start = data[:64].lstrip()
    if start[:1] in (b"{", b"[", b'"'):
        yield from _json_texts(data, depth)
    else:
        yield from _raw(data)


def _json_texts(data: bytes, depth: int) -> Iterator[str]:
    """Yield the strings of a JSON text; of what is none as a whole the bytes too, and the strings of those lines that are JSON."""
    text = data.decode("utf-8", "replace")
    try:
        values: Iterable[Any] = [json.loads(text, object_pairs_hook=list)]  # so that no repeated key hides another
    except (ValueError, RecursionError):
        yield from _raw(data)
        values = _json_lines(text)
    for value in values:
        for string in strings_in(value):
            yield string
            yield from _from_base64(string, depth)


def _json_lines(text: str) -> Iterator[Any]:
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            continue


def _from_base64(text: str, depth: int) -> Iterator[str]:
    """Yield what base64 text hides, where it is packed data or text of its own; Dagster keeps cursors so."""
    if depth >= _MAX_DEPTH or not _PACKED.match(text) or _HEX.match(text):  # ids and hashes are no packed text
        return
    try:
        data = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return
    yield from texts_in_bytes(data, depth + 1)


def _raw(data: bytes) -> Iterator[str]:
    """Yield bytes as UTF-8 and, where zeros are among them, as UTF-16 of either order and alignment."""
    yield data.decode("utf-8", "replace").replace("\0", " ")
    if b"\0" in data:
        for shift in (0, 1):
            yield data[shift:].decode("utf-16-le", "replace")
            yield data[shift:].decode("utf-16-be", "replace")


def _unpacked(data: bytes) -> list[bytes]:
    """Return what packed bytes hold; nothing where they are not packed.

    Raises:
        UnreadableError: They unpack to more than can be looked through.
    """
    try:
        if data.startswith(b"\x1f\x8b"):
            return _inflated(data, lambda: zlib.decompressobj(31))
        if data.startswith(b"BZh"):
            return _inflated(data, bz2.BZ2Decompressor)
        if data.startswith(b"\xfd7zXZ\0"):
            return _inflated(data, lzma.LZMADecompressor)
        if data.startswith(b"\x28\xb5\x2f\xfd"):
            return [_zstd(data)]
        if data.startswith(b"PK\x03\x04"):
            return _zip(data)
        if data[:1] == b"\x78" and len(data) > 8 and int.from_bytes(data[:2], "big") % 31 == 0:
            return _inflated(data, zlib.decompressobj)
    except _DAMAGED:
        pass  # it only looks packed: its bytes are searched as they are
    return []


_DAMAGED = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _inflated(data: bytes, unpacker: Callable[[], _Unpacker]) -> list[bytes]:
    """Return what streams one after the other hold, and as it is what follows them; no more than the limit is ever unpacked."""
    parts: list[bytes] = []
    room = _MAX_UNPACKED
    while data:
        stream = unpacker()
        try:
            part = stream.decompress(data, room + 1)
        except _DAMAGED:
            if not parts:
                raise
            break
        if len(part) > room:
            raise _too_large()
        if not stream.eof:
            raise EOFError
        parts.append(part)
        room -= len(part)
        data = stream.unused_data
    return [one for one in (b"".join(parts), data) if one]


def _too_large() -> UnreadableError:
    return UnreadableError(f"unpacks to more than {_MAX_UNPACKED:,} bytes")


def _zstd(data: bytes) -> bytes:
    import pyarrow as pa

    with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
        found = stream.read(_MAX_UNPACKED + 1)
    if len(found) > _MAX_UNPACKED:
        raise _too_large()
    return found


def _zip(data: bytes) -> list[bytes]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        if sum(member.file_size for member in archive.infolist()) > _MAX_UNPACKED:
            raise _too_large()
        try:
            return [archive.read(member) for member in archive.infolist() if not member.is_dir()]
        except RuntimeError as error:  # it is encrypted, or packed in a way that is not known
            raise UnreadableError(f"cannot be unpacked: {error}") from error


def _header(path: Path) -> Iterator[str]:
    """Yield what a safetensors file says of itself; of other files of numbers nothing can be read."""
    if path.suffix.lower() != ".safetensors":
        return
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        if length > 100 << 20:
            raise UnreadableError("its header is damaged")
        yield from strings_in(json.loads(handle.read(length) or b"{}"))


def _parquet(path: Path) -> Iterator[tuple[str, str]]:
    import pyarrow.parquet as pq

    kept = pq.read_metadata(path).metadata or {}
    yield from (("metadata", text) for value in kept.values() for text in texts_in_bytes(value))
    yield from texts_in_table(read_unvouched(path))


def texts_in_table(table: pl.DataFrame) -> Iterator[tuple[str, str]]:
    """Yield (column, text) of every distinct string of a table, also in lists and structs."""
    for name, kind in table.schema.items():
        if kind in (pl.String, pl.Categorical):
            yield from ((name, text) for text in table[name].cast(pl.String).drop_nulls().unique().to_list())
        elif kind == pl.Binary:
            yield from ((name, text) for data in table[name].drop_nulls().to_list() for text in texts_in_bytes(data))
        elif kind.is_nested():
            yield from ((name, text) for value in table[name].to_list() for text in strings_in(value))


def _sqlite(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (table and column, text) of every value of every table, and every row as it lies in the file."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=60)) as connection:
        connection.text_factory = bytes
        tables = [name.decode() for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            quoted = table.replace('"', '""')
            rows = connection.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608 - the file's own table names, quoted
            columns = [column[0] for column in rows.description]
            for row in rows:
                yield ROW, "".join(value.decode("utf-8", "replace") if isinstance(value, bytes) else " " for value in row)
                for column, value in zip(columns, row, strict=True):
                    if isinstance(value, bytes):
                        texts = (*texts_in_bytes(value), *_from_base64(value.decode("utf-8", "replace"), 0))
                        yield from ((f"{table}.{column}", text) for text in texts)
