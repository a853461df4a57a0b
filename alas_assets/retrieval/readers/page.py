"""What every reader of a format shares: the failure, the shape of an answer, tidy text. No format is known here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urljoin

from alas_assets.provenance.unseen import without_unseen

_WORD = re.compile(r"\w+")
_LEAST_WORDS = 5
_MAX_URL = 2083


class Unreadable(Exception):
    """A page that gives no text; the message is the reason a person reads."""


def names(text: str) -> frozenset[str]:
    """Return the words of a listing, for membership."""
    return frozenset(text.split())


def words(text: str) -> list[str]:
    """Return the words of a text, in order."""
    return _WORD.findall(text)


def refuse_if_empty(count: int, what: str) -> None:
    """Refuse what has hardly a word.

    Raises:
        Unreadable: There are fewer than five.
    """
    if count < _LEAST_WORDS:
        raise Unreadable(f"{what} gives no more than {count} words of text")


def visible(text: str) -> str:
    """Remove the characters without a shape."""
    return without_unseen(text)


def sound(text: str) -> str:
    """Replace what has no UTF-8 form (lone surrogates from character references)."""
    return text.encode("utf-8", "replace").decode()


def tidy(text: str) -> str:
    """Fold line ends and blank lines, drop invisible characters and trailing spaces; leading spaces carry structure and stay."""
    lines = [line.rstrip() for line in visible(sound(text).replace("\r\n", "\n").replace("\r", "\n")).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n"


def absolute(base: str, link: str) -> str:
    """Return a link's absolute target; "" where it is no URL at all."""
    try:
        return sound(urljoin(base, link))
    except ValueError:
        return ""


def usable(links: Iterable[str]) -> list[str]:
    """Return links, each once and in order, without those that are longer than an address that is fetched may be.

    A short link is as long as the page's `base` once it is absolute, so that a small page could answer with gigabytes.
    """
    return list(dict.fromkeys(link for link in links if 0 < len(link) <= _MAX_URL))


def answer(text: str, title: str, about: dict[str, Any], **rest: Any) -> dict[str, Any]:
    """Return what the parent process reads as `retrieval.extract.Extracted`.

    Args:
        text: Tidy Markdown.
        title: As it stands on the page.
        about: authors, published_at, canonical_url and licence, each where it is known.
        rest: links, page_words, kept_words, link_words and how.
    """
    return {
        "title": " ".join(sound(visible(title)).replace("¶", " ").split())[:300],
        "authors": [sound(visible(name))[:200] for name in about.get("authors", [])],
        "published_at": about.get("published_at", ""),
        "canonical_url": sound(about.get("canonical_url", ""))[:_MAX_URL],
        "licence": sound(about.get("licence", "")),
        "text": text,
        **rest,
    }
