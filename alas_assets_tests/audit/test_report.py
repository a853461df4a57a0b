"""Reports for an auditor: everything from page to run is there, and nothing foreign is more than text (A1, A2, U1)."""

from html.parser import HTMLParser

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.audit.derived import derived_from
from alas_assets.audit.report import answer_html, derived_html, wrong_html
from alas_assets.audit.trace import SourceTrace, Trace, trace_answer
from alas_assets.audit.verdict import Verdict, verdict_of
from alas_assets.audit.wrong import wrong_answers
from alas_assets.provenance.store import Cell, StoreError
from alas_assets.records import WRONG_SCHEMA
from alas_assets_tests.harness import Harness, Site

TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "h1",
    "h2",
    "p",
    "a",
    "strong",
    "ul",
    "li",
    "div",
    "pre",
    "mark",
    "dl",
    "dt",
    "dd",
}
TAGS |= {"table", "tr", "th", "td", "code", "blockquote", "br", "span", "details", "summary"}


class Read(HTMLParser):
    """The tags, attributes and text of a document."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.marked = ""
        self._in_mark = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]
        self._in_mark = self._in_mark or tag == "mark"

    def handle_endtag(self, tag: str) -> None:
        self._in_mark = self._in_mark and tag != "mark"

    def handle_data(self, data: str) -> None:
        self.text += data
        self.marked += data if self._in_mark else ""


@pytest.fixture
def wrong(quill: Harness) -> pl.DataFrame:
    return wrong_answers(quill.store, Cell("quill", "000"))


def probe_trace(quill: Harness) -> Trace:
    scores = quill.store.read_table(quill.pointers("quill")["judge_scores"], "judge_scores")
    return trace_answer(quill.store, scores.filter(pl.col("split") == "probe")["answer_id"][0])


def test_a_report_leads_from_the_answer_to_the_marked_quote_the_url_and_every_run(quill: Harness) -> None:
    trace = probe_trace(quill)
    assert trace.source is not None
    verdict = verdict_of(quill.store, trace)
    read = Read(answer_html(quill.store, trace, verdict))
    assert read.marked == trace.source.quote
    assert trace.source.url in read.links
    assert all(any(link.endswith(f"/runs/{run.run_id}") for link in read.links) for run in trace.runs)
    for said in (
        trace.question,
        trace.answer,
        trace.gold,
        verdict.because,
        trace.source.retrieved_at,
        *(pair.question for pair in trace.pairs),
    ):
        assert said in read.text
    assert read.tags <= TAGS


def test_the_list_names_every_wrong_answer_and_links_each_trace(quill: Harness, wrong: pl.DataFrame) -> None:
    read = Read(wrong_html("quill", "000", wrong))
    for row in wrong.iter_rows(named=True):
        assert any(link.endswith(f"/answers/{row['answer_id']}") for link in read.links)
        assert row["because"] in read.text
    assert "none" in Read(wrong_html("quill", "000", WRONG_SCHEMA.to_frame())).text


def test_a_sources_report_names_every_fact_and_adapter(quill: Harness, quill_site: Site) -> None:
    derived = derived_from(quill.store, f"http://127.0.0.1:{quill_site.port}/3.html")
    read = Read(derived_html(derived))
    assert all(fact.quote in read.text and fact.question in read.text for fact in derived.facts)
    assert all(any(adapter.adapter_hash in link for link in read.links) for adapter in derived.adapters)
    assert read.tags <= TAGS


def test_a_report_whose_page_is_gone_is_an_error(quill: Harness) -> None:
    trace = probe_trace(quill)
    assert trace.source is not None
    lost = trace.source.model_copy(update={"text_sha256": "0" * 64})
    with pytest.raises(StoreError, match="materialise documents of that cell again"):
        answer_html(quill.store, trace.model_copy(update={"source": lost}), verdict_of(quill.store, trace))


HOSTILE = st.text(max_size=40).map(lambda text: f"<script>alert(1)</script><img src=x onerror=y>\"'><a href=javascript:z>{text}")


@given(HOSTILE, st.sampled_from(["javascript:alert(1)", "data:text/html,<script>", 'http://x/" onclick="y', "https://ok.example/"]))
def test_what_pages_teachers_and_models_say_is_text_and_no_tag(quill: Harness, text: str, url: str) -> None:
    trace = probe_trace(quill)
    assert trace.source is not None
    source = SourceTrace(**{**trace.source.model_dump(), "url": url, "quote": text, "page_title": text})
    hostile = trace.model_copy(
        update={"question": text, "answer": text, "gold": text, "topic": text, "explanation": text, "source": source}
    )
    verdict = Verdict(kind="bad pair", because=text, truth=text, evidence=[text])
    read = Read(answer_html(quill.store, hostile, verdict))
    assert read.tags <= TAGS
    assert read.attributes <= {"href", "rel", "class", "id", "lang", "charset", "http-equiv", "content"}
    assert all(link.startswith(("http://", "https://")) for link in read.links)
    row = dict.fromkeys(WRONG_SCHEMA.names(), text) | {"iteration": 0, "is_current": True, "evidence": [text], "counted_by": [text]}
    listed = Read(wrong_html("quill", "000", pl.DataFrame([row | {"quote_start": 0, "quote_end": 1, "url": url}], schema=WRONG_SCHEMA)))
    assert listed.tags <= TAGS
    assert all(link.startswith(("http://", "https://")) for link in listed.links)
