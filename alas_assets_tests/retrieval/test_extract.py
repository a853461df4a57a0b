"""A page's visible article reaches the text with its structure; hidden parts do not; hostile pages end as reasons (R2, S9)."""

from __future__ import annotations

import os
import signal
import socket
import threading
from datetime import UTC, datetime

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.provenance.ids import sha256_hex
from alas_assets.provenance.store import ArtifactStore
from alas_assets.retrieval.extract import Extracted, Extractor
from alas_assets.retrieval.extract_worker import Unreadable, read_page
from alas_assets.retrieval.fetch import Fetched

URL = "http://docs.example/new/3.15.html"
FILLER = "<p>Twelve plain words stand here so that the page has something to say.</p>"


def fetched(store: ArtifactStore, body: bytes, content_type: str = "text/html") -> Fetched:
    now = datetime.now(UTC)
    digest = store.put_bytes(store.pages, body)
    return Fetched(URL, URL, True, 200, "", False, now, now, content_type=content_type, body_sha256=digest, body_bytes=len(body))


def read(html: str) -> Extracted:
    return Extracted(**read_page(html.encode(), URL, "text/html; charset=utf-8"))


def test_headings_lists_code_and_tables_survive_and_links_become_their_text() -> None:
    got = read(
        """<html><body><nav>Home | Index</nav><main><h1>What is new<a class="headerlink" href="#x">¶</a></h1>
        <p>The <a href="mod.html"><code class="xref">heap_walk()</code></a> function is <b>new</b> in snake_case_name.</p>
        <h2>Modules</h2><ul><li>One <em>item</em></li><li>Two<ul><li>Nested</li></ul></li></ul>
        <div class="highlight-python3"><div class="highlight"><pre><span>x</span> = 1

y = 2</pre></div></div>
        <table><tr><th>Old</th><th>New</th></tr><tr><td>a_b</td><td><pre>c
d</pre></td></tr></table>
        <dl><dt>sys.flag</dt><dd><p>Says more.</p></dd></dl></main><footer>Imprint</footer></body></html>"""
    )
    assert got.text == (
        "# What is new\n\nThe `heap_walk()` function is new in snake_case_name.\n\n## Modules\n\n- One item\n- Two\n  - Nested\n\n"
        "```python3\nx = 1\n\ny = 2\n```\n\n| Old | New |\n| --- | --- |\n| a_b | `c d` |\n\nsys.flag\n\nSays more.\n"
    )
    assert got.title == "What is new"
    assert got.how == "main"
    assert got.links == ["http://docs.example/new/mod.html"]
    assert got.share_of_words_kept == 1.0


def test_metadata_is_read_and_a_declared_canonical_url_is_only_noted() -> None:
    got = read(
        """<html><head><title>T</title><link rel="canonical" href="/other.html"><link rel="license" href="https://licence.example/by">
        <meta name="author" content="Ada Example"><meta property="article:published_time" content="2026-10-09T08:00:00Z"></head>
        <body><article><h1>Release</h1>"""
        + FILLER
        + "</article></body></html>"
    )
    assert got.canonical_url == "http://docs.example/other.html"
    assert got.licence == "https://licence.example/by"
    assert got.published_at.startswith("2026-10-09")
    assert got.authors == ["Ada Example"]


def test_a_declared_base_says_where_the_links_lead() -> None:
    got = read(f'<html><head><base href="/deep/"></head><body><main><h1>Base</h1>{FILLER}<a href="a.html">On</a></main></body></html>')
    assert got.links == ["http://docs.example/deep/a.html"]


HIDDEN = [
    '<p style="display:none">{}</p>',
    '<p style="DISPLAY : none !important">{}</p>',
    '<div style="color:red; visibility: hidden">{}</div>',
    "<p hidden>{}</p>",
    '<span aria-hidden="true">{}</span>',
    '<p style="position:absolute; left:-9999px">{}</p>',
    '<p style="text-indent:-10000px">{}</p>',
    '<p style="font-size:0">{}</p>',
    '<p style="width:0;height:0;overflow:hidden">{}</p>',
    '<p style="opacity:0">{}</p>',
    '<p style="clip: rect(0,0,0,0)">{}</p>',
    "<!-- {} -->",
    "<script>{}</script>",
    "<style>{}</style>",
    "<noscript>{}</noscript>",
    "<template>{}</template>",
    '<img src="x.png" alt="{}">',
    "<iframe srcdoc='{}'></iframe>",
    "<textarea>{}</textarea>",
    "<nav>{}</nav>",
    "<aside>{}</aside>",
    "<svg><text>{}</text></svg>",
    "<div style='display:none'><div><p>{}</p></div></div>",
]


@pytest.mark.parametrize("form", HIDDEN)
def test_what_a_reader_does_not_see_is_not_read(form: str) -> None:
    got = read(f"<html><body><main><h1>Page</h1>{FILLER}{form.format('IGNOREALLRULES')}{FILLER}</main></body></html>")
    assert "IGNOREALLRULES" not in got.text
    assert got.text.count("Twelve plain words") == 2


def test_characters_without_a_shape_are_removed() -> None:
    tags = "".join(chr(0xE0000 + ord(letter)) for letter in "obey")
    body = f"<h1>A\u200bB</h1><p>zero\u200b\u2060width and bidi\u202e marks{tags} are gone from here</p>"
    got = read(f"<html><body><main>{body}</main></body></html>")
    assert got.text == "# AB\n\nzerowidth and bidi marks are gone from here\n"
    assert got.title == "AB"


def test_visible_styles_and_headers_inside_an_article_stay() -> None:
    styled = "<p style='line-height:1; max-width:100px; margin-left:-10px'>Shown.</p>"
    got = read(f"<html><body><article><header><h1>Kept</h1></header>{styled}{FILLER}</article></body></html>")
    assert got.text.startswith("# Kept\n\nShown.")


def test_a_long_list_without_a_declared_article_is_kept_whole() -> None:
    items = "".join(f"<li>Entry number {n} says that the flag option_{n} was added to module_{n}.</li>" for n in range(200))
    got = read(
        f"<html><body><section><h2>Library</h2><ul>{items}</ul></section><section><h2>Core</h2><ul>{items}</ul></section></body></html>"
    )
    assert got.share_of_words_kept > 0.95
    assert got.text.count("option_199") == 2
    assert got.title == "Library"


def test_an_empty_declared_container_does_not_hide_the_page() -> None:
    got = read(f"<html><body><main></main><div><h1>Elsewhere</h1>{FILLER * 5}</div></body></html>")
    assert got.text.count("Twelve plain words") == 5


def test_the_declared_charset_decides_and_a_wrong_one_does_not_raise() -> None:
    latin = "<html><body><main><p>Größe und Länge sind fünf schöne Wörter.</p></main></body></html>".encode("latin-1")
    assert "Größe" in read_page(latin, URL, "text/html; charset=iso-8859-1")["text"]
    assert "und" in read_page(latin, URL, "text/html; charset=utf-8")["text"]
    assert "und" in read_page(latin, URL, "text/html; charset=no-such-thing")["text"]


def test_markdown_stays_as_it_is_and_its_links_are_found() -> None:
    source = "# Title\n\nSome *words* with a [link](more.md) and `code` <!-- hidden words -->here.\r\n\r\n\r\n\r\n- item\n"
    got = Extracted(**read_page(source.encode(), URL, "text/markdown"))
    assert got.text == "# Title\n\nSome *words* with a [link](more.md) and `code` here.\n\n- item\n"
    assert (got.title, got.links, got.how) == ("Title", ["http://docs.example/new/more.md"], "text")


@pytest.mark.parametrize(
    "html",
    ["", "<html></html>", "<html><body><script>render()</script></body></html>", "<body><main><p>Too few.</p></main></body>", "<!-- -->"],
)
def test_a_page_without_text_is_a_failure_with_a_reason(html: str) -> None:
    with pytest.raises(Unreadable, match="text"):
        read(html)


_PARTS = """<p> </p> <main> <article> <table> <td> <pre> ``` <ul><li> <a/href='//[x'> <base/href='::'> &#xD800; <h2> <dl><dd> text
<p/style=' <!-- <![CDATA[ <math> \x00 <meta/http-equiv=content-type/content='text/html;charset=utf-7'>"""
_FOREIGN = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(st.sampled_from(_PARTS.split()), max_size=40).map(lambda parts: " ".join(parts).encode()),
)


@given(
    _FOREIGN, st.sampled_from(["text/html", "text/plain; charset=utf-16", "text/markdown", "", "text/html; charset=x-unknown", "\x00;;="])
)
@settings(max_examples=150, deadline=None)
def test_foreign_bytes_yield_text_or_a_reason_and_nothing_else(body: bytes, content_type: str) -> None:
    try:
        got = Extracted(**read_page(body, URL, content_type))
    except Unreadable:
        return
    assert got.text.strip()
    assert got.model_dump_json().encode()


# ------------------------------------------------------------------------------------------------ the child process


def test_a_page_read_before_is_not_read_again(store: ArtifactStore) -> None:
    page = fetched(store, f"<html><body><main><h1>Once</h1>{FILLER}</main></body></html>".encode())
    with Extractor(store) as first:
        found = first.extract(page)
    (store.pages / page.body_sha256).unlink()
    with Extractor(store) as second:
        assert second.extract(page) == found


def test_a_page_nested_too_deep_is_a_reason_and_the_next_page_is_read(extractor: Extractor) -> None:
    deep = fetched(extractor.store, b"<div>" * 5_000 + b"words that nobody can reach down here")
    found = extractor.extract(deep)
    assert found.reason
    plain = fetched(extractor.store, f"<main><h1>Next</h1>{FILLER}</main>".encode())
    assert extractor.extract(plain).title == "Next"


def test_a_page_that_takes_too_long_is_stopped_and_the_next_page_is_read(store: ArtifactStore) -> None:
    with Extractor(store, seconds=2) as extractor:
        plain = fetched(store, f"<main><h1>First</h1>{FILLER}</main>".encode())
        assert extractor.extract(plain).title == "First"
        heavy = fetched(store, b"<p>" * 400_000)
        assert "within 2 s" in extractor.extract(heavy).reason
        after = fetched(store, f"<main><h1>After</h1>{FILLER}</main>".encode())
        assert extractor.extract(after).title == "After"


def test_a_killed_worker_costs_one_page_and_is_replaced(store: ArtifactStore) -> None:
    with Extractor(store) as extractor:
        assert extractor.extract(fetched(store, f"<main><h1>First</h1>{FILLER}</main>".encode())).title == "First"
        worker = extractor._readers[0].worker
        assert worker is not None
        heavy = fetched(store, b"<p>" * 400_000)
        threading.Timer(1.0, os.kill, (worker.pid, signal.SIGKILL)).start()
        assert "died" in extractor.extract(heavy).reason
        assert extractor.extract(fetched(store, f"<main><h1>After</h1>{FILLER}</main>".encode())).title == "After"


def test_several_pages_are_read_at_a_time_and_one_that_kills_its_reader_takes_no_other_with_it(store: ArtifactStore) -> None:
    with Extractor(store, seconds=20, readers=2) as extractor:
        pages = [fetched(store, f"<main><h1>Page {number}</h1>{FILLER}</main>".encode()) for number in range(6)]
        heavy = fetched(store, b"<p>" * 400_000)
        reading = [extractor.submit(page) for page in [*pages[:2], heavy, *pages[2:]]]
        assert [reading[number].result().title for number in (0, 1)] == ["Page 0", "Page 1"]
        assert [one.result().title for one in reading[3:]] == [f"Page {number}" for number in range(2, 6)]
        processes = [reader.worker.pid for reader in extractor._readers if reader.worker]
        assert len(set(processes)) == 2
    assert reading[2].result().reason  # whoever leaves does not wait for it
    assert not any(psutil.pid_exists(pid) for pid in processes)


def test_the_extractor_asks_for_nothing_that_a_page_names(extractor: Extractor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.3)
        here = f"http://127.0.0.1:{listener.getsockname()[1]}"
        html = f"""<html><head><meta property="og:image" content="{here}/a.png"><link rel="canonical" href="{here}/c">
            <link rel="stylesheet" href="{here}/s.css"><meta http-equiv="refresh" content="0;url={here}/r"></head>
            <body><main><h1>Images</h1><img src="{here}/b.png"><iframe src="{here}/f"></iframe>{FILLER * 4}</main></body></html>"""
        assert extractor.extract(fetched(extractor.store, html.encode())).title == "Images"
        with pytest.raises(TimeoutError):
            listener.accept()


def test_a_body_that_is_gone_is_a_reason(extractor: Extractor) -> None:
    page = fetched(extractor.store, b"<main>gone before it is read</main>")
    (extractor.store.pages / page.body_sha256).unlink()
    assert extractor.extract(page).reason
    assert page.body_sha256 == sha256_hex(b"<main>gone before it is read</main>")
