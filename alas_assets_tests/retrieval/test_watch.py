"""What a feed has shown is told once, however long it stays and the feed goes on; every watched page has its turn (O2)."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler

import pytest

from alas_assets.provenance.changes import WatchState
from alas_assets.provenance.store import ArtifactStore
from alas_assets.retrieval.finding.feeds import Entry
from alas_assets.retrieval.watch import MAX_REMEMBERED, MAX_WAITING, Look, _in_turn, changed_pages, look, remembered, shown_entries
from alas_assets_tests.retrieval.site import Site, page, say

FEED = "http://news.example/feed"


def shows(*names: str) -> Look:
    """A look at the feed, which holds these entries."""
    return Look(FEED, FEED, "digest", entries=tuple(Entry(f"http://news.example/{name}", name, name, "", "", "") for name in names))


def test_an_entry_that_stays_in_its_feed_is_not_new_again_and_every_other_is_told_once() -> None:
    state, told, step = WatchState(), [], 50
    for number in range(0, 2 * MAX_REMEMBERED, step):
        looks = [shows("pinned", *(f"entry-{one}" for one in range(number + step - 1, number - 1, -1)))]
        told += changed_pages(looks, state)
        state = state.model_copy(update={"entries": shown_entries(looks, state.entries)})
        assert len(state.entries[FEED]) <= MAX_REMEMBERED
    assert len(told) == len(set(told)) == 2 * MAX_REMEMBERED - step
    assert "http://news.example/pinned" not in told


def test_an_entry_that_comes_back_soon_is_not_new_and_one_that_was_never_there_is() -> None:
    state = WatchState(entries=shown_entries([shows("a", "b")], {}))
    state = WatchState(entries=shown_entries([shows("b")], state.entries))
    assert changed_pages([shows("a", "b", "c")], state) == ["http://news.example/c"]


def test_a_new_entry_counts_only_where_a_survey_would_take_it_and_is_told_no_more_once_it_may_be_taken(
    site: Site, store: ArtifactStore
) -> None:
    def feed(*names: str) -> None:
        items = "".join(f"<item><link>{site.url}/{name}</link></item>" for name in names)
        elsewhere = "<item><link>http://elsewhere.example/security/1</link></item>"
        site.routes["/feed"] = say(f"<rss version='2.0'><channel>{items}{elsewhere}</channel></rss>".encode())

    domain = site.domain(feeds=(f"{site.url}/feed",), link_pattern="/security/", allow_hosts=("127.0.0.1",))
    state = WatchState(entries={f"{site.url}/feed": []})
    feed("security/1", "party", "security/1.mp3")
    looks = look(domain, store, None)
    assert changed_pages(looks, state) == [f"{site.url}/security/1"]
    state = state.model_copy(update={"entries": shown_entries(looks, state.entries)})
    feed("party", "security/1", "security/2")
    anything = site.domain(feeds=(f"{site.url}/feed",))
    assert changed_pages(look(anything, store, None), state) == [f"{site.url}/security/2"]


def test_a_feed_fills_what_waits_for_an_iteration_so_far_and_keeps_no_changed_page_out() -> None:
    watched, state = "http://docs.example/", WatchState(entries={FEED: []}, pending=["http://news.example/waits"])
    state = state.model_copy(update={"seen": {watched: "before"}})
    told = changed_pages([shows(*map(str, range(2 * MAX_WAITING))), Look(watched, watched, "after")], state)
    assert told == [watched, *(f"http://news.example/{number}" for number in range(MAX_WAITING - 2))]
    full = state.model_copy(update={"pending": [f"http://news.example/waits-{number}" for number in range(2 * MAX_WAITING)]})
    assert changed_pages([shows("new"), Look(watched, watched, "after")], full) == [watched]


@pytest.mark.parametrize("read", [0, 1, 3])
def test_every_page_has_its_turn_although_each_look_reads_only_a_few(read: int) -> None:
    """`read` pages come in time; where none does, the first one asked was waited for."""
    watched = [f"http://docs.example/{number}" for number in range(10)]
    seen, turns = dict.fromkeys(watched, "digest"), []
    for _ in range(10):
        order = _in_turn(watched, list(seen))
        turns += order[: max(1, read)]
        seen = remembered([Look(url, url, "digest" if place < read else None, late=place >= read) for place, url in enumerate(order)], seen)
    assert [turns.count(url) for url in watched] == [max(1, read)] * 10


def test_pages_that_never_say_anything_keep_the_others_from_no_look() -> None:
    silent, others = [f"http://docs.example/s{number}" for number in range(3)], [f"http://docs.example/{number}" for number in range(6)]
    seen, had = dict.fromkeys(others, "digest"), set[str]()
    for _ in range(300):
        order = _in_turn([*silent, *others], list(seen))
        had.update(order[:3])
        says = [Look(url, url, None if url in silent else "digest") for url in order[:3]]
        seen = remembered([*says, *(Look(url, url, None, late=True) for url in order[3:])], seen)
    assert had == {*silent, *others}


def test_a_page_that_takes_all_the_time_keeps_the_pages_behind_it_from_one_look_only(site: Site, store: ArtifactStore) -> None:
    over = threading.Event()

    def hanging(handler: BaseHTTPRequestHandler) -> None:
        over.wait(60)
        say(page("Slow", "<p>These words come too late.</p>"))(handler)

    slow, quick = f"{site.url}/slow", f"{site.url}/quick"
    site.routes |= {"/slow": hanging, "/quick": say(page("Quick", "<p>These words come at once.</p>"))}
    domain, seen = site.domain(watch_urls=(slow, quick), timeout_seconds=60), {slow: "before", quick: "before"}
    try:
        for expected in (True, False):
            looks = {one.url: one for one in look(domain, store, 5.0, list(seen))}
            assert (looks[slow].late, looks[quick].late) == (True, expected)
            seen = remembered(list(looks.values()), seen)
    finally:
        over.set()
    assert seen[slow] == "before"
    assert seen[quick] not in ("", "before")


def test_a_feed_and_every_page_have_their_turn_although_they_share_a_host_that_answers_a_few_in_time(
    site: Site, store: ArtifactStore
) -> None:
    names = [f"/{number}" for number in range(6)]
    site.routes |= {name: say(page("Notes", "<p>These words come at once.</p>")) for name in names}
    site.routes["/feed"] = say(b"<rss version='2.0'><channel/></rss>")
    watched, seen = tuple(f"{site.url}{name}" for name in names), dict[str, str]()
    domain, read = site.domain(watch_urls=watched, feeds=(f"{site.url}/feed",), delay_seconds=0.4), set[str]()
    for _ in range(60):
        looks = look(domain, store, 1.0, list(seen))
        seen = remembered(looks, seen)
        read.update(one.url for one in looks if one.digest)
        if len(read) == len(names) + 1:
            break
    assert read == {*watched, f"{site.url}/feed"}


def test_a_page_and_a_feed_of_one_host_are_read_by_one_reading_of_its_rules(site: Site, store: ArtifactStore) -> None:
    site.routes |= {"/quick": say(page("Quick", "<p>These words come at once.</p>")), "/feed": say(b"<rss version='2.0'><channel/></rss>")}
    domain = site.domain(watch_urls=(f"{site.url}/quick",), feeds=(f"{site.url}/feed",))
    assert [one.reason for one in look(domain, store, None)] == ["", ""]
    assert sorted(path for path, _ in site.asked) == ["/feed", "/quick", "/robots.txt"]
