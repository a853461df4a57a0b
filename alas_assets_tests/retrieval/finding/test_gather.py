"""Pages come from every kind of source that a domain names, each with what found it; a source that fails is a reason (R1, R2)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from alas_assets.domains.config import Domain
from alas_assets.provenance.store import ArtifactStore
from alas_assets.records import FETCH_SCHEMA, PageOutline, Topic
from alas_assets.retrieval.finding.folder import SCHEME
from alas_assets.retrieval.finding.gather import MAX_SITEMAPS
from alas_assets.retrieval.study import QUERY, Studied, found_all_gone, study, survey, with_found_pages, yield_problem
from alas_assets_tests.retrieval.finding.provider import Provider, providing
from alas_assets_tests.retrieval.site import Site, go_to, page, say
from alas_assets_tests.retrieval.test_store import Embedder

TODAY = date(2026, 11, 27)
PROSE = "<p>" + "The release changes how the tool reads its settings, and this sentence says so plainly. " * 12 + "</p>"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with providing() as running:
        yield running


def serve(site: Site, *names: str) -> None:
    for name in names:
        site.routes[f"/{name}"] = say(page(f"Page {name}", f"<h2>About {name}</h2>{PROSE}"))


def feed(site: Site, *names: str) -> bytes:
    entries = "".join(
        f"<item><link>{site.url}/{name}</link><pubDate>Mon, 2{n} Nov 2026 10:00:00 GMT</pubDate></item>" for n, name in enumerate(names)
    )
    return f'<rss version="2.0"><channel>{entries}</channel></rss>'.encode()


def sitemap(*locations: str, kind: str = "url") -> bytes:
    outer = {"url": "urlset", "sitemap": "sitemapindex"}[kind]
    return f"<{outer}>{''.join(f'<{kind}><loc>{where}</loc></{kind}>' for where in locations)}</{outer}>".encode()


def ways(outlines: list[PageOutline]) -> list[tuple[str, str]]:
    return [(outline.title, outline.found_by) for outline in outlines]


def test_pages_of_every_kind_come_in_order_each_once_with_what_found_it(site: Site, store: ArtifactStore, tmp_path: Path) -> None:
    serve(site, "a", "b", "c", "d", "e")
    site.routes["/"] = say(page("Index", '<p>All pages of this site:</p><ul><li><a href="/a">The first page</a></li></ul>'))
    site.routes["/feed"] = say(feed(site, "a", "b", "c"), "application/rss+xml")
    site.routes["/map.xml"] = say(sitemap(f"{site.url}/c", f"{site.url}/d", "https://elsewhere.example/x"), "application/xml")
    delta = {"numberOfChanges": 1, "new": [{"githubLink": f"{site.url}/e", "dateUpdated": "2026-11-20T00:00:00Z"}], "updated": []}
    site.routes["/delta.json"] = say(json.dumps(delta).encode(), "application/json")
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "own.md").write_text("# Own notes\n\nSome words of our own.\n", encoding="utf-8")
    domain = site.domain(
        feeds=[f"{site.url}/feed"], sitemaps=[f"{site.url}/map.xml"], record_indexes=[f"{site.url}/delta.json"], folder=str(notes)
    )
    outlines, failures = survey(domain, store)
    assert ways(outlines) == [
        ("Page a", "link"),
        ("Page c", f"feed {site.url}/feed"),
        ("Page b", f"feed {site.url}/feed"),
        ("Page d", f"sitemap {site.url}/map.xml"),
        ("Page e", f"records {site.url}/delta.json"),
        ("Own notes", "folder"),
    ]
    assert failures == [(f"{site.url}/map.xml", "1 of its pages lie on other hosts and were left out")]
    assert len(site.paths) == len(set(site.paths))
    again, _ = survey(domain, store)
    assert again == outlines


def test_pages_of_primary_hosts_come_first(site: Site, store: ArtifactStore) -> None:
    with_port = f"localhost:{site.port}"
    serve(site, "a", "b")
    site.routes["/feed"] = say(feed(site, "a").replace(b"</channel>", f"<item><link>http://{with_port}/b</link></item></channel>".encode()))
    domain = site.domain(
        seed_urls=[], feeds=[f"{site.url}/feed"], primary_hosts=[with_port], private_hosts=[f"127.0.0.1:{site.port}", with_port]
    )
    outlines, _ = survey(domain, store)
    assert [outline.title for outline in outlines] == ["Page b", "Page a"]


def test_a_source_that_fails_is_a_reason_and_the_others_are_read(site: Site, store: ArtifactStore, tmp_path: Path) -> None:
    serve(site, "a")
    site.routes["/good"] = say(feed(site, "a"))
    site.routes["/bad.xml"] = say(b"<html>no feed</html>")
    site.routes["/bomb"] = say(b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss version="2.0"><channel>&x;</channel></rss>')
    broken = [f"{site.url}/{name}" for name in ("bad.xml", "bomb", "gone")]
    domain = site.domain(
        seed_urls=[], feeds=[*broken, f"{site.url}/good"], sitemaps=broken, record_indexes=broken, folder=str(tmp_path / "none")
    )
    outlines, failures = survey(domain, store)
    assert ways(outlines) == [("Page a", f"feed {site.url}/good")]
    assert len(failures) == 10
    assert all(reason for _, reason in failures)
    assert sum("404" in reason for _, reason in failures) == 3
    assert not any("root:" in reason for _, reason in failures)


def test_no_foreign_document_leads_to_a_file_or_into_the_folder(site: Site, store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("# Secret\n\nWords that nobody may see.\n", encoding="utf-8")
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / ".private.md").write_text("# Private\n\nHidden words.\n", encoding="utf-8")
    bad = [f"{SCHEME}.private.md", f"{SCHEME}../secret.md", (tmp_path / "secret.md").as_uri()]
    site.routes["/"] = say(page("Index", "".join(f'<a href="{url}">x</a>' for url in bad) + PROSE * 3))
    site.routes["/feed"] = say(
        f"<rss version='2.0'><channel>{''.join(f'<item><link>{url}</link></item>' for url in bad)}</channel></rss>".encode()
    )
    site.routes["/map.xml"] = say(sitemap(*bad))
    site.routes["/delta.json"] = say(json.dumps({"numberOfChanges": 3, "new": [{"githubLink": url} for url in bad]}).encode())
    domain = site.domain(
        feeds=[f"{site.url}/feed"], sitemaps=[f"{site.url}/map.xml"], record_indexes=[f"{site.url}/delta.json"], folder=str(notes)
    )
    outlines, _ = survey(domain, store)
    assert [outline.title for outline in outlines] == ["Index"]
    got = studied(domain, store, Topic(topic_id="t", name="t", urls=bad))
    assert got.fetches["ok"].to_list() == [False, False, False]
    assert got.chunks.is_empty()


def test_the_link_pattern_holds_for_all_that_is_listed_and_files_that_are_no_pages_are_left_out(site: Site, store: ArtifactStore) -> None:
    serve(site, "news/1", "other", "x.zip")
    site.routes["/feed"] = say(feed(site, "other", "news/1", "x.zip"))
    serve(site, "news/r.json")
    delta = {"numberOfChanges": 2, "new": [{"githubLink": f"{site.url}/{name}"} for name in ("other", "news/r.json")]}
    site.routes["/delta.json"] = say(json.dumps(delta).encode())
    domain = site.domain(seed_urls=[], feeds=[f"{site.url}/feed"], record_indexes=[f"{site.url}/delta.json"], link_pattern="/news/")
    outlines, _ = survey(domain, store)
    assert [outline.title for outline in outlines] == ["Page news/1", "Page news/r.json"]


def test_sitemap_indexes_are_followed_a_little_and_never_in_circles(site: Site, store: ArtifactStore) -> None:
    serve(site, "a")
    site.routes["/robots.txt"] = say(f"User-agent: *\nSitemap: {site.url}/index.xml\n".encode(), "text/plain")
    many = [f"{site.url}/{n}.xml" for n in range(MAX_SITEMAPS + 3)]
    site.routes["/index.xml"] = say(sitemap(f"{site.url}/index.xml", f"{site.url}/deep.xml.gz", *many, kind="sitemap"), "text/xml")
    site.routes["/deep.xml.gz"] = say(gzip.compress(sitemap(f"{site.url}/a")), "application/gzip")
    outlines, failures = survey(site.domain(seed_urls=[], sitemaps=[f"{site.url}/robots.txt"]), store)
    assert ways(outlines) == [("Page a", f"sitemap {site.url}/deep.xml.gz")]
    assert [reason for _, reason in failures if "sitemaps are" in reason] == [f"not read, and 5 more: at most {MAX_SITEMAPS} sitemaps are"]
    assert site.paths.count("/index.xml") == 1


def test_a_feed_that_robots_disallow_is_read_only_where_the_domain_says_so(site: Site, store: ArtifactStore) -> None:
    serve(site, "a")
    site.routes["/robots.txt"] = say(b"User-agent: *\nDisallow: /*.atom$\n", "text/plain")
    site.routes["/releases.atom"] = say(feed(site, "a"), "application/atom+xml")
    outlines, failures = survey(site.domain(seed_urls=[], feeds=[f"{site.url}/releases.atom"]), store)
    assert outlines == []
    assert "sources.feeds_ignore_robots" in failures[0][1]
    assert "/releases.atom" not in site.paths
    outlines, failures = survey(site.domain(seed_urls=[], feeds=[f"{site.url}/releases.atom"], feeds_ignore_robots=True), store)
    assert [outline.title for outline in outlines] == ["Page a"]
    site.routes["/robots.txt"] = say(b"User-agent: *\nDisallow: /\n", "text/plain")
    _, failures = survey(site.domain(seed_urls=[], feeds=[f"{site.url}/releases.atom"], feeds_ignore_robots=True), store)
    assert [url for url, reason in failures if "robots.txt" in reason] == [f"{site.url}/a"]  # pages obey it all the same


def test_an_unchanged_feed_costs_one_conditional_request_and_is_no_page(site: Site, store: ArtifactStore) -> None:
    serve(site, "a")

    def answer(handler) -> None:
        same = handler.headers.get("If-None-Match") == '"1"'
        say(b"" if same else feed(site, "a"), "application/rss+xml", 304 if same else 200, ETag='"1"')(handler)

    site.routes["/feed"] = answer
    domain = site.domain(seed_urls=[], feeds=[f"{site.url}/feed"])
    first, second = survey(domain, store), survey(domain, store)
    assert first == second
    assert [headers.get("If-None-Match") for path, headers in site.asked if path == "/feed"] == [None, '"1"']
    got = studied(domain, store, Topic(topic_id="t", name="t", urls=[f"{site.url}/feed"]))
    assert got.fetches["ok"].to_list() == [False]
    assert "application/rss+xml" in got.fetches["reason"][0]


# ------------------------------------------------------------------------------------------------ search


def answer_with(provider: Provider, *urls: str) -> None:
    provider.answer({"query": "q", "results": [{"url": url, "title": "t", "content": "", "publishedDate": None} for url in urls]})


def searching(site: Site, provider: Provider, **changes: object) -> Domain:
    hosts = [f"127.0.0.1:{site.port}", f"127.0.0.1:{provider.port}"]
    search = {"provider": "searxng", "url": provider.url, "templates": ["{topic} {year}"], "results": 2}
    return site.domain(**({"seed_urls": [], "private_hosts": hosts, "search": search} | changes))


def studied(domain: Domain, store: ArtifactStore, *topics: Topic, **more: object) -> Studied:
    return study(topics, domain, store, embed=Embedder(), embedder="tiny", tag="cell-000", today=TODAY, **more)  # pyright: ignore[reportArgumentType]


def test_a_survey_searches_for_the_title_and_what_is_found_is_fetched_under_guard(
    site: Site, store: ArtifactStore, provider: Provider
) -> None:
    serve(site, "a")
    answer_with(provider, f"{site.url}/a", "http://10.0.0.1/private", "file:///etc/passwd")
    outlines, failures = survey(searching(site, provider), store, today=TODAY)
    assert ways(outlines) == [("Page a", "search searxng: A little site 2026")]
    assert [url for url, reason in failures if "not a public address" in reason] == ["http://10.0.0.1/private"]
    site.asked.clear()
    assert survey(searching(site, provider, deny_hosts=["127.0.0.1", "10.0.0.1"]), store, today=TODAY) == ([], [])
    assert site.asked == []


def test_a_search_that_fails_is_a_reason_and_the_rest_is_surveyed(site: Site, store: ArtifactStore, provider: Provider) -> None:
    serve(site, "a")
    site.routes["/feed"] = say(feed(site, "a"))
    provider.answer(b"", 403)
    outlines, failures = survey(searching(site, provider, feeds=[f"{site.url}/feed"]), store, today=TODAY)
    assert [outline.title for outline in outlines] == ["Page a"]
    assert failures == [(f"{provider.url}/search?q=A%20little%20site%202026", failures[0][1])]
    assert "settings.yml" in failures[0][1]


def test_the_best_hits_of_each_topic_are_read_and_keep_what_found_them(site: Site, store: ArtifactStore, provider: Provider) -> None:
    serve(site, "own", "a", "b", "c")
    answer_with(provider, *(f"{site.url}/{name}" for name in ("own", "a", "b", "c")))
    topics = [Topic(topic_id="t1", name="Memory", urls=[f"{site.url}/own"]), Topic(topic_id="t2", name="Speed")]
    got = studied(searching(site, provider), store, *topics, found_by={f"{site.url}/own": "link"})
    assert dict(got.fetches.schema) == dict(FETCH_SCHEMA)
    assert got.fetches.select("final_url", "topic_ids", "found_by").rows() == [
        (f"{site.url}/own", ["t1", "t2"], "link"),
        (f"{site.url}/a", ["t1", "t2"], "search searxng: Memory 2026"),
    ]
    assert [request.query["q"] for request in provider.asked] == ["Memory 2026", "Speed 2026"]
    assert [topic.urls for topic in with_found_pages(topics, got.fetches)] == [[f"{site.url}/own", f"{site.url}/a"], [f"{site.url}/a"]]


def test_a_page_that_moved_since_its_topic_was_made_belongs_to_the_topic_under_its_new_address(site: Site, store: ArtifactStore) -> None:
    serve(site, "new")
    site.routes["/old"] = go_to("/new", status=301)
    topic = Topic(topic_id="t1", name="Memory", urls=[f"{site.url}/old"])
    got = studied(site.domain(), store, topic)
    (moved,) = with_found_pages([topic], got.fetches)
    assert moved.urls == [f"{site.url}/old", f"{site.url}/new"]
    assert set(got.chunks["url"]) <= set(moved.urls)


def test_hits_of_several_queries_are_taken_in_turn_and_what_may_not_be_read_uses_up_no_place(
    site: Site, store: ArtifactStore, provider: Provider
) -> None:
    serve(site, "a", "b", "c")
    answer_with(provider, "http://denied.example/", f"{site.url}/a", f"{site.url}/b", f"{site.url}/a")
    answer_with(provider, "http://denied.example/2", f"{site.url}/c", f"{site.url}/a")
    search = {"provider": "searxng", "url": provider.url, "templates": ["{topic}", "new {topic}"], "results": 2}
    domain = searching(site, provider, search=search, deny_hosts=["denied.example"])
    got = studied(domain, store, Topic(topic_id="t", name="Speed"))
    assert got.fetches.select("final_url", "found_by").rows() == [
        (f"{site.url}/a", "search searxng: Speed"),
        (f"{site.url}/c", "search searxng: new Speed"),
    ]


def test_a_query_that_fails_is_a_row_and_no_page(site: Site, store: ArtifactStore, provider: Provider) -> None:
    serve(site, "own")
    provider.answer({}, 500)
    got = studied(searching(site, provider), store, Topic(topic_id="t1", name="Memory", urls=[f"{site.url}/own"]))
    assert got.fetches["found_by"].to_list() == ["", QUERY]
    assert (got.fetches["ok"][1], got.fetches["final_url"][1]) == (False, f"{provider.url}/search?q=Memory%202026")
    assert "searxng answered 500" in got.fetches["reason"][1]
    assert yield_problem(got.fetches, got.chunks) is None


def test_a_search_that_failed_where_no_topic_names_a_page_is_named_and_may_find_one_the_next_time(
    site: Site, store: ArtifactStore, provider: Provider
) -> None:
    provider.answer({}, 404)
    provider.answer({}, 404)
    domain = searching(site, provider)
    got = studied(domain, store, Topic(topic_id="t1", name="Memory"))
    problem = yield_problem(got.fetches, got.chunks) or ""
    assert "no topic names a page to study (1 of the search's queries failed, the first with: searxng answered 404" in problem
    serve_nothing = studied(domain, store, Topic(topic_id="t1", name="Memory", urls=[f"{site.url}/none"]))
    assert not found_all_gone(serve_nothing.fetches)


def test_folder_documents_are_studied_with_their_way_and_the_same_passages_twice(site: Site, store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "own.md").write_text("# Own notes\n\nThe tool reads its settings from `tool.toml` since version 4.2.\n", encoding="utf-8")
    domain = site.domain(seed_urls=[], folder=str(tmp_path))
    topic = Topic(topic_id="t", name="t", urls=[f"{SCHEME}own.md"])
    first = studied(domain, store, topic, found_by={f"{SCHEME}own.md": "folder"})
    second = studied(domain, store, topic, found_by={f"{SCHEME}own.md": "folder"})
    row = first.fetches.row(0, named=True)
    assert (row["ok"], row["host"], row["found_by"], row["status"], row["page_id"]) == (True, "local", "folder", None, f"{SCHEME}own.md")
    assert second.chunks.equals(first.chunks)
    assert second.embedded == 0
