"""Which earlier facts a page that was read again still states."""

import polars as pl

from alas_assets.synthesis.standing import latest_texts, no_longer_stated

from .factory import domain

TAUGHT = domain(["alpha", "beta"], "a.html", 0)
TEXTS = {"new": "Nothing of it is left.", "same": " ".join(TAUGHT["quote"].unique().to_list())}


def reading(page: str, sha: str, ok: bool = True) -> pl.DataFrame:
    return pl.DataFrame({"page_id": [page], "text_sha256": [sha], "ok": [ok]})


def test_facts_whose_quote_is_gone_from_their_page_are_retired_and_others_stand() -> None:
    page = TAUGHT["page_id"][0]
    assert no_longer_stated([TAUGHT], {page: "new"}, TEXTS.__getitem__) == frozenset(TAUGHT["fact_id"])
    assert no_longer_stated([TAUGHT], {page: "same"}, TEXTS.__getitem__) == frozenset()
    assert no_longer_stated([TAUGHT], {"another page": "new"}, TEXTS.__getitem__) == frozenset()


def test_the_newest_reading_counts_and_a_failed_one_does_not() -> None:
    assert latest_texts([reading("p", "1"), reading("p", "2"), reading("p", "", ok=False)]) == {"p": "2"}


def test_an_unchanged_page_is_not_even_opened() -> None:
    page, sha = TAUGHT["page_id"][0], TAUGHT["text_sha256"][0]

    def refuse(_: str) -> str:
        raise AssertionError("was read")

    assert no_longer_stated([TAUGHT], {page: sha}, refuse) == frozenset()
