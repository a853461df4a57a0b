"""A real model behind a real OpenAI-compatible server answers the real client; what the server does with answer formats is pinned."""

import os
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletion

from alas_assets.students.catalog import StudentRef
from alas_assets_tests.teachers.real_server import RealServer, real_server


@pytest.fixture(scope="module")
def tiny_server(tiny_student: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with real_server(tiny_student, tmp_path_factory.mktemp("tiny-server")) as served:
        yield served


def client(served: RealServer) -> OpenAI:
    return OpenAI(base_url=served.url, api_key="unused", max_retries=0, timeout=240)


def ask(served: RealServer, question: str, **more: object) -> ChatCompletion:
    messages = [{"role": "user", "content": question}]
    given: dict[str, object] = {"model": served.model, "messages": messages, "max_tokens": 16, "temperature": 0.0, **more}
    return client(served).chat.completions.create(**given)  # type: ignore[call-overload]


def test_the_embedded_student_answers_over_http(embedded: StudentRef, tmp_path: Path) -> None:
    with real_server(Path(embedded.folder), tmp_path / "server") as served:
        found = ask(served, "What is the capital of France?")
        assert "Paris" in (found.choices[0].message.content or "")
        assert found.usage is not None
        assert found.usage.completion_tokens <= 16
    with pytest.raises(openai.APIConnectionError):
        ask(served, "Are you still there?")


def test_an_answer_that_reaches_its_most_tokens_says_so(tiny_server: RealServer) -> None:
    found = ask(tiny_server, "Say something.", max_tokens=3)
    assert found.choices[0].finish_reason == "length"
    assert found.usage is not None
    assert found.usage.completion_tokens == 3


@pytest.mark.parametrize("kind", ["json_object", "json_schema"])
def test_a_wanted_answer_format_is_accepted_and_ignored(tiny_server: RealServer, kind: str) -> None:
    schema = {"json_schema": {"name": "x", "schema": {"type": "object"}}} if kind == "json_schema" else {}
    free = ask(tiny_server, "Say something.").choices[0].message.content
    assert ask(tiny_server, "Say something.", response_format={"type": kind, **schema}).choices[0].message.content == free


def test_a_model_that_is_not_its_folder_is_refused(tiny_server: RealServer) -> None:
    with pytest.raises(openai.BadRequestError):
        ask(tiny_server, "Hello?", model="gpt-9")


def test_the_responses_interface_answers_in_one_piece_only_if_told_not_to_stream(tiny_server: RealServer) -> None:
    found = client(tiny_server).responses.create(model=tiny_server.model, input="Hello?", max_output_tokens=4, stream=False)
    assert found.object == "response"
    streamed = client(tiny_server).responses.with_raw_response.create(model=tiny_server.model, input="Hello?", max_output_tokens=4)
    assert streamed.headers["content-type"].startswith("text/event-stream")


def test_it_reads_no_hub(tiny_server: RealServer) -> None:
    assert list(client(tiny_server).models.list()) == []
    assert os.listdir(tiny_server.log.parent / "hub") == []
