"""What Dagster loads: assets, checks, sensors, jobs and resources, gathered and nothing more."""

import os

import dagster as dg

from alas_assets.defs import (
    auditing,
    curriculum,
    documents,
    judging,
    promotion,
    qa,
    reporting,
    revision,
    sensors,
    training,
    upkeep,
    watching,
)
from alas_assets.defs.currency import freshness_checks
from alas_assets.defs.freshness import currency_specs
from alas_assets.defs.io_managers import StoreIOManager
from alas_assets.defs.resources import Alas, Trainer
from alas_assets.settings import load_settings

MODULES = [curriculum, documents, qa, judging, training, promotion, revision, auditing]


def build_defs(*, home: str = "") -> dg.Definitions:
    """Assemble the code location; `home` outranks ALAS_HOME (tests and the command line pass it)."""
    alas = Alas(home=home)
    return dg.Definitions(
        assets=[*dg.load_assets_from_modules(MODULES), *currency_specs()],
        asset_checks=[*dg.load_asset_checks_from_modules(MODULES), *freshness_checks()],
        sensors=[
            sensors.automation,
            sensors.next_iteration,
            watching.release_pages,
            upkeep.overdue_domains,
            upkeep.failed_iterations,
            reporting.failed_runs,
            reporting.standing_notices,
        ],
        schedules=[upkeep.nightly],
        jobs=[sensors.iteration, sensors.start_iteration, sensors.scoreboard_job],
        resources={"alas": alas, "trainer": Trainer(), "store_io": StoreIOManager(alas=alas)},
        # What is heavy runs in children of its own (training, the model that answers); a process for each step would start Dagster and load
        # that model again fourteen times an iteration.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Load the code location, and say where the results of `alas` are if this Dagster looks elsewhere."""
    wanted = load_settings().dagster_home
    if not os.environ.get("DAGSTER_HOME"):
        dg.get_dagster_logger().warning(
            "DAGSTER_HOME is not set, so this Dagster shows an instance of its own. To see what `alas` made: export DAGSTER_HOME=%s", wanted
        )
    return build_defs()
