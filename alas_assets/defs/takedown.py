"""Carrying a takedown out, and what of it Dagster's own storage holds (A3).

The steps in the store are `provenance.takedown`'s. Dagster has no call that edits an event, so runs that hold content are deleted, and what
they made is reported again without words; all that is private in Dagster for that is used here and nowhere else.
"""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData
from dagster._core.events import DagsterEvent, DagsterEventType, StepMaterializationData
from dagster._core.instance.utils import RUNLESS_JOB_NAME, RUNLESS_RUN_ID
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._serdes import serialize_value

from alas_assets.defs.births import UNDER_WAY
from alas_assets.defs.lineage import closed_because, finished, last_opened
from alas_assets.defs.resources import Alas
from alas_assets.partitions import cell_key, cell_of
from alas_assets.provenance.changes import close_iteration
from alas_assets.provenance.store import write_atomic
from alas_assets.provenance.takedown import purge
from alas_assets.provenance.takedown.marks import Finder, strings_in
from alas_assets.provenance.takedown.order import (
    Order,
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
from alas_assets.provenance.takedown.plan import Plan, forget_ids, plan_takedown, read_ids, write_ids
from alas_assets.provenance.takedown.scan import Finding, Scan, scan_store
from alas_assets.provenance.takedown.tables import Removal
from alas_assets.retrieval.store import count_passages, write_without

Did = dict[str, int]
OnStep = Callable[[str, Did], None]
_KEPT_WORDS = ("cell", "input_key", "adapter", "verdict", "decision", "rule", "base_hash", "rows_hash", "probes_hash")
"""Metadata of an event that are words and say nothing of a page."""


def plan(alas: Alas, source: str, *, reason: str, by: str) -> Plan:
    """Say what a takedown would remove, passages counted where they lie; else as `plan_takedown`."""
    found = plan_takedown(alas.store, alas.registry, source, data=alas.settings.data, reason=reason, by=by)
    counts = {one.domain: count_passages(alas.store.lance, one.domain, found.ids.pages, found.ids.chunks) for one in found.order.shares}
    shares = [share.model_copy(update={"passages": counts[share.domain]}) for share in found.order.shares]
    return Plan(found.order.model_copy(update={"shares": shares}), found.ids, found.marks, found.derived)


def begin(alas: Alas, instance: dg.DagsterInstance, planned: Plan) -> Order:
    """Record a takedown, so that it blocks the source from now on and can be carried out and resumed; its record is written last.

    Raises:
        TakedownError: A run of one of its domains is under way, or another process is at a takedown.
    """
    root = alas.store.root
    with one_at_a_time(root):
        refuse_runs_under_way(instance, planned.order)
        write_ids(root, planned.order.id, planned.ids)
        write_marks(root, planned.order.id, planned.marks)
        write_order(root, planned.order)
    return planned.order


def refuse_runs_under_way(instance: dg.DagsterInstance, order: Order) -> None:
    """Refuse while something of the domains is being made: it could write down again what is removed.

    Raises:
        TakedownError: A run is under way; the message names it.
    """
    for domain in order.domains:
        runs = instance.get_runs(dg.RunsFilter(tags={"dagster/partition/domain": domain}, statuses=UNDER_WAY))
        if runs:
            raise TakedownError(f"run {runs[0].run_id[:8]} of {domain} is under way; end it or wait for it, then give the command again")


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
        removal = Removal(order, read_ids(root, order_id), Finder(read_marks(root, order_id)))
        for name, step in steps(alas, instance, removal).items():
            if name in order.done:
                continue
            did = step()
            order = order.model_copy(update={"steps": [*order.steps, Step(name=name, at=now(), did=did)]})
            write_order(root, order)
            on_step(name, did)
        order = order.model_copy(update={"carried_out": now()})
        write_order(root, order)
    _tidy(root, order_id)
    return order


def steps(alas: Alas, instance: dg.DagsterInstance, removal: Removal) -> Mapping[str, Callable[[], Did]]:
    """Return the steps in their order: first what answers users, last what only tells of it."""
    store = alas.store
    return {
        "iterations closed": lambda: close_unfinished(alas, removal.order),
        "registry": lambda: purge.purge_registry(store, removal),
        "adapters": lambda: purge.purge_adapters(store, removal),
        "tables": lambda: purge.purge_tables(store, removal),
        "passages": lambda: purge_passages(alas, removal),
        "pages": lambda: purge.purge_pages(store, removal),
        "caches": lambda: purge.purge_caches(store, removal),
        "leftovers": lambda: purge.purge_leftovers(store, removal),
        "dagster": lambda: purge_dagster(alas, instance, removal),
    }


def _tidy(root: Path, order_id: str) -> None:
    """Delete what was only needed on the way, and names what was removed."""
    forget_ids(root, order_id)
    for name in ("rewritten.json", "events.json"):
        (folder_of(root) / order_id / name).unlink(missing_ok=True)


def close_unfinished(alas: Alas, order: Order) -> Did:
    """Close the newest iteration of each domain where it is unfinished: its seed goes on from what was removed."""
    closed = 0
    for domain in order.domains:
        newest = last_opened(alas, domain)
        if newest is not None and not finished(alas, newest) and closed_because(alas, newest) is None:
            close_iteration(alas.store.root, newest, f"takedown {order.id}")
            closed += 1
    return {"iterations": closed}


def purge_passages(alas: Alas, removal: Removal) -> Did:
    """Write the passages of every domain that has some of the source anew, so that no version still holds them."""
    aside = folder_of(alas.store.root) / removal.order.id / "passages"
    gone = 0
    for domain in removal.order.domains:
        gone += write_without(alas.store.lance, domain, pages=removal.ids.pages, chunk_ids=removal.ids.chunks, aside=aside / domain)
    shutil.rmtree(aside, ignore_errors=True)
    return {"passages": gone}


# ------------------------------------------------------------------------------------------------ Dagster's storage


def purge_dagster(alas: Alas, instance: dg.DagsterInstance, removal: Removal) -> Did:
    """Delete the runs that hold something of the source, report what they made without words, and compact the files.

    What was made is reported before the runs go, so that at no time anything seems missing; data versions stay what they are, so that
    nothing seems to have changed.

    Raises:
        TakedownError: A file is in use (`alas ui`); the message names it.
    """
    file = folder_of(alas.store.root) / removal.order.id / "events.json"
    if not file.exists():
        runs = sorted(doomed_runs(instance, removal))
        write_atomic(file, json.dumps({"runs": runs, **_made_by(instance, set(runs), removal), "reported": False}, indent=1).encode())
    kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if not kept["reported"]:
        _report_again(instance, kept, removal.order)
        write_atomic(file, json.dumps({**kept, "reported": True}, indent=1).encode())
    for run_id in kept["runs"]:
        _delete_run(instance, run_id)
    home = alas.settings.dagster_home
    did = {"runs": len(kept["runs"]), "reported_again": len(kept["materializations"]), "lines": _clean_logs(home, removal)}
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


def _made_by(instance: dg.DagsterInstance, runs: set[str], removal: Removal) -> dict[str, Any]:
    """Return the newest materialisation of each asset and cell, and evaluation of each check, that these runs made and none after them."""
    made: dict[tuple[str, str], dict[str, Any]] = {}
    checks: dict[tuple[str, str, str], dict[str, Any]] = {}
    for run_id in sorted(runs):
        for entry in instance.all_logs(run_id):
            event = entry.dagster_event
            if event is None:
                continue
            if event.event_type is DagsterEventType.ASSET_MATERIALIZATION:
                one = event.step_materialization_data.materialization
                key = one.asset_key.to_user_string(), one.partition or ""
                if key not in made or made[key]["timestamp"] < entry.timestamp:
                    made[key] = _kept_event(one, entry.timestamp, removal)
            elif event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
                check = event.asset_check_evaluation_data
                place = check.asset_key.to_user_string(), check.check_name, check.partition or ""
                if place not in checks or checks[place]["timestamp"] < entry.timestamp:
                    checks[place] = {
                        "asset": list(check.asset_key.path),
                        "check": check.check_name,
                        "partition": check.partition,
                        "passed": check.passed,
                        "severity": check.severity.value,
                        "blocking": check.blocking,
                        "timestamp": entry.timestamp,
                    }
    newest = [one for one in made.values() if _newest_run(instance, one) in runs]
    return {"materializations": newest, "checks": list(checks.values())}


def _kept_event(one: dg.AssetMaterialization, timestamp: float, removal: Removal) -> dict[str, Any]:
    """Return what of a materialisation is told again: its place, its versions, its numbers; no sample, picture or sentence."""
    numbers: dict[str, Any] = {}
    for name, value in one.metadata.items():
        raw = value.value
        words = name in _KEPT_WORDS and isinstance(raw, str) and not removal.finder.touches(raw)
        if isinstance(raw, bool | int | float) or words:
            numbers[name] = raw
        elif isinstance(value, dg.PathMetadataValue):
            numbers[name] = {"path": str(raw)}
    tags = {name: value for name, value in (one.tags or {}).items() if not name.startswith("dagster/input_event_pointer/")}
    return {
        "asset": list(one.asset_key.path),
        "partition": one.partition,
        "tags": tags,
        "metadata": numbers,
        "timestamp": timestamp,
    }


def _newest_run(instance: dg.DagsterInstance, one: Mapping[str, Any]) -> str:
    partitions = [one["partition"]] if one["partition"] else None
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(dg.AssetKey(one["asset"]), asset_partitions=partitions), limit=1
    ).records
    return records[0].run_id if records else ""


def _partition(key: str | None) -> str | None:
    return cell_key(cell_of(key)) if key and "|" in key else key


def _report_again(instance: dg.DagsterInstance, kept: Mapping[str, Any], order: Order) -> None:
    for one in kept["materializations"]:
        metadata = {
            name: dg.MetadataValue.path(value["path"]) if isinstance(value, dict) else value for name, value in one["metadata"].items()
        }
        again = dg.AssetMaterialization(
            dg.AssetKey(one["asset"]),
            partition=_partition(one["partition"]),
            tags=one["tags"],
            metadata={**metadata, "redacted": f"takedown {order.id} of {order.at[:10]} removed what this showed of a source"},
        )
        _report(instance, DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(again), one["timestamp"])
    for one in kept["checks"]:
        target = instance.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey(one["asset"]), asset_partitions=[one["partition"]] if one["partition"] else None), limit=1
        ).records
        evaluation = dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(one["asset"]),
            check_name=one["check"],
            passed=one["passed"],
            metadata={},
            severity=dg.AssetCheckSeverity(one["severity"]),
            description=f"as it was found before takedown {order.id} of {order.at[:10]}, which removed the words",
            blocking=one["blocking"],
            partition=one["partition"],
            target_materialization_data=AssetCheckEvaluationTargetMaterializationData(
                storage_id=target[0].storage_id, run_id=target[0].run_id, timestamp=target[0].timestamp
            )
            if target
            else None,
        )
        _report(instance, DagsterEventType.ASSET_CHECK_EVALUATION, evaluation, one["timestamp"])


def _report(instance: dg.DagsterInstance, kind: DagsterEventType, data: Any, timestamp: float) -> None:
    """Store an event of no run with the time that it was first told at: a domain is no fresher for a takedown."""
    event = DagsterEvent(event_type_value=kind.value, job_name=RUNLESS_JOB_NAME, event_specific_data=data)
    instance.report_dagster_event(event, run_id=RUNLESS_RUN_ID, timestamp=timestamp)


def _delete_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a run with its events, check evaluations and captured output; one that is gone already is none."""
    if instance.has_run(run_id):
        instance.delete_run(run_id)
    storage = instance.event_log_storage
    storage.delete_events(run_id)
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
    return scan_store(store, Finder(read_marks(store.root, order.id)), now(), alas.settings.dagster_home, problems)
