"""The artifact store: everything produced lies under its content hash, a cell's path is a pointer to one.

Writes are atomic (temporary file in the same folder, synced, replaced), so a killed process leaves the old file or
the new one. What an artifact means is not known here; tables are Parquet, records are JSON.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
from filelock import FileLock, Timeout
from pydantic import BaseModel

from alas_assets.provenance.ids import CELL_NAME, content_hash, file_hash, files_of, folder_hash, safe_name, sha256_hex
from alas_assets.provenance.tables import DamagedTableError, read_unvouched
from alas_assets.records import Tombstone

R = TypeVar("R", bound=BaseModel)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ITERATION = re.compile(r"[0-9]{3}")
LAST_ITERATION = 999
"""The last iteration that a domain can have: three digits sort as text, and so does everything that is named after them."""
CHANGED = "was changed since it was written, so it proves nothing"
"""What is said of a file that has not the hash under which it is known."""
_NOTE = "[taken down on "
"""How the note begins that a takedown puts in the place of words (`provenance.blocked.order`)."""
TOMBSTONE = "tombstone.json"
"""The one file that a takedown leaves in the folder of an adapter that it retired."""


class StoreError(RuntimeError):
    """Something the store should hold is missing or damaged; the message says what to do."""


class BadKeyError(ValueError):
    """A domain or iteration cannot be part of a cell."""


class CellBusyError(RuntimeError):
    """Another process is materialising the same asset of the same cell."""


@dataclass(frozen=True)
class Cell:
    """One domain and iteration; refuses names that cannot be a path."""

    domain: str
    iteration: str

    def __post_init__(self) -> None:
        if not CELL_NAME.match(self.domain):
            raise BadKeyError(f"domain {self.domain[:80]!r} cannot be a cell: use a-z, 0-9 and '-', at most 64, first a letter or digit")
        if not _ITERATION.fullmatch(self.iteration):
            raise BadKeyError(f'iteration {self.iteration[:80]!r} cannot be a cell: three digits, such as "000"')

    @classmethod
    def of(cls, domain: str, number: int) -> Cell:
        """Return the cell of an iteration number.

        Raises:
            BadKeyError: A domain has no iteration of this number, or a name is no domain's key.
        """
        if number > LAST_ITERATION:
            raise BadKeyError(
                f"{LAST_ITERATION} is the last iteration that {domain[:80]} can have; a copy of its file under a new key begins at 000"
            )
        return cls(domain, f"{number:03d}")

    @property
    def number(self) -> int:
        """The iteration as an integer."""
        return int(self.iteration)

    @property
    def tag(self) -> str:
        """Names, in LanceDB, exactly the passages that this cell read (A1)."""
        return f"cell-{self.iteration}"

    def __str__(self) -> str:
        return f"{self.domain}|{self.iteration}"


@dataclass(frozen=True)
class Pointer:
    """What a cell's asset currently is, and what it was made from."""

    asset: str
    cell: str  # the cell that made it; equal inputs may let another point at it too
    kind: str  # parquet | json
    hash: str  # semantic content hash, the Dagster data version
    file_sha256: str
    input_key: str  # hash of inputs, settings and code version (O4)
    inputs: dict[str, str]
    run_id: str  # the run that made this content for the cell first, and when: made again, it is what it was
    made_at: str
    blobs: tuple[str, ...] = ()  # store-relative files and folders the artifact needs
    redacted: tuple[str, ...] = ()  # takedowns that removed content from the file; its hash is that of the whole content (A3)


def write_atomic(target: Path, data: bytes) -> None:
    """Write a file so that a kill leaves the old content or the new, never a torn one.

    Raises:
        OSError: The disk is full or not writable; the target is then unchanged.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:60]}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def hash_once(path: Path) -> str:
    """Return the SHA-256 of a file, read once in a process for as long as the file keeps its place, size and time of change.

    Raises:
        OSError: It is gone or cannot be read.
    """
    now = path.stat()
    return _hash_of(path, now.st_ino, now.st_size, now.st_mtime_ns)


@lru_cache(maxsize=65536)
def _hash_of(path: Path, *_: int) -> str:
    return file_hash(path)


@lru_cache(maxsize=4096)
def _content_of(path: Path, *_: int) -> str:
    return unvouched_hash(read_unvouched(path))


def table_hash(frame: pl.DataFrame, volatile: tuple[str, ...] = ()) -> str:
    """Return a table's content hash: schema and rows, in order, without the `volatile` columns (times of fetching)."""
    kept = frame.drop([c for c in volatile if c in frame.columns])
    rows = kept.write_ndjson()
    return sha256_hex(json.dumps([(n, str(t)) for n, t in kept.schema.items()]) + rows)


def unvouched_hash(frame: pl.DataFrame) -> str:
    """As `table_hash`, of a table out of a file that nobody vouches for: it may hold what cannot be written down.

    Raises:
        DamagedTableError: It does.
    """
    try:
        return table_hash(frame)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DamagedTableError(str(error).splitlines()[0]) from error


_whole: dict[Path, list[tuple[str, int, int]]] = {}
"""Names, sizes and times of the files of every adapter that was hashed in this process and is whole."""


class ArtifactStore:
    """Reads and writes artifacts, pointers and blobs under one root (`ALAS_HOME`).

    Args:
        root: The folder.
        lance: Where the passages lie if not under it: a folder, or the URI of an object store.
    """

    def __init__(self, root: Path, lance: str = "") -> None:
        self.root = root.resolve()
        self._lance = lance

    # -- places -------------------------------------------------------------------------------------------------
    @property
    def pages(self) -> Path:
        """Raw bodies by SHA-256."""
        return self.root / "pages"

    @property
    def texts(self) -> Path:
        """Extracted texts by SHA-256."""
        return self.root / "texts"

    @property
    def lance(self) -> Path | str:
        """The LanceDB folder, or its URI."""
        return self._lance or self.root / "lance"

    @property
    def models(self) -> Path:
        """Prepared students."""
        return self.root / "models"

    @property
    def adapters(self) -> Path:
        """Adapter folders by hash."""
        return self.root / "artifacts" / "adapters"

    @property
    def served(self) -> Path:
        """Merged models that are or were served, by adapter hash; each can be made again."""
        return self.root / "served"

    def work(self, asset: str, input_key: str) -> Path:
        """Return a working folder (checkpoints) that belongs to one input key and survives a kill."""
        return self.root / "work" / safe_name(asset) / input_key[:20]

    # -- blobs --------------------------------------------------------------------------------------------------
    def put_bytes(self, folder: Path, data: bytes, suffix: str = "") -> str:
        """Store bytes under their hash and return it; equal content is stored once."""
        digest = sha256_hex(data)
        target = folder / f"{digest}{suffix}"
        if not target.exists() or file_hash(target) != digest:
            write_atomic(target, data)
        return digest

    def put_folder(self, folder: Path, made: Path) -> str:
        """Move a finished folder to its hash and return the hash; an equal one that exists is kept.

        Raises:
            StoreError: A takedown retired a folder of this hash.
        """
        digest = folder_hash(made)
        target = folder / digest
        if (target / TOMBSTONE).is_file():
            raise StoreError(f"{target} was retired by a takedown; what has just been made is the same again and is not kept")
        folder.mkdir(parents=True, exist_ok=True)
        if target.exists() and folder_hash(target) == digest:
            shutil.rmtree(made)
        else:
            if target.exists():
                shutil.rmtree(target)
            os.replace(made, target)
        return digest

    # -- artifacts ----------------------------------------------------------------------------------------------
    def _pointer_path(self, cell: Cell, asset: str) -> Path:
        return self.root / "cells" / cell.domain / cell.iteration / f"{safe_name(asset)}.json"

    def _memo_path(self, asset: str, input_key: str) -> Path:
        return self.root / "memo" / safe_name(asset) / f"{input_key}.json"

    def artifact_path(self, asset: str, digest: str, kind: str) -> Path:
        """Return where an artifact of this hash lies."""
        return self.root / "artifacts" / safe_name(asset) / f"{digest}.{kind}"

    def put(
        self,
        cell: Cell,
        asset: str,
        value: pl.DataFrame | BaseModel,
        *,
        input_key: str,
        inputs: dict[str, str],
        run_id: str,
        volatile: tuple[str, ...] = (),
        blobs: tuple[str, ...] = (),
        remember: bool = True,
    ) -> Pointer:
        """Store a value under its content hash and point the cell at it.

        Args:
            cell: The cell it belongs to.
            asset: The asset's name.
            value: A table or a record.
            input_key: Hash of everything the value was made from.
            inputs: Data version of each input, by asset.
            run_id: The Dagster run that made it; where the cell had the same content before, the run that made that is kept.
            volatile: Columns or fields that do not count as content (times).
            blobs: Store-relative paths that must exist for the artifact to be whole.
            remember: False: the same inputs will be worked on again (something failed that may get right).
        """
        if isinstance(value, pl.DataFrame):
            kind, digest = "parquet", table_hash(value, volatile)
        else:
            kind = "json"
            digest = content_hash(value.model_dump(mode="json", exclude=set(volatile)))
        path = self.artifact_path(asset, digest, kind)
        redacted = self._redacted_by(path, cell, asset, digest)
        if not redacted and not self._vouched_for(path, asset, digest):
            data = _parquet_of(value) if isinstance(value, pl.DataFrame) else value.model_dump_json(indent=1).encode()
            self._tell_pointers(asset, digest, sha256_hex(data))  # first, so that a kill between the two leaves a file to be written again
            write_atomic(path, data)
        pointer = Pointer(
            asset=asset,
            cell=str(cell),
            kind=kind,
            hash=digest,
            file_sha256=file_hash(path),
            input_key=input_key,
            inputs=inputs,
            run_id=run_id,
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            blobs=blobs,
            redacted=redacted,
        )
        first = self.first_made(pointer)
        pointer = replace(pointer, run_id=first.run_id, made_at=first.made_at)
        data = json.dumps(pointer.__dict__, indent=1).encode()
        if remember:
            write_atomic(self._memo_path(asset, input_key), data)
        else:
            self._memo_path(asset, input_key).unlink(missing_ok=True)
        write_atomic(self._pointer_path(cell, asset), data)
        return pointer

    def _tell_pointers(self, asset: str, digest: str, file_sha256: str) -> None:
        """Give every pointer to a content whose file is written again the hash of its bytes: columns that are no content may differ."""
        for path, one in self._pointers_to(asset, digest):
            if one.file_sha256 != file_sha256:
                write_atomic(path, json.dumps(replace(one, file_sha256=file_sha256, redacted=()).__dict__, indent=1).encode())

    def _vouched_for(self, path: Path, asset: str, digest: str) -> bool:
        """Tell whether a content's file has the bytes that some pointer to it names; one that was torn or edited has not."""
        if not path.is_file():
            return False
        now = file_hash(path)
        return any(one.file_sha256 == now for _, one in self._pointers_to(asset, digest))

    def _pointers_to(self, asset: str, digest: str) -> Iterator[tuple[Path, Pointer]]:
        """Yield where each pointer to a content lies, of any cell and of any inputs that gave it, and the pointer."""
        name = safe_name(asset)
        for path in (*(self.root / "cells").glob(f"*/*/{name}.json"), *(self.root / "memo" / name).glob("*.json")):
            if (one := _read_pointer(path)) and one.hash == digest:
                yield path, one

    def pointer(self, cell: Cell, asset: str) -> Pointer | None:
        """Return the cell's pointer, or None where the asset was never made."""
        return _read_pointer(self._pointer_path(cell, asset))

    def cells(self, domain: str) -> list[Cell]:
        """Return every cell of a domain, oldest first; what else lies among them, such as a copy of a folder, is none."""
        folder = self.root / "cells" / domain
        found = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        return [Cell(domain, name) for name in found if _ITERATION.fullmatch(name)]

    def first_made(self, pointer: Pointer) -> Pointer:
        """Return the earliest pointer on record to the same content of the same cell: its run made what others only made again."""
        on_record = self._on_record(Cell(*pointer.cell.split("|")), pointer.asset)
        same = [one for one in on_record if (one.cell, one.hash) == (pointer.cell, pointer.hash)]
        return min([*same, pointer], key=lambda one: one.made_at)

    def _on_record(self, cell: Cell, asset: str) -> Iterator[Pointer]:
        """Yield what a cell's asset is and what any inputs gave for it, of whatever cell."""
        yield from (one for one in (self.pointer(cell, asset), *self.remembered(asset)) if one)

    def remembered(self, asset: str) -> list[Pointer]:
        """Return what any inputs gave for an asset, of whatever cell, in no order; a damaged pointer is left out."""
        memos = (_read_pointer(path) for path in (self.root / "memo" / safe_name(asset)).glob("*.json"))
        return [one for one in memos if one]

    def _redacted_by(self, path: Path, cell: Cell, asset: str, digest: str) -> tuple[str, ...]:
        """Return the takedowns that left a file as it is; none where it was never redacted, or was changed since."""
        marked = [one for one in self._on_record(cell, asset) if one.redacted and one.hash == digest]
        if not marked or not path.is_file():
            return ()
        now = file_hash(path)
        return next((one.redacted for one in marked if one.file_sha256 == now), ())

    def point(self, cell: Cell, pointer: Pointer) -> None:
        """Point a cell at an artifact that exists (the same inputs were seen before)."""
        write_atomic(self._pointer_path(cell, pointer.asset), json.dumps(pointer.__dict__, indent=1).encode())

    def known(self, asset: str, input_key: str) -> Pointer | None:
        """Return what these inputs gave before, if it is still whole; None means: make it (again)."""
        pointer = _read_pointer(self._memo_path(asset, input_key))
        return pointer if pointer is not None and self.whole(pointer) else None

    def whole(self, pointer: Pointer) -> bool:
        """Tell whether the artifact's file has the bytes it was written with and its blobs are there."""
        path = self.artifact_path(pointer.asset, pointer.hash, pointer.kind)
        return path.is_file() and file_hash(path) == pointer.file_sha256 and all(self._blob_whole(b) for b in pointer.blobs)

    def _blob_whole(self, relative: str) -> bool:
        path = self.root / relative
        if path.is_dir():  # a retired adapter is as it has to be: it is not trained again behind anybody's back (A3)
            return (path / TOMBSTONE).is_file() or folder_hash(path) == path.name
        if path.parent == self.root / "rows" and path.is_file():
            try:
                return self._rows_whole(path)
            except (StoreError, OSError):
                return False
        return path.is_file() and (not _DIGEST.fullmatch(path.name) or file_hash(path) == path.name)

    def adapter(self, adapter_hash: str) -> Path:
        """Return the folder of an adapter that is to be used; its content is hashed once in a process, and again where a file changed.

        Raises:
            StoreError: A takedown retired it (the message names the takedown), or it is gone or damaged (it says what makes it again).
        """
        folder = self.adapters / adapter_hash
        if stone := self.tombstone(adapter_hash):
            raise StoreError(
                f"adapter {adapter_hash[:16]} was retired by takedown {stone.takedown} on {stone.at[:10]} (see takedown-{stone.takedown} "
                "among the store's reports) and can be used no more; `alas status` shows what is current"
            )
        found = [(name, (folder / name).stat()) for name in files_of(folder)]
        files = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in found]
        if not files:
            raise StoreError(f"adapter {folder} is gone; {self._made_again(adapter_hash)}")
        if _whole.get(folder) != files and folder_hash(folder) != adapter_hash:
            raise StoreError(f"adapter {folder} {self._damage(adapter_hash)}")
        _whole[folder] = files
        return folder

    def _damage(self, adapter_hash: str) -> str:
        """Say which file makes an adapter's folder another than its hash says, as far as one hash of them all tells, and what to do."""
        folder = self.adapters / adapter_hash
        hashes = {name: file_hash(folder / name) for name in files_of(folder)}
        for name in hashes:
            if content_hash([[other, digest] for other, digest in hashes.items() if other != name]) == adapter_hash:
                return f"holds {name}, which is no part of it; remove that file"
        missing = [name for name in ("adapter_config.json", "adapter_model.safetensors", "manifest.json") if name not in hashes]
        last = max(hashes, key=lambda name: (folder / name).stat().st_mtime_ns)
        what = f"{' and '.join(missing)} is missing" if missing else f"its files are not those of its hash; {last} was changed last"
        return f"is damaged; {self._made_again(adapter_hash)} ({what})"

    def _made_again(self, adapter_hash: str) -> str:
        """Say what makes an adapter again: the steps that trained it."""
        folder = self.root / "cells"
        domains = sorted(path.name for path in folder.iterdir() if CELL_NAME.match(path.name)) if folder.is_dir() else []
        made = [(cell, asset) for domain in domains for cell in self.cells(domain) for asset in ("sft_adapter", "dpo_adapter")]
        pointers = [(cell, pointer) for cell, asset in made if (pointer := self.pointer(cell, asset))]
        records = [(cell, pointer.asset, self._record_of(pointer)) for cell, pointer in pointers]
        steps = [f"{asset} of {cell}" for cell, asset, ref in records if ref.get("trained") and ref.get("adapter_hash") == adapter_hash]
        if not steps:
            return "no iteration of this store trained it, so `alas rollback DOMAIN`, where it is current, goes back one"
        return (
            f"materialise {' and '.join(steps)} again in the UI (`alas run` does it where that is the newest iteration), or go back one "
            "with `alas rollback DOMAIN`, where it is current"
        )

    def _record_of(self, pointer: Pointer) -> dict[str, Any]:
        try:
            return dict(json.loads(self.artifact_path(pointer.asset, pointer.hash, pointer.kind).read_bytes()))
        except (OSError, ValueError, TypeError):
            return {}

    def manifest(self, adapter_hash: str) -> dict[str, Any] | None:
        """Return what an adapter's training wrote down about it (T5); None where the folder is gone, or only its tombstone is left.

        Raises:
            StoreError: It is damaged.
        """
        path = self.adapters / adapter_hash / "manifest.json"
        try:
            found: dict[str, Any] = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StoreError(f"{path}: cannot be read ({error}); {self._made_again(adapter_hash)}") from error
        return found

    def tombstone(self, adapter_hash: str) -> Tombstone | None:
        """Return what is left of an adapter that a takedown retired; None where none did.

        Raises:
            StoreError: The tombstone is damaged.
        """
        path = self.adapters / adapter_hash / TOMBSTONE
        try:
            return Tombstone.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StoreError(f"{path}: cannot be read ({error}); the adapter was retired by a takedown all the same") from error

    def read_table(self, pointer_or_hash: Pointer | str, asset: str | None = None, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Read a table by pointer, or by hash and asset name; of these columns, or of all.

        Raises:
            StoreError: The file is gone, unreadable or not as the pointer's step left it; the message says what to materialise again.
        """
        path = self._locate(pointer_or_hash, asset, "parquet")
        try:
            if isinstance(pointer_or_hash, Pointer) and hash_once(path) != pointer_or_hash.file_sha256:
                raise StoreError(f"{path}: {CHANGED}; materialise {path.parent.name} of {pointer_or_hash.cell} again")
            read = pl.read_parquet if isinstance(pointer_or_hash, Pointer) else read_unvouched
            return read(path, columns=list(columns) if columns else None)
        except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise StoreError(f"{path}: cannot be read ({error}); materialise {path.parent.name} of that cell again") from error

    def read_record(self, model: type[R], pointer_or_hash: Pointer | str, asset: str | None = None) -> R:
        """Read a record by pointer, or by hash and asset name.

        Raises:
            StoreError: The file is gone, unreadable or not as the pointer's step left it; the message says what to materialise again.
        """
        path = self._locate(pointer_or_hash, asset, "json")
        try:
            if isinstance(pointer_or_hash, Pointer) and hash_once(path) != pointer_or_hash.file_sha256:
                raise StoreError(f"{path}: {CHANGED}; materialise {path.parent.name} of {pointer_or_hash.cell} again")
            return model.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise StoreError(f"{path}: cannot be read ({error}); materialise {path.parent.name} of that cell again") from error

    def training_rows_path(self, kind: str, rows_hash: str) -> Path:
        """Return where the exact rows of a training lie (T5); `kind` is `sft` or `dpo`."""
        return self.root / "rows" / f"{kind}-{rows_hash}.parquet"

    def read_training_rows(self, kind: str, rows_hash: str, columns: list[str] | None = None) -> pl.DataFrame:
        """Read the exact rows that an adapter was trained on, by its record's kind and hash; of these columns, or of all.

        Raises:
            StoreError: The file is gone, unreadable, or holds other rows than its hash says and than a takedown leaves.
        """
        path = self.training_rows_path(kind, rows_hash)
        try:
            if not self._rows_whole(path):
                raise StoreError(f"{path}: {CHANGED}; materialise {kind}_adapter of that cell again")
            return read_unvouched(path, columns)
        except OSError as error:
            raise StoreError(f"{path}: cannot be read ({error}); materialise {kind}_adapter of that cell again") from error

    def _rows_whole(self, path: Path) -> bool:
        """Tell whether a file of training rows holds those that it is named by, or what a takedown left of them.

        A takedown drops rows of adapters that it retires, and in others puts its note in the place of words; the name stays (A3).

        Raises:
            OSError: The file is gone, damaged or cannot be read.
        """
        now, digest = path.stat(), path.stem.partition("-")[2]
        if _content_of(path, now.st_ino, now.st_size, now.st_mtime_ns) == digest:
            return True
        stones = (self.tombstone(folder.name) for folder in self.adapters.glob("*"))
        return any(stone and stone.rows_hash == digest for stone in stones) or _NOTE in read_unvouched(path).write_ndjson()

    def _locate(self, pointer_or_hash: Pointer | str, asset: str | None, kind: str) -> Path:
        if isinstance(pointer_or_hash, Pointer):
            return self.artifact_path(pointer_or_hash.asset, pointer_or_hash.hash, kind)
        if asset is None:
            raise ValueError("a hash needs the asset's name")
        return self.artifact_path(asset, pointer_or_hash, kind)

    # -- locks --------------------------------------------------------------------------------------------------
    @contextmanager
    def exclusive(self, cell: Cell, asset: str, owner: str) -> Iterator[None]:
        """Hold the asset of a cell for this process; the kernel lets go when the process dies.

        Raises:
            CellBusyError: Somebody else holds it; the message names who.
        """
        path = self.root / "locks" / cell.domain / cell.iteration / f"{safe_name(asset)}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        note = path.with_suffix(".owner")
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            holder = note.read_text(encoding="utf-8") if note.exists() else "another process"
            raise CellBusyError(f"{asset} of {cell} is being materialised by {holder}; wait for it, then run again") from error
        try:
            write_atomic(note, owner.encode())
            yield
        finally:
            lock.release()


def _parquet_of(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


def holds(path: Path, digest: str) -> bool:
    """Tell whether a file is the table of this hash; one that is not there, or was torn or edited, is not."""
    try:
        return unvouched_hash(read_unvouched(path)) == digest
    except OSError:
        return False


def _read_pointer(path: Path) -> Pointer | None:
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Pointer(**{**raw, "blobs": tuple(raw.get("blobs", ())), "redacted": tuple(raw.get("redacted", ()))})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return None  # a damaged pointer counts as never made: the asset is materialised again
