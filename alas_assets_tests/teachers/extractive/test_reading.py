import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alas_assets.provenance.ids import fold
from alas_assets.teachers.extractive.reading import clean, is_credit, read_units, sentences

MARKDOWN = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.sampled_from(
            [
                "- `f()` is gone.",
                "```",
                "  - nested `x`",
                "## types",
                "| a | b |",
                "(Contributed by A. B in gh-1.)",
                "* `a`:",
                "\n",
                "See X.",
                "e.g. `y`. Z",
            ]
        ),
    ),
    max_size=12,
).map("\n".join)


def units(text):
    return read_units(text, ["Page"], "c1", "Page")


def test_a_sentence_ends_at_its_stop_and_not_inside_code_numbers_or_abbreviations():
    text = "Use `a. B` now. Version 3.2 is out, e.g. here. Next."
    assert sentences(text) == ["Use `a. B` now.", "Version 3.2 is out, e.g. here.", "Next."]


def test_a_letter_that_names_a_language_ends_a_sentence_but_an_initial_does_not():
    assert sentences("It was rewritten in C. Encoding is faster.") == ["It was rewritten in C.", "Encoding is faster."]
    assert sentences("Thanks to Gregory P. Smith for it.") == ["Thanks to Gregory P. Smith for it."]


def test_fenced_code_tables_and_headings_carry_no_sentences():
    text = "# Head\n\n```\n`f()` is gone.\n```\n\n| `a` | b |\n|---|---|\n\n`g()` is new."
    assert [unit.text for unit in units(text)] == ["`g()` is new."]


def test_text_glued_to_a_closing_fence_is_read():
    assert [unit.text for unit in units("```\ncode\n```Then `g()` is new.")] == ["Then `g()` is new."]


def test_a_list_item_knows_the_labels_around_it():
    found = units("- `shutil`:\n\n  - `rmtree()` was renamed.\n- `os`:\n\n  - `walk()` is gone.")
    assert [(unit.labels, unit.text) for unit in found if not unit.text.endswith(":")] == [
        (("`shutil`",), "`rmtree()` was renamed."),
        (("`os`",), "`walk()` is gone."),
    ]


def test_a_heading_inside_a_passage_is_the_heading_of_what_follows():
    found = read_units("## first\n\nOne thing is new.\n\n## second\n\nAnother is gone.", ["Page"], "c", "Page")
    assert [unit.headings[-1] for unit in found] == ["first", "second"]


def test_credits_links_and_emphasis_are_cleaned_away_but_the_quote_stays_verbatim():
    (unit,) = units("Add the *pad* flag to [`f()`](http://x/y). (Contributed by Ann Lee in gh-12.)")[:1]
    assert unit.text == "Add the pad flag to `f()`."
    assert unit.quote == "Add the *pad* flag to [`f()`](http://x/y)."


def test_a_credit_is_recognised():
    assert is_credit("(Contributed by Ann Lee in gh-12.)")
    assert not is_credit("The patch level is 3.")
    assert clean("Fixed in `f()` (gh-99).") == "Fixed in `f()`."


@given(MARKDOWN)
def test_every_quote_is_in_its_passage_whatever_the_text(text):
    for unit in units(text):
        assert fold(unit.quote) in fold(text)


@given(st.text("# \ta\r\u00a0\x1f", max_size=16) | st.text(max_size=30).map(lambda text: "# " + text))
@example("## a # ##  ")
@example("# #")
def test_a_heading_is_read_without_its_closing_signs(line):
    line = line.replace("\n", " ")
    plain = re.match(r"^\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$", line)
    found = read_units(f"{line}\n\nSome words are here.", ["Page"], "c1", "Page")
    if plain:
        assert found[0].headings == (("Page",) if clean(plain[2]) == "Page" else ("Page", clean(plain[2])))
    else:
        assert all(unit.headings == ("Page",) for unit in found)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("line", ["# a{}b", "{}# a", "# {}", "# a {}b", "- {}b"])
@pytest.mark.parametrize("run", [" ", "#", "\t", " #"])
def test_a_line_with_one_long_run_is_read(line, run):
    assert read_units(line.format(run * 20_000) + "\n\nSome words are here.", ["Page"], "c1", "Page")[-1].text == "Some words are here."
