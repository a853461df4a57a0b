"""No process outlives the wrapper, whatever the trainer does (T4)."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from alas_assets_tests.training.factory import environment

# each writes its pid, then does what its name says
SLEEP = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); time.sleep(120)"
STUBBORN = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP
PARENT_OF = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[2], sys.argv[1]]); "
SAVER = (
    "import os, signal, sys, time\n"
    "def save(*_): time.sleep(0.3); open(sys.argv[1] + '.saved', 'w').close(); sys.exit(3)\n"
    "signal.signal(signal.SIGINT, save)\n"
    "open(sys.argv[1], 'a').write(f'{os.getpid()}\\n')\n"
    "time.sleep(120)\n"
)


def start(*command: str, log: Path | None = None, grace: float = 1.0) -> subprocess.Popen[bytes]:
    options = ["--grace", str(grace), *(["--log", str(log)] if log else [])]
    return subprocess.Popen(
        [sys.executable, "-m", "alas_assets.training.launch", *options, "--", *command], env=environment(), stdout=subprocess.PIPE
    )


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within 30 s")


def pids(path: Path, count: int) -> list[int]:
    wait_for(lambda: path.exists() and len(path.read_text().splitlines()) == count)
    return [int(line) for line in path.read_text().splitlines()]


def gone(numbers: list[int]) -> bool:
    return not any(map(alive, numbers))


def alive(number: int) -> bool:
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_exit_code_and_the_output_are_the_commands(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    wrapper = start(sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)", log=log)
    out, _ = wrapper.communicate(timeout=60)
    assert wrapper.returncode == 7
    assert set(out.split()) == set(log.read_bytes().split()) == {b"out", b"err"}


@pytest.mark.parametrize(("signum", "why"), [(signal.SIGKILL, "SIGKILL; out of memory?"), (signal.SIGSEGV, "SIGSEGV")])
def test_a_command_that_is_killed_leaves_word_of_it(tmp_path: Path, signum: signal.Signals, why: str) -> None:
    log = tmp_path / "child.log"
    wrapper = start(sys.executable, "-c", f"import os; os.kill(os.getpid(), {int(signum)})", log=log)
    out, _ = wrapper.communicate(timeout=60)
    assert wrapper.returncode == 128 + signum
    assert out.decode() == log.read_text(encoding="utf-8") == f"the training was killed by {why}\n"


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_trainer_gets_time_to_save(tmp_path: Path, signum: signal.Signals) -> None:
    note = tmp_path / "pid"
    wrapper = start(sys.executable, "-c", SAVER, str(note), grace=20)
    numbers = pids(note, 1)
    wrapper.send_signal(signum)
    assert wrapper.wait(timeout=60) == 3
    assert (tmp_path / "pid.saved").exists()
    assert gone(numbers)


@pytest.mark.parametrize("child", [STUBBORN, PARENT_OF + STUBBORN])
def test_a_family_that_ignores_signals_is_killed_after_the_grace(tmp_path: Path, child: str) -> None:
    note = tmp_path / "pid"
    wrapper = start(sys.executable, "-c", child, str(note), STUBBORN)
    numbers = pids(note, 1 if child is STUBBORN else 2)
    wrapper.send_signal(signal.SIGINT)
    assert wrapper.wait(timeout=60) == 3
    assert gone(numbers)


def test_a_crashed_launcher_leaves_no_worker(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    crash = PARENT_OF + "import os, time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.05)\nos.kill(os.getpid(), 9)"
    wrapper = start(sys.executable, "-c", crash, str(note), STUBBORN, log=tmp_path / "child.log")
    assert wrapper.wait(timeout=60) == 128 + 9
    assert gone(pids(note, 1))


def test_a_killed_parent_takes_the_family_with_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    wrapper = (
        f"[sys.executable, '-m', 'alas_assets.training.launch', '--grace', '1', '--', sys.executable, '-c', {STUBBORN!r}, {str(note)!r}]"
    )
    parent = subprocess.Popen([sys.executable, "-c", f"import subprocess, sys; subprocess.run({wrapper})"], env=environment())
    numbers = pids(note, 1)
    family = [p.pid for p in psutil.Process(parent.pid).children(recursive=True)]
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    wait_for(lambda: gone([*numbers, *family]))
