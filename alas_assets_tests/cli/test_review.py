"""`alas review` as people meet it: out, filled in a spreadsheet, back, and what follows (E6, S13)."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from alas_assets.provenance.store import Cell
from alas_assets.provenance.trace import trace_row
from alas_assets.records import AdapterRef
from alas_assets_tests.cli.test_cli import alas
from alas_assets_tests.harness import Harness, Site, serving_more


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


def list_releases(site: Site, *numbers: int) -> None:
    """Let the site's front page link to these releases and no others."""
    site.page("/", "Quill release notes", "".join(f'<p><a href="/{number}.html">Quill {number}</a></p>' for number in numbers))


@pytest.fixture(scope="module")
def twice(tiny_student: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Harness, Site]]:
    """Two iterations of a domain up to their probes; only what says that the first one ended is put there by hand."""
    harness = Harness(tmp_path_factory.mktemp("twice"), str(tiny_student))
    with serving_more() as site:
        list_releases(site, 4)
        harness.domain("quill", site.port, max_topics="18")
        assert harness.run("quill", dry_run=True).success
        harness.revised("quill", 0, "continue")
        list_releases(site, 4, 3)
        assert harness.run("quill", 1, dry_run=True).success
        yield harness, site


def pairs_of(harness: Harness, iteration: int) -> pl.DataFrame:
    return harness.store.read_table(harness.pointers("quill", iteration)["qa_pairs"], "qa_pairs")


def test_pairs_of_an_earlier_iteration_are_decided_on_and_the_newest_takes_it_up(twice: tuple[Harness, Site], tmp_path: Path) -> None:
    harness = twice[0].copied(tmp_path)
    home, sheet, again = harness.settings.home, tmp_path / "pairs.csv", tmp_path / "again.csv"
    taught = pairs_of(harness, 0).filter("accepted")
    alas(home, "review", "export", "quill", "--what", "pairs", "--iteration", "0", "--out", str(sheet))
    rows = read(sheet)
    assert {row["item"] for row in rows} == {f"q-{qa}" for qa in taught["qa_id"]}
    wrong = next(row for row in rows if row["answer"] == "GCC 12.3")
    wrong |= {"decision": "edit", "answer": "12.3", "aliases": ""}
    useless = next(row for row in rows if row["answer"] == "stamp()")
    useless |= {"decision": "reject fact", "comment": "of no use"}
    poor = next(row for row in rows if row["answer"] == "quill.seal" and row["role"] == "probe")
    poor |= {"decision": "reject"}
    save(sheet, rows)
    done = alas(home, "review", "import", "quill", str(sheet), "--by", "ada").stdout
    assert "the pairs of quill|001 and what was trained on them are made again by: alas run quill" in done
    assert "3 on pairs of earlier iterations" in done

    assert harness.run("quill", 1, dry_run=True).success
    assert harness.redone() == {"qa_pairs", "probes"}
    gone = taught.filter(pl.col("answer").is_in(["GCC 12.3", "stamp()"]) | (pl.col("qa_id") == poor["item"].removeprefix("q-")))
    said = pairs_of(harness, 1).filter(pl.col("qa_id").is_in(gone["qa_id"].to_list()))
    assert said.height == gone.height
    assert not said["accepted"].any()
    assert said["review"].str.contains(" by ada on ").all()
    anew = pairs_of(harness, 1).filter((pl.col("answer") == "12.3") & pl.col("accepted"))
    assert set(anew["role"]) == {"train", "mine", "probe"}
    assert set(anew["fact_id"]).isdisjoint(taught["fact_id"])
    (wrong_fact,) = set(taught.filter(pl.col("answer") == "GCC 12.3")["fact_id"])
    asked = harness.store.read_table(harness.pointers("quill", 1)["probes"], "probes")
    earlier = asked.filter(pl.col("split") == "earlier")
    assert set(earlier["qa_id"]) == set(taught.filter(pl.col("role") == "probe")["qa_id"]) - set(gone["qa_id"])
    assert asked.filter((pl.col("answer") == "12.3") & (pl.col("split") == "probe")).height

    before = harness.pointers("quill", 1)
    assert harness.run("quill", 1, dry_run=True).success
    assert harness.pointers("quill", 1) == before
    alas(home, "review", "export", "quill", "--what", "pairs", "--iteration", "0", "--out", str(again))
    assert {row["item"] for row in read(again)} == {f"q-{qa}" for qa in set(taught["qa_id"]) - set(gone["qa_id"])}

    assert harness.run("quill", 1).success
    (shown, *_) = reversed(harness.check_shown(dg.AssetCheckKey(dg.AssetKey("qa_pairs"), "edits_taught")))
    assert (shown.passed, shown.description) == (True, "no edit was refused")
    adapter = harness.store.read_record(AdapterRef, harness.pointers("quill", 1)["sft_adapter"], "sft_adapter")
    rows = harness.store.read_training_rows("sft", adapter.rows_hash, ["row_id", "kind"])
    assert set(rows["row_id"]).isdisjoint(gone["qa_id"])
    assert set(anew.filter(pl.col("role") == "train")["qa_id"]) <= set(rows.filter(pl.col("kind") == "fact")["row_id"])
    assert set(rows.filter(pl.col("kind") == "rehearsal")["row_id"]) <= set(taught["qa_id"])
    answers = harness.store.read_table(harness.pointers("quill", 1)["judge_scores"], "judge_scores")
    asked_before = {**answers.row(0, named=True), "split": "earlier", "fact_id": wrong_fact}
    told = [pair for pair in trace_row(harness.store, Cell.of("quill", 1), asked_before).pairs if pair.accepted]
    assert told, "it was taught"
    assert all("edited by ada on " in pair.review for pair in told), "and a person took it back"


def test_what_was_corrected_is_taught_once_and_stays_gone_in_the_iterations_after(twice: tuple[Harness, Site], tmp_path: Path) -> None:
    harness = twice[0].copied(tmp_path)
    home, sheet = harness.settings.home, tmp_path / "pairs.csv"
    alas(home, "review", "export", "quill", "--what", "pairs", "--iteration", "0", "--out", str(sheet))
    rows = read(sheet)
    next(row for row in rows if row["answer"] == "GCC 12.3")["decision"] = "reject fact"
    save(sheet, rows)
    alas(home, "review", "import", "quill", str(sheet), "--by", "ada")
    assert harness.run("quill", 1, dry_run=True).success
    harness.revised("quill", 1, "continue")
    list_releases(twice[1], 4, 3, 2)
    assert harness.run("quill", 2, dry_run=True).success
    assert pairs_of(harness, 2).filter(pl.col("review") != "").is_empty()
    asked = harness.store.read_table(harness.pointers("quill", 2)["probes"], "probes")
    assert "GCC 12.3" not in set(asked["answer"])
    assert {"quill.seal", "stamp()"} <= set(asked.filter(pl.col("split") == "earlier")["answer"])


def test_of_an_earlier_pair_only_the_answer_can_be_edited(twice: tuple[Harness, Site], tmp_path: Path) -> None:
    harness = twice[0].copied(tmp_path)
    home, sheet = harness.settings.home, tmp_path / "pairs.csv"
    alas(home, "review", "export", "quill", "--what", "pairs", "--iteration", "0", "--out", str(sheet))
    rows = read(sheet)
    rows[0] |= {"decision": "edit", "question": "What else is there in Quill?"}
    save(sheet, rows)
    refused = alas(home, "review", "import", "quill", str(sheet), code=2).stderr
    assert "only the answer can be edited; a wrong question can be rejected" in " ".join(refused.split())
    assert "has no pair that is taught" in alas(home, "review", "export", "quill", "--what", "pairs", "--iteration", "7", code=1).stderr
