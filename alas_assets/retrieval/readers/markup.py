"""The reader of HTML, which Markdown and reStructuredText pass through too: hidden parts out, article found, text made (R2, S9)."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from bs4 import BeautifulSoup, Tag

from . import article, hidden
from .flow import flat_text, to_markdown
from .onward import leads_on
from .page import Unreadable, absolute, answer, refuse_if_empty, tidy, usable, visible, words


@dataclass(frozen=True)
class Shown:
    """A page without what a reader does not see and without navigation."""

    soup: BeautifulSoup
    body: Tag
    words: Counter[str]
    about: dict[str, Any]
    plain_title: str
    base: str  # what the page's links are relative to
    parsed: Any  # newspaper's reading of it; None where there is none


def read_html(html: str, url: str) -> dict[str, Any]:
    """Read an HTML page.

    Raises:
        Unreadable: The page has (nearly) no text, or only leads on to another.
    """
    if target := leads_on(html, url):
        raise Unreadable(f"the page only leads on to {target[:300]}")
    page = shown(html, url)
    node, how = article.choose(page.soup, page.body, page.parsed)
    return _told(page, node, how)


def read_made_html(html: str, url: str, how: str) -> dict[str, Any]:
    """Read HTML that another reader made of a document: it has no navigation, and all of it is the article.

    Raises:
        Unreadable: The document has (nearly) no text.
    """
    page = _cleaned(html, url, of_a_site=False)
    return _told(page, page.body, how)


def shown(html: str, url: str) -> Shown:
    """Take hidden parts and navigation out of a page; the words that are left are what coverage is measured against.

    Raises:
        Unreadable: No word is left.
    """
    return _cleaned(html, url, of_a_site=True)


def _cleaned(html: str, url: str, *, of_a_site: bool) -> Shown:
    soup = article.parse(html)
    licence = _licence(soup)
    base = _base(soup, url)
    plain_title = soup.title.get_text(" ", strip=True) if soup.title else ""
    hidden.drop_hidden(soup)
    if of_a_site:
        hidden.drop_furniture(soup)
    parsed = article.newspaper_article(str(soup), url) if of_a_site else None
    hidden.drop_about(soup)
    body = soup.body or soup
    seen = Counter(words(visible(flat_text(body))))
    if not seen:
        raise Unreadable("the page shows no text (empty, or filled in by scripts only)")
    about = {**article.about(parsed, url), "licence": licence}
    return Shown(soup, body, seen, about, plain_title, base, parsed)


def _told(page: Shown, node: Tag, how: str) -> dict[str, Any]:
    heading = node.find("h1") or page.body.find("h1")
    first = node.find(["h2", "h3"])
    title = heading.get_text() if heading else _shown_title(page) or (first.get_text() if first else "")
    links = usable(absolute(page.base, str(anchor["href"]).strip()) for anchor in node.find_all("a", href=True))
    link_words = sum(len(words(anchor.get_text(" "))) for anchor in node.find_all("a", href=True))
    text = tidy(to_markdown(node))
    kept = Counter(words(text)) & page.words
    refuse_if_empty(kept.total(), "the page")
    return answer(
        text,
        title,
        page.about,
        links=links,
        page_words=page.words.total(),
        kept_words=kept.total(),
        link_words=link_words,
        how=how,
    )


def _shown_title(page: Shown) -> str:
    """Return newspaper's title where a reader sees its words; it may come from a part of `head` that nobody sees (S9)."""
    found = page.about.get("title", "")
    return found if found and set(words(found)) <= {*page.words, *words(page.plain_title)} else page.plain_title


def _base(soup: BeautifulSoup, url: str) -> str:
    named = soup.find("base", href=True)
    return absolute(url, str(named["href"])) or url if isinstance(named, Tag) else url


def _licence(soup: BeautifulSoup) -> str:
    link = soup.find(["link", "a"], rel="license")
    if isinstance(link, Tag) and link.get("href"):
        return str(link["href"])[:500]
    for name in ("license", "licence", "dcterms.license", "dcterms.rights", "dc.rights"):
        meta = soup.find("meta", {"name": re.compile(f"^{re.escape(name)}$", re.IGNORECASE)})
        if isinstance(meta, Tag) and meta.get("content"):
            return str(meta["content"])[:500]
    return ""


def cleaned_body(html: str) -> Tag:
    """Return the body of a piece of HTML without what a reader does not see."""
    soup = article.parse(html)
    hidden.drop_hidden(soup)
    hidden.drop_about(soup)
    return soup.body or soup
