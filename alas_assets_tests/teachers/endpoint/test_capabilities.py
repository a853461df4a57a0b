"""What an endpoint can do is found out once, by what comes back and not by what is accepted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alas_assets.teachers.endpoint.calls import EndpointError
from alas_assets.teachers.endpoint.ledger import Ledger
from alas_assets_tests.teachers.endpoint.conftest import PATIENT, QUICK, Opener, calls
from alas_assets_tests.teachers.endpoint.faulty import FAULTS, FaultServer, always, first, mixed

AUTO = {"api": "auto", "answers": "auto"}


@pytest.mark.parametrize(
    ("server", "shown", "answers"),
    [
        ({}, "chat, schema enforced", "schema"),
        ({"schema": "ignore"}, "chat, schema ignored, JSON mode enforced; answers as xml", "xml"),
        ({"schema": "refuse"}, "chat, schema refused, JSON mode enforced; answers as xml", "xml"),
        ({"schema": "ignore", "json_mode": "ignore"}, "chat, schema ignored, JSON mode ignored; answers as xml", "xml"),
        ({"schema": "refuse", "json_mode": "refuse"}, "chat, schema refused, JSON mode refused; answers as xml", "xml"),
        ({"apis": ("responses",)}, "responses, schema enforced", "schema"),
        ({"apis": ("responses",), "schema": "ignore"}, "responses, schema ignored, JSON mode enforced; answers as xml", "xml"),
        ({"refuses": ("max_tokens", "temperature")}, "chat, schema enforced", "schema"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_it_is_seen_what_the_server_does(connect: Opener, server: dict, shown: str, answers: str) -> None:
    with FaultServer(**server) as running:
        found = connect(running.url, **AUTO).abilities("tiny")
        assert len(running.seen) <= 4
    assert (found.shown, found.answers) == (shown, answers)


def test_a_model_that_writes_the_json_it_is_told_not_to_is_no_proof_unless_it_is_the_schema_s(connect: Opener) -> None:
    with FaultServer(schema="ignore", json_mode="ignore", answer=lambda _: '{"birds": "nice"}') as server:
        assert connect(server.url, **AUTO).abilities("tiny").schema == "ignored"


@pytest.mark.parametrize("schema", ["enforced", "ignored"])
def test_a_model_whose_tokens_all_went_into_thinking_is_asked_once_more_with_as_many_as_a_call_has(connect: Opener, schema: str) -> None:
    def cut(body: dict, text: str) -> str:
        return "" if body["max_tokens"] <= 512 else text

    with FaultServer(schema=schema.removesuffix("d"), json_mode="ignore", cuts=cut) as server:
        endpoint = connect(server.url, **AUTO)
        assert endpoint.abilities("tiny").schema == schema
        assert [s.body["max_tokens"] for s in server.seen[:2]] == [512, endpoint.settings.max_tokens]
        assert connect(server.url, **AUTO).abilities("tiny").schema == schema
        assert len(server.seen) == (2 if schema == "enforced" else 4)


@pytest.mark.parametrize("half", ['{"probe":', '{"probe": "kes', '{\n\n  "probe" :' + " " * 300])
def test_half_an_answer_that_begins_as_the_schema_does_shows_that_it_is_enforced(connect: Opener, half: str) -> None:
    with FaultServer(cuts=lambda _, __: half) as server:
        assert connect(server.url, **AUTO).abilities("tiny").shown == "chat, schema enforced"
        assert len(server.seen) == 1


def test_half_an_object_shows_that_json_is_enforced_and_a_schema_is_not(connect: Opener) -> None:
    def cut(body: dict, text: str) -> str:
        return '{"said": "an ans' if body["response_format"]["type"] == "json_object" else text

    with FaultServer(schema="ignore", cuts=cut) as server:
        assert connect(server.url, **AUTO).abilities("tiny").shown == "chat, schema ignored, JSON mode enforced; answers as xml"


@pytest.mark.parametrize(
    "server",
    [
        {"cuts": lambda _, __: ""},
        {"cuts": lambda _, __: '{"birds": "a'},
        {"ended": "content_filter", "schema": "ignore"},
        {"ended": "error"},
    ],
    ids=["nothing", "another object", "filtered", "not understood"],
)
def test_what_no_answer_shows_is_not_kept_and_asked_again_by_the_next_run(connect: Opener, server: dict) -> None:
    with FaultServer(**{"schema": "ignore", "json_mode": "ignore"} | server) as running:
        endpoint = connect(running.url, **AUTO)
        found = endpoint.abilities("tiny")
        assert (found.schema, found.answers) == ("unclear", "xml")
        assert endpoint.ledger.abilities(endpoint.endpoint, "tiny") is None
        running.cuts, running.ended, running.schema = None, "stop", "enforce"
        assert connect(running.url, **AUTO).abilities("tiny").shown == "chat, schema enforced"


def test_it_is_asked_once_per_endpoint_and_model_also_by_other_processes(connect: Opener) -> None:
    with FaultServer(models=("tiny", "judge")) as server:
        connect(server.url, **AUTO).abilities("tiny")
        connect(server.url, **AUTO).abilities("tiny")
        connect(server.url, **AUTO).ask(calls(3))
        assert len(server.seen) == 1 + 3
        connect(server.url, **AUTO, judges=("judge",)).abilities("judge")
        assert len(server.seen) == 1 + 3 + 1


@pytest.mark.parametrize(
    ("settings", "probes"),
    [
        ({"api": "chat", "answers": "lines"}, 0),
        ({"api": "auto", "answers": "lines"}, 1),
        ({"api": "chat", "answers": "auto"}, 1),
        ({"api": "responses", "answers": "json"}, 0),
    ],
)
def test_what_the_domain_file_says_is_not_probed(connect: Opener, settings: dict, probes: int) -> None:
    with FaultServer() as server:
        endpoint = connect(server.url, **settings)
        endpoint.ask(calls(2))
        assert len(server.seen) == probes + 2
        found = endpoint.abilities("tiny")
    assert settings["api"] in ("auto", found.api)
    assert settings["answers"] in ("auto", found.answers)


def test_a_setting_that_was_probed_under_other_settings_is_probed_when_it_is_needed(connect: Opener) -> None:
    with FaultServer() as server:
        connect(server.url, api="auto", answers="xml").abilities("tiny")
        assert connect(server.url, **AUTO).abilities("tiny").schema == "enforced"
        assert connect(server.url, api="auto", answers="lines").abilities("tiny").answers == "lines"
        assert connect(server.url, api="responses", answers="auto").abilities("tiny").api == "responses"


def test_probes_get_through_faults(connect: Opener) -> None:
    faults = tuple(fault for fault in FAULTS if fault not in ("length", "fenced"))
    with FaultServer(plan=mixed(0.4, 11, faults), retry_after="0.05") as server:
        found = connect(server.url, **AUTO, attempts=10, deadline_seconds=0.5).abilities("tiny")
    assert found.shown == "chat, schema enforced"


def test_a_probe_that_gets_no_answer_is_an_error_and_nothing_is_remembered(connect: Opener) -> None:
    with FaultServer(plan=always("unavailable")) as server:
        endpoint = connect(server.url, **AUTO, attempts=2, tuning=QUICK)
        with pytest.raises(EndpointError, match=r"teacher\.(url|api)"):
            endpoint.ask(calls(5))
        assert Ledger(endpoint.ledger.path).abilities(endpoint.endpoint, "tiny") is None


@pytest.mark.parametrize("fault", ["unavailable", "error", "empty", "broken", "html", "busy"])
def test_an_outage_that_passes_is_taken_for_no_refusal(connect: Opener, fault: str) -> None:
    """Not even one that lasts through all attempts of the schema's probe and is over before the next."""
    attempts = 3
    with FaultServer(plan=first(attempts, fault)) as server:
        endpoint = connect(server.url, **AUTO, attempts=attempts, tuning=replace(PATIENT, first_wait=0.01, longest_wait=0.02))
        with pytest.raises(EndpointError, match=r"could not be asked what it can do.*teacher\.answers"):
            endpoint.abilities("tiny")
        assert endpoint.ledger.abilities(endpoint.endpoint, "tiny") is None
        assert endpoint.abilities("tiny").shown == "chat, schema enforced"


def test_a_refusal_that_does_not_name_the_form_counts_where_the_server_answers_without_it(connect: Opener) -> None:
    with FaultServer(plan=lambda _, body: "bad" if "response_format" in body else "") as server:
        assert connect(server.url, **AUTO).abilities("tiny").shown == "chat, schema refused, JSON mode refused; answers as xml"
    with FaultServer(plan=always("bad")) as server:
        endpoint = connect(server.url, **AUTO)
        with pytest.raises(EndpointError):
            endpoint.abilities("tiny")
        assert endpoint.ledger.abilities(endpoint.endpoint, "tiny") is None


def test_what_was_found_reads_well_and_where_nothing_fails_nothing_is_told(connect: Opener) -> None:
    said: list[str] = []
    with FaultServer() as server:
        endpoint = connect(server.url, **AUTO, log=said.append)
        endpoint.ask(calls(3))
        assert endpoint.abilities("tiny").shown == "chat, schema enforced"
    assert said == []


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_server_that_refuses_the_form_of_the_domain_file_is_asked_without_it_and_that_is_said(connect: Opener, api: str) -> None:
    said: list[str] = []
    with FaultServer(json_mode="refuse") as server:
        endpoint = connect(server.url, api=api, answers="json", concurrency=1, log=said.append)
        assert all(reply.complete for reply in endpoint.ask(calls(5, json_answer=True)))
        assert len(server.asked) == 6, "one refused, then five without the form"
    assert any("takes no response_format; asked without it" in line for line in said)
