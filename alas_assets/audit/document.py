"""The one look of all HTML that is ours: a document with one style sheet, no script, and the policy that keeps it so.

What stands in it is `viewer.app`'s and `audit.report`'s; every foreign text is escaped there.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color-scheme:light dark}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere}mark{padding:.1em}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #8886}"
    "td{overflow-wrap:anywhere}dt{font-weight:600;margin-top:.5rem}dd{margin:0 0 0 1rem;overflow-wrap:anywhere}"
    ".wide{overflow-x:auto}td{min-width:7rem}.id,th{white-space:nowrap}"
    ".verdict{border-left:.4rem solid #c33;padding:.4rem 1rem;margin:1rem 0}.right{border-color:#393}"
    ".page{max-height:24rem;overflow:auto;border:1px solid #8886;padding:0 1rem}.quiet{opacity:.75;font-size:.9em}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
OWN_HTML = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"
"""Content policy under which a document is served: its own style sheet, and nothing else."""


def document(title: str, body: str) -> str:
    """Return a whole HTML document; `body` is HTML, `title` any text."""
    policy = escape(OWN_HTML)
    head = f'<meta charset="utf-8"><meta http-equiv="content-security-policy" content="{policy}"><title>{escape(title)}</title>'
    return f'<!doctype html><html lang="en"><head>{head}<style>{_STYLE}</style></head><body>{body}</body></html>'


def link(text: str, href: str) -> str:
    """Return a link; only its text where there is no address, or one that is neither http(s) nor of this site."""
    safe = href.startswith(("http://", "https://")) or (href.startswith("/") and not href.startswith("//"))
    return f'<a href="{escape(href)}" rel="noreferrer">{escape(text)}</a>' if safe else escape(text)


def table(headings: list[str], rows: list[list[str]]) -> str:
    """Return a table that scrolls where it is wider than the page; headings are any text, cells are HTML."""
    head = "".join(f"<th>{escape(name)}</th>" for name in headings)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>{lines}</table></div>'
