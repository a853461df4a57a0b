"""What a takedown blocks, how an address may be written, and what is refused as one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.provenance.blocked.order import (
    Blocked,
    Order,
    TakedownError,
    normal,
    one_at_a_time,
    order_file,
    read_order,
    salted,
    takedown_id,
    write_order,
)
from alas_assets.provenance.store import ArtifactStore, StoreError
from alas_assets.records import Tombstone
from alas_assets.removal.plan import checked_source

PAGE = "https://example.org/notes/4.html"


def order_of(source: str, *, by: str = "page", **more: object) -> Order:
    addresses = [salted("s", normal(source))] if by == "page" else []
    hosts = [] if by == "page" else [salted("s", normal(f"http://{source}"))]
    return Order.model_validate(
        {
            "id": takedown_id(source),
            "source": source,
            "by": by,
            "reason": "wrong",
            "ordered_by": "Ada",
            "at": "2026-11-27T10:00:00+00:00",
            "salt": "s",
            "addresses": addresses,
            "hosts": hosts,
            **more,
        }
    )


@pytest.mark.parametrize(
    "url",
    [
        PAGE,
        "http://example.org/notes/4.html",
        "https://EXAMPLE.org:443/notes/4.html#seal",
        "https://example.org/notes/4.html/",
        "https://example.org/notes/%34.html",
        "https://user:word@example.org/notes/4.html",
    ],
)
def test_a_page_is_blocked_however_its_address_is_written(url: str, tmp_path: Path) -> None:
    write_order(tmp_path, order_of(PAGE))
    assert Blocked(tmp_path).address(url).startswith("taken down on 2026-11-27 by Ada; see takedown-")
    assert takedown_id(url) == takedown_id(PAGE) or "@" in url


@pytest.mark.parametrize(
    "url", ["https://example.org/notes/3.html", "https://example.org/", "https://other.org/notes/4.html", "folder://local/4"]
)
def test_other_pages_are_not_blocked(url: str, tmp_path: Path) -> None:
    write_order(tmp_path, order_of(PAGE))
    assert Blocked(tmp_path).address(url) == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://example.org/Caf%E9", "https://example.org/Caf%E8"),
        ("https://example.jp/%A4%A2", "https://example.jp/%A4%A4"),
        ("https://example.org/a%2Fb", "https://example.org/a/b"),
        ("https://example.org/%252F", "https://example.org/%2F"),
        ("https://example.org/a%3Fb", "https://example.org/a?b"),
    ],
)
def test_pages_whose_addresses_differ_in_a_byte_are_two(one: str, other: str, tmp_path: Path) -> None:
    write_order(tmp_path, order_of(one))
    assert Blocked(tmp_path).address(one.replace("https", "http"))
    assert Blocked(tmp_path).address(other) == ""
    assert takedown_id(one) != takedown_id(other)
    assert normal(one) == normal(one.replace("%2F", "%2f").replace("%E9", "%e9"))


def test_an_address_that_is_no_utf_8_stays_blocked_by_a_record_that_holds_it_by_its_letters(tmp_path: Path) -> None:
    recorded = [salted("s", "example.org/Caf%EF%BF%BD"), salted("s", "example.org/a/b")]
    write_order(tmp_path, order_of(PAGE, addresses=recorded))
    assert Blocked(tmp_path).address("https://example.org/Caf%E9")
    assert Blocked(tmp_path).address("https://example.org/a%2Fb")
    assert not Blocked(tmp_path).address("https://example.org/Caf%C3%A9")


def test_a_host_blocks_all_its_pages_and_no_other_port_or_host(tmp_path: Path) -> None:
    write_order(tmp_path, order_of("example.org:8080", by="host"))
    blocked = Blocked(tmp_path)
    assert blocked.address("http://example.org:8080/any?x=1")
    assert blocked.address("https://Example.org:8080")
    assert not blocked.address("http://example.org/any")
    assert not blocked.address("http://www.example.org:8080/")


@pytest.mark.parametrize(("source", "by"), [("http://stra\u00dfe.example/a", "page"), ("stra\u00dfe.example", "host")])
def test_a_takedown_from_when_hosts_were_spelled_otherwise_blocks_and_is_found_as_they_are_spelled_now(
    source: str, by: str, tmp_path: Path
) -> None:
    then = "strasse.example/a" if by == "page" else "strasse.example"
    recorded = {"addresses" if by == "page" else "hosts": [salted("s", then)]}
    write_order(tmp_path, order_of(source, by=by, **{"addresses": [], "hosts": [], **recorded, "id": "0" * 20}))
    for url in ("http://stra\u00dfe.example/a", "https://xn--strae-oqa.example/a"):
        assert Blocked(tmp_path).address(url).startswith("taken down on")
    assert not Blocked(tmp_path).address("http://xn--strae-oqb.example/a")
    found = read_order(tmp_path, takedown_id(source))
    assert found is not None
    assert found.id == "0" * 20, "giving the command again goes on with it"


def test_the_same_body_and_text_are_blocked_under_any_address(tmp_path: Path) -> None:
    write_order(tmp_path, order_of(PAGE, bodies=["b" * 64], texts=["t" * 64]))
    blocked = Blocked(tmp_path)
    assert "the same page was taken down" in blocked.body("b" * 64)
    assert "the same text was taken down" in blocked.text("t" * 64)
    assert (blocked.body("t" * 64), blocked.text("b" * 64)) == ("", "")


def test_nothing_is_blocked_in_a_store_without_takedowns(tmp_path: Path) -> None:
    assert Blocked(tmp_path).address(PAGE) == ""


def test_a_damaged_record_stops_all_reading_since_what_it_blocks_is_not_known(tmp_path: Path) -> None:
    write_order(tmp_path, order_of(PAGE))
    order_file(tmp_path, takedown_id(PAGE)).write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match=r"order\.json: the record of a takedown cannot be read"):
        Blocked(tmp_path)


def test_two_takedowns_at_a_time_are_refused(tmp_path: Path) -> None:
    with one_at_a_time(tmp_path), pytest.raises(TakedownError, match="another process"), one_at_a_time(tmp_path):
        pass


@pytest.mark.security("takedown")
@pytest.mark.parametrize(
    "source", ["", "   ", "a b", "x" * 10_000, "https://a.example/" + "y" * 2100, "http://a\nb", "a\0b", "\u202ehttp://a.example"]
)
def test_what_is_no_address_is_refused_in_one_short_line(source: str) -> None:
    with pytest.raises(TakedownError, match="is no address") as refusal:
        checked_source(source)
    assert len(str(refusal.value)) < 250


@pytest.mark.security("takedown")
@given(st.text(max_size=300))
def test_whatever_is_asked_for_the_id_is_a_plain_file_name(source: str) -> None:
    digest = takedown_id(source)
    assert len(digest) == 20
    assert set(digest) <= set("0123456789abcdef")


def test_a_retired_adapter_is_whole_and_is_refused_by_name(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)

    def made() -> Path:
        (tmp_path / "made").mkdir()
        (tmp_path / "made" / "x").write_text("x", encoding="utf-8")
        return tmp_path / "made"

    digest = store.put_folder(store.adapters, made())
    folder = store.adapters / digest
    assert store.adapter(digest) == folder
    stone = Tombstone(takedown="t1", adapter_hash=digest, rows_hash="r", kind="sft", at="2026-11-27T10:00:00+00:00")
    (folder / "tombstone.json").write_text(stone.model_dump_json(), encoding="utf-8")
    with pytest.raises(StoreError, match="was retired by takedown t1 on 2026-11-27"):
        store.adapter(digest)
    with pytest.raises(StoreError, match="retired by a takedown"):
        store.put_folder(store.adapters, made())
