"""Addresses of stored pages, texts, traces, reports and manifests, for metadata and traces (A1, U1).

Building addresses only; `viewer.app` answers them.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from alas_assets.settings import load_settings

HASH = re.compile(r"[0-9a-f]{64}")
REPORT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*\.(?:html|json)")
MAX_NAME = 160


def page_link(body_sha256: str) -> str:
    """Return where a raw page opens as inert text; "" for a page that was never stored."""
    return f"{_base()}/pages/{quote(body_sha256, safe='')}" if body_sha256 else ""


def text_link(text_sha256: str, start: int | None = None, end: int | None = None) -> str:
    """Return where an extracted text opens, at a quote if its offsets (characters) are given; "" without a hash."""
    if not text_sha256:
        return ""
    place = f"?start={start}&end={end}#quote" if start is not None and end is not None else ""
    return f"{_base()}/texts/{quote(text_sha256, safe='')}{place}"


def report_link(name: str) -> str:
    """Return where a report opens.

    Raises:
        ValueError: The name is not one that the viewer serves.
    """
    if not is_report_name(name):
        raise ValueError(f"{name[:80]!r} cannot be a report: letters, digits, '.', '_' and '-', ending in .html or .json")
    return f"{_base()}/reports/{name}"


def manifest_link(adapter_hash: str) -> str:
    """Return where an adapter's manifest opens; "" without a hash."""
    return f"{_base()}/adapters/{quote(adapter_hash, safe='')}/manifest.json" if adapter_hash else ""


def answer_link(answer_id: str) -> str:
    """Return where the trace of an answer opens; "" without an id."""
    return f"{_base()}/answers/{quote(answer_id, safe='')}" if answer_id else ""


def wrong_link(domain: str, iteration: str) -> str:
    """Return where the wrong answers of an iteration are listed."""
    return f"{_base()}/wrong/{quote(domain, safe='')}/{quote(iteration, safe='')}"


def source_link(url: str) -> str:
    """Return where everything that a page taught is shown; "" without a URL."""
    return f"{_base()}/sources?of={quote(url, safe='')}" if url else ""


def run_link(run_id: str) -> str:
    """Return where a run opens in Dagster; "" without an id."""
    return f"http://127.0.0.1:{load_settings().ui_port}/runs/{quote(run_id, safe='')}" if run_id else ""


def is_report_name(name: str) -> bool:
    """Tell whether a name is one plain file name that a report may have."""
    return len(name) <= MAX_NAME and REPORT_NAME.fullmatch(name) is not None


def _base() -> str:
    return f"http://127.0.0.1:{load_settings().viewer_port}"
