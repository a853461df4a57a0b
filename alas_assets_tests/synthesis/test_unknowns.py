"""Unanswerable questions: invented names only, never a real one, apart from what is trained, the same for the same seed."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.evaluation.grading import validate_grader
from alas_assets.provenance import ids
from alas_assets.records import CHUNK_SCHEMA, PROBE_SCHEMA, TRAIN_ROW_SCHEMA, UNKNOWN, empty
from alas_assets.synthesis.leaks import find_leaks
from alas_assets.synthesis.probes import build_probes
from alas_assets.synthesis.questions import GuardQuestion, ReplayPrompt
from alas_assets.synthesis.training_rows import at_risk, build_rows, rows_hash
from alas_assets.synthesis.unknowns import (
    DECLINED,
    MAX_PROBES,
    MIN_PROBES,
    VARIANTS,
    Known,
    known_texts,
    side_of,
    unknown_probes,
    unknown_rows,
)
from alas_assets.synthesis.wording import mentions

from .factory import curated, domain, fact, page

NAMES = [
    "PEP 810",
    "CVE-2026-12345",
    "gh-104211",
    "quill.fold()",
    "SheetError",
    "set_depth()",
    "--no-cache",
    "`hurry`",
    "__lazy__",
    "os.O_INK",
]
TEXTS = [f"Item {i}: {name} needs the widget{i} to work at all." for i, name in enumerate(NAMES)]
_, CHUNKS = page(TEXTS)
QA = curated([fact(CHUNKS, text, f"widget{i}", f"widget that {NAMES[i]} needs", ordinal=i) for i, text in enumerate(TEXTS)], CHUNKS)
GUARDS = [GuardQuestion(id="g", question="Which planet is the largest one?", answer="Jupiter")]
REPLAY = [ReplayPrompt(id="r", prompt="Write a line about the sea.")]
KNOWN = known_texts(CHUNKS, [QA], GUARDS, REPLAY)
ROWS = unknown_rows(QA, KNOWN, GUARDS, seed=1)
APART = [GUARDS[0].question, REPLAY[0].prompt]


def probes_of(rows: pl.DataFrame = ROWS, seed: int = 1) -> pl.DataFrame:
    return unknown_probes(QA, KNOWN, rows, APART, iteration=0, seed=seed)


def invented(question: str, source: str) -> set[str]:
    """Return the words and numbers of a question that its source does not hold."""
    return set(re.findall(r"[A-Za-z]+|\d+", question)) - set(re.findall(r"[A-Za-z]+|\d+", source))


def questions() -> list[tuple[str, str]]:
    source = dict(QA.select("qa_id", "question").iter_rows())
    rows = [(row["prompt"], source[ids.pair_of_unknown(row["row_id"])]) for row in ROWS.to_dicts()]
    return rows + [(probe["question"], source[probe["qa_id"]]) for probe in probes_of().to_dicts()]


def test_every_kind_of_name_is_exchanged() -> None:
    trained = QA.filter(pl.col("accepted") & (pl.col("role") == "train"))
    assert trained["fact_id"].n_unique() == len(NAMES)
    assert {ids.pair_of_unknown(row) for row in ROWS["row_id"]} == set(trained["qa_id"])
    assert ROWS.height == VARIANTS * trained.height


def test_what_is_invented_stands_in_nothing_that_was_read_and_the_real_name_is_gone() -> None:
    corpus = "\n".join([*CHUNKS["text"], *QA["question"], *QA["answer"], *QA["quote"], *APART]).casefold()
    for question, source in questions():
        new = invented(question, source)
        assert new, question
        assert not [piece for piece in new if piece.casefold() in corpus]
        name = next(name.strip("`").removesuffix("()") for name in NAMES if name in source or name.strip("`") in source)
        assert not mentions(question, name)


def test_an_invented_name_has_the_shape_of_the_real_one() -> None:
    shapes = {
        r"PEP [4-7]\d{3}\b", r"CVE-2026-\d{5}\b", r"gh-\d{6}\b", r"quill\.[a-z]{5,}\(\)", r"\b[A-Z][a-z]{4,}Error\b", r"set_[a-z]{5,}\(\)",
        r"--no-[a-z]{5,}", r"`[a-z]{5,}`", r"\b__[a-z]{5,}__\b", r"os\.O_[A-Z]{5,}",
    }  # fmt: skip
    for shape in shapes:
        assert ROWS.filter(pl.col("prompt").str.contains(shape)).height >= VARIANTS, shape


def test_the_only_answer_is_not_to_know_and_no_fact_is_claimed() -> None:
    assert ROWS.schema == TRAIN_ROW_SCHEMA
    assert set(ROWS["completion"]) == {DECLINED}
    assert set(ROWS["kind"]) == {UNKNOWN}
    assert set(ROWS["fact_id"]) == {""}
    assert not set(probes_of()["fact_id"]) & set(QA["fact_id"])
    assert validate_grader(probes_of().to_dicts()) == []


@given(st.integers(0, 2**40))
def test_equal_inputs_give_equal_questions_whatever_their_order(seed: int) -> None:
    rows = unknown_rows(QA, KNOWN, GUARDS, seed=seed)
    assert rows.equals(unknown_rows(QA.reverse(), KNOWN, GUARDS, seed=seed))
    assert probes_of(rows, seed).equals(unknown_probes(QA.reverse(), KNOWN, rows.reverse(), APART, iteration=0, seed=seed))


def test_another_seed_invents_other_names() -> None:
    assert not set(ROWS["prompt"]) & set(unknown_rows(QA, KNOWN, GUARDS, seed=2)["prompt"])


@given(st.integers(0, 2**40))
def test_nothing_asked_is_trained_neither_its_names_nor_its_wording(seed: int) -> None:
    rows = unknown_rows(QA, KNOWN, GUARDS, seed=seed)
    asked = probes_of(rows, seed)
    assert find_leaks(build_probes(QA, GUARDS, [], [], 0, unknown=asked), at_risk(QA, [], REPLAY, GUARDS, unknown=rows)) == []
    known = set(re.findall(r"[A-Za-z]+|\d+", " ".join([*QA["question"]])))
    trained, held_out = (
        {piece for text in texts for piece in re.findall(r"[A-Za-z]+|\d+", text)} - known for texts in (rows["prompt"], asked["question"])
    )
    assert trained
    assert held_out
    assert not trained & held_out
    assert not set(asked["template"]) & set(QA.filter(pl.col("role") == "train")["template"])


def test_a_leak_check_sees_an_unanswerable_question_that_is_trained() -> None:
    asked = probes_of()
    trained = pl.DataFrame([{**ROWS.row(0, named=True), "prompt": asked["question"][0]}], schema=TRAIN_ROW_SCHEMA)
    leaks = find_leaks(build_probes(QA, GUARDS, [], [], 0, unknown=asked), at_risk(QA, [], [], GUARDS, unknown=trained))
    assert [leak.kind for leak in leaks] == ["equals a training row"]
    assert leaks[0].row_kind == UNKNOWN


def test_at_least_twenty_are_asked_where_the_facts_allow_and_never_more_than_forty() -> None:
    asked = probes_of()
    wordings = QA.filter(pl.col("accepted") & (pl.col("role") == "probe")).height
    assert asked.height == max(MIN_PROBES, min(wordings, MAX_PROBES))
    assert asked["question"].n_unique() == asked.height
    few = QA.filter(pl.col("answer") == "widget0")
    again = unknown_probes(few, KNOWN, ROWS, APART, iteration=0, seed=1)
    assert again.height == 2 * VARIANTS
    assert again["fact_group"].n_unique() == 2


def test_questions_that_name_nothing_or_only_their_place_give_none() -> None:
    nameless = domain(["alpha", "beta"])
    assert unknown_rows(nameless, Known([]), [], seed=1).is_empty()
    place = QA.with_columns(quote=pl.lit("It needs the widget."))
    rows = unknown_rows(place, KNOWN, GUARDS, seed=1)
    assert {ids.pair_of_unknown(row) for row in rows["row_id"]} <= set(place.filter(pl.col("question").str.contains("CVE"))["qa_id"])


def test_english_words_that_a_page_has_in_code_style_are_no_names() -> None:
    text = "The `block` of a `try` needs the widget to work at all."
    _, chunks = page([text])
    pairs = curated([fact(chunks, text, "widget", "thing that the block of a try needs")], chunks)
    assert unknown_rows(pairs, Known([]), [], seed=1).is_empty()


def test_a_question_near_a_guard_is_not_trained() -> None:
    near = GuardQuestion(id="n", question=ROWS["prompt"][0], answer="x")
    assert ROWS["prompt"][0] not in set(unknown_rows(QA, KNOWN, [near], seed=1)["prompt"])


def test_rejected_pairs_and_all_kinds_of_text_count_as_read() -> None:
    rejected = QA.with_columns(accepted=pl.lit(False), question=pl.lit("Is zorbvex real?"))
    known = known_texts(empty(CHUNK_SCHEMA), [rejected], GUARDS, REPLAY)
    assert all(known.holds(piece) for piece in ("zorbvex", "ZORB", "jupiter", "sea", "810"))
    assert not known.holds("zorbvexx")


def test_where_no_name_is_free_none_is_made_up() -> None:
    class Everything(Known):
        def holds(self, piece: str) -> bool:
            return True

    assert unknown_rows(QA, Everything([]), GUARDS, seed=1).is_empty()


@given(st.text(max_size=200), st.text(max_size=60))
def test_any_foreign_question_gives_rows_or_none_and_no_error(question: str, name: str) -> None:
    pairs = QA.head(1).with_columns(
        question=pl.lit(f"{question} {name}()".encode("utf-8", "replace").decode()),
        quote=pl.lit(name.encode("utf-8", "replace").decode()),
        role=pl.lit("train"),
        accepted=pl.lit(True),
    )
    rows = unknown_rows(pairs, Known([question, name]), GUARDS, seed=1)
    assert set(rows["completion"]) <= {DECLINED}


@given(st.floats(0, 0.5), st.integers(1, 5), st.integers(0, 2**40))
def test_the_share_is_kept_over_all_passes(share: float, passes: int, seed: int) -> None:
    options = {"replay_share": 0.0, "rehearsal_per_fact": 1, "seed": seed, "passes": passes, "word_dropout": 0.5}
    rows = build_rows(QA, [domain(["delta"], "b.html")], [], unknown=ROWS, unknown_share=share, **options)  # pyright: ignore[reportArgumentType]
    taught = rows.filter(pl.col("kind") != UNKNOWN).height
    assert abs(rows.filter(pl.col("kind") == UNKNOWN).height - share * taught) <= 0.5
    assert set(rows.filter(pl.col("kind") == UNKNOWN)["prompt"]) <= set(ROWS["prompt"])  # no word is left out of them
    assert rows_hash(rows) == rows_hash(
        build_rows(QA, [domain(["delta"], "b.html")], [], unknown=ROWS.reverse(), unknown_share=share, **options)
    )  # pyright: ignore[reportArgumentType]


@given(st.integers(0, 2**40), st.integers(1, 3))
def test_without_a_share_the_rows_are_those_of_before(seed: int, passes: int) -> None:
    replay = [(prompt, "Waves.") for prompt in REPLAY]
    options = {
        "replay_share": 0.3,
        "rehearsal_per_fact": 1,
        "seed": seed,
        "passes": passes,
        "cloze_repeat": 2,
        "word_dropout": 0.2,
        "batch_size": 4,
    }
    plain = build_rows(QA, [], replay, **options)  # pyright: ignore[reportArgumentType]
    assert rows_hash(plain) == rows_hash(build_rows(QA, [], replay, unknown=ROWS, unknown_share=0.0, **options))  # pyright: ignore[reportArgumentType]


def test_each_pass_takes_the_next_questions() -> None:
    rows = build_rows(QA, [], [], replay_share=0.0, rehearsal_per_fact=0, seed=1, passes=5, unknown=ROWS, unknown_share=0.1)
    taught = rows.filter(pl.col("kind") == UNKNOWN)
    assert taught.height == round(0.1 * 5 * QA.filter(pl.col("accepted") & (pl.col("role") == "train")).height)
    assert taught["row_id"].n_unique() == taught.height


def test_a_share_with_nothing_to_draw_from_teaches_the_facts_alone() -> None:
    rows = build_rows(QA, [], [], replay_share=0.0, rehearsal_per_fact=0, seed=1, unknown=TRAIN_ROW_SCHEMA.to_frame(), unknown_share=0.2)
    assert set(rows["kind"]) == {"fact"}
    with pytest.raises(ValueError, match="unknown_share is 1"):
        build_rows(QA, [], [], replay_share=0.0, rehearsal_per_fact=0, seed=1, unknown=ROWS, unknown_share=1.0)


def test_unanswerable_questions_are_not_asked_again_later() -> None:
    before = build_probes(QA, GUARDS, [], [], 0, unknown=probes_of())
    assert before.filter(pl.col("split") == UNKNOWN).height == probes_of().height
    later = build_probes(domain(["omega"], "c.html", 1), GUARDS, [], [before], 1)
    assert set(later["split"]) == {"probe", "guard", "earlier"}
    assert before.schema == PROBE_SCHEMA


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=1))
def test_an_invented_piece_is_for_training_or_for_asking_for_good(piece: str) -> None:
    assert side_of(piece) == side_of(piece)
    assert side_of(piece) in ("train", "probe")
