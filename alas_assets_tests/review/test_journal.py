"""People's work is kept: content-addressed, in order, and never passed over in silence."""

from pathlib import Path

import pytest

from alas_assets.review.journal import Journal, ReviewError

ROWS = [{"item": "x", "label": "correct"}]
OTHER = [{"item": "x", "label": "incorrect"}]


def test_imports_come_back_in_order_each_with_who_and_when(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "quill")
    assert journal.imports("answers") == []
    first, new = journal.add("answers", ROWS, by="ada", at="2026-01-01")
    assert new
    second, _ = journal.add("answers", OTHER, by="ada", at="2026-01-02")
    journal.add("pairs", ROWS, by="ada", at="2026-01-03")
    assert [(one.hash, one.by, one.at, one.rows) for one in journal.imports("answers")] == [
        (first, "ada", "2026-01-01", ROWS),
        (second, "ada", "2026-01-02", OTHER),
    ]
    assert len(journal.imports("pairs")) == 1
    assert Journal(tmp_path, "other").imports("answers") == []


def test_the_same_sheet_twice_counts_once_and_again_after_another_it_is_the_last_word(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "quill")
    first, _ = journal.add("answers", ROWS, by="ada", at="1")
    assert journal.add("answers", ROWS, by="ada", at="2") == (first, False)
    assert journal.add("answers", ROWS, by="bob", at="2")[1]
    journal.add("answers", OTHER, by="ada", at="3")
    assert journal.add("answers", ROWS, by="ada", at="4") == (first, True)
    assert [one.at for one in journal.imports("answers")] == ["1", "2", "3", "4"]


@pytest.mark.parametrize("damage", ["gone", "changed", "broken", "journal", "journal gone"])
def test_what_is_gone_or_was_changed_is_an_error_that_names_the_file(tmp_path: Path, damage: str) -> None:
    journal = Journal(tmp_path, "quill")
    digest, _ = journal.add("answers", ROWS, by="ada", at="1")
    path = journal.folder / (f"{digest}.json" if "journal" not in damage else "journal.json")
    if damage.endswith("gone"):
        path.unlink()
    else:
        path.write_text(path.read_text().replace("correct", "partial") if damage == "changed" else "{")
    with pytest.raises(ReviewError, match=path.name):
        journal.imports("answers")
    if damage == "journal gone":
        with pytest.raises(ReviewError, match=path.name):
            journal.add("answers", OTHER, by="bob", at="2")
        assert not path.exists(), "a new journal would hide what was decided before it"


def test_the_journal_is_there_before_the_first_import_so_that_a_kill_between_the_two_is_no_lost_journal(tmp_path: Path) -> None:
    digest, _ = Journal(tmp_path, "other").add("answers", ROWS, by="ada", at="1")
    journal = Journal(tmp_path, "quill")
    in_the_way = journal.folder / f"{digest}.json"
    in_the_way.mkdir(parents=True)
    with pytest.raises(OSError, match=digest):
        journal.add("answers", ROWS, by="ada", at="1")
    assert (journal.folder / "journal.json").is_file()
    in_the_way.rmdir()
    assert journal.add("answers", ROWS, by="ada", at="1") == (digest, True)


@pytest.mark.parametrize("domain", ["../x", "", "A b", "x\n"])
def test_a_domain_that_is_no_name_is_refused(tmp_path: Path, domain: str) -> None:
    with pytest.raises(ReviewError, match="cannot be reviewed"):
        Journal(tmp_path, domain)
