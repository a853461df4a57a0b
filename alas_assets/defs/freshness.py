"""`currency/<domain>`: a heartbeat asset for every registered domain, carrying its freshness policy (O3, dagster.md 5).

What opens an iteration of a stale domain is `defs.upkeep`.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg

from alas_assets.domains.catalog import domain_files
from alas_assets.domains.config import DomainError, read_domain
from alas_assets.provenance.store import Cell
from alas_assets.settings import load_settings


def currency_key(domain: str) -> dg.AssetKey:
    """Return the key of a domain's heartbeat."""
    return dg.AssetKey(["currency", domain])


def heartbeat(cell: Cell) -> dg.AssetMaterialization:
    """Return the event that says: this domain's knowledge is of now."""
    return dg.AssetMaterialization(currency_key(cell.domain), metadata={"iteration": cell.number})


def last_heartbeat(instance: dg.DagsterInstance, domain: str) -> datetime | None:
    """Return when the domain's knowledge was last of now."""
    found = instance.fetch_materializations(currency_key(domain), limit=1).records
    return datetime.fromtimestamp(found[0].timestamp, UTC) if found else None


def policy_failed(instance: dg.DagsterInstance, domain: str) -> bool:
    """Tell whether Dagster's daemon has found the domain's freshness policy broken.

    Neither the call nor the state's type is public in Dagster 1.13; this is the only place that uses them.
    """
    key = currency_key(domain)
    record = instance.get_freshness_state_records([key]).get(key)
    return record is not None and record.freshness_state.value == "FAIL"


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
                currency_key(key),
                group_name="currency",
                description=f"When {domain.title} was last brought up to date. Stale after {domain.freshness_hours:g} h.",
                freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=domain.freshness_hours)),
            )
        )
    return specs
