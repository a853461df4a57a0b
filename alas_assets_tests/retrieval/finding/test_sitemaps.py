"""Sitemaps of every form give web addresses by recency, or one documented error (R2, S9)."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.retrieval.finding.sitemaps import MAX_BYTES, MAX_LISTED, Listed, Sitemap, SitemapError, read_sitemap
from alas_assets_tests.retrieval.site import Site

URL = "https://docs.example.org/sitemap.xml"
NAMESPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def urlset(*entries: tuple[str, str], head: str = "") -> bytes:
    inner = "".join(f"<url><loc>{loc}</loc>{f'<lastmod>{when}</lastmod>' if when else ''}</url>" for loc, when in entries)
    return f'{head}<urlset {NAMESPACE} xmlns:image="http://i/">{inner}</urlset>'.encode()


def test_pages_come_newest_first_and_undated_ones_last_in_their_order() -> None:
    found = read_sitemap(
        urlset(("/c", ""), ("https://docs.example.org/a?x=1&amp;y=2", "2026-01-02"), ("/d", ""), ("/b", "2026-11-02T10:00:00+02:00")), URL
    )
    assert found.pages == [
        Listed("https://docs.example.org/b", "2026-11-02T08:00:00+00:00"),
        Listed("https://docs.example.org/a?x=1&y=2", "2026-01-02"),
        Listed("https://docs.example.org/c", ""),
        Listed("https://docs.example.org/d", ""),
    ]
    assert found.sitemaps == []


def test_an_index_names_its_sitemaps_and_a_robots_file_too() -> None:
    index = f"<sitemapindex {NAMESPACE}><sitemap><loc>/a.xml.gz</loc></sitemap></sitemapindex>".encode()
    assert read_sitemap(index, URL).sitemaps == [Listed("https://docs.example.org/a.xml.gz", "")]
    robots = b"User-agent: *\nDisallow: /x\nSitemap: https://docs.example.org/s.xml\nSitemap: file:///etc/passwd\n"
    found = read_sitemap(robots, "https://docs.example.org/robots.txt")
    assert (found.sitemaps, found.left_out) == ([Listed("https://docs.example.org/s.xml", "")], 1)


def test_gzip_and_plain_lists_are_read() -> None:
    assert [page.url for page in read_sitemap(gzip.compress(urlset(("/a", ""))), f"{URL}.gz").pages] == ["https://docs.example.org/a"]
    assert [page.url for page in read_sitemap(b"https://docs.example.org/a\nhttps://docs.example.org/b\n", URL).pages][-1].endswith("/b")


def test_every_part_of_a_gzipped_list_is_read() -> None:
    parts = [gzip.compress(f"https://docs.example.org/{number}\n".encode()) for number in range(3)]
    assert [one.url[-2:] for one in read_sitemap(b"".join(parts), f"{URL}.gz").pages] == ["/0", "/1", "/2"]


def test_a_gzipped_list_that_was_cut_off_is_refused_and_gives_no_half_address() -> None:
    whole = gzip.compress("\n".join(f"https://docs.example.org/{number * 7919:x}" for number in range(2000)).encode())
    for end in (len(whole) // 2, len(whole) - 4):
        with pytest.raises(SitemapError, match="damaged gzip"):
            read_sitemap(whole[:end], f"{URL}.gz")


@pytest.mark.parametrize(
    "loc", ["file:///etc/passwd", "folder://local/x.md", "javascript:x", "http://u:p@a.example/", "http://[", "ftp://a.example/"]
)
def test_what_leads_elsewhere_than_to_the_web_is_left_out(loc: str) -> None:
    found = read_sitemap(urlset((loc, ""), ("/a", "no date")), URL)
    assert (found.pages, found.left_out) == ([Listed("https://docs.example.org/a", "")], 1)


def test_entities_are_refused_and_nothing_is_fetched(site: Site) -> None:
    for head in (f'<!DOCTYPE u [<!ENTITY x SYSTEM "{site.url}/x">]>', '<!DOCTYPE u [<!ENTITY x "y">]>'):
        with pytest.raises(SitemapError, match=rf"(?i)^{URL} .*entit"):
            read_sitemap(urlset(("/&x;", ""), head=head), URL)
    assert len(read_sitemap(urlset(("/a", ""), head=f'<!DOCTYPE u SYSTEM "{site.url}/x.dtd">'), URL).pages) == 1
    assert site.connections == []


def test_a_bomb_stops_at_its_limit() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b" " * 1_000_000) for _ in range(200)) + packer.flush()
    assert len(bomb) < 300_000
    with pytest.raises(SitemapError, match=rf"larger than {MAX_BYTES:,} bytes"):
        read_sitemap(bomb, URL)


def test_what_is_listed_is_bounded_and_counted() -> None:
    found = read_sitemap(urlset(*[(f"/{number}", "") for number in range(MAX_LISTED + 5)]), URL)
    assert (len(found.pages), found.left_out) == (MAX_LISTED, 5)


@pytest.mark.parametrize("body", [b"", b"<html/>", b"{}", b"\x1f\x8bnot gzip", b"<urlset", b"a b c", b"\xff\xfe"])
def test_what_is_no_sitemap_is_one_error_that_names_it(body: bytes) -> None:
    with pytest.raises(SitemapError, match=URL):
        read_sitemap(body, URL)


@settings(deadline=None, max_examples=300)
@given(
    body=st.one_of(
        st.binary(max_size=300), st.binary(max_size=200).map(gzip.compress), st.text(max_size=80).map(lambda loc: urlset((loc, loc)))
    )
)
def test_arbitrary_bytes_are_a_sitemap_or_one_line_that_names_it(body: bytes) -> None:
    found, said = Sitemap([], [], 0), URL
    for url in (URL, "https://docs.example.org/robots.txt"):
        try:
            found = read_sitemap(body, url)
        except SitemapError as error:
            said = str(error)
        assert said.startswith("https://docs.example.org/")
        assert "\n" not in said
        assert all(page.url.startswith(("http://", "https://")) for page in (*found.pages, *found.sitemaps))
