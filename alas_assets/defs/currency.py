"""`knowledge_is_fresh`: the check on `currency/<domain>` that shows in the UI whether a domain is current, and if not, why (O3).

Dagster's open-source UI does not show freshness policies. How old knowledge is, is `defs.freshness`'s to say.
"""

from collections.abc import Iterator

import dagster as dg

from alas_assets.defs.failures import failed_because
from alas_assets.defs.freshness import Freshness, currency_key, currency_specs, freshness, in_words
from alas_assets.defs.lineage import last_opened, opened_cells, revised
from alas_assets.defs.resources import Alas
from alas_assets.defs.revision import unread_sources
from alas_assets.defs.steps import clear_failures
from alas_assets.domains.catalog import domain_files
from alas_assets.domains.config import DomainError
from alas_assets.provenance.store import Cell, StoreError
from alas_assets.records import FETCH_SCHEMA, Curriculum, empty

FRESH_CHECK = "knowledge_is_fresh"
NAMED = 5
"""Sources that are named with their reason; the metadata holds the addresses of all."""

_AS_OF, _NOT_READ = "as_of", "not_read"
_MINUTE = "%Y-%m-%d %H:%M UTC"


def freshness_checks() -> list[dg.AssetChecksDefinition]:
    """Return the check of every domain that has a heartbeat asset; it can also be executed by hand."""
    described = (
        "The domain's knowledge is no older than its freshness_hours; evaluated by the sensors `overdue_domains` and `standing_notices` "
        "when that changes."
    )
    specs = [dg.AssetCheckSpec(FRESH_CHECK, asset=spec.key, description=described) for spec in currency_specs()]
    if not specs:
        return []

    @dg.multi_asset_check(name=FRESH_CHECK, specs=specs, can_subset=True)
    def knowledge_is_fresh(context: dg.AssetCheckExecutionContext, alas: Alas) -> Iterator[dg.AssetCheckResult]:
        for key in sorted(context.selected_asset_check_keys):
            with clear_failures():
                found = evaluate(alas, context.instance, key.asset_key.path[-1])
            yield dg.AssetCheckResult(
                passed=found.passed,
                asset_key=found.asset_key,
                check_name=found.check_name,
                severity=found.severity,
                description=found.description,
                metadata=found.metadata,
            )

    return [knowledge_is_fresh]


def news_of_freshness(alas: Alas, instance: dg.DagsterInstance) -> list[dg.AssetCheckEvaluation]:
    """Return an evaluation for every domain that was ever run and of which something else is to be shown than what the UI shows now.

    A domain whose files are damaged keeps what is shown; whatever else looks at it says what is wrong.
    """
    news = []
    for domain in domain_files(alas.settings):
        try:
            if last_opened(alas, domain) is None:
                continue
            found = evaluate(alas, instance, domain)
        except (DomainError, StoreError) as error:
            dg.get_dagster_logger().warning("%s: whether it is current cannot be said: %s", domain, error)
            continue
        if _gist(found) != _gist(_shown(instance, domain)):
            news.append(found)
    return news


def evaluate(alas: Alas, instance: dg.DagsterInstance, domain: str) -> dg.AssetCheckEvaluation:
    """Say whether a domain's knowledge is fresh, and in words since when it is not, how old it is, and which sources were not read.

    Raises:
        DomainError: Its file cannot be used.
        StoreError: A file of the store is damaged.
    """
    known = freshness(alas, instance, domain)
    not_read, why = _not_read(alas, instance, domain) if known.stale else ([], "")
    return dg.AssetCheckEvaluation(
        asset_key=currency_key(domain),
        check_name=FRESH_CHECK,
        passed=not known.stale,
        description=f"{_words(domain, known)}{why}",
        metadata={
            _AS_OF: dg.MetadataValue.timestamp(current) if (current := known.beat or known.ended) else "never",
            "age_hours": round(known.age.total_seconds() / 3600, 3),
            "freshness_hours": round(known.window.total_seconds() / 3600, 3),
            _NOT_READ: dg.MetadataValue.json(not_read),
        },
    )


def _words(domain: str, known: Freshness) -> str:
    allowed = f"{in_words(known.window)} are allowed (freshness_hours)"
    doubt = f"; {known.doubt}" if known.doubt else ""
    if known.as_of is None and known.stale:
        return f"{domain} is stale: nobody can say how old it is, since {known.doubt}; {allowed}"
    if known.as_of is None:
        return f"no iteration of {domain} was opened yet; {allowed}"
    if not known.stale:
        none_ended = f"no iteration of {domain} has ended yet, the first was opened at {known.as_of:{_MINUTE}}"
        current = f"{domain} is current as of {known.as_of:{_MINUTE}}" if known.beat or known.ended else none_ended
        return f"{current}; {allowed}{doubt}"
    ended = (
        "not every source was ever read, and an iteration last ended" if known.ended else "no iteration ever ended, the first was opened"
    )
    of = "every source was last read" if known.beat else ended
    return (
        f"{domain} is stale since {known.as_of + known.window:{_MINUTE}}: {of} at {known.as_of:{_MINUTE}}, "
        f"{in_words(known.age)} before this was found, and {allowed}{doubt}"
    )


def _not_read(alas: Alas, instance: dg.DagsterInstance, domain: str) -> tuple[list[str], str]:
    """Return the sources that the last iteration did not read, or that it failed, and the same in words.

    An iteration that is still at work, or waits, says nothing yet: what the one before it says stays.
    """
    for cell in reversed(opened_cells(alas, domain)):
        if revised(alas, cell):
            return _unread_by(alas, cell)
        if failure := failed_because(instance, cell):
            return [f"iteration {cell.iteration} failed"], f". Iteration {cell.iteration} failed: {failure.why}"
    return [], ""


def _unread_by(alas: Alas, cell: Cell) -> tuple[list[str], str]:
    plan, read = alas.store.pointer(cell, "curriculum"), alas.store.pointer(cell, "documents")
    if plan is None:
        return [], ""
    documents = alas.store.read_table(read) if read else empty(FETCH_SCHEMA)
    unread = unread_sources(alas.domain(cell.domain), alas.store.read_record(Curriculum, plan), documents)
    named = "; ".join(f"{url}: {reason}" for url, reason in unread[:NAMED])
    more = f"; and {len(unread) - NAMED} more" if len(unread) > NAMED else ""
    return [url for url, _ in unread], f". Iteration {cell.iteration} did not read {named}{more}" if unread else ""


def _gist(shown: dg.AssetCheckEvaluation | None) -> object:
    """Return what makes an evaluation news: its outcome, of when the knowledge is, and what was not read; its age grows anyway."""
    return shown and (shown.passed, *(shown.metadata[name].value for name in (_AS_OF, _NOT_READ) if name in shown.metadata))


def _shown(instance: dg.DagsterInstance, domain: str) -> dg.AssetCheckEvaluation | None:
    """Return what the UI shows now; Dagster 1.13 does not call this lookup public, and only this function uses it."""
    record = instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(currency_key(domain), FRESH_CHECK))
    event = record.event.dagster_event if record and record.event else None
    return event.asset_check_evaluation_data if event and event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION else None
