"""What a host means: which hosts an entry of a domain file covers, and which registrable domain a URL belongs to.

Strings only: nothing is resolved or fetched. Which addresses may be reached is `retrieval.address`'s.
"""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from functools import cache, lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from tldextract import TLDExtract

LOCAL = "local files"
"""The one site that all pages without a host belong to."""

_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_PORT = re.compile(r":[0-9]{1,5}\Z")


def host_entry(written: str) -> str:
    """Return a `host` or `host:port` of a domain file in the one form that is compared; "*." before a name says what it means anyway.

    Raises:
        ValueError: It is none, such as a URL; the message says how one is written, and does not repeat what may hold a password.
    """
    text = written.strip().removeprefix("*.").removeprefix(".")
    host, _, port = text.rpartition(":") if _PORT.search(text) and not _is_address(text) else (text, "", "")
    in_brackets = host.startswith("[") and host.endswith("]") and _is_address(host[1:-1])
    name = _in_ascii(host[1:-1] if in_brackets else host)
    if not (_NAME.fullmatch(name) or _is_address(name)) or (port and not 0 < int(port) <= 65535):
        raise ValueError("must be a host: its name alone, such as docs.example.org, or with a port, docs.example.org:8080")
    return f"{name}:{int(port)}" if port else name


def covers(entry: str, host: str, port: int) -> bool:
    """Tell whether what `host_entry` gave means this host, which is in lower case and ASCII; a name covers its subdomains."""
    return entry in (host, f"{host}:{port}") or host.endswith(f".{entry}")


def _in_ascii(host: str) -> str:
    """Return a host in lower case, without a last dot, and in the ASCII form under which the fetcher asks for it."""
    host = host.lower()
    if not host.isascii():
        from httpx2 import URL, InvalidURL  # not at module level: hardly a host needs it

        try:
            host = URL(scheme="http", host=host).raw_host.decode("ascii")
        except (InvalidURL, UnicodeError):
            with suppress(UnicodeError):  # never fetched in this form, but a person may write it
                host = host.encode("idna").decode("ascii").lower()
    return host.rstrip(".")


@lru_cache(maxsize=50_000)
def host_and_port(url: str) -> tuple[str, int] | None:
    """Return a web URL's host in its ASCII form and its port; None where it has none, as a document of the user's own folder."""
    try:
        parts = urlsplit(url)
        host = _in_ascii(parts.hostname or "")
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    if not host or parts.scheme not in ("http", "https"):
        return None
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
