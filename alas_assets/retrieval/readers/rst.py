"""The reader of reStructuredText: docutils, without files, raw parts or the network.

Directives and roles that only Sphinx knows lose no text: each gets a stand-in that shows what it holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from docutils import nodes, utils
from docutils.core import publish_doctree, publish_from_doctree
from docutils.parsers.rst import Directive, directives, roles
from docutils.parsers.rst.languages import en

from .markup import read_made_html
from .page import Unreadable, names

_DIRECTIVE = re.compile(r"^[ \t]*(?:[-*+][ \t]+)*\.\.[ \t]+(?:\|[^|\n]+\|[ \t]+)?([\w:+.-]+?)[ \t]?::", re.MULTILINE)
_ROLE = re.compile(r":([\w:+.-]+):`|`:([\w:+.-]+):")
_VERSION_WORDS = {
    "versionadded": "Added in version",
    "versionchanged": "Changed in version",
    "versionremoved": "Removed in version",
    "deprecated": "Deprecated since version",
    "deprecated-removed": "Deprecated since version",
}
_NOT_SHOWN = names(
    "index toctree highlight highlightlang currentmodule module-list tabularcolumns default-domain sectionauthor codeauthor moduleauthor"
    " program date include contents literalinclude raw"
)
_CODE = names("code code-block sourcecode testcode testsetup testcleanup testoutput doctest prompt productionlist")
_OBJECTS = names(
    "function method class exception data attribute module decorator staticmethod classmethod property variable type option cmdoption"
    " envvar opcode macro member struct enum enumerator union var pdbcommand describe object audit-event"
)
_SHORTENED = re.compile(r"(?s)(.*?)\s*<[^<>]+>$")
_REPLACED = _CODE | names("date raw include contents")  # docutils knows them: options of Sphinx, the clock, files, navigation
_register_role: Any = roles.register_local_role
_SETTINGS: dict[str, Any] = {
    "_disable_config": True,
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "report_level": 3,  # errors stay in the tree, where read_rst looks for the text that they hold
    "halt_level": 5,
    "embed_stylesheet": False,
    "stylesheet_path": "",
    "syntax_highlight": "none",
    "math_output": "LaTeX",
    "doctitle_xform": True,
    "initial_header_level": 2,
    "smart_quotes": False,
    "strip_comments": True,
    "warning_stream": False,
    "output_encoding": "unicode",
}


def read_rst(text: str, url: str) -> dict[str, Any]:
    """Read reStructuredText, Sphinx's included.

    Raises:
        Unreadable: It has (nearly) no text, or docutils fails on it.
    """
    try:
        with _names_of_its_own():
            _teach_unknown(text)
            html = _html(text)
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # docutils stumbles over some sources; what they hide is not known then
        raise Unreadable(f"docutils cannot read the file: {type(error).__name__}: {error}"[:300]) from error
    return read_made_html(html, url, "restructuredtext")


def _html(text: str) -> str:
    document = publish_doctree(text, settings_overrides=_SETTINGS)
    for message in list(document.findall(nodes.system_message)):
        # What docutils could not make sense of stands in its complaint, word for word.
        at = message.parent.index(message)
        message.parent[at : at + 1] = [nodes.literal_block("", held.astext()) for held in message.findall(nodes.literal_block)]
    for literal in document.findall(nodes.literal):
        literal["classes"].append("code")  # the writer makes <code> of it, not <span>
    return str(publish_from_doctree(document, writer="html5", settings_overrides=_SETTINGS))


def _teach_unknown(text: str) -> None:
    """Register a stand-in for every directive and role of the text that docutils does not know; it would drop what they hold."""
    for name in {name.lower() for name in _DIRECTIVE.findall(text)}:
        if name in _REPLACED or name not in en.directives:
            directives.register_directive(name, _Shown)
    for name in {(before or after).lower() for before, after in _ROLE.findall(text)}:
        if name == "raw" or name not in en.roles:
            _register_role(name, _shown_role)


@contextmanager
def _names_of_its_own() -> Iterator[None]:
    """Forget afterwards what a source defined: docutils keeps directives and roles for the whole process."""
    known: tuple[dict[str, Any], ...] = (vars(directives)["_directives"], vars(roles)["_roles"])
    before = [dict(defined) for defined in known]
    try:
        yield
    finally:
        for defined, earlier in zip(known, before, strict=True):
            defined.clear()
            defined.update(earlier)


class _AnyOption(dict[str, Any]):
    """Options of a directive that nobody knows: each is accepted, none is shown."""

    def __getitem__(self, name: str) -> Any:
        return directives.unchanged

    def __bool__(self) -> bool:
        return True


class _Shown(Directive):
    """Any directive that docutils does not know: what it says stays, in the order in which it is said."""

    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = _AnyOption()

    def run(self) -> list[nodes.Node]:
        """Return the directive's argument and content as plain nodes."""
        name = self.name.lower().rpartition(":")[2]
        said = self.arguments[0] if self.arguments else ""
        if name in _NOT_SHOWN:
            return []
        if name in _CODE:
            return [nodes.literal_block("", "\n".join(self.content), classes=["code"])]
        shown: list[nodes.Node] = []
        if name in _VERSION_WORDS:
            version, *more = said.split(None, 2 if name == "deprecated-removed" else 1) or [""]
            removed = f", removed in version {more.pop(0)}" if name == "deprecated-removed" and more else ""
            shown += self._read([f"{_VERSION_WORDS[name]} {version}{removed}{':' if more or self.content else '.'}", *more])
        elif name in _OBJECTS:
            shown += [nodes.paragraph("", "", nodes.literal("", line.strip())) for line in said.split("\n") if line.strip()]
        elif said:
            shown += self._read(said.split("\n"))
        holder = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, holder, match_titles=False)
        return [*shown, *holder.children]

    def _read(self, lines: list[str]) -> list[nodes.Node]:
        inline, messages = self.state.inline_text(" ".join(lines).strip(), self.lineno)
        return [nodes.paragraph("", "", *inline), *messages]


def _shown_role(name: str, _raw: str, text: str, *_where: Any) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Any role that docutils does not know: the text that Sphinx would show for it."""
    said = utils.unescape(text)
    kind = name.lower().rpartition(":")[2]
    if titled := _SHORTENED.fullmatch(said):
        said = titled[1]
    elif said.startswith("~"):
        said = said[1:].rpartition(".")[2]
    said = said.lstrip("!")
    if kind in ("ref", "doc", "term", "abbr", "dfn", "menuselection", "guilabel", "numref", "any"):
        return [nodes.inline("", said)], []
    if kind in ("pep", "rfc"):
        return [nodes.inline("", f"{kind.upper()} {said}")], []
    if kind in ("issue", "gh", "bug", "pr", "cve", "cwe", "source", "pypi"):
        return [nodes.inline("", {"issue": "bpo-", "gh": "gh-", "cve": "CVE-", "cwe": "CWE-"}.get(kind, "") + said)], []
    call = kind in ("func", "meth") and not said.endswith(")")
    return [nodes.literal("", said + ("()" if call else ""))], []
