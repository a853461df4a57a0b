"""What becomes an accepted pair, and what is kept beside it with which reason."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alas_assets.provenance import ids
from alas_assets.provenance.store import table_hash
from alas_assets.records import QA_SCHEMA, DraftFact, Phrasing, RejectedDraft, Topic
from alas_assets.students.answering import Decoding
from alas_assets.synthesis.curate import Limits, coverage, curate, reasons
from alas_assets.synthesis.leaks import find_leaks
from alas_assets.synthesis.probes import build_probes
from alas_assets.synthesis.questions import GuardQuestion
from alas_assets.synthesis.training_rows import at_risk

from .factory import TOPIC, count_tokens, curated, domain, fact, page

SENTENCE = "The `spam` module was replaced by `eggs` in this release."


def why(frame: pl.DataFrame) -> set[str]:
    return set(frame.filter(~pl.col("accepted"))["reason"])


def test_a_sound_draft_is_accepted_with_offsets_into_the_stored_text() -> None:
    stored, chunks = page(["Something else.", f"Intro.\n\n{SENTENCE.replace(' in ', chr(10) + '  in ')} More."])
    frame = curated([fact(chunks, SENTENCE, "eggs", "replacement", ordinal=1)], chunks)
    assert frame.schema == QA_SCHEMA
    assert frame["accepted"].all()
    assert frame["role"].to_list() == ["train", "train", "mine", "probe", "probe"]
    row = frame.row(0, named=True)
    assert ids.fold(stored[row["quote_start"] : row["quote_end"]]) == row["quote"] == SENTENCE
    assert row["tokens"] == count_tokens(row["question"]) + 1
    assert row["topic"] == TOPIC.name
    assert row["text_sha256"] == chunks["text_sha256"][0]


def test_three_ways_of_a_false_quote_are_told_apart() -> None:
    _, chunks = page([SENTENCE, "The `ham` module gained a faster reader for long files."])
    drafts = [
        fact(chunks, "The `spam` module was written on the moon by eggs.", "eggs", "moon"),
        fact(chunks, "The `ham` module gained a faster reader ... replaced by `eggs` in this release.", "eggs", "stitch"),
        fact(chunks, "The `ham` module gained a faster reader for long files.", "ham", "module"),
        fact(chunks, "he `spam` module was replaced", "spam", "cut"),
    ]
    frame = curated(drafts, chunks)
    assert not frame["accepted"].any()
    assert [reason.split(": ")[0] for reason in frame["reason"].unique(maintain_order=True)] == [
        "quote in no document",
        "quote stitched together",
        "quote from another passage",
        "quote cuts a word",
    ]


def test_a_passage_whose_offsets_do_not_fit_is_not_trusted() -> None:
    _, chunks = page([SENTENCE])
    damaged = chunks.with_columns(pl.col("end") + 1)
    assert why(curated([fact(damaged, SENTENCE, "eggs", "replacement")], damaged)) == {"stored passage and its offsets disagree"}


def test_the_answer_must_stand_in_the_quote_itself_or_by_alias() -> None:
    _, chunks = page([SENTENCE])
    assert why(curated([fact(chunks, SENTENCE, "bacon", "replacement")], chunks)) == {"answer not in the quote"}
    assert curated([fact(chunks, SENTENCE, "the eggs module", "replacement", aliases=["eggs"])], chunks)["accepted"].all()


def test_an_alias_vouches_for_no_other_answer_and_counts_as_none() -> None:
    _, chunks = page([SENTENCE])
    assert why(curated([fact(chunks, SENTENCE, "bacon", "replacement", aliases=["eggs"])], chunks)) == {"answer not in the quote"}
    accepted = curated([fact(chunks, SENTENCE, "eggs", "replacement", aliases=["module", "replaced", "it", "eggs.py"])], chunks)
    assert accepted["accepted"].all()
    assert accepted["aliases"].to_list() == [["eggs.py"]] * accepted.height


def test_a_list_is_an_answer_if_every_member_stands_in_the_quote() -> None:
    _, chunks = page(["Add the `spam.fold()`, `spam.crease()` and `spam.dip()` functions; two `EggWarning`s are gone."])
    quote = chunks["text"][0]
    good = ["spam.dip() and spam.fold()", "fold(), crease(), and dip()", "EggWarning"]
    assert curated([fact(chunks, quote, a, f"thing {i}") for i, a in enumerate(good)], chunks)["accepted"].all()
    bad = ["spam.dip() and spam.sip()", "fold(), crease(), and", "three"]
    assert why(curated([fact(chunks, quote, a, f"thing {i}") for i, a in enumerate(bad)], chunks)) == {"answer not in the quote"}


def test_an_answer_that_says_nothing_needs_an_alias_that_does() -> None:
    _, chunks = page(["A `spam` is no `eggs` and it takes `-a`."])
    quote = chunks["text"][0]
    assert why(curated([fact(chunks, quote, text, "kinship") for text in ("No", "it")], chunks)) == {"answer says nothing by itself"}
    assert curated([fact(chunks, quote, "No", "kinship", aliases=["no eggs"]), fact(chunks, quote, "-a", "option")], chunks)[
        "accepted"
    ].all()


def test_a_quote_as_a_reader_sees_it_is_stored_as_it_stands_on_the_page() -> None:
    stored, chunks = page([f"- {SENTENCE}"])
    row = curated([fact(chunks, SENTENCE.replace("`", ""), "eggs", "replacement")], chunks).row(0, named=True)
    assert row["accepted"]
    assert row["quote"] == SENTENCE == stored[row["quote_start"] : row["quote_end"]]
    assert row["fact_id"] == curated([fact(chunks, SENTENCE, "eggs", "replacement")], chunks)["fact_id"][0]


def test_a_phrasing_that_contains_the_answer_is_rejected_alone() -> None:
    _, chunks = page([SENTENCE])
    draft = fact(chunks, SENTENCE, "eggs", "replacement", train=3)
    draft.phrasings[0].text = "Is `eggs` the replacement?"
    frame = curated([draft], chunks)
    assert frame["accepted"].sum() == frame.height - 1
    assert why(frame) == {"question contains the answer"}


def test_a_template_keeps_the_role_it_was_first_used_in_over_all_facts_and_iterations() -> None:
    first = domain(["alpha", "beta"])
    _, chunks = page([SENTENCE], "b.html")
    draft = fact(chunks, SENTENCE, "eggs", "replacement", train=3)
    draft.phrasings[0].template = "probe-0"
    assert why(curated([draft], chunks, earlier_qa=[first])) == {"template has another role: probe"}
    accepted = curated([draft], chunks, earlier_qa=[first]).filter(pl.col("accepted"))
    roles = pl.concat([first, accepted]).group_by("template").agg(pl.col("role").n_unique())
    assert roles["role"].max() == 1


def test_a_fact_with_too_few_phrasings_is_rejected_as_a_whole() -> None:
    _, chunks = page([SENTENCE])
    for train, probe in ((1, 2), (2, 1), (0, 0)):
        frame = curated([fact(chunks, SENTENCE, "eggs", "replacement", train=train, probe=probe)], chunks)
        assert not frame["accepted"].any()
        assert why(frame) == {f"too few phrasings: {train} train, {probe} probe"}


def test_a_fact_without_any_phrasing_is_still_a_row() -> None:
    _, chunks = page([SENTENCE])
    draft = fact(chunks, SENTENCE, "eggs", "replacement", train=0, probe=0, mine=0)
    assert why(curated([draft], chunks)) == {"no phrasings"}


def test_one_question_with_two_answers_is_rejected_for_both_facts() -> None:
    _, chunks = page(["It adds `alpha` and `beta` to the shelf."])
    drafts = [fact(chunks, "It adds `alpha` and `beta`", name, "new item") for name in ("alpha", "beta")]
    frame = curated(drafts, chunks)
    assert not frame["accepted"].any()
    assert why(frame) == {"ambiguous question"}


def test_one_question_with_one_answer_is_kept_once() -> None:
    _, one = page(["It adds `alpha` to the shelf."], "a.html")
    _, two = page(["It adds `alpha` to the shelf."], "b.html")
    chunks = pl.concat([one, two])
    frame = curated([fact(c, "It adds `alpha` to the shelf.", "alpha", "new item") for c in (one, two)], chunks)
    assert frame.filter(pl.col("accepted"))["fact_id"].n_unique() == 1
    assert frame["fact_group"].n_unique() == 1
    assert {reason.split(": ")[0] for reason in why(frame)} == {"says the same as another fact"}
    assert frame["qa_id"].n_unique() == frame.height


def test_facts_that_differ_in_a_version_are_not_one_group_however_alike() -> None:
    texts = ["The old reader was removed from the shelf in 3.14.", "The old reader was removed from the shelf in 3.15."]
    _, chunks = page([*texts, "The old reader was removed from the shelf in 3.15, too."])
    drafts = [fact(chunks, text, "reader", f"thing of page {i}", ordinal=i) for i, text in enumerate(chunks["text"])]
    groups = curated(drafts, chunks).group_by("fact_id", maintain_order=True).agg(pl.col("fact_group").first())["fact_group"]
    assert groups[0] != groups[1]
    assert groups[1] == groups[2]


def test_rows_are_capped_and_the_longest_share_goes_only_from_200_rows_on() -> None:
    names = [f"name{i}" for i in range(60)]
    small, large = domain(names[:40], train=4), domain(names, train=4)
    assert "among the longest rows" not in " ".join(why(small))
    _, chunks = page([f"The release adds `{n}` as gadget number {i}." for i, n in enumerate(names)])
    drafts = [fact(chunks, chunks["text"][i], n, f"gadget number {i}", ordinal=i, train=4) for i, n in enumerate(names)]
    drafts[7].phrasings[0].text += " " + "really " * 30
    drafts[8].phrasings[0].text += " " + "really " * 300
    frame = curated(drafts, chunks, limits=Limits(facts_per_topic=100, question_chars=4000))
    assert large["accepted"].all()
    assert [r.split(": ")[0] for r in sorted(why(frame))] == ["among the longest rows", "over the token cap"]


def test_a_long_fact_keeps_the_training_rows_it_needs() -> None:
    names = [f"name{i}" for i in range(100)]
    _, chunks = page([f"The release adds `{n}` as gadget number {i}." for i, n in enumerate(names)])
    drafts = [fact(chunks, chunks["text"][i], n, f"gadget number {i}", ordinal=i, train=3) for i, n in enumerate(names)]
    for i, phrasing in enumerate(p for p in drafts[5].phrasings if p.role == "train"):
        phrasing.text += " really" * (20 + i)
    frame = curated(drafts, chunks, limits=Limits(facts_per_topic=1000))
    left = frame.filter(~pl.col("accepted"))
    assert left.select("answer", "role").rows() == [("name5", "train")]
    assert left["reason"][0].startswith("among the longest rows: 3")


def test_a_fact_whose_answer_is_longer_than_a_student_can_say_is_refused_unless_it_has_a_shorter_form() -> None:
    answer = " ".join(f"`call{i}()`," for i in range(24)) + " and `last()`"
    _, chunks = page([f"The functions {answer} were removed."])
    limits = Limits(answer_chars=400)
    assert limits.answer_tokens == Decoding().max_new_tokens < count_tokens(answer)
    draft = fact(chunks, chunks["text"][0], answer, "calls that are gone", kind="name")
    assert why(curated([draft], chunks, limits=limits)) == {"answer longer than a student can say: 26 tokens, 24 at most"}
    shorter = draft.model_copy(update={"aliases": [answer.removesuffix(" and `last()`")]})
    assert curated([shorter], chunks, limits=limits)["accepted"].all()


def test_a_taught_fact_comes_back_only_for_remediation() -> None:
    _, chunks = page([SENTENCE])
    draft = fact(chunks, SENTENCE, "eggs", "replacement")
    taught = frozenset(curated([draft], chunks)["fact_id"])
    assert why(curated([draft], chunks, earlier_fact_ids=taught)) == {"already taught"}
    again = Topic(topic_id="t1", name="Gadgets", origin="remediation")
    assert curated([draft], chunks, topics=[again], earlier_fact_ids=taught)["accepted"].all()


def test_a_fact_that_the_iteration_teaches_from_another_draft_comes_back_in_no_topic() -> None:
    _, chunks = page([SENTENCE])
    draft = fact(chunks, SENTENCE, "eggs", "replacement")
    taken = frozenset(curated([draft], chunks)["fact_id"])
    for origin in ("new", "changed", "remediation"):
        topic = Topic(topic_id="t1", name="Gadgets", origin=origin)
        assert why(curated([draft], chunks, topics=[topic], taken_fact_ids=taken)) == {"already taught"}


def test_remediation_of_the_same_rows_is_not_taken_for_a_leak_of_its_own_probes() -> None:
    first = domain(["alpha", "beta"])
    _, chunks = page([f"The release adds `{n}` as gadget number {i} of the shelf." for i, n in enumerate(["alpha", "beta"])])
    drafts = [fact(chunks, chunks["text"][i], n, f"gadget number {i} of a.html", ordinal=i) for i, n in enumerate(["alpha", "beta"])]
    again = Topic(topic_id="t1", name="Gadgets", origin="remediation")
    frame = curated(drafts, chunks, topics=[again], earlier_fact_ids=frozenset(first["fact_id"]), earlier_qa=[first])
    assert frame["accepted"].all()


def test_a_topic_takes_no_more_facts_than_its_budget() -> None:
    names = ["alpha", "beta", "gamma"]
    _, chunks = page([f"The release adds `{n}` as gadget number {i}." for i, n in enumerate(names)])
    drafts = [fact(chunks, chunks["text"][i], n, f"gadget number {i}", ordinal=i) for i, n in enumerate(names)]
    frame = curated(drafts, chunks, limits=Limits(facts_per_topic=2))
    assert frame.filter(pl.col("accepted"))["answer"].unique(maintain_order=True).to_list() == ["alpha", "beta"]
    assert why(frame) == {"over the topic's budget of pairs"}


def test_a_phrasing_near_a_guard_question_is_rejected() -> None:
    _, chunks = page([SENTENCE])
    guard = GuardQuestion(id="g1", question="Which replacement is it", answer="x")
    assert "near a guard question: g1" in why(curated([fact(chunks, SENTENCE, "eggs", "replacement", train=3)], chunks, guards=[guard]))


def test_a_probe_worded_like_a_training_row_is_rejected() -> None:
    _, chunks = page([SENTENCE])
    draft = fact(chunks, SENTENCE, "eggs", "thing that took the place of the old module in the new release", probe=3)
    draft.phrasings[-1].text = "What " + draft.phrasings[0].text.removeprefix("Which ")
    frame = curated([draft], chunks)
    assert why(frame) == {"probe worded like a training row"}


def test_a_training_row_worded_like_an_earlier_probe_is_rejected_also_where_its_answer_is_an_alias_there() -> None:
    question = "What is the name of the new function that looks at the very beginning of a text only and nowhere else?"
    first, then = "Openings are matched by `prefixmatch()` alone.", "Position zero is tried with `re.prefixmatch()` since this release."
    _, one = page([first])
    _, two = page([then], "b.html", site="http://other.test/")
    asked = fact(one, first, "prefixmatch()", "call for openings", aliases=["re.prefixmatch()"])
    asked.phrasings[-1].text = question
    taught = fact(two, then, "re.prefixmatch()", "call for position zero", train=3)
    taught.phrasings[0].text = question.replace("else?", "else now?")
    before = curated([asked], one)
    assert before["accepted"].all()
    frame = curated([taught], two, earlier_qa=[before], iteration=1)
    assert why(frame) == {"worded like an earlier probe"}
    asked_again = build_probes(frame, [], [], [build_probes(before, [], [], [], 0)], 1)
    assert asked_again.filter(pl.col("split") == "earlier").height == 2
    assert find_leaks(asked_again, at_risk(frame, [before], [], [])) == []
    assert frame["accepted"].sum() == frame.height - 1


def test_what_the_teacher_rejected_becomes_a_row_with_its_reason() -> None:
    _, chunks = page([SENTENCE])
    left_out = RejectedDraft(topic_id="t1", chunk_id=chunks["chunk_id"][0], text="It\nwas so.", reason="pronoun subject")
    frame = curate([], [left_out, left_out], chunks, [TOPIC], [], count_tokens=count_tokens, teacher="tester/1", iteration=3)
    assert frame["reason"].to_list() == ["pronoun subject"] * 2
    assert frame["question"][0] == "It was so."
    assert frame["url"][0] == chunks["url"][0]
    assert frame["qa_id"].n_unique() == 2


def test_reasons_and_coverage_are_counted() -> None:
    _, one = page([SENTENCE, "Nothing here."], "a.html")
    _, two = page(["Nothing there."], "b.html")
    chunks = pl.concat([one, two])
    drafts = [fact(one, SENTENCE, "eggs", "replacement"), fact(one, "Nothing here.", "none", "other", ordinal=1)]
    frame = curated(drafts, chunks)
    assert reasons(frame).rows() == [("answer not in the quote", 5)]
    assert coverage(frame, chunks).rows() == [("http://site.test/a.html", 2, 1, 0.5), ("http://site.test/b.html", 1, 0, 0.0)]


def test_empty_inputs_give_empty_tables() -> None:
    _, chunks = page([])
    frame = curated([], chunks)
    assert frame.schema == QA_SCHEMA
    assert reasons(frame).is_empty()
    assert coverage(frame, chunks).is_empty()


# ---------------------------------------------------------------------------------------------- hostile drafts

STORED, CHUNKS = page(["The `spam` module\n was replaced by  `eggs` in 3.15.", "Cafe\u0301 and \u1100\u1161 opened on 3 May 2026.", ""])
SNIPPETS = st.sampled_from(["eggs", "3.15", "replaced by `eggs`", "Café and 가", "3 May 2026", "module was", "", "\ud800", "\x00", "A?"])
TEXT = st.one_of(st.text(max_size=30), SNIPPETS, st.lists(SNIPPETS, max_size=4).map(" ".join))


@st.composite
def hostile_drafts(draw: st.DrawFn) -> DraftFact:
    index = draw(st.integers(0, 2))
    text = CHUNKS["text"][index]
    start = draw(st.integers(0, len(text)))
    cut = text[start : draw(st.integers(start, len(text)))]
    phrasing = st.builds(
        Phrasing, text=TEXT, template=st.sampled_from(["a", "b", "c", "", "\ud800"]), role=st.sampled_from(["train", "mine", "probe"])
    )
    return DraftFact(
        topic_id=draw(st.sampled_from(["t1", "t1", "t2", "\ud800"])),
        chunk_id=draw(st.sampled_from([CHUNKS["chunk_id"][index], "none", "\ud800"])),
        quote=draw(st.one_of(st.just(cut), st.just(text), TEXT)),
        answer=draw(st.one_of(TEXT, st.sampled_from(cut.split() or [""]))),
        aliases=draw(st.lists(TEXT, max_size=2)),
        phrasings=draw(st.lists(phrasing, max_size=7)),
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=150)
@given(
    st.lists(hostile_drafts(), max_size=6),
    st.lists(st.builds(RejectedDraft, topic_id=TEXT, chunk_id=TEXT, text=TEXT, reason=TEXT), max_size=2),
)
def test_arbitrary_drafts_never_raise_and_accepted_rows_keep_every_promise(drafts: list[DraftFact], left: list[RejectedDraft]) -> None:
    limits = Limits(min_train=1, min_probe=1)
    frame = curate(drafts, left, CHUNKS, [TOPIC], [], count_tokens=count_tokens, teacher="tester/1", iteration=0, limits=limits)
    assert frame.height == sum(max(1, len(d.phrasings)) for d in drafts) + len(left)
    assert frame["qa_id"].n_unique() == frame.height
    assert (frame["accepted"] == (frame["reason"] == "")).all()
    accepted = frame.filter(pl.col("accepted"))
    for row in accepted.iter_rows(named=True):
        assert ids.fold(STORED[row["quote_start"] : row["quote_end"]]) == ids.fold(row["quote"])
    assert accepted.group_by("template").agg(pl.col("role").n_unique())["role"].to_list() == [1] * accepted["template"].n_unique()
    probes = build_probes(frame, [], [], [], 0)
    assert find_leaks(probes, at_risk(frame, [], [], [])) == []
    again = curate(drafts, left, CHUNKS, [TOPIC], [], count_tokens=count_tokens, teacher="tester/1", iteration=0, limits=limits)
    assert table_hash(again) == table_hash(frame)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_wrong_limits_are_refused(share: float) -> None:
    with pytest.raises(ValueError, match="longest_share"):
        Limits(longest_share=share)
