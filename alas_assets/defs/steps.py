"""The frame every asset of the loop stands in: refuse bad cells, skip what is known, make, store, describe (O4).

An asset says what it depends on beyond its inputs (`settings`), how to make its value and how to describe it; the rest
is here, once.
"""

import inspect
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import dagster as dg
import polars as pl
from pydantic import BaseModel

from alas_assets.automation import on_new_content
from alas_assets.defs.dead_runs import tag_process
from alas_assets.defs.resources import Alas
from alas_assets.domains.config import Domain, DomainError
from alas_assets.evaluation.answers import AnswerError
from alas_assets.evaluation.exam import ExamError
from alas_assets.evaluation.scoreboard import ScoreError
from alas_assets.evaluation.verdicts import VerdictError
from alas_assets.partitions import cell_of, cells
from alas_assets.provenance.blocked.order import under_way, unfinished_words
from alas_assets.provenance.ids import content_hash
from alas_assets.provenance.store import ArtifactStore, BadKeyError, Cell, CellBusyError, Pointer, StoreError
from alas_assets.release.identity import ReleaseError
from alas_assets.release.registry import RegistryError
from alas_assets.review.journal import ReviewError
from alas_assets.settings import SettingError
from alas_assets.students.answering import AdapterError
from alas_assets.students.catalog import StudentError
from alas_assets.students.client import WorkerError
from alas_assets.synthesis.questions import QuestionFileError
from alas_assets.synthesis.training_rows import ReplayError
from alas_assets.teachers.endpoint.calls import BudgetSpentError, EndpointError
from alas_assets.teachers.protocol import Teacher
from alas_assets.training.spec import RecipeError
from alas_assets.wording import without_ids

if TYPE_CHECKING:
    from alas_assets.teachers.llm import Trouble

V = TypeVar("V", pl.DataFrame, BaseModel)
Describe = Callable[[Any], Mapping[str, Any]]


class StageError(RuntimeError):
    """A stage cannot give a usable result; the message names the cause and what to do."""


TOLD = (
    StageError,
    AdapterError,
    AnswerError,
    BadKeyError,
    BudgetSpentError,
    CellBusyError,
    DomainError,
    EndpointError,
    ExamError,
    QuestionFileError,
    RecipeError,
    RegistryError,
    ReleaseError,
    ReplayError,
    ReviewError,
    ScoreError,
    SettingError,
    StoreError,
    StudentError,
    VerdictError,
    WorkerError,
)
"""Errors whose message already names the cause and the remedy; people see just that."""


@dataclass(frozen=True)
class Made(Generic[V]):
    """What a step made.

    Attributes:
        value: The table or record.
        blobs: Store-relative files and folders without which it is not whole.
        volatile: Columns or fields that are no content, such as times.
        final: False where something failed that a later run may get right; the step is then not skipped next time. Nor is it where a
            call of the teacher's got no answer.
    """

    value: V
    blobs: tuple[str, ...] = ()
    volatile: tuple[str, ...] = ()
    final: bool = True
    notes: Mapping[str, Any] = field(default_factory=dict)


def documented_asset(**options: Any) -> Callable[..., dg.AssetsDefinition]:
    """Declare an asset that the UI describes by its docstring, without the spec's ids, which are explained nowhere there (U1)."""
    return lambda make: dg.asset(description=without_ids(inspect.getdoc(make) or ""), **options)(make)


def loop_asset(code_version: str, *, automated: bool = True, **options: Any) -> Callable[..., dg.AssetsDefinition]:
    """Declare an asset of the loop: the shared partitions, group, store and automation in one place."""
    return documented_asset(
        partitions_def=cells,
        group_name="loop",
        io_manager_key="store_io",
        code_version=code_version,
        automation_condition=on_new_content() if automated else None,
        **options,
    )


@contextmanager
def clear_failures():
    """Turn the errors that carry their own remedy into a Dagster failure with just that message."""
    try:
        yield
    except TOLD as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    except OSError as error:
        if error.errno is None:
            raise
        where = error.filename or "the store"
        raise dg.Failure(
            description=f"{where}: {error.strerror}; free space or fix the permission, then run again: earlier results are untouched",
            allow_retries=False,
        ) from error


class Step:
    """One asset of one cell being materialised."""

    def __init__(self, context: dg.AssetExecutionContext, alas: Alas) -> None:
        self.context = context
        self.alas = alas
        # A run of the UI's or a sensor's has no such tags, one that the UI executes again those of the first; its steps are in one process.
        tag_process(context.instance, context.run)
        with clear_failures():
            self.cell: Cell = cell_of(context.partition_key)
            self.domain: Domain = alas.domain(self.cell.domain)
        self.store: ArtifactStore = alas.store
        self.troubles: list[Trouble] = []
        """What the teacher's model said that could not be used, in this run."""
        self.asset = context.asset_key.to_user_string()

    @cached_property
    def teacher(self) -> Teacher:
        """The domain's teacher, whose calls this cell pays for."""
        return self.alas.teacher(self.domain, self.cell, self.context.log.info, self.troubles.append)

    def inputs(self) -> dict[str, str]:
        """Return the data version of every input of the same cell, and refuse a cell whose inputs are not there."""
        found: dict[str, str] = {}
        for key in sorted(self.context.assets_def.asset_deps[self.context.asset_key]):
            name = key.to_user_string()
            pointer = self.store.pointer(self.cell, name)
            if pointer is None:
                raise StageError(f"{name} of {self.cell} is not there; materialise it first")
            if not self.store.whole(pointer):
                raise StoreError(f"{name} of {self.cell} is damaged or gone from the store; materialise it again first")
            found[name] = pointer.hash
        return found

    def run(
        self,
        kind: type[V],
        make: Callable[[str], Made[V]],
        describe: Describe,
        *,
        settings: Mapping[str, Any] | None = None,
        still_good: Callable[[V], bool] | None = None,
    ) -> dg.MaterializeResult:
        """Skip or make the value, store it and report it.

        Args:
            kind: `pl.DataFrame` or the record's class.
            make: Makes the value; gets the input key, which names working folders.
            describe: Metadata of a value, made again also when the step is skipped, so that the UI always shows it.
            settings: Everything but the inputs and the code version that the value depends on.
            still_good: A further condition for skipping, where the artifact leans on something outside its file.

        Raises:
            dg.Failure: With a message that names the cause and the remedy.
        """
        started = time.monotonic()
        with clear_failures():
            if order := under_way(self.store.root, self.cell.domain):
                raise StageError(unfinished_words(order))
            inputs = self.inputs()
            version = self.context.assets_def.code_versions_by_key[self.context.asset_key]
            key = content_hash({"asset": self.asset, "code": version, "settings": dict(settings or {}), "inputs": inputs})
            with self.store.exclusive(self.cell, self.asset, f"run {self.context.run_id}"):
                notes: Mapping[str, Any] = {}
                pointer = self.store.known(self.asset, key)
                if pointer is not None:
                    value = self._read(kind, pointer)
                    if still_good is not None and not still_good(value):
                        pointer = None
                unchanged = pointer is not None
                if pointer is not None:
                    if self.store.pointer(self.cell, self.asset) != pointer:
                        self.store.point(self.cell, pointer)
                else:
                    made = make(key)
                    value, notes = made.value, made.notes
                    pointer = self.store.put(
                        self.cell,
                        self.asset,
                        made.value,
                        input_key=key,
                        inputs=inputs,
                        run_id=self.context.run_id,
                        volatile=made.volatile,
                        blobs=made.blobs,
                        remember=made.final and not any(trouble.unanswered for trouble in self.troubles),
                    )
        # The UI dates a materialisation by the run that reported it: of one that nothing was done for, it must first say who did the work.
        origin = {
            "unchanged": True,
            "made_by_run": dg.MetadataValue.dagster_run(pointer.run_id),
            "made_at": dg.MetadataValue.timestamp(datetime.fromisoformat(pointer.made_at)),
        }
        frame = {
            "cell": str(self.cell),
            "unchanged": unchanged,
            "input_key": key,
            "artifact": dg.MetadataValue.path(str(self.store.artifact_path(self.asset, pointer.hash, pointer.kind))),
            "seconds": round(time.monotonic() - started, 2),
        }
        return dg.MaterializeResult(
            value=value,
            data_version=dg.DataVersion(pointer.hash),
            metadata={**(origin if unchanged else {}), **describe(value), **notes, **frame},
        )

    def _read(self, kind: type[Any], pointer: Pointer) -> Any:
        return self.store.read_record(kind, pointer) if issubclass(kind, BaseModel) else self.store.read_table(pointer)
