"""`on_new_content()` driven by real ticks: new content runs once, equal content never, nothing fires twice.

Two domains throughout: several of Dagster's surprises show only then.
"""

from collections.abc import Iterator

import dagster as dg
import pytest

from alas_assets.automation import on_new_content
from alas_assets.partitions import cell_key, cells
from alas_assets.provenance.store import Cell

SEED = dg.AssetKey("seed")
BLUE, RED = cell_key(Cell.of("blue", 0)), cell_key(Cell.of("red", 0))


@dg.asset(partitions_def=cells)
def seed() -> None: ...


@dg.asset(
    partitions_def=cells, deps=[seed], automation_condition=on_new_content(), config_schema={"fail": dg.Field(bool, default_value=False)}
)
def pairs(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    if context.op_execution_context.op_config["fail"]:
        raise dg.Failure("told to")
    return dg.MaterializeResult(data_version=dg.DataVersion("p"))


@dg.asset(partitions_def=cells, deps=[pairs], automation_condition=on_new_content())
def adapter() -> None: ...


class Ticks:
    """An instance, its cursor, and the ticks on it."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.defs = dg.Definitions(assets=[seed, pairs, adapter])
        self.cursor = None
        instance.add_dynamic_partitions("domain", ["blue", "red"])
        instance.add_dynamic_partitions("iteration", ["000"])

    def tick(self) -> dict[str, set[str]]:
        """Evaluate once and return the requested partitions by asset."""
        result = dg.evaluate_automation_conditions(self.defs, self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        return {key: found for key in ("pairs", "adapter") if (found := result.get_requested_partitions(dg.AssetKey(key)))}

    def publish(self, partition: str, version: str) -> None:
        """Report a seed of this content."""
        self.instance.report_runless_asset_event(dg.AssetMaterialization(SEED, partition=partition, tags={"dagster/data_version": version}))

    def work(self, partition: str, *, fail: bool = False) -> None:
        """Run what a tick requested for one cell."""
        self.defs.resolve_implicit_global_asset_job_def().execute_in_process(
            partition_key=partition,
            asset_selection=[dg.AssetKey("pairs"), dg.AssetKey("adapter")],
            instance=self.instance,
            raise_on_error=False,
            run_config={"ops": {"pairs": {"config": {"fail": fail}}}},
        )


@pytest.fixture
def ticks() -> Iterator[Ticks]:
    with dg.instance_for_test() as instance:
        yield Ticks(instance)


def test_a_new_cell_fills_itself_once_its_seed_is_there_and_only_that_cell(ticks: Ticks) -> None:
    assert ticks.tick() == {}
    ticks.publish(BLUE, "v1")
    assert ticks.tick() == {"pairs": {BLUE}, "adapter": {BLUE}}
    assert ticks.tick() == {}


def test_equal_content_materialised_again_requests_nothing(ticks: Ticks) -> None:
    ticks.tick()
    ticks.publish(BLUE, "v1")
    ticks.tick()
    ticks.work(BLUE)
    ticks.tick()
    ticks.publish(BLUE, "v1")
    assert ticks.tick() == {}


def test_new_content_of_one_domain_does_not_touch_the_other(ticks: Ticks) -> None:
    ticks.tick()
    for partition in (BLUE, RED):
        ticks.publish(partition, "v1")
    ticks.tick()
    for partition in (BLUE, RED):
        ticks.work(partition)
    ticks.tick()
    ticks.publish(RED, "v2")
    requested = ticks.tick()
    assert requested["pairs"] == {RED}
    assert BLUE not in requested.get("adapter", set())


def test_content_that_arrives_while_a_run_is_in_flight_is_requested_afterwards(ticks: Ticks) -> None:
    """Requested, tick, run done, new content, tick. `eager()` loses it."""
    ticks.tick()
    ticks.publish(BLUE, "v1")
    ticks.tick()
    ticks.tick()
    ticks.work(BLUE)
    ticks.publish(BLUE, "v2")
    requested = ticks.tick().get("pairs", set()) | ticks.tick().get("pairs", set())
    assert requested == {BLUE}


def test_a_run_that_fails_is_tried_once_more_and_then_left_alone(ticks: Ticks) -> None:
    ticks.tick()
    ticks.publish(BLUE, "v1")
    ticks.tick()
    ticks.work(BLUE, fail=True)
    assert ticks.tick().get("pairs") == {BLUE}
    ticks.work(BLUE, fail=True)
    assert [ticks.tick() for _ in range(3)] == [{}, {}, {}]
