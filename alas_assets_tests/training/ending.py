"""Trainings that end badly, for the tests of what is said of them: `python -m alas_assets_tests.training.ending SPEC.json`.

The first says why and fails, each later one is killed before it can say anything.
"""

import os
import signal
import sys
from pathlib import Path

first = Path(sys.argv[1]).with_name("first")
if not first.exists():
    first.touch()
    sys.exit("interrupted; the next run continues from the newest checkpoint")
os.kill(os.getpid(), signal.SIGKILL)
