"""Readers of foreign pages: bytes in, title, links and Markdown text out. They run in the child process (`extract_worker`), which loads
this folder by its path; they import each other, libraries, and nothing else of the project.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from .decoding import decoded
from .page import Unreadable

__all__ = ["Unreadable", "read_page"]

_PLAIN = "text/plain"
_MARKDOWN_TYPES = ("text/markdown", "text/x-markdown")
_RST_TYPES = ("text/x-rst", "text/prs.fallenstein.rst")
_JSON = "application/json"
_PDF = "application/pdf"


def read_page(body: bytes, url: str, content_type: str) -> dict[str, Any]:
    """Turn a page into metadata and Markdown text; the type decides how, and for plain text the name's ending (R2).

    Args:
        body: As it was sent.
        url: Where it was found; its links are relative to it.
        content_type: As it was declared; empty means HTML.

    Raises:
        Unreadable: The page has (nearly) no text, or is no document that is read.
    """
    kind, name = content_type.partition(";")[0].strip().lower(), _path(url).lower()
    if kind == _PDF:
        from .pdf import read_pdf

        return read_pdf(body)
    if kind == _JSON or (kind == _PLAIN and name.endswith(".json")):
        from .advisories import read_advisory

        return read_advisory(body)
    is_rst = kind in _RST_TYPES or (kind == _PLAIN and name.endswith((".rst", ".rst.txt")))
    is_markdown = kind in _MARKDOWN_TYPES or (kind == _PLAIN and name.endswith((".md", ".markdown")))
    text = decoded(body, content_type, html=not (is_rst or is_markdown or kind == _PLAIN))
    if is_rst:
        from .rst import read_rst

        return read_rst(text, url)
    if is_markdown:
        from .documents import read_markdown

        return read_markdown(text, url)
    if kind == _PLAIN:
        from .documents import read_plain

        return read_plain(text, url)
    from .markup import read_html

    return read_html(text, url)


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""
