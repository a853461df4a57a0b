"""What a feed has shown is told once, however long it stays and the feed goes on (O2)."""

from __future__ import annotations

from alas_assets.provenance.changes import WatchState
from alas_assets.retrieval.finding.feeds import Entry
from alas_assets.retrieval.watch import MAX_REMEMBERED, Look, changed_pages, shown_entries

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
