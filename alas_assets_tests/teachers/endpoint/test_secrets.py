"""The key goes into one header and nowhere else, whatever a server says, a logger prints or an error tells."""

from __future__ import annotations

import json
import logging
import socket
import threading
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.domains.config import Budget, TeacherSettings
from alas_assets.teachers.endpoint.calls import EndpointError
from alas_assets.teachers.endpoint.client import Endpoint, open_endpoint
from alas_assets.teachers.endpoint.transport import _proxy_for
from alas_assets.teachers.endpoint.wire import NO_ADDRESS, endpoint_url, identity
from alas_assets_tests.teachers.endpoint.conftest import CELL, QUICK, Opener, calls
from alas_assets_tests.teachers.endpoint.faulty import FAULTS, FaultServer, always, mixed

CANARY = "canary-key-4711-Q7xPz0"
LOGGERS = ("", "openai", "httpx2", "httpcore2", "httpx", "httpcore", "asyncio")


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> str:
    monkeypatch.setenv("CANARY_KEY", CANARY)
    for name in LOGGERS:
        caplog.set_level(logging.DEBUG, logger=name)
    return CANARY


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def repeat_the_key(body: dict) -> str:
    return f"your key is {CANARY}, as JSON {json.dumps({'key': CANARY})}, encoded {CANARY.replace('-', '%2D')}"


@pytest.mark.parametrize("plan", [mixed(0.3, 9, FAULTS), always("key"), always("error"), always("quota"), always("busy")], ids=range(5))
def test_the_key_is_in_no_log_ledger_error_reply_or_repr(
    connect: Opener, canary: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], plan: object
) -> None:
    said: list[str] = []
    told = ""
    with FaultServer(plan=plan, answer=repeat_the_key, retry_after="0.02", drip_seconds=0.02) as server:  # type: ignore[arg-type]
        endpoint = connect(
            server.url, key_env="CANARY_KEY", log=said.append, deadline_seconds=0.3, api="auto", answers="auto", attempts=4, tuning=QUICK
        )
        try:
            told = "".join(reply.model_dump_json() for reply in endpoint.ask(calls(40, user=f"the key is {canary}")))
        except EndpointError as error:
            told = "".join(traceback.format_exception(error)) + repr(error.__context__) + repr(error.__cause__)
        assert all(s.headers["authorization"] == f"Bearer {canary}" for s in server.received)
        assert all(canary not in s.path for s in server.received)
        assert all(canary not in value for s in server.received for name, value in s.headers.items() if name != "authorization")
    endpoint.ledger.export(tmp_path / "out.jsonl")
    endpoint.close()
    logged = "\n".join([*said, *(record.getMessage() for record in caplog.records), *capfd.readouterr()])
    assert any(record.name.startswith("openai") for record in caplog.records)
    shown = [repr(endpoint), str(vars(endpoint)), repr(endpoint.settings), json.dumps(endpoint.settings.model_dump(mode="json"))]
    assert told
    assert canary not in told
    assert canary not in logged
    assert all(canary not in text for text in shown)
    assert canary.encode() not in everything(tmp_path)


def test_a_key_that_a_gateway_repeats_beside_the_answer_is_neither_in_the_ledger_nor_in_its_export(
    connect: Opener, canary: str, tmp_path: Path
) -> None:
    with FaultServer(echoes=True) as server:
        endpoint = connect(server.url, key_env="CANARY_KEY")
        reply = endpoint.ask(calls(1))[0]
    assert json.loads(endpoint.ledger.get([reply.key])[reply.key].meta)["id"] == "for Bearer [secret]"
    endpoint.ledger.export(tmp_path / "out.jsonl")
    endpoint.close()
    assert canary[:12].encode() not in everything(tmp_path)  # nor a part of it, where a long text was cut


def test_a_key_that_stands_where_an_error_is_cut_leaves_no_part_of_it(connect: Opener, canary: str) -> None:
    with FaultServer(plan=always("bad"), complaint=f"{'x' * 290} {canary}") as server:
        failure = connect(server.url, key_env="CANARY_KEY").ask(calls(1))[0].failure
    assert "xxx" in failure
    assert canary[:6] not in failure


def test_a_key_that_cannot_be_one_is_refused_without_repeating_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CANARY_KEY", f"{CANARY}\nX-Header: 1")
    settings = TeacherSettings(kind="openai", url="http://127.0.0.1:9/v1", model="tiny", key_env="CANARY_KEY")
    with pytest.raises(EndpointError, match=r"CANARY_KEY holds characters that no key has") as raised:
        open_endpoint(settings, Budget(), tmp_path / "l.sqlite")
    assert CANARY not in str(raised.value)


def test_no_key_for_openai_itself_is_said_before_any_call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(EndpointError, match=r"OPENAI_API_KEY is not set, and api.openai.com"):
        open_endpoint(TeacherSettings(kind="openai", model="gpt-9"), Budget(), tmp_path / "l.sqlite")


@pytest.mark.parametrize("url", ["http://ann:tops3cr3t@host/v1", "http://host/v1?key=tops3cr3t", "ftp://host/v1", "host"])
def test_an_address_that_holds_more_than_an_address_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(EndpointError, match=r"OPENAI_BASE_URL") as raised:
        open_endpoint(TeacherSettings(kind="openai", model="tiny"), Budget(), tmp_path / "l.sqlite")
    assert "tops3cr3t" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ann:tops3cr3t@Host:443/v1/?key=tops3cr3t#tops3cr3t", "https://host/v1"),
        ("http://[::1]:8000/v1/", "http://[::1]:8000/v1"),
        ("http://host/sk-tops3cr3t0123456789abcdef/v1", "http://host/[secret]/v1"),
        ("http://host/v1\x1b[31m", "http://host/v1?[31m"),
        *((wrong, NO_ADDRESS) for wrong in ("ann:tops3cr3t@host/v1", "http://host:tops3cr3t/v1", "http://[tops3cr3t", "tops3cr3t", "")),
    ],
    ids=range(9),
)
def test_what_names_an_endpoint_can_be_printed(monkeypatch: pytest.MonkeyPatch, url: str, shown: str) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    assert identity(endpoint_url(TeacherSettings(kind="openai", model="tiny"))) == (shown if url else "https://api.openai.com/v1")


@given(st.text())
def test_any_text_as_an_address_has_a_name_that_can_be_printed(url: str) -> None:
    assert identity(url).isprintable()


def test_a_redirect_is_not_followed(connect: Opener, canary: str) -> None:
    with FaultServer() as elsewhere, _Redirecting(elsewhere.url) as url:
        with pytest.raises(EndpointError, match=r"redirect, which is not followed.*teacher.url"):
            connect(url, key_env="CANARY_KEY").ask(calls(3))
        assert elsewhere.received == []


def test_a_plain_address_is_asked_directly_whatever_proxy_the_environment_names(
    connect: Opener, monkeypatch: pytest.MonkeyPatch, canary: str
) -> None:
    with FaultServer() as proxy, FaultServer() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert connect(server.url, key_env="CANARY_KEY").ask(calls(1))[0].complete
        assert proxy.received == []
        assert _proxy_for("https://api.example.com/v1") == proxy.url
        monkeypatch.setenv("no_proxy", "example.com")
        monkeypatch.setenv("NO_PROXY", "example.com")
        assert _proxy_for("https://api.example.com/v1") is None
        assert _proxy_for(server.url) is None


def test_a_short_placeholder_is_no_secret_that_texts_must_lose(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CANARY_KEY", "EMPTY")
    with FaultServer(answer=lambda _: "the list is EMPTY") as server:
        settings = TeacherSettings(kind="openai", url=server.url, model="tiny", key_env="CANARY_KEY", api="chat", answers="xml")
        endpoint = open_endpoint(settings, Budget(), tmp_path / "l.sqlite", CELL, tuning=QUICK)
        assert isinstance(endpoint, Endpoint)
        assert endpoint.ask(calls(1))[0].text == "the list is EMPTY"


class _Redirecting:
    """Answers everything with a redirect."""

    def __init__(self, target: str) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._answer = f"HTTP/1.1 307 X\r\nLocation: {target}/chat/completions\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()

    def __enter__(self) -> str:
        threading.Thread(target=self._serve, daemon=True).start()
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(self._answer)
