"""Sensors: the automation sensor and `next_iteration` (O2). All are off until somebody turns them on (`alas watch`)."""

import dagster as dg

from alas_assets.defs.births import AUTOMATION, ITERATION_JOB, START_JOB, automatic_opening, births, each_by_itself
from alas_assets.defs.resources import Alas
from alas_assets.partitions import cells
from alas_assets.provenance.watching import watched_domains

NOBODY_WATCHED = "no domain is watched; `alas watch on DOMAIN` adds one"

start_iteration = dg.define_asset_job(
    START_JOB, selection=["curriculum_seed"], partitions_def=cells, description="Open an iteration: materialise its seed."
)
iteration = dg.define_asset_job(
    ITERATION_JOB,
    selection=dg.AssetSelection.groups("loop") - dg.AssetSelection.assets("scoreboard"),
    partitions_def=cells,
    description="One whole iteration of one domain; steps that are already done are skipped.",
)
scoreboard_job = dg.define_asset_job("scores", selection=["scoreboard"], description="Bring a domain's scoreboard up to date.")

automation = dg.AutomationConditionSensorDefinition(
    AUTOMATION,
    target=dg.AssetSelection.groups("loop"),
    emit_backfills=False,
    use_user_code_server=True,  # the daemon knows no conditions but Dagster's own, and one of ours reads which domains are watched
    default_status=dg.DefaultSensorStatus.STOPPED,
    minimum_interval_seconds=30,
    description="Runs the assets of a watched domain's opened iteration, and again those whose inputs have new content; not after a dry "
    "run, or a run that somebody cancelled, nor one that was closed. `alas watch` switches it.",
)


@dg.sensor(
    job=start_iteration,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Opens the first iteration of every watched domain that has none, and the next where the newest revision says continue.",
)
def next_iteration(context: dg.SensorEvaluationContext, alas: Alas) -> dg.SensorResult | dg.SkipReason:
    """Open the first iteration of a watched domain, and the next where the newest revision says continue, each exactly once."""
    watched = watched_domains(alas.settings.home)
    openings = [each_by_itself(domain, lambda key: automatic_opening(alas, context.instance, key)) for domain in watched]
    if any(opening.cell for opening in openings):
        return births(context.instance, openings)
    return dg.SkipReason("; ".join(o.reason for o in openings) or NOBODY_WATCHED)
