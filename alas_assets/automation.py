"""The project's one automation condition, argued clause by clause."""

import dagster as dg

AC = dg.AutomationCondition


def on_new_content() -> dg.AutomationCondition:
    """Run a cell's asset when what it reads has new *content*, once, and never while something upstream moves.

    - `moved` latches a changed data version of a direct input until it was requested. `eager()` fires on any
      materialisation, also with equal content, and loses an update that shares a tick with its reset
      (dagster#33587); the latch does neither.
    - `newly_missing`: a cell whose seed has just appeared fills itself.
    - `execution_failed().newly_true()`: one retry, not a treadmill.
    - Blocking checks of the inputs must have passed: a leak stops training.
    - `code_version_changed()` is left out on purpose: it selects every cell ever made, and a version bump would
      retrain all history. Re-run the newest cells by hand instead.

    Trade: an update that arrives between a finished run and the next tick is not seen; the cell's next run, by hand or by
    `alas run`, takes it up.
    """
    moved = AC.any_deps_updated().replace("newly_updated", AC.data_version_changed()).since(AC.newly_requested() | AC.initial_evaluation())
    nothing_in_the_way = ~AC.in_progress() & ~AC.any_deps_in_progress() & ~AC.any_deps_missing() & AC.all_deps_blocking_checks_passed()
    return (nothing_in_the_way & (moved | AC.newly_missing() | AC.execution_failed().newly_true())).with_label("on_new_content")
