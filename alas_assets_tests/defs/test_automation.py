"""`on_new_content()` driven by real ticks: new content runs once, equal content never, nothing fires twice.

Two domains throughout: several of Dagster's surprises show only then.
"""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from alas_assets.automation import on_new_content
from alas_assets.defs.failures import DRY_RUN_TAG
from alas_assets.partitions import cell_key, cells
from alas_assets.provenance.changes import retry_iteration
from alas_assets.provenance.store import Cell
from alas_assets.provenance.watching import set_watched
from alas_assets.release.closing import close_iteration

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
        asked = {key: result.get_requested_partitions(dg.AssetKey(key)) for key in ("pairs", "adapter")}
        return {key: {str(partition) for partition in found} for key, found in asked.items() if found}

    def publish(self, partition: str, version: str) -> None:
        """Report a seed of this content."""
        self.instance.report_runless_asset_event(dg.AssetMaterialization(SEED, partition=partition, tags={"dagster/data_version": version}))

    def work(self, partition: str, *assets: str, fail: bool = False, tags: dict[str, str] | None = None) -> str:
        """Run these assets of one cell, or those that a tick requested, and return the run's id."""
        ran = self.defs.resolve_implicit_global_asset_job_def().execute_in_process(
            partition_key=partition,
            asset_selection=[dg.AssetKey(name) for name in assets or ("pairs", "adapter")],
            instance=self.instance,
            raise_on_error=False,
            run_config={"ops": {"pairs": {"config": {"fail": fail}}}},
            tags=tags,
        )
        return ran.run_id


@pytest.fixture
def ticks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ticks]:
    """Two domains, both watched."""
    monkeypatch.setenv("ALAS_HOME", str(tmp_path))
    for domain in ("blue", "red"):
        set_watched(tmp_path, domain, True)
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


def test_a_domain_that_nobody_watches_is_left_alone_and_fills_itself_once_somebody_does(ticks: Ticks, tmp_path: Path) -> None:
    set_watched(tmp_path, "red", False)
    ticks.publish(RED, "v1")  # `alas open`, before the sensors were first on
    assert ticks.tick() == {}
    ticks.publish(BLUE, "v1")
    assert ticks.tick() == {"pairs": {BLUE}, "adapter": {BLUE}}
    set_watched(tmp_path, "red", True)
    assert ticks.tick() == {"pairs": {RED}, "adapter": {RED}}
    assert ticks.tick() == {}


def test_a_run_of_a_domain_that_nobody_watches_is_not_gone_on_with(ticks: Ticks, tmp_path: Path) -> None:
    set_watched(tmp_path, "red", False)
    ticks.tick()
    ticks.publish(RED, "v1")
    ticks.tick()
    ticks.work(RED, "pairs")
    assert [ticks.tick() for _ in range(3)] == [{}, {}, {}]
    ticks.work(RED, "adapter")  # whoever materialises by hand still can
    assert RED in ticks.instance.get_materialized_partitions(dg.AssetKey("adapter"))


def test_a_dry_run_of_a_watched_domain_is_not_gone_on_with_until_a_run_proper(ticks: Ticks) -> None:
    ticks.tick()
    ticks.publish(BLUE, "v1")
    ticks.work(BLUE, "pairs", tags={DRY_RUN_TAG: "true"})
    assert [ticks.tick() for _ in range(3)] == [{}, {}, {}]
    ticks.work(BLUE, "pairs")
    assert ticks.tick()["adapter"] == {BLUE}


def test_a_dry_run_from_before_the_sensors_were_on_is_not_gone_on_with(ticks: Ticks) -> None:
    ticks.publish(BLUE, "v1")
    ticks.work(BLUE, "pairs", tags={DRY_RUN_TAG: "true"})
    assert [ticks.tick() for _ in range(2)] == [{}, {}]


def test_a_run_that_somebody_cancelled_is_not_gone_on_with(ticks: Ticks) -> None:
    ticks.tick()
    ticks.publish(BLUE, "v1")
    run_id = ticks.work(BLUE, "pairs")
    run = ticks.instance.get_run_by_id(run_id)
    assert run is not None
    ticks.instance.report_run_canceled(run)
    assert [ticks.tick() for _ in range(2)] == [{}, {}]


def test_an_iteration_that_was_closed_is_left_alone_until_somebody_takes_that_back(ticks: Ticks, tmp_path: Path) -> None:
    opened, failed = Cell.of("blue", 0), Cell.of("red", 0)
    ticks.publish(BLUE, "v1")
    ticks.publish(RED, "v1")
    ticks.work(RED, fail=True)
    for cell in (opened, failed):
        close_iteration(tmp_path, cell, "abandoned by hand")
    assert [ticks.tick() for _ in range(2)] == [{}, {}]
    retry_iteration(tmp_path, opened)
    assert ticks.tick() == {"pairs": {BLUE}, "adapter": {BLUE}}


def test_a_damaged_file_of_one_domain_keeps_automation_from_that_domain_alone(ticks: Ticks, tmp_path: Path) -> None:
    close_iteration(tmp_path, Cell.of("red", 0), "abandoned by hand")
    (tmp_path / "watch" / "red.json").write_text("torn")
    for partition in (BLUE, RED):
        ticks.publish(partition, "v1")
    assert ticks.tick() == {"pairs": {BLUE}, "adapter": {BLUE}}
