"""Which earlier facts a page that was read again still states."""

import polars as pl

from alas_assets.synthesis.standing import latest_texts, left_alone, no_longer_stated

from .factory import domain

TAUGHT = domain(["alpha", "beta"], "a.html", 0)
TEXTS = {"new": "Nothing of it is left.", "same": " ".join(TAUGHT["quote"].unique().to_list())}


def reading(page: str, sha: str, ok: bool = True, asked: str = "") -> pl.DataFrame:
    return pl.DataFrame({"page_id": [page], "requested_url": [asked or page], "text_sha256": [sha], "ok": [ok]})


def test_facts_whose_quote_is_gone_from_their_page_are_retired_and_others_stand() -> None:
    page = TAUGHT["page_id"][0]
    assert no_longer_stated([TAUGHT], {page: "new"}, TEXTS.__getitem__) == frozenset(TAUGHT["fact_id"])
    assert no_longer_stated([TAUGHT], {page: "same"}, TEXTS.__getitem__) == frozenset()
    assert no_longer_stated([TAUGHT], {"another page": "new"}, TEXTS.__getitem__) == frozenset()


def test_the_newest_reading_counts_and_a_failed_one_does_not() -> None:
    assert latest_texts([reading("p", "1"), reading("p", "2"), reading("p", "", ok=False)]) == {"p": "2"}


def test_a_page_that_moved_is_read_for_what_was_taught_from_its_old_address() -> None:
    assert latest_texts([reading("old", "1"), reading("new", "2", asked="old")]) == {"old": "2", "new": "2"}
    later = [reading("old", "1"), reading("new", "2", asked="old"), reading("new", "3")]
    assert latest_texts(later) == {"old": "3", "new": "3"}
    page = TAUGHT["page_id"][0]
    assert no_longer_stated([TAUGHT], latest_texts([reading("new", "new", asked=page)]), TEXTS.__getitem__) == frozenset(TAUGHT["fact_id"])
    assert no_longer_stated([TAUGHT], latest_texts([reading("new", "same", asked=page)]), TEXTS.__getitem__) == frozenset()


def test_an_unchanged_page_is_not_even_opened() -> None:
    page, sha = TAUGHT["page_id"][0], TAUGHT["text_sha256"][0]

    def refuse(_: str) -> str:
        raise AssertionError("was read")

    assert no_longer_stated([TAUGHT], {page: sha}, refuse) == frozenset()


def set_aside(table: pl.DataFrame, twin: str, reason: str = "says the same as another fact: ") -> pl.DataFrame:
    return table.with_columns(accepted=pl.lit(value=False), reason=pl.lit(f"{reason}{twin}"))


def test_a_fact_that_was_set_aside_for_one_that_is_gone_is_left_alone() -> None:
    other = domain(["gamma"], "b.html", 0)
    gone, there = "f" * 20, TAUGHT["fact_id"][0]
    for reason in ("says the same as another fact: ", "taught in an earlier iteration: says the same as "):
        found = left_alone([TAUGHT, set_aside(other, gone, reason)])
        assert found.rows() == [(other["fact_id"][0], other["url"][0], other["chunk_id"][0])]
        assert left_alone([TAUGHT, set_aside(other, there, reason)]).is_empty(), "the one that says it is still taught"


def test_a_fact_that_was_set_aside_and_taught_since_is_not_alone() -> None:
    other = domain(["gamma"], "b.html", 0)
    assert left_alone([set_aside(other, "f" * 20), other]).is_empty()
    assert left_alone([]).is_empty()


def test_what_was_rejected_for_another_reason_is_not_alone() -> None:
    other = domain(["gamma"], "b.html", 0)
    assert left_alone([set_aside(other, "f" * 20, "quote in no document: ")]).is_empty()
