"""Reading what a model wrote: well-formed, slightly wrong, hostile and mangled (S3)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alas_assets.teachers.llm.prompts import Form
from alas_assets.teachers.llm.reading import MAX_ANSWER_CHARS, Reading, UnreadableError, read, read_reply, xml_form
from alas_assets.teachers.llm.reading.shapes import JUDGE, PARAPHRASE, PLAN, RAW_CHARS, REVISE, WRITE, Shape
from alas_assets_tests.teachers.llm.scripted import FORMS, render, unanswered

PAIR: dict[str, Any] = {
    "passage": 1,
    "question": "Which flag of Quill 3.2 prints the plan?",
    "answer": "In Quill 3.2 the flag --plan prints the plan.",
    "short_answer": "--plan",
    "aliases": ["the --plan flag"],
    "category": "factual",
    "difficulty": "Easy",
    "rationale": "a new flag",
    "quote": "The new flag --plan prints the plan & exits if a < b.",
    "phrasings": ["How do I see the plan in Quill 3.2?", "Quill 3.2: name the flag for it."],
}
OTHER = {**PAIR, "question": "What is new in Quill 3.2, and where?", "short_answer": "3.10", "passage": 2}
TOPIC = {
    "name": "Plans",
    "summary": "On plans.",
    "prerequisites": ["Basics"],
    "objectives": ["Say it"],
    "difficulty": "Hard",
    "pages": [1, 2],
}
GRADE = {"item": 1, "label": "correct", "error_type": "", "explanation": "It says the same."}
EXAMPLES: list[tuple[Shape[Any], list[dict[str, Any]]]] = [
    (WRITE, [PAIR, OTHER]),
    (PLAN, [TOPIC, {**TOPIC, "name": "More"}]),
    (PARAPHRASE, [{"item": 1, "phrasings": ["How so, in Quill 3.2?"]}, {"item": 2, "phrasings": ["Why?", "What for?"]}]),
    (JUDGE, [GRADE, {**GRADE, "item": 2, "label": "partial", "error_type": "omission"}]),
    (REVISE, [{"topic": 1, "kind": "advanced", "name": "Deep plans", "summary": "s", "objectives": ["o"]}]),
]


@pytest.mark.parametrize(("shape", "items"), EXAMPLES, ids=lambda value: value.model.__name__ if isinstance(value, Shape) else "")
@pytest.mark.parametrize("form", FORMS)
def test_a_good_answer_gives_the_same_items_in_every_form(shape: Shape[Any], items: list[dict[str, Any]], form: Form) -> None:
    reading = read(render(items, form, shape), form, shape)
    assert [item.model_dump() for item in reading.items] == items
    assert reading.rejected == []


def one(text: str, form: Form = "json", shape: Shape[Any] = WRITE) -> Any:
    reading = read(text, form, shape)
    assert len(reading.items) == 1, reading
    return reading.items[0]


GOOD_JSON = render([PAIR], "json", WRITE)


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{GOOD_JSON}\n```",
        f"Here are the pairs:\n\n{GOOD_JSON}\n\nI hope this helps!",
        json.dumps([PAIR]),
        json.dumps(PAIR),
        json.dumps({"result": {"pairs": [PAIR]}}),
        GOOD_JSON.replace('"Easy"', '"EASY"').replace('"factual"', '" Factual."'),
        GOOD_JSON.replace('["the --plan flag"]', '"the --plan flag"'),
        GOOD_JSON.replace("}]}", ",}],}"),
        GOOD_JSON.replace('"passage": 1', '"passage": "passage 1"'),
        GOOD_JSON.replace('"difficulty"', "difficulty"),
        GOOD_JSON.replace("Quill 3.2 the flag", "Quill 3.2\nthe flag"),
        GOOD_JSON[:-2],
    ],
    ids=[
        "fenced",
        "prose",
        "list",
        "bare",
        "wrapped",
        "case",
        "string for list",
        "commas",
        "number in words",
        "bare key",
        "line break",
        "open end",
    ],
)
def test_usual_slips_in_json_are_read(text: str) -> None:
    assert one(text).model_dump() == PAIR


OPENINGS = [
    "<![CDATA[",
    "<![CDATA[]]",
    "<pair>",
    "<pair ",
    "<pair",
    "<pairs><pair><quote>",
    "</pair>",
    "<topic><topic>",
    "&amp",
    "&#",
    "<!--",
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("opening", OPENINGS)
def test_what_is_opened_again_and_again_and_never_closed_is_read_in_one_go(opening: str) -> None:
    text = opening * (MAX_ANSWER_CHARS // len(opening))
    for shape in (WRITE, PLAN):
        found = xml_form.find(text, shape)
        assert not any(value for item in found.items for value in item.fields.values())


@given(st.lists(st.text("a<b&;]> \n[!", max_size=12).filter(lambda text: "]]>" not in f"{text}]]"), max_size=4))
def test_a_section_is_its_text_word_for_word_and_one_that_is_not_closed_costs_no_item(texts: list[str]) -> None:
    pairs = "".join(f"<pair><quote><![CDATA[{text}]]></quote></pair>" for text in texts)
    found = xml_form.find(f"{pairs}<pairs></pairs><![CDATA[", WRITE)
    assert [item.fields["quote"] for item in found.items] == texts


@pytest.mark.parametrize(
    "change",
    [
        lambda text: f"```xml\n{text}\n```",
        lambda text: f"Sure! Here you go.\n{text}\nDone.",
        lambda text: text.replace("&amp;", "&").replace("&lt;", "<"),
        lambda text: text.replace("</question>", ""),
        lambda text: text.replace("</alias>", ""),
        lambda text: text.replace("</pair></pairs>", "</pairs>"),
        lambda text: text.replace("<pairs>", "").replace("</pairs>", ""),
        lambda text: (
            text.replace("<quote>", "<quote><![CDATA[").replace("</quote>", "]]></quote>").replace("&amp;", "&").replace("&lt;", "<")
        ),
        lambda text: text.replace("<pair>", '<pair id="1">').replace("<question>", "<Question>"),
        lambda text: "<?xml version='1.0'?>\n<!DOCTYPE pairs>\n" + text,
    ],
    ids=["fenced", "prose", "bare & and <", "open field", "open member", "open item", "no list", "cdata", "attributes", "declaration"],
)
def test_usual_slips_in_xml_are_read(change: Any) -> None:
    assert one(change(render([PAIR], "xml", WRITE)), "xml").model_dump() == PAIR


@pytest.mark.parametrize(
    "change",
    [
        lambda text: f"```\n{text}\n```",
        lambda text: f"Here is one:\n\n{text}",
        lambda text: text.replace("question:", "- **Question:**"),
        lambda text: text.replace("prints the plan & exits", "prints the plan\n& exits"),
        lambda text: text.replace("\n", "\r\n"),
    ],
)
def test_usual_slips_in_lines_are_read(change: Any) -> None:
    assert one(change(render([PAIR], "lines", WRITE)), "lines").model_dump() == PAIR


def test_two_items_without_a_rule_between_are_two() -> None:
    text = render([PAIR], "lines", WRITE) + "\n" + render([OTHER], "lines", WRITE)
    assert [item.model_dump() for item in read(text, "lines", WRITE).items] == [PAIR, OTHER]


def test_an_answer_in_another_form_than_asked_is_read() -> None:
    assert one(GOOD_JSON, "xml").model_dump() == PAIR
    assert one(render([PAIR], "xml", WRITE), "schema").model_dump() == PAIR


def test_a_version_that_was_written_as_a_number_stays_as_written() -> None:
    assert one(GOOD_JSON.replace('"--plan"', "3.10")).short_answer == "3.10"


@pytest.mark.parametrize(
    ("text", "form"), [('{"pairs": []}', "json"), ("[]", "json"), ("<pairs></pairs>", "xml"), ("<pairs/>", "xml"), ("none", "lines")]
)
def test_no_pair_is_an_answer_too(text: str, form: Form) -> None:
    assert read(text, form, WRITE) == Reading([], [])


INSIDE = "<passage>1</passage><question>Which flag prints the plan?</question><short_answer>--plan</short_answer>"


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (f"<pairs>{INSIDE}</pairs>", "xml"),
        (f"<pairs><qa>{INSIDE}</qa></pairs>", "xml"),
        (f"<pairs>\n<item>{INSIDE}</item>\n</pairs>", "xml"),
        (f"<pairs></pairs>\n<pairs><qa>{INSIDE}</qa></pairs>", "xml"),
        ("<pairs>The flag --plan prints the plan.</pairs>", "xml"),
        ('{"pairs": "The flag --plan prints the plan."}', "json"),
        ('{"pairs": {}}', "json"),
        ('{"facts": [{"q": "Which flag prints the plan?", "a": "--plan"}]}', "json"),
        ('[{"q": "Which flag prints the plan?", "a": "--plan"}]', "json"),
    ],
)
def test_a_list_of_what_is_no_item_does_not_say_that_there_is_none(text: str, form: Form) -> None:
    with pytest.raises(UnreadableError, match="holds no pairs"):
        read(text, form, WRITE)


@pytest.mark.parametrize("inside", ['"The flag --plan prints the plan."', '{"q": "Which?", "a": "--plan"}', "[]", "null", "{}"])
def test_members_of_a_json_list_that_are_no_items_are_rejected_with_a_reason(inside: str) -> None:
    reading = read(f'{{"pairs": [{inside}]}}', "json", WRITE)
    assert reading.items == []
    assert len(reading.rejected) == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("category", "trivia"),
        ("difficulty", "Extreme"),
        ("passage", "-1"),
        ("passage", "1.5"),
        ("question", ""),
        ("question", "x" * 401),
        ("short_answer", ""),
        ("quote", None),
        ("aliases", [{"a": 1}]),
        ("short_answer", True),
    ],
)
def test_what_means_nothing_is_rejected_with_its_reason_and_the_rest_is_kept(key: str, value: object) -> None:
    reading = read(json.dumps({"pairs": [{**PAIR, key: value}, OTHER]}), "json", WRITE)
    assert [item.model_dump() for item in reading.items] == [OTHER]
    assert len(reading.rejected) == 1
    assert key in reading.rejected[0].reason
    assert PAIR["rationale"] in reading.rejected[0].text


def test_a_broken_item_costs_only_itself() -> None:
    text = json.dumps({"pairs": [PAIR, OTHER]}).replace('"--plan"', '"--plan, three", "quote": }', 1)
    reading = read(text, "json", WRITE)
    assert [item.model_dump() for item in reading.items] == [OTHER]
    assert len(reading.rejected) == 1


def test_mending_never_drops_a_word() -> None:
    text = GOOD_JSON.replace('"the --plan flag"', '"the --plan flag", or so"')
    assert read(text, "json", WRITE).items == []


@pytest.mark.parametrize("form", FORMS[:2])
def test_an_item_that_breaks_off_is_rejected_even_if_the_server_says_that_the_answer_ended(form: Form) -> None:
    whole = render([PAIR, OTHER], form, WRITE)
    cut = whole[: whole.index("where?") + 3]
    reading = read(cut, form, WRITE)
    assert [item.model_dump() for item in reading.items] == [PAIR]
    assert len(reading.rejected) == 1


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("finish", "failure"), [("length", ""), ("none", ""), ("filtered", ""), ("stop", "the server hung up")])
def test_an_answer_that_did_not_end_by_itself_is_never_read(form: Form, finish: str, failure: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        read_reply(unanswered(finish, failure, render([PAIR], form, WRITE)), form, WRITE)
    assert PAIR["quote"][:20] in caught.value.text


THOUGHT = 'The user wants pairs {"pairs": [..]}, so I draft one:\n'
"""A brace in it is enough to make JSON with text around it unreadable to a judge."""
OPENED = ["<think>\n", "\n<think>", ""]
"""How thinking begins; some chat templates put the tag into the prompt, so that it is not in the answer."""


@pytest.mark.parametrize(("shape", "items"), EXAMPLES, ids=lambda value: value.model.__name__ if isinstance(value, Shape) else "")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("opened", OPENED)
def test_what_a_model_drafts_while_it_thinks_is_no_part_of_its_answer(
    opened: str, shape: Shape[Any], items: list[dict[str, Any]], form: Form
) -> None:
    answer = render(items, form, shape)
    for draft in (answer, render(items[:1], form, shape), ""):
        reading = read(f"{opened}{THOUGHT}{draft}\nThat is it.\n</think>\n\n{answer}", form, shape)
        assert [item.model_dump() for item in reading.items] == items
        assert reading.rejected == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("opened", OPENED[:2])
def test_an_answer_that_ends_while_the_model_is_still_thinking_is_cut_off_whatever_it_drafted(opened: str, form: Form) -> None:
    for shape, items in EXAMPLES:
        with pytest.raises(UnreadableError, match="cut off: it ends while the model is still thinking") as caught:
            read(f"{opened}{THOUGHT}{render(items, form, shape)}", form, shape)
        assert "The user wants" in caught.value.text


def test_an_answer_of_nothing_after_the_thinking_is_empty() -> None:
    with pytest.raises(UnreadableError, match="unreadable answer: empty"):
        read(f"<think>{THOUGHT}{GOOD_JSON}</think>\n", "json", WRITE)


@pytest.mark.parametrize("form", FORMS)
def test_a_page_about_thinking_models_may_be_quoted_with_its_tags(form: Form) -> None:
    tagged = {**PAIR, "quote": "Quill 3.2 leaves <think> and </think> out of the plan.", "short_answer": "</think>"}
    assert [item.model_dump() for item in read(render([OTHER, tagged], form, WRITE), form, WRITE).items] == [OTHER, tagged]
    thought = f"The page says </think>, so:\n</think>\n{render([OTHER], form, WRITE)}"
    assert [item.model_dump() for item in read(thought, form, WRITE).items] == [OTHER]


@given(st.text(max_size=80), st.sampled_from(OPENED), st.sampled_from(FORMS), st.sampled_from(EXAMPLES))
def test_whatever_is_thought_the_answer_after_it_is_read_or_nothing_is(
    thought: str, opened: str, form: Form, example_: tuple[Shape[Any], list[dict[str, Any]]]
) -> None:
    shape, items = example_
    reading, error = read_or_error(f"{opened}{thought}</think>\n{render(items, form, shape)}", form, shape)
    assert error is not None or (reading is not None and [item.model_dump() for item in reading.items] == items)


@pytest.mark.parametrize(("word", "said"), [("tool_calls", r"ended; its word is 'tool_calls'$"), ("x" * 400, "'x{40}'$"), ("", "ended$")])
def test_the_server_s_own_word_for_an_end_that_is_not_understood_is_told(word: str, said: str) -> None:
    with pytest.raises(UnreadableError, match=said):
        read_reply(unanswered(text=GOOD_JSON).model_copy(update={"finish_word": word}), "json", WRITE)


HOSTILE = [
    "",
    "I cannot help with that.",
    "\x00\x01",
    "\ud800\udfff",
    "{" * 100_000,
    "[" * 100_000,
    '{"pairs":' * 20_000,
    '{"question":"' * 5_000,
    "<pair>" * 20_000,
    "<pair><question>" * 5_000,
    "question:" * 20_000,
    "question: a\n" * 10_000,
    "x" * 1_000_000,
    GOOD_JSON * 1_000,
    '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><pairs><pair><question>&b;</question></pair></pairs>',
    '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><pairs><pair><question>&c;</question></pair></pairs>',
    "<pairs><pair><question>&#0;&#x110000;</question></pair></pairs>",
    '{"pairs": [1, null, "x", [], {"question": {"question": []}}]}',
    '{"pairs": NaN}',
    '{"pairs": [{"passage": ' + "9" * 5_000 + "}]}",
    '{"pairs": {"pairs": {"pairs": []}}}',
    "```json\n```json\n{",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [WRITE, JUDGE, REVISE], ids=lambda shape: shape.model.__name__)
def test_hostile_answers_give_no_item_and_nothing_but_the_typed_error(text: str, form: Form, shape: Shape[Any]) -> None:
    reading, error = read_or_error(text, form, shape)
    if reading is None:
        assert error is not None
        assert error.reason
        assert len(error.text) <= RAW_CHARS
        return
    assert reading.items == [] or text.startswith(GOOD_JSON)
    for item in reading.rejected:
        item.text.encode()
        assert len(item.text) <= RAW_CHARS


def read_or_error(text: str, form: Form, shape: Shape[Any]) -> tuple[Reading[Any] | None, UnreadableError | None]:
    try:
        return read(text, form, shape), None
    except UnreadableError as error:
        return None, error


def test_no_entity_is_read_from_a_file() -> None:
    text = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]>' + render([PAIR], "xml", WRITE).replace("Which flag", "&b; Which flag")
    assert one(text, "xml").question.startswith("&b; Which flag")


# ------------------------------------------------------------------------------------------------ properties

_PLAIN = st.text(st.sampled_from("abcXYZ 0123.-_&<>'é"), min_size=6, max_size=40).map(lambda text: " ".join(f"q{text}q".split()))
_PAIRS = st.lists(
    st.builds(
        lambda passage, texts, names, others: {
            **PAIR,
            "passage": passage,
            "question": texts[0],
            "answer": texts[1],
            "short_answer": texts[2],
            "rationale": texts[3],
            "quote": texts[4],
            "aliases": names,
            "phrasings": others,
        },
        st.integers(0, 999),
        st.lists(_PLAIN, min_size=5, max_size=5),
        st.lists(_PLAIN, max_size=3),
        st.lists(_PLAIN, max_size=5),
    ),
    min_size=1,
    max_size=4,
)


@settings(deadline=None)
@given(_PAIRS, st.sampled_from(FORMS))
def test_every_well_formed_answer_comes_back_equal(pairs: list[dict[str, Any]], form: Form) -> None:
    reading = read(render(pairs, form, WRITE), form, WRITE)
    assert [item.model_dump() for item in reading.items] == pairs
    assert reading.rejected == []


_PLAIN = {"category": "factual", "difficulty": "Easy", "aliases": ["q00000<q"]}
_CUT_ESCAPE: list[dict[str, Any]] = [
    {"passage": 0, "question": "q00000<q", "answer": "q00000<q", "short_answer": "q000<<<q", **_PLAIN, "rationale": "q00<<<<q"}
    | {"quote": "q000000000000<<<<<q", "phrasings": ["q000000q", "q00000<q", "q000<<<q"]},
    {"passage": 0, "question": "q&<00000000000<<q", "answer": "q00000<q", "short_answer": "q00000<q", **_PLAIN, "aliases": []}
    | {"rationale": "q0000<<&&q", "quote": "q000000000000000<q", "phrasings": ["q0000<<q", "q000000000000<<<<q"]},
]
"""With the first sign of "&amp;" cut off, "&amp;lt;" is left: an escape of an escape."""

_CUTS = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 30),
        st.sampled_from(["", "{", "}", '"', "<", ">", "</pair>", "<pair>", ",", "\n", "---\n", "&", "]", "\x00", "```"]),
    ),
    min_size=1,
    max_size=6,
)


def mangled(text: str, cuts: list[tuple[float, int, str]]) -> str:
    for place, length, put in cuts:
        at = int(place * len(text))
        text = text[:at] + put + text[at + length :]
    return text


def letters(text: str) -> str:
    return "".join(c for c in text if c.isalnum())


@settings(max_examples=300, deadline=None)
@example(_CUT_ESCAPE, "xml", [(0.56640625, 1, "")])
@given(_PAIRS, st.sampled_from(FORMS), _CUTS)
def test_mangled_answers_never_raise_anything_else_nor_make_up_a_field(
    pairs: list[dict[str, Any]], form: Form, cuts: list[tuple[float, int, str]]
) -> None:
    text = mangled(render(pairs, form, WRITE), cuts)
    reading, _ = read_or_error(text, form, WRITE)
    if reading is None:
        return
    # escapes spell letters ("&lt;"), so both sides are compared without them
    said = letters(text.replace("&lt;", "").replace("&amp;", "").replace("&gt;", ""))
    for item in reading.items:
        for value in (item.question, item.short_answer, item.quote, item.answer, *item.aliases, *item.phrasings):
            for piece in re.split("&(?:lt|gt|amp);|&", value):
                assert letters(piece) in said


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=300) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")),
    st.sampled_from(FORMS),
    st.sampled_from([WRITE, PLAN, JUDGE, PARAPHRASE, REVISE]),
)
def test_any_text_is_read_or_refused(text: str, form: Form, shape: Shape[Any]) -> None:
    reading, error = read_or_error(text, form, shape)
    assert isinstance(reading, Reading) or (error is not None and error.reason)
