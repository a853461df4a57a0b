"""A page's visible article reaches the text with its structure; hidden parts do not; hostile pages end as reasons (R2, S9)."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.provenance.ids import sha256_hex
from alas_assets.provenance.store import ArtifactStore
from alas_assets.retrieval.extract import Extracted, Extractor, _why_late
from alas_assets.retrieval.fetch import Fetched
from alas_assets.retrieval.readers import Unreadable, read_page
from alas_assets_tests.retrieval.documents import cve, lines, osv, pdf

URL = "http://docs.example/new/3.15.html"
FILLER = "<p>Twelve plain words stand here so that the page has something to say.</p>"


def fetched(store: ArtifactStore, body: bytes, content_type: str = "text/html") -> Fetched:
    now = datetime.now(UTC)
    digest = store.put_bytes(store.pages, body)
    return Fetched(URL, URL, True, 200, "", False, now, now, content_type=content_type, body_sha256=digest, body_bytes=len(body))


def read(html: str) -> Extracted:
    return Extracted(**read_page(html.encode(), URL, "text/html; charset=utf-8"))


HEADS = ["<title>T</title>", '<meta charset="utf-8"><title>T</title><link rel="icon" href="/i">', '<base href="/new/">']


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("element", ["main", "article", "section", "div"])
def test_a_page_that_leaves_out_the_tags_of_head_and_body_is_read_as_if_it_had_them(head: str, element: str) -> None:
    shown = f"<{element}><h1>Page</h1>{FILLER}<p>The last words.</p></{element}><p>After.</p>"
    bare = read(f"<!doctype html>{head}{shown}")
    tagged = read(f"<html><head>{head}</head><body>{shown}</body></html>")
    assert (bare.text, bare.title, bare.how) == (tagged.text, "Page", tagged.how)
    assert bare.kept_words == tagged.kept_words > 0


def test_a_body_that_stands_in_the_head_is_the_body_and_thousands_of_parts_are_moved_out_of_a_head_at_once() -> None:
    inside = f"<body><main><h1>Page</h1>{FILLER}<p>The last words.</p></main></body>"
    assert "last words" in read(f"<head><title>t</title><my-menu>{inside}").text
    parts = "".join(f"<section><p>Part {number} says what it is about.</p></section>" for number in range(6000))
    assert "Part 5999 says" in read(f"<title>x</title><main><h1>Page</h1></main>{parts}").text


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
    assert got.kept_words == got.page_words > 0


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


@pytest.mark.parametrize(
    ("form", "content_type"), [("<main>{}<a href='{}'>On</a><a href='{}'>Too far</a></main>", "text/html"), ("{} {} {}", "text/plain")]
)
def test_a_link_longer_than_any_address_that_is_fetched_is_left_out(form: str, content_type: str) -> None:
    longest = f"http://docs.example/{'x' * (2083 - 20)}"
    assert read_page(form.format(FILLER, longest, longest + "x").encode(), URL, content_type)["links"] == [longest]


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
    '<p style="transform:translateX(-9999px)">{}</p>',
    '<p style="height:0em; overflow:hidden">{}</p>',
    '<p style="max-height: 0%; overflow: hidden">{}</p>',
    '<p style="font-size:.01px">{}</p>',
    '<p style="opacity: .01">{}</p>',
    '<p style="text-indent:-99em">{}</p>',
    '<p style="position:fixed; top:-99rem">{}</p>',
    '<p style="position:absolute; clip: rect(1px, 1px, 1px, 1px)">{}</p>',
    '<p style="position:absolute; clip: rect(1px 1px 1px 1px)">{}</p>',
    '<p style="clip-path:circle(0)">{}</p>',
    '<p style="clip-path:circle(0 at 50% 50%)">{}</p>',
    r'<p style="display:no\6e e">{}</p>',
    r'<p style="\64 isplay:none">{}</p>',
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


HIDING_RULES = [
    r".x{display:\6e one}",
    ".x{max-height:0%;overflow:hidden}",
    ".x{display:none}",
    "#y { DISPLAY : none !important }",
    "p.x, .other { visibility: hidden; }",
    "main > .x{opacity:0}",
    "h1 ~ p[class=x]{position:absolute;left:-9999px}",
    ".shown{color:red} .x:hover, .x{font-size:0}",
    "@media screen { .x { display: none } }",
    "@layer base { @media all { .x { clip-path: inset(50%) } } }",
    "a{} /* .x{ */ .x{dis/**/play:block} .x{display:none",
    ".x { color: transparent }",
    ".x { color:#fff; background-color:#fff }",
    ".x{display:none} .x{display:block}",
]


@pytest.mark.parametrize("css", HIDING_RULES)
def test_what_the_page_hides_by_a_rule_is_not_read(css: str) -> None:
    body = f'<h1>Page</h1>{FILLER}<p class="x" id="y">IGNOREALLRULES</p>{FILLER}'
    got = read(f"<html><head><style>{css}</style></head><body><main>{body}</main></body></html>")
    assert "IGNOREALLRULES" not in got.text
    assert got.text.count("Twelve plain words") == 2
    assert got.kept_words == got.page_words > 0


@pytest.mark.parametrize(
    "css",
    [
        "@media print { p { display: none } }",
        "@media (max-width: 600px) { p { display: none } }",
        "p::before{display:none} p:after{display:none}",
        ".menu{display:none}",
        "body{display:none} main{visibility:hidden}",
        "p{color:#000;background:#fff} }}} :::{display:none} p{",
        "p{color:inherit;background:inherit}",
        "p{transform:translate(-50%,-50%);top:-2em;margin-left:-10rem} p{text-indent:-1.5em;clip-path:circle(50%)}",
        "p{opacity:.5;font-size:.9em} p{opacity:0.85;font-size:10.5px;height:0.5em;max-height:100%;clip:rect(1px,90px,90px,1px)}",
        "".join(f".unused{n} p, #unused{n}{{display:none}}" for n in range(3_000)),
    ],
)
def test_a_rule_that_hides_nothing_on_a_screen_takes_nothing_away(css: str) -> None:
    got = read(f"<html><head><style>{css}</style></head><body><main><h1>Page</h1>{FILLER * 3}</main></body></html>")
    assert got.text.count("Twelve plain words") == 3


def test_a_page_of_instructions_keeps_the_visible_one_only() -> None:
    html = """<!doctype html><html><head><title>TITLECANARY</title><meta name="description" content="METACANARY">
        <meta property="og:title" content="OGCANARY"><style>.sr{position:absolute;clip:rect(0,0,0,0)} #off{display:none}</style></head>
        <body><main><h1>Release notes</h1><!-- COMMENTCANARY --><p>VISIBLECANARY is printed on the page for every reader to see.</p>
        <p hidden>HIDDENCANARY</p><p id="off">IDCANARY</p><span class="sr">CLASSCANARY</span>
        <img src="a.png" alt="ALTCANARY" title="TIPCANARY">
        <p title="TOOLTIPCANARY" data-note="DATACANARY">ZERO\u200bWIDTH⁠CANARY ends here.</p><a href="/x" aria-label="LABELCANARY">link</a>
        <script>SCRIPTCANARY</script><input value="INPUTCANARY" placeholder="PLACECANARY"></main></body></html>"""
    got = read(html)
    assert set(re.findall(r"[A-Z]+CANARY", got.text)) == {"VISIBLECANARY", "ZEROWIDTHCANARY"}
    assert got.title == "Release notes"
    untitled = read(html.replace("<h1>Release notes</h1>", FILLER))
    assert untitled.title == "TITLECANARY"  # a browser shows it on the tab; what only a card elsewhere would show is none


def test_a_page_that_hides_by_too_many_rules_is_a_reason() -> None:
    rules = "".join(f":not(.c{n}){{display:none}}" for n in range(1_500))
    with pytest.raises(Unreadable, match="more than 1000 style rules"):
        read(f"<html><head><style>{rules}</style></head><body><main>{FILLER}</main></body></html>")


def test_visible_styles_and_headers_inside_an_article_stay() -> None:
    styled = "<p style='line-height:1; max-width:100px; margin-left:-10px'>Shown.</p>"
    got = read(f"<html><body><article><header><h1>Kept</h1></header>{styled}{FILLER}</article></body></html>")
    assert got.text.startswith("# Kept\n\nShown.")


_INLINE = ("span", "b", "code", "a")
_BLOCK = ("div", "p", "ul", "ol", "li", "blockquote", "section", "figure", "figcaption", "details", "summary", "address", "h2", "dl", "dt")
_BLOCK += ("dd", "pre", "table", "tr", "td", "th", "caption", "main", "article", "fieldset", "form", "center", "menu", "aside", "nav")
_TREES = st.recursive(
    st.just(None),
    lambda inside: st.lists(st.tuples(st.sampled_from((*_BLOCK, *_BLOCK, *_INLINE)), inside), min_size=1, max_size=4),
    max_leaves=25,
)


def _written(tree: object, numbers: Iterator[int]) -> str:
    """Write a tree with a word before, in and after every element; blocks have no white space around them, inline parts do."""
    if not isinstance(tree, list):
        return f"w{next(numbers)}w"
    parts = []
    for name, inside in tree:
        gap = " " if name in _INLINE else ""
        parts.append(f"w{next(numbers)}w{gap}<{name}>{_written(inside, numbers)}</{name}>{gap}")
    return "".join(parts) + f"w{next(numbers)}w"


@given(_TREES)
@settings(max_examples=200, deadline=None)
def test_the_words_of_two_blocks_never_become_one(tree: object) -> None:
    numbers = iter(range(10_000))
    html = f"<html><body><main>{FILLER}{_written(tree, numbers)}</main></body></html>"
    text = read(html).text
    known = {f"w{number}w" for number in range(next(numbers))}
    stray = [word for word in re.findall(r"\w+", text) if re.match(r"w\d", word) and word not in known]
    assert stray == [], text
    glued = re.findall(r"w\d+w[^\s|`]+w\d+w", text)
    assert glued == [], text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<ul><li>Called directly.<ul><li>Or not.</li></ul>The end.</li></ul>", "- Called directly.\n  - Or not.\n\n  The end."),
        ("<p>one</p>two<div></div>three<aside>x</aside>four<hr>five", "one\n\ntwo\n\nthree\n\nfour\n\nfive"),
        ("<figure>one</figure>two<details><summary>three</summary>four</details>", "one\n\ntwo\n\nthree\n\nfour"),
        ("<table><tr><td><h3>one</h3>two<ul><li>three</li></ul>four</td></tr></table>", "one two - three four"),
        ("<table><tr><td>one<pre>two</pre>three</td></tr></table>", "one `two` three"),
        ("<table><tr><td><code>one<pre>two</pre>three</code></td></tr></table>", "one two three"),
        ("<p>2<sup>32</sup> words<sup>th</sup></p>", "2^32 wordsth"),
        ("<p>a <code>b\n   c</code> d</p>", "a `b c` d"),
    ],
)
def test_what_follows_a_nested_block_stands_on_its_own(html: str, text: str) -> None:
    assert text in read(f"<main><h1>T</h1>{FILLER}{html}</main>").text


def test_line_numbers_beside_code_are_not_its_text() -> None:
    numbers = '<td class="linenos"><pre>1\n2</pre></td>'
    code = '<td class="code"><div><pre>a = 1\nb = 2</pre></div></td>'
    table = f'<table class="highlighttable"><tr>{numbers}{code}</tr></table>'
    assert "\n```\na = 1\nb = 2\n```\n" in read(f"<main><h1>T</h1>{FILLER}{table}</main>").text


def sections_behind_a_menu() -> bytes:
    """A page of nested sections that says nowhere which part is its article."""
    said = "<p>The option in this part, <code>option()</code>, was changed for all users, and the old form, which was slow, is gone.</p>"
    areas = "".join(f"<section><h3>Area {n}</h3>{said * 4}</section>" for n in range(3))
    parts = "".join(f"<section><h2>Part {n}</h2>{areas}</section>" for n in range(8))
    menu = "".join(f"<div><a href='/{n}'>Menu entry {n}</a></div>" for n in range(40))
    return f"<html><body><div class='left'>{menu}</div><div><div>{parts}</div></div></body></html>".encode()


def test_where_newspaper_finds_too_little_trafilatura_says_which_part_it_is(extractor: Extractor) -> None:
    got = extractor.extract(fetched(extractor.store, sections_behind_a_menu()))
    assert got.how == "trafilatura"
    assert got.text.count("The option in this part") == 8 * 3 * 4
    assert got.text.count("\n### Area") == 8 * 3
    assert got.text.count("`option()`") == 8 * 3 * 4
    assert "Menu entry" not in got.text


def test_a_long_list_without_a_declared_article_is_kept_whole() -> None:
    items = "".join(f"<li>Entry number {n} says that the flag option_{n} was added to module_{n}.</li>" for n in range(200))
    got = read(
        f"<html><body><section><h2>Library</h2><ul>{items}</ul></section><section><h2>Core</h2><ul>{items}</ul></section></body></html>"
    )
    assert got.kept_words > 0.95 * got.page_words > 0
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


def test_a_huge_table_is_read_row_by_row() -> None:
    rows = "".join(f"<tr><td>name_{n}</td><td>value {n}</td></tr>" for n in range(1_500))
    got = read(f"<main><h1>Table</h1><table><tr><th>Name</th><th>Value</th></tr>{rows}</table></main>")
    assert "\n| name_1499 | value 1499 |\n" in got.text
    assert got.kept_words == got.page_words > 0


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


@given(_FOREIGN, st.sampled_from(["text/html", "text/plain; charset=utf-16", "", "text/html; charset=x-unknown", "\x00;;="]))
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


@pytest.mark.parametrize(
    ("tag", "depth"), [(b"<div>", 100_000), (b"<b>", 100_000), (b"<ul><li>", 50_000), (b"<table><tr><td>", 33_000), (b"<p><span>", 5_000)]
)
def test_a_page_nested_too_deep_is_a_reason_and_the_next_page_is_read(tag: bytes, depth: int, extractor: Extractor) -> None:
    deep = fetched(extractor.store, tag * depth + b"words that nobody can reach down here")
    found = extractor.extract(deep)
    assert found.reason
    plain = fetched(extractor.store, f"<main><h1>Next</h1>{FILLER}</main>".encode())
    assert extractor.extract(plain).title == "Next"


def test_a_page_that_takes_too_long_is_stopped_and_the_next_page_is_read(store: ArtifactStore) -> None:
    with Extractor(store, seconds=4) as extractor:
        plain = fetched(store, f"<main><h1>First</h1>{FILLER}</main>".encode())
        assert extractor.extract(plain).title == "First"
        heavy = fetched(store, b"<p>" * 1_000_000)
        assert "within 4 s" in extractor.extract(heavy).reason
        after = fetched(store, f"<main><h1>After</h1>{FILLER}</main>".encode())
        assert extractor.extract(after).title == "After"


def test_a_small_page_whose_base_makes_gigabytes_of_links_is_read_without_them(extractor: Extractor) -> None:
    links = "".join(f"<a href={number}>x</a> " for number in range(4_000))
    head = f"<head><base href='http://h/{'x' * 20_000}/'></head>"
    html = f"<html>{head}<body><main><h1>Base</h1>{FILLER}<a href='{URL}'>On</a>{links}</main></body></html>"
    got = extractor.extract(fetched(extractor.store, html.encode()))
    assert (got.reason, got.title, got.links) == ("", "Base", [URL])


def test_a_page_that_gives_more_than_is_taken_of_one_page_is_a_reason_and_the_next_page_is_read(store: ArtifactStore) -> None:
    with Extractor(store, seconds=120) as extractor:
        huge = fetched(store, (FILLER + "\U0001f642" * 6_000_000).encode(), "text/plain")
        assert extractor.extract(huge).reason == f"{URL} gives more than the 64 MiB of text and links that are taken of one page"
        assert extractor.extract(fetched(store, f"<main><h1>After</h1>{FILLER}</main>".encode())).title == "After"


def test_a_page_that_comes_late_on_a_busy_machine_is_not_called_too_heavy(store: ArtifactStore) -> None:
    with Extractor(store, seconds=5) as extractor:
        extractor.extract(fetched(store, f"<main><h1>First</h1>{FILLER}</main>".encode()))
        worker = extractor._readers[0].worker
        assert worker is not None
        worker.send_signal(signal.SIGSTOP)  # as if others had all of the processor
        reason = extractor.extract(fetched(store, f"<main><h1>Late</h1>{FILLER}</main>".encode())).reason
        assert "too busy" in reason
        assert "too heavy" not in reason
        assert "too heavy" in _why_late(0.6, 1.0)
        assert extractor.extract(fetched(store, f"<main><h1>Late</h1>{FILLER}</main>".encode())).title == "Late"


def test_a_killed_worker_costs_one_page_and_is_replaced(store: ArtifactStore) -> None:
    with Extractor(store) as extractor:
        assert extractor.extract(fetched(store, f"<main><h1>First</h1>{FILLER}</main>".encode())).title == "First"
        worker = extractor._readers[0].worker
        assert worker is not None
        heavy = fetched(store, b"<p>" * 1_000_000)
        threading.Timer(1.0, os.kill, (worker.pid, signal.SIGKILL)).start()
        assert "died" in extractor.extract(heavy).reason
        assert extractor.extract(fetched(store, f"<main><h1>After</h1>{FILLER}</main>".encode())).title == "After"


def test_several_pages_are_read_at_a_time_and_one_that_kills_its_reader_takes_no_other_with_it(store: ArtifactStore) -> None:
    with Extractor(store, seconds=20, readers=2) as extractor:
        pages = [fetched(store, f"<main><h1>Page {number}</h1>{FILLER}</main>".encode()) for number in range(6)]
        heavy = fetched(store, b"<p>" * 1_000_000)
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
        image = f'<img src="{here}/i"><h2>Part 0'.encode()
        undeclared = sections_behind_a_menu().replace(b"/0", f"{here}/0".encode()).replace(b"<h2>Part 0", image)
        assert extractor.extract(fetched(extractor.store, undeclared)).how == "trafilatura"
        asks = f".. image:: {here}/x.png\n.. include:: {here}/y\n.. raw:: html\n   :url: {here}/z\n"
        source = f"Title\n=====\n\nWords enough to be read here.\n\n{asks}"
        assert extractor.extract(fetched(extractor.store, source.encode(), "text/x-rst")).title == "Title"
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize(
    ("body", "content_type", "how"),
    [
        (pdf([lines("Twelve plain words stand on this page so that it says something.")]), "application/pdf", "pdf"),
        (b"Title\n=====\n\nA :func:`role` of Sphinx, and *words* enough to be read.\n", "text/x-rst", "restructuredtext"),
        (b"# Title\n\nSome *words* that are enough to be read.\n", "text/markdown", "markdown"),
        (osv(), "application/json", "osv-record"),
        (cve(), "application/json; charset=utf-8", "cve-record"),
    ],
)
def test_every_format_is_read_in_the_locked_process(body: bytes, content_type: str, how: str, extractor: Extractor) -> None:
    got = extractor.extract(fetched(extractor.store, body, content_type))
    assert (got.reason, got.how) == ("", how)


@pytest.mark.parametrize("content_type", ["text/html", "text/plain", "application/pdf", "application/json", "text/x-rst", "text/markdown"])
@pytest.mark.parametrize(
    "body", [b"PK\x03\x04" + bytes(400), b"\x7fELF\x02" + bytes(400), b"%PDF-1.7\n" + bytes(400), b"\xff\xfe\xff" * 90]
)
def test_bytes_of_another_kind_are_text_or_a_reason_in_the_locked_process(body: bytes, content_type: str, extractor: Extractor) -> None:
    got = extractor.extract(fetched(extractor.store, body, content_type))
    assert bool(got.reason) != bool(got.text.strip())


def test_a_body_that_is_gone_is_a_reason(extractor: Extractor) -> None:
    page = fetched(extractor.store, b"<main>gone before it is read</main>")
    (extractor.store.pages / page.body_sha256).unlink()
    assert extractor.extract(page).reason
    assert page.body_sha256 == sha256_hex(b"<main>gone before it is read</main>")
