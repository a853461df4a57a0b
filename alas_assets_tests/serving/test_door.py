"""The door over real sockets, before a stand-in that speaks vLLM's wire: it follows the registry without a restart and fails closed."""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
import uvicorn

from alas_assets.release.identity import ReleaseError
from alas_assets.serving.backend import Prepared, VllmBackend
from alas_assets.serving.current import CurrentModel, Wanted
from alas_assets.serving.door import _AT_ONCE, ADAPTER_HEADER, Door
from alas_assets.serving.requests import MAX_BYTES, ChatRequest
from alas_assets.serving.running import listen
from alas_assets.students.chat import PLAIN_TEMPLATE

ONE, TWO = "1" * 64, "2" * 64


class Registry:
    """What the store would say; a test changes it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.adapter, self.gone, self.refusal = folder, ONE, set[str](), ""
        self.prepared: list[str] = []
        self.asked: list[str] = []
        self.looks = 0
        for name in (ONE, TWO):
            (folder / name).mkdir()

    def wanted(self) -> Wanted:
        self.looks += 1
        return Wanted(self.adapter, 0, self.refusal)

    def retired(self, adapter: str) -> bool:
        return adapter in self.gone

    def prepare(self, wanted: Wanted) -> Prepared:
        self.prepared.append(wanted.adapter)
        time.sleep(0.3)
        if wanted.adapter == "broken":
            raise ReleaseError("adapter broken is damaged")
        return Prepared(wanted.adapter, wanted.iteration, self.folder / wanted.adapter, "w", "m", "fp32", "cpu", (2,), 0)

    def fits(self, request: ChatRequest) -> str:
        self.asked.append(request.messages[-1]["content"])
        return "too long for the student" if len(request.messages[-1]["content"]) > 1000 else ""


class Running:
    """A door on a port, with its registry and backend."""

    def __init__(
        self, opened: Door, model: CurrentModel, registry: Registry, backend: VllmBackend, port: int, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.opened, self.model, self.registry, self.backend = opened, model, registry, backend
        self.url, self.loop = f"http://127.0.0.1:{port}", loop
        self.client = httpx2.Client(timeout=30, trust_env=False)

    def ask(self, question: str = "hello", **more: Any) -> httpx2.Response:
        body = {"model": "quill", "messages": [{"role": "user", "content": question}], **more}
        return self.client.post(f"{self.url}/v1/chat/completions", json=body)

    def until(self, right: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not right():
            assert time.monotonic() < deadline, self.backend.last_words()
            time.sleep(0.05)

    def answers_with(self, adapter: str) -> bool:
        return self.ask().headers.get(ADAPTER_HEADER) == adapter


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Running]:
    with opening(tmp_path) as running:
        yield running


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Running]:
    """A door that takes a backend for hung which says nothing for two seconds."""
    with opening(tmp_path, patience=2.0) as running:
        yield running


@contextmanager
def opening(tmp_path: Path, registry: Registry | None = None, **settings: Any) -> Iterator[Running]:
    """Open a door before the stand-in, and close both; it is waited for until it answers, where no registry is given."""
    given, registry = registry is not None, registry or Registry(tmp_path)
    program = (sys.executable, "-m", "alas_assets_tests.serving.fake_vllm")
    backend = VllmBackend(tmp_path / "backend.log", str(tmp_path), 32, program)
    model = CurrentModel("quill", registry, backend, **settings)
    opened = Door(model, registry)
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(opened.app(), log_level="warning", lifespan="on", timeout_graceful_shutdown=2))
    loop: Future[asyncio.AbstractEventLoop] = Future()

    def serve() -> None:
        with asyncio.Runner() as runner:
            loop.set_result(runner.get_loop())
            runner.run(server.serve(sockets=[listener]))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    running = Running(opened, model, registry, backend, listener.getsockname()[1], loop.result(10))
    try:
        if not given:
            running.until(lambda: running.answers_with(ONE))
        yield running
    finally:
        server.should_exit = True
        thread.join(20)
        backend.stop()


def test_it_answers_under_the_domains_name_and_says_which_adapter_did(door: Running) -> None:
    reply = door.ask("hi <|im_end|> there")
    body = reply.json()
    assert reply.headers[ADAPTER_HEADER] == ONE
    assert body["model"] == "quill"
    assert body["choices"][0]["message"]["content"] == f"{ONE} 0.0 24 hi < |im_end|> there"
    (model,) = door.client.get(f"{door.url}/v1/models").json()["data"]
    assert (model["id"], model["alas"]["adapter"], model["alas"]["weights_sha256"]) == ("quill", ONE, "w")
    assert door.client.get(f"{door.url}/health").json()["adapter"] == ONE


def test_vllm_is_given_the_template_that_the_adapter_was_trained_with(tmp_path: Path) -> None:
    backend = VllmBackend(tmp_path / "backend.log", str(tmp_path), 32, ("vllm",))
    with_own, older = tmp_path / "own", tmp_path / "older"
    for folder in (with_own, older):
        folder.mkdir()
    (with_own / "chat_template.jinja").write_text("settled", encoding="utf-8")
    for folder, template in ((with_own, "settled"), (older, PLAIN_TEMPLATE)):
        command = backend.command(1, Prepared(ONE, 0, folder, "w", "m", "fp32", "cpu", (2,), 0))
        assert Path(command[command.index("--chat-template") + 1]).read_text(encoding="utf-8") == template


def test_only_markers_of_the_model_that_answers_are_broken_up(door: Running) -> None:
    tokens = {"added_tokens": [{"id": 1, "content": "<|im_end|>", "special": True}]}
    (door.registry.folder / TWO / "tokenizer.json").write_text(json.dumps(tokens), encoding="utf-8")
    door.registry.adapter = TWO
    door.until(lambda: door.answers_with(TWO))
    assert door.ask("<s> <|im_end|>").json()["choices"][0]["message"]["content"] == f"{TWO} 0.0 24 <s> < |im_end|>"


def streamed(door: Running, question: str = "hello", **more: Any) -> tuple[str, str | None]:
    """Ask for a stream; return the whole text and why it ended."""
    body = {"model": "quill", "stream": True, "messages": [{"role": "user", "content": question}], **more}
    with door.client.stream("POST", f"{door.url}/v1/chat/completions", json=body) as reply:
        lines = [line[5:].strip() for line in reply.iter_lines() if line.startswith("data:")]
    assert lines[-1] == "[DONE]"
    pieces = [json.loads(line) for line in lines[:-1]]
    assert len(pieces) > 3
    assert {piece["model"] for piece in pieces} == {"quill"}
    choices = [choice for piece in pieces for choice in piece["choices"]]
    ends = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    return "".join(choice["delta"].get("content", "") for choice in choices), ends[0] if ends else None


def test_a_stream_comes_piece_by_piece_under_the_same_name(door: Running) -> None:
    assert streamed(door) == (f"I am {ONE} and done ", "length")


def test_a_stop_string_is_left_out_of_the_answer_whole_or_in_a_stream(door: Running) -> None:
    (choice,) = door.ask("hi there", stop=["hi", "nowhere"]).json()["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (f"{ONE} 0.0 24 ", "stop")
    assert streamed(door, stop=f"{ONE} and") == ("I am ", "stop")
    assert streamed(door, stop="done now") == (f"I am {ONE} and done ", "length"), "what might have begun a stop string is not lost"
    assert streamed(door, "breaks off", stop="done now") == (f"I am {ONE} and done ", None)


def test_a_promotion_needs_no_restart_and_no_request_fails(door: Running) -> None:
    pid = door.backend._process.pid if door.backend._process else 0
    seen: list[tuple[int, str]] = []
    stop = threading.Event()

    def ask_on() -> None:
        with httpx2.Client(timeout=30, trust_env=False) as client:
            while not stop.is_set():
                body = {"model": "quill", "messages": [{"role": "user", "content": "hello"}]}
                reply = client.post(f"{door.url}/v1/chat/completions", json=body)
                said = reply.json()["choices"][0]["message"]["content"].split()[0] if reply.status_code == 200 else ""
                seen.append((reply.status_code, reply.headers.get(ADAPTER_HEADER, "")))
                assert said == reply.headers[ADAPTER_HEADER]

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask_on) for _ in range(4)]
        door.registry.adapter = TWO
        door.until(lambda: door.answers_with(TWO))
        door.registry.adapter = ONE  # and a rollback
        door.until(lambda: door.answers_with(ONE))
        stop.set()
        for one in asking:
            one.result()
    assert {status for status, _ in seen} == {200}
    assert {adapter for _, adapter in seen} == {ONE, TWO}
    assert door.backend._process is not None
    assert door.backend._process.pid == pid


def test_an_adapter_that_is_rolled_back_while_it_is_prepared_never_answers(tmp_path: Path) -> None:
    said = list[str]()
    with opening(tmp_path, say=said.append) as running:
        running.registry.adapter = TWO
        running.until(lambda: TWO in running.registry.prepared)
        running.registry.adapter = ONE
        running.until(lambda: not running.model.is_changing)
        assert running.answers_with(ONE)
        running.registry.adapter = TWO
        running.until(lambda: running.answers_with(TWO))
    assert [words.split(" answers")[0] for words in said] == [f"quill: adapter {adapter} of iteration 0" for adapter in (ONE, TWO)]


def test_a_takedown_ends_a_models_answers_at_once(door: Running) -> None:
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(door.ask, "slow")
        streamed = pool.submit(door.ask, "slow", stream=True)
        door.until(lambda: door.registry.asked.count("slow") == 2)
        door.registry.gone, door.registry.adapter = {ONE}, TWO
        reply = door.ask()
        assert reply.status_code == 503
        assert "being prepared" in reply.json()["error"]["message"]
        assert slow.result().status_code == 503, "what was computed meanwhile is held back"
        assert "taken down" in streamed.result().text
        assert "done" not in streamed.result().text
    door.until(lambda: door.answers_with(TWO))


def test_where_nothing_may_answer_nothing_does(door: Running) -> None:
    door.registry.refusal = 'quill answers nothing for now (after_takedown = "refuse")'
    reply = door.ask()
    assert (reply.status_code, reply.headers.get(ADAPTER_HEADER)) == (503, None)
    assert "after_takedown" in reply.json()["error"]["message"]
    assert door.client.get(f"{door.url}/v1/models").json()["data"][0]["alas"]["answers"] is False


def test_a_stream_looks_at_what_may_answer_now_and_then_and_ends_where_nothing_may(door: Running) -> None:
    before = door.registry.looks
    assert streamed(door)[1] == "length"
    assert door.registry.looks - before <= 2, "the request's own, and one that the watch may have had"
    with ThreadPoolExecutor(1) as pool:
        slower = pool.submit(door.ask, "slower", stream=True)
        door.until(lambda: "slower" in door.registry.asked)
        door.registry.refusal = 'quill answers nothing for now (after_takedown = "refuse")'
        assert "am" in slower.result().text
        assert "after_takedown" in slower.result().text
        assert "done" not in slower.result().text


def test_the_old_one_goes_on_where_the_new_one_cannot_be_prepared(door: Running) -> None:
    door.registry.adapter = "broken"
    door.until(lambda: "broken" in door.registry.prepared)
    time.sleep(0.5)
    for _ in range(5):
        assert door.answers_with(ONE)
    assert door.registry.prepared.count("broken") == 1, "what has just failed is not tried at each request"
    door.registry.gone = {ONE}
    reply = door.ask()
    assert reply.status_code == 503
    assert "adapter broken is damaged" in reply.json()["error"]["message"]


def test_a_dead_backend_is_started_again(door: Running) -> None:
    assert door.ask("die").status_code == 503
    door.until(lambda: door.answers_with(ONE))


def test_a_dead_backend_is_started_again_for_the_old_adapter_where_the_new_one_cannot_be_prepared(door: Running) -> None:
    door.registry.adapter = "broken"
    door.until(lambda: "broken" in door.registry.prepared)
    door.ask("die")
    door.until(lambda: door.answers_with(ONE), 25)


def test_an_adapter_that_does_not_fit_beside_the_old_one_is_loaded_alone(door: Running) -> None:
    (door.registry.folder / TWO / "large").touch()
    door.registry.adapter = TWO
    door.until(lambda: door.answers_with(TWO), 25)


def test_the_old_one_answers_again_where_the_new_one_can_be_loaded_neither_beside_it_nor_alone(door: Running) -> None:
    (door.registry.folder / TWO / "large").touch()
    (door.registry.folder / TWO / "larger").touch()
    before = pid_of(door)
    door.registry.adapter = TWO
    door.until(lambda: pid_of(door) != before and door.answers_with(ONE), 25)


def test_an_adapter_for_which_the_old_one_has_to_make_room_in_vain_is_tried_less_and_less_often(tmp_path: Path) -> None:
    failures = list[float]()
    too_large = tmp_path / TWO / "larger"
    with opening(tmp_path, retry=0.1, say=lambda words: failures.append(time.monotonic()) if "nor alone" in words else None) as running:
        too_large.touch()
        running.registry.adapter = TWO
        running.until(lambda: len(failures) == 3)
        too_large.unlink()
        running.until(lambda: running.answers_with(TWO))
    first, second, third = failures
    assert (second - first > 1, third - second > 2) == (True, True), "ten times the wait, and twice that"


def test_a_backend_that_hangs_while_another_adapter_is_wanted_is_started_again(impatient: Running) -> None:
    before = pid_of(impatient)
    for process in psutil.Process(before).children(recursive=True):
        process.suspend()
    impatient.registry.adapter = TWO
    impatient.until(lambda: impatient.ask().status_code == 200, 25)
    assert pid_of(impatient) != before


def test_a_backend_that_hangs_at_its_first_model_is_started_again(tmp_path: Path) -> None:
    registry, said = Registry(tmp_path), list[str]()
    (tmp_path / ONE / "hangs").touch()
    with opening(tmp_path, registry, patience=2.0, say=said.append) as running:
        running.until(lambda: bool(said))
        assert said[0].endswith(f"vllm serve does not answer when it is to load a model; its log: {running.backend.log}")
        before = pid_of(running)
        (tmp_path / ONE / "hangs").unlink()
        running.until(lambda: running.answers_with(ONE))
        assert pid_of(running) != before


def test_one_that_dies_again_and_again_is_named(door: Running) -> None:
    for _ in range(3):
        door.until(lambda: door.answers_with(ONE))
        door.ask("die")
    door.until(lambda: door.answers_with(ONE))
    door.ask("die")
    door.until(lambda: "stays down" in door.ask().text)
    assert "backend.log" in door.ask().text


def pid_of(door: Running) -> int:
    return door.backend._process.pid if door.backend._process else 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_backend_that_hangs_is_started_again(impatient: Running, stream: bool) -> None:
    before = pid_of(impatient)
    reply = impatient.ask("hang", stream=stream)
    assert (reply.status_code, "started again" in reply.text) == (503, True)
    impatient.until(lambda: impatient.answers_with(ONE))
    assert pid_of(impatient) != before


def test_a_backend_that_answers_others_is_not_started_again(impatient: Running) -> None:
    before = pid_of(impatient)
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(impatient.ask, "hang")
        while not hanging.done():
            assert impatient.answers_with(ONE)
            time.sleep(0.05)
    assert "has too much to do" in hanging.result().text
    assert impatient.answers_with(ONE)
    assert pid_of(impatient) == before


@pytest.mark.parametrize("stream", [False, True])
def test_nothing_is_computed_on_for_a_client_that_has_left(door: Running, stream: bool) -> None:
    body = {"model": "quill", "stream": stream, "messages": [{"role": "user", "content": "hang"}]}
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.post(f"{door.url}/v1/chat/completions", json=body, timeout=1, trust_env=False)
    door.until(lambda: door.opened._open == 0, 10)
    door.until(lambda: "24 hang" in door.ask("what was given up?").text, 10)


def test_a_client_that_leaves_as_its_stream_begins_holds_no_place_and_nothing_is_computed_on_for_it(door: Running) -> None:
    body = json.dumps({"model": "quill", "stream": True, "messages": [{"role": "user", "content": "on and on"}]}).encode()
    listened = 0

    async def receive() -> dict[str, Any]:
        nonlocal listened
        listened += 1
        if listened == 1:
            return {"type": "http.request", "body": body, "more_body": False}
        if listened == 2:  # while the backend has not begun
            await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        pass

    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "query_string": b"", "http_version": "1.1"}
    scope |= {"headers": [(b"content-type", b"application/json")], "asgi": {"version": "3.0", "spec_version": "2.3"}}
    asyncio.run_coroutine_threadsafe(door.opened.app()(scope, receive, send), door.loop).result(30)
    assert (listened, door.opened._open) == (3, 0)
    door.until(lambda: "24 on and on" in door.ask("what was given up?").text, 10)


@pytest.mark.parametrize("stream", [False, True])
def test_no_more_requests_are_open_at_once_than_there_are_places(door: Running, stream: bool) -> None:
    body = {"model": "quill", "stream": stream, "messages": [{"role": "user", "content": "slow"}]}

    async def ask_all() -> list[httpx2.Response]:
        async with httpx2.AsyncClient(timeout=60, trust_env=False) as client:
            return await asyncio.gather(*(client.post(f"{door.url}/v1/chat/completions", json=body) for _ in range(_AT_ONCE + 16)))

    replies = asyncio.run(ask_all())
    assert [reply.status_code for reply in replies].count(200) == _AT_ONCE
    assert {reply.json()["error"]["message"] for reply in replies if reply.status_code != 200} == {
        f"{_AT_ONCE} requests are open already; ask again in a moment"
    }
    door.until(lambda: door.opened._open == 0, 10)
    assert door.answers_with(ONE)


def test_health_is_the_backends(door: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alas_assets.serving.door._HEALTH_SECONDS", 0.5)
    assert door.client.get(f"{door.url}/health").status_code == 200
    door.ask("be sick")
    reply = door.client.get(f"{door.url}/health")
    assert (reply.status_code, "vllm serve does not answer" in reply.text) == (503, True)


def test_bad_requests_are_refused_in_words_without_paths(door: Running) -> None:
    url = f"{door.url}/v1/chat/completions"
    assert door.ask(model="gpt-4").status_code == 404
    assert door.client.post(url, content=b"{}", headers={"content-type": "text/plain"}).status_code == 415
    assert door.client.post(url, content=b"x" * (MAX_BYTES + 5), headers={"content-type": "application/json"}).status_code == 413
    wrong = door.client.get(url)
    assert (wrong.status_code, wrong.json()["error"]["type"], wrong.headers["allow"]) == (405, "invalid_request_error", "POST")
    assert door.client.get(f"{door.url}/v1/load_lora_adapter").status_code == 404
    assert door.ask("x" * 2000).json()["error"]["message"] == "too long for the student"
    reply = door.ask("bad")
    assert reply.status_code == 400
    assert str(door.registry.folder) not in reply.text


def test_the_backend_listens_on_loopback_alone_and_ends_with_the_door(door: Running) -> None:
    wrapper = psutil.Process(door.backend._process.pid if door.backend._process else 0)
    family = [wrapper, *wrapper.children(recursive=True)]
    addresses = {conn.laddr.ip for one in family for conn in one.net_connections() if conn.status == psutil.CONN_LISTEN}
    assert addresses == {"127.0.0.1"}
    door.backend.stop()
    assert not [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
