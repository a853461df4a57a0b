"""A cell whose domain teaches and asks unanswerable questions: what is stored, shown and counted, and what is not (S12)."""

from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from alas_assets.audit.trace import trace_answer
from alas_assets.defs.documents import chunk_store
from alas_assets.defs.qa import unanswerable_probes, unanswerable_rows, unknown_settings
from alas_assets.partitions import cell_key
from alas_assets.provenance.ids import pair_of_unknown
from alas_assets.provenance.store import Cell
from alas_assets.records import FETCH_SCHEMA, UNKNOWN, AdapterRef, GateDecision, RevisedCurriculum, Seed
from alas_assets_tests.harness import Harness, Site
from alas_assets_tests.synthesis.factory import curated, fact, page

pytestmark = pytest.mark.timeout(480)


SHARE = "0.9\nunknown_share = 0.2"


@pytest.fixture(scope="module")
def declining(tmp_path_factory: pytest.TempPathFactory, tiny_student: Path, quill_site: Site) -> Harness:
    """One iteration with a share of unknowns."""
    harness = Harness(tmp_path_factory.mktemp("declining"), str(tiny_student))
    harness.domain("taught", quill_site.port, tau=SHARE)
    outcome = harness.run("taught")
    assert outcome.success, outcome.failures
    return harness


def table(harness: Harness, asset: str) -> pl.DataFrame:
    return harness.store.read_table(harness.pointers("taught")[asset], asset)


def shown(harness: Harness, asset: str) -> dict[str, object]:
    """Return the metadata of the cell's newest materialisation, as the UI shows it."""
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[cell_key(Cell.of("taught", 0))])
    materialization = harness.instance.fetch_materializations(wanted, limit=1).records[0].asset_materialization
    assert materialization is not None
    return {name: value.value for name, value in materialization.metadata.items()}


def training_rows(harness: Harness) -> pl.DataFrame:
    ref = harness.store.read_record(AdapterRef, harness.pointers("taught")["sft_adapter"], "sft_adapter")
    return pl.read_parquet(harness.store.root / "rows" / f"sft-{ref.rows_hash}.parquet")


def test_the_share_of_the_exact_rows_is_what_was_asked_for_and_is_shown(declining: Harness) -> None:
    rows = training_rows(declining)
    unknown, facts = (rows.filter(pl.col("kind") == kind) for kind in (UNKNOWN, "fact"))
    assert unknown.height
    assert abs(unknown.height - 0.2 * facts.height) <= 0.5
    metadata = shown(declining, "sft_adapter")
    assert metadata["unknown_rows"] == unknown.height
    assert metadata["unknown_share"] == pytest.approx(unknown.height / facts.height, abs=1e-4)
    pairs = set(table(declining, "qa_pairs").filter("accepted")["qa_id"])
    assert {pair_of_unknown(row) for row in unknown["row_id"]} <= pairs


def test_none_of_the_names_stands_on_a_page_and_none_that_is_asked_is_trained(declining: Harness, quill_site: Site) -> None:
    pages = "\n".join(quill_site.pages.values()).casefold()
    trained = training_rows(declining).filter(pl.col("kind") == UNKNOWN)["prompt"].to_list()
    asked = table(declining, "probes").filter(pl.col("split") == UNKNOWN)["question"].to_list()
    source = set(" ".join(table(declining, "qa_pairs")["question"]).replace("(", " ").replace(")", " ").replace(".", " ").split())

    def names(questions: list[str]) -> set[str]:
        words = " ".join(questions).replace("(", " ").replace(")", " ").replace(".", " ").split()
        return {word.strip("`?,:") for word in words if word not in source}

    assert names(trained)
    assert names(asked)
    assert not names(trained) & names(asked)
    assert not [name for name in names(trained) | names(asked) if name.casefold() in pages]


def test_every_system_is_asked_and_graded_by_rule(declining: Harness) -> None:
    answers = pl.concat([table(declining, "baseline_scores"), table(declining, "judge_scores")]).filter(pl.col("split") == UNKNOWN)
    assert set(answers["system"]) == {"base", "rag", "sft"}
    assert answers.filter(pl.col("system") == "sft").height >= 10
    assert set(answers["judge"]) == {"rules"}
    assert "unknown" in str(shown(declining, "judge_scores")["declined"])


def test_they_count_neither_into_the_gate_nor_into_the_accuracy(declining: Harness) -> None:
    hashes = declining.pointers("taught")
    decision = declining.store.read_record(GateDecision, hashes["promotion"], "promotion")
    probes = table(declining, "probes")
    assert decision.test is not None
    assert decision.test.n == probes.filter(pl.col("split") == "probe").height
    assert not [guard.name for guard in decision.guards if "unknown" in guard.name]
    revised = declining.store.read_record(RevisedCurriculum, hashes["revised_curriculum"], "revised_curriculum")
    assert sum(score.n for score in revised.topic_scores) == decision.test.n


def test_the_trace_of_such_an_answer_claims_no_fact_and_names_the_pair(declining: Harness) -> None:
    answer = table(declining, "judge_scores").filter(pl.col("split") == UNKNOWN).row(0, named=True)
    trace = trace_answer(declining.store, answer["answer_id"])
    assert trace.learned_by == []
    assert trace.source is None
    assert pair_of_unknown(answer["fact_id"]) in trace.note
    fact = table(declining, "judge_scores").filter(pl.col("split") == "probe").row(0, named=True)
    learned = trace_answer(declining.store, fact["answer_id"]).learned_by
    rows = training_rows(declining)
    assert [one.rows for one in learned] == [rows.filter(pl.col("fact_id") == fact["fact_id"]).height]


def test_asking_without_teaching_asks_the_same_and_without_both_nothing_is_made(declining: Harness, quill_site: Site) -> None:
    cell = Cell.of("taught", 0)
    seed = declining.store.read_record(Seed, declining.pointers("taught")["curriculum_seed"], "curriculum_seed")
    pairs, asked = table(declining, "qa_pairs"), table(declining, "probes").filter(pl.col("split") == UNKNOWN)
    try:
        declining.domain("taught", quill_site.port, tau="0.9\nask_unknown = true")
        assert unanswerable_rows(declining.alas, cell, seed, pairs).is_empty()
        assert unanswerable_probes(declining.alas, cell, seed, pairs).equals(asked)
        declining.domain("taught", quill_site.port)
        assert unanswerable_probes(declining.alas, cell, seed, pairs).is_empty()
        assert unknown_settings(declining.alas, declining.alas.domain("taught")) == {}
    finally:
        declining.domain("taught", quill_site.port, tau=SHARE)


def test_no_name_stands_in_a_passage_that_only_an_earlier_iteration_read(tiny_student: Path, tmp_path: Path) -> None:
    harness = Harness(tmp_path, str(tiny_student))
    harness.domain("taught", 1, tau=SHARE)
    passages = chunk_store(harness.alas, "taught")
    text = "Item 1: quill.fold() needs the widget1 to work at all."
    _, own = page([text])
    pairs = curated([fact(own, text, "widget1", "widget that quill.fold() needs")], own, iteration=1)
    seed = Seed(domain="taught", iteration=1, description="", seed_topics=[], seed_urls=[], cause="test")

    def read(iteration: int, chunks: pl.DataFrame) -> None:
        cell = Cell.of("taught", iteration)
        passages.tag_cell(cell.tag, chunks["chunk_id"].to_list(), passages.upsert(chunks, lambda texts: [[1.0, 0.0] for _ in texts]))
        harness.store.put(cell, "documents", FETCH_SCHEMA.to_frame(), input_key=cell.tag, inputs={}, run_id="r")

    def prompts() -> set[str]:
        return set(unanswerable_rows(harness.alas, Cell.of("taught", 1), seed, pairs)["prompt"])

    read(0, page(["Nothing of use."], "b.html")[1])
    read(1, own)
    invented = prompts()
    read(0, page(sorted(invented), "b.html")[1])
    assert len(prompts()) == len(invented) > 0
    assert prompts().isdisjoint(invented)
