"""Writing a new domain file for `alas new`; reading and validating is `domains.config`."""

from __future__ import annotations

import json
from pathlib import Path

from alas_assets.domains.catalog import domain_files
from alas_assets.domains.config import DomainError, read_domain
from alas_assets.provenance.ids import CELL_NAME
from alas_assets.provenance.store import write_atomic
from alas_assets.settings import Settings


def new_domain(settings: Settings, key: str, description: str, urls: list[str]) -> Path:
    """Write `$ALAS_HOME/domains/KEY.toml` and validate it.

    Raises:
        DomainError: The key or a value cannot be used, or the file exists; nothing is left behind.
    """
    if not CELL_NAME.match(key):
        raise DomainError(f"{key[:80]!r} cannot be a domain key: use a-z, 0-9 and '-', at most 64, starting with a letter or digit")
    path = settings.home / "domains" / f"{key}.toml"
    if taken := domain_files(settings).get(key):
        raise DomainError(f"{taken} exists already; edit it (a copy in {path.parent} outranks it), or choose another key")
    title = key.replace("-", " ").capitalize()
    # JSON strings and lists of strings are valid TOML, and escape whatever a user typed.
    lines = [
        f"title = {json.dumps(title)}",
        f"description = {json.dumps(description)}",
        "freshness_hours = 168",
        "",
        "[sources]",
        f"seed_urls = {json.dumps(urls)}",
        "delay_seconds = 1.0",
        "# feeds = ['https://example.org/feed.xml']  # also: github, sitemaps, record_indexes, folder, and a table [sources.search]",
        "# link_pattern = 'news/.*'  # regular expression that a linked page's address must match",
        "# primary_hosts = ['docs.example.org']  # whose word is enough; facts of other hosts need a second source",
        "# private_hosts = ['127.0.0.1:8000']  # addresses that are not public and may be fetched all the same",
        "",
        "[student]",
        'model = "SmolLM2-135M-Instruct"  # or a Hugging Face name, or a folder',
        'recipe = "smollm2-135m"',
        "",
        "[budget]",
        "max_topics = 12  # new topics in one iteration; whole pages are taken until the next would exceed it",
        "",
    ]
    draft = path.with_name(f"{key}.toml.draft")
    write_atomic(draft, "\n".join(lines).encode())
    try:
        read_domain(draft.rename(path))
    except DomainError as error:
        path.unlink()
        raise DomainError(str(error).replace(f"{path}:", f"{key} was not written:")) from error
    return path
