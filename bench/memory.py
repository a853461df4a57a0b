"""Run a command and print the most memory that it and all its children held at once: `python bench/memory.py make demo`.

Proportional set size, sampled once a second, so that pages shared between processes count once. Linux only.
"""

import subprocess
import sys
import time

import psutil


def held(root: psutil.Process) -> dict[str, int]:
    """Return MiB by process, the command's own and all below it; one that ends meanwhile is left out."""
    found: dict[str, int] = {}
    for process in [root, *root.children(recursive=True)]:
        try:
            name = " ".join(process.cmdline())[-60:]
            found[name] = found.get(name, 0) + (process.memory_full_info().pss >> 20)
        except psutil.Error:
            continue
    return found


def main(command: list[str]) -> int:
    """Return the command's exit code."""
    started, at = time.monotonic(), 0.0
    peak: dict[str, int] = {}
    child = subprocess.Popen(command)
    root = psutil.Process(child.pid)
    while child.poll() is None:
        now = held(root)
        if sum(now.values()) > sum(peak.values()):
            peak, at = now, time.monotonic() - started
        time.sleep(1)
    print(f"\npeak {sum(peak.values())} MiB after {at:.0f} s:")
    for name, size in sorted(peak.items(), key=lambda item: -item[1]):
        print(f"  {size:6} MiB  {name}")
    return child.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
