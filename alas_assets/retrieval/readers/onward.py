"""Pages that say nothing themselves and only lead on to another: meta refresh, as generators of static sites write redirects.

The fetcher follows them, and the reader of HTML takes none for a page. Hostile text is searched here in time that grows with its length.
"""

from __future__ import annotations

import re
from contextlib import suppress
from html import unescape
from urllib.parse import urldefrag

from w3lib.html import get_base_url, get_meta_refresh
from w3lib.url import canonicalize_url

MOST_CHARACTERS = 32 * 1024
"""A longer page is one to read, whatever it does afterwards."""
_MOST_WORDS = 40
_MOST_SECONDS = 5.0
# What is never closed is unseen up to the end, so that no part of the text is looked at twice.
_UNSEEN = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style|title)\b.*?(?:</\1|\Z)|<[^<>]*>", re.DOTALL | re.IGNORECASE)


def leads_on(html: str, url: str) -> str:
    """Return the address that a page with hardly a word of its own sends its reader on to within seconds; "" for any other page.

    Args:
        html: The page.
        url: Where it was found. A page that sends to itself shows what is new in it: it is one to read.
    """
    if len(html) > MOST_CHARACTERS or "refresh" not in html.lower():
        return ""
    with suppress(ValueError):  # what it names is no URL
        seconds, target = get_meta_refresh(html, get_base_url(html, url), ignore_tags=("script",))
        if seconds is None or target is None or seconds > _MOST_SECONDS:
            return ""
        if canonicalize_url(target) != canonicalize_url(url) and len(unescape(_UNSEEN.sub(" ", html)).split()) <= _MOST_WORDS:
            return urldefrag(target).url
    return ""
