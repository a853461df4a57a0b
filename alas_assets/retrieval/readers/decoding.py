"""From a document's bytes to its characters: byte order mark, declared charset, UTF-8, and windows-1252 for what is none of these.

What the characters say is the other modules' work.
"""

from __future__ import annotations

from contextlib import suppress

from w3lib.encoding import html_body_declared_encoding, http_content_type_encoding, read_bom, to_unicode

_UTF_8, _WINDOWS = "utf-8", "cp1252"


def decoded(body: bytes, content_type: str, *, html: bool) -> str:
    """Return a document's text; what cannot be decoded is U+FFFD in it.

    Args:
        body: As it was sent.
        content_type: As it was declared.
        html: Whether the document may declare its charset itself. In one of another kind a declaration is an example of its text.
    """
    mark_of, mark = read_bom(body)
    if mark_of and mark:
        return to_unicode(body[len(mark) :], mark_of)
    for charset in (http_content_type_encoding(content_type), _declared_inside(body) if html else None):
        with suppress(LookupError, UnicodeError):  # a codec that gives no text, such as zlib or idna
            if charset:
                return to_unicode(body, f"{charset}-be" if charset in ("utf-16", "utf-32") else charset)
    return _undeclared(body)


def _declared_inside(body: bytes) -> str | None:
    charset = html_body_declared_encoding(body)
    # One that could be read a byte at a time cannot be in these, whatever it says.
    return _UTF_8 if charset and charset.startswith(("utf-16", "utf-32")) else charset


def _undeclared(body: bytes) -> str:
    """Read UTF-8, or where that fails windows-1252, as browsers do; but UTF-8 with a few broken bytes is still UTF-8."""
    try:
        return body.decode(_UTF_8)
    except UnicodeDecodeError:
        text = body.decode(_UTF_8, "replace")
    beyond_ascii, broken = len(text) - len(text.encode("ascii", "ignore")), text.count("\ufffd")
    return text if broken < beyond_ascii - broken else body.decode(_WINDOWS, "replace")
