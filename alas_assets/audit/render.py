"""A trace, and what a source taught, as text for people; the JSON form is the record itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from alas_assets.audit.derived import Derived, DerivedAdapter, DerivedFact, Reading
from alas_assets.audit.overruled import Overruled
from alas_assets.audit.shown import ShownPassage
from alas_assets.audit.trace import Trace
from alas_assets.audit.verdict import Verdict
from alas_assets.audit.wrong import about_taught_facts, with_a_source
from alas_assets.links import page_link, text_link
from alas_assets.records import RULES
from alas_assets.wording import counted

if TYPE_CHECKING:
    from alas_assets.retrieval.drift import Drift


def _again(status: int | None) -> str:
    return "; the server said since that it is unchanged" if status == 304 else f", HTTP {status}" if status else ""


def trace_text(trace: Trace) -> str:
    """Return the walk from answer to source, a line per step, readable in a terminal of 100 columns."""
    answer = trace.answer_id or "asked just now and kept nowhere"
    label, right = trace.grade_in_words, trace.gold or "-"
    if trace.said and trace.said.label != trace.label:
        label = f"{trace.said.label} says {trace.said.by}, who outranks the grade; graded {label}"
    if trace.said and trace.said.should_be:
        right = f"{trace.said.should_be}, says {trace.said.by}; graded against: {right}"
    lines = [
        f"answer   {answer}  ({label})",
        f"  cell     {trace.cell}, system {trace.system}{' (the current model)' if trace.is_current else ''}, split {trace.split}",
        *([f"  model    {trace.in_place}"] if trace.in_place else []),
        f"  question {trace.question}",
        f"  said     {trace.answer or '(nothing)'}",
        f"  right    {right}",
    ]
    if trace.explanation:
        lines.append(f"  why      {trace.explanation}")
    if any(verdict["judge"] != RULES for verdict in trace.verdicts):
        lines += [f"  judge    {said['judge']}: {said['label']}  {said['explanation']}" for said in trace.verdicts]
        lines.append(f"  rules    {trace.rule_label}")
    lines.append(f"probe    {trace.probe_id}  fact {trace.fact_id or '-'}  topic {trace.topic or '-'}")
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
        if since := source.since:
            states = "still states it" if since.states_it else "no longer states it"
            now = f", and says {', '.join(since.answers)}" if since.answers else ""
            lines.append(f"since    read again {since.retrieved_at} for {since.cell}: {states}{now}\n  {text_link(since.text_sha256)}")
    lines += [f"against  {dispute.answer}  {dispute.url}\n  {dispute.quote}" for dispute in trace.disputes]
    if said := trace.said:
        right = f", right is {said.should_be}" if said.should_be else ""
        lines.append(f"person   {said.by} at {said.at}: {said.label}{right}{f'; {said.comment}' if said.comment else ''}")
    lines += [shown_text(passage) for passage in trace.shown]
    for adapter in trace.learned_by:
        lines.append(
            f"learned  {adapter.kind} adapter {adapter.adapter_hash[:16]} of {adapter.cell}: {counted(adapter.rows, 'row')} "
            f"of {adapter.rows_hash[:12]}, {_run(adapter.run_id, adapter.run_deleted)}"
            f"{f'; retired by takedown {adapter.retired}' if adapter.retired else ''}"
        )
    lines += [f"learned? {adapter.in_words}" for adapter in trace.rows_gone]
    lines += [
        f"run      {run.run_id[:8]}  made {run.step} of {run.cell} at {run.made_at}, version {run.data_version[:12]}"
        f"{f' (deleted by takedown {run.run_deleted})' if run.run_deleted else ''}"
        for run in trace.runs
    ]
    return "\n".join(lines)


CUT = " … (cut here)"
"""After what was shown of a passage that goes on."""


def shown_text(passage: ShownPassage) -> str:
    """Return a passage that stood beside a question: its URL, what was shown of it, and where that stands in the stored text."""
    if passage.gone:
        return f"shown    passage {passage.chunk_id}: {passage.gone}"
    where = text_link(passage.text_sha256, passage.start, passage.end)
    said = f"{' '.join(passage.text.split())}{CUT if passage.cut else ''}"
    return f"shown    {passage.url}  (fetched {passage.retrieved_at})\n  {said}\n  {where}"


def _run(run_id: str, deleted: str) -> str:
    return f"run {run_id[:8]}{f' (deleted by takedown {deleted})' if deleted else ''}"


def verdict_text(verdict: Verdict, now: Sequence[str] = ()) -> str:
    """Return the verdict in a line, its grounds, and what can be done (`what_now`)."""
    lines = [f"verdict  {verdict.kind.upper()}: {verdict.because}"]
    if verdict.truth:
        lines.append(f"  held against {verdict.truth!r}")
    return "\n".join([*lines, *(f"  - {ground}" for ground in verdict.evidence), *(f"now      {line}" for line in now)])


def derived_text(derived: Derived) -> str:
    """Return what came from a source, from the readings down to the adapters and answers, a line or two per item."""
    taught, kept = derived.taught, [fact for fact in derived.taught if fact.also_stated_by]
    rows = sum(fact.accepted for fact in derived.facts), sum(fact.rejected for fact in derived.facts) + derived.unusable
    what = f"{derived.by} {derived.source}"
    lines = [
        f"{what}: read {counted(len(derived.readings), 'time')}, {counted(len(taught), 'fact')} taught "
        f"({counted(rows[0], 'pair')} accepted, {rows[1]} rejected), {counted(derived.learned, 'adapter')} learned from it"
    ]
    if n := len(derived.overruled):
        is_overruled, them = ("is overruled", "it") if n == 1 else ("are overruled", "them")
        lines.append(f"  {n} of these facts {is_overruled}: a person rejected or corrected {them} since")
    if doubted := derived.doubted:
        speaks = f"a person's word speaks against {len(doubted)} of these facts, and no iteration took it up so far"
        lines.append(f"  {speaks}; `alas review list` says what waits")
    if taught:
        lines.append(f"  {len(kept)} of these facts are also stated by another source")
    lines += [_reading_line(reading) for reading in derived.readings]
    lines += [line for fact in derived.facts for line in _fact_lines(fact)]
    lines += [f"probes   {probes.cell}: {counted(probes.probes, 'question')} ({probes.split})" for probes in derived.probes]
    lines += [
        f"learned  {adapter.kind} adapter {adapter.adapter_hash[:16]} of {adapter.cell}: {what_it_learned(adapter)}, "
        f"run {adapter.run_id[:8]}"
        for adapter in derived.adapters
    ]
    for said in derived.answers:
        shown = f"; its passages were retrieved for {counted(said.shown, 'answer')}" if said.shown else ""
        right = f"{said.correct} of {counted(said.asked, 'question')} about it right" if said.asked else "not asked about it"
        lines.append(f"answered {said.cell}, system {said.system}: {right}{shown}")
    lines += [
        f"exam     {said.cell}, system {said.system}: {said.correct} of {counted(said.asked, 'question')} right, {BY_WORDS}"
        for said in derived.exam
    ]
    return "\n".join(lines)


def what_it_learned(adapter: DerivedAdapter) -> str:
    """Say how much of a source an adapter learned, or that nobody can say."""
    if adapter.because:
        return f"nobody can say what, as {adapter.because}"
    return f"{counted(adapter.facts, 'fact')}, {adapter.rows} of {counted(adapter.of_rows, 'row')}"


BY_WORDS = "matched to its facts by page and words, not by an id"
"""How exam questions were found to be about a source."""


def _reading_line(reading: Reading) -> str:
    if not reading.ok:
        return f"read     {reading.cell}  {reading.url}  failed: {reading.reason}"
    return (
        f"read     {reading.cell}  {reading.url}  {reading.retrieved_at}{_again(reading.status)}, {counted(reading.passages, 'passage')}\n"
        f"  {page_link(reading.body_sha256)}"
    )


def fact_state(fact: DerivedFact) -> str:
    """Say whether a fact was taught, and whether a person overruled that since."""
    if not fact.accepted:
        return f"not taught: {'; '.join(fact.reasons)}"
    if not fact.standing:
        return "taught once, overruled since"
    return (
        "taught" if fact.standing == fact.accepted else f"taught, {fact.accepted - fact.standing} of {fact.accepted} pairs overruled since"
    )


def overruled_text(one: Overruled, fact: DerivedFact) -> str:
    """Say in which iteration a person's word on a fact took effect, whose it was, and what stands in its place."""
    instead = "; ".join(one.instead)
    if not instead:
        left = "the fact's other pairs" if fact.standing else "nothing"
        instead = f"{left}, curation refused what was put there: {one.refused}" if one.refused else left
    return f"{counted(one.pairs, 'pair')} in {one.cell}: {one.word}; in {'its' if one.pairs == 1 else 'their'} place: {instead}"


def _fact_lines(fact: DerivedFact) -> list[str]:
    lines = [
        f"fact     {fact.fact_id}  {', '.join(fact.cells)}  {fact_state(fact)}",
        f"  {fact.question} -> {fact.answer}",
        *(f"  overruled {overruled_text(one, fact)}" for one in fact.overruled),
        *(f"  decided  {word}; not taken up so far" for word in fact.waiting),
        *(f"  denied   {word}" for word in fact.denied),
        f"  quote    {fact.quote}",
    ]
    return [*lines, *(f"  also     {url}" for url in fact.also_stated_by)]


def wrong_text(wrong: pl.DataFrame, whose: str = "the current model") -> str:
    """Say whose the wrong answers of an iteration (`WRONG_SCHEMA`) are and whether they are about taught facts.

    Args:
        wrong: The wrong answers.
        whose: What to call the model that became current by the iteration, for who knows that another one is so since.
    """
    current, taught = wrong.filter("is_current").height, about_taught_facts(wrong).height
    return (
        f"{whose} answers {counted(current, 'question')} wrong: {taught} about taught facts, {current - taught} that no taught "
        f"fact covers; other models answer {wrong.height - current} wrong"
    )


def system_wrong_text(wrong: pl.DataFrame, cell: str, system: str) -> str:
    """Say how many questions one system of an iteration answers wrong (`WRONG_SCHEMA`), and how many of these are about taught facts."""
    taught = with_a_source(wrong).height
    return (
        f"{system} of {cell} answers {counted(wrong.height, 'question')} wrong: {taught} about taught facts, "
        f"{wrong.height - taught} that no taught fact covers"
    )


def drift_text(drift: Drift) -> str:
    """Return which taught facts their pages no longer state, a few lines each."""
    stand = len(drift.facts) - len(drift.drifted)
    lines = [
        f"{drift.domain}: {drift.pages} pages read again ({drift.unchanged} by a 304); {stand} of {len(drift.facts)} taught facts stand"
    ]
    for fact in drift.drifted:
        lines.append(f"{fact.state:10} {fact.url}{f': {fact.reason}' if fact.reason else ''}")
        lines.append(f"  fact {fact.fact_id}  {fact.question} -> {fact.answer}\n  quote {fact.quote}")
    return "\n".join(lines)
