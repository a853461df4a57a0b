"""The parent's side of the model process: start it when first needed, ask it, survive its death (spec E5, E7, O7).

Light: no model library is imported here. What the child does is `students.worker`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from alas_assets.processors import waiting_briefly
from alas_assets.students.answering import AdapterError, Answered, AskItem, Decoding, Margins, Merged
from alas_assets.students.catalog import StudentError, StudentRef, known_student

_TAIL_BYTES = 2_000
_KNOWN_ERRORS: dict[str, type[RuntimeError]] = {"StudentError": StudentError, "AdapterError": AdapterError}


class WorkerError(RuntimeError):
    """The model process failed or died; the message has its last words and the log file's name."""


class ModelWorker:
    """One child process for preparing, embedding and answering; it starts at the first request and serves many.

    The child dies with this process, however it ends. Requests from several threads wait for each other.

    Args:
        log_file: Takes everything the child's libraries print.
        threads: CPU threads of the child; None leaves the choice to the libraries and OMP_NUM_THREADS.
    """

    def __init__(self, log_file: Path, threads: int | None = None) -> None:
        """Remember where things lie; nothing is started yet."""
        self.log_file = Path(log_file)
        self._threads = threads
        self._child: subprocess.Popen[str] | None = None
        self._log_start = 0
        self._number = 0
        self._lock = threading.RLock()

    def __enter__(self) -> ModelWorker:
        """Return itself; the child still starts at the first request."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the child."""
        self.close()

    def prepare(self, model: str, revision: str, models_dir: Path) -> StudentRef:
        """Return a student ready on this machine; one that is known costs no child process.

        Args:
            model: As in `students.catalog.prepare_student`.
            revision: Which state of it.
            models_dir: Where prepared students lie (`ArtifactStore.models`).

        Raises:
            StudentError: It cannot be had; the message says what to do.
            WorkerError: The child died.
        """
        known = known_student(model, revision, models_dir)
        if known is not None:
            return known
        return StudentRef(**self._request("prepare", {"model": model, "revision": revision, "models_dir": str(models_dir.resolve())}))

    def embed(self, texts: Sequence[str], embedder: str) -> list[list[float]]:
        """Return one normalised vector a text, in order; no text costs no child process.

        Raises:
            StudentError: The embedder is missing; the message says what to do.
            WorkerError: The child died.
        """
        if not texts:
            return []
        return self._request("embed", {"texts": list(texts), "embedder": embedder})

    def answer(
        self,
        student: StudentRef,
        items: Sequence[AskItem],
        adapter: Path | None,
        decoding: Decoding,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> list[Answered]:
        """Ask the student, with or without an adapter; one answer an item, in order, failed ones with their error (E7).

        Args:
            student: From `prepare`.
            items: The questions.
            adapter: The adapter's folder, or None for the base student.
            decoding: How to decode.
            on_progress: Called with (answered, all) after each batch.

        Raises:
            AdapterError: The adapter is missing, in another format, or made for another base.
            WorkerError: The child died or the student could not be loaded.
        """
        if not items:
            return []
        arguments = {
            "student": student.model_dump(),
            "items": [item.model_dump() for item in items],
            "adapter": str(Path(adapter).resolve()) if adapter is not None else None,
            "decoding": decoding.model_dump(),
        }
        return [Answered(**answer) for answer in self._request("answer", arguments, on_progress)]

    def merge(self, student: StudentRef, adapter: Path | None, folder: Path | None) -> Merged:
        """Write what answers with an adapter as a model folder of its own, and return how it answers (G5).

        Args:
            student: From `prepare`.
            adapter: The adapter's folder, or None for the base student.
            folder: An empty folder; None writes nothing, and only finds out whether the adapter fits.

        Raises:
            AdapterError: The adapter is missing, in another format, or made for another base.
            WorkerError: The child died, or the folder could not be written.
        """
        chosen = str(Path(adapter).resolve()) if adapter is not None else None
        arguments = {
            "student": student.model_dump(),
            "adapter": chosen,
            "folder": str(Path(folder).resolve()) if folder is not None else None,
        }
        return Merged(**self._request("merge", arguments))

    def margins(self, student: StudentRef, said: Sequence[tuple[AskItem, str]], adapter: Path | None, decoding: Decoding) -> list[Margins]:
        """Return by how much the tokens of each text fall behind the student's best ones (`Answerer.margins`, G5).

        Raises:
            AdapterError: The adapter is missing, in another format, or made for another base.
            WorkerError: The child died or the student could not be loaded.
        """
        if not said:
            return []
        arguments = {
            "student": student.model_dump(),
            "said": [{"item": item.model_dump(), "text": text} for item, text in said],
            "adapter": str(Path(adapter).resolve()) if adapter is not None else None,
            "decoding": decoding.model_dump(),
        }
        return [Margins(**one) for one in self._request("margins", arguments)]

    def close(self) -> None:
        """End the child, if one runs; a later request starts a new one."""
        with self._lock:
            self._end(kill=False)

    # -- the child ----------------------------------------------------------------------------------------------
    def _request(self, operation: str, arguments: dict[str, Any], on_progress: Callable[[int, int], None] | None = None) -> Any:
        with self._lock:
            child = self._running()
            self._number += 1
            try:
                reply = self._exchange(child, {"id": self._number, "op": operation, "args": arguments}, on_progress)
            except BaseException:  # an interrupt or a failing callback: the child is amid work nobody waits for
                self._end(kill=True)
                raise
            if reply is None:
                raise self._died(operation)
            if "error" in reply:
                raise self._failed(operation, reply)
            return reply["result"]

    @staticmethod
    def _exchange(
        child: subprocess.Popen[str], request: dict[str, Any], on_progress: Callable[[int, int], None] | None
    ) -> dict[str, Any] | None:
        """Send a request and return its final reply, or None where the child dies first."""
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(json.dumps(request) + "\n")
            child.stdin.flush()
        except BrokenPipeError:
            return None
        for line in child.stdout:
            if not line.endswith("\n"):
                return None  # it died amid a reply
            reply = json.loads(line)
            if "progress" not in reply:
                return reply
            if on_progress is not None:
                on_progress(*reply["progress"])
        return None

    def _running(self) -> subprocess.Popen[str]:
        if self._child is not None and self._child.poll() is not None:
            self._end(kill=True)
        if self._child is None:
            package_root = str(Path(__file__).resolve().parents[2])  # the child must find us however we were found
            inherited = os.environ.get("PYTHONPATH")
            environment = {
                **os.environ,
                **waiting_briefly(os.environ),
                "PYTHONPATH": os.pathsep.join([package_root, inherited] if inherited else [package_root]),
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "TOKENIZERS_PARALLELISM": "false",
                "PYTHONUNBUFFERED": "1",
            }
            if self._threads is not None:
                environment["OMP_NUM_THREADS"] = str(self._threads)
            self.log_file.parent.mkdir(parents=True, exist_ok=True)
            with self.log_file.open("ab") as log:
                self._log_start = log.tell()
                self._child = subprocess.Popen(
                    [sys.executable, "-m", "alas_assets.students.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=environment,
                    text=True,
                    encoding="utf-8",
                )
        return self._child

    def _end(self, *, kill: bool) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if kill:
            child.kill()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # it died with a request half written
                    pipe.close()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _died(self, operation: str) -> WorkerError:
        child = self._child
        code = child.wait() if child is not None else None
        self._end(kill=True)
        if code is not None and code < 0:
            how = f"was killed by {signal.Signals(-code).name}" + (" (out of memory?)" if code == -signal.SIGKILL else "")
        else:
            how = f"ended with exit code {code}"
        return WorkerError(
            f"the model process {how} during {operation!r}; the next request starts a new one. Log {self.log_file}: {self._tail()}"
        )

    def _failed(self, operation: str, reply: dict[str, Any]) -> RuntimeError:
        known = _KNOWN_ERRORS.get(reply["type"])
        if known is not None:
            return known(reply["error"])
        return WorkerError(f"{operation!r} failed in the model process: {reply['type']}: {reply['error']} (log: {self.log_file})")

    def _tail(self) -> str:
        """Return the end of what this child wrote to the log."""
        try:
            with self.log_file.open("rb") as log:
                log.seek(0, os.SEEK_END)
                log.seek(max(self._log_start, log.tell() - _TAIL_BYTES))
                text = log.read().decode("utf-8", "replace").strip()
        except OSError as error:
            return f"cannot be read ({error})"
        return text or "empty"
