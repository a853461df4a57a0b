"""From a source to everything it taught, on a cell that was really made (A2)."""

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from alas_assets.audit.derived import Derived, DerivedAnswers, derived_from
from alas_assets.audit.render import derived_text
from alas_assets.audit.report import derived_html
from alas_assets.audit.trace import TraceError, cells_of, trace_answer
from alas_assets.provenance.store import ArtifactStore, Cell
from alas_assets.records import ANSWER_SCHEMA, AdapterRef
from alas_assets.review.said import report_wrong
from alas_assets_tests.harness import Harness, Site


@pytest.fixture
def page(quill_site: Site) -> str:
    return f"http://127.0.0.1:{quill_site.port}/3.html"


def everywhere(store: ArtifactStore, asset: str) -> pl.DataFrame:
    """The rows of an asset in every cell of the store: other tests may have opened more cells in it."""
    pointers = [pointer for cell in cells_of(store) if (pointer := store.pointer(cell, asset))]
    return pl.concat([store.read_table(pointer) for pointer in pointers])


def test_a_page_leads_to_every_pair_written_from_it_and_to_no_other(quill: Harness, page: str) -> None:
    derived = derived_from(quill.store, page)
    own = everywhere(quill.store, "qa_pairs").filter(pl.col("url") == page)
    assert {fact.fact_id for fact in derived.facts} == set(own["fact_id"])
    assert sum(fact.accepted for fact in derived.facts) == own["accepted"].sum()
    assert sum(fact.rejected for fact in derived.facts) == (~own["accepted"]).sum()
    assert {fact.fact_id for fact in derived.taught} == set(own.filter("accepted")["fact_id"])
    assert all(fact.quote in "".join(own["quote"]) for fact in derived.facts)


def test_a_page_leads_to_the_adapters_whose_rows_hold_its_facts(quill: Harness, page: str) -> None:
    derived = derived_from(quill.store, page)
    ref = quill.store.read_record(AdapterRef, quill.pointers("quill")["sft_adapter"], "sft_adapter")
    (sft,) = [adapter for adapter in derived.adapters if (adapter.kind, adapter.cell) == ("sft", "quill|000")]
    rows = quill.store.read_training_rows("sft", ref.rows_hash)
    assert sft.adapter_hash == ref.adapter_hash
    assert (sft.of_rows, sft.rows) == (rows.height, rows.filter(pl.col("fact_id").is_in([fact.fact_id for fact in derived.facts])).height)
    assert sft.run_id in {run.run_id for run in quill.instance.get_runs()}


def test_a_draft_without_a_fact_counts_as_rejected_and_claims_no_row_that_teaches_none(quill: Harness, page: str, tmp_path: Path) -> None:
    ignore = shutil.ignore_patterns("dagster")
    store = ArtifactStore(Path(shutil.copytree(quill.settings.home, tmp_path / "store", ignore=ignore)))
    pairs = quill.store.read_table(quill.pointers("quill")["qa_pairs"], "qa_pairs")
    draft = pairs.filter(pl.col("url") == page).head(1)
    draft = draft.with_columns(pl.lit("").alias("fact_id"), pl.lit("").alias("chunk_id"), pl.lit(value=False).alias("accepted"))
    planted = pl.concat([pairs, draft])
    store.put(Cell("quill", "000"), "qa_pairs", planted, input_key="planted", inputs={}, run_id="planted")
    ref = store.read_record(AdapterRef, quill.pointers("quill")["sft_adapter"], "sft_adapter")
    assert "" in set(store.read_training_rows("sft", ref.rows_hash)["fact_id"]), "no replay row, so nothing could be claimed wrongly"
    before, after = derived_from(quill.store, page), derived_from(store, page)
    assert after.unusable == before.unusable + 1
    assert after.model_copy(update={"unusable": before.unusable}) == before


def test_both_directions_agree_on_every_answer_about_a_fact(quill: Harness, page: str) -> None:
    derived = derived_from(quill.store, page)
    scores = quill.store.read_table(quill.pointers("quill")["judge_scores"], "judge_scores").filter(pl.col("split") == "probe")
    about = [row for row in scores.to_dicts() if (source := trace_answer(quill.store, row["answer_id"]).source) and source.url == page]
    (said,) = [one for one in derived.answers if (one.system, one.cell) == ("sft", "quill|000")]
    assert said.asked == len(about)
    assert said.correct == sum(row["label"] == "correct" for row in about)


def test_what_retrieval_showed_of_the_page_is_counted(quill: Harness, page: str) -> None:
    rag = [one for one in derived_from(quill.store, page).answers if one.system == "rag"]
    assert rag
    assert all(one.shown > 0 for one in rag)


def test_a_system_that_was_asked_nothing_of_a_source_is_not_shown_as_wrong_on_it(quill: Harness, page: str) -> None:
    derived = derived_from(quill.store, page)
    one = DerivedAnswers(cell="quill|000", system="rag", asked=1, correct=1, shown=1)
    unasked_too = [one, one.model_copy(update={"asked": 0, "correct": 0})]
    some = derived.model_copy(update={"answers": unasked_too, "readings": derived.readings[:1]})
    asked, unasked = derived_text(some).splitlines()[-2:]
    assert asked == "answered quill|000, system rag: 1 of 1 question about it right; its passages were retrieved for 1 answer"
    assert unasked == "answered quill|000, system rag: not asked about it; its passages were retrieved for 1 answer"
    assert "read 1 time, " in derived_text(some)
    assert ">not asked<" in derived_html(some)
    assert "0 of 0" not in derived_text(some) + derived_html(some)


def with_a_word(quill: Harness, folder: Path, page: str, pairs: int | None = None) -> tuple[ArtifactStore, dict[str, Any]]:
    """Copy the store with a second iteration in which a person set pairs of a fact of the page aside; returns the fact's first pair."""
    store = ArtifactStore(Path(shutil.copytree(quill.settings.home, folder / "store", ignore=shutil.ignore_patterns("dagster"))))
    table = store.read_table(quill.pointers("quill")["qa_pairs"], "qa_pairs")
    fact = table.filter("accepted", pl.col("url") == page).row(0, named=True)
    aside = table.filter("accepted", pl.col("fact_id") == fact["fact_id"]).head(pairs or table.height)
    word = {"accepted": pl.lit(value=False), "reason": pl.lit("rejected by review"), "review": pl.lit("rejected by ada on 2026-11-27: old")}
    store.put(Cell("quill", "001"), "qa_pairs", aside.with_columns(**word), input_key="planted", inputs={}, run_id="planted")
    return store, fact


def test_a_fact_that_a_person_overruled_later_is_said_to_be_and_counts_among_the_taught_that_adapters_learned(
    quill: Harness, page: str, tmp_path: Path
) -> None:
    store, gone = with_a_word(quill, tmp_path, page)
    derived = derived_from(store, page)
    assert [fact.fact_id for fact in derived.overruled] == [gone["fact_id"]]
    assert {fact.fact_id for fact in derived.taught} == {fact.fact_id for fact in derived_from(quill.store, page).taught}
    text, html = derived_text(derived), derived_html(derived)
    assert f"fact     {gone['fact_id']}  quill|000, quill|001  taught once, overruled since" in text
    own = sum(fact.accepted for fact in derived.overruled)
    word = f"{own} pairs in quill|001: rejected by ada on 2026-11-27: old; in their place: nothing"
    assert f"  overruled {word}" in text
    assert "  1 of these facts is overruled: a person rejected or corrected it since" in text
    assert word in html
    assert f"{len(derived.taught)} facts taught, 1 of them overruled by a person since" in html
    assert Derived.model_validate_json(derived.model_dump_json()) == derived


def test_a_fact_of_which_a_person_rejected_one_wording_is_taught_with_the_others(quill: Harness, page: str, tmp_path: Path) -> None:
    store, fact = with_a_word(quill, tmp_path, page, pairs=1)
    derived = derived_from(store, page)
    (own,) = [one for one in derived.facts if one.fact_id == fact["fact_id"]]
    text = derived_text(derived)
    assert derived.overruled == []
    assert f"taught, 1 of {own.accepted} pairs overruled since" in text
    assert "1 pair in quill|001: rejected by ada on 2026-11-27: old; in its place: the fact's other pairs" in text
    assert "overruled" not in derived_text(derived_from(quill.store, page))


def with_an_exam(quill: Harness, folder: Path, page: str) -> ArtifactStore:
    """Copy the store and let base and current be examined on a fact of the page, the same fact by the page's name, and on other things."""
    store = ArtifactStore(Path(shutil.copytree(quill.settings.home, folder / "store", ignore=shutil.ignore_patterns("dagster"))))
    pairs = store.read_table(quill.pointers("quill")["qa_pairs"], "qa_pairs").filter("accepted", pl.col("role") == "train")
    fact = pairs.filter(pl.col("url") == page).row(0, named=True)
    asked = {"question": fact["question"], "gold": fact["answer"], "fact_id": "one", "label": "correct", "rule_label": "correct"}
    other = {"question": "Who keeps bees?", "gold": "Ada", "fact_id": "two", "label": "incorrect", "rule_label": "incorrect"}
    questions = [
        asked | {"split": "exam", "topic": page, "probe_id": "p1"},
        asked | {"split": "exam_paraphrase", "topic": "3.html", "probe_id": "p2"},
        asked | {"split": "exam", "topic": "", "probe_id": "p3", "question": "What is new?"},
        asked | {"split": "exam", "topic": "4.html", "probe_id": "p4"},
        other | {"split": "exam", "topic": page, "probe_id": "p5"},
    ]
    scores = store.read_table(quill.pointers("quill")["judge_scores"], "judge_scores").row(0, named=True)
    systems = [scores | {"system": system, "adapter_hash": adapter} for system, adapter in (("base", ""), ("current", "a" * 64))]
    rows = [row | one | {"answer_id": f"{row['system']}-{one['probe_id']}"} for row in systems for one in questions]
    put = {"input_key": "planted", "inputs": {}, "run_id": "planted"}
    store.put(Cell("quill", "000"), "exam_scores", pl.DataFrame(rows, schema=ANSWER_SCHEMA), **put)
    return store


def test_exam_questions_that_words_match_to_a_fact_of_the_page_stand_apart_and_say_so(quill: Harness, page: str, tmp_path: Path) -> None:
    store = with_an_exam(quill, tmp_path, page)
    derived = derived_from(store, page)
    assert [(one.cell, one.system, one.asked, one.correct) for one in derived.exam] == [
        ("quill|000", "base", 2, 2),
        ("quill|000", "current", 2, 2),
    ]
    assert derived.answers == derived_from(quill.store, page).answers, "what no id leads to is not counted among what one does"
    line = "exam     quill|000, system current: 2 of 2 questions right, matched to its facts by page and words, not by an id"
    assert derived_text(derived).splitlines()[-1] == line
    assert "Exam questions about it, matched to its facts by page and words, not by an id" in derived_html(derived)
    assert not derived_from(quill.store, page).exam
    assert "Exam questions" not in derived_html(derived_from(quill.store, page))


def test_both_directions_agree_on_every_exam_question(quill: Harness, quill_site: Site, page: str, tmp_path: Path) -> None:
    store = with_an_exam(quill, tmp_path, page)
    asked = everywhere(store, "exam_scores").filter(pl.col("system") == "current")
    sources = [source.url for row in asked["answer_id"] if (source := trace_answer(store, row).source)]
    (of_page,) = [one for one in derived_from(store, page).exam if one.system == "current"]
    (of_host,) = [one for one in derived_from(store, f"127.0.0.1:{quill_site.port}").exam if one.system == "current"]
    assert (of_page.asked, of_host.asked) == (sources.count(page), len(sources))


def test_a_person_outranks_the_grade_of_an_exam_answer_too(quill: Harness, page: str, tmp_path: Path) -> None:
    store = with_an_exam(quill, tmp_path, page)
    answer = everywhere(store, "exam_scores").filter(pl.col("answer_id") == "current-p1")
    report_wrong(store.root, "quill", answer.row(0, named=True), should_be="a walrus", comment="", by="ann", at="2026-01-01")
    assert [one.correct for one in derived_from(store, page).exam if one.system == "current"] == [0]


def test_a_host_is_all_its_pages(quill: Harness, quill_site: Site, page: str) -> None:
    host = derived_from(quill.store, f"127.0.0.1:{quill_site.port}")
    fetches = everywhere(quill.store, "documents")
    pairs = everywhere(quill.store, "qa_pairs").filter(pl.col("fact_id") != "")
    assert host.by == "host"
    assert len(host.readings) == fetches.height
    assert {fact.fact_id for fact in host.facts} == set(pairs["fact_id"])
    assert {reading.url for reading in derived_from(quill.store, page).readings} == {page}


def test_a_fragment_names_its_page(quill: Harness, page: str) -> None:
    assert derived_from(quill.store, f"{page}#part").facts == derived_from(quill.store, page).facts


@pytest.mark.parametrize("unknown", ["https://nobody.example/x", "nobody.example", "", "💥", "../.."])
def test_a_source_that_was_never_read_is_refused_and_one_that_was_is_named(quill: Harness, unknown: str) -> None:
    with pytest.raises(TraceError, match=r"[0-9]+ pages? (was|were) read, such as http://127\.0\.0\.1"):
        derived_from(quill.store, unknown)


def test_a_page_that_was_only_fetched_to_plan_with_is_said_to_be_kept(quill: Harness, quill_site: Site) -> None:
    with pytest.raises(
        TraceError, match=r"was fetched to plan with \(1 addresses\) and never studied.*is kept until `alas takedown` removes it"
    ):
        derived_from(quill.store, f"http://127.0.0.1:{quill_site.port}/4.html")


def test_of_an_adapter_whose_rows_are_gone_it_is_said_that_nobody_knows(quill: Harness, page: str, tmp_path: Path) -> None:
    store = ArtifactStore(Path(shutil.copytree(quill.settings.home, tmp_path / "store", ignore=shutil.ignore_patterns("dagster"))))
    ref = quill.store.read_record(AdapterRef, quill.pointers("quill")["sft_adapter"], "sft_adapter")
    store.training_rows_path("sft", ref.rows_hash).unlink()
    derived = derived_from(store, page)
    (sft,) = [one for one in derived.adapters if one.adapter_hash == ref.adapter_hash]
    assert (sft.rows, sft.because) == (0, "its training rows are gone from the store")
    assert "nobody can say what, as its training rows are gone from the store" in derived_html(derived)


def test_the_text_names_every_fact_and_the_json_comes_back_equal(quill: Harness, page: str) -> None:
    derived = derived_from(quill.store, page)
    text = derived_text(derived)
    assert all(fact.fact_id in text and fact.quote in text for fact in derived.facts)
    assert Derived.model_validate_json(derived.model_dump_json()) == derived
