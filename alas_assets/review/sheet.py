"""Tables that people edit: CSV for spreadsheets, JSON lines for scripts, and back without a changed character (E6, S13).

Texts come from models and pages: no cell may run as a formula where the file is opened. What the columns mean is not known here.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from alas_assets.provenance.store import write_atomic

_ACTIVE = re.compile(
    r"[\s']*(?:[=+\-@|%\d\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]|[.($€£¥]\d"
    r"|(?i:true|false|jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)(?![^\W\d_]|'\Z))"
)
"""Beginnings that a spreadsheet runs as a formula, or reads as a number, date or truth value and changes (3.10 becomes 3.1, October 2026
becomes Oct-26, True becomes TRUE). A month counts without a number too, so that the apostrophe goes where somebody takes the number out;
a word in quotes ('True') is none of these, and keeps both."""

_WITHIN = re.compile(r"""(?<![;\s'"])([;\s'"]+)([=+\-@|%\uFF1D\uFF0B\uFF0D\uFF20])""")
_PARTS = re.compile(r"[;\t\r\n]")
"""Signs at which a spreadsheet that expects no commas parts a line: what stands behind them within a text begins a cell there."""

_DELIMITERS = ",;\t"  # what spreadsheets write in different countries
MAX_PROBLEMS = 20
MAX_CELL = 1_000_000


class SheetError(ValueError):
    """A file cannot be read as a table of people's decisions, or written; every line of the message names a place in it."""


@dataclass(frozen=True)
class Line:
    """One row of a table as a person left it.

    Attributes:
        where: Its place in words, such as "row 3": the number that a spreadsheet shows, or the line of a JSONL file.
        cells: Its texts by column, without spaces at the ends.
    """

    where: str
    cells: Mapping[str, str]


class Problems:
    """What is wrong with a file, gathered so that a person sees all of it at once."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.found: list[str] = []

    def add(self, where: str, column: str, what: str) -> None:
        """Note a mistake with its place."""
        self.found.append(f"{self.file}: {where}, column {column}: {what}")

    def refuse(self) -> None:
        """Raise all that was found, if anything was.

        Raises:
            SheetError: Something was; nothing of the file is used.
        """
        if self.found:
            rest = len(self.found) - MAX_PROBLEMS
            more = [f"... and {rest} more"] if rest > 0 else []
            raise SheetError("\n".join([*self.found[:MAX_PROBLEMS], *more, "nothing was imported"]))


def guard(text: str) -> str:
    """Return a text that a spreadsheet shows and does not run or change: an apostrophe before what it would take for more than text.

    So also within the text, behind a sign at which a spreadsheet may part it: our quotation marks hold a text together only where
    commas are expected.
    """
    text = _WITHIN.sub(lambda match: f"{match[1]}'{match[2]}" if _PARTS.search(match[1]) else match[0], text)
    return f"'{text}" if _ACTIVE.match(text) else text


def unguard(text: str) -> str:
    """Return the text that `guard` was given; one that lost its first apostrophe in a spreadsheet comes back the same."""
    text = text[1:] if text.startswith("'") and _ACTIVE.match(text) else text
    return _WITHIN.sub(lambda match: match[1].removesuffix("'") + match[2] if _PARTS.search(match[1]) else match[0], text)


def write_sheet(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
    """Write a table; .csv for spreadsheets (UTF-8 with a mark, guarded cells), .jsonl as it is.

    Raises:
        SheetError: The file exists, which may hold somebody's work, or its name ends otherwise.
    """
    kind = _kind(path)
    if path.exists():
        raise SheetError(f"{path}: exists already and may hold somebody's work; name another file with --out, or move it away")
    if kind == ".jsonl":
        text = "".join(json.dumps({name: row.get(name, "") for name in columns}, ensure_ascii=False) + "\n" for row in rows)
        write_atomic(path, text.encode("utf-8", "surrogatepass"))
        return
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    writer.writerows([guard(row.get(name, "").strip()) for name in columns] for row in rows)
    write_atomic(path, buffer.getvalue().encode("utf-8-sig", "surrogatepass"))


def read_sheet(path: Path, columns: Sequence[str]) -> list[Line]:
    """Read a table back; columns may stand in any order, and others beside them are kept.

    Args:
        path: A .csv or .jsonl file.
        columns: Columns that must be there.

    Raises:
        SheetError: It is not such a table; the message names row and column where there is one.
    """
    kind = _kind(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SheetError(f"{path}: {error.strerror or error}") from error
    text = _decoded(path, raw)
    lines = list(_json_lines(path, text) if kind == ".jsonl" else _csv_lines(path, text))
    names = lines[0].cells.keys() if lines else set(columns)
    missing = [name for name in columns if name not in names]
    if missing:
        raise SheetError(f"{path}: row 1: column {missing[0]} is missing; keep the first row as it was exported")
    return lines


def columns_of(path: Path) -> list[str]:
    """Return the columns of a table, to tell what kind it is.

    Raises:
        SheetError: It cannot be read, or holds no row.
    """
    lines = read_sheet(path, [])
    if not lines:
        raise SheetError(f"{path}: holds no row")
    return list(lines[0].cells)


def _kind(path: Path) -> str:
    if path.suffix.lower() not in (".csv", ".jsonl"):
        raise SheetError(f"{path}: the name must end in .csv or .jsonl")
    return path.suffix.lower()


def _decoded(path: Path, raw: bytes) -> str:
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise SheetError(f'{path}: byte {error.start} is not UTF-8; save it as "CSV UTF-8"') from error


def _csv_lines(path: Path, text: str) -> Iterator[Line]:
    csv.field_size_limit(MAX_CELL)
    first = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] = []
    row = 0
    try:
        for cells in reader:
            row += 1
            if not names:
                names = [unguard(cell.strip()) for cell in cells]
                twice = next((name for name in names if name and names.count(name) > 1), None)
                if twice:
                    raise SheetError(f"{path}: row 1: column {twice} stands there twice")
            elif any(cell.strip() for cell in cells):
                spare = [cell for cell in cells[len(names) :] if cell.strip()]
                if spare:
                    raise SheetError(f"{path}: row {row}: {len(cells)} cells stand under {len(names)} columns")
                padded = [*cells, *[""] * (len(names) - len(cells))]
                yield Line(f"row {row}", {name: unguard(cell.strip()).strip() for name, cell in zip(names, padded, strict=False) if name})
    except csv.Error as error:
        raise SheetError(f"{path}: row {row + 1}: {error}") from error


def _json_lines(path: Path, text: str) -> Iterator[Line]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            raw = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SheetError(f"{path}: row {number}: not a line of JSON ({error})") from error
        if not isinstance(raw, dict):
            raise SheetError(f"{path}: row {number}: not a JSON object")
        wrong = next((name for name, value in raw.items() if not isinstance(value, str)), None)
        if wrong is not None:
            raise SheetError(f"{path}: row {number}, column {_plain(wrong)[:80]}: must be a text")
        broken = next((name for name, value in raw.items() if _plain(name + value) != name + value), None)
        if broken is not None:
            raise SheetError(f"{path}: row {number}, column {_plain(broken)[:80]}: holds half a character (a lone surrogate)")
        yield Line(f"row {number}", {name: value.strip() for name, value in raw.items()})


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
