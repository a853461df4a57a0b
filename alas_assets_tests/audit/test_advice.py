"""What can be done about a wrong answer, and what waits of people's decisions, on stores made by hand (A1, A2, S13)."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from alas_assets.audit.advice import what_now
from alas_assets.audit.derived import derived_from
from alas_assets.audit.objections import waiting_decisions
from alas_assets.audit.report import answer_html
from alas_assets.audit.trace import trace_answer
from alas_assets.audit.verdict import verdict_of
from alas_assets.provenance.ids import page_id
from alas_assets.provenance.store import ArtifactStore, Cell
from alas_assets.records import FETCH_SCHEMA, as_pairs
from alas_assets.release.closing import close_iteration
from alas_assets.review.journal import Journal
from alas_assets.review.pairs import every_decision
from alas_assets_tests.audit.by_hand import DOMAIN, FACT, GOLD, URL, answered, judged, put, store_with_a_fact
from alas_assets_tests.audit.test_overruled import taken_up
from alas_assets_tests.review.test_pairs import PAIRS

AT = "2026-11-23T10:00:00+00:00"
TEACH_IT_NO_MORE = f"to teach it no more: `alas review export {DOMAIN} --what pairs --iteration 0`"


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    """A page that is wrong, the fact that it states, and a model that says so."""
    store = store_with_a_fact(tmp_path, 2)
    judged(store, 0, answered(0, GOLD, "correct"))
    return store


def decide(store: ArtifactStore, row: dict[str, Any], **decision: Any) -> None:
    same = {name: row[name] for name in ("qa_id", "fact_id", "question", "answer")}
    Journal(store.root, DOMAIN).add("pairs", [same | decision], by="ada", at=AT)


def pair_of(store: ArtifactStore) -> dict[str, Any]:
    pointer = store.pointer(Cell.of(DOMAIN, 0), "qa_pairs")
    assert pointer is not None
    return as_pairs(store.read_table(pointer)).row(0, named=True)


def advised(store: ArtifactStore, should_be: str = "three parts of data") -> list[str]:
    trace = trace_answer(store, "answer-0")
    return what_now(store, trace, verdict_of(store, trace, should_be))


def test_who_decided_is_named_and_the_command_stands_beside_it_where_the_fact_is_taught_all_the_same(store: ArtifactStore) -> None:
    assert advised(store)[0].startswith(TEACH_IT_NO_MORE)
    decide(store, pair_of(store), decision="reject")
    first, second, *_ = advised(store)
    assert first.startswith("decided already: reject by ada on 2026-11-23;")
    assert second.startswith(TEACH_IT_NO_MORE)
    decide(store, pair_of(store), decision="reject fact")
    (only,) = advised(store)
    assert only.startswith("decided already: reject fact by ada on 2026-11-23;")


def test_the_report_shows_what_can_be_done_with_the_commands_as_they_are_handed_in(store: ArtifactStore) -> None:
    trace = trace_answer(store, "answer-0")
    verdict = verdict_of(store, trace, "three parts of data")
    shown = answer_html(store, trace, verdict, what_now(store, trace, verdict, " --home /elsewhere"))
    assert f"<li>to teach it no more: `alas review export {DOMAIN} --home /elsewhere --what pairs --iteration 0`" in shown
    assert "What can be done" not in answer_html(store, trace, verdict)


def test_a_decision_that_changes_nothing_waits_for_nothing(store: ArtifactStore) -> None:
    put(store, 1, "qa_pairs", pl.DataFrame([], schema=as_pairs(PAIRS).schema))
    decide(store, pair_of(store), decision="edit", new_question="What does the new nib bring?")
    assert waiting_decisions(store, DOMAIN, {FACT}) == {}
    assert advised(store)[0].startswith(TEACH_IT_NO_MORE)
    assert derived_from(store, URL).doubted == []


def test_what_its_page_states_no_more_is_said_to_be_taught_no_more_and_no_decision_is_asked_for(store: ArtifactStore) -> None:
    text = "Pens. The new nib ships tracing instead."
    sha, body = store.put_bytes(store.texts, text.encode()), store.put_bytes(store.pages, text.encode())
    at = {"page_id": page_id(URL), "text_sha256": sha, "body_sha256": body, "retrieved_at": datetime(2026, 2, 1, tzinfo=UTC)}
    read = {"final_url": URL, "requested_url": URL, "ok": True, "status": 200, "title": "Pens", "reason": ""}
    put(store, 1, "documents", pl.DataFrame([dict.fromkeys(FETCH_SCHEMA.names()) | at | read], schema=FETCH_SCHEMA))
    first, second = advised(store, "")
    assert first == "it is rehearsed and asked no more: its page, as read since, no longer states it"
    assert f"`alas takedown {URL} --dry-run`" in second


def test_what_only_an_iteration_took_up_that_was_closed_still_waits(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    put(store, 0, "qa_pairs", PAIRS)
    row = PAIRS.row(0, named=True)
    decide(store, row, decision="reject fact")
    put(store, 1, "qa_pairs", taken_up(every_decision(store.root, DOMAIN), [PAIRS]))
    assert waiting_decisions(store, DOMAIN, {row["fact_id"]}) == {}
    close_iteration(store.root, Cell.of(DOMAIN, 1), "3 runs failed")
    (decided,) = waiting_decisions(store, DOMAIN, {row["fact_id"]})[row["fact_id"]]
    assert decided.decision == "reject fact"
