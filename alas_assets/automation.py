"""The project's one automation condition, argued clause by clause, and whose cells it may touch at all."""

import dagster as dg

from alas_assets.defs.failures import DRY_RUN_TAG
from alas_assets.defs.lineage import closed_because
from alas_assets.defs.resources import Alas
from alas_assets.partitions import cell_of
from alas_assets.provenance.store import BadKeyError, StoreError
from alas_assets.provenance.watching import watched_domains
from alas_assets.settings import load_settings

AC = dg.AutomationCondition


class LeftToTheDaemon(dg.AutomationCondition):
    """True of what belongs to a watched domain, unless its newest run was a dry run or was ended by a person, or its iteration is closed.

    `alas watch off` and `--dry-run` promise that nothing is trained, a run that somebody cancelled is theirs to go on with, and with an
    iteration that was closed only `alas retry` goes on.
    """

    def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:  # type: ignore[override]
        """Narrow the candidates down to those cells, or domains where the asset is one of a whole domain."""
        candidates = context.candidate_subset
        wanted: set[str] = set()
        if not candidates.is_empty:  # mostly there are none, and then no file and no run is looked at
            home, instance = load_settings().home, context.asset_graph_view.instance
            alas, watched = Alas(home=str(home)), watched_domains(home)
            keys = [key for key in candidates.expensively_compute_partition_keys() if key.partition("|")[0] in watched]
            wanted = {key for key in keys if not _kept_back(instance, key) and not _closed(alas, key)}
        return dg.AutomationResult(context, true_subset=candidates.compute_intersection_with_partition_keys(wanted))


def _kept_back(instance: dg.DagsterInstance, partition: str) -> bool:
    """Tell whether the newest run of a partition says that a person wants no more of it."""
    newest = next(iter(instance.get_runs(dg.RunsFilter(tags={"dagster/partition": partition}), limit=1)), None)
    return newest is not None and (newest.status is dg.DagsterRunStatus.CANCELED or DRY_RUN_TAG in newest.tags)


def _closed(alas: Alas, partition: str) -> bool:
    """Tell whether a partition is an iteration that was closed, or one of which the domain's damaged file cannot tell that."""
    if "|" not in partition:  # a whole domain
        return False
    try:
        return closed_because(alas, cell_of(partition)) is not None
    except (BadKeyError, StoreError):
        return True


def on_new_content() -> dg.AutomationCondition:
    """Run a cell's asset when what it reads has new *content*, once, and never while something upstream moves.

    - `moved` latches a changed data version of a direct input until it was requested. `eager()` fires on any
      materialisation, also with equal content, and loses an update that shares a tick with its reset
      (dagster#33587); the latch does neither.
    - `unfilled` latches that a cell is not there until it was requested or made: a cell whose seed is there fills itself, also one
      whose domain is watched only later.
    - `execution_failed().newly_true()`: one retry, not a treadmill.
    - Blocking checks of the inputs must have passed: a leak stops training.
    - `LeftToTheDaemon`: nothing of a domain that nobody watches, of a dry run, of what somebody cancelled or closed. It comes last, so
      that it looks at those few cells only of which everything else is true.
    - `code_version_changed()` is left out on purpose: it selects every cell ever made, and a version bump would
      retrain all history. Re-run the newest cells by hand instead.

    Trade: an update that arrives between a finished run and the next tick is not seen; the cell's next run, by hand or by
    `alas run`, takes it up.
    """
    moved = AC.any_deps_updated().replace("newly_updated", AC.data_version_changed()).since(AC.newly_requested() | AC.initial_evaluation())
    nothing_in_the_way = ~AC.in_progress() & ~AC.any_deps_in_progress() & ~AC.any_deps_missing() & AC.all_deps_blocking_checks_passed()
    unfilled = AC.newly_missing().since(AC.newly_requested() | AC.newly_updated())
    worth_it = moved | unfilled | AC.execution_failed().newly_true()
    return (nothing_in_the_way & worth_it & LeftToTheDaemon()).with_label("on_new_content")
