"""Each provider is asked in its own wire format, by its own client where it has one; every fault is a reason (R1, R2, S9)."""

from __future__ import annotations

import gzip
import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alas_assets.domains.sources import Sources
from alas_assets.provenance.store import ArtifactStore
from alas_assets.retrieval.finding.endpoint import MAX_ANSWER
from alas_assets.retrieval.finding.search import Asked, Hit, SearchError, ask_all, open_provider
from alas_assets_tests.retrieval.finding.provider import KEY, VARIABLE, Provider, Request, providing

PROVIDERS = ["searxng", "brave", "tavily", "exa"]
KEYED = PROVIDERS[1:]
TODAY = datetime.now(UTC).date()  # providers count an age back from the real day
AGE = 300
SINCE = (TODAY - timedelta(days=AGE)).isoformat()
FRESH = f"{TODAY.isoformat()}T00:00:00"
PAGES = [
    {"url": "https://docs.example.org/new#top", "title": "What is <b>new</b>", "text": "Words & more", "when": f"{FRESH}Z"},
    {"url": "https://blog.example.org/old", "title": "Old", "text": "", "when": "2020-01-01T00:00:00Z"},
    {"url": "https://undated.example.org/", "title": "Undated", "text": "", "when": None},
]


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setenv(VARIABLE, KEY)
    with providing() as running:
        yield running


def wire(name: str, pages: list[dict[str, object]]) -> object:
    """Put pages into the form of a provider's answer."""
    if name == "searxng":
        found = [{"url": p["url"], "title": p["title"], "content": p["text"], "publishedDate": p["when"], "engine": "x"} for p in pages]
        return {"query": "q", "number_of_results": 0, "results": found, "unresponsive_engines": []}
    if name == "brave":
        found = [
            {"type": "search_result", "url": p["url"], "title": p["title"], "description": p["text"], "page_age": p["when"]} for p in pages
        ]
        return {"type": "search", "query": {"original": "q"}, "web": {"type": "search", "results": found}} if pages else {"type": "search"}
    if name == "tavily":
        found = [{"url": p["url"], "title": p["title"], "content": p["text"], "score": 0.5, "published_date": p["when"]} for p in pages]
        return {"query": "q", "results": found, "images": [], "response_time": 0.1, "request_id": "r"}
    found = [{"id": p["url"], "url": p["url"], "title": p["title"], "publishedDate": p["when"], "author": None} for p in pages]
    return {"requestId": "r", "resolvedSearchType": "neural", "results": found, "costDollars": {"total": 0.005}}


def ask(provider: Provider, name: str, *queries: str, store: ArtifactStore, **changes: Any) -> list[Asked]:
    search = {"since_days": AGE, **changes.pop("search", {})}
    return ask_all(queries, provider.sources(name, search=search, **changes), TODAY, store)


def asked(provider: Provider, name: str, query: str = "what is new", *, store: ArtifactStore, **changes: Any) -> Asked:
    (answer,) = ask(provider, name, query, store=store, **changes)
    return answer


# ------------------------------------------------------------------------------------------------ good answers


@pytest.mark.parametrize("name", PROVIDERS)
def test_hits_are_plain_web_pages_and_those_known_to_be_too_old_are_left_out(name: str, provider: Provider, store: ArtifactStore) -> None:
    bad = [{"url": url, "title": "x", "text": "", "when": None} for url in ("file:///etc/passwd", "folder://local/x.md", "javascript:x")]
    provider.answer(wire(name, [*PAGES[:1], *bad, *PAGES[1:]]))
    answer = asked(provider, name, store=store)
    assert answer.reason == ""
    assert [hit.url for hit in answer.hits] == ["https://docs.example.org/new", "https://undated.example.org/"]
    first = answer.hits[0]
    assert first == Hit("https://docs.example.org/new", "What is new", "" if name == "exa" else "Words & more", f"{FRESH}+00:00")


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_is_asked_in_its_own_form_with_its_key_and_the_age(name: str, provider: Provider, store: ArtifactStore) -> None:
    provider.answer(wire(name, []))
    answer = asked(provider, name, 'C++ & "quotes" ?x=1', search={"results": 7}, store=store)
    assert (answer.hits, answer.reason) == ([], "")
    (request,) = provider.asked
    check = {"searxng": searxng_form, "brave": brave_form, "tavily": tavily_form, "exa": exa_form}[name]
    check(request)
    assert KEY not in answer.url
    assert request.headers["host"] == f"127.0.0.1:{provider.port}"


def searxng_form(request: Request) -> None:
    assert (request.method, request.path) == ("GET", "/search")
    assert request.query == {"q": 'C++ & "quotes" ?x=1', "format": "json", "pageno": "1", "time_range": "year"}


def brave_form(request: Request) -> None:
    assert (request.method, request.path, request.headers["x-subscription-token"]) == ("GET", "/res/v1/web/search", KEY)
    assert (request.query["q"], request.query["count"]) == ('C++ & "quotes" ?x=1', "7")
    assert request.query["freshness"] == f"{SINCE}to{datetime.now(UTC).date().isoformat()}"


def tavily_form(request: Request) -> None:
    assert (request.method, request.path, request.headers["authorization"]) == ("POST", "/search", f"Bearer {KEY}")
    assert request.body == {"query": 'C++ & "quotes" ?x=1', "max_results": 7, "start_date": SINCE}


def exa_form(request: Request) -> None:
    assert (request.method, request.path, request.headers["x-api-key"]) == ("POST", "/search", KEY)
    assert request.body["query"] == 'C++ & "quotes" ?x=1'
    assert (request.body["numResults"], request.body["startPublishedDate"]) == (7, SINCE)
    assert "contents" not in request.body


@pytest.mark.parametrize("name", PROVIDERS)
def test_no_more_hits_are_taken_than_were_asked_for_and_each_once(name: str, provider: Provider, store: ArtifactStore) -> None:
    provider.answer(wire(name, [{"url": f"https://a.example/{n % 8}", "title": "", "text": "", "when": None} for n in range(30)]))
    assert [hit.url[-1] for hit in asked(provider, name, store=store, search={"results": 7}).hits] == ["0", "1", "2", "3", "4", "5", "6"]


# ------------------------------------------------------------------------------------------------ faults


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "key"), (403, ""), (404, "404 Not Found"), (429, "come again after 3600"), (500, "500"), (302, "sources.search.url")],
)
def test_a_fault_is_a_reason_without_the_key(
    name: str, status: int, words: str, provider: Provider, store: ArtifactStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    provider.answer({"detail": {"error": f"bad key {KEY}"}, "error": KEY}, status, Retry_After="3600", Location="http://127.0.0.1:1/")
    answer = asked(provider, name, store=store)
    assert answer.hits == []
    assert f"{name} answered {status}" in answer.reason
    assert words in answer.reason
    assert KEY not in answer.reason
    assert KEY not in answer.url
    assert KEY not in caplog.text
    assert len(provider.asked) == 1


def test_a_searxng_without_json_says_what_to_set(provider: Provider, store: ArtifactStore) -> None:
    provider.answer(b"Forbidden", 403)
    assert "search.formats in its settings.yml" in asked(provider, "searxng", store=store).reason


@pytest.mark.parametrize(
    ("name", "status", "words"), [("brave", 422, "key"), ("tavily", 432, "limit"), ("tavily", 433, "limit"), ("exa", 402, "quota")]
)
def test_what_only_one_provider_answers_is_explained(name: str, status: int, words: str, provider: Provider, store: ArtifactStore) -> None:
    provider.answer({}, status)
    assert f"{name} answered {status}" in (reason := asked(provider, name, store=store).reason)
    assert words in reason


@pytest.mark.parametrize("name", KEYED)
def test_a_wrong_key_names_its_variable_and_ends_the_asking(name: str, provider: Provider, store: ArtifactStore) -> None:
    provider.answer({}, 401)
    first, second = ask(provider, name, "a", "b", store=store)
    assert VARIABLE in first.reason
    assert second.reason.startswith("not asked: ")
    assert len(provider.asked) == 1


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_that_asks_for_a_moment_is_asked_once_more(name: str, provider: Provider, store: ArtifactStore) -> None:
    provider.answer({}, 429, Retry_After="0")
    provider.answer(wire(name, PAGES))
    assert len(asked(provider, name, store=store).hits) == 2
    assert len(provider.asked) == 2


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize(
    "body", [b"", b"<html>hello</html>", b"[]", b"null", b'{"results": 3}', b'{"web": [], "results": {"a": 1}}', b"{" * 5_000]
)
def test_a_malformed_answer_is_a_reason_and_the_next_query_is_asked(
    name: str, body: bytes, provider: Provider, store: ArtifactStore
) -> None:
    provider.answer(body)
    provider.answer(wire(name, PAGES))
    first, second = ask(provider, name, "a", "b", store=store)
    assert first.hits == []
    assert first.reason
    assert len(second.hits) == 2


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_dripping_answer_is_given_up_at_the_deadline(name: str, provider: Provider, store: ArtifactStore) -> None:
    provider.answer(wire(name, PAGES))
    provider.drip = 0.05
    assert "did not answer in full within 0.5 s" in asked(provider, name, timeout_seconds=0.5, store=store).reason


@pytest.mark.parametrize("name", PROVIDERS)
def test_an_answer_without_end_is_cut_also_when_it_was_packed(name: str, provider: Provider, store: ArtifactStore) -> None:
    provider.answer(gzip.compress(b" " * (MAX_ANSWER * 10)), Content_Encoding="gzip")
    assert f"more than {MAX_ANSWER:,} bytes" in asked(provider, name, store=store).reason


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_on_a_private_address_must_be_allowed(name: str, provider: Provider, store: ArtifactStore) -> None:
    provider.answer(wire(name, PAGES))
    assert "sources.private_hosts" in asked(provider, name, private_hosts=[], store=store).reason
    assert provider.asked == []


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_that_is_down_is_a_reason(name: str, provider: Provider, store: ArtifactStore) -> None:
    answer = asked(provider, name, search={"url": "http://127.0.0.1:1"}, private_hosts=["127.0.0.1"], store=store)
    assert f"no answer from {name}" in answer.reason


# ------------------------------------------------------------------------------------------------ limits and keys


@pytest.mark.parametrize("name", KEYED)
@pytest.mark.parametrize(("value", "words"), [("", "is not set"), ("käy", "characters"), ("a\nb", "characters")])
def test_a_key_that_is_missing_or_broken_is_said_and_nothing_is_asked(
    name: str, value: str, words: str, provider: Provider, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    answer = asked(provider, name, store=store)
    assert VARIABLE in answer.reason
    assert words in answer.reason
    assert provider.asked == []


def test_no_more_is_asked_than_the_settings_allow(provider: Provider, store: ArtifactStore) -> None:
    provider.answer(wire("searxng", PAGES))
    answers = ask(provider, "searxng", "a", "b", "a", "c", store=store, search={"queries": 2})
    assert [(answer.query, answer.reason) for answer in answers] == [("a", ""), ("b", "")]
    assert len(provider.asked) == 2


def test_all_queries_together_have_a_deadline(provider: Provider, store: ArtifactStore) -> None:
    provider.answer(wire("searxng", PAGES))
    answers = ask(provider, "searxng", "a", "b", store=store, search={"deadline_seconds": 1e-9})
    assert all("sources.search.deadline_seconds" in answer.reason for answer in answers)
    assert provider.asked == []


def test_the_same_query_costs_nothing_again_that_day_and_a_failed_one_is_asked_again(provider: Provider, store: ArtifactStore) -> None:
    provider.answer({}, 500)
    provider.answer(wire("brave", PAGES))
    assert asked(provider, "brave", store=store).reason
    first, second = (asked(provider, "brave", store=store) for _ in range(2))
    assert first == second
    assert len(first.hits) == 2
    assert len(provider.asked) == 2
    ask_all([first.query], provider.sources("brave", search={"since_days": AGE}), TODAY + timedelta(days=1), store)
    assert len(provider.asked) == 3
    for path in (store.root / "searches").iterdir():
        assert KEY not in path.read_text(encoding="utf-8")
        path.write_text("{", encoding="utf-8")
    assert asked(provider, "brave", store=store) == first


@pytest.mark.parametrize(("name", "package"), [("tavily", "tavily"), ("exa", "exa_py"), ("duckduckgo", "ddgs")])
def test_a_client_that_is_not_installed_names_its_extra(
    name: str, package: str, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # what Python itself holds for a package that may not be imported
    with pytest.raises(SearchError, match=rf"pip install 'alas-assets\[{name}\]'"):
        open_provider(provider.sources(name))


def test_a_domain_without_a_provider_asks_nobody(provider: Provider, store: ArtifactStore) -> None:
    assert ask_all(["a"], Sources(seed_urls=(provider.url,)), TODAY, store) == []
    assert provider.asked == []


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[Provider]:
    with providing() as running:
        yield running


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=15),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["results", "web", "url", "title", "id", "type", "publishedDate", "costDollars"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("name", PROVIDERS)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.one_of(
        st.binary(max_size=200),
        VALUES.map(lambda value: json.dumps(value).encode()),
        VALUES.map(lambda v: json.dumps({"results": [v]}).encode()),
    )
)
def test_any_answer_is_hits_or_a_reason(
    name: str, fuzzed: Provider, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, body: bytes
) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    fuzzed.answers[:] = [(200, body, {})]
    (answer,) = ask_all(["a"], fuzzed.sources(name), TODAY, ArtifactStore(tmp_path_factory.mktemp("fuzz")))
    assert not (answer.hits and answer.reason)
    assert all(hit.url.startswith(("http://", "https://")) for hit in answer.hits)
