"""RSS and Atom feeds: bytes in, entries out (R2, O2). Fetching the bytes is `retrieval.fetch`.

A feed is mended by libxml2 without entities or network, and only then shown to feedparser, which would otherwise open what its
input names: it takes even bytes for a file's path.
"""

from __future__ import annotations

import calendar
import io
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from html.entities import name2codepoint
from itertools import islice
from time import struct_time
from typing import Any
from xml.parsers import expat

from alas_assets.retrieval.finding.hygiene import plain, web_url
from alas_assets.retrieval.finding.safe_xml import XmlError, as_bytes, parse_xml

MAX_BYTES = 4_000_000
MAX_ENTRIES = 500
MAX_TITLE = 300
MAX_SUMMARY = 2_000
MAX_NODES = 50_000
_MAX_ID = 500
_PEOPLE = ("author", "creator", "contributor", "publisher", "owner", "managingeditor", "webmaster")
_MAX_AMPERSANDS = 200_000
_AMPERSAND = re.compile(rb"&(#\d+;|#x[0-9a-fA-F]+;|\w+;)?")
_XML_ENTITIES = ("amp", "lt", "gt", "quot", "apos")


class FeedError(ValueError):
    """A feed cannot be read; the message names its URL and the fault."""


@dataclass(frozen=True)
class Entry:
    """One entry; its words are plain text."""

    url: str  # absolute, http(s), without fragment
    id: str  # what the feed calls it, or else its URL
    title: str
    published: str  # ISO 8601, UTC; "" where not stated
    updated: str  # ISO 8601, UTC; the publication where no change is stated, "" where neither is
    summary: str


@dataclass(frozen=True)
class Feed:
    """What a feed says, its entries in their order."""

    url: str
    title: str
    entries: list[Entry]
    left_out: int  # entries without a usable address, or beyond `MAX_ENTRIES`


def read_feed(body: bytes, url: str) -> Feed:
    """Read an RSS or Atom feed.

    Args:
        body: The feed as received; nothing that it names is opened or fetched.
        url: Where it came from; relative links are resolved against it.

    Raises:
        FeedError: It is no feed, too large, cannot be mended, or declares entities of its own.
    """
    import feedparser  # not at module level: the definitions need none of it

    if len(body) > MAX_BYTES:
        raise FeedError(f"{url} is larger than the {MAX_BYTES:,} bytes that a feed may have")
    mended, beyond = _mended(body, url)
    try:
        parsed = feedparser.parse(
            io.BytesIO(mended),
            response_headers={"content-type": "application/xml; charset=utf-8", "content-location": url},
            sanitize_html=False,  # the words are taken out below, and its sanitizer is slow on hostile markup
            resolve_relative_uris=False,
        )
    except Exception as error:  # a foreign parser on foreign text: it raises whatever an odd nesting leads it to
        raise FeedError(f"{url} cannot be read as a feed ({type(error).__name__})") from error
    if not parsed.version:
        raise FeedError(f"{url} is neither an RSS nor an Atom feed")
    entries = [entry for raw in parsed.entries if (entry := _entry(raw, url))]
    return Feed(url, plain(_get(parsed.feed, "title"), MAX_TITLE), entries, beyond + len(parsed.entries) - len(entries))


def _mended(body: bytes, url: str) -> tuple[bytes, int]:
    """Return well-formed UTF-8 without a document type, and how many entries beyond the limit were cut off.

    What feedparser sees is well-formed, so that its strict parser reads it and never its lenient one, which is slow on hostile markup. It
    names nobody: nothing here asks who wrote an entry, and feedparser's search for a person's address takes time that grows with the square
    of the text.

    Raises:
        FeedError: It declares entities, or cannot be made well-formed.
    """
    root = _parsed(body.strip(), url)
    beyond = list(islice(root.iter("{*}item", "{*}entry"), MAX_ENTRIES, None))
    for entry in beyond:
        if (parent := entry.getparent()) is not None:
            parent.remove(entry)
    if sum(1 for _ in islice(root.iter(), MAX_NODES + 1)) > MAX_NODES:
        raise FeedError(f"{url} has more than {MAX_NODES:,} elements in its first {MAX_ENTRIES} entries")
    for named in [one for one in root.iter("*") if re.split("[}:]", one.tag)[-1].lower() in _PEOPLE]:
        named.clear(keep_tail=True)
    mended = as_bytes(root)
    try:
        expat.ParserCreate(namespace_separator=" ").Parse(mended, True)
    except expat.ExpatError as error:
        raise FeedError(f"{url} is not well-formed XML and cannot be mended: {error}") from error
    return mended, len(beyond)


def _parsed(body: bytes, url: str) -> Any:
    """Parse as it stands, or else with bare ampersands escaped and the rest mended."""
    try:
        return parse_xml(body)
    except XmlError as fault:
        try:
            if body.count(b"&") > _MAX_AMPERSANDS:
                raise
            return parse_xml(_AMPERSAND.sub(_as_character, body), mend=True)
        except XmlError as error:
            raise FeedError(f"{url} is not a feed that can be read: {fault}") from error


def _as_character(ampersand: re.Match[bytes]) -> bytes:
    """Turn an HTML entity into its number and escape an ampersand that starts none."""
    name = (ampersand[1] or b"").rstrip(b";").decode("ascii", "replace")
    if name.startswith("#") or name in _XML_ENTITIES:
        return ampersand[0]
    code = name2codepoint.get(name)
    return b"&#%d;" % code if code else b"&amp;" + (ampersand[1] or b"")


def _entry(raw: Any, url: str) -> Entry | None:
    address = web_url(_get(raw, "link"), url)
    if address in ("", url):  # feedparser makes an empty link the feed's own
        return None
    published, updated = _moment(_get(raw, "published_parsed")), _moment(_get(raw, "updated_parsed"))
    identity = _get(raw, "id")
    return Entry(
        url=address,
        id=plain(identity, _MAX_ID) or address,
        title=plain(_get(raw, "title"), MAX_TITLE),
        published=published,
        updated=updated or published,
        summary=plain(_get(raw, "summary"), MAX_SUMMARY),
    )


def _get(raw: Any, key: str) -> object:
    """Return a key's own value; feedparser's `get` may answer with another key's."""
    return dict.get(raw, key)


def _moment(parsed: object) -> str:
    if not isinstance(parsed, struct_time):
        return ""
    try:
        return datetime.fromtimestamp(calendar.timegm(parsed), UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return ""
