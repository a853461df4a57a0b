"""Documents that tests make: small PDFs written operator by operator, and vulnerability records."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject


def pdf(pages: Sequence[str], bookmarks: Sequence[tuple[str, int]] = (), password: str = "", **about: str) -> bytes:
    """Return a PDF whose pages have these content streams; font /F1 is Helvetica."""
    writer = PdfWriter()
    font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica", "/Encoding": "/WinAnsiEncoding"}
    named = DictionaryObject({NameObject(key): NameObject(value) for key, value in font.items()})
    for content in pages:
        page = writer.add_blank_page(width=612, height=792)
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): DictionaryObject({NameObject("/F1"): named})})
        stream = DecodedStreamObject()
        stream.set_data(content.encode("latin-1"))
        page[NameObject("/Contents")] = stream
    for title, number in bookmarks:
        writer.add_outline_item(title, number)
    writer.add_metadata({f"/{key}": value for key, value in about.items()})
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def lines(*texts: str, mode: int = 0) -> str:
    """Return a content stream that shows each text on a line of its own."""
    shown = " ".join(f"({text}) Tj T*" for text in texts)
    return f"BT /F1 12 Tf {mode} Tr 14 TL 72 720 Td {shown} ET"


def osv(**changes: Any) -> bytes:
    """Return an OSV record; a change of None leaves the field out."""
    record: dict[str, Any] = {
        "schema_version": "1.6.0",
        "id": "TEST-2026-7",
        "modified": "2026-05-03T10:00:00Z",
        "published": "2026-05-01T10:00:00Z",
        "aliases": ["CVE-2026-10007"],
        "summary": "Crash in the parser",
        "details": "A crafted header crashes `parse()`.\n\n### Impact\n\nThe server stops.<!-- hidden --> <span hidden>hidden</span>",
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": "examplelib"},
                "ranges": [
                    {
                        "type": "ECOSYSTEM",
                        "events": [{"introduced": "4.2.0"}, {"fixed": "4.2.9"}, {"introduced": "5.0.0"}, {"fixed": "5.0.2"}],
                    },
                    {"type": "GIT", "events": [{"introduced": "0"}, {"fixed": "abcdef"}]},
                ],
            }
        ],
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}],
        "references": [{"type": "WEB", "url": "https://example.org/advisory"}, {"type": "WEB", "url": "javascript:alert(1)"}],
        "database_specific": {"cwe_ids": ["CWE-400"], "severity": "HIGH"},
    }
    return json.dumps({key: value for key, value in (record | changes).items() if value is not None}).encode()


def cve(container: dict[str, Any] | None = None, head: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """Return a CVE JSON 5 record; the arguments change its CNA container, its cveMetadata and its top level."""
    record = {
        "dataType": "CVE_RECORD",
        "dataVersion": "5.1",
        "cveMetadata": {
            "cveId": "CVE-2026-20001",
            "assignerShortName": "example",
            "state": "PUBLISHED",
            "datePublished": "2026-03-04T00:00:00Z",
            "dateUpdated": "2026-03-05T00:00:00Z",
        }
        | (head or {}),
        "containers": {
            "cna": {
                "title": "Command injection in Example Server",
                "descriptions": [
                    {"lang": "eo", "value": "Vundebleco."},
                    {"lang": "en", "value": "A request may run commands.\n\n# Not a heading"},
                ],
                "affected": [
                    {
                        "vendor": "Example.org",
                        "product": "Server",
                        "defaultStatus": "unaffected",
                        "versions": [
                            {"version": "1.0.0", "status": "affected", "lessThan": "1.0.6", "versionType": "semver"},
                            {"version": "2.0.0", "status": "affected", "lessThanOrEqual": "2.0.3", "versionType": "semver"},
                            {"version": "3.0.0", "status": "unaffected"},
                        ],
                    }
                ],
                "problemTypes": [{"descriptions": [{"lang": "en", "cweId": "CWE-78", "description": "CWE-78 OS Command Injection"}]}],
                "metrics": [{"cvssV3_1": {"baseScore": 9.8, "baseSeverity": "CRITICAL", "vectorString": "CVSS:3.1/AV:N"}}],
                "references": [{"url": "https://example.org/ESA-1"}],
                "solutions": [{"lang": "en", "value": "Update to 1.0.6."}],
            }
            | (container or {}),
        },
    }
    return json.dumps(record | changes).encode()
