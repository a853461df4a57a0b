"""`currency/<domain>`: a heartbeat asset for every registered domain, carrying its freshness policy (O3, dagster.md 5)."""

from datetime import timedelta

import dagster as dg

from alas_assets.domains.catalog import domain_files
from alas_assets.domains.config import DomainError, read_domain
from alas_assets.provenance.store import Cell
from alas_assets.settings import load_settings


def heartbeat(cell: Cell) -> dg.AssetMaterialization:
    """Return the event that says: this domain's knowledge is of now."""
    return dg.AssetMaterialization(["currency", cell.domain], metadata={"iteration": cell.number})


def currency_specs() -> list[dg.AssetSpec]:
    """Return one spec for each domain file that can be read; a broken file is named when its domain is used."""
    specs = []
    for key, path in domain_files(load_settings()).items():
        try:
            domain = read_domain(path)
        except DomainError:
            dg.get_dagster_logger().warning("domain file %s is not valid; run `alas status` to see why", path)
            continue
        specs.append(
            dg.AssetSpec(
                ["currency", key],
                group_name="currency",
                description=f"When {domain.title} was last brought up to date. Stale after {domain.freshness_hours:g} h.",
                freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=domain.freshness_hours)),
            )
        )
    return specs
