"""`alas serve` with a real `transformers serve` behind it, and `alas verify-served` in front: mechanics, with the tiny student."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from openai import OpenAI

from alas_assets.defs import takedown as work
from alas_assets.defs.offering import highest_rank
from alas_assets.defs.proving import recorded_answers, verify
from alas_assets.release.served import served_folder
from alas_assets.serving.backend import free_port
from alas_assets.serving.door import ADAPTER_HEADER
from alas_assets_tests.harness import Harness, Site, end
from alas_assets_tests.released import adapter_of, released

pytestmark = pytest.mark.timeout(900)
START_SECONDS = 400


class Served:
    """`alas serve` as a user starts it."""

    def __init__(self, harness: Harness, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self.harness, self.process, self.url, self.log = harness, process, url, log

    def ask(self, question: str = "What is quill?") -> httpx2.Response:
        body = {"model": "quill", "messages": [{"role": "user", "content": question}]}
        return httpx2.post(f"{self.url}/chat/completions", json=body, timeout=100, trust_env=False)

    def until(self, right: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not right():
            assert time.monotonic() < deadline, self.log.read_text(errors="replace")[-3000:]
            assert self.process.poll() is None, self.log.read_text(errors="replace")[-3000:]
            time.sleep(0.5)

    def answers_with(self, adapter: str) -> bool:
        return self.ask().headers.get(ADAPTER_HEADER) == adapter

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "alas_assets.cli", *words, "--home", str(self.harness.settings.home)]
        return subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment(), check=False)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def served(quill: Harness, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    harness = released(quill, folder)
    port, log = free_port(), folder / "serve.log"
    command = [sys.executable, "-m", "alas_assets.cli", "serve", "quill", "--port", str(port), "--home", str(harness.settings.home)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment())
    running = Served(harness, process, f"http://127.0.0.1:{port}/v1", log)
    try:
        running.until(lambda: _up(running))
        yield running
    finally:
        end(process, signal.SIGINT)


def _up(running: Served) -> bool:
    try:
        return running.answers_with(adapter_of(running.harness))
    except httpx2.TransportError:
        return False


def test_what_answers_is_proven_to_be_what_was_evaluated(served: Served) -> None:
    found = verify(served.harness.alas, "quill", url=served.url)
    assert [check.what for check in found.checks if not check.ok] == []
    assert all(one.same_text for one in found.compared), [one for one in found.compared if not one.same_text]
    assert found.of == len(found.compared) == len(recorded_answers(served.harness.alas, "quill", adapter_of(served.harness)))


def test_the_command_exits_with_0_only_if_it_is_proven(served: Served) -> None:
    done = served.command("verify-served", "quill", "--url", served.url, "--sample", "5", "--format", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["proven"] is True
    folder = served_folder(served.harness.store.served, adapter_of(served.harness), "")
    kept = (folder / "config.json").read_bytes()
    (folder / "config.json").write_bytes(kept + b"\n")
    try:
        done = served.command("verify-served", "quill", "--url", served.url, "--sample", "2")
    finally:
        (folder / "config.json").write_bytes(kept)
    assert done.returncode == 1
    assert "config.json has other bytes" in done.stdout
    assert "NOT PROVEN" in done.stdout


def test_an_openai_client_talks_to_it(served: Served) -> None:
    client = OpenAI(base_url=served.url, api_key="none")
    question = recorded_answers(served.harness.alas, "quill", adapter_of(served.harness))[0]
    asked = [{"role": "user", "content": question.question}]
    whole = client.chat.completions.create(model="quill", messages=asked)  # pyright: ignore
    assert (whole.choices[0].message.content or "").strip() == question.text
    pieces = client.chat.completions.create(model="quill", messages=asked, stream=True)  # pyright: ignore
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces).strip() == question.text
    assert [model.id for model in client.models.list()] == ["quill"]
    hot: Any = {"model": "quill", "messages": asked, "temperature": 2.0}
    sampled = {client.chat.completions.create(**hot, seed=n).choices[0].message.content for n in range(3)}
    assert len(sampled) > 1, "a temperature is heeded"


def test_a_rollback_and_its_undoing_need_no_restart(served: Served) -> None:
    adapter = adapter_of(served.harness)
    assert served.command("rollback", "quill").returncode == 0
    seen = set()

    def base_answers() -> bool:
        reply = served.ask()
        assert reply.status_code == 200
        seen.add(reply.headers[ADAPTER_HEADER])
        return reply.headers[ADAPTER_HEADER] == "base"

    served.until(base_answers)
    assert seen <= {adapter, "base"}
    assert served.command("rollback", "quill", "--undo").returncode == 0
    served.until(lambda: served.answers_with(adapter))


def test_a_killed_backend_comes_back(served: Served) -> None:
    family = psutil.Process(served.process.pid).children(recursive=True)
    (backend,) = [one for one in family if "serve" in one.cmdline() and "alas_assets.training.launch" not in one.cmdline()]
    backend.kill()
    served.until(lambda: served.ask().status_code == 200)


def test_a_takedown_ends_the_models_answers_and_removes_it(served: Served, quill_site: Site) -> None:
    adapter = adapter_of(served.harness)
    planned = work.plan(served.harness.alas, f"http://127.0.0.1:{quill_site.port}/3.html", reason="it is wrong", by="Ada")
    work.begin(served.harness.alas, served.harness.instance, planned)
    work.carry_out(served.harness.alas, served.harness.instance, planned.order.id)
    reply = served.ask()
    assert reply.headers.get(ADAPTER_HEADER) != adapter
    assert reply.status_code in (200, 503)
    assert not served_folder(served.harness.store.served, adapter, "").exists()
    served.until(lambda: served.answers_with("base"))  # after_takedown = "fall-back"


def test_ctrl_c_ends_both(served: Served) -> None:
    family = [psutil.Process(served.process.pid), *psutil.Process(served.process.pid).children(recursive=True)]
    served.process.send_signal(signal.SIGINT)
    served.process.wait(60)
    assert not [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_vllm_is_given_room_for_the_highest_rank_that_a_rollback_may_lead_to(quill: Harness, tmp_path: Path) -> None:
    harness = released(quill, tmp_path)
    alas = harness.alas
    of_the_recipe = alas.recipe(alas.domain("quill")).rank
    assert highest_rank(alas, "quill") == of_the_recipe
    manifest = harness.store.adapters / adapter_of(harness) / "manifest.json"
    written = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps(written | {"recipe": written["recipe"] | {"rank": 2 * of_the_recipe}}), encoding="utf-8")
    assert highest_rank(alas, "quill") == 2 * of_the_recipe
