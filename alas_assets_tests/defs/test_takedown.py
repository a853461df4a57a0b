"""A page is taken down from a store that really learned it: what goes, what stays, and what comes next (A3).

One whole cell of the tiny student, its adapter promoted by hand; every test works on copies of its store.
"""

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from alas_assets.audit.derived import derived_from
from alas_assets.audit.trace import ANSWER_TABLES, Trace, TraceError, trace_answer
from alas_assets.audit.verdict import adapter_line, verdict_of
from alas_assets.definitions import build_defs
from alas_assets.defs import takedown as work
from alas_assets.defs.births import next_opening
from alas_assets.defs.documents import chunk_store
from alas_assets.defs.freshness import last_heartbeat
from alas_assets.defs.lineage import closed_because
from alas_assets.defs.looks import look_for_changes
from alas_assets.defs.retraining import not_retrained, retrained_by, waiting
from alas_assets.defs.running import open_cell
from alas_assets.defs.serving import ask_again, ask_student, served_adapter, sit_exam
from alas_assets.evaluation.exam import read_exam
from alas_assets.notices import Notice, Outbox
from alas_assets.partitions import cell_key
from alas_assets.provenance.blocked.marks import Finder
from alas_assets.provenance.blocked.order import TAKEN_DOWN, Order, TakedownError, read_marks, read_order
from alas_assets.provenance.changes import read_watch_state, take_up
from alas_assets.provenance.ids import file_hash
from alas_assets.provenance.store import ArtifactStore, Cell, StoreError, table_hash
from alas_assets.provenance.watching import set_watched
from alas_assets.records import AdapterRef, Curriculum, GateDecision, RevisedCurriculum, Seed, as_answers, as_pairs
from alas_assets.release.closing import close_iteration
from alas_assets.release.registry import RegistryError
from alas_assets.removal import purge
from alas_assets.removal.elsewhere import runs_elsewhere
from alas_assets.removal.plan import Plan, question_lines
from alas_assets.removal.report import is_as_signed, write_report
from alas_assets.removal.scan import PASSAGES, Scan, scan_store
from alas_assets.removal.tables import Removal, table_without
from alas_assets.retrieval.takedown import every_version
from alas_assets.review.said import people_said, report_wrong
from alas_assets_tests.harness import LOOP, Harness, Site, requests
from alas_assets_tests.webhook import webhook

pytestmark = pytest.mark.timeout(600)
CELL = Cell("quill", "000")
CHAINED = "c0ffee" * 10


def gone_url(site: Site) -> str:
    return f"http://127.0.0.1:{site.port}/3.html"


def kept_url(site: Site) -> str:
    return f"http://127.0.0.1:{site.port}/4.html"


def promoted(harness: Harness) -> str:
    """Make the cell's own adapter current, and an adapter beside it that says it was trained from that one; return its hash."""
    adapter = harness.store.read_record(AdapterRef, harness.pointers("quill")["sft_adapter"], "sft_adapter").adapter_hash
    at = "2026-11-27T00:00:00+00:00"
    harness.alas.registry.promote("quill", adapter, iteration=0, decision_hash="by hand", run_id="r", at=at, previous=None)
    manifest = json.loads((harness.store.adapters / adapter / "manifest.json").read_text(encoding="utf-8"))
    rows = harness.store.read_training_rows("sft", manifest["rows_hash"]).filter(pl.col("kind") == "replay")
    rows.write_parquet(harness.store.training_rows_path("sft", table_hash(rows)))
    folder = harness.store.adapters / CHAINED
    shutil.copytree(harness.store.adapters / adapter, folder)
    (folder / "manifest.json").write_text(
        json.dumps({**manifest, "init_adapter": adapter, "rows_hash": table_hash(rows)}), encoding="utf-8"
    )
    return adapter


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, tiny_student: Path, quill_site: Site) -> Harness:
    """One whole iteration over both pages of the site; the session's own has room for one."""
    harness = Harness(tmp_path_factory.mktemp("both"), str(tiny_student))
    harness.domain("quill", quill_site.port, max_topics="8")
    outcome = harness.run("quill")
    assert outcome.success, outcome.failures
    return harness


@dataclass
class Case:
    """A store before and after its takedown."""

    before: Harness
    after: Harness
    planned: Plan
    order: Order
    scan_before: Scan
    scan_after: Scan
    adapter: str
    questions: list[dict[str, Any]]


@pytest.fixture(scope="module")
def case(both: Harness, quill_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Take /3.html down from a copy; another copy stays as it was."""
    after = both.copied(tmp_path_factory.mktemp("after"))
    adapter = promoted(after)
    before = after.copied(tmp_path_factory.mktemp("before"))
    after = Harness(after.settings.home.parent, both.student)  # the instance of its own folder
    planned = work.plan(after.alas, gone_url(quill_site), reason="it is wrong", by="Ada")
    questions = question_lines(planned.derived, after.store)
    order = work.begin(after.alas, after.instance, planned)
    scan_before = work.scan(after.alas, after.instance, order)
    order = work.carry_out(after.alas, after.instance, order.id)
    return Case(before, after, planned, order, scan_before, work.scan(after.alas, after.instance, order), adapter, questions)


# ------------------------------------------------------------------------------------------------ before


def test_the_plan_counts_what_the_source_taught_as_the_audit_does(case: Case, quill_site: Site) -> None:
    derived = derived_from(case.before.store, gone_url(quill_site))
    (share,) = case.planned.order.shares
    assert share.facts == len(derived.facts) > 0
    assert share.taught == len(derived.taught) > 0
    assert share.pairs == sum(fact.accepted + fact.rejected for fact in derived.facts) + derived.unusable
    assert share.probes == sum(one.probes for one in derived.probes) > 0
    assert share.answers == sum(one.asked for one in derived.answers)
    assert share.shown == sum(one.shown for one in derived.answers)
    assert share.training_rows == sum(one.rows for one in derived.adapters) > 0
    assert share.passages == sum(one.passages for one in derived.readings)
    assert (share.current_before, share.current_after) == (case.adapter, None)
    assert {one.adapter_hash for one in derived.adapters} <= {one.adapter_hash for one in case.planned.order.retired}


def test_rows_of_which_not_even_a_fact_could_be_read_are_among_the_pairs_that_go(case: Case, tmp_path: Path) -> None:
    harness = case.before.copied(tmp_path)
    pairs = harness.store.read_table(harness.pointers("quill")["qa_pairs"], "qa_pairs")
    unread = pairs.filter(pl.col("url") == case.order.source).head(1).with_columns(qa_id=pl.lit(""), fact_id=pl.lit(""), accepted=False)
    harness.store.put(CELL, "qa_pairs", pl.concat([pairs, unread]), input_key="later", inputs={}, run_id="later")
    (share,) = work.plan(harness.alas, case.order.source, reason="r", by="Ada").order.shares
    assert share.pairs == case.planned.order.shares[0].pairs + 1


def test_an_adapter_that_was_trained_from_an_affected_one_is_affected(case: Case) -> None:
    (chained,) = [one for one in case.order.retired if one.adapter_hash == CHAINED]
    assert (chained.rows, chained.trained_from) == (0, case.adapter)


def test_a_takedown_is_refused_where_something_came_of_the_source_since_it_was_shown(case: Case, tmp_path: Path) -> None:
    harness = case.before.copied(tmp_path)
    harness = Harness(harness.settings.home.parent, harness.student)
    shown = work.plan(harness.alas, case.order.source, reason="r", by="Ada")
    pairs = harness.store.read_table(harness.pointers("quill")["qa_pairs"], "qa_pairs")
    fresh = pairs.filter(pl.col("url") == case.order.source).head(1).with_columns(qa_id=pl.lit("f" * 20), fact_id=pl.lit("e" * 20))
    harness.store.put(CELL, "qa_pairs", pl.concat([pairs, fresh]), input_key="later", inputs={}, run_id="later")
    with pytest.raises(TakedownError, match="is not what was shown, as something came or went"):
        work.begin(harness.alas, harness.instance, shown)
    assert read_order(harness.settings.home, shown.order.id) is None
    work.begin(harness.alas, harness.instance, work.plan(harness.alas, case.order.source, reason="r", by="Ada"))


def test_a_report_that_stands_in_the_journal_twice_is_removed_like_any_other(case: Case, tmp_path: Path) -> None:
    store = ArtifactStore(Path(shutil.copytree(case.before.settings.home, tmp_path / "store", ignore=shutil.ignore_patterns("locks"))))
    scores = store.read_table(case.before.pointers("quill")["judge_scores"], "judge_scores")
    answer = scores.filter(pl.col("answer_id").is_in(case.planned.ids.answers)).row(0, named=True)
    for should_be in ("a walrus", "a seal", "a walrus"):
        assert report_wrong(store.root, "quill", answer, should_be=should_be, comment="", by="ann", at="2026-11-27")
    removal = Removal(case.planned.order, case.planned.ids, Finder(case.planned.marks))
    assert purge.purge_leftovers(store, removal)["review_rows"] == 3
    assert people_said(store.root, "quill") == {}
    assert purge.purge_leftovers(store, removal)["review_rows"] == 0


def test_passages_on_which_no_pair_was_written_are_among_what_goes(case: Case, tmp_path: Path) -> None:
    harness = case.before.copied(tmp_path)
    written = harness.pointers("quill")["qa_pairs"]
    others = harness.store.read_table(written, "qa_pairs").filter(pl.col("url") != case.order.source)
    harness.store.put(CELL, "qa_pairs", others, input_key="none", inputs={}, run_id="r")
    harness.store.artifact_path("qa_pairs", written, "parquet").unlink()
    assert set(work.plan(harness.alas, case.order.source, reason="r", by="Ada").ids.chunks) == set(case.planned.ids.chunks) != set()


def test_planning_changes_nothing(case: Case, quill_site: Site) -> None:
    before = files_of(case.before.store)
    work.plan(case.before.alas, gone_url(quill_site), reason="r", by="Ada")
    assert files_of(case.before.store) == before


def test_a_source_that_was_never_read_names_pages_that_were(case: Case, quill_site: Site) -> None:
    with pytest.raises(TraceError, match=r"2 pages were read, such as http"):
        work.plan(case.before.alas, f"http://127.0.0.1:{quill_site.port}/9.html", reason="r", by="Ada")


def test_the_questions_make_an_exam(case: Case, tmp_path: Path) -> None:
    file = tmp_path / "exam.jsonl"
    file.write_text("\n".join(map(json.dumps, case.questions)), encoding="utf-8")
    asked = read_exam(file)
    assert {one.id for one in asked} == {fact.fact_id for fact in case.planned.derived.taught}


# ------------------------------------------------------------------------------------------------ what is left


def test_the_source_is_found_everywhere_before_and_nowhere_after(case: Case) -> None:
    places = {finding.place for finding in case.scan_before.findings}
    assert {"artifacts", "rows", "pages", "texts", "extracts", "dagster", PASSAGES} <= places
    assert any(finding.where == "answers.sqlite" for finding in case.scan_before.findings)
    tables = {finding.where.split("/")[1] for finding in case.scan_before.findings if finding.where.startswith("artifacts/")}
    assert {"qa_pairs", "probes", "baseline_scores", "judge_scores", "wrong_answers"} <= tables
    assert case.scan_after.findings == []
    assert sum(place.files for place in case.scan_after.places) > 100


def test_no_table_holds_a_fact_pair_probe_or_passage_of_it(case: Case) -> None:
    ids, store = case.planned.ids, case.after.store
    for path in [*(store.root / "artifacts").glob("*/*.parquet"), *(store.root / "rows").glob("*.parquet")]:
        table = pl.read_parquet(path)
        for column, gone in (("fact_id", ids.facts), ("qa_id", ids.pairs), ("probe_id", ids.probes), ("page_id", ids.pages)):
            if column in table.columns:
                assert not set(table[column]) & set(gone), (path.parent.name, column)
        if "url" in table.columns:
            assert not set(table["url"]) & set(ids.pages)
    for _, _, rows in every_version(store.lance):
        assert not {"chunk_id", "page_id"} <= set(rows.columns) or not set(rows["page_id"]) & set(ids.pages)


def test_every_artifact_is_still_whole_and_readable_and_keeps_its_hash(case: Case) -> None:
    kinds = {"curriculum_seed": Seed, "curriculum": Curriculum, "promotion": GateDecision, "revised_curriculum": RevisedCurriculum}
    for name in LOOP:
        old, new = case.before.store.pointer(CELL, name), case.after.store.pointer(CELL, name)
        assert old is not None
        assert new is not None
        assert (old.hash, old.run_id, old.input_key, old.inputs) == (new.hash, new.run_id, new.input_key, new.inputs)
        assert case.after.store.whole(new), name
        assert new.redacted in ((), (case.order.id,))
        if name in kinds:
            case.after.store.read_record(kinds[name], new)
    assert case.after.store.pointer(CELL, "qa_pairs") == case.after.store.known("qa_pairs", pointer_key(case, "qa_pairs"))


def pointer_key(case: Case, asset: str) -> str:
    pointer = case.after.store.pointer(CELL, asset)
    assert pointer is not None
    return pointer.input_key


def test_the_plans_topics_of_the_page_are_gone_and_the_other_pages_stay(case: Case, quill_site: Site) -> None:
    for asset, kind in (("curriculum", Curriculum), ("revised_curriculum", RevisedCurriculum)):
        pointer = case.after.store.pointer(CELL, asset)
        assert pointer is not None
        text = case.after.store.read_record(kind, pointer).model_dump_json()
        assert gone_url(quill_site) not in text
        assert "Quill 3" not in text
        assert "Quill 4" in text


def all_answers(store: ArtifactStore) -> pl.DataFrame:
    tables = [as_answers(store.read_table(pointer)) for asset in ANSWER_TABLES if (pointer := store.pointer(CELL, asset))]
    return pl.concat(tables).unique("answer_id", maintain_order=True)


def test_every_other_answer_still_traces_as_before(case: Case) -> None:
    left, facts = all_answers(case.after.store), set(case.planned.ids.facts)
    assert set(left["answer_id"]) == set(all_answers(case.before.store).filter(~pl.col("fact_id").is_in(sorted(facts)))["answer_id"])
    shown = pl.col("context_chunks").list.eval(pl.element().is_in(case.planned.ids.chunks)).list.any().fill_null(value=False)
    asked = left.filter(pl.col("split") == "probe")
    assert asked.height >= 10
    for row in asked.with_columns(shown.alias("shown")).to_dicts():
        old, new = trace_answer(case.before.store, row["answer_id"]), trace_answer(case.after.store, row["answer_id"])
        if row["shown"]:
            assert new.answer == case.order.note
            gone = {one.chunk_id for one in new.shown if one.gone}
            ids = [one.chunk_id for one in old.shown]
            assert gone == set(ids[next(place for place, chunk in enumerate(ids) if chunk in case.planned.ids.chunks) :])
            words = {"answer": "", "explanation": "", "verdicts": [], "shown": []}
            old, new = old.model_copy(update=words), new.model_copy(update=words)
        assert without_marks(new) == without_marks(old)
        now, then = verdict_of(case.after.store, new), verdict_of(case.before.store, old)
        assert (now.kind, now.because, now.truth) == (then.kind, then.because, then.truth)


def without_marks(trace: Trace) -> Trace:
    """Return a trace without what it says of takedowns and of what is current."""
    learned = [by.model_copy(update={"retired": "", "run_deleted": ""}) for by in trace.learned_by]
    runs = [run.model_copy(update={"run_deleted": ""}) for run in trace.runs]
    return trace.model_copy(update={"learned_by": learned, "runs": runs, "is_current": False})


def test_an_answer_about_it_is_not_there_any_more(case: Case) -> None:
    gone = sorted(set(all_answers(case.before.store)["answer_id"]) - set(all_answers(case.after.store)["answer_id"]))
    assert gone == sorted(set(case.planned.ids.answers))
    with pytest.raises(TraceError):
        trace_answer(case.after.store, gone[0])


def test_the_cell_still_reads_its_other_passages(case: Case, quill_site: Site) -> None:
    old = chunk_store(case.before.alas, "quill").read_cell(CELL.tag)
    new = chunk_store(case.after.alas, "quill").read_cell(CELL.tag)
    assert new.equals(old.filter(pl.col("url") == kept_url(quill_site)))
    assert new.height


def test_affected_adapters_are_tombstones_and_refused_wherever_they_could_be_used(case: Case) -> None:
    store = case.after.store
    for adapter in (case.adapter, CHAINED):
        assert [path.name for path in (store.adapters / adapter).iterdir()] == ["tombstone.json"]
        with pytest.raises(StoreError, match=f"retired by takedown {case.order.id}"):
            store.adapter(adapter)
        with pytest.raises(RegistryError, match="was retired by takedown"):
            case.after.alas.registry.promote(
                "quill", adapter, iteration=1, decision_hash="x", run_id="", at="2026-11-27T00:00:00+00:00", previous=None
            )
    assert adapter_line(store, CHAINED) == [CHAINED, case.adapter]
    said = all_answers(store).filter((pl.col("adapter_hash") == case.adapter) & (pl.col("split") == "probe")).row(0, named=True)
    with pytest.raises(StoreError, match="was retired by takedown"):
        ask_again(case.after.alas, said["answer_id"])
    assert not list((store.root / "work").glob("*/*/checkpoints/*"))


def test_an_answer_that_was_removed_is_said_to_be_and_by_which_takedown(case: Case) -> None:
    with pytest.raises(TraceError, match=f"was removed with its source, {TAKEN_DOWN} .* by Ada; see takedown-{case.order.id}"):
        trace_answer(case.after.store, case.planned.ids.answers[0][:12])


def test_an_exams_answers_about_the_page_go_and_those_about_other_pages_stay(case: Case, quill_site: Site, tmp_path: Path) -> None:
    harness = case.before.copied(tmp_path)
    asked = as_answers(harness.store.read_table(harness.pointers("quill")["judge_scores"], "judge_scores")).head(2)
    told = asked.with_columns(
        split=pl.lit("exam"), fact_id=pl.Series(["e1", "e2"]), probe_id=pl.Series(["e1", "e2"]), topic=pl.Series(["3.html", "4.html"])
    )
    told = told.with_columns(
        answer_id=pl.Series(["1" * 20, "2" * 20]), answer=pl.lit("said"), context_chunks=pl.lit([], pl.List(pl.String))
    )
    planned = work.plan(harness.alas, gone_url(quill_site), reason="r", by="Ada")
    assert not {"1" * 20, "2" * 20} & set(planned.ids.answers)
    told.write_parquet(harness.store.root / "artifacts" / "exam_scores" / f"{'e' * 64}.parquet")
    planned = work.plan(harness.alas, gone_url(quill_site), reason="r", by="Ada")
    kept = table_without("exam_scores", told, Removal(planned.order, planned.ids, Finder(planned.marks)))
    assert kept["answer_id"].to_list() == ["2" * 20]
    assert {"e1"} <= set(planned.ids.probes)


def test_a_trace_names_what_was_retired_and_which_runs_are_gone(case: Case) -> None:
    (row, *_) = (
        row
        for row in as_answers(case.after.store.read_table(case.after.pointers("quill")["judge_scores"], "judge_scores")).to_dicts()
        if row["split"] == "probe"
    )
    trace = trace_answer(case.after.store, row["answer_id"])
    assert {by.retired for by in trace.learned_by if by.adapter_hash == case.adapter} == {case.order.id}
    assert {run.run_deleted for run in trace.runs} == {case.order.id}
    assert not trace.is_current


def test_the_base_student_answers_then_and_no_rollback_leads_back(case: Case) -> None:
    assert case.after.alas.registry.current("quill") is None
    with pytest.raises(RegistryError):
        case.after.alas.registry.rollback("quill")
    with pytest.raises(RegistryError):
        case.after.alas.registry.undo_rollback("quill")


def test_the_record_holds_hashes_and_no_word_of_it(case: Case) -> None:
    folder = case.after.store.root / "takedowns" / case.order.id
    assert sorted(path.name for path in folder.iterdir()) == ["marks.json", "order.json"]
    text = (folder / "order.json").read_text(encoding="utf-8") + (folder / "marks.json").read_text(encoding="utf-8")
    assert not [word for word in ("quill.ink", "blot", "crease", "SheetError", "Quill 3") if word in text]


def test_an_exam_on_what_was_removed_leaves_nothing_in_the_store(case: Case, tmp_path: Path) -> None:
    file = tmp_path / "exam.jsonl"
    file.write_text("\n".join(map(json.dumps, case.questions)), encoding="utf-8")
    rows, _ = sit_exam(case.after.alas, "quill", file)
    assert set(rows["system"]) == {"base", "current"}
    assert set(rows.filter(pl.col("split") == "exam")["n"]) == {len(case.questions)}
    assert work.scan(case.after.alas, case.after.instance, case.order).findings == []


def test_files_of_questions_that_a_user_keeps_in_the_store_stay_as_they_are(
    case: Case, both: Harness, quill_site: Site, tmp_path: Path
) -> None:
    harness = both.copied(tmp_path)
    text = "\n".join(map(json.dumps, case.questions))
    files = [harness.store.root / folder / "mine.jsonl" for folder in ("guards", "replay", "exams")]
    for file in files:
        file.parent.mkdir()
        file.write_text(text, encoding="utf-8")
    order = carried_out(harness, gone_url(quill_site))
    assert {file.read_text(encoding="utf-8") for file in files} == {text}
    assert work.scan(harness.alas, harness.instance, order).clean


def test_a_notice_that_waits_for_the_webhook_is_still_sent_without_a_word_of_it(
    case: Case, both: Harness, quill_site: Site, tmp_path: Path
) -> None:
    harness = both.copied(tmp_path)
    finder = Finder(read_marks(case.after.store.root, case.order.id))
    line = next(one["question"] for one in case.questions if finder.runs(one["question"]))
    with webhook() as hook:
        outbox = Outbox(harness.store.root, hook.url)
        texts = {"a": f"run 1 failed: {line} of {gone_url(quill_site)}", "b": "run 2 failed: the disk is full"}
        outbox.add("failed_runs", {"": {run: Notice(kind="failure", domain="quill", run_id=run, text=text) for run, text in texts.items()}})
        order = carried_out(harness, gone_url(quill_site))
        assert work.scan(harness.alas, harness.instance, order).clean
        hook.up()
        assert outbox.deliver(30) == "2 delivered"
    assert hook.taken[1] == texts["b"]
    assert line not in hook.taken[0]
    assert gone_url(quill_site) not in hook.taken[0]
    assert hook.posts[0]["run_id"] == "a"


def test_words_that_another_page_came_to_share_are_counted_and_no_finding(case: Case, quill_site: Site, tmp_path: Path) -> None:
    harness = case.after.copied(tmp_path)
    store = harness.store
    finder = Finder(read_marks(store.root, case.order.id))
    (line, *_) = (one["question"] for one in case.questions if finder.runs(one["question"]))
    pairs = store.read_table(harness.pointers("quill")["qa_pairs"], "qa_pairs").head(1)
    file = store.root / "artifacts" / "qa_pairs" / f"{'e' * 64}.parquet"

    def found(url: str) -> Scan:
        pairs.with_columns(question=pl.lit(line), url=pl.lit(url)).write_parquet(file)
        return scan_store(store, finder, "now", elsewhere=runs_elsewhere(store, case.order, finder))

    said_elsewhere = found(f"http://127.0.0.1:{quill_site.port}/4.html")
    assert said_elsewhere.findings == []
    assert sum(place.elsewhere for place in said_elsewhere.places) == 1
    (finding,) = found(gone_url(quill_site)).findings
    assert finding.within == "question", "the same words in the source's own name"


# ------------------------------------------------------------------------------------------------ Dagster


def test_the_ui_still_shows_every_asset_as_made_with_the_same_version(case: Case) -> None:
    for name in LOOP:
        where = dg.AssetRecordsFilter(dg.AssetKey(name), asset_partitions=[cell_key(CELL)])
        (old,) = case.before.instance.fetch_materializations(where, limit=1).records
        (new,) = case.after.instance.fetch_materializations(where, limit=1).records
        assert new.asset_materialization is not None
        assert old.asset_materialization is not None
        version = "dagster/data_version"
        assert (new.asset_materialization.tags or {})[version] == (old.asset_materialization.tags or {})[version]
        assert new.run_id == ""
        assert case.order.id in str(new.asset_materialization.metadata["redacted"].value)
    assert last_heartbeat(case.after.instance, "quill") == last_heartbeat(case.before.instance, "quill")


def test_no_run_that_showed_it_is_left(case: Case) -> None:
    assert case.before.instance.get_runs_count() > 0
    assert case.after.instance.get_runs_count() == 0
    assert not list((case.after.settings.dagster_home / "storage").glob("*"))


def requested(harness: Harness, cursor: Any) -> tuple[int, Any]:
    result = dg.evaluate_automation_conditions(
        build_defs(home=str(harness.settings.home)), harness.instance, asset_selection=dg.AssetSelection.groups("loop"), cursor=cursor
    )
    return result.total_requested, result.cursor


def test_the_daemons_next_ticks_ask_for_nothing_but_the_next_iteration(
    both: Harness, quill_site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = both.copied(tmp_path)
    monkeypatch.setenv("ALAS_HOME", str(harness.settings.home))  # as the daemon has it, which looks there for watched domains
    set_watched(harness.settings.home, "quill", True)
    _, cursor = requested(harness, None)
    asked, cursor = requested(harness, cursor)
    assert asked == 0, "nothing was to be done before either"
    carried_out(harness, gone_url(quill_site))
    for _ in range(2):
        asked, cursor = requested(harness, cursor)
        assert asked == 0
    assert open_cell(harness.instance, harness.settings, Cell.of("quill", 1), cause="test", on_event=lambda *_: None).success
    asked, _ = requested(harness, cursor)
    assert asked > 0, "the ticks would ask, if there were something to do"


def carried_out(harness: Harness, source: str) -> Order:
    planned = work.plan(harness.alas, source, reason="r", by="Ada")
    work.begin(harness.alas, harness.instance, planned)
    return work.carry_out(harness.alas, harness.instance, planned.order.id)


# ------------------------------------------------------------------------------------------------ kills


def files_of(store: ArtifactStore) -> dict[str, str]:
    """Return what a store says, by place; names and times that differ from one writing to the next left out."""
    found: dict[str, str] = {}
    for path in sorted(store.root.rglob("*")):
        shown = path.relative_to(store.root).as_posix()
        top = shown.partition("/")[0]
        if not path.is_file() or top in ("dagster", "lance", "locks", "models") or path.name in ("order.json", "lock"):
            continue
        if path.suffix == ".sqlite":
            with closing(sqlite3.connect(path)) as connection:
                found[shown] = hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()
        elif top != "reports" and not path.name.endswith(("-wal", "-shm", ".lock")):
            text = path.read_bytes()
            found[shown] = hashlib.sha256(text).hexdigest()
    for name, version, rows in every_version(store.lance):
        found[f"lance {name}"] = f"{found.get(f'lance {name}', '')} {version if name.endswith('cells') else ''} {rows.hash_rows().sum()}"
    return found


class Killed(Exception):
    """Stands for the end of the process."""


def test_a_kill_between_any_two_steps_or_before_a_step_is_noted_changes_nothing_in_the_end(
    both: Harness, quill_site: Site, tmp_path: Path
) -> None:
    one, other = both.copied(tmp_path / "one"), both.copied(tmp_path / "other")
    planned = work.plan(one.alas, gone_url(quill_site), reason="r", by="Ada")
    one = Harness(tmp_path / "one", both.student)
    work.begin(one.alas, one.instance, planned)
    work.carry_out(one.alas, one.instance, planned.order.id)
    other = Harness(tmp_path / "other", both.student)
    work.begin(other.alas, other.instance, planned)
    names = list(work.steps(other.alas, other.instance, removal_of(other, planned)))
    for name in names:

        def die(done: str, _: object, name: str = name) -> None:
            if done == name:
                raise Killed

        work.steps(other.alas, other.instance, removal_of(other, planned))[name]()  # done, and killed before that was noted
        with pytest.raises(Killed):
            work.carry_out(other.alas, other.instance, planned.order.id, die)
    order = work.carry_out(other.alas, other.instance, planned.order.id)
    assert [step.name for step in order.steps] == names
    assert files_of(other.store) == files_of(one.store)
    assert work.scan(other.alas, other.instance, order).clean
    assert other.alas.registry.history("quill") == one.alas.registry.history("quill")


def removal_of(harness: Harness, planned: Plan) -> Removal:
    return Removal(planned.order, planned.ids, Finder(planned.marks))


def test_a_kill_between_a_file_and_its_pointers_is_mended(both: Harness, quill_site: Site, tmp_path: Path) -> None:
    harness = both.copied(tmp_path)
    planned = work.plan(harness.alas, gone_url(quill_site), reason="r", by="Ada")
    removal, store = removal_of(harness, planned), harness.store
    work.begin(harness.alas, harness.instance, planned)
    pointer = store.pointer(CELL, "qa_pairs")
    assert pointer is not None
    path = store.artifact_path("qa_pairs", pointer.hash, "parquet")
    kept = table_without("qa_pairs", pl.read_parquet(path), removal)
    made = tmp_path / "made.parquet"
    kept.write_parquet(made)
    purge.Rewritten(store, planned.order.id).replace(path, made.read_bytes())
    assert not store.whole(pointer), "as a kill leaves it"
    purge.purge_tables(store, removal)
    mended = store.pointer(CELL, "qa_pairs")
    assert mended is not None
    assert store.whole(mended)
    assert mended.file_sha256 == file_hash(path)


def test_while_one_is_under_way_no_step_of_the_loop_runs_and_nothing_is_opened(both: Harness, quill_site: Site, tmp_path: Path) -> None:
    harness = both.copied(tmp_path)
    planned = work.plan(harness.alas, gone_url(quill_site), reason="r", by="Ada")
    order = work.begin(harness.alas, harness.instance, planned)
    outcome = harness.run("quill")
    assert not outcome.success
    assert f"takedown {order.id}" in outcome.failures[0]
    assert f"takedown {order.id}" in next_opening(harness.alas, harness.instance, "quill").reason


@pytest.mark.parametrize(("name", "tag"), [("iteration", "dagster/partition/domain"), ("scores", "dagster/partition")])
def test_it_waits_for_a_run_of_an_iteration_or_of_a_scoreboard_that_is_under_way(
    name: str, tag: str, both: Harness, quill_site: Site, tmp_path: Path
) -> None:
    harness = both.copied(tmp_path)
    harness = Harness(tmp_path, both.student)  # the instance of its own folder
    planned = work.plan(harness.alas, gone_url(quill_site), reason="r", by="Ada")
    job = build_defs(home=str(harness.settings.home)).resolve_job_def(name)
    run = harness.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags={tag: "quill"})
    with pytest.raises(TakedownError, match=rf"run {run.run_id[:8]} of quill is under way"):
        work.begin(harness.alas, harness.instance, planned)
    assert read_order(harness.settings.home, planned.order.id) is None


# ------------------------------------------------------------------------------------------------ what comes next


@pytest.fixture(scope="module")
def retrained(case: Case, quill_site: Site) -> tuple[Case, dict[str, Any]]:
    """Run the iteration after the takedown; what was the case before it is kept beside."""
    harness = Harness(case.after.settings.home.parent, case.after.student)
    set_watched(harness.settings.home, "quill", True)
    seen: dict[str, Any] = {
        "waiting": [order.id for order in waiting(harness.alas, "quill")],
        "opening": next_opening(harness.alas, harness.instance, "quill"),
        "asked": requests(harness.tick("next_iteration")),
        "requests": dict(quill_site.requests),
        "served": served_adapter(harness.alas, "quill"),
        "refused": refused(harness),
    }
    outcome = harness.run("quill", 1)
    assert outcome.success, outcome.failures
    case.after = harness
    return case, seen


def refused(harness: Harness) -> str:
    """Return what the domain answers while it is to refuse, as `alas ask` would."""
    path = harness.settings.home / "domains" / "quill.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(f'after_takedown = "refuse"\n{text}', encoding="utf-8")
    try:
        ask_student(harness.alas, "quill", "Which module gained the stamp() function?", ["current"])
    except StoreError as error:
        return str(error)
    finally:
        path.write_text(text, encoding="utf-8")
    return ""


Retrained = tuple[Case, dict[str, Any]]


def test_the_retraining_is_queued_once_and_by_name(retrained: Retrained) -> None:
    case, seen = retrained
    facts = case.order.shares[0].facts
    assert seen["waiting"] == [case.order.id]
    assert seen["opening"].cell == Cell("quill", "001")
    assert seen["opening"].reason == f"takedown of {facts} facts ({case.order.id})"
    assert [request.tags["alas/because"] for request in seen["asked"]] == [seen["opening"].reason]
    assert waiting(case.after.alas, "quill") == []
    assert not_retrained(case.after.alas, "quill") == []
    assert not next_opening(case.after.alas, case.after.instance, "quill").reason.startswith("takedown")


def test_until_then_the_fallback_answers_or_the_domain_refuses(retrained: Retrained) -> None:
    case, seen = retrained
    assert seen["served"] is None
    assert f"takedown {case.order.id}" in seen["refused"]
    assert "`alas run quill`" in seen["refused"]


def test_the_source_is_not_requested_again_and_the_plan_says_why(retrained: Retrained, quill_site: Site) -> None:
    case, seen = retrained
    assert quill_site.requests["/3.html"] == seen["requests"]["/3.html"]
    assert quill_site.requests["/4.html"] > seen["requests"]["/4.html"]
    plan = case.after.store.read_record(Curriculum, case.after.pointers("quill", 1)["curriculum"], "curriculum")
    assert dict(plan.failed_urls)[gone_url(quill_site)].startswith(TAKEN_DOWN)
    assert not [topic for topic in plan.topics if gone_url(quill_site) in topic.urls]


def test_the_next_adapter_is_trained_from_the_base_on_the_other_pages_facts_only(retrained: Retrained) -> None:
    case, _ = retrained
    store = case.after.store
    seed = store.read_record(Seed, case.after.pointers("quill", 1)["curriculum_seed"], "curriculum_seed")
    assert seed.retrain == [case.order.id]
    ref = store.read_record(AdapterRef, case.after.pointers("quill", 1)["sft_adapter"], "sft_adapter")
    assert ref.trained, ref.reason
    manifest = json.loads((store.adapter(ref.adapter_hash) / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["init_adapter"] is None
    taught = set(store.read_training_rows("sft", ref.rows_hash)["fact_id"]) - {""}
    standing = as_pairs(store.read_table(case.after.pointers("quill")["qa_pairs"], "qa_pairs")).filter("accepted")
    assert taught == set(standing["fact_id"])
    assert not taught & set(case.planned.ids.facts)


def test_the_gate_decides_on_all_standing_facts(retrained: Retrained) -> None:
    case, _ = retrained
    decision = case.after.store.read_record(GateDecision, case.after.pointers("quill", 1)["promotion"], "promotion")
    assert decision.test is not None, decision.reason
    probes = case.after.store.read_table(case.after.pointers("quill", 1)["probes"], "probes")
    assert decision.test.n == probes.filter(pl.col("split").is_in(["probe", "earlier"])).height > 0


def test_after_the_next_iteration_the_scan_still_finds_nothing(retrained: Retrained) -> None:
    case, _ = retrained
    assert work.scan(case.after.alas, case.after.instance, case.order).findings == []


def test_the_old_cell_is_not_made_again(retrained: Retrained) -> None:
    case, _ = retrained
    assert case.after.run("quill").success
    assert case.after.redone() <= {"wrong_answers", "curriculum", "documents"}


# ------------------------------------------------------------------------------------------------ others


def test_the_report_is_signed_says_no_word_of_it_and_runs_nothing(case: Case) -> None:
    as_json, as_html = write_report(case.after.store, case.order, read_marks(case.after.settings.home, case.order.id), case.scan_after)
    report = json.loads(as_json.read_text(encoding="utf-8"))
    assert is_as_signed(report)
    assert not is_as_signed({**report, "reason": "another"})
    assert (report["clean"], report["signed_off"]["by"]) == (True, "Ada")
    html = as_html.read_text(encoding="utf-8")
    assert "<script" not in html
    assert "default-src &#x27;none&#x27;" in html
    assert "it is wrong" in html
    for text in (html, as_json.read_text(encoding="utf-8")):
        assert not [word for word in ("quill.ink", "blot", "crease", "SheetError") if word in text]


def test_two_domains_lose_it_in_one_takedown_and_an_unfinished_iteration_is_closed(both: Harness, quill_site: Site, tmp_path: Path) -> None:
    harness = both.copied(tmp_path)
    harness.domain("inkwell", quill_site.port)
    assert harness.run("inkwell", dry_run=True).success
    tables = {key: harness.store.read_table(harness.pointers(key)["qa_pairs"], "qa_pairs") for key in ("inkwell", "quill")}
    rows = {key: table.filter(pl.col("page_id") != "").height for key, table in tables.items()}
    order = carried_out(harness, f"127.0.0.1:{quill_site.port}")
    assert {share.domain: share.pairs for share in order.shares} == rows
    assert {share.domain: share.adapters > 0 for share in order.shares} == {"inkwell": False, "quill": True}
    assert all(share.facts > 0 for share in order.shares)
    assert order.by == "host"
    assert work.scan(harness.alas, harness.instance, order).clean
    assert next_opening(harness.alas, harness.instance, "inkwell", "again").cell == Cell("inkwell", "001")
    assert not list(harness.store.pages.glob("*")) or not [one for one in order.bodies if (harness.store.pages / one).exists()]
    before = dict(quill_site.requests)
    outcome = harness.run("inkwell", 1)
    assert not outcome.success
    assert TAKEN_DOWN in outcome.failures[0]
    assert dict(quill_site.requests) == before, "the whole host is left alone, robots.txt too"


def test_what_only_a_retired_adapter_had_learned_is_to_be_studied_again(both: Harness, quill_site: Site, tmp_path: Path) -> None:
    harness = both.copied(tmp_path)
    adapter = promoted(harness)
    harness.opened("quill", 1)
    take_up(harness.settings.home, Cell("quill", "001"), [gone_url(quill_site), kept_url(quill_site)])
    at = "2026-11-28T00:00:00+00:00"
    harness.alas.registry.promote("quill", CHAINED, iteration=1, decision_hash="by hand again", run_id="r", at=at, previous=adapter)
    carried_out(harness, gone_url(quill_site))
    assert closed_because(harness.alas, Cell("quill", "001"))
    assert read_watch_state(harness.settings.home, "quill").pending == [kept_url(quill_site)]


def test_a_change_of_a_watched_page_that_was_taken_down_is_neither_seen_nor_missed(both: Harness, quill_site: Site, tmp_path: Path) -> None:
    harness = both.copied(tmp_path)
    harness.domain("quill", quill_site.port, max_topics="8", watch_urls=f'["{gone_url(quill_site)}", "{kept_url(quill_site)}"]')
    state, unread = look_for_changes(harness.alas, "quill", 8.0)
    assert set(state.seen) == {gone_url(quill_site), kept_url(quill_site)}
    carried_out(harness, gone_url(quill_site))
    page = quill_site.pages["/3.html"]
    quill_site.pages["/3.html"] = page.replace("7", "9")
    try:
        before = quill_site.requests["/3.html"]
        state, unread = look_for_changes(harness.alas, "quill", 8.0)
    finally:
        quill_site.pages["/3.html"] = page
    assert (list(state.seen), state.pending, unread) == ([kept_url(quill_site)], [], [])
    assert quill_site.requests["/3.html"] == before


def converge(harness: Harness) -> None:
    """Leave the revision of the cell without anything to study next, made from nothing: whatever is planted beside it, it is finished."""
    pointer = harness.store.pointer(CELL, "revised_curriculum")
    assert pointer is not None
    revised = harness.store.read_record(RevisedCurriculum, pointer)
    converged = revised.model_copy(update={"decision": "stop", "remediation": [], "next_topics": []})
    harness.store.put(CELL, "revised_curriculum", converged, input_key=pointer.input_key, inputs={}, run_id="planted")


def test_a_domain_with_nothing_new_to_study_is_trained_again_all_the_same(both: Harness, quill_site: Site, tmp_path: Path) -> None:
    harness = both.copied(tmp_path)
    converge(harness)
    carried_out(harness, gone_url(quill_site))
    assert next_opening(harness.alas, harness.instance, "quill").cell == Cell("quill", "001"), "also after a stop"
    outcome = harness.run("quill", 1, dry_run=True)
    assert outcome.success, outcome.failures
    written = harness.store.read_table(harness.pointers("quill", 1)["qa_pairs"], "qa_pairs")
    assert written.filter("accepted").is_empty()
    plan = harness.store.read_record(Curriculum, harness.pointers("quill", 1)["curriculum"], "curriculum")
    assert {url for topic in plan.topics for url in topic.urls} == {kept_url(quill_site)}


def test_a_retraining_that_failed_opens_no_other_by_itself_and_is_taken_up_by_the_next(
    both: Harness, quill_site: Site, tmp_path: Path
) -> None:
    harness = both.copied(tmp_path)
    order = carried_out(harness, gone_url(quill_site))
    assert harness.run("quill", 1, dry_run=True).success
    close_iteration(harness.settings.home, Cell("quill", "001"), "it failed")
    assert next_opening(harness.alas, harness.instance, "quill").cell is None
    assert retrained_by(harness.alas, Cell("quill", "002")) == [order.id]
    assert [one.id for one in not_retrained(harness.alas, "quill")] == [order.id]


def test_what_another_page_states_too_is_written_from_there_and_taught_again(both: Harness, quill_site: Site, tmp_path: Path) -> None:
    harness = both.copied(tmp_path)
    pointer = harness.store.pointer(CELL, "qa_pairs")
    assert pointer is not None
    pairs = harness.store.read_table(pointer)
    facts = {
        url: pairs.filter(pl.col("accepted") & (pl.col("url") == url)).row(0, named=True)
        for url in (gone_url(quill_site), kept_url(quill_site))
    }
    source, twin = facts[gone_url(quill_site)], facts[kept_url(quill_site)]
    of_twin = pl.col("fact_id") == twin["fact_id"]
    planted = pairs.with_columns(  # as curation leaves the second of two pages that say the same
        pl.when(of_twin).then(pl.lit(value=False)).otherwise("accepted").alias("accepted"),
        pl.when(of_twin).then(pl.lit(f"says the same as another fact: {source['fact_id']}")).otherwise("reason").alias("reason"),
        pl.when(of_twin).then(pl.lit(source["fact_group"])).otherwise("fact_group").alias("fact_group"),
    )
    harness.store.put(CELL, "qa_pairs", planted, input_key=pointer.input_key, inputs=pointer.inputs, run_id="planted")
    converge(harness)
    planned = work.plan(harness.alas, gone_url(quill_site), reason="r", by="Ada")
    alike = planted.filter((pl.col("url") == gone_url(quill_site)) & (pl.col("fact_group") == source["fact_group"]))["fact_id"].n_unique()
    assert (planned.order.kept_facts, planned.order.kept_by) == (alike, [kept_url(quill_site)])
    assert source["fact_id"] not in {line["id"] for line in question_lines(planned.derived, harness.store)}
    work.begin(harness.alas, harness.instance, planned)
    work.carry_out(harness.alas, harness.instance, planned.order.id)
    outcome = harness.run("quill", 1, dry_run=True)
    assert outcome.success, outcome.failures
    written = harness.store.read_table(harness.pointers("quill", 1)["qa_pairs"], "qa_pairs")
    assert set(written.filter("accepted")["fact_id"]) == {twin["fact_id"]}


def test_the_same_page_under_another_address_is_refused(both: Harness, quill_site: Site, tmp_path: Path) -> None:
    from alas_assets.retrieval.study import read_pages

    harness = both.copied(tmp_path)
    carried_out(harness, gone_url(quill_site))
    quill_site.pages["/moved.html"] = quill_site.pages["/3.html"]
    quill_site.pages["/reworked.html"] = quill_site.pages["/3.html"].replace("</body>", "<!-- another body --></body>")
    try:
        urls = [f"http://127.0.0.1:{quill_site.port}/{name}.html" for name in ("moved", "reworked")]
        (moved, _), (reworked, found) = read_pages(urls, harness.alas.domain("quill"), harness.store)
    finally:
        del quill_site.pages["/moved.html"], quill_site.pages["/reworked.html"]
    assert not moved.ok
    assert "the same page was taken down" in moved.reason
    assert "the same text was taken down" in found.reason
    assert reworked.ok, "its bytes are others, and what they say is refused"
