"""What an iteration takes over from the plans before it, and which pages no plan has (P3, V1, R4)."""

from pathlib import Path

import polars as pl
import pytest

from alas_assets.defs.curriculum import in_no_topic
from alas_assets.defs.earlier import planned_before
from alas_assets.defs.running import open_cell
from alas_assets.planning.syllabus import plan_curriculum
from alas_assets.provenance.store import Cell
from alas_assets.records import Curriculum, Record, RevisedCurriculum, Seed, Topic
from alas_assets_tests.evaluation.tables import pairs
from alas_assets_tests.harness import Harness

STUDIED, FAILED = (Topic(topic_id=f"id-{name}", name=name, urls=[f"http://127.0.0.1:9/{name}.html"]) for name in ("studied", "failed"))


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    """`quill`, whose iteration 000 planned two topics and got no answer on one of them."""
    harness = Harness(tmp_path, "no-student-is-needed-here")
    harness.domain("quill", 9)
    harness.finished("quill", 0, "continue")
    put(harness, "curriculum", Curriculum(domain="quill", iteration=0, topics=[STUDIED, FAILED]))
    lost = {"topic_id": FAILED.topic_id, "accepted": False, "role": "", "reason": "not studied, no answer: no full answer within 120 s"}
    put(harness, "qa_pairs", pairs([{"topic_id": STUDIED.topic_id, "fact_id": "f", "reason": ""}, lost]))
    return harness


def put(harness: Harness, asset: str, value: Record | pl.DataFrame) -> None:
    harness.store.put(Cell.of("quill", 0), asset, value, input_key=f"again {asset}", inputs={}, run_id="r")


def seed_of_the_next(harness: Harness) -> Seed:
    outcome = open_cell(harness.instance, harness.settings, Cell.of("quill", 1), cause="by hand", on_event=lambda *_: None)
    assert outcome.success, outcome.failures
    return harness.store.read_record(Seed, harness.pointers("quill", 1)["curriculum_seed"], "curriculum_seed")


def test_only_what_was_studied_counts_as_covered_and_the_rest_is_planned_when_it_is_proposed_again(harness: Harness) -> None:
    seed = seed_of_the_next(harness)
    assert seed.inherited.covered_topics == [STUDIED.topic_id]
    assert plan_curriculum(seed, [STUDIED, FAILED], None, min_topics=1, max_topics=9).topics == [FAILED]


def test_a_topic_of_which_a_passage_got_no_answer_is_planned_again_though_the_rest_of_it_is_mastered(harness: Harness) -> None:
    rows = [
        {"topic_id": STUDIED.topic_id, "fact_id": "f", "chunk_id": "one", "reason": ""},
        {"topic_id": FAILED.topic_id, "fact_id": "g", "chunk_id": "two", "reason": ""},
        {"topic_id": FAILED.topic_id, "accepted": False, "role": "", "chunk_id": "three", "reason": "not studied, no answer: 429"},
    ]
    put(harness, "qa_pairs", pairs(rows))
    revision = RevisedCurriculum(
        domain="quill", iteration=0, decision="continue", reason="", accuracy=1.0, topic_scores=[], mastered=[STUDIED.name, FAILED.name]
    )
    put(harness, "revised_curriculum", revision)
    seed = seed_of_the_next(harness)
    assert (seed.inherited.covered_topics, seed.inherited.mastered) == ([STUDIED.topic_id], [STUDIED.name])
    assert plan_curriculum(seed, [STUDIED, FAILED], None, min_topics=1, max_topics=9).topics == [FAILED]


def test_a_topic_of_an_earlier_iteration_is_known_as_it_was_planned_last_with_its_section(harness: Harness) -> None:
    section = STUDIED.model_copy(update={"heading": "Where it stands", "origin": "remediation"})
    plan = Curriculum(domain="quill", iteration=1, topics=[section])
    harness.store.put(Cell.of("quill", 1), "curriculum", plan, input_key="k", inputs={}, run_id="r")
    assert planned_before(harness.alas, Cell.of("quill", 2)) == [section, FAILED]


def test_a_surveyed_page_is_in_no_topic_only_if_neither_this_plan_nor_an_earlier_one_names_it(harness: Harness) -> None:
    pages = [f"http://127.0.0.1:9/{name}.html" for name in ("studied", "now", "later", "nobody", "whole")]
    now, later = (Topic(topic_id=page, name=page, urls=[f"{page}#section"]) for page in pages[1:3])
    plan = Curriculum(domain="quill", iteration=1, topics=[now], deferred=[later], found_by=dict.fromkeys(pages, "seed"))
    assert in_no_topic(plan, seed_of_the_next(harness)) == pages[3:]


def test_a_topic_that_was_merged_into_a_studied_one_is_covered_by_it_and_one_merged_into_an_unstudied_one_is_not(harness: Harness) -> None:
    same, late = (topic.model_copy(update={"topic_id": f"again-{topic.name}", "name": f"{topic.name} too"}) for topic in (STUDIED, FAILED))

    def by_first_letter(names: list[str]) -> list[list[float]]:
        return [[float(name[0] == "s"), float(name[0] == "f")] for name in names]

    first = Seed(domain="quill", iteration=0, description="", seed_topics=[], seed_urls=[], cause="")
    plan = plan_curriculum(first, [STUDIED, same, FAILED, late], by_first_letter, min_topics=1, max_topics=9)
    assert plan.topics == [STUDIED, FAILED]
    harness.store.put(Cell.of("quill", 0), "curriculum", plan, input_key="merged", inputs={}, run_id="r")
    seed = seed_of_the_next(harness)
    assert seed.inherited.covered_topics == sorted([STUDIED.topic_id, same.topic_id])
    assert plan_curriculum(seed, [STUDIED, same, FAILED, late], by_first_letter, min_topics=1, max_topics=9).topics == [FAILED]
