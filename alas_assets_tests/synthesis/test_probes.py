"""The probe table: held-out rows only, valid earlier ones, guards, rivals and overlap."""

from __future__ import annotations

import polars as pl
import pytest

from alas_assets.provenance import ids
from alas_assets.provenance.store import table_hash
from alas_assets.records import PROBE_SCHEMA, QA_SCHEMA, empty
from alas_assets.synthesis.probes import MAX_RIVALS, build_probes, cut_short, median_overlap, mining_questions
from alas_assets.synthesis.questions import GuardQuestion
from alas_assets.synthesis.wording import jaccard, mentions, word_set

from .factory import count_tokens, domain

GUARDS = [GuardQuestion(id="g1", question="What is the capital of France?", answer="Paris")]
NAMES = ["alpha", "beta", "gamma"]


def split(probes: pl.DataFrame, name: str) -> pl.DataFrame:
    return probes.filter(pl.col("split") == name)


def test_only_accepted_probe_rows_become_probes_each_with_its_source() -> None:
    qa = domain(NAMES)
    probes = build_probes(qa, GUARDS, GUARDS, [], 0)
    assert probes.schema == PROBE_SCHEMA
    own = split(probes, "probe")
    assert set(own["qa_id"]) == set(qa.filter(pl.col("accepted") & (pl.col("role") == "probe"))["qa_id"])
    assert own["url"].unique().to_list() == ["http://site.test/a.html"]
    refused = qa.with_columns(pl.lit(False).alias("accepted"))
    assert split(build_probes(refused, [], [], [], 0), "probe").is_empty()


def test_guards_and_neighbours_have_their_own_ids_and_no_overlap() -> None:
    probes = build_probes(domain(NAMES), GUARDS, GUARDS, [], 0)
    guards = probes.filter(pl.col("split").is_in(["guard", "neighbour"]))
    assert guards["fact_id"].to_list() == ["g1", "g1"]
    assert probes["probe_id"].n_unique() == probes.height
    assert guards["overlap"].null_count() == 2
    assert guards["iteration"].to_list() == [-1, -1]


def test_earlier_probes_return_once_unless_retired_or_answered_anew() -> None:
    first = domain(NAMES, "a.html", 0)
    table0 = build_probes(first, GUARDS, [], [], 0)
    second = domain(["delta"], "b.html", 1)
    table1 = build_probes(second, GUARDS, [], [table0], 1)
    assert split(table1, "earlier")["answer"].unique().sort().to_list() == NAMES
    assert set(split(table1, "earlier")["iteration"]) == {0}
    table2 = build_probes(domain(["omega"], "c.html", 2), GUARDS, [], [table0, table1], 2)
    assert split(table2, "earlier")["answer"].unique().sort().to_list() == ["alpha", "beta", "delta", "gamma"]
    assert table2["probe_id"].n_unique() == table2.height
    retired = frozenset(first.filter(pl.col("answer") == "beta")["fact_id"])
    assert "beta" not in build_probes(second, [], [], [table0], 1, retired_facts=retired)["answer"].to_list()
    changed = domain(["alpha2", "beta", "gamma"], "a.html", 1)  # gadget 0 is now another one
    table = build_probes(changed, [], [], [table0], 1)
    assert "alpha" not in table["answer"].to_list()
    assert split(table, "earlier").is_empty()  # the rest is asked by this iteration itself
    later = build_probes(domain(["delta"], "b.html", 2), [], [], [table0, table], 2)
    assert "alpha" not in later["answer"].to_list()


def test_a_fact_that_is_taught_again_is_no_earlier_one_in_any_wording_and_is_one_again_later() -> None:
    first = domain(["alpha", "beta"], "a.html", 0)
    table0 = build_probes(first, [], [], [], 0)
    again = first.filter(pl.col("answer") == "alpha").with_columns(question=pl.lit("Now, ") + pl.col("question"))
    table1 = build_probes(again, [], [], [table0], 1)
    assert set(split(table1, "probe")["answer"]) == {"alpha"}
    assert set(split(table1, "earlier")["answer"]) == {"beta"}
    table2 = build_probes(domain(["delta"], "b.html", 2), [], [], [table0, table1], 2)
    asked = split(table2, "earlier").filter(pl.col("answer") == "alpha")["question"]
    assert set(asked) == set(first.filter((pl.col("answer") == "alpha") & (pl.col("role") == "probe"))["question"]) | set(
        split(table1, "probe")["question"]
    )


def test_rivals_are_other_answers_of_the_kind_that_a_right_answer_never_names() -> None:
    names = ["alpha", "alpha.reader", "beta", *(f"name{i:02d}" for i in range(40))]
    probes = build_probes(domain(names), [], [], [], 0)
    for row in probes.iter_rows(named=True):
        assert len(row["rivals"]) == MAX_RIVALS
        assert row["rivals"] == sorted(row["rivals"])
        assert not any(mentions(row["answer"], rival) or mentions(rival, row["answer"]) for rival in row["rivals"])
        assert not any(mentions(row["question"], rival) for rival in row["rivals"])


def rivals_of(right: str, *others: str) -> set[str]:
    names = ["gadget0", *(f"gadget{i}" for i in range(1, len(others) + 1))]
    qa = domain(names)
    for name, answer in zip(names, (right, *others), strict=True):
        qa = qa.with_columns(answer=pl.when(pl.col("answer") == name).then(pl.lit(answer)).otherwise("answer"))
    probes = split(build_probes(qa, [], [], [], 0), "probe").filter(pl.col("answer") == right)
    return {rival for rivals in probes["rivals"] for rival in rivals}


def test_a_longer_name_that_goes_on_from_the_right_answer_is_a_rival() -> None:
    assert rivals_of("React", "React Native") == {"React Native"}
    assert rivals_of("Visual Studio", "Visual Studio Code", "Microsoft Visual Studio", "Visual Studio 2026") == {"Visual Studio Code"}
    assert rivals_of("React Native", "React") == set()


@pytest.mark.parametrize(
    ("right", "other"),
    [
        ("Microsoft", "Microsoft Corporation"), ("MIT", "MIT License"), ("React", "React Library"), ("React", "the React library"),
        ("Guido", "Guido van Rossum"), ("3.15", "Python 3.15"), ("October 2027", "7 October 2027"), ("30 seconds", "30 seconds in all"),
        ("Spark", "Apache Spark"), ("alpha", "alpha.reader"), ("ValueError", "ValueError or TypeError"), ("list", "list Comprehension"),
    ],
)  # fmt: skip
def test_a_right_answer_said_more_fully_is_no_rival(right: str, other: str) -> None:
    assert rivals_of(right, other) == set()


def test_a_longer_name_that_answers_the_same_fact_is_no_rival() -> None:
    qa = domain(["React", "React Native"])
    one = qa["fact_group"][0]
    assert build_probes(qa.with_columns(fact_group=pl.lit(one)), [], [], [], 0)["rivals"].list.len().sum() == 0


def test_overlap_is_that_of_the_nearest_training_row_and_its_median_is_given() -> None:
    qa = domain(NAMES)
    train = qa.filter(pl.col("role") == "train")["question"].to_list()
    probes = split(build_probes(qa, [], [], [], 0), "probe")
    for row in probes.iter_rows(named=True):
        nearest = max(jaccard(word_set(row["question"]), word_set(text)) for text in train)
        assert row["overlap"] == pytest.approx(nearest)
    assert median_overlap(probes) == probes["overlap"].median()
    assert median_overlap(empty(PROBE_SCHEMA)) is None


def test_a_fact_whose_right_answer_is_cut_in_every_form_is_named_and_a_guard_question_is_not() -> None:
    long, guards = "alpha alpha alpha", [GuardQuestion(id="g1", question="What is the capital of France?", answer="the town of Paris")]
    qa = domain(NAMES).with_columns(answer=pl.when(pl.col("answer") == "alpha").then(pl.lit(long)).otherwise("answer"))
    probes = build_probes(qa, guards, guards, [], 0)
    lines = cut_short(probes, count_tokens, 2)
    asked = split(probes, "probe").filter(pl.col("answer") == long)
    assert [line.split(" ")[1] for line in lines] == asked["probe_id"].to_list()
    assert all("is cut after 2 tokens, its own has 3" in line for line in lines)
    assert cut_short(probes, count_tokens, 3) == []
    assert cut_short(probes.with_columns(aliases=pl.lit(["alpha"])), count_tokens, 2) == []


def test_mining_questions_are_no_probes() -> None:
    qa = domain(NAMES)
    mine = mining_questions(qa, 0)
    assert mine.schema == PROBE_SCHEMA
    assert mine["split"].unique().to_list() == ["mine"]
    assert set(mine["probe_id"]).isdisjoint(build_probes(qa, GUARDS, [], [], 0)["probe_id"])
    assert mine["probe_id"][0] == ids.probe_id(mine["fact_id"][0], mine["question"][0])


def test_the_table_does_not_depend_on_the_order_of_its_inputs() -> None:
    qa = domain(NAMES)
    assert table_hash(build_probes(qa, GUARDS, [], [], 0)) == table_hash(build_probes(qa.reverse(), GUARDS, [], [], 0))


def test_no_pairs_give_no_probes() -> None:
    assert build_probes(empty(QA_SCHEMA), [], [], [], 0).is_empty()
