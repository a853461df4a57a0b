"""Removing a source from the store, step by step: registry, adapters, tables, pages, caches and what lies about (A3).

Each function is one step, may be killed at any point and does the rest when called again. Artifacts keep their hash, which pointers, seeds
and Dagster name; the file is rewritten. Passages are `retrieval.takedown`'s, Dagster's own storage is `defs.takedown`'s.
"""

from __future__ import annotations

import html
import io
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl

from alas_assets.provenance.blocked.documents import EVERYTHING, Limit, limit_to, own_entries
from alas_assets.provenance.blocked.marks import redacted_json, strings_in
from alas_assets.provenance.blocked.order import Order, TakedownError, folder_of, normal, orders, report_files
from alas_assets.provenance.changes import WatchState, update_watch_state
from alas_assets.provenance.ids import content_hash, safe_name, sha256_hex
from alas_assets.provenance.store import TOMBSTONE, ArtifactStore, StoreError, write_atomic
from alas_assets.provenance.tables import read_unvouched
from alas_assets.records import Tombstone
from alas_assets.release.registry import Registry
from alas_assets.removal.bodies import bodies_of_others, claimed_bodies, named_blobs
from alas_assets.removal.files import UnreadableError, is_text, texts_in_body, texts_in_file
from alas_assets.removal.plan import KEPT_FILES, affected_adapters
from alas_assets.removal.tables import Removal, record_without, table_without
from alas_assets.retrieval.http_cache import keeps_superseded

Did = dict[str, int]
_BUSY_SECONDS = 60


def limit_of(store: ArtifactStore, order: Order) -> Limit:
    """Return whose document a takedown means."""
    return limit_to(store, order.limited_to) if order.limited_to else EVERYTHING


# ------------------------------------------------------------------------------------------------ what answers


def purge_registry(store: ArtifactStore, removal: Removal) -> Did:
    """Make the newest adapter current that learned nothing of the source, in every domain it touches; else the base student."""
    order, registry = removal.order, Registry(store.root / "registry")
    changed = 0
    for domain in sorted({one.domain for one in order.retired}):
        before = registry.current(domain)
        retired = {one.adapter_hash for one in order.retired if one.domain == domain}
        changed += registry.take_down(domain, retired, takedown=order.id, at=order.at) != before
    return {"domains_with_another_model": changed}


def purge_adapters(store: ArtifactStore, removal: Removal) -> Did:
    """Replace every affected adapter by a tombstone, and remove what its training left: checkpoints, specifications, logs.

    The adapters were found before rows are removed, and are looked for once more here, so that none that a run finished meanwhile stays.
    """
    order = removal.order
    adapters = {one.adapter_hash for one in order.retired}
    adapters |= {
        one.adapter_hash for one in affected_adapters(store, removal.facts, removal.pairs, set(order.domains), limit_of(store, order))
    }
    stones = {folder.name: store.tombstone(folder.name) for folder in store.adapters.glob("*")}
    adapters |= {digest for digest, stone in stones.items() if stone and stone.takedown == order.id}  # a kill may have come amid one
    folders = _training_folders(store, removal, adapters)  # found while the manifests are there
    for folder in folders:
        shutil.rmtree(folder)
    buried = sum(_bury(store, digest, removal) for digest in sorted(adapters))
    served = [folder for digest in sorted(adapters) for folder in store.served.glob(f"*{digest}*") if folder.is_dir()]
    for folder in served:  # merged models, and half-made ones
        shutil.rmtree(folder)
    return {"adapters": buried, "training_folders": len(folders), "served_models": len(served)}


def _bury(store: ArtifactStore, digest: str, removal: Removal) -> bool:
    folder = store.adapters / digest
    if not folder.is_dir():
        return False
    if not (folder / TOMBSTONE).is_file():
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        stone = Tombstone(
            takedown=removal.order.id,
            adapter_hash=digest,
            rows_hash=str(manifest["rows_hash"]),
            kind=str(manifest["kind"]),
            init_adapter=manifest.get("init_adapter") or "",
            at=removal.order.at,
        )
        write_atomic(folder / TOMBSTONE, stone.model_dump_json(indent=1).encode())
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.name != TOMBSTONE or path.parent != folder:
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    return True


def _training_folders(store: ArtifactStore, removal: Removal, adapters: set[str]) -> list[Path]:
    """Return the working folders of trainings that saw the source, finished or not."""
    hashes = {one["rows_hash"] for digest in adapters if (one := _manifest(store, digest))}
    found = []
    for folder in sorted((store.root / "work").glob("*/*")):
        try:
            spec: dict[str, Any] = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError):
            spec = {}  # nobody can say what it is about: checkpoints can be made again
        rows = store.training_rows_path(str(spec.get("kind", "")), str(spec.get("rows_hash", "")))
        begun_from = Path(spec.get("init_adapter") or "").name
        nobody_knows = not spec or (not rows.is_file() and str(spec.get("cell")).partition("|")[0] in removal.order.domains)
        if nobody_knows or spec.get("rows_hash") in hashes or begun_from in adapters or _holds_rows(rows, removal):
            found.append(folder)
    return found


def _manifest(store: ArtifactStore, digest: str) -> dict[str, Any]:
    path = store.adapters / digest / "manifest.json"
    if stone := store.tombstone(digest):
        return {"rows_hash": stone.rows_hash}
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _holds_rows(path: Path, removal: Removal) -> bool:
    if not path.is_file():
        return False
    table = _read(path)
    return table_without("rows", table, removal) is not table


# ------------------------------------------------------------------------------------------------ tables and records


def purge_tables(store: ArtifactStore, removal: Removal) -> Did:
    """Rewrite every table, record and training file that holds something of the source, and tell their pointers.

    Raises:
        StoreError: A file cannot be read, so that nobody can say what it holds.
    """
    written, limit = Rewritten(store, removal.order.id), limit_of(store, removal.order)
    did = {"tables": 0, "rows_removed": 0, "records": 0}
    for path in [*sorted((store.root / "artifacts").glob("*/*.parquet")), *sorted((store.root / "rows").glob("*.parquet"))]:
        asset = "rows" if path.parent == store.root / "rows" else path.parent.name
        table = _read(path)
        kept = table_without(asset, table, removal.within(may_hold=limit.holds(asset, path.stem)))
        if kept is not table:
            buffer = io.BytesIO()
            kept.write_parquet(buffer)
            written.replace(path, buffer.getvalue())
            did["tables"] += 1
            did["rows_removed"] += table.height - kept.height
    for path in sorted((store.root / "artifacts").glob("*/*.json")):
        record, asset = _json(path), path.parent.name
        kept = record_without(asset, record, removal.within(may_hold=limit.holds(asset, path.stem)))
        if kept != record:
            written.replace(path, json.dumps(kept, indent=1, ensure_ascii=False).encode())
            did["records"] += 1
    did["pointers"] = _tell_pointers(store, removal, written.hashes)
    return did


class Rewritten:
    """The files that a takedown rewrote, kept so that a kill between a file and its pointers is no damage.

    Args:
        store: The artifact store.
        order_id: The takedown.
    """

    def __init__(self, store: ArtifactStore, order_id: str) -> None:
        self._root = store.root
        self._path = folder_of(store.root) / order_id / "rewritten.json"
        self.hashes: dict[str, str] = json.loads(self._path.read_text(encoding="utf-8")) if self._path.is_file() else {}

    def replace(self, path: Path, data: bytes) -> None:
        """Rewrite a file; first its new hash is noted."""
        self.hashes[path.relative_to(self._root).as_posix()] = sha256_hex(data)
        write_atomic(self._path, json.dumps(self.hashes, indent=1).encode())
        write_atomic(path, data)


def _tell_pointers(store: ArtifactStore, removal: Removal, rewritten: dict[str, str]) -> int:
    """Give every pointer and memo entry of a rewritten file its new hash, and take blobs from them that are about to go."""
    gone = {f"pages/{sha}" for sha in removal.ids.bodies} | {f"texts/{sha}" for sha in removal.ids.texts}
    count = 0
    for path in [*sorted((store.root / "cells").rglob("*.json")), *sorted((store.root / "memo").rglob("*.json"))]:
        try:
            entry: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            artifact = store.artifact_path(entry["asset"], entry["hash"], entry["kind"]).relative_to(store.root).as_posix()
            blobs = [blob for blob in entry.get("blobs", []) if blob not in gone]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a damaged pointer counts as never made
        told = {**entry, "blobs": blobs}
        if artifact in rewritten:
            ids = [*entry.get("redacted", []), removal.order.id]
            told |= {"file_sha256": rewritten[artifact], "redacted": list(dict.fromkeys(ids))}
        if told != entry:
            write_atomic(path, json.dumps(told, indent=1).encode())
            count += 1
    return count


def _read(path: Path) -> pl.DataFrame:
    try:
        return read_unvouched(path)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be read ({error}), so nobody can say what it holds; restore it or move it out of the store"
        ) from error


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path}: cannot be read ({error}), so nobody can say what it holds; restore it or move it out of the store"
        ) from error


# ------------------------------------------------------------------------------------------------ pages


def purge_pages(store: ArtifactStore, removal: Removal) -> Did:
    """Remove bodies, texts and readings of the source, and older ones that nothing names any more but that hold its words.

    A body that nothing names and that is no text, such as a PDF, goes with them: it is of no use, and may be the source's.

    Raises:
        StoreError: The cache of fetched addresses or a table cannot be read, so that nobody can say whose a body is.
    """
    bodies = sorted(store.pages.glob("*"))  # before it is asked whose they are: another domain's may come in meanwhile
    named, is_own = named_blobs(store), _own_entries(removal)
    other, claimed = bodies_of_others(store, is_own), claimed_bodies(store, is_own)
    did = {"bodies": 0, "texts": 0, "readings": 0}
    for kind, paths, own in (
        ("bodies", bodies, set(removal.ids.bodies)),
        ("texts", sorted(store.texts.glob("*")), set(removal.ids.texts)),
    ):
        for path in paths:
            free = f"{path.parent.name}/{path.name}" not in named and path.name not in other
            unclaimed = kind == "bodies" and path.name not in claimed
            if path.name in own or (free and (_holds(path, removal) or (unclaimed and _may_hold(path, removal)))):
                path.unlink()
                did[kind] += 1
    for path in sorted((store.root / "extracts").glob("*")):
        if _holds(path, removal) or _text_of(path) in removal.ids.texts:
            path.unlink()
            did["readings"] += 1
    return did


def _may_hold(path: Path, removal: Removal) -> bool:
    """Tell whether a body that nothing names holds words of the source in whatever charset, or something that nobody can read."""
    if not is_text(path):
        return True
    try:
        return any(removal.finder.touches(text) for _, text in texts_in_body(path))
    except (UnreadableError, MemoryError):
        return False  # the search names it as a file that nobody can read


def _own_entries(removal: Removal) -> Callable[[str], bool]:
    return own_entries(removal.ids.pages, limited=bool(removal.order.limited_to), form=normal)


def _text_of(path: Path) -> str:
    try:
        return sha256_hex(str(json.loads(path.read_text(encoding="utf-8"))["text"]))
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _holds(path: Path, removal: Removal) -> bool:
    try:
        return any(removal.finder.touches(text) for text in texts_in_file(path))
    except (UnreadableError, MemoryError):
        return False  # the search names it as a file that nobody can read


# ------------------------------------------------------------------------------------------------ caches


def purge_caches(store: ArtifactStore, removal: Removal) -> Did:
    """Remove what the caches of answers, verdicts, teacher calls and fetched addresses hold of the source, and compact their files.

    Raises:
        TakedownError: A cache is in use or cannot be written; the message names it.
    """
    did: Did = {}
    for name, clean in _CACHES.items():
        path = store.root / name
        if path.is_file():
            did[name] = cleaned(path, lambda connection, clean=clean: clean(connection, removal))
    return did


def cleaned(path: Path, clean: Callable[[sqlite3.Connection], int]) -> int:
    """Change a SQLite file in one transaction, then rewrite it, so that nothing of a deleted row is left in its pages or its log.

    Raises:
        TakedownError: It is in use by somebody else, or cannot be written.
    """
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute("BEGIN IMMEDIATE")
            try:
                count = clean(connection)
            except BaseException:
                connection.rollback()
                raise
            connection.commit()
            compact(connection)
        return count
    except sqlite3.Error as error:
        raise TakedownError(f"{path}: {error}; close what has it open (`alas ui`, a run), then give the command again") from error


def compact(connection: sqlite3.Connection) -> None:
    """Rewrite a SQLite file and empty its write-ahead log.

    Raises:
        sqlite3.Error: Somebody else reads or writes it.
    """
    connection.execute("VACUUM")
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise sqlite3.OperationalError("its write-ahead log is in use")


def _clean_answers(connection: sqlite3.Connection, removal: Removal) -> int:
    probes, chunks, answers = set(removal.ids.probes), set(removal.ids.chunks), set(removal.ids.answers)
    gone = []
    for answer, probe, question, text, shown in connection.execute(
        "SELECT answer_id, probe_id, question, text, context_chunks FROM answers"
    ):
        own = answer in answers or probe in probes or bool(chunks & set(_list(shown)))
        if own or removal.finder.touches(question) or removal.finder.touches(text) or removal.is_said(text):
            gone.append((answer,))
    connection.executemany("DELETE FROM answers WHERE answer_id = ?", gone)
    return len(gone)


def _list(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:
        return []
    return [str(one) for one in found] if isinstance(found, list) else []


def _clean_verdicts(connection: sqlite3.Connection, _: Removal) -> int:
    """Forget all verdicts: none says what it is about, and the ledger still has the calls of all others."""
    return connection.execute("DELETE FROM verdicts").rowcount


def _clean_ledger(connection: sqlite3.Connection, removal: Removal) -> int:
    """Blank the calls that hold words of the source; what they cost stays, under a key that no request has."""
    order, finder, count = removal.order, removal.finder, 0
    calls = connection.execute("SELECT key, item, request, text, meta FROM calls").fetchall()
    for key, item, *texts in calls:
        if key.startswith("takedown:"):
            continue
        if any(finder.touches(text) for text in (item, *texts)) or item in removal.ids.topic_names:
            new = f"takedown:{order.id}:{key}"
            blank = (new, "", "", order.note, "{}", key)
            connection.execute("UPDATE calls SET key = ?, item = ?, request = ?, text = ?, meta = ? WHERE key = ?", blank)
            for table in ("uses", "attempts"):
                connection.execute(f"UPDATE {table} SET key = ? WHERE key = ?", (new, key))  # noqa: S608 - own table names
            connection.execute("UPDATE attempts SET item = '', message = ? WHERE key = ?", (order.note, new))
            count += 1
    for number, item, message in connection.execute("SELECT id, item, message FROM attempts").fetchall():
        if finder.touches(message) or finder.touches(item) or item in removal.ids.topic_names:
            connection.execute("UPDATE attempts SET item = '', message = ? WHERE id = ?", (order.note, number))
            count += 1
    return count


def _clean_http(connection: sqlite3.Connection, removal: Removal) -> int:
    is_own, bodies, count = _own_entries(removal), set(removal.ids.bodies), 0
    for table in ("http", "superseded") if keeps_superseded(connection) else ("http",):
        rows = connection.execute(f"SELECT url, body_sha256 FROM {table}").fetchall()  # noqa: S608 - own table names
        gone = [row for row in rows if row[1] in bodies or is_own(row[0])]
        connection.executemany(f"DELETE FROM {table} WHERE url = ? AND body_sha256 IS ?", gone)  # noqa: S608
        count += len(gone)
    return count


_CACHES: dict[str, Callable[[sqlite3.Connection, Removal], int]] = {
    "answers.sqlite": _clean_answers,
    "verdicts.sqlite": _clean_verdicts,
    "teacher.sqlite": _clean_ledger,
    "http_cache.sqlite": _clean_http,
}


# ------------------------------------------------------------------------------------------------ what lies about


def purge_leftovers(store: ArtifactStore, removal: Removal) -> Did:
    """Remove what reviews, reports, logs, watched pages and anything else in the store hold of the source."""
    did = {"review_rows": 0, "files": 0, "lines": 0}
    for folder in sorted((store.root / "review").glob("*")):
        did["review_rows"] += _clean_review(folder, removal.within(may_hold=removal.order.covers(folder.name)))
    for domain in filter(removal.order.covers, removal.order.domains):
        if (store.root / "watch" / f"{safe_name(domain)}.json").is_file():
            update_watch_state(store.root, domain, lambda state: _unwatched(state, removal))
    # reports of takedowns hold counts, hashes and addresses, are signed, and refusals lead to them
    signed = {path.resolve() for one in (removal.order, *orders(store.root)) for path in report_files(store.root, one.id)}
    for path in sorted((store.root / "reports").rglob("*")):
        if path.is_file() and path.resolve() not in signed and (_holds(path, removal) or _names(path, removal)):
            path.unlink()
            did["files"] += 1
    for path in _loose_files(store):
        if path.suffix in (".log", ".jsonl", ".txt", ".csv"):
            did["lines"] += clean_lines(path, removal)
        elif path.suffix == ".json" and _holds(path, removal):
            write_atomic(path, json.dumps(redacted_json(_json(path), removal.finder, removal.order.note), indent=1).encode())
            did["files"] += 1
    return did


def _unwatched(state: WatchState, removal: Removal) -> WatchState:
    def kept(urls: list[str]) -> list[str]:
        return [url for url in urls if not removal.is_page(url)]

    return state.model_copy(
        update={
            "seen": {url: digest for url, digest in state.seen.items() if not removal.is_page(url)},
            "pending": kept(state.pending),
            "taken": {iteration: kept(urls) for iteration, urls in state.taken.items()},
            "noticed": {iteration: kept(urls) for iteration, urls in state.noticed.items()},
        }
    )


def _loose_files(store: ArtifactStore) -> Iterator[Path]:
    """Yield the files of the store that no other step looks after."""
    for name in sorted(os.listdir(store.root)):
        if name in _LOOKED_AFTER:
            continue
        path = store.root / name
        yield from (path,) if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file() and not one.is_symlink())


_LOOKED_AFTER = {
    *("artifacts", "rows", "cells", "memo", "pages", "texts", "extracts", "lance", "models", "dagster", "takedowns", "registry", "review"),
    *("reports", "locks", "watch", "served", *KEPT_FILES),
}
"""Folders that have a step of their own, or hold nothing that was read: prepared students, pointers, hashes, or are the user's."""


def _names(path: Path, removal: Removal) -> bool:
    """Tell whether a report names a page of the source; an address that only begins with a page's is another's."""
    text = path.read_text(encoding="utf-8", errors="replace")
    forms = dict.fromkeys((text, html.unescape(text)))
    return any(url in form and _is_whole(url, form) for url in removal.ids.pages for form in forms)


def _is_whole(url: str, text: str) -> bool:
    return re.search(rf"{re.escape(url)}/?(?!{_GOES_ON})", text) is not None


_GOES_ON = r"(?![,;]\w+://)[.,;:!?'(]*[\w/%?&=~@+$-]"
"""How an address goes on behind what is one itself; punctuation with nothing behind it ends a sentence, and a fragment is of the page."""


def clean_lines(path: Path, removal: Removal) -> int:
    """Replace the lines of a text file that hold words of the source; a text that runs over several lines goes with all of them."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if not removal.finder.touches(text):
        return 0
    lines = [removal.order.note if removal.finder.touches(line) else line for line in text.splitlines()]
    cleaned_text = "\n".join(lines) + "\n"
    write_atomic(path, cleaned_text.encode() if not removal.finder.touches(cleaned_text) else f"{removal.order.note}\n".encode())
    return sum(1 for old, new in zip(text.splitlines(), lines, strict=True) if old != new) or 1


def _clean_review(folder: Path, removal: Removal) -> int:
    """Take a domain's decisions and grades about the source out of its journal, whose files are named by what they hold."""
    journal = folder / "journal.json"
    if not journal.is_file():
        return 0
    entries: list[dict[str, Any]] = json.loads(journal.read_text(encoding="utf-8"))
    removed, kept_entries, gone = 0, [], []
    for entry in entries:
        path = folder / f"{entry['hash']}.json"
        if not path.is_file():  # replaced before a kill, and the journal was not yet
            raise StoreError(f"{path}: is gone; restore it, or import the sheet of {entry['by']} again")
        rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        kept = [row for row in rows if not _is_reviewed_source(row, removal)]
        if len(kept) == len(rows):
            kept_entries.append(entry)
            continue
        removed += len(rows) - len(kept)
        digest = content_hash({"kind": entry["kind"], "by": entry["by"], "rows": kept})
        write_atomic(folder / f"{digest}.json", json.dumps(kept, indent=1, ensure_ascii=False).encode())
        kept_entries.append({**entry, "hash": digest})
        gone.append(path)
    if gone:
        write_atomic(journal, json.dumps(kept_entries, indent=1, ensure_ascii=False).encode())
        still = {entry["hash"] for entry in kept_entries}
        for path in dict.fromkeys(gone):  # who says the same a second time has two entries and one file
            if path.stem not in still:
                path.unlink()
    for path in sorted(folder.glob("*")):
        if (path.suffix == ".json" and path.stem in {entry["hash"] for entry in kept_entries}) or not path.is_file() or path == journal:
            continue
        if _holds(path, removal):  # a sheet, or rows that a kill left behind
            path.unlink()
            removed += 1
    return removed


def _is_reviewed_source(row: dict[str, Any], removal: Removal) -> bool:
    ids = removal.ids
    facts = {row.get("fact_id"), row.get("asked", {}).get("fact_id")}
    named = row.get("qa_id") in removal.pairs or facts & removal.facts or row.get("answer_id") in set(ids.answers)
    return bool(named) or any(removal.finder.touches(text) for text in strings_in(row))
