"""A trace as text for people; the JSON form is the record itself."""

from __future__ import annotations

from alas_assets.provenance.trace import Trace
from alas_assets.records import RULES
from alas_assets.viewer.links import page_link, text_link


def _again(status: int | None) -> str:
    return "; the server said since that it is unchanged" if status == 304 else f", HTTP {status}" if status else ""


def trace_text(trace: Trace) -> str:
    """Return the walk from answer to source, a line per step, readable in a terminal of 100 columns."""
    lines = [
        f"answer   {trace.answer_id}  ({trace.label}{': ' + trace.error_type if trace.error_type else ''})",
        f"  cell     {trace.cell}, system {trace.system}, split {trace.split}",
        f"  question {trace.question}",
        f"  said     {trace.answer or '(nothing)'}",
        f"  right    {trace.gold}",
    ]
    if trace.explanation:
        lines.append(f"  why      {trace.explanation}")
    if any(verdict["judge"] != RULES for verdict in trace.verdicts):
        lines += [f"  judge    {said['judge']}: {said['label']}  {said['explanation']}" for said in trace.verdicts]
        lines.append(f"  rules    {trace.rule_label}")
    lines.append(f"probe    {trace.probe_id}  fact {trace.fact_id}  topic {trace.topic or '-'}")
    if trace.note:
        lines.append(f"  note     {trace.note}")
    for pair in trace.pairs:
        verdict = "accepted" if pair.accepted else f"rejected: {pair.reason}"
        lines.append(f"pair     {pair.qa_id}  {pair.role:5}  {verdict}\n  {pair.question} -> {pair.answer}")
        if pair.review:
            lines.append(f"  review   {pair.review}")
    if source := trace.source:
        stands = "stands in the stored page" if source.quote_stands else "does NOT stand in the stored page"
        lines += [
            f"quote    {source.quote}",
            f"  {stands}, characters {source.quote_start}-{source.quote_end} of {source.text_sha256[:16]}",
            f"  {text_link(source.text_sha256, source.quote_start, source.quote_end)}",
            f"page     {page_link(source.body_sha256)}  (fetched {source.retrieved_at}{_again(source.http_status)})",
            f"source   {source.url}  {source.page_title}",
        ]
    for adapter in trace.learned_by:
        lines.append(
            f"learned  {adapter.kind} adapter {adapter.adapter_hash[:16]} of {adapter.cell}: {adapter.rows} rows "
            f"of {adapter.rows_hash[:12]}, run {adapter.run_id[:8]}"
        )
    lines += [f"run      {run.run_id[:8]}  made {run.step} at {run.made_at}, version {run.data_version[:12]}" for run in trace.runs]
    return "\n".join(lines)
