"""The fetcher is polite and bounded, asks again conditionally, and every failure is a row with its reason (R3-R6)."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.domains.sources import HostPace, Sources
from alas_assets.provenance.ids import sha256_hex
from alas_assets.provenance.store import ArtifactStore
from alas_assets.retrieval.fetch import DATA, USER_AGENT, Fetched, Fetcher, unreadable_kind
from alas_assets.retrieval.finding.queries import may_be_read
from alas_assets.retrieval.http_cache import HttpCache
from alas_assets_tests.retrieval.site import Site, go_to, lead_to, page, say, serving

BODY = page("A page", "<p>Some words that anybody may read.</p>")


def fetch(site: Site, store: ArtifactStore, path: str = "/a", **changes: object) -> Fetched:
    return Fetcher(site.sources(**changes), store).fetch_many([f"{site.url}{path}"])[0]


# ------------------------------------------------------------------------------------------------ what is kept


def test_a_page_is_stored_with_its_hash_validators_and_type(site: Site, store: ArtifactStore) -> None:
    site.routes["/a"] = say(BODY, ETag='"1"', Last_Modified="Sun, 01 Nov 2026 10:00:00 GMT")
    got = fetch(site, store, "/a#part")
    assert (got.ok, got.status, got.reason, got.from_cache) == (True, 200, "", False)
    assert (got.etag, got.last_modified) == ('"1"', "Sun, 01 Nov 2026 10:00:00 GMT")
    assert got.body_sha256 == sha256_hex(BODY)
    assert (store.pages / got.body_sha256).read_bytes() == BODY
    assert (got.requested_url, got.final_url) == (f"{site.url}/a#part", f"{site.url}/a")


def test_an_unchanged_page_costs_one_conditional_request_and_keeps_its_body_and_date(site: Site, store: ArtifactStore) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        same = handler.headers.get("If-None-Match") == '"1"'
        say(b"" if same else BODY, status=304 if same else 200, ETag='"1"')(handler)

    site.routes["/a"] = answer
    first, second = fetch(site, store), fetch(site, store)
    assert (second.ok, second.status, second.from_cache) == (True, 304, True)
    assert second.body_sha256 == first.body_sha256
    assert second.body_retrieved_at == first.body_retrieved_at == first.retrieved_at < second.retrieved_at
    assert site.paths == ["/a", "/a"]


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_page_whose_stored_body_is_damaged_is_fetched_in_full(damage: str, site: Site, store: ArtifactStore) -> None:
    site.routes["/a"] = say(BODY, ETag='"1"')
    first = fetch(site, store)
    path = store.pages / first.body_sha256
    path.unlink() if damage == "gone" else path.write_bytes(b"torn")
    again = fetch(site, store)
    assert again.ok
    assert "If-None-Match" not in site.asked[-1][1]


@pytest.mark.parametrize(
    "validator", [{"ETag": '"caf\xc3\xa9"'}, {"Last_Modified": "Do, 12 M\xe4rz 2026 10:00:00 GMT"}, {"ETag": '"' + "a" * 9000 + '"'}]
)
@pytest.mark.parametrize("remembered", ["as it came", "not at all"])
def test_a_page_whose_validator_no_request_can_carry_is_fetched_in_full_each_time(
    remembered: str, validator: dict[str, str], site: Site, store: ArtifactStore
) -> None:
    site.routes["/a"] = say(BODY, "text/html", 200, **validator)
    first = fetch(site, store)
    if remembered == "as it came":  # a store may hold such a one already
        with HttpCache.opened(store.root / "http_cache.sqlite") as cache:
            entry = cache.get(f"{site.url}/a")
            assert entry is not None
            cache.put(replace(entry, etag=validator.get("ETag", ""), last_modified=validator.get("Last_Modified", "")))
    second = fetch(site, store)
    assert (first.ok, second.ok, second.status, second.reason) == (True, True, 200, "")
    assert not {"If-None-Match", "If-Modified-Since"} & set(site.asked[-1][1])


def test_a_damaged_cache_of_validators_costs_a_full_request_only(site: Site, store: ArtifactStore) -> None:
    site.routes["/a"] = say(BODY, ETag='"1"')
    fetch(site, store)
    (store.root / "http_cache.sqlite").write_bytes(b"this is no database" * 100)
    assert fetch(site, store).status == 200


_CACHE_WRITER = """
import sys
from pathlib import Path
from alas_assets.retrieval.http_cache import CacheEntry, HttpCache
for turn in range(20):
    with HttpCache.opened(Path(sys.argv[1])) as cache:
        for number in range(10):
            cache.put(CacheEntry(f"http://{sys.argv[2]}.example/{number}", str(turn), "", "", "", 0, ""))
"""


def test_several_processes_may_remember_validators_at_once(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    folder = Path(__file__).parents[2]
    command = [sys.executable, "-c", _CACHE_WRITER, str(path)]
    writers = [subprocess.Popen([*command, who], cwd=folder, stderr=subprocess.PIPE) for who in "abc"]
    for writer in writers:
        _, errors = writer.communicate(timeout=60)
        assert writer.returncode == 0, errors.decode()
    with HttpCache.opened(path) as cache:
        found = [cache.get(f"http://{who}.example/{number}") for who in "abc" for number in range(10)]
    assert [entry.etag for entry in found if entry] == ["19"] * 30


def test_a_body_that_was_torn_is_written_again(store: ArtifactStore) -> None:
    digest = store.put_bytes(store.pages, BODY)
    (store.pages / digest).write_bytes(b"")
    assert store.put_bytes(store.pages, BODY) == digest
    assert (store.pages / digest).read_bytes() == BODY


def test_each_distinct_url_is_requested_once_and_results_keep_their_order(site: Site, store: ArtifactStore) -> None:
    for name in "abc":
        site.routes[f"/{name}"] = say(page(name, f"<p>{name}</p>"))
    urls = [f"{site.url}/{name}" for name in "cabac"]
    got = Fetcher(site.sources(), store).fetch_many(urls)
    assert [page.final_url[-1] for page in got] == ["c", "a", "b"]
    assert sorted(site.paths) == ["/a", "/b", "/c"]


# ------------------------------------------------------------------------------------------------ limits


def test_redirects_are_followed_and_the_final_url_is_kept(site: Site, store: ArtifactStore) -> None:
    site.routes |= {"/a": go_to("/b", 301), "/b": go_to("c", 307), "/c": say(BODY)}
    got = fetch(site, store)
    assert (got.ok, got.requested_url, got.final_url) == (True, f"{site.url}/a", f"{site.url}/c")


@pytest.mark.parametrize("seconds", [0, 5])
def test_a_page_that_only_leads_on_is_followed_as_a_redirect_and_not_kept(seconds: int, site: Site, store: ArtifactStore) -> None:
    site.routes |= {"/a": say(lead_to("/new/b", seconds), "text/html", ETag='"1"'), "/new/b": go_to("c"), "/new/c": say(BODY)}
    got = fetch(site, store)
    assert (got.ok, got.requested_url, got.final_url) == (True, f"{site.url}/a", f"{site.url}/new/c")
    assert [path.name for path in store.pages.iterdir()] == [got.body_sha256] == [sha256_hex(BODY)]
    assert site.paths == ["/a", "/new/b", "/new/c"]


def test_a_page_that_was_kept_and_only_leads_on_is_followed_when_it_is_unchanged(site: Site, store: ArtifactStore) -> None:
    site.routes |= {"/a": say(lead_to("/b"), ETag='"1"'), "/b": say(BODY)}
    Fetcher(site.sources(), store).fetch_many([f"{site.url}/a"], wanted=DATA)
    site.routes["/a"] = say(b"", status=304)
    assert fetch(site, store).final_url == f"{site.url}/b"
    assert site.asked[-2][1]["If-None-Match"] == '"1"'


def test_a_page_that_leads_on_to_none_that_is_there_is_gone(site: Site, store: ArtifactStore) -> None:
    site.routes["/a"] = say(lead_to("/nowhere"))
    got = fetch(site, store)
    assert (got.ok, got.status) == (False, 404)
    assert got.reason.startswith(f"redirected to {site.url}/nowhere")


@pytest.mark.parametrize(
    "body",
    [
        lead_to("/a"),
        lead_to("#top"),
        lead_to("/b", seconds=6),
        lead_to("/b").replace(b"</body>", b"<p>" + b"Here are words of its own. " * 10 + b"</p></body>"),
        lead_to("/b").replace(b"<meta", b"<!-- <meta").replace(b"</head>", b"--></head>"),
        lead_to("/b").replace(b"; url=/b", b""),
    ],
    ids=["itself", "a part of itself", "later", "words", "comment", "nowhere"],
)
def test_a_page_that_reloads_itself_or_has_something_to_say_is_a_page(body: bytes, site: Site, store: ArtifactStore) -> None:
    site.routes |= {"/a": say(body), "/b": say(BODY)}
    got = fetch(site, store)
    assert (got.ok, got.final_url, site.paths) == (True, f"{site.url}/a", ["/a"])


def test_markdown_that_shows_how_a_page_leads_on_is_a_page(site: Site, store: ArtifactStore) -> None:
    site.routes["/a"] = say(lead_to("/b"), "text/markdown")
    assert fetch(site, store).final_url == f"{site.url}/a"


@pytest.mark.security("redirect")
def test_pages_that_lead_on_to_each_other_or_without_end_are_given_up(site: Site, store: ArtifactStore) -> None:
    site.routes |= {"/a": say(lead_to("/b")), "/b": go_to("/a"), **{f"/{n}": say(lead_to(f"/{n + 1}")) for n in range(20)}}
    assert "circle" in fetch(site, store).reason
    assert "more than 5 redirects" in fetch(site, store, "/0").reason


@pytest.mark.security("redirect")
def test_robots_txt_and_host_lists_hold_where_a_page_leads_on(site: Site, store: ArtifactStore) -> None:
    with serving() as other:
        other.routes["/b"] = say(BODY)
        site.routes |= {"/robots.txt": say(b"User-agent: *\nDisallow: /b"), "/a": say(lead_to("/b")), "/c": say(lead_to(f"{other.url}/b"))}
        here, elsewhere = (fetch(site, store, path) for path in ("/a", "/c"))
    assert "robots.txt" in here.reason
    assert "not a public address" in elsewhere.reason
    assert (site.paths, other.asked) == (["/a", "/c"], [])


@pytest.mark.security("redirect")
def test_a_redirect_loop_ends(site: Site, store: ArtifactStore) -> None:
    site.routes |= {"/a": go_to("/b"), "/b": go_to("/a")}
    assert "circle" in fetch(site, store).reason
    assert site.paths == ["/a", "/b"]


@pytest.mark.security("redirect")
def test_more_than_five_redirects_are_too_many(site: Site, store: ArtifactStore) -> None:
    site.routes |= {f"/{n}": go_to(f"/{n + 1}") for n in range(20)}
    got = fetch(site, store, "/0")
    assert "more than 5 redirects" in got.reason
    assert len(site.paths) == 6


@pytest.mark.security("scheme")
@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://example.org/x", "data:text/html,hi", "javascript:1", "http://", "//", "http://[::1"]
)
def test_a_redirect_to_anything_but_http_is_refused(target: str, site: Site, store: ArtifactStore) -> None:
    site.routes["/a"] = go_to(target)
    got = fetch(site, store)
    assert not got.ok
    assert got.reason


@pytest.mark.security("scheme")
@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.org/x", "data:text/html,hi", "gopher://x", "/etc/passwd", "", "http://", "x" * 3000]
)
def test_only_http_urls_are_opened(url: str, store: ArtifactStore, site: Site) -> None:
    got = Fetcher(site.sources(), store).fetch_many([url])[0]
    assert not got.ok
    assert got.reason


def refusal_beside_a_page(url: str, where: str, site: Site, store: ArtifactStore) -> str:
    """Fetch an address, or what redirects to it, beside a good page, which is read; return why the address is not."""
    with serving() as other:
        other.routes["/b"] = say(BODY)
        site.routes |= {"/a": go_to(url), "/robots.txt": go_to(url)} if "robots" in where else {"/a": go_to(url)}
        sources = site.sources(private_hosts=("127.0.0.1",))
        bad, good = Fetcher(sources, store).fetch_many([url if where == "as given" else f"{site.url}/a", f"{other.url}/b"])
    assert good.ok
    assert not bad.ok
    return bad.reason


@pytest.mark.security("address")
@pytest.mark.parametrize("host", ["a_xn--b.example", "$xn--a.example", "a..xn--b.example", "xn--a..b"])
@pytest.mark.parametrize("where", ["as given", "behind a redirect", "behind a redirect of robots.txt"])
def test_a_name_that_cannot_be_decoded_is_a_row_and_the_other_pages_are_fetched(
    where: str, host: str, site: Site, store: ArtifactStore
) -> None:
    reason = refusal_beside_a_page(f"http://{host}/", where, site, store)
    assert "not allowed" in reason or "Empty Label" in reason


@pytest.mark.security("port")
@pytest.mark.parametrize("port", ["99999", "65536", "0", "-1", "9" * 1000])
@pytest.mark.parametrize("where", ["as given", "behind a redirect", "behind a redirect of robots.txt"])
def test_a_port_that_does_not_exist_is_a_row_and_the_other_pages_are_fetched(
    where: str, port: str, site: Site, store: ArtifactStore
) -> None:
    reason = refusal_beside_a_page(f"http://127.0.0.1:{port}/", where, site, store)
    assert "the URL's port is not one of 1 to 65535" in reason
    assert site.paths == (["/a"] if where == "behind a redirect" else [])


@pytest.mark.security("slow server")
def test_a_trickling_server_meets_the_total_deadline_and_does_not_hold_up_others(site: Site, store: ArtifactStore) -> None:
    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        for _ in range(400):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)

    site.routes |= {"/a": trickle, "/b": say(BODY)}
    slow, quick = Fetcher(site.sources(timeout_seconds=1.5), store).fetch_many([f"{site.url}/a", f"{site.url}/b"])
    assert "within 1.5 s (sources.timeout_seconds)" in slow.reason
    assert quick.ok


def test_an_unreachable_host_is_named_with_the_cause(store: ArtifactStore, site: Site) -> None:
    got = Fetcher(site.sources(private_hosts=("127.0.0.1:1",), timeout_seconds=20), store).fetch_many(["http://127.0.0.1:1/"])[0]
    assert got.reason == "no answer from http://127.0.0.1:1/: connection refused"
    assert got.status is None


def test_a_passing_error_is_tried_again_and_a_lasting_one_is_reported_with_its_status(site: Site, store: ArtifactStore) -> None:
    def recovering(handler: BaseHTTPRequestHandler) -> None:
        (say(BODY) if site.paths.count("/a") == 3 else say(b"", status=503))(handler)

    site.routes |= {"/a": recovering, "/b": say(b"", status=500), "/c": say(b"", status=404)}
    assert fetch(site, store, "/a").ok
    assert (fetch(site, store, "/b").status, fetch(site, store, "/c").status) == (500, 404)
    assert [site.paths.count(path) for path in ("/a", "/b", "/c")] == [3, 3, 1]


# ------------------------------------------------------------------------------------------------ manners


@pytest.mark.security("robots.txt")
def test_robots_txt_is_obeyed_and_the_project_is_named(site: Site, store: ArtifactStore) -> None:
    site.routes |= {"/robots.txt": say(b"User-agent: *\nDisallow: /private/\n", "text/plain"), "/a": say(BODY), "/private/b": say(BODY)}
    allowed, refused = Fetcher(site.sources(), store).fetch_many([f"{site.url}/a", f"{site.url}/private/b"])
    assert allowed.ok
    assert "robots.txt" in refused.reason
    assert site.paths == ["/a"]
    assert all(headers["User-Agent"] == USER_AGENT for _, headers in site.asked)
    assert sum(path == "/robots.txt" for path, _ in site.asked) == 1


@pytest.mark.security("robots.txt")
@pytest.mark.parametrize("status", [500, 503])
def test_a_robots_txt_that_cannot_be_had_closes_the_host(status: int, site: Site, store: ArtifactStore) -> None:
    site.routes |= {"/robots.txt": say(b"", status=status), "/a": say(BODY)}
    assert "robots.txt" in fetch(site, store).reason
    assert site.paths == []


@pytest.mark.security("robots.txt")
def test_a_huge_robots_txt_is_read_as_far_as_the_cap(site: Site, store: ArtifactStore) -> None:
    rules = b"User-agent: *\nDisallow: /a\n" + b"# filler\n" * 200_000
    site.routes |= {"/robots.txt": say(rules, "text/plain"), "/a": say(BODY)}
    assert "disallows" in fetch(site, store).reason


def test_two_requests_to_one_host_keep_their_distance(site: Site, store: ArtifactStore) -> None:
    at: list[float] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        at.append(time.monotonic())
        say(BODY)(handler)

    site.routes |= {f"/{n}": answer for n in range(3)}
    Fetcher(site.sources(delay_seconds=0.4), store).fetch_many([f"{site.url}/{n}" for n in range(3)])
    assert all(later - earlier > 0.05 for earlier, later in pairwise(at))


def _crowd(site: Site, count: int) -> tuple[list[str], list[int]]:
    """Serve pages that note how many of them were being asked for at once."""
    at_once, lock, most = [0], threading.Lock(), [0]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.05)
        with lock:
            at_once[0] -= 1
        say(BODY)(handler)

    site.routes |= {f"/{n}": answer for n in range(count)}
    return [f"{site.url}/{n}" for n in range(count)], most


@pytest.mark.parametrize(
    ("pace", "allowed"),
    [
        ({}, 1),
        ({"per_host": 3}, 3),
        ({"hosts": (HostPace(host="127.0.0.1", per_host=4, delay_seconds=0),)}, 4),
        ({"per_host": 4, "hosts": (HostPace(host="127.0.0.1", per_host=1),)}, 1),
        ({"per_host": 3, "delay_seconds": 60, "hosts": (HostPace(host="127.0.0.1", delay_seconds=0),)}, 3),
        ({"per_host": 2, "hosts": (HostPace(host="elsewhere.example", per_host=8, delay_seconds=0),)}, 2),
    ],
)
def test_a_host_is_never_asked_over_more_connections_than_its_pace_allows(
    pace: dict[str, object], allowed: int, site: Site, store: ArtifactStore
) -> None:
    urls, most = _crowd(site, 12)
    assert all(page.ok for page in Fetcher(site.sources(**pace), store).fetch_many(urls))
    assert most[0] <= allowed
    assert allowed == 1 or most[0] > 1


def test_requests_over_several_connections_keep_their_distance_too(site: Site, store: ArtifactStore) -> None:
    """However slow the machine is, five requests whose starts are 0.3 s apart (robots.txt is one) take no less than 1.2 s."""
    site.routes |= {f"/{n}": say(BODY) for n in range(4)}
    started = time.monotonic()
    Fetcher(site.sources(delay_seconds=0.3, per_host=4), store).fetch_many([f"{site.url}/{n}" for n in range(4)])
    assert time.monotonic() - started >= 1.2


def test_rules_and_pauses_of_a_host_hold_from_one_batch_to_the_next(site: Site, store: ArtifactStore) -> None:
    """However slow the machine is, three requests whose starts are 0.4 s apart take no less than 0.8 s."""
    site.routes |= {"/robots.txt": say(b"User-agent: *\nCrawl-delay: 0.4\nDisallow: /private", "text/plain")}
    site.routes |= {f"/{n}": say(BODY) for n in range(3)}
    fetcher = Fetcher(site.sources(), store)
    started = time.monotonic()
    assert [fetcher.fetch_many([f"{site.url}/{n}"])[0].ok for n in range(3)] == [True] * 3
    assert time.monotonic() - started >= 0.8
    assert [path for path, _ in site.asked] == ["/robots.txt", "/0", "/1", "/2"]
    assert "disallows" in fetcher.fetch_many([f"{site.url}/private"])[0].reason


def test_rules_that_could_not_be_had_are_asked_for_again_in_the_next_batch(site: Site, store: ArtifactStore) -> None:
    site.routes |= {"/robots.txt": say(b"", status=503), "/a": say(BODY)}
    fetcher = Fetcher(site.sources(), store)
    assert not fetcher.fetch_many([f"{site.url}/a"])[0].ok
    del site.routes["/robots.txt"]
    assert fetcher.fetch_many([f"{site.url}/a"])[0].ok


def test_each_result_is_told_when_it_is_there_failed_ones_too(site: Site, store: ArtifactStore) -> None:
    site.routes["/a"] = say(BODY)
    told: list[Fetched] = []
    got = Fetcher(site.sources(), store).fetch_many([f"{site.url}/a", f"{site.url}/gone"], arrived=told.append)
    assert sorted(told, key=lambda page: page.requested_url) == got
    assert [page.ok for page in got] == [True, False]


def test_cookies_are_not_carried(site: Site, store: ArtifactStore) -> None:
    site.routes |= {"/a": say(BODY, Set_Cookie="id=1; Path=/"), "/b": say(BODY)}
    Fetcher(site.sources(), store).fetch_many([f"{site.url}/a", f"{site.url}/b"])
    assert all("Cookie" not in headers for _, headers in site.asked)


def test_an_answer_in_an_encoding_that_was_not_asked_for_is_refused(site: Site, store: ArtifactStore) -> None:
    site.routes["/a"] = say(BODY, Content_Encoding="br")
    assert "encoded as br, which was not asked for" in fetch(site, store).reason
    assert site.asked[-1][1]["Accept-Encoding"] == "gzip, deflate"
    site.routes["/a"] = say(BODY, Content_Encoding="identity")
    assert fetch(site, store).ok


@pytest.mark.parametrize(
    ("settings_", "ok"),
    [
        ({"allow_hosts": ("example.org",)}, False),
        ({"allow_hosts": ("127.0.0.1",)}, True),
        ({"deny_hosts": ("127.0.0.1",)}, False),
        ({"deny_hosts": ("0.0.1",)}, False),
        ({"allow_hosts": ("127.0.0.1",), "deny_hosts": ("127.0.0.1",)}, False),
        ({"deny_hosts": ("27.0.0.1",)}, True),
    ],
)
def test_host_lists_decide_before_anything_is_sent(settings_: dict[str, object], ok: bool, site: Site, store: ArtifactStore) -> None:
    site.routes["/a"] = say(BODY)
    assert fetch(site, store, **settings_).ok is ok
    assert bool(site.asked) is ok


@pytest.mark.parametrize("entry", ["bücher.example", "BÜCHER.Example.", "*.xn--bcher-kva.example", "bücher.example:80", "example"])
@pytest.mark.parametrize("host", ["bücher.example", "xn--bcher-kva.example", "XN--BCHER-KVA.EXAMPLE.", "bücher。example"])
def test_a_denied_host_is_denied_however_either_of_them_is_spelled(entry: str, host: str, site: Site, store: ArtifactStore) -> None:
    site.routes["/a"] = go_to(f"http://{host}/")
    sources = site.sources(deny_hosts=(entry,))
    for got in Fetcher(sources, store).fetch_many([f"http://{host}/", f"{site.url}/a"]):
        assert "xn--bcher-kva.example is in sources.deny_hosts" in got.reason
    assert not may_be_read(f"http://{host}/", sources)


# ------------------------------------------------------------------------------------------------ what is a page


@pytest.mark.security("content type")
@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        (b"%PDF-1.7\nnot a page", "text/html", "pdf"),
        (b"PK\x03\x04" + bytes(60), "text/html", "binary"),
        (b"MZ\x90\x00" + bytes(200), "text/html", "executable"),
        (b"\x7fELF\x02\x01\x01" + bytes(100), "text/html", "binary"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "text/html", "png"),
        (b"<h1>a page</h1>", "application/pdf", "declared as application/pdf and is none"),
        (b" %PDF-1.7\nnot a page", "text/plain", "binary"),
        (b"%PDF-1.7\nnot a page", "", "pdf"),
        (b"%PDF-1.7\nnot a page", "application/octet-stream", "pdf"),
        (b"{}", "application/ld+json", "application/ld+json"),
        (b"<svg/>", "image/svg+xml", "image/svg"),
        (b"   \n", "text/html", "empty"),
        (b"", "text/html", "empty"),
    ],
)
def test_what_is_no_page_is_refused_whatever_it_is_declared_as(
    body: bytes, content_type: str, said: str, site: Site, store: ArtifactStore
) -> None:
    site.routes["/a"] = say(body, content_type)
    got = fetch(site, store)
    assert not got.ok
    assert said in got.reason
    assert got.status == 200


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"BM is how this plain text begins.", "text/plain"),
        (b"# Title\n\nMarkdown.", "text/markdown; charset=utf-8"),
        (b"Title\n=====\n", "text/x-rst"),
        (b'{"id": "CVE-2026-1"}', "application/json"),
        (b"%PDF-1.7\n\xe2\xe3\xcf\xd3\n", "application/pdf"),
        ("<p>Grüße</p>".encode("utf-16"), "text/html; charset=utf-16"),
        (BODY, ""),
    ],
)
def test_text_is_accepted(body: bytes, content_type: str) -> None:
    assert unreadable_kind(body, content_type) == ""


@given(st.lists(st.text(max_size=200), max_size=8))
@settings(max_examples=40, deadline=None)
def test_no_url_raises_or_is_left_without_a_reason(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    async def private(host: str, port: int) -> list[str]:
        return ["10.0.0.1"]

    fetcher = Fetcher(Sources(seed_urls=("http://example.org/",)), ArtifactStore(tmp_path_factory.getbasetemp() / "urls"), resolver=private)
    urls = [form.format(text) for text in texts for form in ("{}", "http://{}", "https://example.org/{}")]
    for got in fetcher.fetch_many(urls):
        assert not got.ok
        assert got.reason
