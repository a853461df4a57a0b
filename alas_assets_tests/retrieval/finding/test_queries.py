"""Queries come from a topic's keywords and the year; primary documentation comes first, all else keeps its order (R1)."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.domains.config import Domain
from alas_assets.domains.sources import SearchSettings
from alas_assets.retrieval.finding.queries import MAX_QUERY, lies_on, may_be_read, oldest, primary_first, survey_queries, topic_queries

SEARCH = SearchSettings(provider="searxng", url="http://127.0.0.1:1/")
TODAY = date(2026, 11, 27)


def domain(**changes: object) -> Domain:
    given = {"key": "d", "title": "Python releases", "description": "What is new in Python, by version.", "sources": {"folder": "/x"}}
    return Domain.model_validate(given | changes)


def test_a_topic_is_asked_for_in_its_context_and_year() -> None:
    assert topic_queries("Memory (Performance, build)", domain(), SEARCH, TODAY) == [
        "Memory Performance build Python releases",
        "Memory Performance build release notes 2026",
    ]
    assert topic_queries("C++ 26", domain(context="In Python 3.15"), SEARCH, TODAY)[0] == "C++ 26 In Python 3.15"


def test_a_placeholder_in_a_topics_name_is_no_placeholder() -> None:
    own = SEARCH.model_copy(update={"templates": ("{topic}",)})
    assert topic_queries("The {year} of {topic.__class__}", domain(), own, TODAY) == ["The year of topic.__class__"]


def test_a_survey_asks_for_the_seed_topics_or_the_title() -> None:
    assert survey_queries(domain(seed_topics=["a", "b"]), SEARCH, TODAY)[2] == "b Python releases"
    assert survey_queries(domain(), SEARCH, TODAY)[1] == "Python releases release notes 2026"


def test_no_age_is_any_age() -> None:
    assert oldest(SEARCH, TODAY) == date(2025, 11, 27)
    assert oldest(SEARCH.model_copy(update={"since_days": 0}), TODAY) is None


def test_primary_pages_come_first_and_the_rest_keeps_its_order() -> None:
    urls = ["https://b.example/1", "https://docs.python.org/3/", "https://notpython.org/", "https://python.org/", "https://b.example/2"]
    assert primary_first(urls, ["python.org"], lambda url: url) == [urls[1], urls[3], urls[0], urls[2], urls[4]]


@pytest.mark.parametrize("url", ["", "http://[", "folder://local/python.org", "http://python.org.evil.example/", "http://x/?python.org"])
def test_a_look_alike_is_not_primary(url: str) -> None:
    assert not lies_on(url, ["python.org", ""])


def test_the_lists_of_hosts_say_what_may_be_read() -> None:
    sources = domain(sources={"folder": "/x", "allow_hosts": ["a.example", "b.example"], "deny_hosts": ["bad.a.example"]}).sources
    urls = ["http://a.example/", "http://docs.b.example/", "http://bad.a.example/", "http://c.example/"]
    assert [may_be_read(url, sources) for url in urls] == [True, True, False, False]
    assert may_be_read("http://c.example/", domain().sources)


@given(topic=st.text(max_size=400))
def test_any_topic_gives_short_single_lines(topic: str) -> None:
    for query in topic_queries(topic, domain(), SEARCH, TODAY):
        assert 0 < len(query) <= MAX_QUERY
        assert query == " ".join(query.split())
