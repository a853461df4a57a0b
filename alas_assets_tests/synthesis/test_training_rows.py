"""The exact rows of SFT: shares, rehearsal, determinism."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alas_assets.records import QA_SCHEMA, TRAIN_ROW_SCHEMA, empty
from alas_assets.synthesis.questions import GuardQuestion, ReplayPrompt
from alas_assets.synthesis.training_rows import ReplayError, amount_of, build_rows, rows_hash, rows_of_a_fact, standing_rows

from .factory import domain

QA = domain(["alpha", "beta", "gamma"], "a.html", 1)
EARLIER = domain(["delta", "omega"], "b.html", 0, train=4)
REPLAY = [(ReplayPrompt(id=f"r{i}", prompt=f"Tell me about river number {i}."), f"River {i}.") for i in range(7)]


def test_only_accepted_train_rows_are_trained_on() -> None:
    rows = build_rows(QA, [], [], replay_share=0.0, rehearsal_per_fact=2, seed=1)
    assert rows.schema == TRAIN_ROW_SCHEMA
    assert set(rows["row_id"]) == set(QA.filter(pl.col("role") == "train")["qa_id"])
    assert set(rows["completion"]) == {"alpha", "beta", "gamma"}
    assert build_rows(
        QA.with_columns(pl.lit(False).alias("accepted")), [EARLIER], REPLAY, replay_share=0.3, rehearsal_per_fact=2, seed=1
    ).is_empty()


@settings(deadline=None)
@given(st.floats(0, 0.9), st.integers(0, 5), st.integers(0, 2**40))
def test_rows_are_deterministic_and_replay_has_its_share(share: float, per_fact: int, seed: int) -> None:
    rows = build_rows(QA, [EARLIER], REPLAY, replay_share=share, rehearsal_per_fact=per_fact, seed=seed)
    again = build_rows(QA.reverse(), [EARLIER.reverse()], REPLAY[::-1], replay_share=share, rehearsal_per_fact=per_fact, seed=seed)
    assert rows_hash(rows) == rows_hash(again)
    replayed = rows.filter(pl.col("kind") == "replay").height
    assert abs(replayed - share * rows.height) <= 1
    counts = rows.filter(pl.col("kind") == "rehearsal").group_by("fact_id").len()["len"]
    assert counts.to_list() == [min(per_fact, 4)] * (2 if per_fact else 0)


def test_prompts_repeat_in_whole_rounds() -> None:
    rows = build_rows(QA, [], REPLAY, replay_share=0.8, rehearsal_per_fact=0, seed=3)
    times = rows.filter(pl.col("kind") == "replay").group_by("row_id").len()["len"]
    assert times.max() - times.min() <= 1  # pyright: ignore[reportOperatorIssue, reportOptionalOperand]
    assert times.max() > 1  # pyright: ignore[reportOperatorIssue, reportOptionalOperand]


def test_another_seed_gives_another_order() -> None:
    assert rows_hash(build_rows(QA, [], REPLAY, replay_share=0.3, rehearsal_per_fact=0, seed=1)) != rows_hash(
        build_rows(QA, [], REPLAY, replay_share=0.3, rehearsal_per_fact=0, seed=2)
    )


def test_all_rows_are_rehearsed_where_no_number_is_set() -> None:
    rows = build_rows(QA, [EARLIER, EARLIER], [], replay_share=0.0, rehearsal_per_fact=None, seed=1)
    assert rows.filter(pl.col("kind") == "rehearsal").height == EARLIER.filter(pl.col("role") == "train").height


def test_facts_taught_again_retired_or_answered_anew_are_not_rehearsed() -> None:
    assert "rehearsal" not in set(build_rows(QA, [QA], [], replay_share=0.0, rehearsal_per_fact=None, seed=1)["kind"])
    retired = frozenset(EARLIER.filter(pl.col("answer") == "delta")["fact_id"])
    assert "delta" not in set(
        build_rows(QA, [EARLIER], [], replay_share=0.0, rehearsal_per_fact=None, seed=1, retired_facts=retired)["completion"]
    )
    changed = domain(["epsilon", "omega"], "b.html", 1, train=4)
    rows = build_rows(changed, [EARLIER], [], replay_share=0.0, rehearsal_per_fact=None, seed=1)
    assert "delta" not in set(rows["completion"])


def test_prompts_near_a_guard_and_empty_answers_are_left_out() -> None:
    guard = GuardQuestion(id="g", question="Tell me about river number 3.", answer="River 3")
    rows = build_rows(QA, [], [*REPLAY[:4], (REPLAY[4][0], " \n")], replay_share=0.5, rehearsal_per_fact=0, seed=1, guards=[guard])
    assert set(rows.filter(pl.col("kind") == "replay")["row_id"]) == {"r0", "r1", "r2"}


def test_a_share_that_cannot_be_given_is_refused() -> None:
    with pytest.raises(ReplayError, match="none of 0 replay prompts"):
        build_rows(QA, [], [], replay_share=0.3, rehearsal_per_fact=0, seed=1)
    with pytest.raises(ValueError, match="replay_share is 1"):
        build_rows(QA, [], REPLAY, replay_share=1.0, rehearsal_per_fact=0, seed=1)


def test_an_iteration_without_new_facts_trains_nothing() -> None:
    assert build_rows(empty(QA_SCHEMA), [EARLIER], REPLAY, replay_share=0.3, rehearsal_per_fact=2, seed=1).is_empty()


def test_every_pass_holds_each_fact_row_and_the_next_replay_prompts() -> None:
    rows = build_rows(QA, [], REPLAY, replay_share=0.25, rehearsal_per_fact=0, seed=1, passes=3)
    single = build_rows(QA, [], REPLAY, replay_share=0.25, rehearsal_per_fact=0, seed=1)
    assert rows.height == 3 * single.height
    assert set(rows.filter(pl.col("kind") == "fact").group_by("row_id").len()["len"]) == {3}
    times = rows.filter(pl.col("kind") == "replay").group_by("row_id").len()["len"]
    assert times.max() - times.min() <= 1  # pyright: ignore[reportOperatorIssue, reportOptionalOperand]


def test_each_pass_rehearses_other_wordings_of_a_fact() -> None:
    rows = build_rows(QA, [EARLIER], [], replay_share=0.0, rehearsal_per_fact=1, seed=1, passes=4)
    rehearsed = rows.filter(pl.col("kind") == "rehearsal").group_by("fact_id").agg(pl.col("row_id").n_unique())
    assert rehearsed["row_id"].to_list() == [4, 4]


def test_prompts_with_a_gap_are_repeated_and_keep_their_gap_when_words_are_dropped() -> None:
    gapped = QA.with_columns(
        question=pl.when(pl.col("template") == QA["template"][0]).then("___ " + pl.col("question")).otherwise("question")
    )
    rows = build_rows(gapped, [], [], replay_share=0.0, rehearsal_per_fact=0, seed=1, passes=5, cloze_repeat=3, word_dropout=0.6)
    gaps = set(gapped.filter(pl.col("question").str.contains("___") & (pl.col("role") == "train"))["qa_id"])
    repeated = rows.filter(pl.col("row_id").is_in(list(gaps)))
    assert repeated.group_by("row_id").len()["len"].to_list() == [15] * len(gaps)
    assert repeated["prompt"].str.contains("___").all()
    assert rows["prompt"].str.split(" ").list.len().min() >= 3  # pyright: ignore[reportOperatorIssue, reportOptionalOperand]
    assert set(rows["prompt"]) - set(gapped["question"])


def test_common_words_are_left_out_oftener_than_those_that_tell_a_fact_from_others() -> None:
    many = domain([f"name{i}" for i in range(13)], "c.html", 0, train=2)
    asked = [f"please tell what quality item{i} has" for i in range(13) for _ in range(many.height // 13)]
    many = many.with_columns(question=pl.Series(asked))
    options = {"replay_share": 0.0, "rehearsal_per_fact": 0, "seed": 1, "passes": 40, "word_dropout": 0.5}
    kept = {}
    for telling in (None, 0.0, 0.1):
        words = build_rows(many, [], [], telling_word_dropout=telling, **options)["prompt"].str.split(" ").explode()  # pyright: ignore[reportArgumentType]
        kept[telling] = (words.str.starts_with("item").sum(), (words == "quality").sum())
    rows = len(many.filter(pl.col("role") == "train")) * 40
    assert kept[0.0][0] == rows  # never left out
    assert 0.9 * rows < kept[0.1][0] < rows
    assert all(0.7 * rows < common < 0.9 * rows for _, common in kept.values())  # half of the rows, each word with one half, but three stay
    assert abs(kept[None][0] - kept[None][1]) < 0.1 * rows


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(0, 50))
def test_rows_of_like_length_share_a_batch_and_none_is_lost(batch: int, seed: int) -> None:
    many = [(ReplayPrompt(id=f"r{i}", prompt=f"Tell me about {'long ' * (i % 9)}river {i}."), f"River {i}.") for i in range(90)]
    options = {"replay_share": 0.5, "rehearsal_per_fact": 2, "seed": seed, "passes": 4}
    plain, grouped = (build_rows(QA, [EARLIER], many, batch_size=size, **options) for size in (1, batch))  # pyright: ignore[reportArgumentType]
    assert sorted(plain.rows()) == sorted(grouped.rows())

    def padding(rows: pl.DataFrame) -> int:
        lengths = rows.select(pl.col("prompt").str.len_chars() + pl.col("completion").str.len_chars()).to_series().to_list()
        batches = [lengths[i : i + batch] for i in range(0, len(lengths), batch)]
        return sum(max(lot) * len(lot) - sum(lot) for lot in batches)

    assert padding(grouped) <= padding(plain)
    whole = [grouped["kind"][i : i + batch] for i in range(0, grouped.height - batch + 1, batch)]
    assert all(abs(lot.to_list().count("replay") - batch / 2) <= 1 + batch / 4 for lot in whole)


MANY = domain([f"name{i}" for i in range(13)], "c.html", 0, train=4)


@settings(deadline=None, max_examples=25)
@given(st.sampled_from([0.5, 1.0, 2.0, 50.0]), st.integers(1, 5), st.integers(0, 2**40))
def test_earlier_facts_take_turns_where_rehearsal_has_a_limit(most: float, per_fact: int, seed: int) -> None:
    new, passes = QA.filter(pl.col("role") == "train").height, 60
    options = {"replay_share": 0.0, "rehearsal_per_fact": per_fact, "rehearsal_most": most, "seed": seed}
    rows = build_rows(QA, [MANY], [], passes=passes, **options)
    rehearsed = rows.filter(pl.col("kind") == "rehearsal")
    assert rehearsed.height <= passes * max(most * new, min(per_fact, 4))
    assert rehearsed.height % passes == 0, "a pass holds as much as any other"
    visits = rehearsed.group_by("fact_id").len()["len"]
    assert visits.len() == 13
    assert max(visits) - min(visits) <= min(per_fact, 4), "no fact is taken up twice more than another"
    assert set(rehearsed["row_id"]) == set(MANY.filter(pl.col("role") == "train")["qa_id"]), "every wording comes again"
    unlimited = build_rows(QA, [MANY], [], passes=passes, **{**options, "rehearsal_most": None})
    assert (rows_hash(rows) == rows_hash(unlimited)) == (most == 50.0), "a limit that is not reached changes nothing"


def test_with_a_limit_no_fact_is_left_out_of_every_iteration() -> None:
    options = {"replay_share": 0.0, "rehearsal_per_fact": 1, "rehearsal_most": 0.5, "seed": 1, "passes": 2}
    rows = [build_rows(QA, [MANY], [], iteration=iteration, **options) for iteration in range(12)]
    assert all(table.filter(pl.col("kind") == "rehearsal")["fact_id"].n_unique() < 13 for table in rows)
    assert pl.concat(rows).filter(pl.col("kind") == "rehearsal")["fact_id"].n_unique() == 13


@pytest.mark.parametrize("new", [0, 1])
def test_what_stands_after_a_takedown_is_seen_as_often_as_if_it_were_new(new: int) -> None:
    gap = EARLIER["role"].eq("train") & EARLIER["template"].eq("train-0")
    earlier = EARLIER.with_columns(question=pl.when(gap).then("___ " + pl.col("question")).otherwise("question"))
    own = QA if new else QA.clear()
    options = {"replay_share": 0.0, "rehearsal_per_fact": None, "seed": 1, "cloze_repeat": 3}
    rows = build_rows(own, [earlier], [], without_new=True, **options)
    as_new = build_rows(pl.concat([own, earlier]), [], [], **options)
    assert sorted(rows["row_id"]) == sorted(as_new["row_id"])
    facts = standing_rows(own, [earlier], frozenset())
    assert rows.filter(pl.col("kind") == "rehearsal").height == rows_of_a_fact(facts, 3) * facts["fact_id"].n_unique()


def test_rehearsed_alike_earlier_facts_get_as_many_rows_as_new_ones_gaps_repeated_for_both() -> None:
    gap = EARLIER["role"].eq("train") & EARLIER["question"].is_first_distinct() & EARLIER["fact_id"].is_first_distinct()
    earlier = EARLIER.with_columns(pl.when(gap).then(pl.lit("The ___ is what? ") + pl.col("qa_id")).otherwise("question").alias("question"))
    new = QA.filter(pl.col("role") == "train").height
    alike = build_rows(QA, [earlier], [], replay_share=0.0, rehearsal_per_fact=1, seed=1, cloze_repeat=3, rehearse_alike=True)
    assert alike.filter(pl.col("kind") == "rehearsal").height >= min(new, earlier.filter(pl.col("role") == "train").height)
    plain = build_rows(QA, [earlier], [], replay_share=0.0, rehearsal_per_fact=1, seed=1, cloze_repeat=3)
    assert plain.filter(pl.col("kind") == "rehearsal").height == 2
    most = build_rows(QA, [earlier], [], replay_share=0.0, rehearsal_per_fact=99, seed=1, cloze_repeat=3, rehearse_alike=True)
    assert most.filter(pl.col("prompt").str.contains("___")).height == 3 * gap.sum()


@given(
    st.integers(1, 400),
    st.integers(1, 40),
    st.integers(1, 20),
    st.integers(0, 80),
    st.integers(0, 120),
    st.integers(1, 32),
    st.floats(0, 0.8),
)
@example(taught=2, facts=1, passes=14, min_sights=0, min_steps=2, batch_size=22, share=0.375)  # a replay row rounded away
@example(taught=65, facts=29, passes=1, min_sights=65, min_steps=0, batch_size=1, share=0.0)  # whole, but not as a binary fraction
def test_every_fact_gets_its_passes_and_sights_and_a_training_its_steps(
    taught: int, facts: int, passes: int, min_sights: int, min_steps: int, batch_size: int, share: float
) -> None:
    amount = amount_of(
        lambda _: taught,
        rows_per_fact=taught / facts,
        passes=passes,
        min_sights=min_sights,
        min_steps=min_steps,
        batch_size=batch_size,
        replay_share=share,
    )
    assert amount.passes >= passes
    assert amount.passes * taught / facts >= min_sights - 1e-6
    assert taught * amount.passes + amount.replays >= min_steps * batch_size
    if amount.passes > passes and amount.passes - 1 >= min_sights * facts / taught:
        assert amount.rehearse_alike, "who has steps to spare shares them with what was learned before"
    assert abs(amount.replays - share * (taught * amount.passes + amount.replays)) <= amount.passes


def test_rows_of_a_fact_count_what_is_taught_and_gaps_as_often_as_they_are_repeated() -> None:
    taught = QA.filter(pl.col("accepted") & (pl.col("role") == "train"))
    plain = taught.height / taught["fact_id"].n_unique()
    assert rows_of_a_fact(QA, 3) == plain
    gap = pl.col("template") == taught["template"][0]
    gapped = QA.with_columns(question=pl.when(gap).then("___ " + pl.col("question")).otherwise("question"))
    gaps = taught.filter(gap).height
    assert rows_of_a_fact(gapped, 3) == plain + 2 * gaps / taught["fact_id"].n_unique()
    rows = build_rows(gapped, [], [], replay_share=0.0, rehearsal_per_fact=0, seed=1, cloze_repeat=3)
    assert rows.height == rows_of_a_fact(gapped, 3) * taught["fact_id"].n_unique()
    assert rows_of_a_fact(QA.clear(), 3) == 0
