"""Whatever is sent to the stand-in, it answers, or refuses with a message; it never breaks and never hangs."""

import json
from contextlib import suppress
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from alas_assets.standin.forms import SchemaError, emptiest, fitted, written
from alas_assets.standin.matching import Library, Squeezed
from alas_assets.standin.reading import TASKS, UnreadablePromptError, read_prompt
from alas_assets.synthesis.quotes import FoldedText
from alas_assets_tests.standin.prompts import NONCE, system
from alas_assets_tests.standin.sample import recorded

CLIENT = httpx2.Client(timeout=30)
OVER_HTTP = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=15,
)
KINDS = ("passage", "page", "topic", "question", "reference", "answer", "end", "verse")
PIECES = st.sampled_from(
    [pair.quote for pair in recorded()[:20]]
    + [pair.question for pair in recorded()[:20]]
    + [
        "`",
        "**",
        "[",
        "](",
        "\\",
        "|",
        "---",
        "State: weak, 3 of 0 right",
        "Title:",
        "0 of 0",
        "<pair>",
        "]]>",
        "\ud800",
        "\x00",
        "ﬁ",
        "e\u0301",
    ]
)
FENCES = st.builds(
    "[{} {} | {}{}]".format, st.sampled_from(KINDS), st.integers(0, 3), st.sampled_from([NONCE, "ffffffff"]), st.sampled_from(["", " | T"])
)
LINES = st.lists(FENCES | PIECES | st.text(max_size=30), max_size=25)


@st.composite
def prompts(draw: st.DrawFn) -> str:
    """A prompt that is mostly right: closed fences around strange text, sometimes a stray line."""
    lines: list[str] = []
    for number in range(draw(st.integers(0, 5))):
        for kind in draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3)):
            inside = draw(st.lists(PIECES | st.text(max_size=30), max_size=4))
            lines += [f"[{kind} {number} | {NONCE}]", *inside, f"[end {number} | {NONCE}]"]
        lines += draw(LINES) if draw(st.integers(0, 9)) == 0 else []
    counts = draw(st.sampled_from(["at most 3 pairs", "at least 9999 topics", "0 further ways", "at most ten pairs"]))
    return "\n".join([counts, *lines, f"Answer as: {draw(st.sampled_from(['schema', 'json', 'xml', 'lines', 'lines', 'ode']))}"])


SCHEMAS = st.recursive(
    st.sampled_from(
        [{}, True, False, {"type": "string"}, {"type": "integer"}, {"$ref": "#"}, {"$ref": "#/x"}, {"type": ["array", 3]}, 7, None]
    ),
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"type": st.sampled_from(["object", "array", "null"])},
            optional={
                "properties": st.dictionaries(st.sampled_from(["pairs", "topics", "question", "x"]), inner, max_size=4),
                "required": st.lists(st.sampled_from(["pairs", "question", "x", 3]), max_size=4),
                "additionalProperties": st.sampled_from([True, False, {}]),
                "items": inner,
                "maxItems": st.integers(-2, 3),
                "enum": st.lists(JSON, max_size=2),
            },
        ),
        st.fixed_dictionaries({"anyOf": st.lists(inner, max_size=3)}),
    ),
    max_leaves=12,
)


def sent(url: str, path: str, body: bytes) -> httpx2.Response:
    answer = CLIENT.post(url + path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200 or 400 <= answer.status_code < 500, answer.text
    if answer.status_code != 200:
        assert answer.json()["error"]["message"]
    return answer


@pytest.mark.parametrize("path", ["/chat/completions", "/responses"])
@OVER_HTTP
@given(body=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_refused(served: str, path: str, body: bytes) -> None:
    assert sent(served, path, body).status_code != 200


@OVER_HTTP
@given(
    st.fixed_dictionaries(
        {"model": st.just("stand-in") | JSON, "messages": st.just([{"role": "system", "content": system("write")}]) | JSON},
        optional={"response_format": JSON, "max_tokens": JSON, "stream": JSON, "n": JSON, "max_completion_tokens": JSON},
    )
)
def test_any_value_of_any_field_is_answered_or_refused(served: str, body: dict[str, Any]) -> None:
    sent(served, "/chat/completions", json.dumps(body).encode())
    other = {"model": body["model"], "input": body["messages"], "text": body.get("response_format"), "instructions": body.get("n")}
    sent(served, "/responses", json.dumps(other).encode())


@OVER_HTTP
@given(task=st.sampled_from(TASKS), text=prompts(), model=st.sampled_from(["stand-in", "stand-in-strict"]), schema=st.none() | SCHEMAS)
def test_any_prompt_is_answered_in_its_form_or_refused(served: str, task: str, text: str, model: str, schema: Any) -> None:
    body: dict[str, Any] = {"model": model, "messages": [{"role": "system", "content": system(task)}, {"role": "user", "content": text}]}
    if schema is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = sent(served, "/chat/completions", json.dumps(body).encode())
    if answer.status_code != 200:
        return
    said = answer.json()["choices"][0]["message"]["content"]
    if schema is not None or text.endswith(("schema", "json")):
        json.loads(said)
    elif text.endswith("xml"):
        etree.fromstring(said)
    else:
        assert said == "none" or ": " in said


@given(st.text(max_size=60), LINES.map("\n".join) | prompts())
def test_reading_a_prompt_ends_in_a_prompt_or_a_message(first: str, text: str) -> None:
    for head in (first, system("write")):
        try:
            prompt = read_prompt(head, text)
        except UnreadablePromptError:
            continue
        assert all(block.kind in KINDS[:6] for block in prompt.blocks)
        assert 0 <= prompt.count("pairs", 5) <= 1000


@given(st.lists(PIECES | st.text(max_size=20), max_size=8).map(" ".join))
def test_every_quote_that_is_found_stands_in_the_text_as_it_is(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    squeezed = Squeezed(text)
    for pair in recorded()[:20]:
        wanted = Squeezed(pair.quote).text
        at = squeezed.text.find(wanted)
        quote = squeezed.verbatim(at, len(wanted)) if at >= 0 else None
        if quote is not None:
            assert FoldedText(text).locate(quote) is not None
            assert Squeezed(quote).text == wanted


ANSWERS = st.fixed_dictionaries(
    {
        "pairs": st.lists(
            st.fixed_dictionaries({"question": st.text(max_size=20), "aliases": st.lists(st.text(max_size=9), max_size=2)}), max_size=3
        )
    }
)


@given(ANSWERS, SCHEMAS)
def test_fitting_to_any_schema_ends_in_a_value_or_a_message(answer: dict[str, Any], schema: Any) -> None:
    for attempt in (lambda: fitted(answer, schema), lambda: emptiest(schema)):
        with suppress(SchemaError):
            json.dumps(attempt())


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "required": ["a", "b"], "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}},
        {"anyOf": [{"$ref": "#"}] * 20},
        {"$ref": "#"},
        {"type": "object", "properties": {"pairs": {"$ref": "#/properties/pairs"}}},
    ],
)
def test_a_schema_that_goes_round_in_circles_is_refused(schema: Any) -> None:
    with pytest.raises(SchemaError):
        fitted({"pairs": []}, schema)


@given(ANSWERS)
def test_xml_and_lines_hold_any_text(answer: dict[str, Any]) -> None:
    tree = etree.fromstring(written(answer, "xml"))
    assert len(tree.findall("pair")) == len(answer["pairs"])
    lines = written(answer, "lines")
    assert lines == "none" if not answer["pairs"] else len(lines.split("\n")) == 3 * len(answer["pairs"]) - 1


def test_a_library_without_pairs_finds_nothing() -> None:
    empty = Library([])
    assert empty.standing([]) == []
    assert empty.recognise({}) == {}
    assert empty.asking("Why?") is None
