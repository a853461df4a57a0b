"""What stands in an HTML document and is not the page's own text: parts a reader does not see, and navigation (S9).

Removing only. Style rules count where they stand in the page; style sheets elsewhere are never fetched.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any

import soupsieve
import tinycss2
from bs4 import BeautifulSoup, Comment, Tag

from .flow import BLOCKS
from .page import Unreadable

_HIDING_STYLE = re.compile(
    r"display:none|visibility:(hidden|collapse)|content-visibility:hidden|opacity:(0(\.0\d*)?|\.0\d*)%?(;|$)"
    r"|font-size:(0(px|em|rem|pt|%)?(;|$)|0?\.\d+(px|pt))|(?<![-\w])(max-)?(width|height):(0(px|em|rem|pt|%|vh|vw)?|1(px)?)(;|$)"
    r"|(left|top|right|bottom|text-indent|margin-left|margin-top):-(\d{3,}|[5-9]\d(\.\d+)?r?em)"
    r"|clip:rect\((0|1px,?1px,?1px,?1px\))|clip-path:(inset\((50|100)%|circle\(0(px|%)?(at|\)))"
    r"|transform:(scale\(0\)|translate(x|y|3d)?\([^;()]{0,80}-\d{4,})"
)
_ESCAPE = re.compile(r"\\(?:([0-9a-f]{1,6})\s?|(.))", re.IGNORECASE)
_PAINTED_OUT = (
    re.compile(r"(?<![-\w])color:(transparent|rgba\([^;]*,0?\.?0\)|#[0-9a-f]{6}00|#[0-9a-f]{3}0)(;|$)(?!.*background-clip:text)"),
    re.compile(r"(?<![-\w])color:(?!inherit|initial|unset|revert)([^;]+);(?:.*;)?background(?:-color)?:\1(?:;|$)"),
    re.compile(r"(?<![-\w])background(?:-color)?:(?!inherit|initial|unset|revert)([^;]+);(?:.*;)?color:\1(?:;|$)"),
)
_NEVER_TEXT = (
    *("style", "noscript", "template", "iframe", "object", "embed", "svg", "canvas", "img", "picture", "video"),
    *("audio", "button", "select", "textarea", "input", "dialog", "map", "datalist", "noembed", "noframes", "rp"),
)
_ABOUT_THE_PAGE = ("head", "script")  # newspaper reads dates and authors in them
_FURNITURE = ("nav", "aside", "header", "footer")
_FURNITURE_ROLES = ("navigation", "banner", "contentinfo", "search", "complementary", "menu", "menubar", "toolbar")
_NEVER_HIDDEN = ("html", "body", "main")  # some sites reveal the whole page by script
_ON_SCREEN = re.compile(r"(?:only\s+)?(?:all|screen)?", re.IGNORECASE)
_MAX_SELECTORS = 1_000
_NAMED = re.compile(r"[.#]([\w-]+)")


def drop_hidden(soup: BeautifulSoup) -> None:
    """Remove what a reader does not see, so that it can reach neither chunks nor prompts (S9); `head` and scripts stay for now."""
    by_rule = _hidden_by_rule(soup)
    for comment in soup.find_all(string=lambda s: isinstance(s, Comment)):
        comment.extract()
    for tag in soup.find_all(_NEVER_TEXT):
        _remove(tag)
    for tag in [*by_rule, *soup.find_all(_is_hidden)]:
        _remove(tag)


def drop_about(soup: BeautifulSoup) -> None:
    """Remove `head` and scripts, which only say things about the page."""
    for tag in soup.find_all(_ABOUT_THE_PAGE):
        _remove(tag)


def drop_furniture(soup: BeautifulSoup) -> None:
    """Remove navigation, banners, footers and the marks that link to a heading."""
    for tag in soup.find_all(_is_furniture):
        _remove(tag)
    for tag in soup.select("a.headerlink, a.anchor, a.header-anchor"):
        tag.decompose()


def _remove(tag: Tag) -> None:
    """Take an element out; what stood before a block and what stood after it do not become one word."""
    if tag.decomposed:
        return
    if tag.name in BLOCKS:
        tag.insert_before(Tag(name="div"))
    tag.decompose()


def _is_hidden(tag: Tag) -> bool:
    if tag.name in _NEVER_HIDDEN:
        return False
    if tag.has_attr("hidden") or str(tag.get("aria-hidden", "")).strip().lower() == "true":
        return True
    return _hides(str(tag.get("style", "")))


def _hides(declarations: str) -> bool:
    style = re.sub(r"/\*.*?\*/|\s+|!important", "", _ESCAPE.sub(_unescaped, declarations), flags=re.DOTALL).lower()
    return bool(style) and bool(_HIDING_STYLE.search(style) or any(painted.search(style) for painted in _PAINTED_OUT))


def _unescaped(escape: re.Match[str]) -> str:
    """Return what an escape of CSS stands for: a browser reads `no\\6e e` as `none`."""
    return escape[2] or (chr(code) if (code := int(escape[1], 16)) < 0x110000 else "\ufffd")


def _hidden_by_rule(soup: BeautifulSoup) -> list[Tag]:
    """Return the elements that the page's own style rules hide on a screen.

    A rule that hides counts even where a later one shows again: which of the two wins is a browser's full-time work, and text that is
    shown only sometimes is not worth an instruction that is hidden.

    Raises:
        Unreadable: So many rules hide parts of the page that finding them would take too long.
    """
    named = {str(name) for tag in soup.find_all(True) for key in ("class", "id") for name in tag.get_attribute_list(key)}
    asked = 0
    found: list[Tag] = []
    for element in soup.find_all("style"):
        if not _ON_SCREEN.fullmatch(str(element.get("media", "")).strip()):
            continue
        for selector in _hiding_selectors(element.get_text()):
            if ":" not in selector and not named.issuperset(_NAMED.findall(selector)):
                continue  # a cheap look saves most of the dear ones
            asked += 1
            if asked > _MAX_SELECTORS:
                raise Unreadable(f"more than {_MAX_SELECTORS} style rules hide parts of the page")
            found += _selected(soup, selector)
    return [tag for tag in found if tag.name not in _NEVER_HIDDEN]


def _selected(soup: BeautifulSoup, selector: str) -> list[Tag]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return list(soupsieve.select(selector, soup))
    except (soupsieve.SelectorSyntaxError, NotImplementedError, ValueError):
        return []  # pseudo-elements and what else selects no element of the page


def _hiding_selectors(css: str) -> Iterator[str]:
    yield from _of_rules(tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True))


def _of_rules(rules: list[Any]) -> Iterator[str]:
    for rule in rules:
        if rule.type == "qualified-rule":
            if _hides(tinycss2.serialize(rule.content)):
                yield from _alone(rule.prelude)
        elif rule.type == "at-rule" and rule.content is not None and _applies(rule):
            yield from _of_rules(tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True))


def _alone(prelude: list[Any]) -> Iterator[str]:
    """Return the selectors of a list one by one, so that one that is not understood costs no other."""
    part: list[Any] = []
    for token in [*prelude, None]:
        if token is None or (token.type == "literal" and token.value == ","):
            if selector := tinycss2.serialize(part).strip():
                yield selector
            part = []
        else:
            part.append(token)


def _applies(rule: Any) -> bool:
    """Tell whether an at-rule's rules hold on any screen: not those for print or for some widths only."""
    if rule.lower_at_keyword in ("layer", "supports"):
        return True
    return rule.lower_at_keyword == "media" and bool(_ON_SCREEN.fullmatch(tinycss2.serialize(rule.prelude).strip()))


def _is_furniture(tag: Tag) -> bool:
    if str(tag.get("role", "")).strip().lower() in _FURNITURE_ROLES:
        return True
    if tag.name not in _FURNITURE:
        return False
    # An article's own header holds its headline.
    return not (tag.name == "header" and tag.find("h1") is not None and tag.find_parent(["article", "main"]) is not None)
