"""What every training child does around its training: environment, live report, result, errors as one line (T4).

Light: torch and its like are imported by the `train` function that `run_child` is given, after the cheap checks.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

import psutil
from filelock import FileLock, Timeout

from alas_assets.processors import waiting_briefly
from alas_assets.provenance.ids import file_hash, folder_hash
from alas_assets.provenance.store import write_atomic
from alas_assets.training.adapter import MANIFEST, ModelFilesError, SavingError
from alas_assets.training.checkpoints import drop_checkpoints
from alas_assets.training.launch import WRAPPER
from alas_assets.training.rows import RowsError
from alas_assets.training.spec import RecipeError, SpecError, TrainingResult, TrainingSpec, finished_before, read_spec

if TYPE_CHECKING:
    from dagster_pipes import PipesContext

INTERRUPTED = 3
"""Exit code of a child that was asked to stop: its checkpoint is saved and the next run continues from it."""

_ENVIRONMENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",  # TRL reports every trainer otherwise
    "HF_HUB_OFFLINE": "1",  # the student lies in a local folder; nothing here may reach out
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "DATASETS_VERBOSITY": "error",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # deterministic matrix products on CUDA
}


class Interrupted(Exception):
    """The child was asked to stop, or its parent is gone."""


class TrainingError(RuntimeError):
    """Training cannot go on for a reason a person can act on; one line."""


class Session:
    """One run of one child: its specification, its clock, and the line to whoever watches."""

    def __init__(self, spec: TrainingSpec, pipes: PipesContext | None) -> None:
        """Start the clock; `pipes` is None where nobody launched this through Dagster."""
        self.spec = spec
        self.main = os.environ.get("RANK", "0") == "0"
        """Only the first of several processes reports and writes."""
        self.processes = int(os.environ.get("WORLD_SIZE", "1"))
        self.phases: dict[str, float] = {}
        self.stop_asked = False
        self.facts: dict[str, Any] = {}
        """Fields of the result that `train` fills in."""
        self._pipes = pipes
        self._training = False
        self._parent, self._wrapper = os.getppid(), int(os.environ.get(WRAPPER, "0"))
        self._begun = time.monotonic()

    def tell(self, line: str) -> None:
        """Show a line live: in Dagster's event log under Pipes, and on standard output."""
        if not self.main:
            return
        if self._pipes is not None:
            self._pipes.log.info(line)
        else:
            print(line, flush=True)

    @contextmanager
    def phase(self, name: Literal["import", "load", "train", "save"]) -> Iterator[None]:
        """Add the seconds of a block to a phase of the result; in "train", stopping waits for the step to end."""
        start = time.monotonic()
        self._training = name == "train"
        try:
            yield
        finally:
            self._training = False
            self.phases[name] = self.phases.get(name, 0.0) + time.monotonic() - start

    def should_stop(self) -> bool:
        """Tell whether to save and end: a signal came, or who started this died (a kill -9 forwards no signal)."""
        return self.stop_asked or os.getppid() != self._parent or bool(self._wrapper and not psutil.pid_exists(self._wrapper))

    def share(self, rows: int) -> int:
        """Return how many rows of a batch each process takes.

        Raises:
            TrainingError: They cannot be shared equally.
        """
        if rows % self.processes:
            raise TrainingError(
                f"a batch of {rows} rows cannot be shared by {self.processes} processes; set ALAS_TRAINING_PROCESSES or batch_size"
            )
        return rows // self.processes

    def on_signal(self, _signum: int, _frame: FrameType | None) -> None:
        """Stop after the current step, or at once where no step is under way, somebody insists, or others wait for this process."""
        if self.processes > 1:  # their launcher asks once more, and what is under way then is the end
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            raise KeyboardInterrupt
        if not self._training or self.stop_asked:
            raise KeyboardInterrupt
        self.stop_asked = True

    def result(self, error: str = "") -> TrainingResult:
        """Return the closing report."""
        seconds = time.monotonic() - self._begun
        return TrainingResult(
            ok=not error,
            error=error,
            kind=self.spec.kind,
            cell=self.spec.cell,
            spec_hash=self.spec.spec_hash,
            seconds=round(seconds, 2),
            phases={name: round(value, 2) for name, value in self.phases.items()},
            peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            **self.facts,
        )

    def close(self, result: TrainingResult) -> None:
        """Hand the result to whoever watches: result.json always, and the last Pipes message."""
        if not self.main:
            return
        try:
            write_atomic(self.spec.result_path, result.model_dump_json(indent=1).encode())
        except OSError as error:
            print(f"cannot write {self.spec.result_path}: {error.strerror}", file=sys.stderr, flush=True)
        if self._pipes is not None:
            self._pipes.report_custom_message(result.model_dump(mode="json"))


def run_child(kind: Literal["sft", "dpo"], train: Callable[[Session], None], arguments: list[str]) -> int:
    """Run one training and return the exit code: 0 done, 1 failed, 2 wrong usage, 3 interrupted (a checkpoint is kept).

    Args:
        kind: What this module trains; the specification must agree.
        train: Does it, and fills `session.facts`.
        arguments: The command line: the path of the specification.
    """
    if len(arguments) != 1:
        print(f"usage: python -m alas_assets.training.{kind} SPEC.json", file=sys.stderr)
        return 2
    try:
        spec = _spec_of(kind, Path(arguments[0]))
    except SpecError as error:
        print(f"{kind} training failed: {error}", file=sys.stderr, flush=True)
        return 2
    _prepare_environment(spec)
    with ExitStack() as stack:
        session = Session(spec, _open_pipes(stack))
        signal.signal(signal.SIGINT, session.on_signal)
        signal.signal(signal.SIGTERM, session.on_signal)
        try:
            if session.main:
                stack.enter_context(_alone(spec))
            if (done := finished_before(spec)) is not None:
                session.tell(f"{kind} of {spec.cell}: this very training is already done")
                session.close(done)
                return 0
            train(session)
            if session.main:
                session.facts["adapter_hash"] = folder_hash(Path(spec.output_dir))
                session.facts["manifest_hash"] = file_hash(Path(spec.output_dir) / MANIFEST)
            session.close(session.result())
            if session.main:
                drop_checkpoints(spec.work_dir)
            return 0
        except (Interrupted, KeyboardInterrupt):
            line, code = "interrupted; the next run continues from the newest checkpoint", INTERRUPTED
        except (TrainingError, ModelFilesError, RecipeError, RowsError, SavingError) as error:
            line, code = str(error), 1
        except OSError as error:
            line, code = f"{error.filename or spec.checkpoint_dir}: {error.strerror or error}", 1
        except Exception as error:  # noqa: BLE001 - the parent reads one line; the traceback is in the log
            traceback.print_exc()
            line, code = in_words(error), 1
        print(f"{kind} training of {spec.cell} failed: {line}", file=sys.stderr, flush=True)
        session.close(session.result(error=line))
        return code


def in_words(error: Exception) -> str:
    """Return one line on an error that nobody expected; one of memory, which torch raises under names of its own, says what to do."""
    line = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in line:
        return (
            "the memory is full; in a recipe of your own lower batch_size, and raise gradient_accumulation by as much, or set "
            f"gradient_checkpointing = true ({line})"
        )
    return f"unexpected {line}"


def _spec_of(kind: str, path: Path) -> TrainingSpec:
    spec = read_spec(path)
    if spec.kind != kind:
        raise SpecError(f"{path}: kind: is {spec.kind!r}, but this module trains {kind!r}")
    return spec


def _prepare_environment(spec: TrainingSpec) -> None:
    """Set what libraries read at import time; a person's own setting wins, except where files or bytes depend on it."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ |= waiting_briefly(os.environ)
    if "WORLD_SIZE" not in os.environ:  # else torch's launcher gives each process its own
        os.environ["CUDA_VISIBLE_DEVICES"] = first_gpu(os.environ.get("CUDA_VISIBLE_DEVICES"))
    if spec.threads:
        os.environ["OMP_NUM_THREADS"] = str(spec.threads)


def first_gpu(visible: str | None) -> str:
    """Return the one GPU that a lone process may see: transformers would spread over all that it sees, and multiply the batch by them.

    Args:
        visible: What CUDA_VISIBLE_DEVICES says; None where it is not set. "" hides all GPUs, and stays.
    """
    return "0" if visible is None else visible.partition(",")[0].strip()


def _open_pipes(stack: ExitStack) -> PipesContext | None:
    if "DAGSTER_PIPES_CONTEXT" not in os.environ or os.environ.get("RANK", "0") != "0":
        return None
    from dagster_pipes import open_dagster_pipes

    return stack.enter_context(open_dagster_pipes())


@contextmanager
def _alone(spec: TrainingSpec) -> Iterator[None]:
    """Hold the working folder: two children on the same checkpoints would destroy each other's."""
    spec.work_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(spec.work_dir / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise TrainingError(f"another process trains in {spec.work_dir}; wait for it or end it") from error
    try:
        yield
    finally:
        lock.release()
