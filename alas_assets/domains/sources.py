"""The table `sources` of a domain file: where pages come from, who is searched, and how politely hosts are asked (R1, R2, R5).

Validating only; reading and searching is `retrieval`'s.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from alas_assets.domains.sections import VARIABLE, Section, http_url
from alas_assets.hosts import host_entry, named_host

MAX_CONNECTIONS = 16
"""Connections that one run holds altogether, and so also to one host."""

_REPOSITORY = re.compile(r"[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_PLACEHOLDERS = ("topic", "context", "year")


class HostPace(Section):
    """How one host is asked, where that differs from the rest (R5): your own mirror needs no pauses, a slow host longer ones."""

    host: str = Field(min_length=1, description="a name, which covers its subdomains, or host:port")
    per_host: int | None = Field(default=None, ge=1, le=MAX_CONNECTIONS, description="connections at a time; unset: as for the rest")
    delay_seconds: float | None = Field(
        default=None, ge=0, description="between two requests, unset: as for the rest; a longer crawl-delay of its robots.txt is kept"
    )

    _host = field_validator("host")(host_entry)


class SearchSettings(Section):
    """Which search provider is asked for pages, and how much (R1, R2)."""

    provider: Literal["searxng", "brave", "tavily", "exa", "duckduckgo"] = Field(
        description="who is asked; searxng is a server of your own",
    )
    url: str = Field(default="", description="where the provider answers; needed for searxng, else the provider's own address")
    key_env: str = Field(default="", description="name of the environment variable that holds the key; the key itself never stands here")
    results: int = Field(default=5, ge=1, le=20, description="hits taken per topic, and asked for per query")
    queries: int = Field(default=24, ge=1, description="queries that one step may ask at most")
    since_days: int = Field(default=365, ge=0, description="how old a hit may be; 0: any age")
    deadline_seconds: float = Field(default=90.0, gt=0, description="after which one step asks no further query")
    templates: tuple[str, ...] = Field(
        default=("{topic} {context}", "{topic} release notes {year}"),
        min_length=1,
        description="queries asked for each topic, from {topic}, {context} (or the title, where there is none) and {year}",
    )

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        return http_url(value) if value else value

    @field_validator("key_env")
    @classmethod
    def _key_env(cls, value: str) -> str:
        if value and not VARIABLE.fullmatch(value):  # it may be the key itself, so it is not repeated
            raise ValueError("must be the name of an environment variable, such as BRAVE_API_KEY, and not the key")
        return value

    @field_validator("templates")
    @classmethod
    def _templates(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for template in value:
            for name in _PLACEHOLDER.findall(template):
                if name not in _PLACEHOLDERS:
                    raise ValueError(f"{template!r} has the unknown placeholder {{{name}}}; known are {{topic}}, {{context}} and {{year}}")
        return value

    @model_validator(mode="after")
    def _complete(self) -> SearchSettings:
        if self.provider == "searxng" and not self.url:
            raise ValueError("url: must be set for searxng, such as http://127.0.0.1:8080")
        if self.provider in ("brave", "tavily", "exa") and not self.key_env:
            raise ValueError(f"key_env: must be set for {self.provider}, to the name of the environment variable that holds the key")
        return self


class Sources(Section):
    """Where pages come from (R1, R2, R5)."""

    seed_urls: tuple[str, ...] = Field(default=(), description="index pages; the pages they link to on the same host are studied")
    feeds: tuple[str, ...] = Field(default=(), max_length=50, description="RSS or Atom feeds; the pages of their entries are studied")
    github: tuple[str, ...] = Field(default=(), max_length=50, description="owner/repo whose releases are studied, through their feed")
    sitemaps: tuple[str, ...] = Field(
        default=(), max_length=50, description="sitemaps, sitemap indexes, plain lists of URLs, or robots.txt files that name sitemaps"
    )
    record_indexes: tuple[str, ...] = Field(
        default=(), max_length=50, description="change lists of vulnerability records: the CVE list's delta.json, OSV's modified_id.csv"
    )
    folder: str = Field(default="", description="a folder of documents, absolute or relative to this file's own folder")
    search: SearchSettings | None = Field(default=None, description="a search provider, asked per topic")
    feeds_ignore_robots: bool = Field(
        default=False, description="read the feeds named here although robots.txt disallows them, as feed readers do (github.com does)"
    )
    watch_urls: tuple[str, ...] = Field(
        default=(),
        max_length=50,
        description="pages whose change opens an iteration, also such that are not there yet; empty: seed_urls. Feeds are watched too",
    )
    allow_hosts: tuple[str, ...] = Field(default=(), description="if set, only these hosts are fetched, subdomains included")
    deny_hosts: tuple[str, ...] = Field(default=(), description="these hosts are never fetched, subdomains included")
    primary_hosts: tuple[str, ...] = Field(
        default=(),
        description="hosts of primary documentation, subdomains included: their pages come first and their word is enough (R1, R7); pages "
        "of other hosts are capped and need a second source. Empty: the hosts that this file names, so that what is named loses no fact",
    )
    private_hosts: tuple[str, ...] = Field(default=(), description="host or host:port on private or loopback addresses that may be fetched")
    link_pattern: str = Field(default="", description="regular expression that a linked or listed page's URL must match; empty: any")
    max_pages: int = Field(default=200, ge=1, description="pages surveyed at most: fetched to plan with")
    timeout_seconds: float = Field(default=20.0, gt=0, description="total deadline for one URL")
    max_bytes: int = Field(default=8_000_000, ge=1000, description="decoded bytes of one page at most")
    delay_seconds: float = Field(default=1.0, ge=0, description="between two requests to one host")
    per_host: int = Field(default=1, ge=1, le=MAX_CONNECTIONS, description="connections to one host at a time")
    hosts: tuple[HostPace, ...] = Field(
        default=(), description="hosts with a pace of their own, as [[sources.hosts]]; the first that fits counts"
    )
    readers: int = Field(
        default=0, ge=0, le=64, description="pages read at a time, each in a process of its own; 0: one per core, at most 8"
    )
    live: bool = Field(default=True, description="false: the pages are the sample site that `alas` serves itself")

    _urls = field_validator("seed_urls", "watch_urls", "feeds", "sitemaps", "record_indexes")(lambda urls: tuple(http_url(u) for u in urls))

    @field_validator("allow_hosts", "deny_hosts", "primary_hosts", "private_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        entries: list[str] = []
        for number, written in enumerate(value, start=1):
            try:
                entries.append(host_entry(written))
            except ValueError as error:
                raise ValueError(f"entry {number} {error}") from error
            if info.field_name == "private_hosts" and written.strip().startswith(("*", ".")):
                raise ValueError(f"entry {number} must name one host: subdomains on private addresses are let through one by one")
        return tuple(entries)

    @field_validator("link_pattern")
    @classmethod
    def _link_pattern(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}") from error
        return value

    @field_validator("github")
    @classmethod
    def _github(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for repository in value:
            if not _REPOSITORY.fullmatch(repository):
                raise ValueError(f"{repository!r} is not a GitHub repository: write owner/repo")
        return value

    @model_validator(mode="after")
    def _some(self) -> Sources:
        if not (self.seed_urls or self.feeds or self.github or self.sitemaps or self.record_indexes or self.folder or self.search):
            raise ValueError(
                "seed_urls, feeds, github, sitemaps, record_indexes, folder or search must be set, else there is nothing to read"
            )
        return self

    @property
    def trusted_hosts(self) -> tuple[str, ...]:
        """The primary hosts; where none are named, those of the pages and lists that the file itself names (R7)."""
        return self.primary_hosts or tuple(dict.fromkeys(named_host(url) for url in self.named_urls))

    @property
    def named_urls(self) -> tuple[str, ...]:
        """Every address that the file names as a source."""
        return (*self.seed_urls, *self.watch_urls, *self.feed_urls, *self.sitemaps, *self.record_indexes)

    @property
    def feed_urls(self) -> tuple[str, ...]:
        """All feeds: those that are named, and those of the releases of repositories."""
        return (*self.feeds, *(f"https://github.com/{repository}/releases.atom" for repository in self.github))

    def pace(self, own: HostPace | None) -> tuple[int, float]:
        """Return connections at a time and seconds between two requests of a host, `own` being what is set for it."""
        per_host = own.per_host if own and own.per_host is not None else self.per_host
        delay = own.delay_seconds if own and own.delay_seconds is not None else self.delay_seconds
        return per_host, delay

    def what(self) -> dict[str, Any]:
        """Return the settings that decide what is read; how fast it comes changes no result, so no work is done again for that (O4)."""
        return self.model_dump(mode="json", exclude={"per_host", "hosts", "readers", "delay_seconds", "timeout_seconds"})
