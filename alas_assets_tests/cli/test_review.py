"""`alas review` as people meet it: out, filled in a spreadsheet, back, and what follows (E6, S13)."""

import csv
import io
from pathlib import Path

import polars as pl

from alas_assets_tests.cli.test_cli import alas
from alas_assets_tests.harness import Harness, Site


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))


def save(path: Path, rows: list[dict[str, str]]) -> None:
    """Save a sheet as a spreadsheet in another country does."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, list(rows[0]), delimiter=";")
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(buffer.getvalue().encode("utf-8-sig"))


def test_answers_go_out_blind_and_come_back_as_agreement(quill: Harness, tmp_path: Path) -> None:
    home, sheet = quill.copied(tmp_path).settings.home, tmp_path / "answers.csv"
    said = alas(home, "review", "export", "quill", "--share", "0.2", "--out", str(sheet))
    rows = read(sheet)
    assert f"{len(rows)} of" in said.stdout
    assert set(rows[0]) == {"item", "question", "reference", "answer", "label", "error_type", "should_be", "comment"}
    assert "exists already" in alas(home, "review", "export", "quill", "--out", str(sheet), code=2).stderr
    for row in rows[1:]:
        row["label"] = "incorrect"
    save(sheet, rows)
    done = alas(home, "review", "import", "quill", str(sheet), "--by", "ada")
    assert f"{len(rows) - 1} answers decided, 1 rows left open" in done.stdout
    assert "rules and a person give the same label to" in done.stdout
    assert "as they were imported before" in alas(home, "review", "import", "quill", str(sheet), "--by", "ada").stdout
    assert "rules and a person give the same label to" in alas(home, "scoreboard", "quill").stdout
    rows[0]["label"] = "rihgt"
    save(sheet, rows)
    refused = alas(home, "review", "import", "quill", str(sheet), code=2).stderr
    assert "answers.csv: row 2, column label: 'rihgt' is none of correct, partial, incorrect" in refused


def test_pairs_are_decided_on_and_made_again_with_the_decisions_in_them(tiny_student: Path, quill_site: Site, tmp_path: Path) -> None:
    harness = Harness(tmp_path, str(tiny_student))
    harness.domain("reviewed", quill_site.port, max_topics="18")
    home, sheet = harness.settings.home, tmp_path / "pairs.csv"
    assert "run `alas run reviewed --dry-run` first" in alas(home, "review", "export", "reviewed", "--what", "pairs", code=1).stderr
    assert harness.run("reviewed", dry_run=True).success
    pairs = harness.store.read_table(harness.pointers("reviewed")["qa_pairs"], "qa_pairs").filter("accepted")
    alas(home, "review", "export", "reviewed", "--what", "pairs", "--out", str(sheet))
    rows = read(sheet)
    assert len(rows) == pairs.height
    first, other = (pairs.filter(pl.col("fact_id") == fact).row(0, named=True) for fact in pairs["fact_id"].unique(maintain_order=True)[:2])
    by_item = {row["item"]: row for row in rows}
    by_item[f"q-{first['qa_id']}"] |= {"decision": "reject fact", "comment": "of no use"}
    edited = by_item[f"q-{other['qa_id']}"]
    before = dict(edited)
    edited |= {"decision": "edit", "answer": "nonsense()", "aliases": ""}
    save(sheet, rows)
    refused = alas(home, "review", "import", "reviewed", str(sheet), "--by", "ada", code=2).stderr
    assert "column answer: the edited pair is refused: answer not in the quote" in refused
    assert not (harness.store.root / "review").exists()

    edited |= before | {"decision": "approve"}
    save(sheet, rows)
    done = alas(home, "review", "import", "reviewed", str(sheet), "--by", "ada")
    assert "1 approve, 1 reject fact" in done.stdout
    assert "alas run reviewed" in done.stdout
    assert harness.run("reviewed", dry_run=True).success
    assert harness.redone() == {"qa_pairs", "probes"}
    made = harness.store.read_table(harness.pointers("reviewed")["qa_pairs"], "qa_pairs")
    gone = made.filter(pl.col("fact_id") == first["fact_id"])
    assert set(gone["reason"]) == {"rejected by review: of no use"}
    assert gone["review"].str.starts_with("rejected by ada on ").all()
    assert made.filter(pl.col("review").str.starts_with("approved by ada on"))["qa_id"].to_list() == [other["qa_id"]]
    assert made.filter("accepted")["fact_id"].n_unique() == pairs["fact_id"].n_unique() - 1
    after = harness.pointers("reviewed")
    assert harness.run("reviewed", dry_run=True).success
    assert harness.redone() == set()
    assert harness.pointers("reviewed") == after


def test_wrong_usage_ends_with_exit_code_2(tmp_path: Path) -> None:
    assert "goes with" in alas(tmp_path, "review", "export", "cves", "--show-judge", "--what", "pairs", code=2).stderr
    assert "must end in .csv or .jsonl" in alas(tmp_path, "review", "import", "cves", str(tmp_path / "x.xlsx"), code=2).stderr
