"""What a host means: which hosts an entry of a domain file covers, and which registrable domain a URL belongs to.

Strings only: nothing is resolved or fetched. Which addresses may be reached is `retrieval.address`'s.
"""

from __future__ import annotations

import ipaddress
from functools import cache, lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from tldextract import TLDExtract

LOCAL = "local files"
"""The one site that all pages without a host belong to."""


def covers(entry: str, host: str, port: int) -> bool:
    """Tell whether a configured `host` or `host:port` means this host; a name covers its subdomains."""
    name = entry.lower().strip().lstrip("*").lstrip(".")
    return name in (host, f"{host}:{port}") or host.endswith(f".{name}")


@lru_cache(maxsize=50_000)
def host_and_port(url: str) -> tuple[str, int] | None:
    """Return a web URL's host in its ASCII form and its port; None where it has none, as a document of the user's own folder."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    if not host or parts.scheme not in ("http", "https"):
        return None
    try:
        return host.encode("idna").decode("ascii").lower(), port
    except UnicodeError:
        return host, port


def named_host(url: str) -> str:
    """Return how a domain file would name a URL's host: without "www.", with a port only where the URL states one."""
    found = host_and_port(url)
    if found is None:
        return ""
    host, port = found
    return f"{host}:{port}" if urlsplit(url).port else host.removeprefix("www.")


@lru_cache(maxsize=50_000)
def site_of(url: str) -> str:
    """Return the registrable domain of a URL, the unit that counts as one independent source (R7).

    An IP address or a name without a dot counts by host:port. Names under a shared host (`a.github.io`, `b.github.io`) are
    one: whoever wants to look like many gets them for nothing. Under a suffix that nobody knows, the last two labels count.
    """
    found = host_and_port(url)
    if found is None:
        return LOCAL
    host, port = found
    if "." not in host or _is_address(host):
        return f"{host}:{port}"
    known = _suffixes()(host)
    if known.suffix:
        return known.top_domain_under_public_suffix or host
    return ".".join(host.split(".")[-2:])


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@cache
def _suffixes() -> TLDExtract:
    """Return the public suffixes as the library ships them: neither a network nor a cache file is touched."""
    from tldextract import TLDExtract

    return TLDExtract(cache_dir=None, suffix_list_urls=(), fallback_to_snapshot=True)
