"""Where a page's article is, and what newspaper4k knows about the page. newspaper and trafilatura parse here and fetch nothing.

Hidden parts and navigation are gone before (`hidden`); the chosen element becomes text afterwards (`flow`).
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from datetime import datetime
from typing import Any

from bs4 import BeautifulSoup, MarkupResemblesLocatorWarning, Tag
from bs4.element import NavigableString, PageElement

from .flow import BLOCKS
from .page import Unreadable, absolute, words

_MAX_DEPTH = 300
_END_OF_BLOCK = re.compile(rf"</(?:{'|'.join(sorted(BLOCKS))})\s*>", re.IGNORECASE)
_LEAST_OF_PAGE = 0.7
"""newspaper4k keeps the densest part and loses most of a long list page: an extractor is trusted where it finds this share of the words.

Measured (bench/RESULTS.md, "Coverage"): below, whole sections are lost; above, the menu comes along more often.
"""
_NEARLY_ALL = 0.95
_OF_A_HEAD = frozenset(["base", "basefont", "bgsound", "link", "meta", "noframes", "noscript", "script", "style", "template", "title"])


def parse(html: str) -> BeautifulSoup:
    """Read HTML as browsers do, as far as lxml does.

    Raises:
        Unreadable: The elements are nested deeper than any page needs; each further step would take its time first, and then fail.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MarkupResemblesLocatorWarning)
        # lxml drops the end of a block that it thinks is closed, and so joins the words around it.
        soup = BeautifulSoup(_END_OF_BLOCK.sub(r"\g<0> ", html), "lxml")
    depth = {id(soup): 0}
    for element in soup.descendants:
        if isinstance(element, Tag):
            level = depth[id(element)] = depth[id(element.parent)] + 1
            if level > _MAX_DEPTH:
                raise Unreadable(f"the page's elements are nested too deep (more than {_MAX_DEPTH} levels)")
    _begin_body(soup)
    return soup


def _begin_body(soup: BeautifulSoup) -> None:
    """Let the body begin at the first thing that no head holds, as HTML says; in a head that is not closed lxml leaves `main`."""
    head, body = soup.head, soup.body
    if head and body and head in body.parents:
        body.unwrap()
        body = None
    begun = next((child for child in head.children if _is_shown(child)), None) if head else None
    if head is None or begun is None:
        return
    shown = [begun, *begun.next_siblings]
    if body is None:
        body = soup.new_tag("body")
        head.insert_after(body)
    for place, element in enumerate(shown):
        body.insert(place, element.extract())


def _is_shown(child: PageElement) -> bool:
    if isinstance(child, Tag):
        return child.name not in _OF_A_HEAD
    return type(child) is NavigableString and bool(child.strip())


def newspaper_article(html: str, url: str) -> Any:
    """Return newspaper's reading of a page, or None where it cannot read it."""
    import newspaper

    settings = newspaper.Config()
    settings.fetch_images = False
    try:
        article = newspaper.Article(url, config=settings)
        article.download(input_html=html)
        article.parse()
    except Exception:  # noqa: BLE001 (whatever it raises means it found nothing; the page is read without it)
        return None
    return article


def about(article: Any, url: str) -> dict[str, Any]:
    """Return what newspaper found out about a page."""
    if article is None:
        return {}
    published = article.publish_date
    return {
        "title": article.title or "",
        "authors": [name for name in article.authors if isinstance(name, str)][:20],
        "published_at": published.isoformat() if isinstance(published, datetime) else "",
        "canonical_url": absolute(url, article.canonical_link) if article.canonical_link else "",
    }


def choose(soup: BeautifulSoup, body: Tag, article: Any) -> tuple[Tag, str]:
    """Choose the element that holds the article.

    What the page declares comes first; else newspaper's choice, or trafilatura's where newspaper finds too little; else the body.

    Returns:
        The element, and how it was found: main, role=main, article, newspaper, trafilatura or body.
    """
    everything = prose_words(body)
    articles = soup.find_all("article")
    for node, how in (
        (soup.find("main"), "main"),
        (soup.find(role="main"), "role=main"),
        (articles[0] if len(articles) == 1 else None, "article"),
    ):
        # A declared container that is nearly empty is filled by scripts elsewhere: look on.
        if node is not None and 10 * prose_words(node) >= everything and node.get_text(strip=True):
            return node, how
    found = newspaper_node(article)
    if found is not None and prose_words(found) >= _LEAST_OF_PAGE * everything:
        return found, "newspaper"
    found = trafilatura_node(soup, body)
    if found is not None and prose_words(found) >= _LEAST_OF_PAGE * everything:
        return found, "trafilatura"
    return body, "body"


def prose_words(node: Tag) -> int:
    """Count the words outside links, which tells text from lists of links."""
    linked = sum(len(words(a.get_text(" "))) for a in node.find_all("a"))
    return len(words(node.get_text(" "))) - linked


def newspaper_node(article: Any) -> Tag | None:
    """Return what newspaper keeps of a page; None where that is nothing."""
    import lxml.html

    if article is None or article.top_node is None:
        return None
    found = parse(str(lxml.html.tostring(article.top_node, encoding="unicode"))).body
    return found if found is not None and found.get_text(strip=True) else None


def trafilatura_node(soup: BeautifulSoup, body: Tag) -> Tag | None:
    """Return the smallest element that holds what trafilatura keeps; its own rendering loses headings and tears code out of sentences."""
    kept = Counter(words(trafilatura_text(str(soup))))
    if not kept or body is soup:
        return None
    node = body
    while True:
        inner = next((child for child in node.find_all(True, recursive=False) if _holds(child, kept)), None)
        if inner is None:
            return node if node is not body else None
        node = inner


def trafilatura_text(html: str) -> str:
    """Return what trafilatura keeps of a page as plain text; "" where it keeps nothing."""
    import trafilatura

    try:
        return trafilatura.extract(html, favor_recall=True, with_metadata=False) or ""
    except Exception:  # noqa: BLE001 (as for newspaper)
        return ""


def _holds(node: Tag, kept: Counter[str]) -> bool:
    return (Counter(words(node.get_text(" "))) & kept).total() >= _NEARLY_ALL * kept.total()
