"""The writer against a scripted endpoint: what is asked, asked again, rejected, and what curation makes of it (S1-S4, S3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.records import Topic
from alas_assets.synthesis.curate import Limits, curate
from alas_assets.synthesis.writing import studied
from alas_assets.teachers.endpoint.calls import BudgetSpentError, EndpointError, ModelCall, ModelReply
from alas_assets.teachers.llm import Hooks, Trouble
from alas_assets.teachers.llm.prompts import Form
from alas_assets.teachers.llm.reading.shapes import PARAPHRASE, WRITE
from alas_assets.teachers.llm.writing import kind_of
from alas_assets.teachers.protocol import Assignment
from alas_assets_tests.synthesis.factory import count_tokens, page
from alas_assets_tests.teachers.llm.scripted import FORMS, FRAME_CHARS, ScriptedAsker, blocks, form_of, render, teacher, texts, unanswered

NAMES = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "islet", "jetty", "knoll", "lagoon"]
SENTENCE = "Quill 3.2 adds the `--{}` flag, which prints part {} of the plan."
ASKED = [
    "Which flag of Quill 3.2 prints part {} of the plan?",
    "I want to see piece {} of a Quill 3.2 plan; what do I pass?",
    "Quill 3.2: name the option for plan part {}.",
    "Seeing section {} of what Quill 3.2 intends takes which switch?",
    "What must be typed in Quill 3.2 to have share {} of the plan on screen?",
    "For plan portion {}, which new command-line argument does Quill 3.2 offer?",
    "Part number {} of a plan appears in Quill 3.2 thanks to what?",
    "Somebody upgrades to Quill 3.2 wishing for fragment {}; tell them the flag.",
    "By what option is slice {} shown since Quill 3.2?",
    "Give the argument behind plan element {} in version 3.2 of Quill.",
]


def assignment(count: int = 4, topic: str = "t1", name: str = "a.html", heading: str | None = None) -> Assignment:
    _, chunks = page([SENTENCE.format(NAMES[i], i) for i in range(count)], name, title="Quill 3.2")
    return Assignment(Topic(topic_id=topic, name=f"Flags {topic}", urls=chunks["url"].unique().to_list(), heading=heading), chunks)


def pair(number: int, text: str, phrasings: int = 9, **more: Any) -> dict[str, Any]:
    """Return the pair that a good writer makes of a passage of this test."""
    found = re.search(r"`(--\w+)` flag, which prints part (\d+)", text)
    assert found is not None
    flag, part = found.groups()
    return {
        "passage": number,
        "question": ASKED[0].format(part),
        "answer": f"It is {flag}.",
        "short_answer": flag,
        "aliases": [],
        "category": "factual",
        "difficulty": "Easy",
        "rationale": "new",
        "quote": text.strip(),
        "phrasings": [asked.format(part) for asked in ASKED[1 : phrasings + 1]],
        **more,
    }


def good(call: ModelCall, phrasings: int = 9) -> str:
    """Answer as a good writer does, as many pairs as asked for."""
    if call.purpose == "paraphrase":
        more = [
            {"item": number, "phrasings": [asked.format(part_of(text)) for asked in ASKED[1:]]}
            for number, text in texts(call, "question").items()
        ]
        return render(more, form_of(call), PARAPHRASE)
    most = int(re.search(r"at most (\d+) pairs", call.user)[1])  # type: ignore[index]
    pairs = [pair(number, text, phrasings) for number, text in texts(call, "passage").items()]
    return render(pairs[:most], form_of(call), WRITE)


def part_of(question: str) -> str:
    return re.search(r"part (\d+)", question)[1]  # type: ignore[index]


def curated(result: Any, given_: Assignment) -> pl.DataFrame:
    return curate(
        result.facts,
        result.rejected,
        given_.passages,
        [given_.topic],
        [],
        count_tokens=count_tokens,
        teacher="t",
        iteration=0,
        limits=Limits(facts_per_topic=100),
    )


@pytest.mark.parametrize("form", [*FORMS, "schema"])
def test_what_a_good_writer_says_is_accepted_by_curation_in_every_form(form: Form) -> None:
    given_, asker = assignment(), ScriptedAsker(good)
    [result] = teacher(asker, form).write([given_], 10, 6)
    table = curated(result, given_)
    assert table.filter("accepted")["fact_id"].n_unique() == 4
    assert table.filter(~pl.col("accepted")).is_empty(), table.filter(~pl.col("accepted"))["reason"]
    assert table.filter("accepted")["role"].value_counts().sort("role").rows() == [("mine", 4), ("probe", 12), ("train", 24)]
    assert len(asker.batches) == 1


def test_calls_of_all_topics_go_out_in_one_batch_and_results_keep_their_order() -> None:
    all_given = [assignment(topic=f"t{i}", name=f"{i}.html") for i in range(5)]
    asker = ScriptedAsker(good)
    results = teacher(asker).write(all_given, 10, 6)
    assert [len(batch) for batch in asker.batches] == [5]
    assert [{fact.topic_id for fact in result.facts} for result in results] == [{f"t{i}"} for i in range(5)]


def test_the_answer_schema_is_sent_only_where_the_server_enforces_it() -> None:
    asker = ScriptedAsker(good)
    for form in ("schema", "json"):
        teacher(asker, form).write([assignment()], 10, 6)
    assert [call.answer_schema is not None for call in asker.calls] == [True, False]


def test_passages_are_packed_by_size_and_no_call_is_larger_than_promised() -> None:
    _, chunks = page(["word " * 180 + SENTENCE.format(NAMES[i % 12], i) for i in range(40)], title="Quill " + "long " * 200)
    topic = Topic(topic_id="t", name="n " * 500, summary="s " * 5_000, objectives=["o " * 2_000] * 50, urls=["u"])
    asker = ScriptedAsker(good)
    teacher(asker, page_chars=3_000).write([Assignment(topic, chunks)], 10, 6)
    assert len(asker.calls) == 10
    for call in asker.calls:
        assert len(call.system) + len(call.user) <= 3_000 + FRAME_CHARS
        assert sum(len(text) for kind, _, _, text in blocks(call) if kind == "passage") <= 3_000


def test_a_passage_that_is_longer_than_a_call_is_shown_in_pieces_and_cited_as_one() -> None:
    text = "word " * 400 + SENTENCE.format("amber", 0)
    _, chunks = page([text])
    given_ = Assignment(Topic(topic_id="t1", name="n", urls=["u"]), chunks)

    def answer(call: ModelCall) -> str:
        found = [pair(number, text[text.index("Quill") :]) for number, text in texts(call, "passage").items() if "amber" in text]
        return render(found, "json", WRITE)

    [result] = teacher(ScriptedAsker(answer), page_chars=600).write([given_], 50, 6)
    assert curated(result, given_).filter("accepted")["fact_id"].n_unique() == 1


def test_passages_that_are_not_shown_are_named() -> None:
    _, chunks = page(["word " * 150 + SENTENCE.format(NAMES[i], i) for i in range(12)])
    [result] = teacher(ScriptedAsker(good), page_chars=1_000).write([Assignment(assignment().topic, chunks)], 3, 6)
    assert len(result.facts) == 3
    assert sum("not shown" in draft.reason for draft in result.rejected) == 9


def test_only_a_passage_that_was_shown_and_answered_counts_as_studied() -> None:
    _, chunks = page(["word " * 150 + SENTENCE.format(NAMES[i], i) for i in range(12)])
    given_ = Assignment(assignment().topic, chunks)
    answers: dict[str, str | ModelReply] = {
        "amber": unanswered(failure="HTTP 500"),
        "birch": unanswered("length"),
        "grove": "I am sorry.",
        "delta": '{"pairs": []}',
        "ember": '{"pairs": [{"passage": 1, "question": "What"}]}',
    }

    def answer(call: ModelCall) -> str | ModelReply:
        if call.purpose == "paraphrase":
            return good(call)
        return next((said for name, said in answers.items() if name in call.user), None) or good(call)

    [result] = teacher(ScriptedAsker(answer), page_chars=1_000).write([given_], 8, 6)
    pairs = curated(result, given_)
    known = studied([pairs], "t")
    assert {name for name, chunk in zip(NAMES, chunks["chunk_id"], strict=True) if chunk in known} == {
        "delta",  # answered, without a fact
        *("heath", "jetty", "knoll"),
    }
    failed = pairs.filter(pl.col("reason").str.starts_with("not studied"))
    assert failed["chunk_id"].n_unique() == 12 - len(known)
    assert studied([pairs], "another") == set()


@pytest.mark.parametrize("bad", [{"category": "fact"}, {"difficulty": ""}, {"quote": ""}, {"passage": "first"}], ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_a_passage_whose_answer_cannot_be_used_is_not_studied_and_nobody_says_that_it_holds_no_fact(bad: dict, form: Form) -> None:
    given_ = assignment(1)

    def answer(call: ModelCall) -> str:
        return render([pair(1, texts(call, "passage")[1]) | bad] * 2, form_of(call), WRITE)

    [result] = teacher(ScriptedAsker(answer), form).write([given_], 8, 6)
    [name] = bad
    assert result.facts == []
    assert len(result.rejected) == 2
    assert all(draft.reason.startswith(f"not studied, unusable item: {name} ") for draft in result.rejected)
    assert studied([curated(result, given_)], "t") == set()


@pytest.mark.parametrize("tag", ["qa", "item", ""])
def test_a_passage_whose_answer_lost_the_tag_of_its_items_is_asked_about_again_and_is_not_studied(tag: str) -> None:
    given_ = assignment(1)

    def answer(call: ModelCall) -> str:
        inside = render([pair(1, texts(call, "passage")[1])], "xml", WRITE).split("<pair>")[1].split("</pair>")[0]
        return f"<pairs><{tag}>{inside}</{tag}></pairs>" if tag else f"<pairs>{inside}</pairs>"

    asker = ScriptedAsker(answer)
    [result] = teacher(asker, "xml").write([given_], 8, 6)
    assert len(asker.batches) == 4
    assert [draft.reason.partition(":")[0] for draft in result.rejected] == ["not studied, unreadable answer"]
    assert studied([curated(result, given_)], "t") == set()


def test_a_passage_with_one_usable_item_is_studied_and_the_other_item_is_a_row_with_its_reason() -> None:
    given_ = assignment(1)

    def answer(call: ModelCall) -> str:
        good_one = pair(1, texts(call, "passage")[1])
        return render([good_one, good_one | {"category": "fact"}], form_of(call), WRITE)

    [result] = teacher(ScriptedAsker(answer)).write([given_], 8, 6)
    assert len(result.facts) == 1
    assert [draft.reason.split(" should")[0] for draft in result.rejected] == ["unusable item: category"]
    assert studied([curated(result, given_)], "t") == set(given_.passages["chunk_id"])


def test_a_topic_of_one_section_is_written_from_that_section_alone() -> None:
    given_ = assignment(heading="Flags")
    paths = [["Quill 3.2", "Flags"], ["Quill 3.2"], ["Quill 3.2", "Flags", "More"], ["Other"]]
    chunks = given_.passages.with_columns(pl.Series("heading_path", paths))
    asker = ScriptedAsker(good)
    teacher(asker).write([Assignment(given_.topic, chunks)], 10, 6)
    assert len(texts(asker.calls[0], "passage")) == 2


def test_the_pairs_are_asked_in_the_wanted_mix() -> None:
    asker = ScriptedAsker(good)
    teacher(asker).write([assignment()], 10, 6)
    assert "4 factual, 2 conceptual, 2 application, 1 analysis, 1 synthesis" in asker.calls[0].user


# ------------------------------------------------------------------------------------------------ asked again


def failing(times: int, how: str | ModelReply) -> Callable[[ModelCall], str | ModelReply]:
    return lambda call: how if call.attempt < times else good(call)


BAD: list[str | ModelReply] = [
    "I am sorry.",
    unanswered("length", text='{"pairs": [{"passage": 1'),
    unanswered("none"),
    '{"pairs": [{"passage": 1, "question": "What"}]}',
]


@pytest.mark.parametrize("how", BAD, ids=["prose", "cut off", "no end", "useless items"])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_an_unreadable_answer_is_asked_again_simpler_and_smaller(how: str | ModelReply, times: int) -> None:
    given_, asker = assignment(), ScriptedAsker(failing(times, how))
    [result] = teacher(asker, "schema").write([given_], 8, 6)
    assert curated(result, given_).filter("accepted")["fact_id"].n_unique() > 0
    first, last = asker.batches[0][0], asker.batches[-1][-1]
    assert [call.attempt for call in (first, last)] == [0, times]
    asked = [int(re.search(r"at most (\d+) pairs", call.user)[1]) for call in (first, last)]  # type: ignore[index]
    assert asked[1] < asked[0]
    assert len(texts(last, "passage")) == (4 if times == 1 else 2)
    assert form_of(last) == ("xml" if times == 3 else "schema")


def test_what_stays_unreadable_is_rejected_with_reason_and_raw_text_and_costs_no_other_topic() -> None:
    troubles: list[Trouble] = []
    asker = ScriptedAsker(lambda call: "gibberish here" if "Flags t1" in call.user else good(call))
    results = teacher(asker, "xml", hooks=Hooks(trouble=troubles.append)).write(
        [assignment(), assignment(topic="t2", name="b.html")], 10, 6
    )
    assert results[0].facts == []
    assert {(draft.reason, draft.text) for draft in results[0].rejected} == {
        ("not studied, unreadable answer: it holds no pairs as lines", "gibberish here")
    }
    assert len(results[1].facts) == 4
    assert len(troubles) >= 4
    assert max(call.attempt for call in asker.calls) == 3


def test_all_askings_again_of_a_round_are_one_batch() -> None:
    all_given = [assignment(topic=f"t{i}", name=f"{i}.html") for i in range(6)]
    asker = ScriptedAsker(failing(2, "no"))
    teacher(asker).write(all_given, 10, 6)
    assert [len(batch) for batch in asker.batches] == [6, 6, 12]


@pytest.mark.parametrize("reply", [unanswered(failure="HTTP 503 after 5 attempts"), unanswered("filtered")])
def test_a_call_that_failed_for_good_is_not_asked_again_and_its_reason_is_kept(reply: ModelReply) -> None:
    asker = ScriptedAsker(lambda _: reply)
    [result] = teacher(asker).write([assignment()], 10, 6)
    assert len(asker.calls) == 1
    assert "503" in result.rejected[0].reason or "filter" in result.rejected[0].reason
    assert result.rejected[0].text == "Flags t1"


TOO_LONG = [
    "400: This model's maximum context length is 4096 tokens. However, you requested 7600 tokens",
    "400: the request exceeds the available context size, try increasing it",
    "400: prompt is too long: 212000 tokens > 200000 maximum",
    "400: The input token count (40000) exceeds the maximum number of tokens allowed (32768).",
    "422: Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096",
    "413: Request too large for model `m` in organization `o` on tokens per minute (TPM): Limit 6000, Requested 9000",
    "429: Request too large for m in organization o on tokens per min (TPM): Limit 10000, Requested 12000.",
    "400: input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000",
    "400: The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
    "400: <400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]",
    "413: Request Entity Too Large",
]


@pytest.mark.parametrize("said", TOO_LONG)
def test_a_prompt_that_the_model_has_no_room_for_is_asked_in_smaller_parts(said: str) -> None:
    given_ = assignment()
    refused = unanswered(failure=f"answered {said}")
    asker = ScriptedAsker(lambda call: refused if len(texts(call, "passage")) > 2 else good(call))
    troubles: list[Trouble] = []
    [result] = teacher(asker, hooks=Hooks(trouble=troubles.append)).write([given_], 8, 6)
    assert [[len(texts(call, "passage")) for call in batch] for batch in asker.batches] == [[4], [2, 2]]
    assert [trouble.unanswered for trouble in troubles] == [False], "its parts were answered, so another run would get no more"
    assert curated(result, given_).filter("accepted")["fact_id"].n_unique() == 4


def test_a_passage_that_the_model_has_no_room_for_is_asked_in_pieces_and_no_further_than_askings_are_allowed() -> None:
    _, chunks = page(["word " * 100 + SENTENCE.format("amber", 0) + " word" * 100])
    given_ = Assignment(Topic(topic_id="t1", name="n", urls=["u"]), chunks)

    def answer(call: ModelCall, room: int) -> str | ModelReply:
        if sum(map(len, texts(call, "passage").values())) > room:
            return unanswered(failure=f"answered {TOO_LONG[0]}")
        found = [
            pair(n, text[text.index("Quill") : text.index("plan.") + 5]) for n, text in texts(call, "passage").items() if "amber" in text
        ]
        return render(found, "json", WRITE)

    asker = ScriptedAsker(lambda call: answer(call, 800))
    [result] = teacher(asker).write([given_], 8, 6)
    assert len(asker.batches) == 2
    assert curated(result, given_).filter("accepted")["fact_id"].n_unique() == 1
    never = ScriptedAsker(lambda call: answer(call, 0))
    [result] = teacher(never, format_attempts=2).write([given_], 8, 6)
    assert [len(batch) for batch in never.batches] == [1, 2, 4]
    assert {draft.reason.partition(":")[0] for draft in result.rejected} == {"not studied, no answer"}


@pytest.mark.parametrize(
    "said",
    [
        "answered 400: the schema is not supported",
        "answered 500: maximum context length",
        "answered 429: Rate limit reached for m on tokens per min (TPM): Limit 6000, Used 5000, Requested 1500.",
        "answered 429: Too many tokens, please wait before trying again.",
        "no full answer",
    ],
)
def test_a_call_that_was_refused_for_another_reason_is_not_asked_smaller(said: str) -> None:
    asker = ScriptedAsker(lambda _: unanswered(failure=said))
    teacher(asker).write([assignment()], 8, 6)
    assert len(asker.calls) == 1


@pytest.mark.parametrize("error", [EndpointError("teacher.url: it is down"), BudgetSpentError("budget.tokens = 5 is spent")])
def test_what_ends_all_asking_passes_through(error: Exception) -> None:
    def answer(_: ModelCall) -> str:
        raise error

    with pytest.raises(type(error), match=re.escape(str(error))):
        teacher(ScriptedAsker(answer)).write([assignment()], 10, 6)


# ------------------------------------------------------------------------------------------------ what is written


def test_pairs_with_too_few_wordings_get_more_in_one_further_batch() -> None:
    all_given = [assignment(topic=f"t{i}", name=f"{i}.html") for i in range(3)]
    asker = ScriptedAsker(lambda call: good(call, phrasings=2))
    results = teacher(asker).write(all_given, 10, 6)
    assert [{call.purpose for call in batch} for batch in asker.batches] == [{"write"}, {"paraphrase"}]
    assert len(asker.batches[1]) == 2  # ten questions a call
    assert all(len(fact.phrasings) == 10 for result in results for fact in result.facts)


def test_without_more_wordings_a_pair_is_left_to_curation() -> None:
    given_ = assignment()
    asker = ScriptedAsker(lambda call: good(call, phrasings=2) if call.purpose == "write" else unanswered(failure="HTTP 500"))
    [result] = teacher(asker).write([given_], 10, 6)
    assert {reason.split(":")[0] for reason in curated(result, given_)["reason"]} == {"too few phrasings"}


def numbered(call: ModelCall, numbers: Callable[[int], int], form: Form = "json") -> str:
    """Write right wordings for every question, each under the number that is made of its own."""
    more = [
        {"item": numbers(number), "phrasings": [asked.format(part_of(text)) for asked in ASKED[1:]]}
        for number, text in texts(call, "question").items()
    ]
    return render(more, form, PARAPHRASE)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("numbers", [lambda n: n - 1, lambda n: n + 1, lambda n: max(1, n - 1)], ids=["from 0", "from 2", "1 twice"])
def test_wordings_whose_numbers_are_not_those_asked_are_put_on_no_fact_and_asked_again(numbers: Callable[[int], int], form: Form) -> None:
    troubles: list[Trouble] = []
    asker = ScriptedAsker(
        lambda call: good(call, 2) if call.purpose == "write" or call.attempt else numbered(call, numbers, form)  # right once asked again
    )
    [result] = teacher(asker, form, hooks=Hooks(trouble=troubles.append)).write([assignment()], 10, 6)
    assert [[call.attempt for call in batch] for batch in asker.batches[1:]] == [[0], [1, 1]]
    assert [trouble.purpose for trouble in troubles] == ["paraphrase"]
    assert "cannot be told which question" in troubles[0].reason
    assert all(len(fact.phrasings) == 10 for fact in result.facts)


def test_wordings_that_are_never_numbered_as_asked_are_lost_and_no_fact_has_those_of_another() -> None:
    asker = ScriptedAsker(lambda call: good(call, 2) if call.purpose == "write" else numbered(call, lambda n: n - 1))
    [result] = teacher(asker).write([assignment()], 10, 6)
    for place, fact in enumerate(result.facts):
        assert {re.search(r"\b(\d+)\b", phrasing.text.replace("3.2", ""))[1] for phrasing in fact.phrasings} == {str(place)}  # type: ignore[index]
    assert {reason.split(":")[0] for reason in curated(result, assignment())["reason"]} == {"too few phrasings"}


def test_each_wording_in_an_item_of_its_own_is_read() -> None:
    def answer(call: ModelCall) -> str:
        if call.purpose == "write":
            return good(call, 2)
        said = texts(call, "question").items()
        return render([{"item": n, "phrasings": [asked.format(part_of(t))]} for n, t in said for asked in ASKED[1:]], "json", PARAPHRASE)

    asker = ScriptedAsker(answer)
    [result] = teacher(asker).write([assignment()], 10, 6)
    assert len(asker.batches) == 2
    assert all(len(fact.phrasings) == 10 for fact in result.facts)


def test_a_wrong_passage_number_is_kept_for_curation_to_name() -> None:
    given_ = assignment()
    [result] = teacher(ScriptedAsker(lambda call: render([{**pair(1, texts(call, "passage")[2]), "passage": 1}], "json", WRITE))).write(
        [given_], 10, 6
    )
    assert result.facts[0].chunk_id == given_.passages["chunk_id"][0]
    table, chunks = curated(result, given_), given_.passages["chunk_id"]
    assert set(table.filter(pl.col("chunk_id") == chunks[0])["reason"]) == {f"quote from another passage: {chunks[1]}"}
    assert studied([table], "t") == set(chunks) - {chunks[1]}, "the passage that holds the quote gave a fact, which is lost"


def test_a_number_that_was_not_shown_is_replaced_by_the_passage_that_holds_the_quote_else_rejected() -> None:
    given_ = assignment()

    def answer(call: ModelCall) -> str:
        shown = texts(call, "passage")
        return render([pair(99, shown[3]), {**pair(99, shown[1]), "quote": "Made up."}], "json", WRITE)

    [result] = teacher(ScriptedAsker(answer)).write([given_], 10, 6)
    assert [fact.chunk_id for fact in result.facts] == [given_.passages["chunk_id"][2]]
    told = [draft.reason for draft in result.rejected if draft.reason != "no fact taken from this passage"]
    assert told == ["names passage 99 of 4, and its quote stands in none"]


def test_a_quote_that_lost_the_marks_of_the_passage_is_given_them_back() -> None:
    given_ = assignment()

    def answer(call: ModelCall) -> str:
        return render([pair(n, t, quote=t.replace("`", "").strip()) for n, t in texts(call, "passage").items()], "json", WRITE)

    [result] = teacher(ScriptedAsker(answer)).write([given_], 10, 6)
    assert "`--amber`" in result.facts[0].quote
    assert curated(result, given_).filter("accepted")["fact_id"].n_unique() == 4


def test_a_vague_wording_that_asks_for_two_facts_is_refused_for_both_and_costs_neither() -> None:
    all_given = [assignment(2, topic="t1", name="a.html"), assignment(2, topic="t2", name="b.html")]

    def answer(call: ModelCall) -> str:
        made = [pair(n, t) for n, t in texts(call, "passage").items()]
        return render([{**each, "phrasings": [*each["phrasings"], "What is that flag called?"]} for each in made], "json", WRITE)

    results = teacher(ScriptedAsker(answer)).write(all_given, 10, 6)
    said = {(draft.text, draft.reason) for result in results for draft in result.rejected}
    assert said == {("What is that flag called?", "wording asks for another fact too")}
    assert all(len(fact.phrasings) == 10 for result in results for fact in result.facts)


def test_one_question_with_two_answers_stays_for_consensus_to_find() -> None:
    _, other = page([SENTENCE.format("birch", 0)], "b.html", title="Quill 3.2")
    both = [assignment(1), Assignment(Topic(topic_id="t2", name="Flags", urls=[]), other)]
    one, two = teacher(ScriptedAsker(good)).write(both, 10, 6)
    assert [fact.answer for fact in (*one.facts, *two.facts)] == ["--amber", "--birch"]
    assert [phrasing.text for phrasing in one.facts[0].phrasings] == [phrasing.text for phrasing in two.facts[0].phrasings]
    assert one.rejected == two.rejected == []


def test_no_invented_or_stitched_quote_and_no_answer_beside_its_quote_is_ever_accepted() -> None:
    given_ = assignment()

    def answer(call: ModelCall) -> str:
        shown = texts(call, "passage")
        return render(
            [
                {**pair(1, shown[1]), "quote": "Quill 3.2 drops the `--amber` flag."},
                {**pair(2, shown[2]), "quote": "Quill 3.2 adds the `--birch` flag [...] part 3 of the plan."},
                {**pair(3, shown[3]), "short_answer": "--delta"},
            ],
            "json",
            WRITE,
        )

    table = curated(teacher(ScriptedAsker(answer)).write([given_], 10, 6)[0], given_)
    assert table.filter("accepted").is_empty()
    told = set(table["reason"]) - {"no fact taken from this passage"}
    assert {"quote in no document", "quote stitched together", "answer not in the quote"} >= told != set()


def test_more_pairs_than_asked_for_are_rows_and_no_facts() -> None:
    [result] = teacher(ScriptedAsker(lambda call: render([pair(n, t) for n, t in texts(call, "passage").items()], "json", WRITE))).write(
        [assignment()], 2, 6
    )
    assert len(result.facts) == 2
    assert [draft.reason for draft in result.rejected] == ["more pairs than were asked for"] * 2


def test_a_wording_with_the_answer_in_it_is_a_rejected_row_and_takes_no_place() -> None:
    given_ = assignment(1)

    def answer(call: ModelCall) -> str:
        made = pair(1, texts(call, "passage")[1])
        made["phrasings"].insert(0, "Is it --amber?")
        return render([made], "json", WRITE)

    [result] = teacher(ScriptedAsker(answer)).write([given_], 10, 6)
    assert [(draft.text, draft.reason) for draft in result.rejected] == [("Is it --amber?", "question contains the answer")]
    assert len(result.facts[0].phrasings) == 10


def test_a_sentence_that_cannot_be_used_is_a_rejected_row_and_costs_its_fact_nothing_else() -> None:
    given_ = assignment(1)
    said = "Amber is what plans are printed in by the command-line tool."

    def answer(call: ModelCall) -> str:
        return render([pair(1, texts(call, "passage")[1], answer=said)], "json", WRITE)

    [result] = teacher(ScriptedAsker(answer)).write([given_], 10, 6)
    assert [(draft.text, draft.reason) for draft in result.rejected] == [(said, "answer not in the sentence")]
    assert len(result.facts[0].phrasings) == 10


def test_every_passage_that_was_shown_and_gave_no_fact_has_a_row_and_is_studied() -> None:
    given_ = assignment()
    [result] = teacher(ScriptedAsker(lambda _: '{"pairs": []}')).write([given_], 10, 6)
    assert [(draft.reason, draft.chunk_id) for draft in result.rejected] == [
        ("no fact taken from this passage", chunk) for chunk in given_.passages["chunk_id"]
    ]
    assert studied([curated(result, given_)], "t") == set(given_.passages["chunk_id"])


@pytest.mark.parametrize("form", FORMS)
def test_passages_that_no_pair_of_a_readable_answer_cites_are_studied_too(form: Form) -> None:
    given_ = assignment()

    def answer(call: ModelCall) -> str:
        shown = texts(call, "passage")
        return render([pair(2, shown[2]), pair(3, shown[3])], form, WRITE)

    troubles: list[Trouble] = []
    [result] = teacher(ScriptedAsker(answer), form, hooks=Hooks(trouble=troubles.append)).write([given_], 10, 6)
    chunks = given_.passages["chunk_id"]
    assert [(draft.reason, draft.chunk_id) for draft in result.rejected] == [
        ("no fact taken from this passage", chunk) for chunk in (chunks[0], chunks[3])
    ]
    assert studied([curated(result, given_)], "t") == set(chunks)
    assert troubles == []


def test_a_passage_whose_item_cannot_be_used_is_not_taken_for_one_without_a_fact() -> None:
    given_ = assignment()
    chunks = given_.passages["chunk_id"]
    for bad, known in ({"category": "trivia"}, [0, 2, 3]), ({"passage": "second", "category": "factual"}, [0]), ({"passage": 7}, [0, 2, 3]):

        def answer(call: ModelCall, bad: dict[str, Any] = bad) -> str:
            shown = texts(call, "passage")
            return render([pair(1, shown[1]), pair(2, shown[2]) | bad], "json", WRITE)

        [result] = teacher(ScriptedAsker(answer)).write([given_], 10, 6)
        expected = {chunks[i] for i in known} | ({chunks[1]} if bad == {"passage": 7} else set())
        assert studied([curated(result, given_)], "t") == expected


def test_a_passage_in_pieces_has_no_row_that_says_no_fact_if_one_piece_gave_one_or_was_not_answered() -> None:
    _, chunks = page(["word " * 400 + SENTENCE.format("amber", 0)])
    given_ = Assignment(Topic(topic_id="t1", name="n", urls=["u"]), chunks)
    for rest in ('{"pairs": []}', unanswered(failure="HTTP 500")):

        def answer(call: ModelCall, rest: str | ModelReply = rest) -> str | ModelReply:
            found = [pair(number, text[text.index("Quill") :]) for number, text in texts(call, "passage").items() if "amber" in text]
            return render(found, "json", WRITE) if found else rest

        [result] = teacher(ScriptedAsker(answer), page_chars=600).write([given_], 50, 6)
        assert len(result.facts) == 1
        assert "no fact taken from this passage" not in {draft.reason for draft in result.rejected}


def test_equal_inputs_make_byte_equal_calls_and_an_attempt_makes_another() -> None:
    runs = []
    for _ in range(2):
        asker = ScriptedAsker(failing(2, "no"))
        teacher(asker).write([assignment(), assignment(topic="t2", name="b.html")], 10, 6)
        runs.append([call.model_dump_json() for call in asker.calls])
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == len(runs[0])


def test_who_wrote_a_pair_names_the_model_and_changes_with_it() -> None:
    one, two = teacher(ScriptedAsker(good), model="a"), teacher(ScriptedAsker(good), model="b")
    assert one.name == two.name == "openai"
    assert one.version.startswith("a ")
    assert one.version.split()[1] != two.version.split()[1]
    assert one.version == teacher(ScriptedAsker(good), model="a", page_chars=5_000).version


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("3.15.0a1", "version"),
        ("PEP 661", "pep"),
        ("CVE-2026-12345", "cve"),
        ("2026-10-07", "date"),
        ("math.isnormal()", "identifier"),
        ("`frozendict`", "identifier"),
        ("5 seconds", "quantity"),
        ("nested context managers", "phrase"),
        ("UTF-8", "identifier"),
        ("No", "phrase"),
    ],
)
def test_the_kind_of_an_answer_is_read_off_its_form(answer: str, kind: str) -> None:
    assert kind_of(answer) == kind


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.text(max_size=80) | st.sampled_from(["{", '{"pairs": [', "<pair>", "</pair>", "passage: 1\nquestion: what now?"]), max_size=6
    )
)
def test_whatever_a_model_says_writing_ends_in_order_and_nothing_false_is_accepted(pieces: list[str]) -> None:
    given_ = assignment(2)
    for form in FORMS:
        [result] = teacher(ScriptedAsker(lambda _: "".join(pieces)), form).write([given_], 4, 6)
        assert curated(result, given_).filter("accepted").is_empty()
        assert result.rejected
