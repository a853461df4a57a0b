"""A domain's pages are looked over and studied; failures are rows, and too little yield is explained (R3-R6)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from alas_assets.provenance.store import ArtifactStore
from alas_assets.records import CHUNK_SCHEMA, FETCH_SCHEMA, Topic
from alas_assets.retrieval.store import ChunkStore
from alas_assets.retrieval.study import (
    Studied,
    coverage,
    coverage_problem,
    found_all_gone,
    had_nothing_to_read,
    may_be_read_later,
    study,
    survey,
    yield_problem,
)
from alas_assets.synthesis.standing import latest_texts, no_longer_stated
from alas_assets_tests.retrieval.documents import lines, osv, pdf
from alas_assets_tests.retrieval.site import Answer, Site, go_to, lead_to, page, say, serving
from alas_assets_tests.retrieval.test_store import Embedder

PROSE = "<p>" + "The release changes how the tool reads its settings, and this sentence says so plainly. " * 12 + "</p>"


def small_site(site: Site) -> None:
    links = [
        "b.html",
        "a.html",
        "/a.html#part",
        "https://elsewhere.example/x",
        "gone.html",
        "book.pdf",
        "mailto:x@y.example",
        "b.html",
        "http://[x",
    ]
    site.routes["/"] = say(page("Index", "<ul>" + "".join(f'<li><a href="{link}">{link}</a></li>' for link in links) + "</ul>"))
    site.routes["/a.html"] = say(
        page("Page A", f"<p>Lead of A.</p><h2>First</h2>{PROSE}<h3>Deeper</h3>{PROSE}<h4>Too deep</h4>"), ETag='"a"'
    )
    site.routes["/b.html"] = say(page("Page B", f"<h2>Second</h2>{PROSE}"))


def topic(name: str, *urls: str) -> Topic:
    return Topic(topic_id=name, name=name, urls=list(urls))


def studied(site: Site, store: ArtifactStore, *topics: Topic, embed: Embedder | None = None, tag: str = "cell-000") -> Studied:
    return study(topics, site.domain(), store, embed=embed or Embedder(), embedder="tiny", tag=tag)


def test_a_survey_follows_the_index_once_in_its_order(site: Site, store: ArtifactStore) -> None:
    small_site(site)
    outlines, failures = survey(site.domain(), store)
    assert [(outline.title, outline.headings) for outline in outlines] == [("Page B", ["Second"]), ("Page A", ["First", "Deeper"])]
    assert outlines[1].summary == "Lead of A."
    assert [url for url, _ in failures] == [f"{site.url}/gone.html"]
    assert "404" in failures[0][1]
    assert sorted(site.paths) == ["/", "/a.html", "/b.html", "/gone.html"]


def test_a_seed_with_text_of_its_own_is_surveyed_too(site: Site, store: ArtifactStore) -> None:
    site.routes["/"] = say(page("Only page", PROSE))
    outlines, failures = survey(site.domain(), store)
    assert [outline.url for outline in outlines] == [f"{site.url}/"]
    assert failures == []


def test_the_link_pattern_and_the_page_limit_are_kept(site: Site, store: ArtifactStore) -> None:
    small_site(site)
    outlines, _ = survey(site.domain(link_pattern=r"/a\.html$"), store)
    assert [outline.title for outline in outlines] == ["Page A"]
    outlines, _ = survey(site.domain(max_pages=2), store)
    assert [outline.title for outline in outlines] == ["Page B"]


def test_pdf_and_json_are_followed_only_where_the_link_pattern_names_them(site: Site, store: ArtifactStore) -> None:
    links = '<a href="notes.pdf">notes</a>, <a href="r.json">a record</a> and <a href="a.html">a page</a>'
    site.routes["/"] = say(page("Index", f"<p>There are {links}.</p>"))
    site.routes["/a.html"] = say(page("Page A", PROSE))
    site.routes["/r.json"] = say(osv(), "application/json")
    site.routes["/notes.pdf"] = say(pdf([lines("Words of the notes", "that are enough to be read.")], Title="Notes"), "application/pdf")
    for pattern, titles in (
        ("", ["Page A"]),
        (r"\.(json|html)$", ["CVE-2026-10007: Crash in the parser", "Page A"]),
        (r"\.pdf$", ["Notes"]),
    ):
        outlines, failures = survey(site.domain(link_pattern=pattern), store)
        assert [outline.title for outline in outlines] == titles
        assert failures == []


def test_the_share_of_a_pages_words_that_reached_the_passages_is_kept_and_a_low_one_named(site: Site, store: ArtifactStore) -> None:
    small_site(site)
    got = studied(site, store, topic("t", f"{site.url}/a.html", f"{site.url}/b.html", f"{site.url}/gone.html"))
    words = [len(re.findall(r"\w+", " ".join(got.chunks.filter(url=url)["text"]))) for url in got.fetches["final_url"]]
    assert got.fetches["kept_words"].to_list() == words
    assert got.fetches["page_words"].to_list() == words
    assert got.fetches["how"].to_list() == ["main", "main", ""]
    assert coverage(got.fetches)["share"].to_list() == [1.0, 1.0]
    assert coverage_problem(got.fetches) is None
    b = f"{site.url}/b.html"
    lossy = got.fetches.with_columns(page_words=pl.when(final_url=b).then(1000).otherwise("page_words"))
    assert coverage(lossy)["final_url"].to_list()[0] == b
    problem = coverage_problem(lossy) or ""
    assert b in problem
    assert "1000 words" in problem
    assert "a.html" not in problem


def test_an_unreachable_seed_is_a_failure_and_no_exception(site: Site, store: ArtifactStore) -> None:
    outlines, failures = survey(site.domain(seed_urls=("http://127.0.0.1:1/",), private_hosts=("127.0.0.1:1",)), store)
    assert outlines == []
    assert "connection refused" in failures[0][1]


def test_study_keeps_body_text_offsets_and_topics_of_every_page(site: Site, store: ArtifactStore) -> None:
    small_site(site)
    a, b, gone = (f"{site.url}/{name}.html" for name in ("a", "b", "gone"))
    got = studied(site, store, topic("t1", a, f"{a}#part"), topic("t2", b, a, gone))
    assert dict(got.fetches.schema) == dict(FETCH_SCHEMA)
    assert dict(got.chunks.schema) == dict(CHUNK_SCHEMA)
    assert got.fetches["topic_ids"].to_list() == [["t1", "t2"], ["t2"], ["t2"]]
    assert got.fetches["ok"].to_list() == [True, True, False]
    assert "404" in got.fetches["reason"][2]
    assert sorted(site.paths) == ["/a.html", "/b.html", "/gone.html"]
    for row in got.chunks.iter_rows(named=True):
        text = (store.texts / row["text_sha256"]).read_text(encoding="utf-8")
        assert text[row["start"] : row["end"]] == row["text"]
        assert (store.pages / row["body_sha256"]).is_file()
        assert row["heading_path"][0] == row["title"]
    assert int(got.fetches["chunks"].sum()) == len(got.chunks)
    assert ChunkStore(store.lance, "little-site", "tiny").read_cell("cell-000").equals(got.chunks)
    assert yield_problem(got.fetches, got.chunks) is None


def test_a_second_study_of_unchanged_pages_embeds_nothing_and_gives_the_same_passages(site: Site, store: ArtifactStore) -> None:
    small_site(site)
    embed = Embedder()
    pages = topic("t", f"{site.url}/a.html", f"{site.url}/b.html")
    first = studied(site, store, pages, embed=embed)
    asked = len(embed.asked)
    second = studied(site, store, pages, embed=embed, tag="cell-001")
    assert asked == len(embed.asked) == first.embedded
    assert second.embedded == 0
    assert second.chunks.equals(first.chunks)
    assert site.asked[-1][1].get("If-None-Match") or site.asked[-2][1].get("If-None-Match") == '"a"'


def test_a_changed_page_embeds_only_its_changed_passages_and_the_old_cell_keeps_its_own(site: Site, store: ArtifactStore) -> None:
    small_site(site)
    pages = topic("t", f"{site.url}/a.html", f"{site.url}/b.html")
    first = studied(site, store, pages)
    site.routes["/b.html"] = say(page("Page B", f"<h2>Second</h2>{PROSE}<h2>Third</h2><p>A new fact stands at the end.</p>"))
    second = studied(site, store, pages, tag="cell-001")
    assert second.embedded == 1
    chunk_store = ChunkStore(store.lance, "little-site", "tiny")
    assert chunk_store.read_cell("cell-000").equals(first.chunks)
    assert chunk_store.read_cell("cell-001").equals(second.chunks)


def test_pages_read_over_several_connections_and_readers_give_the_same_in_the_same_order(site: Site, store: ArtifactStore) -> None:
    names = [f"{site.url}/{number}.html" for number in range(12)]
    site.routes |= {f"/{number}.html": say(page(f"Page {number}", PROSE)) for number in range(12)}
    one = study([topic("t", *names)], site.domain(readers=1), store, embed=Embedder(), embedder="tiny", tag="cell-000")
    elsewhere = ArtifactStore(store.root.parent / "other")
    many = study([topic("t", *names)], site.domain(readers=3, per_host=8), elsewhere, embed=Embedder(), embedder="tiny", tag="cell-000")
    assert many.chunks.drop("retrieved_at").equals(one.chunks.drop("retrieved_at"))
    assert many.fetches.drop("retrieved_at").equals(one.fetches.drop("retrieved_at"))


def test_two_addresses_of_one_page_give_its_passages_once(site: Site, store: ArtifactStore) -> None:
    small_site(site)
    site.routes["/old.html"] = go_to("/a.html")
    got = studied(site, store, topic("t", f"{site.url}/old.html", f"{site.url}/a.html"))
    assert got.fetches["ok"].to_list() == [True, True]
    assert got.fetches["page_id"].n_unique() == 1
    assert got.chunks["chunk_id"].is_unique().all()
    assert int(got.fetches["chunks"].sum()) == len(got.chunks)


def test_a_page_without_text_is_a_row_with_its_reason(site: Site, store: ArtifactStore) -> None:
    site.routes["/e"] = say(b"<html><body><script>draw()</script></body></html>")
    got = studied(site, store, topic("t", f"{site.url}/e"))
    assert (got.fetches["ok"][0], got.fetches["status"][0], got.fetches["body_sha256"][0] != "") == (False, 200, True)
    assert "text" in got.fetches["reason"][0]
    assert got.chunks.is_empty()


def _problem(site: Site, store: ArtifactStore, path: str, **changes: object) -> str:
    url = path if "://" in path else f"{site.url}{path}"
    got = study([topic("t", url)], site.domain(**changes), store, embed=Embedder(), embedder="tiny", tag="cell-000")
    return yield_problem(got.fetches, got.chunks) or ""


def test_too_little_yield_names_the_likely_cause(site: Site, store: ArtifactStore) -> None:
    site.routes |= {
        "/empty": say(page("", "<script>x</script>")),
        "/short": say(page("Short", "<p>Only six words in here.</p>")),
        "/err": say(b"", status=500),
    }
    assert "nothing listens at 127.0.0.1:1" in _problem(site, store, "http://127.0.0.1:1/", private_hosts=("127.0.0.1:1",))
    assert "sources.private_hosts" in _problem(site, store, "/short", private_hosts=())
    assert "sources.deny_hosts" in _problem(site, store, "/short", deny_hosts=("127.0.0.1",))
    assert "hold no text" in _problem(site, store, "/empty")
    assert "hold only" in _problem(site, store, "/short")
    assert "404" in _problem(site, store, "/none")
    assert "error of its own" in _problem(site, store, "/err")
    site.routes["/robots.txt"] = say(b"User-agent: *\nDisallow: /", "text/plain")
    assert "robots.txt" in _problem(site, store, "/short")


def test_a_cell_without_pages_is_a_problem_in_words(site: Site, store: ArtifactStore) -> None:
    got = studied(site, store)
    assert "no topic names a page" in (yield_problem(got.fetches, got.chunks) or "")


def test_a_cell_that_had_nothing_to_read_is_told_from_one_that_had_and_keeps_the_passages_that_it_may_have(
    site: Site, store: ArtifactStore
) -> None:
    small_site(site)
    first = studied(site, store, topic("t", f"{site.url}/a.html"), tag="cell-000")
    got = studied(site, store, topic("of no page"), tag="cell-000")
    assert (had_nothing_to_read(first.fetches), had_nothing_to_read(got.fetches)) == (False, True)
    assert ChunkStore(store.lance, "little-site", "tiny").read_cell("cell-000").equals(first.chunks)


def test_pages_that_are_all_gone_are_told_from_pages_that_may_come_back(site: Site, store: ArtifactStore) -> None:
    site.routes |= {"/gone": say(b"", status=410), "/err": say(b"", status=500), "/here": say(page("Here", "<p>Quill reads ink.</p>" * 20))}

    def all_gone(*paths: str) -> bool:
        return found_all_gone(studied(site, store, topic("t", *(f"{site.url}{path}" for path in paths))).fetches)

    assert [all_gone("/gone", "/none"), all_gone("/gone", "/err"), all_gone("/gone", "/here"), all_gone()] == [True, False, False, False]


def test_what_is_gone_will_not_be_read_later(site: Site, store: ArtifactStore) -> None:
    small_site(site)
    ((_, reason),) = survey(site.domain(), store)[1]
    assert not may_be_read_later(reason)
    assert not may_be_read_later("redirected to http://h/x: http://h/x answered 410 Gone")
    assert may_be_read_later("http://h/x answered 503 Service Unavailable")


def test_a_store_that_cannot_be_written_is_an_error_and_no_failed_page(site: Site, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the store's folder should be")
    small_site(site)
    with pytest.raises(OSError, match="blocked"):
        studied(site, ArtifactStore(blocked), topic("t", f"{site.url}/a.html"))


def test_a_seed_that_leads_nowhere_is_studied_itself_however_many_links_it_holds(site: Site, store: ArtifactStore) -> None:
    links = " ".join(f'<a href="/other{n}.html">module {n}</a>' for n in range(60))
    site.routes["/"] = say(page("What is new in Quill 5", f"<p>The blot() function was added. It takes one argument. {links}</p>"))
    outlines, failures = survey(site.domain(link_pattern="/whatsnew/"), store)
    assert [outline.url for outline in outlines] == [f"{site.url}/"]
    assert failures == []


# ------------------------------------------------------------------------------------------------ pages that moved


def release(says: str) -> bytes:
    return page("Release notes", f"<p>The limit of the reader is {says} bytes now, and the notes of the release say why. {PROSE}</p>")


def index(*links: str) -> Answer:
    return say(page("Index", "<ul>" + "".join(f'<li><a href="{link}">{link}</a></li>' for link in links) + "</ul>"))


def iteration(site: Site, store: ArtifactStore, earlier: Sequence[pl.DataFrame] = (), *, plan: Sequence[str] | None = None) -> Studied:
    """Survey the site, and study what was found or only what a plan is for."""
    outlines, _ = survey(site.domain(), store)
    found_by = {one.url: one.found_by for one in outlines}
    topics = [topic("t", *(found_by if plan is None else plan))]
    tag = f"cell-{len(earlier):03d}"
    return study(topics, site.domain(), store, embed=Embedder(), embedder="tiny", tag=tag, found_by=found_by, earlier=earlier)


def retired(store: ArtifactStore, old: str, quote: str, *readings: pl.DataFrame) -> bool:
    """Tell whether a fact that was taught from an address no longer stands after these readings."""
    sha = readings[0].filter(page_id=old)["text_sha256"].item()
    taught = pl.DataFrame({"accepted": [True], "fact_id": ["f"], "page_id": [old], "text_sha256": [sha], "quote": [quote]})
    return bool(no_longer_stated([taught], latest_texts(readings), lambda name: (store.texts / name).read_text(encoding="utf-8")))


MOVED = {
    "moved for good": go_to("/new.html", status=301),
    "moved for good, as newer servers say": go_to("/new.html", status=308),
    "a page that leads on": say(lead_to("/new.html")),
}


@pytest.mark.parametrize("way", MOVED)
@pytest.mark.parametrize("planned", [True, False])
def test_what_a_page_taught_goes_by_its_new_address_although_the_survey_finds_that_at_once(
    way: str, planned: bool, site: Site, store: ArtifactStore
) -> None:
    site.routes |= {"/": index("/a.html", "/old.html"), "/a.html": say(page("A", PROSE)), "/old.html": say(release("64"))}
    first = iteration(site, store)
    old, new, quote = f"{site.url}/old.html", f"{site.url}/new.html", "The limit of the reader is 64 bytes now"
    site.routes |= {"/": index("/a.html", "/new.html"), "/new.html": say(release("128")), "/old.html": MOVED[way]}
    second = iteration(site, store, [first.fetches], plan=None if planned else [f"{site.url}/a.html"])
    assert second.fetches.filter(requested_url=old).select("page_id", "ok", "chunks", "topic_ids").rows() == [(new, True, 0, [])]
    assert set(second.chunks["page_id"]) == {f"{site.url}/a.html"} | ({new} if planned else set())
    assert retired(store, old, quote, first.fetches, second.fetches)
    assert not retired(store, old, "the notes of the release say why", first.fetches, second.fetches)
    assert yield_problem(second.fetches, second.chunks) is None


def test_a_page_that_is_gone_and_stands_word_for_word_elsewhere_on_its_host_goes_by_that_address(site: Site, store: ArtifactStore) -> None:
    site.routes |= {"/": index("/a.html", "/old.html"), "/a.html": say(page("A", PROSE)), "/old.html": say(release("64"))}
    first = iteration(site, store)
    site.routes |= {"/": index("/a.html", "/new.html"), "/new.html": say(release("64"))}
    del site.routes["/old.html"]
    second = iteration(site, store, [first.fetches])
    site.routes["/new.html"] = say(release("128"))
    third = iteration(site, store, [first.fetches, second.fetches])
    old, quote = f"{site.url}/old.html", "The limit of the reader is 64 bytes now"
    assert not retired(store, old, quote, first.fetches, second.fetches)
    assert retired(store, old, quote, first.fetches, second.fetches, third.fetches)


def test_a_page_that_is_there_still_gone_or_leads_where_no_survey_did_keeps_what_it_said(site: Site, store: ArtifactStore) -> None:
    names = ("stays", "gone", "login")
    site.routes |= {"/": index(*(f"/{name}.html" for name in names)), **{f"/{name}.html": say(release("64")) for name in names}}
    first = iteration(site, store)
    site.routes |= {"/": index("/new.html", "/more.html"), "/new.html": say(release("128")), "/more.html": say(page("More", PROSE))}
    site.routes |= {"/gone.html": say(b"gone", status=410), "/door": say(page("Log in", PROSE)), "/login.html": go_to("/door", status=301)}
    second = iteration(site, store, [first.fetches])
    assert second.fetches["requested_url"].to_list() == [f"{site.url}/new.html", f"{site.url}/more.html"]
    for name in names:
        assert not retired(store, f"{site.url}/{name}.html", "The limit of the reader is 64 bytes now", first.fetches, second.fetches)


def test_addresses_that_nothing_leads_to_are_asked_only_where_a_page_is_new_and_within_the_limit(site: Site, store: ArtifactStore) -> None:
    site.routes |= {"/": index("/a.html", "/b.html"), "/a.html": say(page("A", PROSE)), "/b.html": say(page("B", PROSE))}
    first = iteration(site, store)
    site.routes["/"] = index("/a.html")
    site.asked.clear()
    iteration(site, store, [first.fetches])
    assert "/b.html" not in site.paths
    site.routes |= {"/": index("/a.html", "/new.html"), "/new.html": say(page("New", PROSE))}
    iteration(site, store, [first.fetches])
    assert site.paths.count("/b.html") == 1
    found_by = dict.fromkeys((f"{site.url}/a.html", f"{site.url}/new.html"), "link")
    plan, few = [topic("t", *found_by)], site.domain(max_pages=2)
    study(plan, few, store, embed=Embedder(), embedder="tiny", tag="cell-003", found_by=found_by, earlier=[first.fetches])
    assert site.paths.count("/b.html") == 1


def test_an_old_address_that_gives_no_answer_once_is_a_row_and_is_asked_again_although_nothing_is_new(
    site: Site, store: ArtifactStore
) -> None:
    site.routes |= {"/": index("/a.html", "/old.html"), "/a.html": say(page("A", PROSE)), "/old.html": say(release("64"))}
    first = iteration(site, store)
    old, new, quote = f"{site.url}/old.html", f"{site.url}/new.html", "The limit of the reader is 64 bytes now"
    site.routes |= {"/": index("/a.html", "/new.html"), "/new.html": say(release("128")), "/old.html": say(b"", status=503)}
    second = iteration(site, store, [first.fetches])
    assert second.fetches.filter(requested_url=old).select("ok", "status", "chunks", "topic_ids").rows() == [(False, 503, 0, [])]
    assert "answered 503" in second.fetches.filter(requested_url=old)["reason"].item()
    assert yield_problem(second.fetches, second.chunks) is None
    site.routes["/old.html"] = go_to("/new.html", status=301)
    third = iteration(site, store, [first.fetches, second.fetches])
    assert third.fetches.filter(requested_url=old).select("page_id", "ok").rows() == [(new, True)]
    assert retired(store, old, quote, first.fetches, second.fetches, third.fetches)
    site.asked.clear()
    iteration(site, store, [first.fetches, second.fetches, third.fetches])
    assert "/old.html" not in site.paths


def test_many_old_addresses_of_a_host_that_is_down_do_not_count_as_pages_that_were_to_be_read(site: Site, store: ArtifactStore) -> None:
    names = [f"/old{number}.html" for number in range(6)]
    site.routes |= {"/": index(*names), **{name: say(page(f"Page {name}", PROSE)) for name in names}}
    first = iteration(site, store)
    site.routes |= {"/": index("/a.html", "/b.html"), "/a.html": say(page("A", PROSE)), "/b.html": say(page("B", PROSE))}
    site.routes |= {name: say(b"", status=500) for name in names}
    second = iteration(site, store, [first.fetches])
    assert second.fetches["ok"].to_list() == [True] * 2 + [False] * 6
    assert yield_problem(second.fetches, second.chunks) is None


@pytest.mark.parametrize("refused", ["deny_hosts", "allow_hosts"])
def test_an_old_address_that_the_domain_no_longer_lets_be_read_is_not_asked(refused: str, site: Site, store: ArtifactStore) -> None:
    with serving() as other:
        other.routes["/old.html"] = say(page("Old", PROSE))
        site.routes |= {"/": index("/new.html"), "/new.html": say(page("New", PROSE))}
        hosts = (f"127.0.0.1:{site.port}", f"127.0.0.1:{other.port}")
        old = f"{other.url}/old.html"
        wide = site.domain(private_hosts=hosts)
        first = study([topic("t", old)], wide, store, embed=Embedder(), embedder="tiny", tag="cell-000")
        other.asked.clear()
        narrow = site.domain(private_hosts=hosts, **{refused: (hosts[refused == "deny_hosts"],)})
        found_by = {f"{site.url}/new.html": "link"}
        plan = [topic("t", *found_by)]
        again = study(plan, narrow, store, embed=Embedder(), embedder="tiny", tag="cell-001", found_by=found_by, earlier=[first.fetches])
    assert again.fetches["requested_url"].to_list() == list(found_by)
    assert other.asked == []
