"""From a tree of HTML elements to Markdown that reads as plain text: no link targets, no emphasis marks, code and tables kept.

What belongs to the text is decided before; nothing here removes a word.
"""

from __future__ import annotations

import re
from typing import Any

from bs4 import Tag
from bs4.element import NavigableString
from markdownify import ATX, MarkdownConverter

from .page import names

_KNOWN_BLOCKS = names("p div section article h1 h2 h3 h4 h5 h6 ul ol li pre table caption thead tbody tfoot tr td th figcaption hr")
_OTHER_BLOCKS = names(
    "address aside blockquote body center dd details dialog dir dl dt fieldset figure footer form header hgroup html legend main menu nav"
    " optgroup option search summary"
)
BLOCKS = _KNOWN_BLOCKS | _OTHER_BLOCKS
"""Elements that stand on lines of their own: their text never joins what stands before or after them."""

_ONE_LINE_APART = ("li", "tr", "thead", "tbody", "tfoot")


_Base: Any = MarkdownConverter


class _Converter(_Base):
    """markdownify, with white space around every block; it leaves it out after nested lists, around empty blocks and more."""

    def process_tag(self, node: Tag, parent_tags: set[str] | None = None) -> str:
        text = super().process_tag(node, parent_tags=parent_tags)
        if node.name not in BLOCKS or node.name in ("td", "th"):
            return text
        gap = " " if parent_tags and "_inline" in parent_tags else "\n" if node.name in _ONE_LINE_APART else "\n\n"
        if not text:
            return gap
        before = "" if text[0].isspace() else gap
        after = "" if text[-1].isspace() else gap
        return f"{before}{text}{after}"

    def convert_code(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        if "pre" not in parent_tags:
            text = re.sub(r"\s*\n\s*", " ", text)  # a code span is one line
        return super().convert_code(el, text, parent_tags)

    convert_kbd = convert_samp = convert_tt = convert_code

    def convert_list(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return super().convert_list(el, text.lstrip("\n"), parent_tags)

    convert_ul = convert_ol = convert_list

    def convert_td(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return super().convert_td(el, " ".join(text.split()), parent_tags)

    convert_th = convert_td

    def convert_sup(self, el: Tag, text: str, parent_tags: set[str]) -> str:  # noqa: ARG002 (markdownify passes it by name)
        before = el.previous_sibling
        power = text.strip().lstrip("-+").isalnum() and isinstance(before, NavigableString) and before[-1:].isdigit()
        return f"^{text.strip()}" if power and el.find("a") is None else text


_CONVERTER = _Converter(
    heading_style=ATX,
    bullets="-",
    escape_asterisks=False,
    escape_underscores=False,
    table_infer_header=True,
    strip=["a", "b", "strong", "i", "em", "del", "s", "hr"],
    code_language_callback=lambda pre: _code_language(pre),  # noqa: PLW0108 (defined further down)
)


def to_markdown(node: Tag) -> str:
    """Return an element's text as Markdown; the tree is changed on the way."""
    for table in node.select("table.highlighttable"):  # code beside its line numbers
        code = table.select_one("td.code pre")
        if code is not None:
            table.replace_with(code.extract())
    for pre in node.select("td pre, th pre"):  # a fence inside a table row would break the row
        pre.name = "code"
        pre.insert_before(" ")  # it stands in the line now, and is a block all the same
        pre.insert_after(" ")
    for tag in node.find_all(list(_OTHER_BLOCKS)):
        tag.name = "ul" if tag.name in ("menu", "dir") else "p" if tag.name == "dt" else "div"
    for item in node.find_all("li"):
        if item.parent is not None and item.parent.name not in ("ul", "ol"):
            item.name = "div"
    return _CONVERTER.convert_soup(node)


def flat_text(node: Tag) -> str:
    """Return an element's text as it is seen: words of different blocks apart, parts of one word together."""
    parts: list[str] = []
    last: Tag | None = None
    for element in node.descendants:
        if isinstance(element, Tag):
            if element.name in BLOCKS or element.name == "br":
                parts.append(" ")
        elif isinstance(element, NavigableString):
            block = next((parent for parent in element.parents if parent.name in BLOCKS), None)
            parts.append(str(element) if block is last else f" {element}")
            last = block
    return "".join(parts)


def _code_language(pre: Tag) -> str:
    for holder in (pre, pre.find("code"), pre.parent, pre.parent.parent if pre.parent else None):
        for name in holder.get_attribute_list("class") if isinstance(holder, Tag) else ():
            match = re.fullmatch(r"(?:highlight|language|lang)-([a-z0-9+#]{1,20})", str(name or ""))
            if match and match[1] not in ("default", "none", "text"):
                return match[1]
    return ""
