"""Writing a new domain file for `alas new`; reading and validating is `domains.config`'s."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alas_assets.domains.catalog import domain_files
from alas_assets.domains.config import DomainError, read_domain
from alas_assets.hosts import host_and_port
from alas_assets.provenance.ids import CELL_NAME
from alas_assets.provenance.store import write_atomic
from alas_assets.settings import Settings


@dataclass(frozen=True)
class NewSources:
    """Where a new domain's pages come from; at least one of urls, feeds and folder.

    Attributes:
        urls: Index pages.
        feeds: RSS or Atom feeds.
        folder: A folder of documents; a relative path counts from the working directory.
        watch: Pages to watch for changes instead of the index pages, also such that are not there yet.
    """

    urls: Sequence[str] = ()
    feeds: Sequence[str] = ()
    folder: Path | None = None
    watch: Sequence[str] = ()

    @property
    def private_hosts(self) -> list[str]:
        """Hosts, with their port, that are named by a loopback or other address that is not public: the guard has to let these pass."""
        named = dict.fromkeys(host_and_port(url) for url in (*self.urls, *self.feeds, *self.watch))
        return [f"{host}:{port}" for host, port in filter(None, named) if _is_private(host)]


def new_domain(settings: Settings, key: str, description: str, sources: NewSources) -> Path:
    """Write `$ALAS_HOME/domains/KEY.toml` and validate it.

    Raises:
        DomainError: The key or a value cannot be used, or the file exists; nothing is left behind.
    """
    if not CELL_NAME.match(key):
        raise DomainError(f"{key[:80]!r} cannot be a domain key: use a-z, 0-9 and '-', at most 64, starting with a letter or digit")
    if not (sources.urls or sources.feeds or sources.folder):
        raise DomainError("there is nothing to read: give a --url, --feed or --folder (other kinds of source go into the file)")
    if sources.folder and not sources.folder.expanduser().is_dir():
        raise DomainError(f"{sources.folder} (--folder) is not a folder")
    path = settings.home / "domains" / f"{key}.toml"
    if taken := domain_files(settings).get(key):
        raise DomainError(f"{taken} exists already; edit it (a copy in {path.parent} outranks it), or choose another key")
    draft = path.with_name(f"{key}.toml.draft")
    # what is no text, as in a folder's name that is not UTF-8, becomes an escape that reading the file refuses
    write_atomic(draft, domain_text(key, description, sources).encode(errors="backslashreplace"))
    try:
        read_domain(draft.rename(path))
    except DomainError as error:
        path.unlink()
        raise DomainError(str(error).replace(f"{path}:", f"{key} was not written:")) from error
    return path


def domain_text(key: str, description: str, sources: NewSources) -> str:
    """Return the text of a new domain file: what was given, and the next keys to know as comments that hold once uncommented."""
    given = {
        "seed_urls": list(sources.urls),
        "feeds": list(sources.feeds),
        "folder": str(sources.folder.expanduser().resolve()) if sources.folder else "",
        "watch_urls": list(sources.watch),
        "private_hosts": sources.private_hosts,
    }
    keys = [f"{name} = {_toml(value)}" if value else f"# {_EXAMPLES[name]}" for name, value in given.items()]
    lines = [f"{line}  # {about}" for line, about in zip(keys, _ABOUT, strict=True)]
    return _TEXT.format(title=_toml(key.replace("-", " ").capitalize()), description=_toml(description), sources="\n".join(lines))


def _toml(value: object) -> str:
    """Return a string or a list of strings as TOML: JSON of it is, but TOML wants DEL escaped, and letters beyond 16 bits as they are."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


_EXAMPLES = {
    "seed_urls": 'seed_urls = ["https://example.org/news/"]',
    "feeds": 'feeds = ["https://example.org/feed.xml"]',
    "folder": 'folder = "notes"',
    "watch_urls": 'watch_urls = ["https://example.org/news/next.html"]',
    "private_hosts": 'private_hosts = ["127.0.0.1:8000"]',
}
_ABOUT = (
    "the pages that these link to on the same host are studied",
    "the pages of their entries are studied; a new entry opens an iteration",
    "documents; a relative path counts from this file",
    "watched in place of seed_urls, also while not there yet",
    "not on the public internet, and read all the same",
)
_TEXT = """\
# Every key is described in docs/keys.md, which `alas keys` prints too; `alas status` names what is wrong here.
title = {title}
description = {description}
freshness_hours = 168.0  # how old the knowledge may be before a watched domain is looked through again

[sources]
{sources}
delay_seconds = 1.0  # between two requests to one host
# link_pattern = "/news/"  # regular expression that the address of a linked or listed page must match
# max_pages = 200  # pages looked over; how many an iteration studies, budget.max_topics decides
# primary_hosts = ["docs.example.org"]  # whose word is enough; a fact of another host needs a second site that states it
# github = ["owner/repo"]  # releases; also: sitemaps, record_indexes
# feeds_ignore_robots = false  # github.com disallows its feeds to robots

# [sources.search]  # a search provider, asked per topic
# provider = "searxng"  # or brave, tavily, exa, duckduckgo
# url = "http://127.0.0.1:8080"
# key_env = ""  # the environment variable with the key of brave, tavily and exa

[student]
model = "SmolLM2-135M-Instruct"  # or a Hugging Face name, or a folder
recipe = "smollm2-135m"  # one that ships, or a table of recipes.toml in the store; alas keys says more

# [teacher]  # a model behind an OpenAI-compatible endpoint plans, writes, judges and revises in place of the built-in rules
# kind = "openai"
# url = "http://127.0.0.1:8000/v1"
# model = "Qwen3-32B"
# key_env = "OPENAI_API_KEY"  # the environment variable with the key, never the key

[budget]
max_topics = 12  # new topics in one iteration; whole pages are taken until the next would exceed it
# tokens = 2000000  # of a model as teacher, sent and received, that one iteration may cost; 0: no cap
# max_iterations = 5  # counted from the last outside cause, such as a changed page
"""
