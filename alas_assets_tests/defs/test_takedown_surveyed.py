"""A page that surveys found and that no iteration studied is taken down like any other; no student is needed for that (A3)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from alas_assets.audit.trace import TraceError
from alas_assets.defs import takedown as work
from alas_assets.defs.lineage import closed_because
from alas_assets.provenance.blocked.order import TAKEN_DOWN, Order, read_marks
from alas_assets.provenance.changes import read_watch_state, take_up, update_watch_state
from alas_assets.provenance.store import Cell
from alas_assets.records import Curriculum, Seed, Topic
from alas_assets.removal.report import write_report
from alas_assets.retrieval.study import survey
from alas_assets_tests.harness import Harness, Site, serving

CELL = Cell("quill", "000")


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as running:
        yield running


def planned_with(harness: Harness, site: Site) -> list[str]:
    """Survey the site, keep a plan with a topic for each page, the first studied and the second put off; return the pages."""
    harness.domain("quill", site.port)
    outlines, _ = survey(harness.alas.domain("quill"), harness.store)
    topics = [Topic(topic_id=one.title, name=f"All of {one.title}", urls=[one.url]) for one in outlines]
    harness.opened("quill", 0)
    plan = Curriculum(
        domain="quill", iteration=0, topics=topics[:1], deferred=topics[1:], found_by={one.url: one.found_by for one in outlines}
    )
    harness.store.put(CELL, "curriculum", plan, input_key="plan", inputs={}, run_id="r")
    return [one.url for one in outlines]


def taken_down(harness: Harness, source: str) -> Order:
    planned = work.plan(harness.alas, source, reason="it is wrong", by="Ada")
    work.begin(harness.alas, harness.instance, planned)
    return work.carry_out(harness.alas, harness.instance, planned.order.id)


@pytest.mark.parametrize("by", ["page", "host"])
def test_a_page_that_was_only_surveyed_is_removed_and_never_asked_for_again(by: str, site: Site, tmp_path: Path) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    kept, gone = planned_with(harness, site)
    store, home = harness.store, harness.settings.home
    update_watch_state(home, "quill", lambda state: state.model_copy(update={"pending": [gone], "noticed": {"000": [gone]}}))
    order = taken_down(harness, gone if by == "page" else f"127.0.0.1:{site.port}")
    (share,) = order.shares
    assert (share.domain, share.since, share.readings, share.adapters) == ("quill", "000", 0, 0)
    assert share.surveyed == (1 if by == "page" else 2)
    assert closed_because(harness.alas, CELL) == f"takedown {order.id}", "its plan goes on from what was removed"
    said = b"".join(path.read_bytes() for folder in ("pages", "extracts", "artifacts") for path in (store.root / folder).rglob("*.*"))
    said += b"".join(path.read_bytes() for path in store.pages.glob("*"))
    assert b"stamp()" not in said
    assert b"Quill 4" not in b"".join(path.read_bytes() for path in (store.root / "artifacts").rglob("*.json"))
    assert (b"blot()" in said) == (by == "page"), "what another page says stays"
    assert gone not in (home / "watch" / "quill.json").read_text(encoding="utf-8")
    found = work.scan(harness.alas, harness.instance, order)
    assert found.clean
    _, as_html = write_report(store, order, read_marks(home, order.id), found)
    assert "addresses that were surveyed and never studied" in as_html.read_text(encoding="utf-8")

    before = site.requests["/4.html"]
    outlines, failed = survey(harness.alas.domain("quill"), store)
    assert [one.url for one in outlines] == ([kept] if by == "page" else [])
    assert {url for url, reason in failed if reason.startswith(TAKEN_DOWN)} == (
        {gone} if by == "page" else {f"http://127.0.0.1:{site.port}/"}
    )
    assert site.requests["/4.html"] == before
    with pytest.raises(TraceError, match="was taken down on"):
        work.plan(harness.alas, gone, reason="r", by="Ada")


def test_pages_that_an_iteration_took_up_or_noticed_are_forgotten_with_their_source(site: Site, tmp_path: Path) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    kept, gone = planned_with(harness, site)
    home = harness.settings.home
    take_up(home, CELL, [kept, gone])
    update_watch_state(home, "quill", lambda state: state.model_copy(update={"seen": {gone: "d"}, "noticed": {"000": [gone, kept]}}))
    taken_down(harness, gone)
    state = read_watch_state(home, "quill")
    assert (state.seen, state.taken, state.noticed, state.pending) == ({}, {"000": [kept]}, {"000": [kept]}, [kept])
    assert state.pages_of(CELL) == [kept]


def test_an_address_that_no_survey_found_is_still_wrong_usage(site: Site, tmp_path: Path) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    planned_with(harness, site)
    for source in (f"http://127.0.0.1:{site.port}/9.html", "nobody.example", "http://[x", "127.0.0.1:1"):
        with pytest.raises(TraceError, match="nothing was read from"):
            work.plan(harness.alas, source, reason="r", by="Ada")


def test_a_seed_keeps_nothing_of_a_page_that_was_put_off(site: Site, tmp_path: Path) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    _, gone = planned_with(harness, site)
    topic = Topic(topic_id="t", name="All of it", urls=[gone])
    seed = Seed(
        domain="quill", iteration=1, description="d", seed_topics=[], seed_urls=[], cause="c", next_topics=[topic], changed_pages=[gone]
    )
    harness.store.put(Cell("quill", "001"), "curriculum_seed", seed, input_key="s", inputs={}, run_id="r")
    taken_down(harness, gone)
    kept = harness.store.read_record(Seed, harness.pointers("quill", 1)["curriculum_seed"], "curriculum_seed")
    assert (kept.next_topics, kept.changed_pages) == ([], [])


def test_the_signed_report_of_a_page_outlives_the_takedown_of_its_host(site: Site, tmp_path: Path) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    _, gone = planned_with(harness, site)
    store, home, cell = harness.store, harness.settings.home, Cell("quill", "001")
    order = taken_down(harness, gone)
    reports = write_report(store, order, read_marks(home, order.id), work.scan(harness.alas, harness.instance, order))
    said = [path.read_bytes() for path in reports]
    _, failed = survey(harness.alas.domain("quill"), store)
    assert any(url == gone and reason.startswith(TAKEN_DOWN) for url, reason in failed)
    harness.opened("quill", 1)
    plan = Curriculum(domain="quill", iteration=1, topics=[], failed_urls=failed)
    store.put(cell, "curriculum", plan, input_key="plan again", inputs={}, run_id="r")
    taken_down(harness, f"127.0.0.1:{site.port}")
    assert [path.read_bytes() for path in reports] == said


def test_an_end_amid_the_tidying_leaves_no_name_of_what_was_removed_for_ever(site: Site, tmp_path: Path) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    _, gone = planned_with(harness, site)
    planned = work.plan(harness.alas, gone, reason="it is wrong", by="Ada")
    order = work.begin(harness.alas, harness.instance, planned)
    folder = harness.settings.home / "takedowns" / order.id
    in_the_way = folder / "rewritten.json"

    def put_in_the_way(step: str, _: object) -> None:
        if step == "dagster":
            in_the_way.unlink()
            in_the_way.mkdir()

    with pytest.raises(OSError, match=r"rewritten\.json"):
        work.carry_out(harness.alas, harness.instance, order.id, put_in_the_way)
    in_the_way.rmdir()
    order = work.carry_out(harness.alas, harness.instance, order.id)
    assert order.carried_out
    assert sorted(path.name for path in folder.iterdir()) == ["marks.json", "order.json"]
    assert work.scan(harness.alas, harness.instance, order).clean
