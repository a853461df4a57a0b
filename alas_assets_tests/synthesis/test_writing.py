"""Asking the teacher: each passage belongs to one topic of the plan, and a page without passages is a reason."""

from datetime import UTC, datetime

import polars as pl

from alas_assets.records import CHUNK_SCHEMA, Topic
from alas_assets.synthesis.writing import half_studied, never_studied, write_drafts
from alas_assets.teachers.protocol import Assignment, Written
from alas_assets_tests.evaluation.tables import pairs

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Noting:
    """A teacher that writes nothing and notes what it was shown."""

    name, version = "noting", "1"

    def __init__(self) -> None:
        self.shown: dict[str, list[str]] = {}

    def write(self, assignments: list[Assignment], max_pairs: int, phrasings: int) -> list[Written]:
        self.shown.update({one.topic.name: one.passages["chunk_id"].to_list() for one in assignments})
        return [Written(facts=[]) for _ in assignments]


def chunk(name: str, *path: str) -> dict[str, object]:
    row = {**dict.fromkeys(CHUNK_SCHEMA.names()), "chunk_id": name, "url": "http://a/", "heading_path": list(path), "retrieved_at": NOW}
    return {**row, "text": name, "ordinal": len(path)}


CHUNKS = pl.DataFrame([chunk("intro", "Title"), chunk("one", "Title", "One"), chunk("deep", "Title", "One", "More")], schema=CHUNK_SCHEMA)
WHOLE = Topic(topic_id="w", name="whole", urls=["http://a/"])
SECTION = Topic(topic_id="s", name="section", urls=["http://a/"], heading="One")


def test_a_whole_page_topic_is_left_with_what_no_section_topic_covers() -> None:
    teacher = Noting()
    write_drafts(teacher, [WHOLE, SECTION], CHUNKS, max_pairs=1, phrasings=1)  # pyright: ignore[reportArgumentType]
    assert teacher.shown["whole"] == ["intro"]


def test_a_whole_page_topic_alone_gets_the_whole_page() -> None:
    teacher = Noting()
    write_drafts(teacher, [WHOLE], CHUNKS, max_pairs=1, phrasings=1)  # pyright: ignore[reportArgumentType]
    assert teacher.shown["whole"] == ["intro", "one", "deep"]


def test_a_topic_whose_pages_gave_nothing_is_rejected_with_that_reason() -> None:
    lost = Topic(topic_id="l", name="lost", urls=["http://b/"])
    _, rejected = write_drafts(Noting(), [lost], CHUNKS, max_pairs=1, phrasings=1)  # pyright: ignore[reportArgumentType]
    assert [(r.topic_id, r.reason) for r in rejected] == [("l", "no passage of its pages was read")]


def test_a_topic_was_never_studied_only_if_no_iteration_that_planned_it_got_an_answer_on_any_passage() -> None:
    lost, looked_at = "not studied, no answer: HTTP 503", "no fact taken from this passage"
    first = {"fails": [lost], "late": [lost], "half": [lost, looked_at], "early": [looked_at]}
    then = {"fails": ["no passage of its pages was read"], "late": [looked_at], "early": [lost]}
    tables = [
        pairs([{"topic_id": name, "accepted": False, "reason": reason} for name, reasons in rows.items() for reason in reasons])
        for rows in (first, then)
    ]
    taught = pairs([{"topic_id": "taught", "reason": ""}])
    assert never_studied([*tables, taught]) == {"fails"}


def test_a_topic_is_half_studied_while_a_passage_of_it_has_nothing_but_rows_without_an_answer() -> None:
    lost, looked_at = "not studied, no answer: 429", "no fact taken from this passage"

    def table(*rows: tuple[str, str, str]) -> pl.DataFrame:
        return pairs([{"topic_id": topic, "chunk_id": chunk, "reason": reason, "accepted": not reason} for topic, chunk, reason in rows])

    first = table(
        ("whole", "w1", ""), ("whole", "w2", looked_at), ("half", "h1", ""), ("half", "h2", lost), ("several", "", lost),
        ("both", "b1", ""), ("both", "b1", lost), ("late", "l1", lost), ("none", "", "no passage of its pages was read"),
    )  # fmt: skip
    assert half_studied(first, [first]) == {"half", "several", "late"}
    assert half_studied(first, [first, table(("late", "l1", looked_at))]) == {"half", "several"}
