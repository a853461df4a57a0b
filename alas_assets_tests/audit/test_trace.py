"""From a judged answer to its source, on a cell that was really made (A1)."""

import json
import shutil
import urllib.request
from dataclasses import replace
from html import escape
from pathlib import Path

import polars as pl
import pytest
from starlette.testclient import TestClient

from alas_assets.audit.derived import derived_from
from alas_assets.audit.render import trace_text
from alas_assets.audit.report import answer_html
from alas_assets.audit.trace import TraceError, cells_of, model_in_place, trace_answer, trace_row
from alas_assets.audit.verdict import verdict_of
from alas_assets.audit.wrong import wrong_answers
from alas_assets.provenance.ids import fold
from alas_assets.provenance.store import TOMBSTONE, ArtifactStore, Cell
from alas_assets.records import GateDecision, Tombstone
from alas_assets.viewer.app import create_viewer_app
from alas_assets_tests.harness import Harness, Site
from alas_assets_tests.released import adapter_of, released


def an_answer(quill: Harness, asset: str, split: str, system: str | None = None) -> dict[str, object]:
    table = quill.store.read_table(quill.pointers("quill")[asset], asset).filter(pl.col("split") == split)
    return (table if system is None else table.filter(pl.col("system") == system)).row(0, named=True)


def test_an_answer_is_traced_through_probe_pair_and_quote_to_the_page_that_says_so(quill: Harness, quill_site: Site) -> None:
    row = an_answer(quill, "judge_scores", "probe")
    trace = trace_answer(quill.store, str(row["answer_id"]))
    assert trace.fact_id == row["fact_id"]
    assert trace.source is not None
    assert trace.source.quote_stands
    assert trace.source.url == f"http://127.0.0.1:{quill_site.port}/3.html"
    live = urllib.request.urlopen(trace.source.url).read()
    assert (quill.store.pages / trace.source.body_sha256).read_bytes() == live
    assert {pair.role for pair in trace.pairs} >= {"train", "probe"}


def test_the_trace_names_the_adapter_that_learned_the_fact_and_the_run_that_trained_it(quill: Harness) -> None:
    trace = trace_answer(quill.store, str(an_answer(quill, "judge_scores", "probe")["answer_id"]))
    assert trace.adapter_hash in {by.adapter_hash for by in trace.learned_by}
    runs = {run.run_id for run in quill.instance.get_runs()}
    assert {by.run_id for by in trace.learned_by} <= runs
    assert {run.step for run in trace.runs} >= {"documents", "qa_pairs", "sft_adapter", "judge_scores"}


def test_a_retrieved_answer_names_the_passages_it_was_shown(quill: Harness) -> None:
    trace = trace_answer(quill.store, str(an_answer(quill, "baseline_scores", "probe", "rag")["answer_id"]))
    assert trace.shown
    for passage in trace.shown:
        stored = (quill.store.texts / passage.text_sha256).read_text(encoding="utf-8")
        assert passage.text == f"{passage.heading}\n{stored[passage.start : passage.end]}"
        assert passage.cut is (not stored[passage.end :].startswith("\n") and passage.end < len(stored))
        assert passage.url in trace_text(trace)
        assert escape(passage.text) in answer_html(quill.store, trace, verdict_of(quill.store, trace))
    assert {"baseline_scores"} == {run.step for run in trace.runs if run.step.endswith("_scores")}
    assert not {"sft_adapter", "preference_pairs", "dpo_adapter", "promotion"} & {run.step for run in trace.runs}
    assert not trace.is_current, "the base student is current, and nobody shows it passages"


def test_a_trace_stands_where_the_passages_that_were_shown_are_gone_and_says_so(quill: Harness, tmp_path: Path) -> None:
    shutil.copytree(quill.settings.home, tmp_path / "store", ignore=shutil.ignore_patterns("lance", "locks"))
    store, answer = ArtifactStore(tmp_path / "store"), str(an_answer(quill, "baseline_scores", "probe", "rag")["answer_id"])
    trace = trace_answer(store, answer)
    assert [one.chunk_id for one in trace.shown] == [one.chunk_id for one in trace_answer(quill.store, answer).shown]
    assert trace.source is not None
    verdict = verdict_of(store, trace)
    for passage in trace.shown:
        assert passage.gone
        assert f"passage {passage.chunk_id}: {passage.gone}" in trace_text(trace)
        assert escape(passage.gone) in answer_html(store, trace, verdict)
    if trace.label != "correct":
        assert f"and {len(trace.shown)} can be read no more" in verdict.because


def test_an_answer_asked_again_later_names_the_runs_that_read_the_page_then(quill: Harness, tmp_path: Path) -> None:
    shutil.copytree(quill.settings.home, tmp_path / "store", ignore=shutil.ignore_patterns("lance", "locks"))
    store, answer = ArtifactStore(tmp_path / "store"), an_answer(quill, "judge_scores", "probe")
    later = Cell.of("quill", 1)
    for name in ("documents", "qa_pairs", "judge_scores"):
        table = quill.store.read_table(quill.pointers("quill")[name], name)
        kept = table if name == "judge_scores" else table.clear()
        store.put(later, name, kept, input_key=f"later {name}", inputs={}, run_id="later")
    runs = {run.step: (run.cell, run.run_id) for run in trace_row(store, later, answer).runs}
    assert {runs[name][0] for name in ("documents", "qa_pairs")} == {"quill|000"}
    assert runs["judge_scores"] == ("quill|001", "later")
    previous = {run.step: run.cell for run in trace_row(store, later, {**answer, "system": "previous"}).runs}
    assert previous["sft_adapter"] == "quill|000"
    decided = {run.step for run in trace_row(store, Cell.of("quill", 0), {**answer, "system": "previous"}).runs}
    assert "promotion" not in decided
    assert "promotion" in {run.step for run in trace_row(store, Cell.of("quill", 0), answer).runs}


def test_what_was_made_again_with_the_same_content_is_traced_to_the_run_that_the_adapter_learned_from(
    quill: Harness, tmp_path: Path
) -> None:
    shutil.copytree(quill.settings.home, tmp_path / "store", ignore=shutil.ignore_patterns("lance", "locks", "dagster"))
    store, answer = ArtifactStore(tmp_path / "store"), an_answer(quill, "judge_scores", "probe")
    cell = Cell.of("quill", 0)
    before, learned = trace_row(store, cell, answer), wrong_answers(store, cell)["run_id"]
    for name in ("qa_pairs", "probes", "sft_adapter"):
        pointer = store.pointer(cell, name)
        assert pointer is not None
        store.point(cell, replace(pointer, input_key="of other code", run_id="2nd-maker", made_at="2999-01-01T00:00:00+00:00"))
    after = trace_row(store, cell, answer)
    assert after.runs == before.runs
    assert after.learned_by == before.learned_by
    assert "2nd-make" not in trace_text(after) + answer_html(store, after, verdict_of(store, after))
    assert wrong_answers(store, cell)["run_id"].equals(learned)
    assert before.source
    assert "2nd-maker" not in {adapter.run_id for adapter in derived_from(store, before.source.url).adapters}


def test_a_guard_answer_says_that_no_page_was_read_for_it(quill: Harness) -> None:
    trace = trace_answer(quill.store, str(an_answer(quill, "judge_scores", "guard")["answer_id"]))
    assert trace.source is None
    assert "outside the loop" in trace.note


def test_the_beginning_of_an_id_is_enough_and_an_ambiguous_one_is_refused(quill: Harness) -> None:
    full = str(an_answer(quill, "judge_scores", "probe")["answer_id"])
    assert trace_answer(quill.store, full[:16]).answer_id == full
    with pytest.raises(TraceError, match="give more of the id"):
        trace_answer(quill.store, full[:1])


@pytest.mark.parametrize("unknown", ["nosuchanswer", "", "../..", "💥"])
def test_an_unknown_id_says_where_ids_are_shown(quill: Harness, unknown: str) -> None:
    with pytest.raises(TraceError):
        trace_answer(quill.store, unknown)


def test_every_link_of_a_trace_opens_and_shows_the_quote(quill: Harness) -> None:
    trace = trace_answer(quill.store, str(an_answer(quill, "judge_scores", "probe")["answer_id"]))
    assert trace.source is not None
    client = TestClient(create_viewer_app(quill.settings.home), base_url="http://127.0.0.1:8316")
    links = [word for word in trace_text(trace).split() if word.startswith("http://127.0.0.1:8316")]
    assert len(links) == 2
    pages = [client.get(link) for link in links]
    assert [page.status_code for page in pages] == [200, 200]
    plain = fold(pages[0].text.replace("<mark>", "").replace("</mark>", ""))
    assert fold(trace.source.quote.split("`")[0]) in plain


def test_the_json_form_holds_everything_the_text_does(quill: Harness) -> None:
    trace = trace_answer(quill.store, str(an_answer(quill, "judge_scores", "probe")["answer_id"]))
    assert json.loads(trace.model_dump_json())["source"]["url"] in trace_text(trace)


def test_the_model_in_place_is_named_with_its_iteration_and_with_everybody_who_rolled_back(quill: Harness, tmp_path: Path) -> None:
    harness = released(quill, tmp_path)
    store, registry, first = harness.store, harness.alas.registry, adapter_of(harness)
    trained = f"sft adapter {first[:16]} of quill|000"
    as_the_gate_left_it = model_in_place(store, "quill")
    assert as_the_gate_left_it.as_judged
    assert as_the_gate_left_it.in_words == f"{trained} answers now"
    assert model_in_place(store, "nobody").in_words == "the base student answers now"
    registry.promote("quill", "b" * 64, iteration=1, decision_hash="d", run_id="r", at="2026-11-22", previous=first)
    promoted = model_in_place(store, "quill")
    unknown = f"adapter {'b' * 16}, which no iteration in this store trained,"
    assert promoted.in_words == f"{unknown} answers now; the gate of quill|000 left {trained} in place, which is current no more"
    decision = store.read_record(GateDecision, harness.pointers("quill")["promotion"], "promotion")
    later = decision.model_copy(update={"current_after": "b" * 64})
    store.put(Cell("quill", "001"), "promotion", later, input_key="later", inputs={}, run_id="r")
    assert model_in_place(store, "quill").in_words == f"{unknown} answers now, as the gate of quill|001 left it"
    registry.rollback("quill", by="Ada")
    assert model_in_place(store, "quill").in_words.startswith(f"{trained} answers now; Ada rolled back {unknown} on ")
    registry.rollback("quill", reason="all of it is odd")
    both = model_in_place(store, "quill")
    assert (both.adapter_hash, both.as_judged) == ("", False)
    assert both.in_words.startswith(f"the base student answers now; Ada rolled back {unknown} on ")
    assert f", and somebody rolled back {trained} on " in both.in_words
    assert both.in_words.endswith(" (all of it is odd)")


def test_a_rollback_that_the_gate_made_is_no_persons(quill: Harness, tmp_path: Path) -> None:
    harness = released(quill, tmp_path)
    harness.alas.registry.rollback("quill", run_id="r")
    words = model_in_place(harness.store, "quill").in_words
    assert "rolled back" not in words
    assert words.startswith("the base student answers now; the gate of quill|000 left sft adapter ")


def test_an_adapter_that_a_takedown_retired_is_named_with_that_takedown(quill: Harness, tmp_path: Path) -> None:
    harness = released(quill, tmp_path)
    adapter = adapter_of(harness)
    stone = Tombstone(takedown="t1", adapter_hash=adapter, rows_hash="", kind="sft", at="2026-11-30")
    (harness.store.adapters / adapter / TOMBSTONE).write_text(stone.model_dump_json(), encoding="utf-8")
    harness.alas.registry.take_down("quill", [adapter], takedown="t1", at="2026-11-30")
    words = model_in_place(harness.store, "quill").in_words
    assert words == f"the base student answers now; takedown t1 retired sft adapter {adapter[:16]} of quill|000"


def test_files_and_folders_of_other_names_among_the_folders_of_cells_are_no_cells(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    for name in ("quill/000", "quill/001", "quill/001.bak", "quill/001 (copy)", "quill/@eaDir", "quill (copy)/000", ".Trash-0/000"):
        (tmp_path / "cells" / name).mkdir(parents=True)
    for name in (".DS_Store", "quill/.DS_Store"):
        (tmp_path / "cells" / name).write_bytes(b"\0Bud1")
    assert list(cells_of(store)) == [Cell("quill", "001"), Cell("quill", "000")]
    assert store.cells("quill") == [Cell("quill", "000"), Cell("quill", "001")]
