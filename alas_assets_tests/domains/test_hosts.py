"""Which hosts an entry covers and which URLs count as one source."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.domains.hosts import LOCAL, covers, named_host, site_of
from alas_assets.domains.sources import Sources


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://docs.python.org/3/whatsnew/", "python.org"),
        ("https://www.example.co.uk/a?b#c", "example.co.uk"),
        ("https://EXAMPLE.com./x", "example.com"),
        ("https://alice.github.io/", "github.io"),
        ("https://bob.github.io/", "github.io"),
        ("https://münchen.de/", "xn--mnchen-3ya.de"),
        ("https://xn--mnchen-3ya.de/", "xn--mnchen-3ya.de"),
        ("http://one.quill.test/", "quill.test"),
        ("http://localhost:8315/a", "localhost:8315"),
        ("http://127.0.0.1:8315/a", "127.0.0.1:8315"),
        ("http://127.0.0.1/a", "127.0.0.1:80"),
        ("https://[::1]/a", "::1:443"),
        ("https://co.uk/", "co.uk"),
        ("notes.html", LOCAL),
        ("http://a:b/", LOCAL),
    ],
)
def test_a_url_counts_for_its_registrable_domain_or_host_and_port(url: str, site: str) -> None:
    assert site_of(url) == site


@given(st.text(max_size=60), st.sampled_from(["", "http://", "https://user@", "//", "http://[", "http://a."]))
def test_any_text_has_a_site(text: str, start: str) -> None:
    assert site_of(start + text)


@pytest.mark.parametrize(
    ("entry", "host", "port", "covered"),
    [
        ("python.org", "docs.python.org", 443, True),
        ("*.python.org", "python.org", 443, True),
        ("python.org", "notpython.org", 443, False),
        ("127.0.0.1:8315", "127.0.0.1", 8315, True),
        ("127.0.0.1:8315", "127.0.0.1", 8316, False),
        ("127.0.0.1", "127.0.0.1", 8316, True),
    ],
)
def test_an_entry_covers_its_host_and_subdomains(entry: str, host: str, port: int, covered: bool) -> None:
    assert covers(entry, host, port) is covered


def test_a_domain_that_names_no_primary_host_trusts_those_of_its_own_pages() -> None:
    sources = Sources(seed_urls=("https://www.example.org/a", "http://127.0.0.1:8315/"), watch_urls=("https://news.example.com/feed",))
    assert sources.trusted_hosts == ("example.org", "127.0.0.1:8315", "news.example.com")
    assert Sources(seed_urls=("https://example.org/",), primary_hosts=("docs.example.org",)).trusted_hosts == ("docs.example.org",)


def test_a_host_is_named_without_www_and_with_a_port_only_where_one_is_stated() -> None:
    assert [named_host(url) for url in ("https://www.a.org/", "http://a.org:8080/", "x")] == ["a.org", "a.org:8080", ""]
