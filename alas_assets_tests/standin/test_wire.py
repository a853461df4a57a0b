"""The stand-in speaks OpenAI's wire formats: what the real client sends it understands, what it answers the client's types accept."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Literal

import httpx2
import openai
import pytest
from lxml import etree
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion
from openai.types.responses import Response
from pydantic import BaseModel

from alas_assets.standin.__main__ import main
from alas_assets_tests.standin.prompts import block, system, user
from alas_assets_tests.standin.running import client, stand_in
from alas_assets_tests.standin.sample import RECORDED

TEXT = "The release schedule of the 3.15 series is set out in PEP 790, where you can also look up when it will stop\nreceiving fixes."
BLOCKS = [block("topic", 1, "Name: The release"), block("passage", 1, TEXT, "What is new in Python 3.15 > The release")]
WRITE = user(BLOCKS, "json", "Write at most 5 pairs. 3 other ways to ask for the same short answer.")


class Pair(BaseModel):
    passage: int
    question: str
    short_answer: str
    aliases: list[str]
    category: Literal["factual", "conceptual", "application", "analysis", "synthesis"]
    quote: str
    phrasings: list[str]


class Pairs(BaseModel):
    pairs: list[Pair]


def chat(url: str, **more: Any) -> ChatCompletion:
    given: dict[str, Any] = {"model": "stand-in", "messages": messages("write", WRITE), **more}
    return client(url).chat.completions.create(**given)


def messages(task: str, text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": system(task)}, {"role": "user", "content": text}]


def test_it_lists_its_models_and_calls_none_a_model(served: str) -> None:
    found = list(client(served).models.list())
    assert [one.id for one in found] == ["stand-in", "stand-in-strict"]
    assert all("not a model" in one.owned_by for one in found)


def test_a_chat_completion_is_one_by_the_clients_own_types(served: str) -> None:
    raw = client(served).chat.completions.with_raw_response.create(model="stand-in", messages=messages("write", WRITE))  # type: ignore[arg-type]
    found = ChatCompletion.model_validate_json(raw.http_response.content, strict=True)
    assert found.choices[0].finish_reason == "stop"
    assert found.usage is not None
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens
    assert found.usage.prompt_tokens > len(WRITE) // 5
    content = found.choices[0].message.content or ""
    assert json.loads(content)["pairs"][0]["short_answer"] == "PEP 790"
    assert found.usage.completion_tokens == pytest.approx(len(content) / 4, abs=1)


def test_a_response_is_one_by_the_clients_own_types(served: str) -> None:
    raw = client(served).responses.with_raw_response.create(model="stand-in", instructions=system("write"), input=WRITE)
    found = Response.model_validate_json(raw.http_response.content, strict=True)
    assert found.status == "completed"
    assert found.usage is not None
    assert found.usage.total_tokens == found.usage.input_tokens + found.usage.output_tokens
    assert found.output_text == chat(served).choices[0].message.content


def test_messages_in_parts_and_a_list_of_inputs_say_the_same(served: str) -> None:
    plain = chat(served).choices[0].message.content
    parts = [{"role": "developer", "content": system("write")}, {"role": "user", "content": [{"type": "text", "text": WRITE}]}]
    assert chat(served, messages=parts).choices[0].message.content == plain
    inputs: Any = [{"role": "system", "content": system("write")}, {"role": "user", "content": [{"type": "input_text", "text": WRITE}]}]
    assert client(served).responses.create(model="stand-in", input=inputs).output_text == plain


def test_a_json_schema_is_kept_to_in_both_interfaces_whatever_the_prompt_asks_for(served: str) -> None:
    asked: Any = messages("write", user(BLOCKS, "xml"))
    parsed = client(served).chat.completions.parse(model="stand-in", messages=asked, response_format=Pairs)
    assert parsed.choices[0].message.parsed is not None
    assert [pair.short_answer for pair in parsed.choices[0].message.parsed.pairs] == ["PEP 790"]
    assert set(json.loads(parsed.choices[0].message.content or "")["pairs"][0]) == set(Pair.model_fields)
    other = client(served).responses.parse(model="stand-in", instructions=system("write"), input=user(BLOCKS, "schema"), text_format=Pairs)
    assert other.output_parsed == parsed.choices[0].message.parsed


def test_json_mode_gives_json_whatever_the_prompt_asks_for(served: str) -> None:
    asked = messages("write", user(BLOCKS, "lines"))
    found = chat(served, messages=asked, response_format={"type": "json_object"}).choices[0].message.content
    assert "pairs" in json.loads(found or "")


def test_the_prompts_last_line_decides_the_form(served: str) -> None:
    said = {form: chat(served, messages=messages("write", user(BLOCKS, form))).choices[0].message.content or "" for form in FORMS}
    assert json.loads(said["json"]) == json.loads(said["schema"])
    tree = etree.fromstring(said["xml"])
    pair = json.loads(said["json"])["pairs"][0]
    assert (tree.tag, tree[0].tag) == ("pairs", "pair")
    assert [one.text for one in tree.findall("pair/phrasings/phrasing")] == pair["phrasings"]
    assert [one.text for one in tree.findall("pair/aliases/alias")] == pair["aliases"]
    lines = dict(line.split(": ", 1) for line in said["lines"].split("\n"))
    assert lines["quote"] == pair["quote"]
    assert lines["phrasings"].split(" | ") == pair["phrasings"]


FORMS = ("schema", "json", "xml", "lines")


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_without_items_has_its_form_too(served: str, form: str) -> None:
    asked = messages("write", user([block("passage", 1, "Nothing that anybody recorded.")], form))
    said = chat(served, messages=asked).choices[0].message.content
    assert said == {"xml": "<pairs></pairs>", "lines": "none"}.get(form, '{"pairs": []}')


def test_an_answer_longer_than_asked_for_is_cut_and_says_so(served: str) -> None:
    whole = chat(served).choices[0].message.content or ""
    cut = chat(served, max_tokens=20)
    assert cut.choices[0].finish_reason == "length"
    assert whole.startswith(cut.choices[0].message.content or "-")
    assert cut.usage is not None
    assert cut.usage.completion_tokens == 20
    other = client(served).responses.create(model="stand-in", instructions=system("write"), input=WRITE, max_output_tokens=20)
    assert other.status == "incomplete"
    assert other.incomplete_details is not None
    assert other.incomplete_details.reason == "max_output_tokens"
    assert other.output_text == cut.choices[0].message.content


def test_equal_requests_get_equal_answers(served: str) -> None:
    assert chat(served) == chat(served)


def test_a_model_that_it_does_not_have_is_not_found(served: str) -> None:
    with pytest.raises(openai.NotFoundError, match="gpt-9"):
        chat(served, model="gpt-9")


@pytest.mark.parametrize(
    ("task", "text", "why"),
    [
        ("dance", WRITE, "Task: plan"),
        ("write", WRITE.rsplit("\n", 1)[0], "Answer as"),
        ("write", user(BLOCKS, "sonnet"), "Answer as"),
        ("write", user([BLOCKS[1].rsplit("\n", 1)[0]]), "not closed"),
        ("write", user([BLOCKS[0]]), "no passage"),
        ("judge", WRITE, "no answer"),
        ("plan", WRITE, "no page"),
    ],
)
def test_what_it_cannot_read_is_a_bad_request_that_says_why(served: str, task: str, text: str, why: str) -> None:
    with pytest.raises(openai.BadRequestError, match=why) as refused:
        chat(served, messages=messages(task, text))
    assert "stand-in and not a model" in str(refused.value)


@pytest.mark.parametrize("more", [{"stream": True}, {"n": 2}, {"max_tokens": 0}, {"messages": []}, {"response_format": {"type": "yaml"}}])
def test_what_it_does_not_do_is_a_bad_request(served: str, more: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError):
        chat(served, **more)


def test_whoever_tries_what_it_can_do_learns_that_schemas_are_enforced(served: str) -> None:
    asked = [{"role": "user", "content": "Write a sentence about birds, as plain text."}]
    schema = {"type": "object", "properties": {"probe": {"type": "string", "enum": ["kestrel"]}}, "required": ["probe"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    assert chat(served, messages=asked, response_format=wanted).choices[0].message.content == '{"probe": "kestrel"}'
    assert chat(served, messages=asked, response_format={"type": "json_object"}).choices[0].message.content == "{}"
    assert "not a model" in (chat(served, messages=asked).choices[0].message.content or "")


@pytest.mark.parametrize(("ability", "takes"), [("schema", "json_schema json_object"), ("json", "json_object"), ("xml", ""), ("lines", "")])
def test_a_server_that_can_do_less_refuses_more(ability: str, takes: str) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "pairs", "schema": Pairs.model_json_schema()}}
    with stand_in(RECORDED, "--latency", "0", "--form", ability) as url:
        assert "PEP 790" in (chat(url).choices[0].message.content or "")
        for kind, wanted in {"json_schema": schema, "json_object": {"type": "json_object"}}.items():
            if kind in takes:
                assert "PEP 790" in (chat(url, response_format=wanted).choices[0].message.content or "")
            else:
                with pytest.raises(openai.BadRequestError):
                    chat(url, response_format=wanted)


def test_many_calls_at_a_time_wait_for_their_latency_side_by_side() -> None:
    async def ask(url: str) -> float:
        async with AsyncOpenAI(base_url=url, api_key="unused", max_retries=0) as asker:
            begun = time.monotonic()
            given: Any = messages("write", WRITE)
            await asyncio.gather(*(asker.chat.completions.create(model="stand-in", messages=given) for _ in range(20)))
            return time.monotonic() - begun

    with stand_in(RECORDED, "--latency", "1.0") as url:
        assert 1.0 <= asyncio.run(ask(url)) < 20 * 1.0


def test_what_is_no_request_at_all_is_a_bad_request(served: str) -> None:
    for body in (b"", b"[]", b"{", b"\xff", b'{"model": "stand-in", "model": 1}', b"[" * 100_000, b'{"a":' * 5000):
        for path in ("/chat/completions", "/responses"):
            answer = httpx2.post(served + path, content=body, timeout=30)
            assert 400 <= answer.status_code < 500, body[:20]
            assert answer.json()["error"]["message"]


def test_recorded_pairs_that_cannot_be_read_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.jsonl"
    line = json.loads((RECORDED / "overview.jsonl").read_text(encoding="utf-8").split("\n", 1)[0])
    for text, said in (
        ("{", "wrong.jsonl:1: not valid JSON"),
        (json.dumps(line) + "\n" + json.dumps(line | {"category": "gossip"}), "wrong.jsonl:2: category"),
        (json.dumps({key: value for key, value in line.items() if key != "quote"}), "wrong.jsonl:1: quote"),
        ("", "holds no pairs"),
    ):
        wrong.write_text(text, encoding="utf-8")
        assert main([str(wrong)]) == 1
        assert said in capsys.readouterr().err
    assert main([str(tmp_path / "nowhere.jsonl")]) == 1
    assert "nowhere.jsonl: cannot be read" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty")]) == 1


def test_a_port_that_is_taken_is_named(served: str, capsys: pytest.CaptureFixture[str]) -> None:
    port = served.split(":")[2].split("/", maxsplit=1)[0]
    assert main([str(RECORDED), "--port", port]) == 1
    assert f"port {port}" in capsys.readouterr().err


def test_its_help_says_that_it_is_not_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "not a model" in capsys.readouterr().out
