"""Ids: equal for equal things, different for different things, safe as file names."""

from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from alas_assets.provenance.ids import answer_id, canonical_json, chunk_id, fact_id, fold, page_id, safe_name, short_id


@given(st.text(), st.text())
def test_part_boundaries_count_in_ids(left: str, right: str) -> None:
    if left and right:
        assert short_id(left, right) != short_id(left + right, "")


@given(st.text())
def test_folding_is_idempotent_and_leaves_single_spaces(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert "  " not in folded


def test_whitespace_does_not_change_a_chunk_or_a_fact() -> None:
    assert chunk_id("http://a/", "x\n  y") == chunk_id("http://a/", "x y")
    assert fact_id("http://a/", "x\ty", "z ") == fact_id("http://a/", "x y", "z")


def test_two_facts_of_one_sentence_have_two_ids() -> None:
    assert fact_id("http://a/", "x is 1 and y is 2", "1") != fact_id("http://a/", "x is 1 and y is 2", "2")


def test_a_page_is_its_url_without_the_fragment() -> None:
    assert page_id("http://a/b?c=1#d") == "http://a/b?c=1"


def test_everything_that_changes_an_answer_changes_its_id() -> None:
    base = answer_id("p", "sft", "b", "a", None, {"max_new_tokens": 24})
    others = [
        answer_id("q", "sft", "b", "a", None, {"max_new_tokens": 24}),
        answer_id("p", "dpo", "b", "a", None, {"max_new_tokens": 24}),
        answer_id("p", "sft", "c", "a", None, {"max_new_tokens": 24}),
        answer_id("p", "sft", "b", None, None, {"max_new_tokens": 24}),
        answer_id("p", "sft", "b", "a", "x", {"max_new_tokens": 24}),
        answer_id("p", "sft", "b", "a", None, {"max_new_tokens": 25}),
    ]
    assert len({base, *others}) == 7


@given(st.dictionaries(st.text(), st.integers()))
def test_canonical_json_ignores_the_order_of_keys(value: dict[str, int]) -> None:
    assert canonical_json(value) == canonical_json(dict(reversed(list(value.items()))))


@given(st.text(min_size=0, max_size=400))
def test_any_name_becomes_one_safe_path_part(name: str) -> None:
    part = safe_name(name)
    assert 0 < len(part) <= 64
    assert PurePosixPath(part).parts == (part,)
    assert part not in (".", "..")
    assert part.isascii()


def test_the_name_of_an_asset_stays_as_it_is() -> None:
    assert safe_name("sft_adapter") == "sft_adapter"


@given(st.text(max_size=60), st.text(max_size=60))
def test_different_names_stay_different(one: str, other: str) -> None:
    if one != other:
        assert safe_name(one) != safe_name(other)
