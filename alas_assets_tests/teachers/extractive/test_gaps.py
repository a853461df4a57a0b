import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.teachers.extractive import gaps
from alas_assets.teachers.extractive.forms import Setting
from alas_assets.teachers.extractive.reading import Unit, read_units
from alas_assets.teachers.extractive.words import word_set
from alas_assets_tests.teachers.extractive.pages import facts

GAP_RULE = "rule gap."


def units(text: str) -> list[Unit]:
    return read_units(text, ["Quill 4.2"], "c1", "Quill 4.2")


def answers(text: str) -> list[str]:
    return [candidate.asked.answer for unit in units(text) for candidate in gaps.candidates(unit)]


TAKEN = [
    ("Larry Moss wrote PEP 949 while the parser of Quill was young.", "PEP 949"),
    ("The journal of Quill was first printed on 7 October 2025 in Utrecht.", "7 October 2025"),
    ("Sortable identifiers come from `uuid9()` and obey RFC 9962.", "RFC 9962"),
    ("The codes of `pack()` have been deprecated since Quill 3.13.", "Quill 3.13"),
    ("Interpreters built with `--tail` show an 11-12% speedup on large scripts.", "11-12%"),
    ("Parsers that come from Expat can be told how much growth to put up with.", "Expat"),
    ("Characters of one block are told apart by `block_of()` on every platform.", "block_of()"),
    ("The `__store__` attribute of modules is ignored when the import system looks for a cached file.", "__store__"),
    ("Projects that print reports will find most of the replacements in `quill-compat`.", "quill-compat"),
]


@pytest.mark.parametrize(("text", "answer"), TAKEN, ids=[answer for _, answer in TAKEN])
def test_the_hardest_token_of_a_whole_sentence_is_left_out_first(text, answer):
    assert answers(text)[0] == answer


REFUSED = {
    "it leans on the sentence before": [
        "This also prints the whole tree with `walk()` on Linux.",
        "If true, the output is laid out like that of `dump()` for large trees.",
        "Use `not x` instead for the plain denial of a `Verdict` value.",
    ],
    "its subject was named before": [
        "The method has been deprecated in favour of `run_module()` for years.",
        "The label shows up in the process table of `psx` and in reports.",
        "The proxy type itself is available as `LazyProxy` for careful code.",
    ],
    "it has no main verb": [
        "Unwinding support for frames of `tracer` on small boards.",
        "Table, index and trigger completion in the shell on `Tab`.",
        "Padding of long input no longer required in `b64()` and elsewhere.",
    ],
    "too little is left to tell the answer": [
        "Characters listed in `skipchars` are skipped everywhere at all.",
        "The scope of `bound` is of no use.",
    ],
    "two sentences run together in it": [
        "Stop passing names to `create_sum()` and `create_all()` These parameters will become positional in Quill 3.15.",
        "Call the builder, not only the `make_it` method of it.See ticket 12 for changes in projects.",
    ],
    "it points at another place": [
        "To test if the object is readable, see the next example of `buffer_of()`.",
        "All parts of `walk()` are described in the chapter on trees.",
    ],
}


@pytest.mark.parametrize(("why", "text"), [(why, text) for why, texts in REFUSED.items() for text in texts])
def test_a_sentence_is_refused_when(why, text):
    assert answers(text) == [], why


LEFT_ALONE = {
    "one of a list": ("The readers of `wavelet` have lost `getmark()`, `setmark()` and `getmarks()` for good.", "getmark()"),
    "denied": ("Files are to be opened with `open_text()`, not with `codec_open()`.", "codec_open()"),
    "the subject of a negation": ("Iterators of `itools` can neither be copied nor pickled by other programs.", "itools"),
    "half of a date": ("The journal of Quill was first printed on 7 October 2025 in Utrecht.", "October 2025"),
    "a year": ("The journal of Quill was printed first in 2019 with much ado.", "2019"),
    "half of a range of versions": ("Quill 3.14.0-3.14.4 shipped with a new collector that `gc` can tune.", "Quill 3.14"),
    "half of a range with a dash": ("Quill 3.9–3.12 have years of full support and fixes from `pool`.", "Quill 3.9"),
    "a preposition with its version": ("From 4.2.0 on, the plugin allows for the rules that `topic` has.", "From 4.2.0"),
    "one version of a range": ("A flaw was found in Quill 6.0 before 6.0.6 by the makers of `probe`.", "Quill 6.0"),
    "a name that a version follows": ("Users are advised to upgrade to `quill-flow` 3.2 or later at once.", "quill-flow"),
    "half of a name": ("INKPOT Open Source has a weakness in the `slice` module.", "Source"),
    "without its article": ("Add `sum_all()` function, which is similar to `sum_some()` but takes everything.", "sum_all()"),
    "half of a product's name": ("Results on Visual Studio 18.1 show that `loop` runs faster there.", "Studio 18.1"),
    "a name that belongs to a number": ("Names of memory maps show up on Linux 5.17 or newer systems.", "Linux"),
    "a platform that others share": ("Ready-made binaries for Android can be downloaded from the site of Quill.", "Android"),
    "one of several versions": ("Bad headers are refused since Quill 3.1, 3.2 and by the `strict` parser.", "Quill 3.1"),
    "a version in disguise": ("Libraries that must still run on 3.14 cannot use the new syntax of `lazy`.", "3.14"),
    "a placeholder": ("Warnings are produced for import lines found in `name.pth` files of a folder.", "name.pth"),
    "too generic": ("The writer of a report turns every missing cell into `None` at once.", "None"),
}


@pytest.mark.parametrize(("text", "answer"), LEFT_ALONE.values(), ids=LEFT_ALONE.keys())
def test_a_token_is_not_asked_for_when_it_is(text, answer):
    assert answer not in answers(text)


def test_a_trailing_clause_is_cut_in_the_probes_but_a_list_is_not():
    (first, *_) = gaps.candidates(
        units("A line that begins with a dot in a `.start` file is run at once, which serves tools and malware.")[0]
    )
    assert first.asked.varied.gap == "A line that begins with a dot in a ___ file is run at once"
    (second, *_) = gaps.candidates(
        units("Upload the finished report to `quill-viewer` for charts with markers, spans, and network traffic.")[0]
    )
    assert second.asked.varied.gap == second.asked.plain.gap


def test_a_clause_in_the_middle_is_never_cut_off_with_what_follows_it():
    text = "The cache of `loader.names`, which nobody ever asked for, is no longer filled by imports."
    (first, *_) = gaps.candidates(units(text)[0])
    assert first.asked.varied.gap == "The cache of ___, which nobody ever asked for, is no longer filled by imports"


def test_a_gap_is_placed_by_the_title_of_its_page_once():
    unit = units("Any sentence of the page will do here.")[0]
    assert gaps.setting(unit, "Quill 4.2") == Setting("“Quill 4.2”", "on the page “Quill 4.2”")
    assert gaps.setting(unit, "Inkpot 1.0").about == "“Quill 4.2” (Inkpot 1.0)"


def test_a_question_rule_comes_before_a_gap():
    text = "- Removed the check_home parameter of `is_build()`."
    assert not any(fact.rationale.endswith(GAP_RULE) for fact in facts(text))


def test_the_teacher_takes_a_gap_where_no_question_rule_reads_the_sentence():
    (fact,) = facts("Larry Moss wrote PEP 949 while the parser of Quill was young.")
    assert fact.rationale.endswith(GAP_RULE)
    assert all("PEP 949" not in p.text and "___" in p.text for p in fact.phrasings)


PIECES = """
The A `f()` `name.pth` PEP 8 RFC 12 Quill 4.2, and or not is are shows removed ___ 14% 7 October 2025 , ; . - -- no longer now Expat of with
which `--flag` CVE-2025-1234 3.1-3.2 x
"""
WORDS = st.sampled_from(sorted(word_set(PIECES)))


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(WORDS, max_size=30).map(" ".join)))
def test_no_text_makes_it_raise_and_every_gap_restores_its_sentence(text):
    for unit in units(text):
        for candidate in gaps.candidates(unit):
            asked = candidate.asked
            restored = {asked.plain.gap.replace("___", filled) for filled in (asked.answer, f"`{asked.answer}`")}
            assert asked.statement in restored
            assert re.sub(r"\s+", " ", unit.text).strip().rstrip(".") == asked.statement
            assert "___" in asked.varied.gap
