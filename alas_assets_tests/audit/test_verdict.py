"""Which kind of wrong an answer is, on a cell that was really made and truths that are planted against it (A1).

The tiny student answers nothing right, so every probe is a wrong answer; only answers that have to be right are prepared.
"""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from alas_assets.audit.render import verdict_text
from alas_assets.audit.trace import Trace, trace_answer, trace_row
from alas_assets.audit.verdict import Verdict, adapter_line, verdict_of
from alas_assets.provenance.store import ArtifactStore, Cell, StoreError
from alas_assets.records import ASKED, AdapterRef
from alas_assets_tests.harness import Harness

CELL = Cell("quill", "000")


def wrong_answers(harness: Harness, asset: str, split: str, system: str) -> pl.DataFrame:
    table = harness.store.read_table(harness.pointers("quill")[asset], asset)
    wrong = table.filter((pl.col("split") == split) & (pl.col("system") == system) & (pl.col("label") == "incorrect"))
    assert wrong.height >= 3, "too few wrong answers to say anything"
    return wrong


def traces(harness: Harness, asset: str, split: str, system: str) -> Iterator[Trace]:
    """Return the traces of a system's wrong answers."""
    return (trace_answer(harness.store, answer) for answer in wrong_answers(harness, asset, split, system)["answer_id"])


def put(store: ArtifactStore, cell: Cell, asset: str, table: pl.DataFrame) -> None:
    store.put(cell, asset, table, input_key="planted", inputs={}, run_id="planted")


def with_a_child(harness: Harness, folder: Path) -> tuple[ArtifactStore, str, str]:
    """Return a copy of the store with an adapter that says it was trained from the cell's own; and the hashes of both."""
    store = ArtifactStore(Path(shutil.copytree(harness.settings.home, folder / "store", ignore=shutil.ignore_patterns("dagster"))))
    parent = store.read_record(AdapterRef, harness.pointers("quill")["sft_adapter"], "sft_adapter").adapter_hash
    child = "c0ffee" * 10
    manifest = json.loads((store.adapters / parent / "manifest.json").read_text(encoding="utf-8"))
    (store.adapters / child).mkdir()
    (store.adapters / child / "manifest.json").write_text(json.dumps({**manifest, "init_adapter": parent}), encoding="utf-8")
    return store, parent, child


def kinds(store: ArtifactStore, found: Iterator[Trace], should_be: str = "") -> set[str]:
    return {verdict_of(store, trace, should_be).kind for trace in found}


def test_what_the_base_student_does_not_know_was_never_taught_to_it(quill: Harness) -> None:
    assert kinds(quill.store, traces(quill, "baseline_scores", "probe", "base")) == {"never taught"}


def test_of_an_answer_that_was_shown_passages_it_is_said_whether_the_right_one_was_among_them(quill: Harness) -> None:
    shown = [trace for trace in traces(quill, "baseline_scores", "probe", "rag") if trace.shown and trace.label != "correct"]
    assert shown
    said = set()
    for trace in shown:
        verdict = verdict_of(quill.store, trace)
        assert verdict.kind == "never taught"
        holding = sum(trace.gold.casefold() in passage.text.casefold() for passage in trace.shown)
        said.add(holding > 0)
        found = "it was there and not read" if holding else "the search did not find it"
        assert verdict.because.startswith(f"it was taught nothing and had to read: {holding or 'none'} of the ")
        assert verdict.because.endswith(f"beside the question had {trace.gold!r} in it: {found}")
    assert True in said


def test_what_was_trained_on_and_is_still_wrong_is_bad_learning_and_the_rows_are_named(quill: Harness) -> None:
    for trace in traces(quill, "judge_scores", "probe", "sft"):
        verdict = verdict_of(quill.store, trace)
        assert verdict.kind == "bad learning"
        assert any(f"sft adapter {trace.adapter_hash[:16]}" in ground for ground in verdict.evidence)


def test_a_page_that_says_what_is_not_so_is_a_bad_source_and_is_named(quill: Harness) -> None:
    for trace in traces(quill, "judge_scores", "probe", "sft"):
        verdict = verdict_of(quill.store, trace, "the seventh walrus")
        assert verdict.kind == "bad source"
        assert trace.source is not None
        assert trace.source.url in verdict.evidence[0]
        assert verdict.truth == "the seventh walrus"


def test_a_verdict_on_a_fact_that_was_found_without_an_id_says_so(quill: Harness) -> None:
    answers = wrong_answers(quill, "judge_scores", "probe", "sft")
    for answer in answers.to_dicts():
        own = verdict_of(quill.store, trace_row(quill.store, CELL, answer), "the seventh walrus")
        said = {"split": ASKED, "note": "the fact was found by meaning", "answer": answer["gold"]}
        asked = trace_row(quill.store, CELL, answer | said)
        found = verdict_of(quill.store, asked, "the seventh walrus")
        assert (own.kind, found.kind) == ("bad source", "bad source")
        assert "provided" not in own.because
        assert found.because == f"{own.because}, provided that the question is about this fact"
        right = verdict_of(quill.store, asked.model_copy(update={"label": "correct"}))
        assert (right.kind, right.because) == ("right", f"the answer says {asked.gold!r}, provided that the question is about this fact")
        assert verdict_of(quill.store, asked, asked.answer).because == f"the answer says {asked.answer!r}", "a person needs no proviso"


def test_no_page_is_blamed_for_a_fact_that_is_neither_what_is_right_nor_what_was_answered(quill: Harness) -> None:
    for answer in wrong_answers(quill, "judge_scores", "probe", "sft").to_dicts():
        asked = trace_row(quill.store, CELL, answer | {"split": ASKED, "note": "found by meaning", "answer": "a heron"})
        assert verdict_of(quill.store, asked, "the seventh walrus").kind == "never taught"
        echoed = asked.model_copy(update={"answer": asked.gold})
        assert verdict_of(quill.store, echoed, "the seventh walrus").kind == "bad source", "the model says what the page says"
        assert verdict_of(quill.store, asked, asked.gold).kind == "bad learning"


def test_what_the_same_model_answers_right_in_other_words_is_not_forgotten(quill: Harness, tmp_path: Path) -> None:
    store = ArtifactStore(Path(shutil.copytree(quill.settings.home, tmp_path / "store", ignore=shutil.ignore_patterns("dagster"))))
    asked = wrong_answers(quill, "judge_scores", "probe", "sft").row(0, named=True)
    trace = trace_row(store, CELL, asked | {"split": ASKED, "question": "Asked otherwise?", "note": "found by meaning"})
    assert "where it is asked in other words" not in verdict_of(store, trace).because
    answers = store.read_table(quill.pointers("quill")["judge_scores"], "judge_scores")
    own = (pl.col("fact_id") == asked["fact_id"]) & (pl.col("split") == "probe")
    right = answers.with_columns(label=pl.when(own).then(pl.lit("correct")).otherwise(pl.col("label")))
    put(store, CELL, "judge_scores", right)
    verdict = verdict_of(store, trace)
    assert verdict.kind == "bad learning"
    assert "where it is asked in other words" in verdict.because


def test_a_page_that_says_what_is_so_and_was_read_otherwise_is_a_bad_pair(quill: Harness) -> None:
    for trace in traces(quill, "judge_scores", "probe", "sft"):
        assert trace.source is not None
        said = max((word for word in re.findall(r"[a-z]{4,}", trace.source.quote) if word not in trace.gold.lower()), key=len)
        verdict = verdict_of(quill.store, trace, said)
        assert verdict.kind == "bad pair", (said, trace.source.quote, trace.gold)
        assert said in verdict.because


def test_what_a_model_said_right_and_the_one_trained_from_it_gets_wrong_is_forgotten(quill: Harness, tmp_path: Path) -> None:
    store, parent, child = with_a_child(quill, tmp_path)
    wrong = wrong_answers(quill, "judge_scores", "probe", "sft").with_columns(
        pl.lit(child).alias("adapter_hash"), pl.concat_str(pl.lit("later-"), "answer_id").alias("answer_id")
    )
    put(store, Cell("quill", "001"), "judge_scores", wrong)
    for answer in wrong["answer_id"]:
        verdict = verdict_of(store, trace_answer(store, answer))
        assert verdict.kind == "bad learning", "nobody was right before"
        assert any(parent[:16] in ground for ground in verdict.evidence)
    scores = quill.store.read_table(quill.pointers("quill")["judge_scores"], "judge_scores")
    put(store, CELL, "judge_scores", scores.with_columns(pl.lit("correct").alias("label")))
    for answer in wrong["answer_id"]:
        verdict = verdict_of(store, trace_answer(store, answer))
        assert verdict.kind == "forgotten"
        assert verdict.evidence[0].startswith("quill|000: sft answered")


def test_a_general_question_that_only_the_taught_student_gets_wrong_is_forgotten(quill: Harness, tmp_path: Path) -> None:
    store, _, _ = with_a_child(quill, tmp_path)
    scores = quill.store.read_table(quill.pointers("quill")["baseline_scores"], "baseline_scores")
    right = pl.when(pl.col("system") == "base").then(pl.lit("correct")).otherwise("label")
    put(store, CELL, "baseline_scores", scores.with_columns(right.alias("label")))
    assert kinds(store, traces(quill, "judge_scores", "guard", "sft")) == {"forgotten"}
    assert kinds(quill.store, traces(quill, "judge_scores", "guard", "sft")) == {"never taught"}


def test_an_answer_that_says_the_truth_is_right_whatever_the_probe_wanted(quill: Harness) -> None:
    trace = next(traces(quill, "judge_scores", "probe", "sft")).model_copy(update={"answer": "It is the seventh walrus."})
    assert verdict_of(quill.store, trace, "the seventh walrus").kind == "right"


def test_blank_words_of_the_auditor_are_none(quill: Harness) -> None:
    for trace in [*traces(quill, "judge_scores", "probe", "sft"), *traces(quill, "baseline_scores", "probe", "base")]:
        assert verdict_of(quill.store, trace, " ") == verdict_of(quill.store, trace)


def test_an_adapter_leads_to_those_it_was_trained_from_and_a_lost_manifest_is_an_error(quill: Harness, tmp_path: Path) -> None:
    store, parent, child = with_a_child(quill, tmp_path)
    assert adapter_line(store, child) == [child, parent]
    assert adapter_line(store, "") == []
    (store.adapters / parent / "manifest.json").unlink()
    with pytest.raises(StoreError, match="materialise the adapter"):
        adapter_line(store, child)


def test_the_text_says_the_verdict_first_and_then_its_grounds() -> None:
    verdict = Verdict(kind="bad source", because="the page itself says 'x'", truth="y", evidence=["one", "two"])
    assert verdict_text(verdict).splitlines() == [
        "verdict  BAD SOURCE: the page itself says 'x'",
        "  held against 'y'",
        "  - one",
        "  - two",
    ]
