"""Where an iteration starts: the domain's description at first, the previous revision later (P3, V1).

Builds the record only; what is inherited is collected, and the seed stored, by the asset `curriculum_seed`.
"""

from __future__ import annotations

from collections.abc import Sequence

from alas_assets.domains.config import Domain
from alas_assets.records import Inherited, RevisedCurriculum, Seed


def first_seed(domain: Domain, cause: str, iteration: int = 0) -> Seed:
    """Return the seed of a domain's first iteration: nothing is inherited. Its number is above 0 only where earlier ones were closed."""
    return Seed(
        domain=domain.key,
        iteration=iteration,
        description=domain.description,
        seed_topics=list(domain.seed_topics),
        seed_urls=list(domain.sources.seed_urls),
        cause=cause,
    )


def next_seed(
    domain: Domain,
    revised: RevisedCurriculum,
    revision_hash: str,
    inherited: Inherited,
    cause: str,
    changed_pages: Sequence[str] = (),
    iteration: int | None = None,
) -> Seed:
    """Return the seed of the iteration after a revision, weak topics first (V1).

    After a revision that said stop only an outside cause opens an iteration, and `max_iterations` counts anew from it, as it does
    from a changed page.

    Args:
        domain: The domain as its file states it now.
        revised: The previous iteration's revision; also one that said stop, where an outside cause opens the next.
        revision_hash: Its content hash.
        inherited: What earlier iterations hand over.
        cause: Why the iteration was opened.
        changed_pages: Pages that changed since they were studied.
        iteration: Its number where that is not the next one, because iterations in between were closed as failed.

    Raises:
        ValueError: The revision is another domain's.
    """
    if revised.domain != domain.key:
        raise ValueError(f"a revision of {revised.domain} cannot seed {domain.key}")
    goes_on = revised.decision == "continue" and not changed_pages
    return first_seed(domain, cause, revised.iteration + 1 if iteration is None else iteration).model_copy(
        update={
            "weak_topics": revised.remediation,
            "next_topics": revised.next_topics,
            "inherited": inherited,
            "revised_from": revision_hash,
            "changed_pages": list(changed_pages),
            "since_cause": revised.since_cause + 1 if goes_on else 1,
        }
    )
