"""Foreign text in the UI's Markdown tables stays text, and links lead only where they should (U1)."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from alas_assets.defs.columns import TAKEN_FROM, described
from alas_assets.defs.meanings import meaning
from alas_assets.defs.show import column_schema, linked, linked_table, plain, table
from alas_assets.evaluation.agreement import AGREEMENT_SCHEMA
from alas_assets.evaluation.declining import DECLINING_SCHEMA
from alas_assets.records import (
    ANSWER_SCHEMA,
    FETCH_SCHEMA,
    PREFERENCE_SCHEMA,
    PROBE_SCHEMA,
    QA_SCHEMA,
    SCOREBOARD_SCHEMA,
    WRONG_SCHEMA,
    GuardResult,
    empty,
)
from alas_assets.wording import without_ids

MARKDOWN = MarkdownIt("commonmark").enable("table").enable("strikethrough")
SCHEMAS = {
    "documents": FETCH_SCHEMA,
    "qa_pairs": QA_SCHEMA,
    "probes": PROBE_SCHEMA,
    "preference_pairs": PREFERENCE_SCHEMA,
    "wrong_answers": WRONG_SCHEMA,
    **dict.fromkeys(("baseline_scores", "judge_scores", "dpo_judge_scores", "exam_scores"), ANSWER_SCHEMA),
}
HOSTILE = st.text(max_size=60) | st.text(alphabet="[]()<>!|`*_~#\\\n -:&;abhtps./=\"'", max_size=60)


def inline(table: str) -> list[list[Token]]:
    """Return the parsed content of every cell."""
    return [token.children or [] for token in MARKDOWN.parse(table) if token.type == "inline"]


@given(HOSTILE, HOSTILE)
def test_whatever_a_page_says_it_is_one_cell_of_plain_text(one: str, other: str) -> None:
    cells = inline(linked_table(["a", "b"], [[plain(one), plain(other)]]).value or "")
    assert len(cells) == 4
    for text, tokens in zip((one, other), cells[2:], strict=True):
        assert {token.type for token in tokens} <= {"text", "text_special"}
        shown = "".join(token.content for token in tokens)
        assert shown == "".join(token.content for token in inline(f"x{plain(text)}x")[0])[1:-1].strip()


@given(HOSTILE)
def test_no_address_in_foreign_text_becomes_a_link_by_itself(text: str) -> None:
    shown = plain(f"http://evil.example/ www.evil.example me@evil.example {text}")
    assert "://" not in shown
    assert "www." not in shown
    assert "@evil." not in shown


@given(HOSTILE, HOSTILE)
def test_a_link_leads_to_its_own_address_only_and_not_to_a_script(text: str, path: str) -> None:
    (tokens,) = inline(linked(f"x{text}", f"http://site.example/{path}"))
    targets = [str(token.attrs["href"]) for token in tokens if token.type == "link_open"]
    assert len(targets) == 1
    assert targets[0].startswith("http://site.example/")


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "", "//evil.example", "file:///etc/passwd", "#x"])
def test_an_address_that_is_no_web_address_is_no_link(address: str) -> None:
    assert linked("text", address) == "text"


TABLES = {
    **SCHEMAS,
    "scoreboard": SCOREBOARD_SCHEMA,
    "": pl.Schema({**AGREEMENT_SCHEMA, **DECLINING_SCHEMA}),
    "promotion": pl.Schema(dict.fromkeys(GuardResult.model_fields, pl.String)),
}


@pytest.mark.parametrize("asset", sorted(TABLES))
def test_every_column_that_the_ui_shows_says_what_it_means(asset: str) -> None:
    assert [column.name for column in column_schema(TABLES[asset], asset).columns if not column.description] == []
    assert [column.name for column in table(empty(TABLES[asset]), asset=asset).schema.columns if not column.description] == []


def test_a_column_that_means_something_else_in_another_table_says_so() -> None:
    said = {asset: meaning("answer", asset) for asset in ("qa_pairs", "probes", "judge_scores")}
    assert len(set(said.values())) == 3


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Graded answers (E2-E4).", "Graded answers."),
        ("An adapter (T1, T2), trained (D3).", "An adapter, trained."),
        ("A (LoRA) adapter of CVE (2026) in C (C17x).", "A (LoRA) adapter of CVE (2026) in C (C17x)."),
    ],
)
def test_ids_of_the_spec_are_left_out_and_nothing_else(text: str, shown: str) -> None:
    assert without_ids(text) == shown


def test_every_column_that_lineage_names_is_there_on_both_sides() -> None:
    for asset, taken in TAKEN_FROM.items():
        for column, sources in taken.items():
            assert column in SCHEMAS[asset], (asset, column)
            assert all(name in SCHEMAS[source] for source, name in sources), (asset, column, sources)
        lineage = described(asset, SCHEMAS[asset])["dagster/column_lineage"]
        assert set(lineage.deps_by_column) == set(taken)


def test_every_wrong_answer_column_about_the_page_leads_back_to_the_documents() -> None:
    for column in ("url", "text_sha256", "body_sha256"):
        (asset, name), *_ = TAKEN_FROM["wrong_answers"][column]
        assert TAKEN_FROM[asset][name][0][0] == "documents"
