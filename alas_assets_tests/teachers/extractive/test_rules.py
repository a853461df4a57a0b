import pytest

from alas_assets_tests.teachers.extractive.pages import facts, first_question, question_facts, reasons, record_facts

EXAMPLES = [
    ("- Add the `missing_as_none` parameter to `urlsplit()`.", "missing_as_none", "which parameter was added to urlsplit()?"),
    ("- Removed the check_home parameter of `is_build()`.", "check_home", "which parameter of is_build() was removed?"),
    (
        "- Add `m.fmax()` and `m.fmin()` functions to compare numbers.",
        "m.fmin()",
        "which function was added together with m.fmax() to compare numbers?",
    ),
    ("- Rename `text/x-old` to `text/new`.", "text/new", "to which MIME type was text/x-old renamed?"),
    ("- Changed the type of `.ai` files to `application/pdf`.", "application/pdf", "what was the type of .ai files changed to?"),
    ("- Allow combining two checksums via `join_sums()`.", "join_sums()", "via which function is combining two checksums allowed?"),
    ("- `old_name()`: use `new_name()` instead.", "new_name()", "which function should be used instead of old_name()?"),
    (
        "The `slow()` function is deprecated. Use `fast()` instead.",
        "fast()",
        "which function should be used instead of the slow() function?",
    ),
    ("In place of `glob1()`, call `glob2()`.", "glob2()", "which function should be used instead of glob1()?"),
    ("To learn the block of a character, use `block_of()`.", "block_of()", "which function can be used to learn the block of a character?"),
    ("Set `QUILL_PLAIN` to fall back to `basic`.", "QUILL_PLAIN", "which environment variable can be set to fall back to `basic`?"),
    ("- PEP 798: Unpacking in comprehensions", "PEP 798", "which PEP is summed up as “Unpacking in comprehensions”?"),
    ("- `--collapsed`: Generates collapsed stack traces.", "--collapsed", "which command-line option generates collapsed stack traces?"),
    (
        "- CPU time (`--mode cpu`): Measures only active execution time.",
        "--mode cpu",
        "which command-line option measures only active execution time?",
    ),
    ("- `scan()` is now up to 1.6x faster.", "up to 1.6x", "how much faster is scan() now?"),
    ("- Add template string support to `printer()`.", "printer()", "to which function was template string support added?"),
    (
        "`strptime()` now raises `ValueError` when the day has no year.",
        "ValueError",
        "which exception does strptime() now raise when the day has no year?",
    ),
    (
        "`strptime()` now raises `ValueError` when the day has no year.",
        "strptime()",
        "which function now raises ValueError when the day has no year?",
    ),
    ("The compiler now uses LLVM 21 for templates.", "LLVM 21", "which LLVM version does the compiler now use for templates?"),
    ("`setlocale()` now supports regional modifiers.", "regional modifiers", "what does setlocale() now support?"),
    ("Unary plus is now accepted in `match` patterns.", "Unary plus", "what is now accepted in `match` patterns?"),
    ("`search()` now takes two additional arguments.", "two", "how many additional arguments does search() now take?"),
    ("The class that collects the path files is `StartupState`.", "StartupState", "what is the class that collects the path files?"),
    (
        "`first()` returns a list of signature schemes. This call requires OpenSSL 3.4 or later.",
        "OpenSSL 3.4",
        "minimum OpenSSL version does first() require?",
    ),
]


@pytest.mark.parametrize(("text", "answer", "question"), EXAMPLES, ids=[f"{e[1]}-{i}" for i, e in enumerate(EXAMPLES)])
def test_a_rule_turns_its_kind_of_sentence_into_a_question(text, answer, question):
    asked = {fact.answer: first_question(fact) for fact in facts(text)}
    assert answer in asked
    assert asked[answer].endswith(question)


def test_a_removal_and_the_deprecation_before_it_are_two_facts():
    found = facts("- Removed the `java_ver()` function, which was deprecated since Quill 3.9.")
    assert {"Quill 3.9"} <= {fact.answer for fact in found}


def test_a_pending_removal_asks_for_the_version():
    (fact,) = [f for f in facts("`js_output()` is deprecated and will be removed in Quill 5.1.") if f.answer_kind == "version"]
    assert first_question(fact) == "As of Quill 4.2, in which Quill version will js_output() be removed?"
    assert fact.aliases == ["5.1", "version 5.1"]


def test_a_label_value_line_is_asked_of_the_page_it_stands_on():
    title = "CVE-2026-0001: Something is wrong in the parser"
    found = record_facts("Product: Redis. Published 2026-02-05. Severity: High.", title=title)
    assert {(f.answer, first_question(f)) for f in found} == {
        ("Redis", "Which product does CVE-2026-0001 concern?"),
        ("2026-02-05", "On which date was CVE-2026-0001 published?"),
        ("High", "What is the severity of CVE-2026-0001?"),
    }


def test_the_heading_places_a_terse_note():
    (fact,) = facts("## tarfile\n\n- `data_filter()` now normalizes link targets on Windows.")[:1]
    assert first_question(fact) == "In the `tarfile` module of Quill 4.2, which function now normalizes link targets on Windows?"


def test_a_part_after_a_semicolon_is_read_as_well():
    found = facts("Old names stay for now; `combine()` merges checksums of large files.")
    assert [fact.answer for fact in found][:1] == ["combine()"]
    assert found[0].quote.startswith("Old names stay")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("It now accepts a `path` for the `root` folder of `walk()`.", "no rule"),
        ("See `profiling` for the complete documentation of `sampling`.", "points elsewhere"),
        ("Copyright 2026 Quill Foundation, see `LICENSE`.", "licence"),
        ("How do you tell `a` from `b`?", "is a question"),
        ("The following functions are new in `os`:", "only introduces"),
        ("`fast()` is new.", "too little"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_reason(text, reason):
    assert facts(text) == []
    assert any(reason in given for given in reasons(text))


def test_contributors_are_never_asked_for_nor_quoted_as_answers():
    found = facts("- Add the `pad` parameter to `encode()`. (Contributed by Ann Lee in gh-1234.)")
    assert [fact.answer for fact in found] == ["pad"]
    assert not any("Ann" in p.text or "1234" in p.text for p in found[0].phrasings)


def test_a_question_that_another_sentence_answers_is_refused():
    text = "- Added the `pad` parameter in `encode()`.\n- Added the `wrap` parameter in `encode()` and `decode()`."
    assert "pad" not in {fact.answer for fact in question_facts(text)}


def test_the_same_frame_with_two_answers_is_refused():
    text = "## one\n\n- `a.run()` prints the tree by default on Linux.\n- `b.run()` prints the tree by default on Linux."
    assert {"a.run()", "b.run()"}.isdisjoint({fact.answer for fact in question_facts(text)})


def test_several_fixed_versions_have_no_one_right_answer():
    title = "CVE-2026-0002: A flaw"
    assert "version" not in {
        f.answer_kind for f in record_facts("CVE-2026-0002 is fixed in Django 4.2.28; Django 5.2.11; Django 6.0.2.", title=title)
    }
    assert [f.answer for f in record_facts("CVE-2026-0002 is fixed in Redis 8.6.3.", title=title) if f.answer_kind == "version"] == [
        "Redis 8.6.3"
    ]


def test_a_negative_statement_does_not_single_out_its_subject():
    assert "frozen" not in {f.answer for f in question_facts("A `frozen` mapping is not a subclass of `dict` in Quill.")}
