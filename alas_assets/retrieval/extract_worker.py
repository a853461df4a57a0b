"""The child process that reads foreign HTML: hidden nodes out, article found, Markdown made. It has no way to the network (R2, S9).

Run as a script, one JSON request and one JSON answer a line; it imports nothing of the project, so that it starts with an isolated
interpreter. Who starts, times and restarts it is `retrieval.extract`.
"""

from __future__ import annotations

import io
import json
import os
import re
import resource
import sys
import warnings
from collections import Counter
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

from bs4 import BeautifulSoup, Comment, MarkupResemblesLocatorWarning, Tag
from markdownify import ATX, MarkdownConverter
from w3lib.encoding import html_to_unicode

MEMORY_BYTES = 3 << 30
_WORD = re.compile(r"\w+")
# Characters that a reader never sees, so that instructions could be hidden in them or between them (S9).
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\U000e0000-\U000e007f]"
)
_HIDING_STYLE = re.compile(
    r"display:none|visibility:(hidden|collapse)|opacity:0(\.0+)?(;|$)|font-size:0(px|em|rem|pt|%)?(;|$)"
    r"|(?<![-\w])(max-)?(width|height):[01](px)?(;|$)|(left|top|right|bottom|text-indent|margin-left|margin-top):-\d{3,}"
    r"|clip:rect\(0|clip-path:inset\((50|100)%|transform:scale\(0\)"
)
_NEVER_TEXT = (
    *("script", "style", "noscript", "template", "head", "iframe", "object", "embed", "svg", "canvas", "img", "picture", "video"),
    *("audio", "button", "select", "textarea", "input", "dialog", "map"),
)
_FURNITURE = ("nav", "aside", "header", "footer")
_FURNITURE_ROLES = ("navigation", "banner", "contentinfo", "search", "complementary", "menu", "menubar", "toolbar")
_TEXT_LINK = re.compile(r"\]\(([^)\s]+)\)|(?<!\()\b(https?://[^\s)>\]]+)")
_PLAIN_TYPES = ("text/plain", "text/markdown", "text/x-markdown")
_MARKDOWN = MarkdownConverter(
    heading_style=ATX,
    bullets="-",
    escape_asterisks=False,
    escape_underscores=False,
    table_infer_header=True,
    strip=["a", "b", "strong", "i", "em", "del", "s", "hr"],
    code_language_callback=lambda pre: _code_language(pre),  # noqa: PLW0108 (defined further down)
)


class Unreadable(Exception):
    """A page that gives no text; the message is the reason a person reads."""


def read_page(body: bytes, url: str, content_type: str) -> dict[str, Any]:
    """Turn a page into metadata and Markdown text.

    Raises:
        Unreadable: The page has (nearly) no text.
    """
    _, text = html_to_unicode(content_type or None, body)
    if content_type.partition(";")[0].strip().lower() in _PLAIN_TYPES:
        return _plain(text, url)
    return _html(text, url)


def _plain(text: str, url: str) -> dict[str, Any]:
    """Plain text and Markdown stay as they are, comments and invisible characters apart."""
    kept = _tidy(re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL))
    words = len(_WORD.findall(kept))
    _refuse_if_empty(words, "the file")
    first = next(line for line in kept.split("\n") if line.strip())
    links = [found for pair in _TEXT_LINK.findall(kept) for found in pair if found]
    joined = [absolute for link in links if (absolute := _absolute(url, link))]
    return _answer(
        kept, first.lstrip("#= "), {}, links=list(dict.fromkeys(joined)), page_words=words, kept_words=words, link_words=0, how="text"
    )


def _html(html: str, url: str) -> dict[str, Any]:
    soup = _parse(html)
    licence = _licence(soup)
    declared = soup.find("base", href=True)
    base = (_absolute(url, str(declared["href"])) if isinstance(declared, Tag) else "") or url
    plain_title = soup.title.get_text(" ", strip=True) if soup.title else ""
    about = _metadata(html, url)
    _drop_hidden(soup)
    _drop_furniture(soup)
    body = soup.body or soup
    seen = Counter(_WORD.findall(body.get_text(" ")))
    if not seen:
        raise Unreadable("the page shows no text (empty, or filled in by scripts only)")
    node, how = _article(soup, body, url)
    heading = node.find("h1") or body.find("h1")
    first = node.find(["h2", "h3"])
    title = heading.get_text(strip=False) if heading else about.get("title") or plain_title or (first.get_text() if first else "")
    links = _links(node, base)
    link_words = sum(len(_WORD.findall(a.get_text(" "))) for a in node.find_all("a", href=True))
    text = _tidy(_to_markdown(node))
    kept = Counter(_WORD.findall(text)) & seen
    _refuse_if_empty(kept.total(), "the page")
    about["licence"] = licence
    return _answer(text, title, about, links=links, page_words=seen.total(), kept_words=kept.total(), link_words=link_words, how=how)


def _parse(html: str) -> BeautifulSoup:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MarkupResemblesLocatorWarning)
        return BeautifulSoup(html, "lxml")


def _answer(text: str, title: str, about: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {
        "title": " ".join(_sound(_INVISIBLE.sub("", title)).replace("¶", " ").split())[:300],
        "authors": [_sound(name)[:200] for name in about.get("authors", [])],
        "published_at": about.get("published_at", ""),
        "canonical_url": _sound(about.get("canonical_url", ""))[:2083],
        "licence": _sound(about.get("licence", "")),
        "text": text,
        **rest,
    }


def _refuse_if_empty(words: int, what: str) -> None:
    if words < 5:
        raise Unreadable(f"{what} gives no more than {words} words of text")


# ------------------------------------------------------------------------------------------------ what is not text


def _drop_hidden(soup: BeautifulSoup) -> None:
    """Remove what a reader does not see, so that it can reach neither chunks nor prompts (S9)."""
    for comment in soup.find_all(string=lambda s: isinstance(s, Comment)):
        comment.extract()
    for tag in soup.find_all(_NEVER_TEXT):
        tag.decompose()
    for tag in soup.find_all(_is_hidden):
        tag.decompose()


def _is_hidden(tag: Tag) -> bool:
    if tag.name in ("html", "body", "main"):
        return False  # some sites reveal the whole page by script
    if tag.has_attr("hidden") or str(tag.get("aria-hidden", "")).strip().lower() == "true":
        return True
    style = re.sub(r"\s+|/\*.*?\*/|!important", "", str(tag.get("style", ""))).lower()
    return bool(style and _HIDING_STYLE.search(style))


def _drop_furniture(soup: BeautifulSoup) -> None:
    for tag in soup.find_all(_is_furniture):
        tag.decompose()
    for tag in soup.select("a.headerlink, a.anchor, a.header-anchor"):
        tag.decompose()


def _is_furniture(tag: Tag) -> bool:
    if str(tag.get("role", "")).strip().lower() in _FURNITURE_ROLES:
        return True
    if tag.name not in _FURNITURE:
        return False
    # An article's own header holds its headline.
    return not (tag.name == "header" and tag.find("h1") is not None and tag.find_parent(["article", "main"]) is not None)


# ------------------------------------------------------------------------------------------------ where the article is


def _article(soup: BeautifulSoup, body: Tag, url: str) -> tuple[Tag, str]:
    """Choose the element that holds the article: what the page declares, else newspaper's choice, else the body."""
    everything = _prose_words(body)
    articles = soup.find_all("article")
    for node, how in (
        (soup.find("main"), "main"),
        (soup.find(role="main"), "role=main"),
        (articles[0] if len(articles) == 1 else None, "article"),
    ):
        # A declared container that is nearly empty is filled by scripts elsewhere: look on.
        if node is not None and 10 * _prose_words(node) >= everything and node.get_text(strip=True):
            return node, how
    found = _newspaper_node(str(soup), url)
    # newspaper4k keeps the densest part and loses most of a long list page: trust it only if little is lost.
    if found is not None and 10 * _prose_words(found) >= 7 * everything:
        return found, "newspaper"
    return body, "body"


def _prose_words(node: Tag) -> int:
    """Count the words outside links, which tells text from lists of links."""
    linked = sum(len(_WORD.findall(a.get_text(" "))) for a in node.find_all("a"))
    return len(_WORD.findall(node.get_text(" "))) - linked


def _newspaper(html: str, url: str) -> Any:
    import newspaper

    settings = newspaper.Config()
    settings.fetch_images = False
    article = newspaper.Article(url, config=settings)
    article.download(input_html=html)
    article.parse()
    return article


def _newspaper_node(html: str, url: str) -> Tag | None:
    import lxml.html

    try:
        top = _newspaper(html, url).top_node
    except Exception:  # noqa: BLE001 (whatever it raises means it found nothing; the body is used)
        return None
    if top is None:
        return None
    found = _parse(str(lxml.html.tostring(top, encoding="unicode"))).body
    return found if found is not None and found.get_text(strip=True) else None


def _metadata(html: str, url: str) -> dict[str, Any]:
    try:
        article = _newspaper(html, url)
    except Exception:  # noqa: BLE001 (metadata is welcome, not needed; the text decides whether the page is read)
        return {}
    published = article.publish_date
    return {
        "title": article.title or "",
        "authors": [name for name in article.authors if isinstance(name, str)][:20],
        "published_at": published.isoformat() if isinstance(published, datetime) else "",
        "canonical_url": _absolute(url, article.canonical_link) if article.canonical_link else "",
    }


def _licence(soup: BeautifulSoup) -> str:
    link = soup.find(["link", "a"], rel="license")
    if isinstance(link, Tag) and link.get("href"):
        return str(link["href"])[:500]
    for name in ("license", "licence", "dcterms.license", "dcterms.rights", "dc.rights"):
        meta = soup.find("meta", {"name": re.compile(f"^{re.escape(name)}$", re.IGNORECASE)})
        if isinstance(meta, Tag) and meta.get("content"):
            return str(meta["content"])[:500]
    return ""


def _links(node: Tag, base: str) -> list[str]:
    links = (_absolute(base, str(anchor["href"]).strip()) for anchor in node.find_all("a", href=True))
    return list(dict.fromkeys(link for link in links if link))


def _absolute(base: str, link: str) -> str:
    try:
        return _sound(urljoin(base, link))
    except ValueError:
        return ""  # not a URL at all


def _sound(text: str) -> str:
    """Replace what has no UTF-8 form (lone surrogates from character references)."""
    return text.encode("utf-8", "replace").decode()


# ------------------------------------------------------------------------------------------------ Markdown


def _to_markdown(node: Tag) -> str:
    """Convert to Markdown that reads as plain text: no link targets, no emphasis marks, code and tables kept."""
    for pre in node.select("td pre, th pre"):  # a fence inside a table row would break the row
        pre.name = "code"
    for tag in node.find_all(["dl", "dd", "blockquote"]):
        tag.name = "div"
    for tag in node.find_all("dt"):
        tag.name = "p"
    return _MARKDOWN.convert_soup(node)


def _code_language(pre: Tag) -> str:
    for holder in (pre, pre.find("code"), pre.parent, pre.parent.parent if pre.parent else None):
        for name in holder.get_attribute_list("class") if isinstance(holder, Tag) else ():
            match = re.fullmatch(r"(?:highlight|language|lang)-([a-z0-9+#]{1,20})", str(name or ""))
            if match and match[1] not in ("default", "none", "text"):
                return match[1]
    return ""


def _tidy(text: str) -> str:
    """Fold line ends and blank lines, drop invisible characters and trailing spaces; leading spaces carry structure and stay."""
    lines = [line.rstrip() for line in _INVISIBLE.sub("", _sound(text).replace("\r\n", "\n").replace("\r", "\n")).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n"


# ------------------------------------------------------------------------------------------------ the process


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: no socket, no child process, no file written. Python-level, beside the limits that the kernel keeps."""
    if event.startswith(("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "ctypes.dlopen")):
        if event in ("socket.__new__", "socket.gethostname"):
            return
        raise PermissionError(f"the extractor may not do {event}")
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR) and arguments[0] != os.devnull:
        raise PermissionError("the extractor writes no files")


def _lock_down() -> None:
    warnings.simplefilter("ignore")
    sys.dont_write_bytecode = True
    import tldextract

    # Its default fetches the public-suffix list at first use; the list it ships is enough to name a site.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    import newspaper  # noqa: F401 (before the hook: imports of the package's parts are then done)

    for limit, value in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        resource.setrlimit(limit, (value, value))
    sys.addaudithook(_refuse)


def _reply(request: dict[str, str]) -> dict[str, Any]:
    try:
        with open(request["path"], "rb") as handle:
            body = handle.read()
        return read_page(body, request["url"], request["content_type"])
    except Unreadable as error:
        return {"reason": str(error)}
    except RecursionError:
        return {"reason": "the page's elements are nested too deep"}
    except MemoryError:
        return {"reason": "the page needs more memory than the extractor may use"}
    except Exception as error:  # noqa: BLE001 (foreign parsers on foreign bytes: the row names what went wrong)
        return {"reason": f"the page cannot be parsed: {type(error).__name__}: {error}"[:500]}


def main() -> None:
    """Answer requests from standard input until it ends."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not look like an answer
    _lock_down()
    channel.write("\n")  # the imports are done: from here on a page's time counts
    channel.flush()
    for line in io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8"):
        channel.write(json.dumps(_reply(json.loads(line))) + "\n")
        channel.flush()


if __name__ == "__main__":
    main()
