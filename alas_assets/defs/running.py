"""Running cells from the command line on the same Dagster instance and assets as the UI (O1)."""

import os
import shutil
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from sqlalchemy.exc import DatabaseError

from alas_assets.definitions import build_defs
from alas_assets.defs.curriculum import CAUSE_TAG
from alas_assets.defs.dead_runs import close_dead_runs, hold_run, let_go
from alas_assets.defs.failures import DRY_RUN_TAG
from alas_assets.defs.in_process import execute_here, interrupted
from alas_assets.domains.catalog import domain_files
from alas_assets.partitions import cell_key, register_cell
from alas_assets.provenance.ids import CELL_NAME
from alas_assets.provenance.store import Cell, StoreError
from alas_assets.settings import Settings

DRY_RUN = ("curriculum_seed", "curriculum", "documents", "qa_pairs", "probes")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

OnEvent = Callable[[str, str], None]
"""Called with a kind (start, done, failed, check, log) and a line for a person."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    run_id: str
    success: bool
    failures: tuple[str, ...] = ()


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """Open (and on first use make) the Dagster instance that the UI shows too.

    Raises:
        StoreError: A database of Dagster's is damaged, locked or not writable; the message names it.
    """
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    target = home / "dagster.yaml"
    if not target.exists():
        shutil.copyfile(Path(__file__).resolve().parent.parent / "dagster.yaml", target)
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ["ALAS_HOME"] = str(settings.home)
    try:
        instance = dg.DagsterInstance.get()
        close_dead_runs(instance)
    except DatabaseError as error:
        raise StoreError(_unusable(home, error)) from error
    return instance


def _unusable(home: Path, error: DatabaseError) -> str:
    """Say which of Dagster's databases cannot be used, and what to do."""
    for path in sorted(home.rglob("*.db"), key=lambda path: (len(path.parts), path)):  # a run's own lie deepest, and are many
        try:
            with closing(sqlite3.connect(path)) as database:
                damaged = database.execute("PRAGMA quick_check").fetchone() != ("ok",)
        except sqlite3.OperationalError:  # such as locked
            continue
        except sqlite3.DatabaseError:
            damaged = True
        if damaged:
            return (
                f"{path}: damaged. Put it back from a copy, or move it away with the files beside it that begin with its name: Dagster "
                "makes an empty one, and shows no earlier runs; what the loop made lies elsewhere and stays"
            )
    return f"{home}: Dagster's databases cannot be used ({error.orig}); free space, fix the permission or end what locks them"


def offer_first_cells(instance: dg.DagsterInstance, settings: Settings) -> None:
    """Make every domain's first cell choosable in the UI of a store where nothing was opened yet.

    Dagster's dialog cannot add a key to one dimension while the other is empty. Later nothing is added: domains that nobody
    runs would show as missing in every asset.
    """
    if instance.get_dynamic_partitions("iteration"):
        return
    for key in domain_files(settings):
        if CELL_NAME.match(key):  # others are refused wherever they are used, and `alas status` names them
            register_cell(instance, Cell.of(key, 0))


class _Follower(threading.Thread):
    """Reads a run's events while it runs and hands the telling ones on."""

    def __init__(self, instance: dg.DagsterInstance, run_id: str, on_event: OnEvent) -> None:
        super().__init__(daemon=True)
        self.instance, self.run_id, self.on_event = instance, run_id, on_event
        self.stop = threading.Event()
        self.started: dict[str, float] = {}

    def run(self) -> None:
        cursor: str | None = None
        while True:
            ended = self.stop.is_set()
            connection = self.instance.get_records_for_run(self.run_id, cursor=cursor)
            cursor = connection.cursor
            for record in connection.records:
                self._tell(record.event_log_entry)
            if ended:
                return
            self.stop.wait(0.3)

    def _tell(self, entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None:
            if entry.user_message and entry.step_key and not entry.user_message.startswith("Dependencies for step"):
                self.on_event("log", f"{entry.step_key}: {entry.user_message}")
            return
        step = event.step_key or ""
        if event.event_type_value == "STEP_START":
            self.started[step] = entry.timestamp
            self.on_event("start", step)
        elif event.event_type_value == "ENGINE_EVENT" and (event.message or "").startswith("Step blocked by limit for pool"):
            pool = (event.message or "").rpartition(" ")[2]
            self.on_event("log", f"{step}: waits for its turn; another run holds the pool {pool} (Deployment, Concurrency in the UI)")
        elif event.event_type_value == "STEP_FAILURE":
            self.on_event("failed", _failure_words(event))
        elif event.event_type_value == "ASSET_MATERIALIZATION" and event.asset_key and event.asset_key.path[0] != "currency":
            data = event.step_materialization_data.materialization.metadata
            seconds = data["seconds"].value if "seconds" in data else entry.timestamp - self.started.get(step, entry.timestamp)
            same = " (unchanged)" if "unchanged" in data and data["unchanged"].value else ""
            self.on_event("done", f"{event.asset_key.to_user_string()} {float(str(seconds)):.1f} s{same}")
        elif event.event_type_value == "ASSET_CHECK_EVALUATION":
            check = event.asset_check_evaluation_data
            if not check.passed:
                self.on_event("check", f"{check.check_name}: {check.description}")


def _run(
    instance: dg.DagsterInstance,
    settings: Settings,
    job: str,
    partition: str,
    tags: dict[str, str],
    selection: Sequence[str] | None,
    on_event: OnEvent,
) -> Outcome:
    run_id = str(uuid.uuid4())
    follower = _Follower(instance, run_id, on_event)
    follower.start()
    try:
        events = execute_here(
            instance,
            build_defs(home=str(settings.home)).get_repository_def(),
            job,
            run_id=run_id,
            partition=partition,
            tags={**tags, **hold_run(instance, run_id)},
            selection=selection,
            run_config=QUIET,
        )
    finally:
        let_go(run_id)
        time.sleep(0.05)
        follower.stop.set()
        follower.join(timeout=10)
    failures = tuple(_failure_words(event) for event in events if event.is_step_failure)
    run = instance.get_run_by_id(run_id)
    return Outcome(run_id, run is not None and run.is_success, failures)


def _failure_words(event: dg.DagsterEvent) -> str:
    if interrupted(event):
        return f"{event.step_key}: interrupted; what is done is kept, and the same command goes on"
    data = event.step_failure_data
    errors, error = [], data.error
    while error:
        errors.append(error)
        error = error.cause
    told = data.user_failure_data.description if data.user_failure_data else None
    own = [error for error in errors if error.cls_name != "DagsterExecutionStepExecutionError"]  # it only says which step it was
    return f"{event.step_key}: {told or (own[0].message.strip() if own else 'failed')}"


def run_cell(
    instance: dg.DagsterInstance, settings: Settings, cell: Cell, *, cause: str, on_event: OnEvent, dry_run: bool = False
) -> Outcome:
    """Materialise one iteration in this process as one Dagster run; what is already done is skipped."""
    register_cell(instance, cell)
    tags = {CAUSE_TAG: cause} | ({DRY_RUN_TAG: "true"} if dry_run else {})
    return _run(instance, settings, "iteration", cell_key(cell), tags, DRY_RUN if dry_run else None, on_event)


def run_audit(instance: dg.DagsterInstance, settings: Settings, cell: Cell, *, cause: str, on_event: OnEvent) -> Outcome:
    """Bring an iteration's list of wrong answers up to date; everything it reads stays as it is (A1)."""
    return _run(instance, settings, "iteration", cell_key(cell), {CAUSE_TAG: cause}, ("wrong_answers",), on_event)


def run_scoreboard(instance: dg.DagsterInstance, settings: Settings, domain: str, *, on_event: OnEvent) -> Outcome:
    """Bring the domain's scoreboard up to date."""
    instance.add_dynamic_partitions("domain", [domain])
    return _run(instance, settings, "scores", domain, {}, None, on_event)


def open_cell(instance: dg.DagsterInstance, settings: Settings, cell: Cell, *, cause: str, on_event: OnEvent) -> Outcome:
    """Add a cell's keys and materialise its seed only; the UI can do the rest."""
    register_cell(instance, cell)
    return _run(instance, settings, "start_iteration", cell_key(cell), {CAUSE_TAG: cause}, None, on_event)
