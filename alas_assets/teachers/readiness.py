"""What a domain's next iteration needs and lacks, seen before any work: files it names, its keys, whether its teacher is up (U3).

Looked at when `alas run` and `alas estimate` begin. How a fault of a call in the middle of the work is met is `teachers.endpoint`'s.
"""

import os

from alas_assets.domains.catalog import domain_files, missing_guards
from alas_assets.domains.config import Domain
from alas_assets.settings import Settings
from alas_assets.teachers.endpoint.calls import EndpointError

KNOCK_SECONDS = 5.0
"""How long an endpoint has to answer; a server that is loading its model may be later, so silence is no more than a warning."""


def lacking(settings: Settings, domain: Domain) -> str:
    """Return what would stop the iteration, in one line that names the domain file and the key; "" where nothing would.

    Args:
        settings: Where files lie.
        domain: The domain.
    """
    if missing := missing_guards(settings, domain):
        return missing
    if not _asks_a_model(domain):
        return ""
    from alas_assets.teachers.endpoint.client import checked_access

    try:
        checked_access(domain.teacher)
    except EndpointError as error:
        return f"{domain_files(settings)[domain.key]}: {error}"
    return ""


def doubtful(settings: Settings, domain: Domain) -> list[str]:
    """Return what may stop the iteration or take a source from it, a line each that names the domain file and the key.

    A teacher's endpoint is asked for its list of models, which costs nothing.

    Args:
        settings: Where files lie.
        domain: The domain, which lacks nothing (`lacking`).
    """
    found, search = [], domain.sources.search
    if search and search.key_env and not os.environ.get(search.key_env, "").strip():
        found.append(f"sources.search.key_env: {search.key_env} is not set, so {search.provider} finds nothing")
    if _asks_a_model(domain):
        from alas_assets.teachers.endpoint.client import checked_access, without_key
        from alas_assets.teachers.endpoint.transport import silence_of

        url, key = checked_access(domain.teacher)
        if note := without_key(domain.teacher, key):
            found.append(note)
        if silent := silence_of(url, KNOCK_SECONDS):
            found.append(f"teacher.url: {silent}; start the server, or name another")
    return [f"{domain_files(settings)[domain.key]}: {line}" for line in found]


def _asks_a_model(domain: Domain) -> bool:
    return domain.teacher.kind == "openai" and not domain.teacher.replay
