"""What a stranger's address, text or date must pass before anything uses it: feeds, sitemaps and search answers are hostile (S9).

Pure functions. Whether an address may be fetched is decided again, by `retrieval.fetch`, when it is.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from urllib.parse import urldefrag, urljoin, urlsplit

from alas_assets.provenance.ids import fold

_MAX_URL = 2083
_MAX_MARKUP = 20_000
_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def web_url(written: object, base: str = "") -> str:
    """Return an address as an absolute http(s) URL without fragment, or "" where it is none.

    Every other scheme (`file:`, `folder:`, `data:`), a user name, white space and over-long addresses are refused.
    """
    if not isinstance(written, str) or not written.strip():
        return ""
    try:
        url = urldefrag(urljoin(base, written.strip())).url
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.username is None and (parts.port or 1) > 0
    except ValueError:
        return ""
    return url if usable and len(url) <= _MAX_URL and not _NOT_IN_URLS.search(url) else ""


def plain(markup: object, limit: int) -> str:
    """Return the words of a title or summary, without tags, scripts and control characters, at most `limit` characters."""
    from lxml import etree, html  # pyright: ignore[reportAttributeAccessIssue] (a C module; not at module level: the definitions need none of it)

    if not isinstance(markup, str):
        return ""
    text = "".join(character for character in markup[:_MAX_MARKUP] if character.isprintable() or character.isspace())
    if "<" in text or "&" in text:
        try:
            root = html.fragment_fromstring(text, create_parent=True)
            etree.strip_elements(root, "script", "style", etree.Comment, with_tail=False)
            text = " ".join(root.itertext())
        except (etree.LxmlError, ValueError):
            text = re.sub(r"<[^>]*>?", " ", text)
    return fold("".join(character for character in text if character.isprintable() or character.isspace()))[:limit].strip()


def iso_time(written: object) -> str:
    """Return an ISO 8601 date or time as UTC in whole seconds, a date alone as it is, "" where it is neither."""
    if not isinstance(written, str):
        return ""
    text = written.strip()
    try:
        if _ISO_DATE.fullmatch(text):
            return date.fromisoformat(text).isoformat()
        moment = datetime.fromisoformat(text)
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        return ""
