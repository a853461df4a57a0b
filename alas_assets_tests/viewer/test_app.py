"""What the sites answer, over real sockets: inert, read-only, and never a file outside."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alas_assets.provenance.ids import sha256_hex
from alas_assets.provenance.store import TOMBSTONE, ArtifactStore, Cell
from alas_assets.records import WRONG_SCHEMA, as_answers
from alas_assets.viewer.app import create_site_app, create_viewer_app
from alas_assets_tests.evaluation.tables import answers, probe, probes

SECRET = b"outside secret"
TEXT = "Intro <script>alert(1)</script>\nThe <b>quote</b> & more"
BODY = b"<script>alert('x')</script> caf\xc3\xa9"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    port: int

    def ask(self, target: str, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
        """Send one request with the target as given, unnormalised."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, target, skip_host=True)
            for name, value in {"Host": f"127.0.0.1:{self.port}", **(headers or {})}.items():
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()


def serve(app) -> Iterator[Server]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield Server(listener.getsockname()[1])
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold a site and a store beside a file that neither may show."""
    base = tmp_path_factory.mktemp("all")
    (base / "secret.txt").write_bytes(SECRET)
    (base / "secret.json").write_bytes(SECRET)
    site = base / "site"
    (site / "part").mkdir(parents=True)
    (site / "index.html").write_text("<h1>Start</h1>", encoding="utf-8")
    (site / "part" / "index.html").write_text("<h1>Part</h1>", encoding="utf-8")
    (site / ".git").mkdir()
    (site / ".git" / "config").write_bytes(SECRET)
    (site / "link.txt").symlink_to(base / "secret.txt")
    store = base / "store"
    for part in ("pages", "texts", "reports"):
        (store / part).mkdir(parents=True)
    (store / "pages" / sha256_hex(BODY)).write_bytes(BODY)
    (store / "pages" / ("0" * 64)).symlink_to(base / "secret.txt")
    (store / "texts" / sha256_hex(TEXT)).write_bytes(TEXT.encode())
    (store / "reports" / "scores.html").write_text("<h1>Scores</h1>", encoding="utf-8")
    (store / "reports" / "scores.json").write_text("[]", encoding="utf-8")
    (store / "reports" / "notes.txt").write_bytes(SECRET)
    (store / "reports" / "<b>.html").write_bytes(SECRET)
    adapter = store / "artifacts" / "adapters" / ("a" * 64)
    adapter.mkdir(parents=True)
    (adapter / "manifest.json").write_text('{"kind": "sft"}', encoding="utf-8")
    (adapter / "adapter_model.safetensors").write_bytes(SECRET)
    retired = store / "artifacts" / "adapters" / ("b" * 64)
    retired.mkdir()
    (retired / TOMBSTONE).write_text('{"takedown": "t1"}', encoding="utf-8")
    return base


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[Server]:
    yield from serve(create_site_app(folder / "site"))


@pytest.fixture(scope="module")
def viewer(folder: Path) -> Iterator[Server]:
    yield from serve(create_viewer_app(folder / "store"))


def test_the_site_is_at_the_root_with_validators_that_answer_304(site: Server) -> None:
    first = site.ask("/")
    assert (first.status, first.body) == (200, b"<h1>Start</h1>")
    assert first.headers["content-type"] == "text/html; charset=utf-8"
    for condition in ({"If-None-Match": first.headers["etag"]}, {"If-Modified-Since": first.headers["last-modified"]}):
        again = site.ask("/index.html", headers=condition)
        assert (again.status, again.body) == (304, b"")
    assert site.ask("/", headers={"If-None-Match": '"other"'}).status == 200
    assert site.ask("/", "HEAD").headers["content-length"] == "14"
    assert site.ask("/part/").body == b"<h1>Part</h1>"


def test_a_changed_page_has_another_etag(site: Server, folder: Path) -> None:
    page = folder / "site" / "changing.html"
    page.write_text("one", encoding="utf-8")
    before = site.ask("/changing.html").headers["etag"]
    page.write_text("two!", encoding="utf-8")
    assert site.ask("/changing.html", headers={"If-None-Match": before}).body == b"two!"


def test_robots_are_allowed_everywhere_unless_the_site_says_otherwise(site: Server, folder: Path) -> None:
    assert site.ask("/robots.txt").body == b"User-agent: *\nAllow: /\n"
    (folder / "site" / "robots.txt").write_text("User-agent: *\nDisallow: /x\n", encoding="utf-8")
    assert b"Disallow: /x" in site.ask("/robots.txt").body


def test_hidden_files_and_links_out_of_the_site_are_not_served(site: Server) -> None:
    for path in ("/.git/config", "/link.txt", "/part/../.git/config"):
        assert site.ask(path).status == 404


def test_a_stored_page_is_inert_text(viewer: Server) -> None:
    answer = viewer.ask(f"/pages/{sha256_hex(BODY)}")
    assert answer.body == BODY
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_a_text_shows_its_quote_with_everything_escaped(viewer: Server) -> None:
    path = f"/texts/{sha256_hex(TEXT)}"
    assert viewer.ask(path).body.decode() == TEXT
    start = TEXT.index("The <b>")
    answer = viewer.ask(f"{path}?start={start}&end={start + 16}")
    page = answer.body.decode()
    assert '<mark id="quote">The &lt;b&gt;quote&lt;/b&gt;</mark> &amp; more' in page
    assert "<script" not in page
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "query",
    [
        "start=1",
        "end=1",
        "start=5&end=2",
        "start=0&end=99999",
        "start=a&end=b",
        "start=-1&end=2",
        "start=1&end=" + "9" * 5000,
        "start=²&end=²",
    ],
)
def test_offsets_that_make_no_sense_are_refused_in_words(viewer: Server, query: str) -> None:
    answer = viewer.ask(f"/texts/{sha256_hex(TEXT)}?{quote(query, safe='=&')}")
    assert answer.status == 400
    assert b"offsets" in answer.body


def test_reports_and_manifests_open_and_nothing_beside_them(viewer: Server) -> None:
    assert viewer.ask("/reports/scores.html").headers["content-type"] == "text/html; charset=utf-8"
    assert "sandbox" in viewer.ask("/reports/scores.html").headers["content-security-policy"]
    assert json.loads(viewer.ask("/reports/scores.json").body) == []
    assert json.loads(viewer.ask(f"/adapters/{'a' * 64}/manifest.json").body) == {"kind": "sft"}
    for path in ("/reports/notes.txt", "/reports/%3Cb%3E.html", f"/adapters/{'a' * 64}/adapter_model.safetensors", f"/pages/{'0' * 64}"):
        assert viewer.ask(path).status == 404


def test_a_retired_adapter_opens_as_what_a_takedown_left_of_it(viewer: Server) -> None:
    assert json.loads(viewer.ask(f"/adapters/{'b' * 64}/manifest.json").body) == {"takedown": "t1"}
    assert f"{'b' * 64} (taken down)" in viewer.ask("/").body.decode()


def test_the_front_page_says_in_words_what_there_is(viewer: Server) -> None:
    page = viewer.ask("/").body.decode()
    assert '<a href="/reports/scores.html">' in page
    assert f'<a href="/adapters/{"a" * 64}/manifest.json">' in page
    assert "2 pages as they were fetched" in page
    assert "<b>" not in page


def test_an_empty_store_has_a_front_page_too(tmp_path: Path) -> None:
    for server in serve(create_viewer_app(tmp_path / "none")):
        assert b"No report has been written yet" in server.ask("/").body
        assert b"No iteration has been judged yet" in server.ask("/").body


def put_wrong(store: ArtifactStore, cell: Cell, count: int) -> Path:
    """Store a list of so many wrong answers, and return its file."""
    nothing = {name: [] if isinstance(kind, pl.List) else None for name, kind in WRONG_SCHEMA.items()}
    texts = dict.fromkeys((name for name, kind in WRONG_SCHEMA.items() if kind == pl.String), str(cell))
    rows = [nothing | texts | {"answer_id": f"{cell}{number}", "is_current": True} for number in range(count)]
    made = {"input_key": str(cell), "inputs": {}, "run_id": "r"}
    pointer = store.put(cell, "wrong_answers", pl.DataFrame(rows, schema=WRONG_SCHEMA), **made)
    return store.artifact_path("wrong_answers", pointer.hash, "parquet")


def test_the_front_page_leads_to_what_each_iteration_got_wrong_the_newest_first(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    for number, count in ((0, 3), (1, 1), (2, 0)):
        damaged = put_wrong(store, Cell.of("quill", number), count)
    put_wrong(store, Cell("ink", "000"), 2)
    store.put(Cell("quill", "003"), "promotion", WRONG_SCHEMA.to_frame(), input_key="k", inputs={}, run_id="r")
    for server in serve(create_viewer_app(store.root)):
        page = server.ask("/").body.decode()
        wanted = [("ink", "000", "2 wrong answers"), ("quill", "002", "0 wrong answers"), ("quill", "001", "1 wrong answer")]
        for domain, iteration, words in [*wanted, ("quill", "000", "3 wrong answers")]:
            assert f'<a href="/wrong/{domain}/{iteration}">{domain}|{iteration}: {words}</a>' in page
            assert server.ask(f"/wrong/{domain}/{iteration}").status == 200
        places = [page.index(f"/wrong/quill/{number:03d}") for number in (2, 1, 0)]
        assert places == sorted(places)
        assert "quill/003" not in page, "nobody has looked at what that iteration got wrong"
        damaged.write_bytes(b"torn")
        assert '<a href="/wrong/quill/002">quill|002: its list is damaged</a>' in server.ask("/").body.decode()
        assert server.ask("/wrong/quill/002").status == 500


def test_the_front_page_shows_every_domain_however_many_iterations_another_has(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    for number in range(102):
        put_wrong(store, Cell.of("ink", number), 0)
    put_wrong(store, Cell("quill", "000"), 0)
    for server in serve(create_viewer_app(store.root)):
        page = server.ask("/").body.decode()
        assert page.count('href="/wrong/ink/') == 100
        assert "and 2 more" in page
        assert '<a href="/wrong/quill/000">' in page


def test_a_damaged_registry_is_named_where_an_answer_is_asked_for(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    asked = as_answers(answers(probes(probe(1, "guard")), "base", [False]).drop("rule_label", "rule_explanation", "verdicts"))
    store.put(Cell("quill", "000"), "judge_scores", asked, input_key="k", inputs={}, run_id="r")
    for server in serve(create_viewer_app(store.root)):
        assert server.ask(f"/answers/{asked['answer_id'][0]}").status == 200
        registry = store.root / "registry" / "quill.json"
        registry.parent.mkdir()
        registry.write_text('{"domain": "qu', encoding="utf-8")
        answer = server.ask(f"/answers/{asked['answer_id'][0]}")
        assert (answer.status, str(registry) in answer.body.decode()) == (500, True)


@pytest.mark.parametrize("part", ["pages", "texts"])
def test_a_stored_file_that_was_edited_is_not_shown_as_what_was_read(tmp_path: Path, part: str) -> None:
    store = ArtifactStore(tmp_path / "store")
    path = tmp_path / "store" / part / store.put_bytes(tmp_path / "store" / part, b"as it was read")
    for server in serve(create_viewer_app(store.root)):
        for target in (f"/{part}/{path.name}", f"/texts/{path.name}?start=0&end=5")[: 1 + (part == "texts")]:
            path.write_bytes(b"as it was read")
            assert server.ask(target).status == 200
            path.write_bytes(b"as it was rEad.")
            answer = server.ask(target)
            assert (answer.status, str(path) in answer.body.decode()) == (500, True)
            assert b"rEad" not in answer.body


def test_what_is_unknown_is_a_404_that_says_so(viewer: Server) -> None:
    assert viewer.ask(f"/pages/{'f' * 64}").body == b"no stored page with that SHA-256 in this store\n"
    answer = viewer.ask("/nothing")
    assert (answer.status, answer.body) == (404, b"nothing is served at this address; the front page is /\n")
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_only_reading_is_allowed(viewer: Server, site: Server, method: str) -> None:
    for server in (viewer, site):
        answer = server.ask("/", method)
        assert answer.status == 405
        assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8316", "127.0.0.1.evil.example", "0.0.0.0", "[::1]", ""])
def test_another_host_name_is_refused(viewer: Server, site: Server, host: str) -> None:
    for server in (viewer, site):
        assert server.ask("/", headers={"Host": host}).status == 400
        assert server.ask("/.alas", headers={"Host": host}).status == 400
    assert viewer.ask("/", headers={"Host": "localhost:1"}).status == 200


PART = st.sampled_from(
    [
        "..",
        ".",
        "%2e%2e",
        "..%2f",
        "%2f",
        "%5c",
        "\\",
        "secret.txt",
        "secret.json",
        "site",
        "store",
        "part",
        "link.txt",
        "%00",
        "~",
        "etc",
        "passwd",
        ".git",
        "config",
        "a" * 300,
        "%ff",
        "C:",
        "%25%32%65",
    ]
)
PATHS = st.one_of(
    st.lists(PART, max_size=8).map("/".join),
    st.text(max_size=40).map(lambda text: quote(text, errors="replace")),
    st.lists(PART, max_size=4).map("".join),
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PATHS, st.sampled_from(["", "pages/", "texts/", "reports/", "adapters/", "adapters/x/"]))
def test_no_path_reaches_outside_and_none_breaks_the_server(site: Server, viewer: Server, path: str, prefix: str) -> None:
    for server in (site, viewer):
        answer = server.ask(f"/{prefix}{path}")
        assert SECRET not in answer.body
        assert answer.status in (200, 307, 400, 404)
        assert answer.headers["x-content-type-options"] == "nosniff"
