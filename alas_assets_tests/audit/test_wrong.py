"""All wrong answers of an iteration with their verdicts, on a cell that was really made (A1)."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from alas_assets.audit.reading import ReadOnce
from alas_assets.audit.render import system_wrong_text, wrong_text
from alas_assets.audit.trace import TraceError, trace_answer, trace_row
from alas_assets.audit.verdict import verdict_of
from alas_assets.audit.wrong import about_taught_facts, systems_of, with_a_source, wrong_answers, wrong_of
from alas_assets.defs.auditing import describe_wrong
from alas_assets.evaluation.agreement import item_key
from alas_assets.provenance.ids import sha256_hex
from alas_assets.provenance.store import ArtifactStore, Cell, StoreError
from alas_assets.records import ANSWER_SCHEMA, WRONG_SCHEMA, GateDecision
from alas_assets.review.journal import Journal, ReviewError
from alas_assets.review.said import people_said, report_wrong
from alas_assets_tests.harness import Harness

CELL, NEXT = Cell("quill", "000"), Cell("quill", "001")


@pytest.fixture
def store(quill: Harness, tmp_path: Path) -> ArtifactStore:
    """A copy of the store with the first iteration alone, to plant things in."""
    copy = Path(shutil.copytree(quill.settings.home, tmp_path / "store", ignore=shutil.ignore_patterns("dagster", "models")))
    for folder in (copy / "cells").glob("*/*"):
        if folder.parts[-2:] != ("quill", "000"):
            shutil.rmtree(folder)
    shutil.rmtree(copy / "review", ignore_errors=True)
    return ArtifactStore(copy)


def table(store: ArtifactStore, asset: str, cell: Cell = CELL) -> pl.DataFrame:
    pointer = store.pointer(cell, asset)
    assert pointer is not None
    return store.read_table(pointer)


def put(store: ArtifactStore, cell: Cell, asset: str, value: pl.DataFrame | GateDecision) -> None:
    store.put(cell, asset, value, input_key="planted", inputs={}, run_id="planted")


def all_right(store: ArtifactStore) -> None:
    """Let the current model have answered every question right."""
    scores = table(store, "judge_scores").with_columns(pl.lit("correct").alias("label"), pl.lit("correct").alias("rule_label"))
    put(store, CELL, "judge_scores", scores)
    put(store, CELL, "dpo_judge_scores", scores.with_columns(pl.lit("dpo").alias("system")))
    pointer = store.pointer(CELL, "promotion")
    assert pointer is not None
    decision = store.read_record(GateDecision, pointer)
    put(store, CELL, "promotion", decision.model_copy(update={"current_after": scores["adapter_hash"][0]}))


def test_every_wrong_answer_of_a_trained_model_is_listed_once_with_the_verdict_of_its_trace(store: ArtifactStore) -> None:
    wrong = wrong_answers(store, CELL)
    asked = pl.concat([table(store, asset) for asset in ("judge_scores", "dpo_judge_scores")])
    expected = asked.filter(pl.col("label") != "correct").unique(["probe_id", "adapter_hash"])
    assert wrong.schema == WRONG_SCHEMA
    assert wrong.height == expected.height > 0
    assert set(wrong["probe_id"]) == set(expected["probe_id"])
    for row in wrong.head(10).iter_rows(named=True):
        verdict = verdict_of(store, trace_answer(store, row["answer_id"]))
        assert (row["verdict"], row["because"], row["evidence"]) == (verdict.kind, verdict.because, verdict.evidence)


def test_each_leads_to_the_quote_in_its_page_and_to_the_run_that_trained_the_model(store: ArtifactStore, quill: Harness) -> None:
    probes = wrong_answers(store, CELL).filter(pl.col("split") == "probe")
    assert probes.height
    for row in probes.iter_rows(named=True):
        text = (store.texts / row["text_sha256"]).read_text(encoding="utf-8")
        assert text[row["quote_start"] : row["quote_end"]] == row["quote"]
        assert row["url"].startswith("http://127.0.0.1:")
        assert row["run_id"] in {run.run_id for run in quill.instance.get_runs()}


def an_exam_on_a_taught_fact(store: ArtifactStore) -> str:
    """Let an exam, in both wordings, ask the current model of a fact that a page taught and of something that none did."""
    fact = table(store, "qa_pairs").filter("accepted", pl.col("role") == "train").row(0, named=True)
    answered = table(store, "judge_scores").row(0, named=True) | {"answer": "a walrus", "label": "incorrect", "rule_label": "incorrect"}
    covered = {"question": fact["question"], "gold": fact["answer"], "topic": fact["url"], "fact_id": "exam-1"}
    asked = [
        answered | covered | {"split": "exam", "answer_id": "e1", "probe_id": "p1"},
        answered | covered | {"split": "exam_paraphrase", "answer_id": "e2", "probe_id": "p2"},
        answered | {"question": "Who keeps bees?", "gold": "Ada", "topic": "", "split": "exam", "answer_id": "e3", "probe_id": "p3"},
    ]
    put(store, CELL, "exam_scores", pl.DataFrame(asked, schema=ANSWER_SCHEMA))
    return str(fact["url"])


def test_what_an_exam_asks_of_a_taught_fact_counts_among_what_is_wrong_about_taught_facts(store: ArtifactStore) -> None:
    all_right(store)
    url = an_exam_on_a_taught_fact(store)
    wrong = wrong_answers(store, CELL)
    assert set(wrong["answer_id"]) == {"e1", "e2", "e3"}
    taught = about_taught_facts(wrong)
    assert set(taught["answer_id"]) == {"e1", "e2"}
    assert set(taught["verdict"]) == {"bad learning"}
    assert all(because.endswith("provided that the question is about this fact") for because in taught["because"])
    assert "provided" not in wrong.filter(pl.col("answer_id") == "e3")["because"].item(), "no fact was found for it"
    assert set(taught["url"]) == {url}
    shown = describe_wrong(wrong, CELL)
    assert (shown["wrong_of_the_current_model"], shown["of_these_about_taught_facts"]) == (3, 2)
    words = "answers 3 questions wrong: 2 about taught facts, 1 that no taught fact covers; other models answer 0 wrong"
    assert words in shown["in_words"]
    others = wrong.with_columns(pl.lit(value=False).alias("is_current"))
    assert about_taught_facts(others).is_empty()
    assert wrong_text(pl.concat([wrong.head(1), others])).endswith("other models answer 3 wrong")


def test_two_looks_at_the_same_store_are_the_same_table(store: ArtifactStore) -> None:
    assert wrong_answers(store, CELL).equals(wrong_answers(store, CELL))


def test_a_person_makes_an_answer_wrong_and_another_right_whatever_their_grades(store: ArtifactStore) -> None:
    all_right(store)
    assert wrong_answers(store, CELL).is_empty()
    right = table(store, "judge_scores").filter(pl.col("split") == "probe").row(0, named=True)
    assert report_wrong(store.root, "quill", right, should_be="the seventh walrus", comment="seen", by="ann", at="2026-01-01")
    assert not report_wrong(store.root, "quill", right, should_be="the seventh walrus", comment="seen", by="ann", at="2026-01-02")
    (row,) = wrong_answers(store, CELL).to_dicts()
    assert (row["answer_id"], row["counted_by"]) == (right["answer_id"], ["a person"])
    assert (row["verdict"], row["truth"]) == ("bad source", "the seventh walrus")
    assert "ann said on 2026-01-01" in row["evidence"][-1]
    word = {"item": item_key(right["question"], right["gold"], right["answer"]), "answer_id": right["answer_id"], "label": "correct"}
    Journal(store.root, "quill").add("answers", [word], by="bob", at="2026-01-03")
    assert people_said(store.root, "quill")[word["item"]].by == "bob", "the last word counts"
    assert wrong_answers(store, CELL).is_empty()


def test_an_answer_that_says_what_was_taught_and_is_called_wrong_was_taught_wrong_though_nobody_says_what_is_right(
    store: ArtifactStore,
) -> None:
    all_right(store)
    scores = table(store, "judge_scores")
    said = scores.with_columns(pl.col("gold").alias("answer"))
    put(store, CELL, "judge_scores", said)
    right = said.filter(pl.col("split") == "probe").row(0, named=True)
    report_wrong(store.root, "quill", right, should_be="", comment="", by="ann", at="2026-01-01")
    (row,) = wrong_answers(store, CELL).to_dicts()
    assert (row["verdict"], row["truth"]) == ("bad source", "")
    assert row["because"] == f"the page itself says {right['gold']!r}"


def test_what_a_person_said_that_cannot_be_read_is_an_error_and_is_not_passed_over(store: ArtifactStore) -> None:
    right = table(store, "judge_scores").row(0, named=True)
    report_wrong(store.root, "quill", right, should_be="x", comment="", by="ann", at="2026-01-01")
    (store.root / "review" / "quill" / "journal.json").write_text("[", encoding="utf-8")
    with pytest.raises(ReviewError, match="cannot be read"):
        wrong_answers(store, CELL)


def test_right_answers_are_wrong_once_their_page_was_read_again_and_no_longer_says_so(store: ArtifactStore) -> None:
    all_right(store)
    fetches = table(store, "documents")
    text = "A page that now says nothing of the kind."
    (store.texts / sha256_hex(text)).write_text(text, encoding="utf-8")
    changed = (
        fetches.filter("ok")
        .head(1)
        .with_columns(pl.lit(sha256_hex(text)).alias("text_sha256"), (pl.col("retrieved_at") + pl.duration(days=3)).alias("retrieved_at"))
    )
    put(store, NEXT, "documents", changed)
    wrong = wrong_answers(store, NEXT)
    about = set(table(store, "qa_pairs").filter("accepted", pl.col("page_id") == changed["page_id"][0])["fact_id"])
    asked = table(store, "judge_scores").filter(pl.col("split").is_in(["probe", "earlier"]), pl.col("fact_id").is_in(sorted(about)))
    assert set(wrong["answer_id"]) == set(asked["answer_id"])
    assert set(wrong["verdict"]) == {"bad source"}
    assert {tuple(grounds) for grounds in wrong["counted_by"]} == {("a newer reading",)}
    assert set(wrong["iteration"]) == {0}
    assert all("says so no more" in why for why in wrong["because"])


def test_right_answers_are_wrong_where_another_page_says_otherwise_and_both_are_named(store: ArtifactStore) -> None:
    all_right(store)
    pairs = table(store, "qa_pairs")
    fact = pairs.filter("accepted")["fact_id"][0]
    other = (
        pairs.filter(pl.col("fact_id") == fact)
        .head(1)
        .with_columns(
            pl.lit("f" * 20).alias("fact_id"),
            pl.lit("q" * 20).alias("qa_id"),
            pl.lit("a walrus").alias("answer"),
            pl.lit("http://elsewhere.example/").alias("url"),
            pl.lit([fact], pl.List(pl.String)).alias("disputed_with"),
            pl.lit(value=False).alias("accepted"),
        )
    )
    put(store, CELL, "qa_pairs", pl.concat([pairs, other]))
    wrong = wrong_answers(store, CELL)
    assert set(wrong["fact_id"]) == {fact}
    assert {tuple(grounds) for grounds in wrong["counted_by"]} == {("another source",)}
    assert wrong["because"][0] == "http://elsewhere.example/ says 'a walrus'; one of the two pages is wrong"


def test_an_answer_that_failed_is_wrong_and_says_that_nobody_graded_it(store: ArtifactStore) -> None:
    all_right(store)
    scores = table(store, "judge_scores")
    failed = pl.when(pl.col("answer_id") == scores["answer_id"][0]).then(pl.lit("failed")).otherwise("label").alias("label")
    put(store, CELL, "judge_scores", scores.with_columns(failed, pl.lit("incorrect").alias("rule_label")))
    (row,) = wrong_answers(store, CELL).to_dicts()
    assert row["counted_by"] == ["no grade"]


def test_a_page_that_is_gone_is_an_error_and_no_answer_is_left_out(store: ArtifactStore) -> None:
    for path in store.texts.iterdir():
        path.unlink()
    with pytest.raises(StoreError, match="materialise documents of that cell again"):
        wrong_answers(store, CELL)


def test_a_newer_page_that_is_gone_is_an_error_that_names_it_too(store: ArtifactStore) -> None:
    changed = (
        table(store, "documents")
        .filter("ok")
        .head(1)
        .with_columns(pl.lit("0" * 64).alias("text_sha256"), (pl.col("retrieved_at") + pl.duration(days=3)).alias("retrieved_at"))
    )
    put(store, NEXT, "documents", changed)
    with pytest.raises(StoreError, match=f"the stored text of {changed['page_id'][0]} is gone; materialise documents"):
        wrong_answers(store, NEXT)


def test_reading_once_gives_what_the_store_gives_and_sees_no_later_change(store: ArtifactStore) -> None:
    once = ReadOnce(store)
    row = table(store, "judge_scores").row(0, named=True)
    before = trace_row(once, CELL, row)
    assert before == trace_row(store, CELL, row)
    put(store, CELL, "qa_pairs", table(store, "qa_pairs").clear())
    assert trace_row(once, CELL, row).pairs == before.pairs


@pytest.mark.parametrize("system", ["base", "rag", "sft", "dpo"])
def test_what_any_system_says_wrong_can_be_listed_with_the_verdict_of_its_trace(store: ArtifactStore, system: str) -> None:
    wrong = wrong_of(store, CELL, system)
    asked = pl.concat([table(store, asset) for asset in ("baseline_scores", "judge_scores", "dpo_judge_scores")])
    expected = asked.filter(pl.col("system") == system, pl.col("label") != "correct")
    assert set(wrong["answer_id"]) == set(expected["answer_id"])
    assert wrong.schema == WRONG_SCHEMA
    assert wrong.height == expected.height > 0
    assert set(wrong["system"]) == {system}
    for row in wrong.head(10).iter_rows(named=True):
        verdict = verdict_of(store, trace_answer(store, row["answer_id"]))
        assert (row["verdict"], row["because"]) == (verdict.kind, verdict.because)
    taught = with_a_source(wrong).height
    words = f"{system} of quill|000 answers {wrong.height} questions wrong: {taught} about taught facts, {wrong.height - taught} that no"
    assert system_wrong_text(wrong, str(CELL), system).startswith(words)


def test_passages_beside_a_question_are_not_the_base_students_and_no_exam_showed_any(store: ArtifactStore) -> None:
    an_exam_on_a_taught_fact(store)
    exam = table(store, "exam_scores").with_columns(pl.lit("").alias("adapter_hash"))
    base = exam.with_columns(pl.lit("base").alias("system"), (pl.lit("b") + pl.col("answer_id")).alias("answer_id"))
    put(store, CELL, "exam_scores", pl.concat([base, exam.with_columns(pl.lit("current").alias("system"))]))
    examined = wrong_of(store, CELL, "base").filter(pl.col("split").is_in(["exam", "exam_paraphrase"]))
    assert set(examined["answer_id"]) == {"be1", "be2", "be3"}, "what the same model said under another name is listed once"
    assert not {"exam", "exam_paraphrase"} & set(wrong_of(store, CELL, "rag")["split"])
    assert not wrong_of(store, CELL, "rag")["is_current"].any()


def test_the_exam_counts_for_the_candidate_that_became_current_and_was_asked_as_that(store: ArtifactStore) -> None:
    all_right(store)
    an_exam_on_a_taught_fact(store)
    put(store, CELL, "exam_scores", table(store, "exam_scores").with_columns(pl.lit("current").alias("system")))
    wrong = wrong_of(store, CELL, "sft")
    assert set(wrong["answer_id"]) == {"e1", "e2", "e3"}
    assert wrong["is_current"].all()


def test_a_system_that_was_not_asked_is_refused_and_those_that_were_are_named(store: ArtifactStore) -> None:
    assert list(systems_of(store, CELL)) == ["base", "rag", "sft", "dpo"]
    with pytest.raises(TraceError, match=r"quill\|000 did not ask 'previous', only base, rag, sft, dpo: previous answers where an adapter"):
        wrong_of(store, CELL, "previous")
