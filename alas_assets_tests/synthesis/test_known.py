"""A fact counts as known only if every held-out wording was answered right, and then none of its rows is used (P4)."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.records import ANSWER_SCHEMA
from alas_assets.synthesis.curate import reasons
from alas_assets.synthesis.known import found_known, known_facts, mark_known
from alas_assets.synthesis.probes import build_probes
from alas_assets.synthesis.training_rows import at_risk

from .factory import TOPIC, curated, domain, fact, page


def answered(*rows: tuple[str, str, str]) -> pl.DataFrame:
    """Return graded answers of the base student: fact, question, label."""
    told = [{"fact_id": fact, "question": question, "label": label, "system": "base"} for fact, question, label in rows]
    return pl.DataFrame([dict.fromkeys(ANSWER_SCHEMA) | row for row in told], schema=ANSWER_SCHEMA)


def test_a_fact_is_known_if_at_least_two_wordings_are_right_and_none_is_wrong_partial_or_failed() -> None:
    answers = answered(
        *(("right", q, "correct") for q in "ab"),
        ("once", "a", "correct"),
        *(("twice the same", "a", "correct") for _ in range(2)),
        *(
            (label, q, told)
            for label in ("incorrect", "partial", "failed")
            for q, told in (("a", "correct"), ("b", "correct"), ("c", label))
        ),
    )
    assert known_facts(answers) == {"right": "base answers 2 of 2 held-out wordings right"}


def test_known_facts_are_neither_taught_nor_asked_and_stay_as_rows_with_the_reason() -> None:
    pairs = domain(["alpha", "beta"])
    probes = build_probes(pairs, [], [], [], 0)
    knows = probes.filter(pl.col("answer") == "alpha")["fact_id"][0]
    known = known_facts(
        answered(*((row["fact_id"], row["question"], "correct" if row["fact_id"] == knows else "incorrect") for row in probes.to_dicts()))
    )
    marked = mark_known(pairs, known)
    assert marked.height == pairs.height
    assert set(marked.filter("accepted")["answer"]) == {"beta"}
    assert set(marked.filter(~pl.col("accepted"))["reason"]) == {"known to the student: base answers 2 of 2 held-out wordings right"}
    assert reasons(marked).rows() == [("known to the student", 5)]
    assert set(at_risk(marked, [], [], [])["completion"]) == {"beta"}
    assert set(build_probes(marked, [], [], [], 0)["answer"]) == {"beta"}
    assert mark_known(marked, known).equals(marked)


def test_a_reason_that_was_there_before_stays() -> None:
    pairs = domain(["alpha"]).with_columns(pl.lit(False).alias("accepted"), pl.lit("disputed: x").alias("reason"))
    assert mark_known(pairs, {pairs["fact_id"][0]: "y"}).equals(pairs)


@given(st.lists(st.tuples(st.sampled_from("fg"), st.sampled_from("abc"), st.sampled_from(["correct", "partial", "incorrect", "failed"]))))
def test_one_answer_that_is_not_right_is_enough_for_a_fact_to_be_taught(rows: list[tuple[str, str, str]]) -> None:
    known = known_facts(answered(*rows))
    for name in "fg":
        own = [(question, label) for f, question, label in rows if f == name]
        assert (name in known) == (all(label == "correct" for _, label in own) and len({question for question, _ in own}) >= 2)


KNOWN = mark_known(domain(["alpha"]), dict.fromkeys(domain(["alpha"])["fact_id"], "answered"))
PAGE, FACTS = KNOWN["page_id"][0], frozenset(KNOWN["fact_id"])
TEXTS = {"without": "It says other things.", "with": " ".join(KNOWN["quote"].unique())}


def reading(sha: str) -> pl.DataFrame:
    return pl.DataFrame({"page_id": [PAGE], "requested_url": [PAGE], "text_sha256": [sha], "ok": [True]})


def test_what_was_found_known_stays_known_as_long_as_its_page_states_it() -> None:
    other = domain(["beta"])
    assert found_known([KNOWN, other], [reading("first"), reading("with")], TEXTS.__getitem__) == FACTS
    assert found_known([other], [reading("first")], TEXTS.__getitem__) == frozenset()


def test_what_a_page_stopped_stating_in_between_is_not_known_when_it_states_it_again() -> None:
    tables, readings = [KNOWN, domain(["beta"])], [reading("first"), reading("without"), reading("with")]
    assert found_known(tables, readings, TEXTS.__getitem__) == frozenset()


def test_each_reading_of_a_page_is_read_once_however_many_iterations_found_facts_of_it_known() -> None:
    read: list[str] = []

    def noting(sha: str) -> str:
        read.append(sha)
        return f"{TEXTS['with']} Added in {sha}."

    count = 12
    readings = [reading(f"release {number}") for number in range(count)]
    assert found_known([KNOWN] * count, readings, noting) == FACTS
    assert sorted(read) == sorted(f"release {number}" for number in range(1, count))
    read.clear()
    assert found_known([domain(["beta"])] * count, readings, noting) == frozenset()
    assert read == []


def test_a_fact_found_known_before_is_no_new_fact_unless_its_topic_is_to_be_taught_again() -> None:
    text = "The release adds `alpha` as gadget number 0 of the shelf."
    _, chunks = page([text], "a.html")
    draft = fact(chunks, text, "alpha", "gadget number 0 of a.html")
    known = frozenset(curated([draft], chunks)["fact_id"])
    assert set(curated([draft], chunks, known_fact_ids=known)["reason"]) == {"found known before"}
    again = TOPIC.model_copy(update={"origin": "remediation"})
    assert curated([draft], chunks, topics=[again], known_fact_ids=known)["accepted"].all()
