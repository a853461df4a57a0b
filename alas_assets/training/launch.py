"""The wrapper between Dagster and a training: no process outlives it (T4).

    python -m alas_assets.training.launch [--log FILE] [--grace SECONDS] -- COMMAND...

Dagster signals its direct child only and kills nothing, and launchers of several processes do not pass signals on. So the
direct child is this: it asks the whole family to stop, waits, kills what is left, and stops too when its parent is gone.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO

import psutil

GRACE = 20.0
"""Seconds a trainer gets to save; under the 30 s after which Dagster gives up waiting."""

STOPPED = 3
WRAPPER = "ALAS_TRAINING_WRAPPER"
"""Tells a trainer which process it must not outlive; between the two there may be a launcher of several."""

_POLL = 0.5
_ORPHAN_GRACE = 2.0


class _Stop(Exception):
    """Somebody asked to stop."""


def run(command: list[str], log: Path | None, grace: float) -> int:
    """Run a command, its output also going to `log`, and leave no process of it behind.

    Args:
        command: Program and arguments; started without a shell.
        log: A file that gets standard output and error too; its folder must exist. None: no file.
        grace: Seconds between asking to stop and killing.

    Returns:
        The command's exit code (128 + n for signal n), or 3 when this process was asked to stop or lost its parent.
    """
    with suppress(PermissionError):  # a session leader leads its group already
        os.setpgrp()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _raise_stop)
    parent = os.getppid()
    family: set[psutil.Process] = set()
    try:
        return _run_to_end(command, log, parent, family)
    except _Stop:
        _ignore_signals()
        _stop_family(grace)
        return STOPPED
    finally:
        _ignore_signals()
        _end(_group())
        _end(family)


def _run_to_end(command: list[str], log: Path | None, parent: int, family: set[psutil.Process]) -> int:
    """Wait for a command; `family` gets whoever was seen to descend from it, as the workers of a launcher have groups of their own."""
    with open(log or os.devnull, "ab") as record:
        pipe = subprocess.PIPE if log else None
        own = os.environ | {WRAPPER: str(os.getpid())}
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT if log else None, env=own)
        copier = threading.Thread(target=_copy, args=(child.stdout, record), daemon=True)
        copier.start()
        while True:
            try:
                code = child.wait(timeout=_POLL)
                break
            except subprocess.TimeoutExpired:
                family |= set(_descendants())
                if os.getppid() != parent:
                    raise _Stop from None
        _end(_group())  # grandchildren would keep the pipe open
        _end(family)
        copier.join(timeout=_ORPHAN_GRACE)
        if code < 0:  # it could not say so itself
            memory = "; out of memory?" if -code == signal.SIGKILL else ""
            _write(f"the training was killed by {signal.Signals(-code).name}{memory}\n".encode(), record)
        return code if code >= 0 else 128 - code


def _copy(source: IO[bytes] | None, record: IO[bytes]) -> None:
    for line in source or ():
        _write(line, record)


def _write(line: bytes, record: IO[bytes]) -> None:
    with suppress(OSError, ValueError):  # a full disk or a closed log must not stop the training's output
        record.write(line)
        record.flush()
    with suppress(OSError, ValueError):
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


def _raise_stop(_signum: int, _frame: FrameType | None) -> None:
    raise _Stop


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _stop_family(grace: float) -> None:
    """Ask all descendants to stop, wait, then kill them and whatever they started meanwhile."""
    family = _descendants()
    for process in family:
        with suppress(psutil.Error):
            process.send_signal(signal.SIGINT)
    psutil.wait_procs(family, timeout=grace)
    for process in {*family, *_descendants()}:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(family, timeout=_ORPHAN_GRACE)


def _descendants() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _end(rest: Collection[psutil.Process]) -> None:
    """End the orphans of a crashed command: they lost their parent, but not their process group, or were seen before."""
    for process in rest:
        with suppress(psutil.Error):
            process.terminate()
    for process in psutil.wait_procs(list(rest), timeout=_ORPHAN_GRACE)[1]:
        with suppress(psutil.Error):
            process.kill()


def _group() -> list[psutil.Process]:
    """Return the other processes of this process's group; empty where this process does not lead it."""
    own = os.getpid()
    if os.getpgrp() != own:
        return []
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with suppress(OSError, psutil.Error):
            if process.pid != own and os.getpgid(process.pid) == own and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def training_command(module: str, spec_file: Path, processes: int) -> list[str]:
    """Return the command of a training: one process, or several that torch's own launcher starts and joins."""
    together = ["-m", "torch.distributed.run", "--standalone", "--max-restarts=0", f"--nproc-per-node={processes}"]
    return [sys.executable, *(together if processes > 1 else []), "-m", module, str(spec_file)]


def main(arguments: list[str]) -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m alas_assets.training.launch", description="Run a training and leave no process behind."
    )
    parser.add_argument("--log", type=Path, help="file that gets the command's output too")
    parser.add_argument("--grace", type=float, default=GRACE, help="seconds between asking to stop and killing")
    parser.add_argument("command", nargs="+", help="after --: the program and its arguments")
    options = parser.parse_args(arguments)
    return run(options.command, options.log, options.grace)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
