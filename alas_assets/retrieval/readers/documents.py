"""The readers of plain text and Markdown."""

from __future__ import annotations

import re
from typing import Any

from .markup import read_made_html
from .page import absolute, answer, refuse_if_empty, tidy, usable, words

_TEXT_LINK = re.compile(r"\bhttps?://[^\s<>\"')\]]+")
_FRONT_MATTER = re.compile(r"\A\ufeff?(---|\+\+\+)[ \t]*\n.*?\n\1[ \t]*(\n|\Z)", re.DOTALL)


def read_plain(text: str, url: str) -> dict[str, Any]:
    """Read plain text, which stays as it is, comments and invisible characters apart.

    Raises:
        Unreadable: The file has (nearly) no text.
    """
    kept = tidy(re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL))
    count = len(words(kept))
    refuse_if_empty(count, "the file")
    first = next(line for line in kept.split("\n") if line.strip())
    links = usable(absolute(url, link.rstrip(".,;:")) for link in _TEXT_LINK.findall(kept))
    return answer(kept, first.lstrip("#= "), {}, links=links, page_words=count, kept_words=count, link_words=0, how="text")


def read_markdown(text: str, url: str) -> dict[str, Any]:
    """Read Markdown as the HTML that it stands for, so that what its readers would not see is not read either (S9).

    Raises:
        Unreadable: The file has (nearly) no text.
    """
    return read_made_html(markdown_html(text), url, "markdown")


def markdown_html(text: str) -> str:
    """Return the HTML that Markdown stands for, tables included; front matter is not shown."""
    from markdown_it import MarkdownIt

    folded = text.replace("\r\n", "\n").replace("\r", "\n")
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(_FRONT_MATTER.sub("", folded))
