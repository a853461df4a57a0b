"""Indexes of vulnerability records: a change list in, addresses of the records' own JSON documents out, newest first (R2).

Reading a record itself is `retrieval.extract`; which index is fetched is said by `sources.record_indexes`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

from alas_assets.retrieval.finding.hygiene import iso_time, web_url
from alas_assets.retrieval.finding.sitemaps import Listed, newest_first

MAX_RECORDS = 20_000
_OSV_LINE = re.compile(
    r"(\d{4}-\d{2}-\d{2}T[0-9:.]+(?:Z|[+-]\d{2}:\d{2})),([A-Za-z0-9][A-Za-z0-9._ :+-]{0,99}(?:/[A-Za-z0-9][A-Za-z0-9._:+-]{0,99})?)"
)
_OSV_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{1,100}")
_OSV_QUERIES = ("/query", "/querybatch")


class RecordIndexError(ValueError):
    """An index cannot be read; the message names its URL and the fault."""


def read_record_index(body: bytes, url: str) -> list[Listed]:
    """Read which records an index names.

    Understood are the CVE list's `delta.json` and `deltaLog.json` (their `githubLink`s), OSV's `modified_id.csv` (whole or of one
    ecosystem; the records lie beside it), and answers of OSV's `/v1/query` and `/v1/querybatch` (the records at `/v1/vulns`).

    Args:
        body: The index as received.
        url: Where it came from.

    Returns:
        Distinct addresses, newest change first, at most `MAX_RECORDS`.

    Raises:
        RecordIndexError: It is none of these.
    """
    text = body.decode("utf-8", "replace").strip()
    found = _of_json(text, url) if text.startswith(("{", "[")) else _of_csv(text, url)
    newest: dict[str, Listed] = {}
    for one in newest_first([Listed(web_url(where, url), iso_time(when)) for where, when in found]):
        if one.url:
            newest.setdefault(one.url, one)
    return list(newest.values())[:MAX_RECORDS]


def _of_csv(text: str, url: str) -> list[tuple[object, object]]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    matches = [match for line in lines if (match := _OSV_LINE.fullmatch(line))]
    if not matches:
        raise RecordIndexError(f"{url} is no index of records: neither JSON nor lines of `time,id`")
    return [(f"./{quote(match[2], safe='/:+')}.json", match[1]) for match in matches]


def _of_json(text: str, url: str) -> list[tuple[object, object]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordIndexError(f"{url} is no index of records: not valid JSON ({str(error)[:100]})") from error
    deltas = document if isinstance(document, list) else [document]
    changes = [
        (change.get("githubLink"), change.get("dateUpdated"))
        for delta in deltas
        if isinstance(delta, dict)
        for kind in ("new", "updated")
        for change in _dicts(delta.get(kind))
    ]
    if changes or any(isinstance(delta, dict) and "numberOfChanges" in delta for delta in deltas):
        return changes
    if isinstance(document, dict) and ("vulns" in document or "results" in document or not document):
        answers = [document, *_dicts(document.get("results"))]
        base = _vulns_address(url)
        return [
            (f"{base}{name}", record.get("modified"))
            for answer in answers
            for record in _dicts(answer.get("vulns"))
            if (name := _id(record))
        ]
    raise RecordIndexError(f"{url} is no index of records: neither the CVE list's changes nor an answer of OSV")


def _vulns_address(url: str) -> str:
    """Return where OSV's API serves single records, seen from the address that answered a query."""
    path = urlsplit(url).path
    stem = next((path.removesuffix(query) for query in _OSV_QUERIES if path.endswith(query)), path.rpartition("/")[0])
    return f"{stem}/vulns/"


def _id(record: dict[str, object]) -> str:
    name = record.get("id")
    return name if isinstance(name, str) and _OSV_ID.fullmatch(name) else ""


def _dicts(value: object) -> Iterator[dict[str, object]]:
    yield from (item for item in (value if isinstance(value, list) else []) if isinstance(item, dict))
