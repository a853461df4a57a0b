"""Carrying a takedown out, and what of it Dagster's own storage holds (A3).

The steps in the store are `removal`'s. Dagster has no call that edits an event, so its tables are changed: all that is
private in Dagster for that is used here and nowhere else.
"""

import json
import logging
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import EventLogEntry, EventLogRecord
from dagster._core.events import DagsterEvent, DagsterEventType, StepMaterializationData
from dagster._core.instance.utils import RUNLESS_JOB_NAME, RUNLESS_RUN_ID
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, AssetKeyTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlalchemy_compat import db_select
from dagster._serdes import deserialize_value, serialize_value

from alas_assets.defs.births import run_of
from alas_assets.defs.dead_runs import under_way_words
from alas_assets.defs.lineage import cannot_go_on, closed_because, closed_by, last_opened, revised
from alas_assets.defs.resources import Alas
from alas_assets.domains.catalog import domain_files
from alas_assets.domains.config import DomainError, read_domain
from alas_assets.links import report_link
from alas_assets.partitions import cell_key, cell_of
from alas_assets.provenance.blocked.marks import Finder, strings_in
from alas_assets.provenance.blocked.order import (
    Order,
    RetiredAdapter,
    Share,
    Step,
    TakedownError,
    folder_of,
    now,
    one_at_a_time,
    read_marks,
    read_order,
    write_marks,
    write_order,
)
from alas_assets.provenance.store import write_atomic
from alas_assets.release.closing import close_iteration
from alas_assets.removal import purge
from alas_assets.removal.bodies import claimed_bodies
from alas_assets.removal.elsewhere import runs_elsewhere
from alas_assets.removal.plan import Ids, Plan, plan_takedown, read_ids, write_ids
from alas_assets.removal.scan import Finding, Scan, scan_store
from alas_assets.removal.tables import Removal
from alas_assets.retrieval.takedown import stored_passages, write_without

Did = dict[str, int]
OnStep = Callable[[str, Did], None]
_LAST = "dagster"
"""The step after which no name of what was removed is needed any more."""
_KEPT_WORDS = ("cell", "input_key", "adapter", "verdict", "decision", "rule", "base_hash", "rows_hash", "probes_hash")
"""Metadata of an event that are words and say nothing of a page."""


def plan(alas: Alas, source: str, *, reason: str, by: str) -> Plan:
    """Say what a takedown would remove, passages counted where they lie; else as `plan_takedown`."""
    folders = _folders(alas) if source.strip().startswith("folder:") else {}
    found = plan_takedown(alas.store, alas.registry, source, data=alas.settings.data, reason=reason, by=by, folders=folders)
    ids, lance = found.ids, alas.store.lance
    domains = [one.domain for one in found.order.shares]
    counts = dict.fromkeys(domains, 0)
    counts |= {domain: len(stored_passages(lance, domain, ids.pages, ids.chunks)) for domain in filter(found.order.covers, domains)}
    shares = [share.model_copy(update={"passages": counts[share.domain]}) for share in found.order.shares]
    return Plan(found.order.model_copy(update={"shares": shares}), ids, found.marks, found.derived)


def _folders(alas: Alas) -> dict[str, str]:
    """Return each domain's folder of documents.

    Raises:
        TakedownError: A domain file cannot be read, so nobody can say whose document is meant.
    """
    try:
        read = {key: read_domain(path).sources.folder for key, path in domain_files(alas.settings).items()}
    except DomainError as error:
        raise TakedownError(f"{error}; until then nobody can say whose document is meant") from error
    return {key: folder for key, folder in read.items() if folder}


def begin(alas: Alas, instance: dg.DagsterInstance, planned: Plan) -> Order:
    """Record a takedown, so that it blocks the source from now on and can be carried out and resumed; its record is written last.

    Raises:
        TakedownError: A run of one of its domains is under way, what goes changed since it was planned, or another takedown is at work.
    """
    root, order = alas.store.root, planned.order
    with one_at_a_time(root):
        refuse_runs_under_way(instance, order)
        if _what_goes(plan(alas, order.source, reason=order.reason, by=order.ordered_by)) != _what_goes(planned):
            raise TakedownError(f"what came from {order.source} is not what was shown, as something came or went; give the command again")
        write_ids(root, planned.order.id, planned.ids)
        write_marks(root, planned.order.id, planned.marks)
        write_order(root, planned.order)
    return planned.order


def _what_goes(planned: Plan) -> tuple[Ids, list[RetiredAdapter], list[Share]]:
    """Return what a takedown removes, without what is salted."""
    return planned.ids.model_copy(update={"said": []}), planned.order.retired, planned.order.shares


def refuse_runs_under_way(instance: dg.DagsterInstance, order: Order) -> None:
    """Refuse while something of the domains is being made: it could write down again what is removed.

    Raises:
        TakedownError: A run is under way; the message names it.
    """
    for domain in order.domains:
        if run_id := run_of(instance, domain):
            words = under_way_words(instance, run_id, domain)
            raise TakedownError(f"{words}; end it or wait for it, then give the command again")


def carry_out(alas: Alas, instance: dg.DagsterInstance, order_id: str, on_step: OnStep = lambda *_: None) -> Order:
    """Carry out the steps of a takedown that are not done yet; each may be killed and is then done again.

    Raises:
        TakedownError: A run is under way, another process is at a takedown, or a file of this one is gone.
        StoreError: A file cannot be read or written; the steps before it are done.
    """
    root = alas.store.root
    with one_at_a_time(root):
        order = read_order(root, order_id)
        if order is None:
            raise TakedownError(f"there is no takedown {order_id} in {root}")
        if order.carried_out:
            return order
        refuse_runs_under_way(instance, order)
        if _LAST not in order.done:
            order = _worked_off(alas, instance, order, on_step)
        # before it counts as carried out: nobody comes back to one that is
        for name in ("ids.json", "rewritten.json", "runs.json"):
            (folder_of(root) / order.id / name).unlink(missing_ok=True)
        order = order.model_copy(update={"carried_out": now()})
        write_order(root, order)
    return order


def _worked_off(alas: Alas, instance: dg.DagsterInstance, order: Order, on_step: OnStep) -> Order:
    root = alas.store.root
    removal = Removal(order, read_ids(root, order.id), Finder(read_marks(root, order.id)))
    for name, step in steps(alas, instance, removal).items():
        if name in order.done:
            continue
        did = step()
        order = order.model_copy(update={"steps": [*order.steps, Step(name=name, at=now(), did=did)]})
        write_order(root, order)
        on_step(name, did)
    return order


def steps(alas: Alas, instance: dg.DagsterInstance, removal: Removal) -> Mapping[str, Callable[[], Did]]:
    """Return the steps in their order: first what answers users, last what only tells of it."""
    store = alas.store
    return {
        "registry": lambda: purge.purge_registry(store, removal),
        "iterations closed": lambda: close_unfinished(alas, removal.order),  # by then it is known whose promotion still stands
        "adapters": lambda: purge.purge_adapters(store, removal),
        "tables": lambda: purge.purge_tables(store, removal),
        "passages": lambda: purge_passages(alas, removal),
        "pages": lambda: purge.purge_pages(store, removal),
        "caches": lambda: purge.purge_caches(store, removal),
        "leftovers": lambda: purge.purge_leftovers(store, removal),
        _LAST: lambda: purge_dagster(alas, instance, removal),
    }


def close_unfinished(alas: Alas, order: Order) -> Did:
    """Close the newest iteration of each domain where it has no revision: its seed goes on from what was removed.

    One that came to its revision hands that on, even where it was being made again: the retraining comes before that. One that had failed
    or been abandoned before is closed for this reason too, or it could be gone on with by `alas retry`.
    """
    closed = 0
    for domain in order.domains:
        newest = last_opened(alas, domain)
        if newest is not None and not revised(alas, newest) and not cannot_go_on(closed_because(alas, newest) or ""):
            close_iteration(alas.store.root, newest, closed_by(order.id))
            closed += 1
    return {"iterations": closed}


def purge_passages(alas: Alas, removal: Removal) -> Did:
    """Write the passages of every domain that has some of the source anew, so that no version still holds them."""
    aside = folder_of(alas.store.root) / removal.order.id / "passages"
    gone = 0
    for domain in filter(removal.order.covers, removal.order.domains):
        gone += write_without(alas.store.lance, domain, pages=removal.ids.pages, chunk_ids=removal.ids.chunks, aside=aside / domain)
    shutil.rmtree(aside, ignore_errors=True)
    return {"passages": gone}


# ------------------------------------------------------------------------------------------------ Dagster's storage


def purge_dagster(alas: Alas, instance: dg.DagsterInstance, removal: Removal) -> Did:
    """Delete the runs that hold something of the source, keep without words what they made, and compact the files.

    The newest materialisation of each asset and cell is rewritten where it stands before its run goes: under its own number, with its data
    version and time. So at no moment anything seems missing, and nothing seems to have changed.

    Raises:
        TakedownError: A file is in use (`alas ui`); the message names it.
    """
    file = folder_of(alas.store.root) / removal.order.id / "runs.json"
    if not file.exists():
        write_atomic(file, json.dumps(sorted(doomed_runs(instance, removal))).encode())
    runs: list[str] = json.loads(file.read_text(encoding="utf-8"))
    did = {"runs": len(runs), **_keep_without_words(instance, set(runs), removal)}
    for run_id in runs:
        _delete_run(instance, run_id)
    home = alas.settings.dagster_home
    did["lines"] = _clean_logs(home, removal)
    for path in sorted(home.rglob("*.db")):
        _compact(path)
    return did


def doomed_runs(instance: dg.DagsterInstance, removal: Removal) -> set[str]:
    """Return the runs that may show something of the source: those of its domains since they read it, and any that holds its words.

    Of the first all go, since their events have tables of samples and plots with names from the pages.
    """
    since = {share.domain: share.since for share in removal.order.shares}
    found: set[str] = set()
    for run in instance.get_runs():
        domain = run.tags.get("dagster/partition/domain") or run.tags.get("dagster/partition", "").partition("|")[0]
        iteration = run.tags.get("dagster/partition/iteration", "999")
        read_it = domain in since and iteration >= since[domain]
        if read_it or any(removal.finder.touches(text) for text in _texts_of(instance, run)):
            found.add(run.run_id)
    return found


def _texts_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[str]:
    yield from strings_in(serialize_value(run))
    for entry in instance.all_logs(run.run_id):
        yield from strings_in(serialize_value(entry))


def _keep_without_words(instance: dg.DagsterInstance, runs: set[str], removal: Removal) -> Did:
    """Rewrite the newest materialisations and check evaluations of these runs as events of no run, their samples and sentences left out.

    Raises:
        TakedownError: Dagster keeps its events in no SQL database.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        raise TakedownError(f"{type(storage).__name__}: Dagster's events lie in no SQL database, and cannot be rewritten there")
    with storage.index_connection() as connection:
        kept = _keep_made(connection, runs, removal)
        _keep_last_made(connection, runs, removal)
        checks = AssetCheckExecutionsTable
        query = db_select([checks.c.id, checks.c.run_id, checks.c.asset_key, checks.c.check_name, checks.c.partition])
        last = {tuple(place): (number, run_id) for number, run_id, *place in _rows(connection, query.order_by(checks.c.id))}
        for (asset, check, partition), (number, run_id) in last.items():
            if run_id in runs:
                _keep_check(connection, number, (asset, check, partition), removal.order)
    return {"kept_without_words": kept}


def _rows(connection: Any, query: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(query).fetchall()]


def _keep_made(connection: Any, runs: set[str], removal: Removal) -> int:
    events = SqlEventLogStorageTable
    query = db_select([events.c.id, events.c.run_id, events.c.asset_key, events.c.partition])
    made = _rows(connection, query.where(events.c.dagster_event_type == DagsterEventType.ASSET_MATERIALIZATION.value).order_by(events.c.id))
    newest = {(key, partition): (number, run_id) for number, run_id, key, partition in made}
    kept = [number for number, run_id in newest.values() if run_id in runs]
    for number in kept:
        text = connection.execute(db_select([events.c.event]).where(events.c.id == number)).scalar_one()
        entry = _without_words(deserialize_value(text, EventLogEntry), removal)
        connection.execute(events.update().where(events.c.id == number).values(event=serialize_value(entry), run_id=RUNLESS_RUN_ID))
    return len(kept)


def _keep_last_made(connection: Any, runs: set[str], removal: Removal) -> None:
    """Rewrite the copy of its newest materialisation that each asset's own row has."""
    keys = AssetKeyTable
    for key, text in _rows(connection, db_select([keys.c.asset_key, keys.c.last_materialization])):
        record = deserialize_value(text, EventLogRecord) if text else None
        if record is not None and record.event_log_entry.run_id in runs:
            again = EventLogRecord(record.storage_id, _without_words(record.event_log_entry, removal))
            connection.execute(keys.update().where(keys.c.asset_key == key).values(last_materialization=serialize_value(again)))


def _keep_check(connection: Any, number: int, place: tuple[str, str, str | None], order: Order) -> None:
    """Rewrite what a check was last found to be, as an evaluation of no run; one that never came to an end goes with its run."""
    checks = AssetCheckExecutionsTable
    text = connection.execute(db_select([checks.c.evaluation_event]).where(checks.c.id == number)).scalar_one()
    event = deserialize_value(text, EventLogEntry).dagster_event if text else None
    if event is None or event.event_type is not DagsterEventType.ASSET_CHECK_EVALUATION:
        return
    old = event.asset_check_evaluation_data
    again = dg.AssetCheckEvaluation(
        asset_key=old.asset_key,
        check_name=old.check_name,
        passed=old.passed,
        metadata={},
        target_materialization_data=old.target_materialization_data,
        severity=old.severity,
        description=f"as it was found before takedown {order.id} of {order.at[:10]}, which removed the words",
        blocking=old.blocking,
        partition=old.partition,
    )
    entry = _event_of_no_run(event.event_type, again, deserialize_value(text, EventLogEntry).timestamp)
    asset, check, partition = place
    same = (checks.c.asset_key == asset) & (checks.c.check_name == check) & (checks.c.partition == partition)
    connection.execute(checks.delete().where(same & (checks.c.run_id == RUNLESS_RUN_ID)))
    connection.execute(checks.update().where(checks.c.id == number).values(evaluation_event=serialize_value(entry), run_id=RUNLESS_RUN_ID))


def _without_words(entry: EventLogEntry, removal: Removal) -> EventLogEntry:
    """Return a materialisation with its place, versions and numbers, and without any sample, picture or sentence."""
    event = entry.dagster_event
    assert event is not None
    one, order = event.step_materialization_data.materialization, removal.order
    metadata = {name: value for name, value in one.metadata.items() if _is_plain(name, value, removal)}
    said = f"takedown {order.id} of {order.at[:10]} removed what this showed of a source; its numbers are those of before"
    metadata |= {
        "redacted": dg.MetadataValue.text(said),
        "takedown_report": dg.MetadataValue.url(report_link(f"takedown-{order.id}.html")),
    }
    again = dg.AssetMaterialization(one.asset_key, partition=_partition(one.partition), tags=one.tags, metadata=metadata)
    return _event_of_no_run(DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(again), entry.timestamp)


def _is_plain(name: str, value: dg.MetadataValue, removal: Removal) -> bool:
    raw = value.value
    words = isinstance(raw, str) and name in _KEPT_WORDS and not removal.finder.touches(raw)
    return isinstance(raw, bool | int | float) or words or isinstance(value, dg.PathMetadataValue)


def _partition(key: str | None) -> str | None:
    return cell_key(cell_of(key)) if key and "|" in key else key


def _event_of_no_run(kind: DagsterEventType, data: Any, timestamp: float) -> EventLogEntry:
    """Return an event with the time that it was first told at: a domain is no fresher for a takedown."""
    return EventLogEntry(
        error_info=None,
        level=logging.INFO,
        user_message="",
        run_id=RUNLESS_RUN_ID,
        timestamp=timestamp,
        job_name=RUNLESS_JOB_NAME,
        dagster_event=DagsterEvent(event_type_value=kind.value, job_name=RUNLESS_JOB_NAME, event_specific_data=data),
    )


def _delete_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a run with its events, check evaluations and captured output; one that is gone already is none."""
    if instance.has_run(run_id):
        instance.delete_run(run_id)
    storage = instance.event_log_storage
    if not isinstance(storage, SqliteEventLogStorage) or Path(storage.path_for_shard(run_id)).exists():
        storage.delete_events(run_id)  # once more, where a kill came between the run and its events
    if isinstance(storage, SqlEventLogStorage):
        with storage.index_connection() as connection:
            connection.execute(AssetCheckExecutionsTable.delete().where(AssetCheckExecutionsTable.c.run_id == run_id))
    if isinstance(storage, SqliteEventLogStorage):
        for end in ("", "-wal", "-shm"):
            Path(f"{storage.path_for_shard(run_id)}{end}").unlink(missing_ok=True)
    instance.compute_log_manager.delete_logs(prefix=[run_id])


def _clean_logs(home: Path, removal: Removal) -> int:
    return sum(
        purge.clean_lines(path, removal)
        for path in sorted(home.rglob("*"))
        if path.is_file() and path.suffix in (".log", ".out", ".err", ".txt", ".jsonl")
    )


def _compact(path: Path) -> None:
    try:
        with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as connection:
            purge.compact(connection)
    except sqlite3.Error as error:
        raise TakedownError(f"{path}: {error}; close what has it open (`alas ui`, a run), then give the command again") from error


# ------------------------------------------------------------------------------------------------ what is left


def scan(alas: Alas, instance: dg.DagsterInstance, order: Order) -> Scan:
    """Search the store and Dagster's home for what a takedown removed, and check that no adapter of it can be used."""
    store = alas.store
    problems = []
    if not isinstance(instance.event_log_storage, SqliteEventLogStorage):
        kind = type(instance.event_log_storage).__name__
        problems.append(Finding(place="dagster", where=kind, problem="Dagster's storage is in no file here and was not searched"))
    for one in order.retired:
        if (store.adapters / one.adapter_hash).exists() and store.tombstone(one.adapter_hash) is None:
            problems.append(Finding(place="artifacts", where=f"adapters/{one.adapter_hash}", problem="a retired adapter is there again"))
        if alas.registry.current(one.domain) == one.adapter_hash:
            problems.append(Finding(place="registry", where=one.domain, problem="a retired adapter is current"))
    for folder, hashes in ((store.pages, order.bodies), (store.texts, order.texts)):
        again = (f"{folder.name}/{sha}" for sha in hashes if (folder / sha).exists())
        problems += [Finding(place=folder.name, where=where, problem="what was removed is there again") for where in again]
    finder = Finder(read_marks(store.root, order.id))
    return scan_store(
        store,
        finder,
        now(),
        alas.settings.dagster_home,
        problems,
        runs_elsewhere(store, order, finder),
        lambda: claimed_bodies(store),
    )
