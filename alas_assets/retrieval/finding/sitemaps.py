"""Sitemaps, sitemap indexes and the `Sitemap:` lines of robots.txt: bytes in, addresses with their last change out (R2).

Fetching, and how far an index is followed, is `finding.gather`.
"""

from __future__ import annotations

import gzip
import io
import zlib
from dataclasses import dataclass
from typing import Any

from protego import Protego

from alas_assets.retrieval.finding.hygiene import iso_time, web_url
from alas_assets.retrieval.finding.safe_xml import XmlError, parse_xml

MAX_BYTES = 20_000_000
MAX_LISTED = 20_000
_GZIP = b"\x1f\x8b"


class SitemapError(ValueError):
    """A sitemap cannot be read; the message names its URL and the fault."""


@dataclass(frozen=True)
class Listed:
    """One address that a list names, and when the list says it changed."""

    url: str  # absolute, http(s), without fragment
    changed: str  # ISO 8601, UTC; "" where not stated


@dataclass(frozen=True)
class Sitemap:
    """What one sitemap lists, newest change first and those without a date last, else in its order."""

    pages: list[Listed]
    sitemaps: list[Listed]  # further sitemaps, of an index
    left_out: int  # entries without a usable address, or beyond `MAX_LISTED`


def read_sitemap(body: bytes, url: str) -> Sitemap:
    """Read a sitemap, a sitemap index (both also gzipped), a plain list of URLs, or a robots.txt for its `Sitemap:` lines.

    Args:
        body: The document as received.
        url: Where it came from; relative addresses are resolved against it.

    Raises:
        SitemapError: It is none of these, too large, or declares entities.
    """
    text = _unpacked(body, url).strip()
    if url.partition("?")[0].endswith("/robots.txt"):
        return _kept([], [(address, "") for address in _robots_lines(text, url)], url)
    if not text.lstrip(b"\xef\xbb\xbf").startswith((b"<", b"\xff\xfe", b"\xfe\xff")):
        lines = text.decode("utf-8", "replace").split()
        pages = [(line, "") for line in lines if web_url(line)]
        if len(pages) != len(lines) or not lines:
            raise SitemapError(f"{url} is no sitemap: neither XML nor a list of URLs")
        return _kept(pages, [], url)
    root = _parsed(text, url)
    return _kept(_located(root, "url"), _located(root, "sitemap"), url)


def newest_first(listed: list[Listed]) -> list[Listed]:
    """Sort by change, newest first; equal ones and those without a date keep their order, the latter last."""
    return sorted(listed, key=lambda one: one.changed, reverse=True)


def _unpacked(body: bytes, url: str) -> bytes:
    """Unpack a gzipped body, which servers send as a file and not as a transfer encoding; it may be several files one after the other.

    Raises:
        SitemapError: It is damaged or cut off, or larger than `MAX_BYTES` unpacked.
    """
    if not body.startswith(_GZIP):
        return body
    try:
        unpacked = gzip.GzipFile(fileobj=io.BytesIO(body)).read(MAX_BYTES + 1)
    except (zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise SitemapError(f"{url} is damaged gzip: {error}") from error
    if len(unpacked) > MAX_BYTES:
        raise SitemapError(f"{url} is larger than {MAX_BYTES:,} bytes unpacked")
    return unpacked


def _robots_lines(text: bytes, url: str) -> list[str]:
    try:
        return list(Protego.parse(text.decode("utf-8", "replace")).sitemaps)
    except Exception as error:  # a foreign parser on foreign text
        raise SitemapError(f"{url} cannot be read ({type(error).__name__})") from error


def _parsed(text: bytes, url: str) -> Any:
    try:
        root = parse_xml(text)
    except XmlError as error:
        raise SitemapError(f"{url} is no sitemap that can be read: {error}") from error
    name = str(root.tag).rpartition("}")[2]
    if name not in ("urlset", "sitemapindex"):
        raise SitemapError(f"{url} is no sitemap: its outermost element is <{name[:80]}>")
    return root


def _located(root: Any, kind: str) -> list[tuple[str, str]]:
    """Return location and last change of every direct child of this kind; what extensions add inside is not looked at."""
    return [
        ((entry.findtext("{*}loc") or "").strip(), (entry.findtext("{*}lastmod") or "").strip())
        for entry in root.iterchildren(f"{{*}}{kind}")
    ]


def _kept(pages: list[tuple[str, str]], sitemaps: list[tuple[str, str]], url: str) -> Sitemap:
    kept = [[Listed(web_url(where, url), iso_time(when)) for where, when in raw if web_url(where, url)] for raw in (pages, sitemaps)]
    newest = [newest_first(listed)[:MAX_LISTED] for listed in kept]
    return Sitemap(newest[0], newest[1], len(pages) + len(sitemaps) - len(newest[0]) - len(newest[1]))
