"""A feed of any make gives clean entries or one documented error, and nothing that it names is opened (R2, S9)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.domains.sources import Sources
from alas_assets.retrieval.finding.feeds import (
    MAX_BYTES,
    MAX_ENTRIES,
    MAX_SUMMARY,
    MAX_TITLE,
    Entry,
    Feed,
    FeedError,
    read_feed,
)
from alas_assets_tests.retrieval.site import Site

URL = "https://blog.example.org/feeds/all.xml"


def rss(*items: str, head: str = "") -> bytes:
    inner = "".join(f"<item>{item}</item>" for item in items)
    return f'{head}<rss version="2.0"><channel><title>News</title>{inner}</channel></rss>'.encode()


def only(body: bytes) -> Entry:
    (entry,) = read_feed(body, URL).entries
    return entry


def test_an_rss_entry_has_its_address_words_and_dates() -> None:
    entry = only(
        rss(
            '<title>Release &lt;b&gt;4.2&lt;/b&gt;</title><link>/4.2?a=1&amp;b=2#top</link><guid isPermaLink="false">id-1</guid>'
            "<pubDate>Mon, 23 Nov 2026 10:00:00 +0200</pubDate>"
            "<description>&lt;p&gt;It is&lt;/p&gt;&lt;script&gt;steal()&lt;/script&gt; out.</description>"
        )
    )
    assert entry == Entry(
        "https://blog.example.org/4.2?a=1&b=2",
        "id-1",
        "Release 4.2",
        "2026-11-23T08:00:00+00:00",
        "2026-11-23T08:00:00+00:00",
        "It is out.",
    )


def test_an_atom_entry_of_a_release_feed_has_its_page_and_its_change() -> None:
    feed = read_feed(
        b'<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom"><title>Release notes from tool</title>'
        b"<entry><id>tag:github.com,2008:Repository/1/v2</id><updated>2026-11-20T12:00:00Z</updated>"
        b'<link rel="self" href="https://github.com/o/tool/releases.atom"/>'
        b'<link rel="alternate" type="text/html" href="https://github.com/o/tool/releases/tag/v2"/><title>v2</title>'
        b'<content type="html">&lt;p&gt;Faster.&lt;/p&gt;</content></entry></feed>',
        Sources(github=("o/tool",)).feed_urls[0],
    )
    assert (feed.title, feed.url) == ("Release notes from tool", "https://github.com/o/tool/releases.atom")
    assert feed.entries == [
        Entry(
            "https://github.com/o/tool/releases/tag/v2",
            "tag:github.com,2008:Repository/1/v2",
            "v2",
            "",
            "2026-11-20T12:00:00+00:00",
            "Faster.",
        )
    ]


def test_a_feed_in_utf16_and_one_with_bare_ampersands_and_html_entities_are_read() -> None:
    wide = '<?xml version="1.0" encoding="utf-16"?><rss version="2.0"><channel><item><link>http://a.example/</link><title>é</title></item></channel></rss>'
    assert only(wide.encode("utf-16")).title == "é"
    entry = only(rss("<link>http://a.example/?x=1&y=2</link><title>R&D caf&eacute; &amp; bar</title>"))
    assert (entry.url, entry.title) == ("http://a.example/?x=1&y=2", "R&D café & bar")


@pytest.mark.parametrize(
    "link",
    [
        "file:///etc/passwd",
        "folder://local/secret.md",
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://a.example/",
        "http://me:pw@a.example/",
        "",
    ],
)
def test_an_entry_that_leads_elsewhere_than_to_the_web_is_left_out_and_counted(link: str) -> None:
    feed = read_feed(rss(f"<link>{link}</link><title>x</title>", "<link>/good</link>"), URL)
    assert [entry.url for entry in feed.entries] == ["https://blog.example.org/good"]
    assert feed.left_out == 1


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE rss [<!ENTITY % x SYSTEM "{site}/dtd"> %x;]>',
        '<!DOCTYPE rss [<!ENTITY x "words">]>',
        '<!-- <a --><!DOCTYPE rss [<!ENTITY x "words">]>',
        '<!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY x "&b;&b;&b;&b;">]>',
    ],
)
def test_a_feed_that_declares_entities_is_refused_and_nothing_is_fetched(head: str, site: Site) -> None:
    with pytest.raises(FeedError, match=rf"(?i)^{URL} .*entit"):
        read_feed(rss("<link>/a</link><title>&x;</title>", head=head.replace("{site}", site.url)), URL)
    assert site.connections == []


def test_billions_of_laughs_are_refused() -> None:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    with pytest.raises(FeedError, match=URL):
        read_feed(rss("<link>/a</link><title>&l11;</title>", head=f'<!DOCTYPE rss [<!ENTITY l0 "lol">{entities}]>'), URL)


def test_an_external_document_type_is_never_fetched(site: Site) -> None:
    head = f'<!DOCTYPE rss PUBLIC "-//Netscape Communications//DTD RSS 0.91//EN" "{site.url}/rss-0.91.dtd">'
    assert only(rss("<link>/a</link><title>Old</title>", head=head)).title == "Old"
    assert site.connections == []


def test_a_body_that_names_a_file_is_no_way_to_read_it(tmp_path: Path) -> None:
    secret = tmp_path / "secret.xml"
    secret.write_bytes(rss("<link>/a</link><title>secret</title>"))
    with pytest.raises(FeedError, match="is not a feed"):
        read_feed(str(secret).encode(), URL)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>hi</body></html>",
        b"{}",
        b"\x00\x01",
        b"<",
        b"<channel><item><link><item",
        "<a:b/>".encode("utf-16"),
        b"<x xmlns:y=''/>",
    ],
)
def test_what_is_no_feed_is_one_error_that_names_it(body: bytes) -> None:
    with pytest.raises(FeedError, match=URL):
        read_feed(body, URL)


@pytest.mark.security("bomb")
@pytest.mark.parametrize(
    "person",
    ["<author>{}</author>", "<managingEditor>{}</managingEditor>", "<author><a/>{}</author>"]
    + [f'<x:{name} xmlns:x="http://purl.org/dc/elements/1.1/">{{}}</x:{name}>' for name in ("creator", "publisher")],
)
def test_a_long_name_of_a_person_takes_no_time_that_grows_with_its_square(person: str) -> None:
    entry = only(rss(f"<link>/1</link>{person.format('a.a' * 600_000)}<title>Release 4.2</title>"))
    assert (entry.url, entry.title) == ("https://blog.example.org/1", "Release 4.2")


def test_entries_words_and_sizes_are_bounded() -> None:
    long = "word " * 5_000
    feed = read_feed(
        rss(*[f"<link>/{n}</link><title>{long}</title><description>{long}</description>" for n in range(MAX_ENTRIES + 20)][:60]), URL
    )
    assert max(len(entry.title) for entry in feed.entries) <= MAX_TITLE
    assert max(len(entry.summary) for entry in feed.entries) <= MAX_SUMMARY
    many = read_feed(rss(*[f"<link>/{n}</link>" for n in range(MAX_ENTRIES + 20)]), URL)
    assert (len(many.entries), many.left_out) == (MAX_ENTRIES, 20)
    with pytest.raises(FeedError, match="larger than"):
        read_feed(b" " * MAX_BYTES + rss(), URL)
    with pytest.raises(FeedError, match="elements"):
        read_feed(b"<rss><channel>" + b"<a/>" * 60_000 + b"</channel></rss>", URL)


def pieces() -> Iterator[str]:
    yield from (
        "<rss version='2.0'>",
        "<channel>",
        "<item>",
        "</item>",
        "<link>",
        "</link>",
        "<title>",
        "&x;",
        "&#0;",
        "&#xD800;",
        "<![CDATA[",
        "]]>",
    )
    yield from (
        "<!DOCTYPE r [",
        "<!ENTITY x 'y'>",
        "]>",
        "<?xml version='1.0' encoding='utf-7'?>",
        "<a:b>",
        "xmlns:a=''",
        "http://[",
        "//x",
        "\x00",
        "<!--",
    )
    yield from (
        "<feed xmlns='http://www.w3.org/2005/Atom'>",
        "<entry>",
        "<link href='http://a.example/'/>",
        "<updated>",
        "9999-99-99T99:99:99Z",
        "</feed>",
    )


@settings(deadline=None, max_examples=300)
@given(
    body=st.one_of(
        st.binary(max_size=400), st.lists(st.sampled_from(list(pieces())), max_size=30).map(lambda parts: "".join(parts).encode())
    )
)
def test_arbitrary_bytes_are_a_feed_or_one_line_that_names_it(body: bytes) -> None:
    feed, said = Feed(URL, "", [], 0), URL
    try:
        feed = read_feed(body, URL)
    except FeedError as error:
        said = str(error)
    assert URL in said
    assert "\n" not in said
    for entry in feed.entries:
        assert entry.url.startswith(("http://", "https://"))
        assert entry.id
        assert entry.title.isprintable()


@settings(deadline=None)
@given(url=st.text(max_size=60))
def test_any_link_gives_a_web_address_or_no_entry(url: str) -> None:
    from xml.sax.saxutils import escape

    printable = "".join(character for character in url if character.isprintable())
    for entry in read_feed(rss(f"<link>{escape(printable)}</link>"), URL).entries:
        assert entry.url.startswith(("http://", "https://"))
