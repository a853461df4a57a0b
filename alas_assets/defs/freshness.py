"""`currency/<domain>`: a heartbeat asset for every registered domain, carrying its freshness policy (O3).

What opens an iteration of a stale domain is `defs.upkeep`, what shows it as failing `defs.currency`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from alas_assets.defs.lineage import last_opened, opened_cells
from alas_assets.defs.resources import Alas
from alas_assets.domains.catalog import domain_files
from alas_assets.domains.config import DomainError, read_domain
from alas_assets.provenance.store import Cell
from alas_assets.settings import load_settings

SKEW = timedelta(minutes=5)
"""How far ahead of this machine's clock a time on record may be; one that is further is of a clock that was wrong, and says nothing."""

_READ_AT = "read_at"


def currency_key(domain: str) -> dg.AssetKey:
    """Return the key of a domain's heartbeat."""
    return dg.AssetKey(["currency", domain])


def heartbeat(cell: Cell, read_at: datetime) -> dg.AssetMaterialization:
    """Return the event that says: this domain's knowledge is of when its sources were read."""
    return dg.AssetMaterialization(
        currency_key(cell.domain), metadata={"iteration": cell.number, _READ_AT: dg.MetadataValue.timestamp(read_at)}
    )


def due_heartbeat(alas: Alas, instance: dg.DagsterInstance, cell: Cell) -> dg.AssetMaterialization | None:
    """Return the heartbeat of an iteration that has read every source; None where that says nothing new.

    A revision that is made again, for another setting or of an old iteration, reads no page. What was read is as old as the plan, since
    planning reads every source.

    Raises:
        StoreError: A file of the store is damaged.
    """
    plan = alas.store.pointer(cell, "curriculum")
    if plan is None or last_opened(alas, cell.domain) != cell:
        return None
    read_at, known = datetime.fromisoformat(plan.made_at), last_heartbeat(instance, cell.domain)
    if is_ahead(read_at):
        dg.get_dagster_logger().warning(
            "%s: its sources were read at %s by the clock, which is later than now; it counts as current from the next iteration on",
            cell,
            plan.made_at,
        )
        return None
    return heartbeat(cell, read_at) if known is None or read_at > known else None


def last_heartbeat(instance: dg.DagsterInstance, domain: str) -> datetime | None:
    """Return of when the domain's knowledge is: when its sources were last read, or where the event does not say, when it was logged.

    None where it never was, and where that is later than now: a clock was wrong, and what it said would count as fresh until then.
    """
    logged = _logged_heartbeat(instance, domain)
    return None if logged is None or is_ahead(logged) else logged


def _logged_heartbeat(instance: dg.DagsterInstance, domain: str) -> datetime | None:
    for record in instance.fetch_materializations(currency_key(domain), limit=1).records:
        said = record.asset_materialization.metadata.get(_READ_AT) if record.asset_materialization else None
        return datetime.fromtimestamp(said.value if isinstance(said, dg.TimestampMetadataValue) else record.timestamp, UTC)
    return None


def is_ahead(moment: datetime) -> bool:
    """Tell whether a time on record is later than now, other than by the difference between two machines' clocks."""
    return moment > datetime.now(UTC) + SKEW


def policy_failed(instance: dg.DagsterInstance, domain: str) -> bool:
    """Tell whether Dagster's daemon has found the domain's freshness policy broken.

    Neither the call nor the state's type is public in Dagster 1.13; this is the only place that uses them.
    """
    key = currency_key(domain)
    record = instance.get_freshness_state_records([key]).get(key)
    return record is not None and record.freshness_state.value == "FAIL"


@dataclass(frozen=True)
class Freshness:
    """How old a domain's knowledge is.

    Attributes:
        beat: Of when every source was last read; None where that never was.
        ended: When an iteration last ended; None where none did.
        as_of: The first of these that there is, or else when the first iteration was opened; None where none was.
        age: Since then; nothing where no iteration was opened.
        window: How old it may be.
        stale: It is older, and Dagster's policy, where it can tell, says so too; or nobody can say how old it is.
        ahead: A time on record that is later than now and so counts as unknown, where the age would be told by it.
    """

    beat: datetime | None
    ended: datetime | None
    as_of: datetime | None
    age: timedelta
    window: timedelta
    stale: bool
    ahead: datetime | None = None

    @property
    def doubt(self) -> str:
        """Why a time on record is not gone by; "" where all are."""
        if self.ahead is None:
            return ""
        return f"a clock was ahead: {self.ahead:%Y-%m-%d %H:%M UTC} is on record, which is later than now and counts as unknown"


def freshness(alas: Alas, instance: dg.DagsterInstance, domain: str) -> Freshness:
    """Return how old a domain's knowledge is.

    Raises:
        DomainError: Its file cannot be used.
        StoreError: A file of the store is damaged.
    """
    window, logged = timedelta(hours=alas.domain(domain).freshness_hours), _logged_heartbeat(instance, domain)
    cells = opened_cells(alas, domain)
    revised = _made_at(alas, cells, "revised_curriculum")  # also of one that is being made again: it had ended
    opened = _made_at(alas, cells, "curriculum_seed")
    beat = None if logged is None or is_ahead(logged) else logged
    ended = max((one for one in revised if not is_ahead(one)), default=None)
    as_of = beat or ended or min((one for one in opened if not is_ahead(one)), default=None)
    on_record = [*([logged] if logged else []), *revised, *opened] if beat is None else []
    ahead = max(filter(is_ahead, on_record), default=None)
    age = max(datetime.now(UTC) - as_of, timedelta()) if as_of else timedelta()
    overdue = age > window and (beat is None or policy_failed(instance, domain))
    return Freshness(beat, ended, as_of, age, window, stale=overdue or (as_of is None and ahead is not None), ahead=ahead)


def _made_at(alas: Alas, cells: list[Cell], asset: str) -> list[datetime]:
    return [datetime.fromisoformat(pointer.made_at) for cell in cells if (pointer := alas.store.pointer(cell, asset))]


def in_words(age: timedelta) -> str:
    """Return an age in hours, in minutes where it is short."""
    minutes = age.total_seconds() / 60
    if minutes < 99.5:  # from there on two digits do not hold it
        return f"{minutes:.2g} min"
    return f"{minutes / 60:.3g} h" if minutes < 6000 else f"{minutes / 60:,.0f} h"


def currency_specs() -> list[dg.AssetSpec]:
    """Return one spec for each domain file that can be read; a broken file is named when its domain is used."""
    specs = []
    for key, path in domain_files(load_settings()).items():
        try:
            domain = read_domain(path)
        except DomainError:
            dg.get_dagster_logger().warning("domain file %s is not valid; run `alas status` to see why", path)
            continue
        window = timedelta(hours=domain.freshness_hours)
        specs.append(
            dg.AssetSpec(
                currency_key(key),
                group_name="currency",
                description=f"When {domain.title} was last brought up to date. Stale after {in_words(window)}.",
                freshness_policy=dg.FreshnessPolicy.time_window(fail_window=window),
            )
        )
    return specs
