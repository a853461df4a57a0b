"""Print how long every Dagster run of a store took, and its dearest steps: `python bench/runs.py STORE`.

For figures of iterations that sensors opened; the store may be one that a test left behind (`pytest --basetemp=FOLDER`).
"""

import os
import sys

from alas_assets.defs.curriculum import CAUSE_TAG
from alas_assets.defs.running import open_instance
from alas_assets.settings import load_settings

DEAR_SECONDS = 3.0


def main(store: str) -> None:
    """Print a line per run, oldest first, and one per step that took long."""
    os.environ.pop("DAGSTER_HOME", None)  # the store's own instance, not another's
    instance = open_instance(load_settings(store))
    for record in sorted(instance.get_run_records(), key=lambda record: record.create_timestamp):
        run = record.dagster_run
        seconds = (record.end_time or 0) - (record.start_time or 0)
        print(f"{run.tags.get('dagster/partition', '-'):24} {run.status.value:9} {seconds:7.1f} s  {run.tags.get(CAUSE_TAG, '')[:80]}")
        for step in instance.get_run_step_stats(run.run_id):
            took = (step.end_time or 0) - (step.start_time or 0)
            if took >= DEAR_SECONDS:
                print(f"    {step.step_key:30} {took:7.1f} s")


if __name__ == "__main__":
    main(sys.argv[1])
