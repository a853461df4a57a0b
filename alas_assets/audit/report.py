"""A trace, an iteration's wrong answers, and what a source taught, as HTML for an auditor: one file each, nothing to load (A1, A2).

Text for terminals is `audit.render`. Every text of a page, teacher or model is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import polars as pl

from alas_assets.audit.derived import Derived, DerivedFact
from alas_assets.audit.document import document, link, table
from alas_assets.audit.render import BY_WORDS, CUT, fact_state, overruled_text, what_it_learned
from alas_assets.audit.trace import SourceTrace, Trace, stored_text
from alas_assets.audit.verdict import Verdict
from alas_assets.links import answer_link, manifest_link, page_link, run_link, source_link, text_link
from alas_assets.provenance.store import ArtifactStore
from alas_assets.wording import counted

AROUND = 800
"""Characters of the stored page that are shown before and after the quote."""
WHOLE = 200_000
"""Characters of the stored page that a report holds at most."""


def answer_html(store: ArtifactStore, trace: Trace, verdict: Verdict, now: Sequence[str] = ()) -> str:
    """Return the report on one answer: verdict, evidence, pairs, the quote in its page, adapters and runs.

    Args:
        store: Where the stored page lies.
        trace: The walk from the answer to its source.
        verdict: Which kind of wrong it is.
        now: What can be done about it (`advice.what_now`).

    Raises:
        StoreError: The stored page, or a table on the way, is gone.
    """
    return document(
        f"Answer {trace.answer_id}".rstrip(),
        "".join(
            [
                f"<h1>{escape(trace.question)}</h1>",
                _verdict(verdict, now),
                _said(trace, verdict),
                _source(store, trace.source)
                if trace.source
                else f"<h2>Source</h2><p>{escape(trace.note or 'no page was read for it')}</p>",
                _shown(trace),
                _disputes(trace),
                _pairs(trace),
                _learned(trace),
                _runs(trace),
            ]
        ),
    )


def _verdict(verdict: Verdict, now: Sequence[str]) -> str:
    grounds = "".join(f"<li>{escape(ground)}</li>" for ground in verdict.evidence)
    kind = "verdict right" if verdict.kind == "right" else "verdict"
    head = f"<strong>{escape(verdict.kind.capitalize())}</strong>: {escape(verdict.because)}"
    what = f"<p>What can be done:</p><ul>{''.join(f'<li>{escape(line)}</li>' for line in now)}</ul>" if now else ""
    return f'<div class="{kind}"><p>{head}</p><ul>{grounds}</ul>{what}</div>'


def _said(trace: Trace, verdict: Verdict) -> str:
    model = link(trace.adapter_hash[:16], manifest_link(trace.adapter_hash)) if trace.adapter_hash else "the base student"
    items = [
        ("The model said", escape(trace.answer or "(nothing)")),
        ("Held against", escape(verdict.truth or trace.gold)),
        ("Grade", escape(f"{trace.grade_in_words}. {trace.explanation}")),
        ("Model", f"{escape(trace.system)} of {escape(trace.cell)}: {model}{', the current one' if trace.is_current else ''}"),
        *([("Answers now", escape(trace.in_place))] if trace.in_place else []),
        ("Question", escape(f"probe {trace.probe_id}, split {trace.split}, topic {trace.topic or '-'}, fact {trace.fact_id}")),
        ("Answer id", escape(trace.answer_id or "none: it was asked for this report and is kept nowhere else")),
    ]
    if said := trace.said:
        right = f", right is {said.should_be}" if said.should_be else ""
        items.append(("A person", escape(f"{said.by} at {said.at}: {said.label}{right}. {said.comment}")))
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{value}</dd>' for name, value in items)}</dl>"


def _source(store: ArtifactStore, source: SourceTrace) -> str:
    stands = "The quote stands there" if source.quote_stands else "The quote does NOT stand there"
    links = [
        link("the text as stored", text_link(source.text_sha256, source.quote_start, source.quote_end)),
        link("the page as fetched", page_link(source.body_sha256)),
        link("all that this page taught", source_link(source.url)),
    ]
    lines = [
        "<h2>Source</h2>",
        f"<p>{link(source.url, source.url)} {escape(source.page_title)}, fetched {escape(source.retrieved_at)}. {stands}: "
        f"characters {source.quote_start} to {source.quote_end}. {', '.join(links)}.</p>",
        f"<blockquote>{escape(source.quote)}</blockquote>",
        *_stored(store, source),
    ]
    if since := source.since:
        states = "still states it" if since.states_it else "no longer states it"
        now = f", and now says {', '.join(since.answers)}" if since.answers else ""
        lines.append(
            f"<p>Read again on {escape(since.retrieved_at)} for {escape(since.cell)}: the page {escape(states + now)}; "
            f"{link('its text', text_link(since.text_sha256))}.</p>"
        )
    return "".join(lines)


def _stored(store: ArtifactStore, source: SourceTrace) -> list[str]:
    """Return the quote, marked, in what stands around it, and the whole stored text to open."""
    text = stored_text(store, source.text_sha256, source.url)
    first, last = source.quote_start, source.quote_end
    before, after = escape(text[max(0, first - AROUND) : first]), escape(text[last : last + AROUND])
    rest = f"\n[{len(text) - WHOLE} more characters are left out]" if len(text) > WHOLE else ""
    return [
        f'<pre>{"… " if first > AROUND else ""}{before}<mark id="quote">{escape(text[first:last])}</mark>{after}'
        f"{' …' if len(text) > last + AROUND else ''}</pre>",
        f'<details><summary>The whole text as stored</summary><div class="page"><pre>{escape(text[:WHOLE] + rest)}</pre></div></details>',
    ]


def _disputes(trace: Trace) -> str:
    if not trace.disputes:
        return ""
    rows = [[escape(one.answer), escape(one.quote), link(one.url, one.url)] for one in trace.disputes]
    return f"<h2>Other pages say otherwise</h2>{table(['answer', 'quote', 'source'], rows)}"


def _shown(trace: Trace) -> str:
    if not trace.shown:
        return ""
    rows = [
        [
            escape(f"{one.text}{CUT if one.cut else ''}" or f"passage {one.chunk_id}: {one.gone}"),
            f"{link(one.url, one.url)}, fetched {escape(one.retrieved_at)}; "
            f"{link('where it stands', text_link(one.text_sha256, one.start, one.end))}"
            if one.url
            else "",
        ]
        for one in trace.shown
    ]
    return f"<h2>Shown beside the question</h2>{table(['passage', 'source'], rows)}"


def _pairs(trace: Trace) -> str:
    if not trace.pairs:
        return ""
    rows = [
        [
            escape(pair.role),
            escape(pair.question),
            escape(pair.answer),
            escape("accepted" if pair.accepted else f"rejected: {pair.reason}") + (f"<br>{escape(pair.review)}" if pair.review else ""),
            f"<code>{escape(pair.qa_id)}</code>",
        ]
        for pair in trace.pairs
    ]
    return f"<h2>Pairs of the fact</h2>{table(['for', 'question', 'answer', 'state', 'pair'], rows)}"


def _learned(trace: Trace) -> str:
    gone = "".join(f"<p>{escape(by.in_words)}.</p>" for by in trace.rows_gone)
    if not trace.learned_by:
        none = "No adapter in this store is known to be trained on it." if gone else "No adapter in this store was trained on it."
        return f"<h2>Learned by</h2><p>{none}</p>{gone}" if trace.source else ""
    rows = [
        [
            escape(by.cell),
            f"{escape(by.kind)} {link(by.adapter_hash[:16], manifest_link(by.adapter_hash))}"
            f"{escape(f' (retired by takedown {by.retired})' if by.retired else '')}",
            f"{counted(by.rows, 'row')} of <code>{escape(by.rows_hash[:16])}</code>",
            _run(by.run_id, by.run_deleted),
        ]
        for by in trace.learned_by
    ]
    return f"<h2>Learned by</h2>{table(['iteration', 'adapter', 'training rows', 'run'], rows)}{gone}"


def _run(run_id: str, deleted: str) -> str:
    return escape(f"{run_id[:8]} (deleted by takedown {deleted})") if deleted else link(run_id[:8], run_link(run_id))


def _runs(trace: Trace) -> str:
    rows = [
        [
            escape(run.step),
            escape(run.cell),
            _run(run.run_id, run.run_deleted),
            escape(run.made_at),
            f"<code>{escape(run.data_version[:16])}</code>",
        ]
        for run in trace.runs
    ]
    return f"<h2>Made by</h2>{table(['asset', 'iteration', 'run', 'when', 'data version'], rows)}"


def wrong_html(domain: str, iteration: str, wrong: pl.DataFrame) -> str:
    """Return the list of an iteration's wrong answers (`WRONG_SCHEMA`), each with its verdict and links."""
    counts = wrong.group_by("verdict").len().sort("len", "verdict", descending=[True, False])
    said = ", ".join(f"{n} {kind}" for kind, n in counts.iter_rows()) or "none"
    rows = [
        [
            _id(row["answer_id"][:10], answer_link(row["answer_id"])) + ("" if row["is_current"] else " (not current)"),
            f"<strong>{escape(row['verdict'])}</strong><br>{escape(row['because'])}",
            f"{escape(row['question'])}<br>{_quiet(row['split'], row['counted_by'])}",
            escape(row["truth"]),
            escape(row["answer"]),
            _where(row),
            _id(row["run_id"][:8], run_link(row["run_id"])),
        ]
        for row in wrong.iter_rows(named=True)
    ]
    head = f"<h1>Wrong answers of {escape(domain)}, iteration {escape(iteration)}</h1><p>{wrong.height} wrong answers: {escape(said)}.</p>"
    headings = ["trace", "verdict", "question", "right", "said", "source", "trained in"]
    return document(f"Wrong answers of {domain} {iteration}", head + table(headings, rows))


def _id(text: str, href: str) -> str:
    return f'<span class="id">{link(text, href)}</span>'


def _quiet(split: str, counted_by: list[str]) -> str:
    return f'<span class="quiet">{escape(split)}, wrong by {escape(", ".join(counted_by))}</span>'


def _where(row: dict[str, object]) -> str:
    url = str(row["url"])
    if not url:
        return ""
    start, end = row["quote_start"], row["quote_end"]
    quote = text_link(str(row["text_sha256"]), start if isinstance(start, int) else None, end if isinstance(end, int) else None)
    return f"{link(url, url)}<br>{link('the quote', quote)}, {link('all it taught', source_link(url))}"


def derived_html(derived: Derived) -> str:
    """Return the report on a source: its readings, facts, adapters and what was answered about it (A2)."""
    readings = [
        [
            escape(one.cell),
            link(one.url, one.url),
            escape(one.retrieved_at) if one.ok else escape(f"failed: {one.reason}"),
            link(counted(one.passages, "passage"), page_link(one.body_sha256)),
        ]
        for one in derived.readings
    ]
    facts = [
        [
            "<br>".join(map(escape, [fact_state(fact), *_words_on(fact)])),
            f"{escape(fact.question)}<br>{escape(fact.answer)}",
            f"{escape(fact.quote)}{''.join(f'<br>also: {link(url, url)}' for url in fact.also_stated_by)}",
            escape(", ".join(fact.cells)),
        ]
        for fact in derived.facts
    ]
    adapters = [
        [
            escape(one.cell),
            f"{escape(one.kind)} {link(one.adapter_hash[:16], manifest_link(one.adapter_hash))}",
            escape(what_it_learned(one)),
            link(one.run_id[:8], run_link(one.run_id)),
        ]
        for one in derived.adapters
    ]
    answers = [
        [escape(one.cell), escape(one.system), f"{one.correct} of {one.asked} right" if one.asked else "not asked", str(one.shown)]
        for one in derived.answers
    ]
    doubted = f", {len(derived.doubted)} spoken against by a person and not changed so far" if derived.doubted else ""
    since = f", {len(derived.overruled)} of them overruled by a person since" if derived.overruled else ""
    taught = f"{counted(len(derived.taught), 'fact')} taught{since}{doubted}, {counted(derived.learned, 'adapter')} learned from it"
    parts = [
        f"<h1>{escape(derived.source)}</h1><p>Read {counted(len(derived.readings), 'time')}; {taught}.</p>",
        f"<h2>Readings</h2>{table(['iteration', 'page', 'fetched', 'stored'], readings)}",
        f"<h2>Adapters that learned from it</h2>{table(['iteration', 'adapter', 'of it', 'run'], adapters)}",
        f"<h2>Answers about it</h2>{table(['iteration', 'system', 'right', 'answers it was retrieved for'], answers)}",
        _exam(derived),
        f"<h2>Facts</h2>{table(['state', 'question and answer', 'quote', 'iterations'], facts)}",
    ]
    return document(f"What {derived.source} taught", "".join(parts))


def _words_on(fact: DerivedFact) -> list[str]:
    """Return what people said of a fact: what was taken up, what waits, and what they said of answers that speaks against it."""
    overruled = [overruled_text(one, fact) for one in fact.overruled]
    return [*overruled, *(f"decided, and not taken up so far: {word}" for word in fact.waiting), *fact.denied]


def _exam(derived: Derived) -> str:
    if not derived.exam:
        return ""
    rows = [[escape(one.cell), escape(one.system), f"{one.correct} of {one.asked} right"] for one in derived.exam]
    return f"<h2>Exam questions about it, {BY_WORDS}</h2>{table(['iteration', 'system', 'right'], rows)}"
