"""A watched page that changed opens the next iteration of its domain, once, whatever other sites do (O2)."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from alas_assets.defs.earlier import retired_facts
from alas_assets.defs.looks import look_for_changes
from alas_assets.defs.running import open_cell
from alas_assets.defs.watching import LOOK_SECONDS
from alas_assets.provenance.changes import read_watch_state
from alas_assets.provenance.ids import sha256_hex
from alas_assets.provenance.store import Cell, write_atomic
from alas_assets.provenance.watching import set_watched
from alas_assets.records import FETCH_SCHEMA, Seed
from alas_assets.release.closing import close_iteration
from alas_assets_tests.harness import Harness, Site, requests, serving, skipped


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as own:
        yield own


@pytest.fixture
def harness(tmp_path: Path, site: Site) -> Harness:
    """The domain `quill`, watched, whose iteration 000 is done and said stop."""
    harness = Harness(tmp_path, "no-student-is-needed-here")
    harness.domain("quill", site.port)
    harness.finished("quill", 0, "stop")
    return harness


def tick(harness: Harness) -> dg.SensorResult | dg.SkipReason:
    return harness.tick("release_pages")


def edit(site: Site) -> None:
    site.pages["/"] = site.pages["/"].replace('<li><a href="/4.html">', '<li><a href="/5.html">Quill 5</a></li><li><a href="/4.html">')


def test_the_first_look_remembers_and_opens_nothing(harness: Harness) -> None:
    assert "no watched page changed" in skipped(tick(harness))
    assert "no watched page changed" in skipped(tick(harness))


def test_a_changed_page_opens_the_next_iteration_and_the_run_says_why(harness: Harness, site: Site) -> None:
    tick(harness)
    edit(site)
    (request,) = requests(tick(harness))
    assert request.partition_key == "quill|001"
    assert f"127.0.0.1:{site.port}/" in request.tags["alas/because"]
    assert "changed" in request.tags["alas/because"]


def test_the_seed_takes_the_change_up_and_no_later_tick_or_seed_does_again(harness: Harness, site: Site) -> None:
    tick(harness)
    edit(site)
    (request,) = requests(tick(harness))
    outcome = open_cell(
        harness.instance, harness.settings, Cell.of("quill", 1), cause=request.tags["alas/because"], on_event=lambda *_: None
    )
    assert outcome.success, outcome.failures
    seed = harness.store.read_record(Seed, harness.pointers("quill", 1)["curriculum_seed"], "curriculum_seed")
    assert seed.changed_pages == [f"http://127.0.0.1:{site.port}/"]
    assert (seed.since_cause, seed.cause) == (1, request.tags["alas/because"])
    assert "no watched page changed" in skipped(tick(harness))
    harness.finished("quill", 1, "stop")
    assert requests(tick(harness)) == []


def test_a_change_while_an_iteration_is_unfinished_waits_and_is_not_lost(harness: Harness, site: Site) -> None:
    tick(harness)
    seed = Seed(domain="quill", iteration=1, description="d", seed_topics=[], seed_urls=[], cause="test")
    harness.store.put(Cell.of("quill", 1), "curriculum_seed", seed, input_key="1", inputs={}, run_id="r")
    edit(site)
    assert "unfinished" in skipped(tick(harness))
    harness.finished("quill", 1, "stop")
    assert [request.partition_key for request in requests(tick(harness))] == ["quill|002"]


def test_what_changes_around_the_article_is_no_change(harness: Harness, site: Site) -> None:
    tick(harness)
    site.pages["/"] = site.pages["/"].replace("</main>", "</main><footer>Page generated on 22 November 2026 at 20:00.</footer>")
    assert "no watched page changed" in skipped(tick(harness))


def test_a_page_that_was_not_there_and_now_is_counts_as_a_change(harness: Harness, site: Site) -> None:
    path = harness.settings.home / "domains" / "quill.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("watch_urls = []", f'watch_urls = ["http://127.0.0.1:{site.port}/5.html"]'), encoding="utf-8")
    assert "no watched page changed" in skipped(tick(harness))
    site.page("/5.html", "What is new in Quill 5", "<p>The <code>quill.wax</code> module gained the <code>melt()</code> function.</p>")
    (request,) = requests(tick(harness))
    assert "/5.html" in request.tags["alas/because"]


def studied(harness: Harness, site: Site, iteration: int) -> bool:
    """Edit /3.html, and have the iteration that this opens take it up and come to its end; tells whether one was opened."""
    site.pages["/3.html"] = site.pages["/3.html"].replace("</main>", f"<p>This page was shown {iteration} times up to now.</p></main>")
    if not requests(result := tick(harness)):
        assert "as in most iterations lately" in skipped(result)
        return False
    opened = open_cell(harness.instance, harness.settings, Cell.of("quill", iteration), cause="a change", on_event=lambda *_: None)
    assert opened.success, opened.failures
    harness.finished("quill", iteration, "stop")
    return True


def opened_earlier(harness: Harness, iteration: int, earlier: timedelta) -> None:
    """Have an iteration be opened so much earlier than it was."""
    path = harness.store.root / "cells" / "quill" / f"{iteration:03d}" / "curriculum_seed.json"
    pointer = json.loads(path.read_bytes())
    made_at = datetime.fromisoformat(pointer["made_at"]) - earlier
    write_atomic(path, json.dumps(pointer | {"made_at": made_at.isoformat()}).encode())


@pytest.fixture
def restless(harness: Harness, site: Site) -> Harness:
    """`quill`, whose page /3.html changed for three iterations in a row."""
    harness.domain("quill", site.port, watch_urls=json.dumps([f"http://127.0.0.1:{site.port}{path}" for path in ("/", "/3.html")]))
    tick(harness)
    assert [studied(harness, site, iteration) for iteration in (1, 2, 3)] == [True] * 3
    return harness


def test_a_page_that_changes_at_every_look_waits_longer_each_time_and_is_named_and_not_lost(restless: Harness, site: Site) -> None:
    assert not studied(restless, site, 4)
    assert f"127.0.0.1:{site.port}/3.html; the next iteration is opened at" in skipped(tick(restless))
    for iteration, (early, late) in enumerate([(55, 10), (115, 10), (235, 10), (475, 10), (955, 10), (1435, 10), (1435, 10)], start=4):
        opened_earlier(restless, iteration - 1, timedelta(minutes=early))
        assert not studied(restless, site, iteration)
        opened_earlier(restless, iteration - 1, timedelta(minutes=late))
        assert studied(restless, site, iteration)


def test_a_page_that_keeps_changing_goes_along_when_another_page_changes(restless: Harness, site: Site) -> None:
    assert not studied(restless, site, 4)
    edit(site)
    (request,) = requests(tick(restless))
    assert f"/3.html, http://127.0.0.1:{site.port}/" in request.tags["alas/because"]


def test_iterations_that_failed_make_no_page_wait(restless: Harness, site: Site) -> None:
    for iteration in (1, 2):
        close_iteration(restless.settings.home, Cell.of("quill", iteration), "it failed")
    assert studied(restless, site, 4)


ENTRY = '<entry><id>{id}</id><title>t</title><updated>{at}</updated><link href="{url}"/></entry>'


def feed(site: Site, *entries: tuple[str, str]) -> None:
    """Serve a feed of (id, time of change) entries."""
    url = f"http://127.0.0.1:{site.port}/"
    listed = "".join(ENTRY.format(id=name, at=at, url=f"{url}{name}.html") for name, at in entries)
    site.pages["/feed.xml"] = f'<feed xmlns="http://www.w3.org/2005/Atom"><title>f</title>{listed}</feed>'


@pytest.fixture
def fed(harness: Harness, site: Site) -> Harness:
    """`quill`, which reads a feed of one entry too, looked at once."""
    path = harness.settings.home / "domains" / "quill.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("watch_urls = []", f'watch_urls = []\nfeeds = ["http://127.0.0.1:{site.port}/feed.xml"]'), encoding="utf-8"
    )
    feed(site, ("3", "2026-11-01T00:00:00Z"))
    assert "no watched page changed" in skipped(tick(harness))
    return harness


def test_a_new_entry_of_a_feed_is_a_change_and_names_its_page(fed: Harness, site: Site) -> None:
    feed(site, ("9", "2026-11-02T00:00:00Z"), ("3", "2026-11-01T00:00:00Z"))
    (request,) = requests(tick(fed))
    assert request.tags["alas/because"] == f"1 watched pages changed: http://127.0.0.1:{site.port}/9.html"


def test_a_new_entry_of_a_page_that_the_domain_does_not_want_opens_nothing(fed: Harness, site: Site) -> None:
    path = fed.settings.home / "domains" / "quill.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("[sources]", '[sources]\nlink_pattern = "/9"', 1), encoding="utf-8")
    feed(site, ("party", "2026-11-03T00:00:00Z"), ("3", "2026-11-01T00:00:00Z"))
    assert "no watched page changed" in skipped(tick(fed))
    feed(site, ("9", "2026-11-04T00:00:00Z"), ("party", "2026-11-03T00:00:00Z"))
    (request,) = requests(tick(fed))
    assert request.tags["alas/because"] == f"1 watched pages changed: http://127.0.0.1:{site.port}/9.html"


def test_an_entry_that_was_shown_before_is_no_change_however_often_it_is_touched_or_comes_back(fed: Harness, site: Site) -> None:
    feed(site, ("3", "2026-11-05T00:00:00Z"))
    assert "no watched page changed" in skipped(tick(fed))
    feed(site)
    tick(fed)
    feed(site, ("3", "2026-11-01T00:00:00Z"))
    assert "no watched page changed" in skipped(tick(fed))


def test_a_feed_that_cannot_be_read_is_named_and_hides_no_page(fed: Harness, site: Site) -> None:
    site.pages["/feed.xml"] = "<html><body>Down for maintenance</body></html>"
    edit(site)
    assert [request.partition_key for request in requests(tick(fed))] == ["quill|001"]
    _, unread = look_for_changes(fed.alas, "quill", LOOK_SECONDS)
    assert [url for url, _ in unread] == [f"http://127.0.0.1:{site.port}/feed.xml"]


def test_a_site_that_fails_is_named_keeps_what_was_seen_and_hides_no_other(harness: Harness, site: Site) -> None:
    with serving() as other:
        harness.domain("ink", other.port)
        harness.finished("ink", 0, "stop")
        tick(harness)
        before = read_watch_state(harness.settings.home, "ink").seen
        other.close()
    edit(site)
    assert [request.partition_key for request in requests(tick(harness))] == ["quill|001"]
    state, unread = look_for_changes(harness.alas, "ink", LOOK_SECONDS)
    assert state.seen == before
    assert [url for url, _ in unread] == [f"http://127.0.0.1:{other.port}/"]


def test_a_domain_that_was_never_run_is_not_started_by_a_change(harness: Harness, site: Site) -> None:
    harness.domain("fresh", site.port)
    set_watched(harness.settings.home, "quill", False)
    set_watched(harness.settings.home, "fresh", True)
    tick(harness)
    edit(site)
    assert "alas run fresh" in skipped(tick(harness))


def test_a_broken_domain_file_is_named_and_hides_no_other(harness: Harness, site: Site) -> None:
    set_watched(harness.settings.home, "broken", True)
    (harness.settings.home / "domains" / "broken.toml").write_text("title = 3", encoding="utf-8")
    assert "broken.toml" in skipped(tick(harness))
    edit(site)
    assert [request.partition_key for request in requests(tick(harness))] == ["quill|001"]


def test_a_damaged_memory_is_named_and_hides_no_other(harness: Harness, site: Site) -> None:
    harness.domain("ink", site.port)
    harness.finished("ink", 0, "stop")
    tick(harness)
    next((harness.settings.home / "watch").glob("ink*.json")).write_text("{", encoding="utf-8")
    edit(site)
    assert [request.partition_key for request in requests(tick(harness))] == ["quill|001"]


@pytest.mark.timeout(120)
def test_a_site_that_never_answers_does_not_hold_a_tick(harness: Harness) -> None:
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        harness.domain("slow", silent.getsockname()[1])
        harness.finished("slow", 0, "stop")
        path = harness.settings.home / "domains" / "slow.toml"
        path.write_text(path.read_text(encoding="utf-8").replace("timeout_seconds = 5.0", "timeout_seconds = 300.0"), encoding="utf-8")
        assert f"not read within the {LOOK_SECONDS:g} s" in skipped(tick(harness))


@pytest.mark.timeout(240)
def test_an_edited_fact_is_taught_anew_and_the_old_one_is_neither_asked_nor_rehearsed(
    tmp_path: Path, tiny_student: Path, site: Site
) -> None:
    harness = Harness(tmp_path, str(tiny_student))
    harness.domain("quill", site.port, watch_urls=f'["http://127.0.0.1:{site.port}/3.html"]')
    assert harness.run("quill", dry_run=True).success
    pairs = harness.store.read_table(harness.pointers("quill")["qa_pairs"], "qa_pairs").filter("accepted")
    assert set(pairs["answer"]) == {"blot()", "quill.ink"}  # two questions about one sentence
    harness.revised("quill", 0, "stop")
    set_watched(harness.settings.home, "quill", True)
    tick(harness)
    site.pages["/3.html"] = site.pages["/3.html"].replace("blot()", "smear()")
    assert [request.partition_key for request in requests(tick(harness))] == ["quill|001"]
    assert harness.run("quill", 1, dry_run=True).success
    taught = harness.store.read_table(harness.pointers("quill", 1)["qa_pairs"], "qa_pairs")
    edited = taught.filter(pl.col("accepted") & pl.col("url").str.ends_with("/3.html"))
    assert set(edited["answer"]) == {"smear()", "quill.ink"}
    assert not edited["question"].str.contains("blot").any()
    asked = harness.store.read_table(harness.pointers("quill", 1)["probes"], "probes")
    assert "earlier" not in set(asked["split"])  # both facts of the sentence that is gone
    seed = harness.store.read_record(Seed, harness.pointers("quill", 1)["curriculum_seed"], "curriculum_seed")
    documents = harness.store.read_table(harness.pointers("quill", 1)["documents"], "documents")
    assert retired_facts(harness.alas, seed, documents) == frozenset(pairs["fact_id"])


def test_a_page_that_changed_after_it_was_read_has_changed_at_its_first_look(tmp_path: Path, tiny_student: Path, site: Site) -> None:
    def watch(*paths: str) -> None:
        harness.domain("quill", site.port, watch_urls=json.dumps([f"http://127.0.0.1:{site.port}{path}" for path in paths]))

    harness = Harness(tmp_path, str(tiny_student))
    watch("/")
    assert harness.run("quill", dry_run=True).success
    harness.revised("quill", 0, "stop")
    set_watched(harness.settings.home, "quill", True)
    watch("/", "/3.html")
    assert "no watched page changed" in skipped(tick(harness)), "it says what it said when it was read"
    watch("/")
    tick(harness)
    site.pages["/3.html"] = site.pages["/3.html"].replace("blot()", "smear()")
    watch("/", "/3.html")
    (request,) = requests(tick(harness))
    assert f"127.0.0.1:{site.port}/3.html" in request.tags["alas/because"]


@pytest.fixture
def read(harness: Harness, site: Site) -> Callable[[int], Path]:
    """Have an iteration read the page /3.html as it is now; returns the file of what it fetched."""

    def reads(iteration: int) -> Path:
        url, body = f"http://127.0.0.1:{site.port}/3.html", site.pages["/3.html"].encode()
        digest = sha256_hex(body)
        write_atomic(harness.store.pages / digest, body)
        at = datetime(2026, 1, 1, tzinfo=UTC)
        row = {"page_id": url, "requested_url": url, "final_url": url, "ok": True, "status": 200, "reason": "", "body_sha256": digest}
        table = pl.DataFrame([{**row, "content_type": "text/html", "retrieved_at": at, "topic_ids": []}], schema=FETCH_SCHEMA)
        cell = Cell.of("quill", iteration)
        pointer = harness.store.put(cell, "documents", table, input_key=f"read{iteration}", inputs={}, run_id="r")
        return harness.store.artifact_path("documents", pointer.hash, "parquet")

    return reads


def test_what_an_iteration_read_that_was_given_up_is_taught_by_nobody_and_counts_as_unread(
    harness: Harness, site: Site, read: Callable[[int], Path]
) -> None:
    read(0)
    site.pages["/3.html"] = site.pages["/3.html"].replace("blot()", "smear()")
    harness.opened("quill", 1)
    read(1)
    close_iteration(harness.settings.home, Cell.of("quill", 1), "it failed")
    harness.domain("quill", site.port, watch_urls=f'["http://127.0.0.1:{site.port}/3.html"]')
    assert [request.partition_key for request in requests(tick(harness))] == ["quill|002"]


def test_where_what_was_read_cannot_be_compared_a_first_look_waits_and_hides_no_other_change(
    harness: Harness, site: Site, read: Callable[[int], Path]
) -> None:
    file = read(0)
    whole = file.read_bytes()
    tick(harness)
    site.pages["/3.html"] = site.pages["/3.html"].replace("blot()", "smear()")
    harness.domain("quill", site.port, watch_urls=f'["http://127.0.0.1:{site.port}/", "http://127.0.0.1:{site.port}/3.html"]')
    file.write_bytes(whole[:-4])
    assert "cannot be compared with what was read of it" in skipped(tick(harness))
    edit(site)
    (request,) = requests(tick(harness))
    assert "/3.html" not in request.tags["alas/because"]
    file.write_bytes(whole)
    (request,) = requests(tick(harness))
    assert "/3.html" in request.tags["alas/because"]


def test_a_page_whose_stored_body_gives_no_text_any_more_is_read_again(harness: Harness, site: Site, read: Callable[[int], Path]) -> None:
    page = site.pages["/3.html"]
    site.pages["/3.html"] = "<html></html>"
    read(0)
    site.pages["/3.html"] = page
    harness.domain("quill", site.port, watch_urls=f'["http://127.0.0.1:{site.port}/3.html"]')
    assert [request.partition_key for request in requests(tick(harness))] == ["quill|001"]
