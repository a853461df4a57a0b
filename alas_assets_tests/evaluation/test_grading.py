"""What the deterministic grader must hold: whole tokens, aliases, rivals, negation, and that it never raises."""

from __future__ import annotations

from itertools import cycle, islice
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alas_assets.evaluation.exam import read_exam
from alas_assets.evaluation.grading import SPARE_WORDS, grade, validate_grader
from alas_assets.evaluation.tokens import token_f1, words
from alas_assets.evaluation.values import kind_of
from alas_assets.synthesis.questions import read_guards
from alas_assets.teachers.protocol import Grade, GradeRequest

DATA = Path(__file__).parents[2] / "data"
GUARDS = [guard for file in sorted((DATA / "guards").glob("*.jsonl")) for guard in read_guards(file)]
EXAMS = [question for file in sorted((DATA / "exams").glob("*.jsonl")) for question in read_exam(file)]
ASKED = [*((guard, "phrase") for guard in GUARDS), *((question, kind_of(question.answer)) for question in EXAMS)]

KINDS = ("version", "pep", "cve", "issue", "identifier", "date", "quantity", "name", "phrase")


def graded(gold: str, answer: str, kind: str = "phrase", *, question: str = "In Python 3.15, what is it?", **more: list[str]) -> Grade:
    return grade(GradeRequest(question=question, gold=gold, answer=answer, answer_kind=kind, **more))


@pytest.mark.parametrize(
    ("gold", "answer", "kind"),
    [
        ("Python 3.14", "3.14", "version"),
        ("3.14", "In Python 3.15 it has been there since v3.14.", "version"),
        ("3.15.0a1", "It came with 3.15.0 alpha 1", "version"),
        ("1.88.0", "1.88", "version"),
        ("1.88", "Rust 1.88.0", "version"),
        ("Rust 1.88", "It needs Rust 1.88.0.", "version"),
        ("3.15", "In 3.15.0, not earlier", "version"),
        ("17", "Unicode 17.0.0", "version"),
        ("17", "Unicode 17", "version"),
        ("PEP 810", "810", "pep"),
        ("PEP 810", "pep-0810", "pep"),
        ("PEP 8", "8", "pep"),
        ("CVE-2026-1234", "CVE 2026 1234.", "cve"),
        ("gh-12345", "#12345", "issue"),
        ("October 1, 2026", "2026-10-01", "date"),
        ("2026-10-01", "It came on 1 October 2026.", "date"),
        ("2026", "in October 2026", "date"),
        ("math.isnormal()", "`isnormal`", "identifier"),
        ("isnormal", "math.isnormal()", "identifier"),
        ("three", "3 of them", "quantity"),
        ("10%", "10 percent", "quantity"),
        ("1,000", "1000 items", "quantity"),
        ("the sentinel type", "A “sentinel” type.", "phrase"),
        ("|=", "the `|=` operator", "identifier"),
        ("-1", "It returns -1.", "quantity"),
        ("%d", "Use '%d'.", "phrase"),
        ("* and **", "with `* and **` now", "phrase"),
        ("C++", "It is written in C++.", "name"),
        ("3.14", "There was no change until 3.14", "version"),
        ("PEP 810", "not only PEP 810", "pep"),
        ("UTF-8", "No, it is UTF-8 now", "phrase"),
        ("not allowed", "It is not allowed.", "phrase"),
    ],
)
def test_an_answer_that_says_the_gold_in_its_own_way_is_correct(gold: str, answer: str, kind: str) -> None:
    verdict = graded(gold, answer, kind)
    assert verdict.label == "correct", verdict
    assert verdict.error_type == ""


@pytest.mark.parametrize(
    ("gold", "answer", "kind", "error"),
    [
        ("3.15.1", "3.15", "version", ""),
        ("3.1", "It is 3.14.", "version", "wrong version"),
        ("3.14", "3.14 or 3.13", "version", "wrong version"),
        ("3.14", "3.14.2", "version", "wrong version"),
        ("3.14", "3.14.0a2", "version", "wrong version"),
        ("3.1", "3.10", "version", "wrong version"),
        ("3.10", "3.1.0", "version", "wrong version"),
        ("17", "16 or 17", "version", "wrong version"),
        ("PEP 810", "PEP 811", "pep", "misinterpretation"),
        ("PEP 810", "PEPs 810 and 790", "pep", "misinterpretation"),
        ("PEP 810", "not PEP 810", "pep", "misinterpretation"),
        ("PEP 810", "PEP", "pep", ""),
        ("CVE-2026-1234", "CVE-2026-12345", "cve", "misinterpretation"),
        ("CVE-2026-1234", "cve-2026-1234, cve-2026-9999", "cve", "misinterpretation"),
        ("gh-12345", "gh-12346", "issue", "misinterpretation"),
        ("2026-10-01", "2 October 2026", "date", "misinterpretation"),
        ("2026", "2025 and 2026", "date", "misinterpretation"),
        ("pyproject.toml", "toml", "identifier", ""),
        ("3 seconds", "5 seconds", "quantity", ""),
        ("C", "C++", "name", ""),
        ("%d", "the letter d", "phrase", ""),
        ("* and **", "this and that", "phrase", ""),
        ("-1", "1", "quantity", ""),
        ("ValueError", "It does not raise ValueError", "identifier", "misinterpretation"),
        ("ValueError", "anything rather than ValueError", "identifier", "misinterpretation"),
        ("3.16", "Python 3.16 is not it.", "version", "misinterpretation"),
        ("locale", "   ", "identifier", "omission"),
        ("locale", "I don't know.", "identifier", "omission"),
        ("UTF-8", "bananas everywhere", "phrase", "off topic"),
    ],
)
def test_another_value_a_denial_or_nothing_is_incorrect(gold: str, answer: str, kind: str, error: str) -> None:
    verdict = graded(gold, answer, kind)
    assert verdict.label == "incorrect", verdict
    assert verdict.error_type
    assert not error or verdict.error_type == error


@pytest.mark.parametrize(
    ("gold", "answer", "kind"),
    [
        ("blocking", "It is non-blocking.", "phrase"),
        ("root privileges", "It now runs without root privileges.", "phrase"),
        ("cProfile", "profiling.tracing, formerly cProfile", "identifier"),
        ("Guido van Rossum", "I don't know. Maybe Guido van Rossum.", "name"),
        ("Guido van Rossum", "I'm not sure, but I think Guido van Rossum.", "name"),
        ("4", "between 2 and 4 workers", "quantity"),
        ("4", "4 workers or 2 workers", "quantity"),
        ("4", "2\u20134 workers", "quantity"),
        ("four", "twenty-four", "quantity"),
        ("$5", "$5 million", "quantity"),
        ("2", "1/2", "quantity"),
        ("--no-cache", "--no-cache-dir", "identifier"),
        ("cache", "--no-cache", "identifier"),
        ("macOS", "macOS/Windows", "name"),
        ("False", "False or True", "phrase"),
        ("False", "True (it was False before)", "phrase"),
        ("3.15", "before 3.15", "version"),
        ("3.15", "It was there until Python 3.15.", "version"),
        ("list", "typing.List", "identifier"),
        ("open()", "os.open()", "identifier"),
        ("OSError", "When it fails it does not raise an OSError", "identifier"),
        ("OSError", "If the file is there an OSError is not raised.", "identifier"),
    ],
)
def test_words_of_the_gold_that_name_something_else_are_no_answer(gold: str, answer: str, kind: str) -> None:
    assert graded(gold, answer, kind).label == "incorrect"


@pytest.mark.parametrize(
    ("gold", "answer", "kind", "question"),
    [
        ("OSError", "When the file does not exist an OSError is raised", "identifier", "What is raised?"),
        ("root privileges", "It does not run without root privileges.", "phrase", "What does it take?"),
        ("copying", "It takes the bytes out without copying.", "phrase", "What does take_bytes() avoid?"),
        ("cProfile", "It was formerly cProfile.", "identifier", "Under which name was the profiler known?"),
        ("True", "True (it was False before)", "phrase", "What is the default?"),
        ("True", "It should return True to allow it, or False to force it.", "phrase", "What allows it?"),
        ("False", "It returns False when strict=True.", "phrase", "What does it return?"),
        ("False", "The opposite of True is False.", "phrase", "What is the opposite of True?"),
        ("true", "It is either true or false.", "phrase", "What is a boolean value?"),
        ("4", "It was raised from 2 to 4.", "quantity", "How many workers are there?"),
        ("4", "It takes 4 arguments, the first 2 arguments by position.", "quantity", "How many arguments does it take?"),
        ("four", "It is a 4-sided figure.", "quantity", "How many sides does it have?"),
        ("100", "one hundred", "quantity", "How many are there?"),
        ("bee", "the honey-bee", "phrase", "Which insect makes honey?"),
        ("bamboo", "a bamboo-based diet", "phrase", "What is eaten?"),
        ("--header", "-H/--header", "identifier", "Which option is it?"),
        ("python3-config", "/usr/bin/python3-config", "identifier", "Which program is it?"),
        ("open()", "os.open()", "identifier", "Which function of os gives a descriptor?"),
        ("format()", "str.format()", "identifier", "Which method is it?"),
        ("object", "builtins.object", "identifier", "Which class is the base?"),
        ("bytearray.take_bytes()", "take_bytes", "identifier", "Which method is it?"),
        ("3.15", "In 3.15. Before 3.15 you had to do it yourself.", "version", "When was it added?"),
        ("3.17", "not before 3.17", "version", "When will it go?"),
        ("3.6", "until 3.6", "version", "Until which version did it work?"),
    ],
)
def test_what_only_looks_like_something_else_stays_right(gold: str, answer: str, kind: str, question: str) -> None:
    verdict = graded(gold, answer, kind, question=question, aliases=["false"] if gold == "true" else ["hundred"] if gold == "100" else [])
    assert verdict.label == "correct", verdict


@pytest.mark.parametrize(
    ("gold", "answer", "label", "rivals"),
    [
        ("-V", "-V", "correct", []),
        ("-V", "the `-V` option", "correct", ["-v"]),
        ("`-V`", "`-V`", "correct", ["`-v`"]),
        ("-V", "the option “-V”", "correct", ["-v"]),
        ("-V", "It is ‘-V’.", "correct", []),
        ("-V", "\u2011V", "correct", []),
        ("-V", "the \u2212V option", "correct", ["-v"]),
        ("-V", "the option “-v”", "incorrect", []),
        ("-V", "\u2011v", "incorrect", ["-v"]),
        ("\u2212V", "-V", "correct", []),
        ("-V", "-v", "incorrect", []),
        ("-V", "It is -v.", "incorrect", ["-v"]),
        ("-V", "-V or -v", "incorrect", ["-v"]),
        ("-V", "-V, and not -v", "incorrect", ["-v"]),
        ("--version", "--VERSION", "correct", ["-v"]),
        ("--version", "--version, short -V", "correct", ["-v"]),
        ("--version", "--version, short -v", "incorrect", ["-v"]),
        ("V", "v", "correct", []),
    ],
)
def test_options_of_one_letter_are_told_apart_by_case_and_nothing_else_is(gold: str, answer: str, label: str, rivals: list[str]) -> None:
    assert graded(gold, answer, "identifier", question="Which option prints it, as in `prog -V`?", rivals=rivals).label == label


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("2.5 GB", "2.5GB"), ("2.5GB", "It needs 2.5 GB."), ("500 ms", "500ms"), ("1 h 30 min", "1h 30min"), ("8 GB RAM", "8GB RAM"),
        ("two GB", "2GB"), ("3.14t", "3.14t"),
    ],
)  # fmt: skip
def test_a_unit_may_be_glued_to_its_number(gold: str, answer: str) -> None:
    assert graded(gold, answer, "quantity").label == "correct"


@pytest.mark.parametrize(
    ("gold", "answer", "kind"),
    [
        ("2.5 GB", "2.5MB", "quantity"),
        ("5 GB", "2.5GB", "quantity"),
        ("4 GB", "2 GB or 4GB", "quantity"),
        ("2 GB", "2 GB or 4GB", "quantity"),
        ("4 GB", "2GB to 4GB", "quantity"),
        ("3.14t", "3.14", "quantity"),
        ("3.14", "3.14t", "quantity"),
        ("3.14t", "3.13t", "quantity"),
        ("0xff", "0x", "quantity"),
        ("256", "sha256", "quantity"),
        ("2.5 GB", "2.5GB", "phrase"),
    ],
)
def test_another_unit_or_number_and_a_name_with_digits_are_no_quantity(gold: str, answer: str, kind: str) -> None:
    assert graded(gold, answer, kind).label == "incorrect"


@pytest.mark.parametrize(
    ("question", "gold", "answer", "label"),
    [
        ("中国的首都在哪里？", "北京", "北京", "correct"),
        ("中国的首都在哪里？", "北京", "首都是北京。", "correct"),
        ("中国的首都在哪里？", "北京", "中国首都是北京", "correct"),
        ("中国的首都在哪里？", "北京", "北京是中国的首都。", "correct"),
        ("中国的首都在哪里？", "北京", "答案是北京。", "correct"),
        ("日本の首都は？", "東京", "東京です", "correct"),
        ("日本の首都は？", "東京", "日本の首都は東京です。", "correct"),
        ("日本の首都は？", "東京", "東京が日本の首都です。", "correct"),
        ("中国的首都在哪里？", "北京", "首都不是北京。", "incorrect"),
        ("中国的首都在哪里？", "北京", "北京不是首都", "incorrect"),
        ("中国的首都在哪里？", "北京", "是北京或上海", "incorrect"),
        ("中国的首都在哪里？", "北京", "首都是上海", "incorrect"),
        ("中国的首都在哪里？", "北京", "是北京大学", "incorrect"),
        ("北京大学在哪里？", "北京", "北京大学", "incorrect"),
        ("中国的首都在哪里？", "北京", "前首都是北京", "incorrect"),
        ("日本の首都は？", "東京", "東京ではない", "incorrect"),
        ("日本の首都は？", "京都", "東京都です", "incorrect"),
    ],
)
def test_a_sentence_without_spaces_is_right_where_it_says_nothing_but_the_gold_and_what_was_asked(
    question: str, gold: str, answer: str, label: str
) -> None:
    assert graded(gold, answer, question=question).label == label


def test_a_rival_beside_the_gold_is_not_correct_but_one_the_question_names_is_no_rival() -> None:
    assert graded("isnormal", "isnormal and isfinite", "identifier", rivals=["math.isfinite"]).label == "incorrect"
    asked = "Unlike math.isfinite, what does the new function test?"
    assert graded("normal", "isfinite aside, normal numbers", question=asked, rivals=["math.isfinite"]).label == "correct"
    assert graded("lazy", "lazy in Python", "identifier", rivals=["in"]).label == "correct"


HOW_MANY = "How many workers are there?"


@pytest.mark.parametrize(
    ("gold", "answer", "kind", "question"),
    [
        ("5", "No more than 5", "quantity", "How many retries are there?"),
        ("5", "No more than 5.", "quantity", "How many retries are there at most?"),
        ("5", "never more than five retries", "quantity", "What is the maximum number of retries?"),
        ("5", "no fewer than 5", "quantity", "How many workers are there at least?"),
        ("255 characters", "may not exceed 255 characters", "quantity", "How long may a name be?"),
        ("255 characters", "A name cannot exceed 255 characters.", "quantity", "What is the longest name?"),
        ("255 characters", "Names must not be longer than 255 characters.", "quantity", "How long may a name be?"),
        ("255 characters", "A name is not allowed to go beyond 255 characters", "quantity", "How long may a name be?"),
        ("30 seconds", "no longer than 30 seconds", "quantity", "How long does it wait?"),
        ("October 2027", "No later than October 2027", "date", "When will it be removed?"),
        ("October 2027", "not earlier than October 2027", "date", "When will it be removed?"),
        ("8 GB", "No less than 8 GB", "quantity", "How much memory does it need?"),
        ("3.11", "Not older than 3.11", "version", "Which Python does it need?"),
        ("3.11", "Python must not be older than Python 3.11", "version", "Which Python does it need?"),
        ("1.88", "not older than Rust 1.88", "version", "What is the minimum version of Rust?"),
    ],
)
def test_a_negated_comparison_gives_its_value_as_a_limit(gold: str, answer: str, kind: str, question: str) -> None:
    verdict = graded(gold, answer, kind, question=question)
    assert verdict.label == "correct", verdict


@pytest.mark.parametrize(
    ("gold", "answer", "kind", "question"),
    [
        ("5", "no more than 5", "quantity", "How many workers are there at least?"),
        ("5", "no fewer than 5", "quantity", "How many workers are there at most?"),
        ("8 GB", "it may not exceed 8 GB", "quantity", "What is the minimum of memory?"),
        ("October 2027", "no later than October 2027", "date", "What is the earliest date?"),
        ("30 seconds", "It is no longer 30 seconds.", "quantity", "How long does it wait?"),
        ("3.11", "It is no longer 3.11", "version", "Which version is it?"),
        ("5", "not 5", "quantity", HOW_MANY),
        ("5", "not 5 but more", "quantity", HOW_MANY),
        ("5", "No, more than 5", "quantity", HOW_MANY),
        ("5", "anything except more than 5", "quantity", HOW_MANY),
        ("5", "no more than 5, namely 3", "quantity", HOW_MANY),
        ("5", "not more than 5 but exactly four", "quantity", HOW_MANY),
        ("ValueError", "no more than ValueError", "identifier", "Which exception is raised?"),
        ("Linux", "It does not run under Linux", "name", "Where does it run?"),
    ],
)
def test_a_limit_of_the_other_side_and_a_plain_denial_are_no_answer(gold: str, answer: str, kind: str, question: str) -> None:
    assert graded(gold, answer, kind, question=question).label == "incorrect"


@pytest.mark.parametrize(
    ("gold", "answer", "kind", "question"),
    [
        ("3.11", "older than 3.11", "version", "Which Python does it need?"),
        ("3.11", "below 3.11", "version", "Which Python does it need?"),
        ("3.11", "It needs a Python newer than Python 3.11.", "version", "Which Python does it need?"),
        ("October 2027", "before October 2027", "date", "When will it be removed?"),
        ("October 2027", "It will be removed before October 2027.", "date", "When will it be removed?"),
        ("October 2027", "earlier than October 2027", "date", "When will it be removed?"),
        ("255 characters", "more than 255 characters", "quantity", "How long may a name be?"),
        ("255 characters", "A name may be longer than 255 characters long.", "quantity", "How long may a name be?"),
        ("255 characters", "more than 255 characters", "quantity", "What is the maximum length of a name?"),
        ("5", "fewer than 5", "quantity", HOW_MANY),
        ("5", "less than five", "quantity", HOW_MANY),
        ("5", "there are more than 5", "phrase", HOW_MANY),
        ("30 seconds", "under 30 seconds", "quantity", "How long does it wait?"),
        ("8 GB", "less than 8 GB", "quantity", "How much memory does it need at least?"),
    ],
)
def test_what_lies_above_or_below_a_value_is_another(gold: str, answer: str, kind: str, question: str) -> None:
    assert graded(gold, answer, kind, question=question).label == "incorrect"


@pytest.mark.parametrize(
    ("gold", "answer", "kind", "question"),
    [
        ("255 characters", "Names of more than 255 characters are rejected.", "quantity", "How long may a name be?"),
        ("255 characters", "It rejects names of more than 255 characters.", "quantity", "How long may a name be?"),
        ("3.11", "Versions older than 3.11 are not supported.", "version", "Which Python does it need?"),
        ("3.11", "nothing older than 3.11", "version", "Which Python does it need?"),
        ("3.11", "3.11 or newer", "version", "Which Python does it need?"),
        ("3.11", "3.11, nothing older than 3.11", "version", "Which Python does it need?"),
        ("3.11", "Under Python 3.11", "version", "With which Python is it built?"),
        ("5 MB", "Files below 5 MB are read at once.", "quantity", "Up to which size are files read at once?"),
        ("5 MB", "Files are read at once below 5 MB.", "quantity", "Up to which size are files read at once?"),
        ("5 MB", "at most 5 MB", "quantity", "Which files are read at once?"),
        ("5 seconds", "less than 5 seconds", "quantity", "What is the maximum time it takes?"),
        ("more than 5", "more than 5", "quantity", HOW_MANY),
        ("less than 5", "under 5", "quantity", "How many fewer are there?"),
        ("5", "more than 5", "quantity", "More than how many workers are refused?"),
        ("3.11", "before 3.11", "version", "Before which version was it missing?"),
        ("October 2027", "before October 2027", "date", "By when does it have to be done?"),
        ("October 2027", "until October 2027", "date", "How long is it supported?"),
        ("30 seconds", "It is averaged over 30 seconds.", "quantity", "How is it averaged?"),
        ("30 seconds", "after 30 seconds", "quantity", "When does it give up?"),
        ("4", "It has 4, which is more than before.", "quantity", HOW_MANY),
        ("React", "older than React", "name", "What is jQuery?"),
    ],
)
def test_a_comparison_that_is_asked_for_or_says_more_leaves_a_value_right(gold: str, answer: str, kind: str, question: str) -> None:
    verdict = graded(gold, answer, kind, question=question, aliases=["5"] if gold == "less than 5" else [])
    assert verdict.label == "correct", verdict


@pytest.mark.parametrize(
    ("gold", "answer", "kind"),
    [
        ("UTF-8", "UTF8", "phrase"), ("UTF8", "It is UTF-8.", "identifier"), ("SHA-256", "SHA256", "identifier"),
        ("SHA256", "sha-256", "phrase"),
        ("Apache-2.0", "Apache 2.0", "phrase"), ("Apache 2.0", "It is under Apache-2.0.", "name"), ("GPT-4", "GPT 4", "name"),
        ("utf-8-sig", "utf8-sig", "identifier"), ("-40", "\u201340", "quantity"), ("-40", "It is \u201340 degrees.", "quantity"),
        ("-40", "(\u201340)", "phrase"), ("30 seconds", "30s", "quantity"), ("30s", "It waits 30 seconds.", "quantity"),
        ("30 seconds", "30 sec", "quantity"), ("30 seconds", "a 30-second timeout", "quantity"), ("8 GB", "8 gigabytes", "quantity"),
        ("2 h", "two hours", "quantity"), ("n-1", "n-1", "phrase"),
    ],
)  # fmt: skip
def test_another_spelling_of_a_name_a_unit_or_a_sign_is_right(gold: str, answer: str, kind: str) -> None:
    verdict = graded(gold, answer, kind)
    assert verdict.label == "correct", verdict


@pytest.mark.parametrize(
    ("gold", "answer", "kind"),
    [
        ("UTF-8", "UTF-16", "phrase"), ("UTF-8", "UTF16", "phrase"), ("UTF-8", "utf8mb4", "phrase"), ("utf-8", "utf-8-sig", "phrase"),
        ("8", "UTF-8", "phrase"), ("UTF", "UTF-8", "phrase"), ("SHA-256", "SHA512", "identifier"), ("256", "SHA-256", "identifier"),
        ("Apache-2.0", "Apache 1.1", "phrase"), ("Apache-2.0", "Apache 2.0.1", "phrase"), ("GPT-4", "GPT 4o", "name"),
        ("GPT-4", "GPT-4.1", "name"),
        ("n-1", "n + 1", "phrase"), ("n-1", "n1", "phrase"), ("len-1", "len + 1", "phrase"), ("len-1", "len * 1", "phrase"),
        ("python3", "python 3", "identifier"), ("40", "\u201340", "quantity"), ("-40", "40", "quantity"),
        ("40", "30\u201340", "quantity"), ("40", "30 \u201340", "quantity"), ("-40", "30 \u2013 40", "quantity"),
        ("30 seconds", "30 ms", "quantity"), ("30 seconds", "30m", "quantity"), ("30 seconds", "30 minutes", "quantity"),
        ("8 GB", "8 GiB", "quantity"),
    ],
)  # fmt: skip
def test_another_number_unit_or_sign_in_another_spelling_stays_wrong(gold: str, answer: str, kind: str) -> None:
    assert graded(gold, answer, kind).label != "correct"


@pytest.mark.parametrize(
    ("gold", "answer", "label"),
    [
        ("$100", "\u20ac100", "incorrect"), ("$100", "100 EUR", "incorrect"), ("$100", "It costs 100\u20ac.", "incorrect"),
        ("$1,500", "1500 EUR", "incorrect"), ("$5 million", "\u20ac5 million", "incorrect"), ("$5 million", "5 million euros", "incorrect"),
        ("\u20ac100", "$100", "incorrect"), ("\u20ac100", "USD 100", "incorrect"), ("\u20ac100", "100 pounds", "incorrect"),
        ("$2.50", "\u20ac2.50", "incorrect"), ("CAD 100", "CAD 100", "correct"),
        ("$100", "$100", "correct"), ("$100", "100 USD", "correct"), ("$100", "US$100", "correct"), ("$100", "USD 100", "correct"),
        ("$100", "100 dollars", "correct"), ("$100", "100", "correct"), ("$100", "CAD 100", "correct"), ("$1,500", "1500", "correct"),
        ("$100", "$100 (\u20ac92)", "correct"), ("$5 million", "$5 million", "correct"),
        ("\u20ac100", "100 euros", "correct"), ("100", "\u20ac100", "correct"), ("\u00a5100", "100 yen", "correct"),
        ("$100", "It costs $100 in the euro zone too", "correct"),
    ],
)  # fmt: skip
def test_an_amount_is_right_in_its_own_currency_or_without_any(gold: str, answer: str, label: str) -> None:
    for kind in ("quantity", "phrase"):
        assert graded(gold, answer, kind, question="What does it cost?").label == label, kind


READS = "Which function of `json` reads a file?"


@pytest.mark.parametrize(
    ("gold", "answer", "question", "label"),
    [
        ("load()", "yaml.load()", READS, "incorrect"),
        ("load()", "pickle.load", READS, "incorrect"),
        ("load", "It is `marshal.load()`.", "Which function of the json module reads a file?", "incorrect"),
        ("load()", "json.load()", READS, "correct"),
        ("load()", "load()", READS, "correct"),
        ("json.load()", "load()", READS, "correct"),
        ("join()", "os.path.join()", "Which function of `os` joins paths?", "correct"),
        ("join()", "path.join()", "Which function of `os` joins paths?", "correct"),
        ("parse()", "ET.parse()", "Which function of `xml.etree.ElementTree` reads a file?", "correct"),
        ("version()", "metadata.version()", "Which function of `importlib` gives it?", "correct"),
        ("arange()", "np.arange()", "Which function of `numpy` counts?", "correct"),
        ("arange()", "numpy.arange()", "Which function counts?", "correct"),
        ("load()", "yaml.load()", "Which function reads a file?", "correct"),
        ("load()", "json.load()", "Which function in Python 3.15 reads a file?", "correct"),
        ("load()", "json.load()", "Which function does this module use?", "correct"),
        ("load()", "json.load()", "Which function in test code reads a file?", "correct"),
        ("load()", "tomllib.load()", "Which function replaces `json.loads()`?", "correct"),
        ("import_module()", "importlib.import_module()", "Which function replaces the imp module?", "correct"),
        ("put()", "queue.put()", "Which method of `asyncio.Queue` adds to it?", "correct"),
        ("connect()", "conn.connect()", "Which method of `socket` opens it?", "correct"),
        ("load()", "yaml.load()", "Which function of `json` replaces `yaml.load()`?", "correct"),
    ],
)
def test_a_function_of_the_module_that_is_asked_for_is_none_of_another(gold: str, answer: str, question: str, label: str) -> None:
    assert graded(gold, answer, "identifier", question=question).label == label


RAISED = "Which exception is raised?"


@pytest.mark.parametrize(
    "answer",
    [
        "It used to be ValueError; since 3.15 it is TypeError",
        "It used to be a ValueError, now TypeError",
        "ValueError used to be raised",
        "ValueError was replaced by TypeError",
        "ValueError has been replaced with TypeError.",
        "ValueError is now superseded by TypeError",
        "ValueError is wrong",
        "`ValueError` is incorrect.",
        "Anything but ValueError",
        "everything but a ValueError",
        "ValueError? No, TypeError.",
        "`ValueError`? no",
    ],
)
def test_what_was_once_or_is_wrong_is_no_answer(answer: str) -> None:
    assert graded("ValueError", answer, "identifier", question=RAISED).label == "incorrect"


@pytest.mark.parametrize(
    ("answer", "question"),
    [
        ("ValueError; it used to be TypeError", RAISED),
        ("ValueError, and TypeError was replaced by it", RAISED),
        ("Nothing but ValueError", RAISED),
        ("ValueError? No doubt.", RAISED),
        ("ValueError is used to be clear.", RAISED),
        ("It is ValueError. Is it wrong? No.", RAISED),
        ("TypeError is wrong, it is ValueError", RAISED),
        ("It is ValueError, and silence is wrong", RAISED),
        ("It used to be ValueError", "Which exception was raised before?"),
        ("It used to be ValueError", "What did it raise until 3.14?"),
        ("ValueError was replaced by TypeError", "Which exception was replaced?"),
        ("ValueError is replaced by TypeError", "What is removed in 3.15?"),
        ("ValueError is wrong", "Which exception is wrong here?"),
        ("Everything but ValueError", "Which exception is not caught?"),
    ],
)
def test_what_is_asked_of_the_past_or_said_of_another_stays_right(answer: str, question: str) -> None:
    verdict = graded("ValueError", answer, "identifier", question=question)
    assert verdict.label == "correct", verdict


def test_the_function_used_to_do_something_is_not_of_the_past() -> None:
    assert graded("load()", "json.load() is used to read it", "identifier", question="Which function reads it?").label == "correct"
    assert graded("open files", "used to open files", question="What is it for?").label == "correct"


@pytest.mark.parametrize(
    ("gold", "rival", "answer", "label"),
    [
        ("React", "React Native", "React Native", "incorrect"),
        ("React", "React Native", "It is React Native.", "incorrect"),
        ("React", "React Native", "React", "correct"),
        ("React", "React Native", "React, native to the browser", "correct"),
        ("Visual Studio", "Visual Studio Code", "Visual Studio Code", "incorrect"),
        ("Visual Studio", "Visual Studio Code", "Visual Studio. Code is compiled by it.", "correct"),
    ],
)
def test_a_longer_name_that_is_a_rival_is_named_as_a_whole(gold: str, rival: str, answer: str, label: str) -> None:
    assert graded(gold, answer, "name", rivals=[rival]).label == label


def test_half_an_answer_is_partial_and_a_coarser_date_too() -> None:
    assert graded("the sentinel built-in type", "sentinel built-in").label == "partial"
    assert graded("2026-10-01", "October 2026", "date").label == "partial"
    assert graded("fields of the node", "the fields of a class").label == "partial"


@pytest.mark.parametrize("said", ["{}", "{}.", "`{}`", "It is {}.", "The answer is {}.", "In short, it is {}, as the notes say."])
def test_every_shipped_question_is_answered_right_by_its_own_answers_bare_and_in_a_sentence(said: str) -> None:
    for asked, kind in ASKED:
        for gold in (asked.answer, *asked.aliases):
            verdict = graded(asked.answer, said.format(gold), kind, question=asked.question, aliases=asked.aliases)
            assert verdict.label == "correct", (asked.question, gold, verdict)


@pytest.mark.parametrize("joint", [", ", " or ", " / ", "; ", " and ", "\n", "\n- "])
def test_no_shipped_guard_is_answered_by_the_answers_of_eight(joint: str) -> None:
    general = read_guards(DATA / "guards" / "general.jsonl")
    assert len(general) > 200
    for i, guard in enumerate(general):
        others = [other.answer for other in islice(cycle(general), i + 7, i + 7 + 7 * 31, 31)]
        answer = joint.join([*others[:4], guard.answer, *others[4:]])
        assert graded(guard.answer, answer, question=guard.question, aliases=guard.aliases).label == "incorrect", answer


CAPITAL = "What is the capital of France?"


@pytest.mark.parametrize(
    "answer",
    [
        "Rome, Paris, Berlin",
        "Rome or Paris or Berlin.",
        "Rome/Paris/Berlin",
        "It is Rome, Paris, or Berlin.",
        "It could be either Rome, Paris, or Berlin.",
        "1. Rome\n2. Paris\n3. Berlin",
    ],
)
def test_three_names_of_which_one_is_the_gold_are_no_answer(answer: str) -> None:
    assert graded("Paris", answer, question=CAPITAL).label == "incorrect"


@pytest.mark.parametrize(
    ("question", "gold", "answer"),
    [
        (CAPITAL, "Paris", "Paris, France, of course"),
        (CAPITAL, "Paris", "It is Paris, on the Seine, where the king lived, and the largest city"),
        ("What are the three states of matter?", "solid", "Solid, liquid, and gas."),
        ("What are clouds made of?", "water", "Water, ice, and dust"),
        ("What do pandas mainly eat?", "bamboo", "Bamboo, leaves, shoots and grass"),
        ("In which country is the Taj Mahal?", "India", "Agra, Uttar Pradesh, India"),
        (
            "What does NASA stand for?",
            "National Aeronautics and Space Administration",
            "National Aeronautics and Space Administration, USA",
        ),
        ("Which file is it?", "build-details.py", "Tools/build/build-details.py"),
        ("Which file is it?", "python3-config", "/usr/bin/python3-config"),
        ("Which built-in checks a type?", "isinstance", "isinstance(arg, (dict, frozendict))"),
        ("Which modules take it?", "json, marshal and pickle", "json, marshal and pickle, besides plistlib, copy"),
        ("When is it run?", "when its name is first used", "It is located, compiled and run only when its name is first used."),
        ("Which exception is raised?", "ValueError", "It raises ValueError, warns, and returns None"),
    ],
)
def test_a_sentence_a_place_and_one_of_several_true_answers_are_no_list(question: str, gold: str, answer: str) -> None:
    assert graded(gold, answer, question=question).label == "correct"


def test_a_text_that_happens_to_hold_the_answer_is_not_correct() -> None:
    filler = [f"thing{i}" for i in range(SPARE_WORDS + 20)]
    verdict = graded("locale", " ".join([*filler, "locale"]))
    assert verdict.label == "incorrect"
    assert str(len(filler) + 1) in verdict.explanation
    assert graded("locale", " ".join([*filler[:20], "locale"])).label == "correct"


def test_a_probe_without_gold_answer_is_failed_not_wrong() -> None:
    assert graded("  ", "x").label == "failed"


def test_an_alias_is_as_good_as_the_gold_and_names_no_rival() -> None:
    assert graded("3.15", "3.15.0", "version", aliases=["3.15.0"]).label == "correct"
    assert graded("a new type", "sentinel", aliases=["sentinel"]).label == "correct"


def test_token_f1_counts_bags_of_tokens_without_articles() -> None:
    assert token_f1("the fast parser", "a fast parser") == 1.0
    assert token_f1("fast", "fast parser") == pytest.approx(2 / 3)
    assert token_f1("", "fast") == token_f1("slow", "fast") == 0.0


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("Python 3.15", "version"), ("PEP 810", "pep"), ("CVE-2026-1", "phrase"), ("CVE-2026-1234", "cve"), ("gh-12345", "issue"),
        ("1 October 2026", "date"), ("2026-10-01", "date"), ("may", "phrase"), ("isnormal()", "phrase"), ("", "phrase"),
        ("3.14 and 3.15", "phrase"), ("five", "quantity"), ("5", "quantity"), ("30 seconds", "quantity"), ("30s", "quantity"),
        ("five minutes", "quantity"), ("5 workers", "phrase"), ("UTF-8", "phrase"), ("the five", "quantity"), ("one of them", "phrase"),
    ],
)  # fmt: skip
def test_the_kind_of_a_bare_answer_is_read_off_its_form(answer: str, kind: str) -> None:
    assert kind_of(answer) == kind


def test_the_grader_is_validated_on_the_gold_answers_themselves() -> None:
    row = {"probe_id": "p1", "question": "Which?", "answer": "PEP 810", "aliases": ["810"], "answer_kind": "pep", "rivals": ["PEP 790"]}
    assert validate_grader([row]) == []
    assert validate_grader([row | {"answer": "not allowed", "aliases": ["allowed"], "answer_kind": "phrase"}]) == []
    broken = row | {"probe_id": "p2", "aliases": [" "]}
    assert [line.split(" ")[1] for line in validate_grader([broken])] == ["p2"]
    assert "no gold answer" in validate_grader([row | {"answer": "", "aliases": []}])[0]


texts = st.one_of(st.text(max_size=60), st.text(alphabet="aZ09._-'`|= \n()%,:#é²", max_size=60))
requests = st.builds(
    GradeRequest,
    question=texts,
    gold=texts,
    aliases=st.lists(texts, max_size=3),
    answer_kind=st.sampled_from(KINDS),
    rivals=st.lists(texts, max_size=3),
    answer=texts,
)


@settings(max_examples=400, deadline=None)
@given(requests)
def test_grading_never_raises_and_only_a_correct_answer_has_no_error_type(request: GradeRequest) -> None:
    verdict = grade(request)
    assert (verdict.error_type == "") == (verdict.label in ("correct", "failed"))
    assert grade(request) == verdict
    assert 0.0 <= token_f1(request.answer, request.gold) <= 1.0


@settings(max_examples=400, deadline=None)
@given(gold=texts, kind=st.sampled_from(KINDS), aliases=st.lists(texts, max_size=2), question=texts)
def test_the_gold_answer_itself_is_always_correct(gold: str, kind: str, aliases: list[str], question: str) -> None:
    assume(gold.strip() and (words(gold) or gold.split()))
    assert graded(gold, gold, kind, question=question, aliases=aliases).label == "correct"


names = st.from_regex(r"\A[b-z][a-z_]{3,9}(\.[b-z][a-z_]{3,9})?\Z")
versions = st.builds("{}.{}".format, st.integers(2, 9), st.integers(20, 40))
peps = st.builds("PEP {}".format, st.integers(100, 999))
cves = st.builds("CVE-2026-{}".format, st.integers(1000, 99999))
bare = st.sampled_from(["non-blocking", "--no-cache-dir", "pkg/mod.py", "8-bit", "1/2", "os.open()", "True", "4", "3.15.0", "2 to 4", "$5"])
golds = st.lists(st.one_of(names, versions, bare, st.sampled_from(["without", "before", "and", "of", "not"])), min_size=1, max_size=4)
frames = st.sampled_from(["{}", "{}.", "`{}`", '"{}"', "It is {}.", "The answer is: {}", "That would be {}, as the notes say."])


@settings(max_examples=400, deadline=None)
@given(golds.map(" ".join), frames, st.sampled_from(KINDS))
def test_the_gold_answer_in_a_plain_sentence_is_always_correct(gold: str, frame: str, kind: str) -> None:
    assume(any(len(word) > 1 for word in words(gold) if word not in ("of", "and", "before", "not", "without")))
    verdict = graded(gold, frame.format(gold), kind, question="What is it?")
    assert verdict.label == "correct", verdict


joins = st.sampled_from(["{} and {}", "{} or {}", "{}, {}", "either {1} or {0}", "{1} {0}", "{0} (not {1})", "`{0}` / `{1}`"])
typed = st.one_of(*(st.tuples(st.just(k), s, s) for k, s in (("version", versions), ("pep", peps), ("cve", cves), ("identifier", names))))


@settings(max_examples=300, deadline=None)
@given(typed, joins, st.booleans())
def test_the_gold_with_a_rival_is_never_correct(case: tuple[str, str, str], join: str, listed: bool) -> None:
    kind, gold, rival = case
    assume(gold.split(".")[-1] != rival.split(".")[-1] if kind == "identifier" else gold != rival)
    rivals = [rival] if listed or kind == "identifier" else []
    answer = join.format(gold, rival)
    assert graded(gold, answer, kind, question="What is meant?", rivals=rivals).label == "incorrect"
    assert graded(gold, f"It is {gold}.", kind, question="What is meant?", rivals=rivals).label == "correct"


@settings(max_examples=200, deadline=None)
@given(
    number=st.integers(2, 9999),
    noun=st.sampled_from(["", " workers", " seconds", " GB"]),
    side=st.sampled_from(["more than", "fewer than", "less than", "greater than"]),
    negator=st.sampled_from(["no", "not", "never"]),
    frame=st.sampled_from(["{}", "{}.", "It is {}.", "There are {}, as the notes say."]),
)
def test_a_comparison_is_right_negated_and_wrong_otherwise(number: int, noun: str, side: str, negator: str, frame: str) -> None:
    gold = f"{number}{noun}"
    asked = "What is set?"
    assert graded(gold, frame.format(f"{negator} {side} {gold}"), "quantity", question=asked).label == "correct"
    assert graded(gold, frame.format(f"{side} {gold}"), "quantity", question=asked).label == "incorrect"
    assert graded(gold, frame.format(f"{negator} {gold}"), "quantity", question=asked).label == "incorrect"


@settings(max_examples=200, deadline=None)
@given(versions, st.integers(0, 9))
def test_a_version_never_matches_a_longer_or_shorter_one(version: str, digit: int) -> None:
    assert graded(version, f"{version}{digit}", "version", question="When?").label != "correct"
    assert graded(f"{version}{digit}", version, "version", question="When?").label != "correct"
    assert graded(version, f"{version}{digit}", question="When?").label != "correct"
