"""Which hosts an entry covers and which URLs count as one source."""

import httpx2
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alas_assets.domains.sources import HostPace, Sources
from alas_assets.hosts import LOCAL, covers, host_and_port, host_entry, named_host, site_of


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
        (" Python.ORG. ", "docs.python.org", 443, True),
        ("bücher.example", "xn--bcher-kva.example", 80, True),
        ("BÜCHER.example.", "www.xn--bcher-kva.example", 80, True),
        ("XN--BCHER-KVA.example:8080", "xn--bcher-kva.example", 8080, True),
        ("faß.example", "xn--fa-hia.example", 80, True),
        ("faß.example", "fass.example", 80, False),
        ("[::1]", "::1", 80, True),
        ("[::1]:9", "::1", 9, True),
        ("::1:9", "::1", 9, True),
        ("::1", "::1", 80, True),
        ("2001:DB8::1", "2001:db8::1", 443, True),
    ],
)
def test_an_entry_covers_its_host_and_subdomains_however_it_is_spelled(entry: str, host: str, port: int, covered: bool) -> None:
    assert covers(host_entry(entry), host, port) is covered


NO_HOSTS = ["", " ", ".", "*", "*.", "*spam.example", "https://spam.example", "//spam.example", "spam.example/", "spam.example/a"]
NO_HOSTS += ["me:word@spam.example", "a b", "a,b", "a\nb", "spam.example:", "spam.example:http", "spam.example:0", "spam.example:65536"]
NO_HOSTS += ["spam..example", "[::1", "[spam.example]", f"{'a' * 64}.example", "bücher/"]


def test_private_hosts_are_let_through_one_by_one() -> None:
    with pytest.raises(ValueError, match="entry 1 must name one host"):
        Sources.model_validate({"folder": "/x", "private_hosts": ["*.corp.example"]})
    assert Sources.model_validate({"folder": "/x", "deny_hosts": ["*.corp.example"]}).deny_hosts == ("corp.example",)


@pytest.mark.parametrize("key", ["allow_hosts", "deny_hosts", "primary_hosts", "private_hosts"])
@pytest.mark.parametrize("entry", NO_HOSTS)
def test_what_is_no_host_is_a_mistake_of_the_domain_file(key: str, entry: str) -> None:
    with pytest.raises(ValueError, match="entry 2 must be a host: its name alone"):
        Sources.model_validate({"folder": "/x", key: ["example.org", entry]})
    with pytest.raises(ValueError, match=r"must be a host: its name alone|at least 1"):
        HostPace(host=entry)


@given(st.text(st.sampled_from("aZß.ü-_:0123[]*/@%。ﬁ☃") | st.characters(), max_size=20))
def test_an_entry_written_like_the_host_of_a_url_covers_what_is_fetched_or_is_refused(text: str) -> None:
    try:
        url = httpx2.URL(f"http://{text}/")
        entry = host_entry(text)
    except (httpx2.InvalidURL, ValueError):
        return
    assume(url.host)
    assert host_entry(entry) == entry
    host = url.raw_host.decode("ascii").lower().rstrip(".")
    assert covers(entry, host, url.port or 80)
    assert host_and_port(str(url)) == (host, url.port or 80)


def test_a_domain_that_names_no_primary_host_trusts_those_of_its_own_pages() -> None:
    sources = Sources(seed_urls=("https://www.example.org/a", "http://127.0.0.1:8315/"), watch_urls=("https://news.example.com/feed",))
    assert sources.trusted_hosts == ("example.org", "127.0.0.1:8315", "news.example.com")
    assert Sources(seed_urls=("https://example.org/",), primary_hosts=("docs.example.org",)).trusted_hosts == ("docs.example.org",)


def test_a_host_is_named_without_www_and_with_a_port_only_where_one_is_stated() -> None:
    assert [named_host(url) for url in ("https://www.a.org/", "http://a.org:8080/", "x")] == ["a.org", "a.org:8080", ""]
