"""The signed-off report on a takedown, as JSON and as HTML that loads and runs nothing: counts and hashes, never content (A3)."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from alas_assets.audit.document import document, table
from alas_assets.provenance.blocked.marks import Marks
from alas_assets.provenance.blocked.order import Order, report_files
from alas_assets.provenance.ids import content_hash
from alas_assets.provenance.store import ArtifactStore, write_atomic
from alas_assets.release.registry import Registry
from alas_assets.removal.scan import Scan

STAYS = (
    "the address itself, here and in what blocks it, in the domain file and in readings that failed, and hashes of what was removed",
    "ids, counts, scores and verdicts, which hold no words of the source; answers that its passages were shown for keep their row",
    "the exam's own questions, which are yours: they are asked again, and no adapter was taught what they ask",
    "what other sources say, also where it is the same, what models say that learned nothing of it, and every such model",
)
NOT_COVERED = (
    "copies outside the store: backups, exported models, sheets, ledgers and reports that somebody saved elsewhere",
    "the file that --questions wrote: delete it when the unlearning is measured",
    "older versions that an object store keeps of its own accord, and blocks that a file system or disk has not overwritten",
    "what a model server that was started before still has in memory: restart it",
    "the same content in other words, or in a picture; single words and numbers of the source",
)


def report_body(store: ArtifactStore, order: Order, marks: Marks, scan: Scan) -> dict[str, Any]:
    """Return what the report says, as JSON values."""
    registry = Registry(store.root / "registry")
    return {
        "takedown": order.id,
        "source": order.source,
        "what": order.by,
        "reason": order.reason,
        "ordered_by": order.ordered_by,
        "ordered_at": order.at,
        "carried_out_at": order.carried_out,
        "went": [share.model_dump(mode="json") for share in order.shares],
        "pages": {"stored_bodies": order.pages, "sha256": order.bodies, "texts_sha256": order.texts},
        "adapters_retired": [one.model_dump(mode="json") for one in order.retired],
        "current": {share.domain: registry.current(share.domain) for share in order.shares},
        "facts_that_other_sources_state_too": {"facts": order.kept_facts, "sources": order.kept_by},
        "steps": [step.model_dump(mode="json") for step in order.steps],
        "searched_for": {"runs_of_words": marks.count, "left_out_as_they_stay_elsewhere": marks.shared, "too_short": marks.too_short},
        "scan": scan.model_dump(mode="json"),
        "clean": scan.clean,
        "stays": list(STAYS),
        "not_covered": list(NOT_COVERED),
    }


def signed(body: dict[str, Any], by: str, at: str) -> dict[str, Any]:
    """Return a report with who signed it off, when, and the content hash of all that it says."""
    return {**body, "signed_off": {"by": by, "at": at, "sha256": content_hash(body)}}


def is_as_signed(report: dict[str, Any]) -> bool:
    """Tell whether a report still says what was signed off."""
    body = {name: value for name, value in report.items() if name != "signed_off"}
    return report.get("signed_off", {}).get("sha256") == content_hash(body)


def write_report(store: ArtifactStore, order: Order, marks: Marks, scan: Scan) -> tuple[Path, Path]:
    """Write the report of a takedown and return where it lies, as JSON and as HTML."""
    report = signed(report_body(store, order, marks, scan), order.ordered_by, scan.at)
    as_json, as_html = report_files(store.root, order.id)
    write_atomic(as_json, json.dumps(report, indent=1, ensure_ascii=False).encode())
    write_atomic(as_html, report_html(report).encode())
    return as_json, as_html


def report_html(report: dict[str, Any]) -> str:
    """Return a signed report as a document of its own; every text is escaped."""
    scan, sign = report["scan"], report["signed_off"]
    found = "Nothing of it was found." if report["clean"] else f"<strong>{len(scan['findings'])} places need attention.</strong>"
    searched = report["searched_for"]
    parts = [
        f"<h1>Taken down: {escape(report['source'])}</h1>",
        f"<p>Ordered by {escape(report['ordered_by'])} on {escape(report['ordered_at'])}, carried out at "
        f"{escape(report['carried_out_at'])}.</p>",
        f"<blockquote>{escape(report['reason'])}</blockquote>",
        f"<p>{found} Searched for {searched['runs_of_words']} runs of its words ({searched['left_out_as_they_stay_elsewhere']} more stand "
        f"in content that stays, {searched['too_short']} strings are too short to be told from others).</p>",
        "<h2>What went</h2>",
        _went(report["went"]),
        "<h2>Adapters that were retired</h2>",
        _retired(report["adapters_retired"]),
        "<h2>What is current now</h2>",
        table(
            ["domain", "adapter"], [[escape(name), escape(adapter or "the base student")] for name, adapter in report["current"].items()]
        ),
        "<h2>What stays, and why</h2>",
        _list([*report["stays"], *_elsewhere(report)]),
        "<h2>What was searched</h2>",
        "<p>Files of no text are weights and pictures. What other pages and models came to say too since is counted under elsewhere.</p>",
        _records(scan["places"], ("name", "files", "texts", "not_text", "elsewhere", "findings")),
        "<h2>Findings</h2>",
        _records(scan["findings"], ("place", "where", "within", "runs", "problem")) if scan["findings"] else "<p>None.</p>",
        "<h2>What this does not cover</h2>",
        _list(report["not_covered"]),
        "<h2>Steps</h2>",
        table(["step", "done", "what it came to"], [[escape(one["name"]), escape(one["at"]), _did(one["did"])] for one in report["steps"]]),
        f"<p>Signed off by {escape(sign['by'])} on {escape(sign['at'])}; SHA-256 of all that is said here, as JSON: "
        f"<code>{escape(sign['sha256'])}</code></p>",
    ]
    return document(f"Taken down: {report['source']}", "".join(parts))


_WENT = {
    "since": "first iteration that read it or planned with it",
    "surveyed": "addresses that were surveyed and never studied",
    "readings": "readings",
    "passages": "passages",
    "facts": "facts",
    "taught": "of these taught",
    "pairs": "question-answer pairs, a row a phrasing, rejected ones too",
    "probes": "probes",
    "answers": "answers to questions about it",
    "shown": "answers that its passages were shown for",
    "training_rows": "training rows",
    "adapters": "adapters",
    "current_before": "current before",
    "current_after": "current then",
}


def _went(shares: list[dict[str, Any]]) -> str:
    rows = [[what, *(_shown(name, share[name]) for share in shares)] for name, what in _WENT.items()]
    return table(["", *(escape(share["domain"]) for share in shares)], rows)


def _shown(name: str, value: Any) -> str:
    return escape(value[:16] if value else "the base student") if name.startswith("current") else escape(str(value))


def _did(did: dict[str, int]) -> str:
    return escape(", ".join(f"{count} {what.replace('_', ' ')}" for what, count in did.items()))


def _retired(adapters: list[dict[str, Any]]) -> str:
    rows = [
        [
            escape(one["adapter_hash"]),
            escape(f"{one['kind']} of {one['cell']}"),
            escape(
                one["because"]
                or (f"trained from {one['trained_from'][:16]}" if one["trained_from"] else "")
                or f"{one['rows']} of its training rows hold {one['facts']} facts of it"
            ),
        ]
        for one in adapters
    ]
    return table(["adapter", "", "why"], rows) if rows else "<p>None.</p>"


def _records(records: list[dict[str, Any]], names: tuple[str, ...]) -> str:
    return table(
        [name.replace("_", " ") for name in names],
        [[escape(str(one[name] if one[name] is not None else "")) for name in names] for one in records],
    )


def _list(items: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"


def _elsewhere(report: dict[str, Any]) -> list[str]:
    kept = report["facts_that_other_sources_state_too"]
    if not kept["facts"]:
        return []
    return [
        f"{kept['facts']} of its facts are stated by {', '.join(kept['sources'])} too: the pairs written from there stay and are taught"
    ]
