"""`alas review` as people meet it: out, filled in a spreadsheet, back, and what follows (E6, S13)."""

import csv
import io
import json
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from alas_assets.audit.trace import trace_row
from alas_assets.provenance.store import Cell
from alas_assets.records import AdapterRef
from alas_assets.review.sheet import unguard
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


def listed(home: Path, *arguments: str) -> list[dict[str, Any]]:
    return json.loads(alas(home, "review", "list", *arguments, "--format", "json").stdout)


def decide(
    harness: Harness, sheet: Path, changes: dict[str, dict[str, str]], *, by: str = "ada", iteration: int = 0
) -> list[dict[str, str]]:
    """Decide on the first wording of the facts with these answers, and import the sheet; returns its rows."""
    home = harness.settings.home
    alas(home, "review", "export", "quill", "--what", "pairs", "--iteration", str(iteration), "--out", str(sheet))
    rows = read(sheet)
    for answer, change in changes.items():
        next(row for row in rows if unguard(row["answer"]) == answer).update(change)
    save(sheet, rows)
    alas(home, "review", "import", "quill", str(sheet), "--by", by)
    return rows


REJECTED_AND_EDITED = {
    "GCC 12.3": {"decision": "edit", "answer": "12.3", "aliases": ""},
    "stamp()": {"decision": "reject fact", "comment": "of no use"},
    "quill.seal": {"decision": "approve"},
}


def test_decisions_on_earlier_pairs_are_listed_as_waiting_with_the_command_that_takes_them_up_and_then_by_which_iteration(
    twice: tuple[Harness, Site], tmp_path: Path
) -> None:
    harness = twice[0].copied(tmp_path)
    home = harness.settings.home
    decide(harness, tmp_path / "pairs.csv", REJECTED_AND_EDITED)
    before = {one["answer"]: one for one in listed(home)}
    assert {(one["domain"], one["iteration"], one["what"], one["by"]) for one in before.values()} == {("quill", "000", "pair", "ada")}
    assert {answer: (one["decision"], one["state"], one["command"]) for answer, one in before.items()} == {
        "GCC 12.3": ("edit", "waits", "alas run quill"),
        "stamp()": ("reject fact", "waits", "alas run quill"),
        "quill.seal": ("approve", "no effect", ""),
    }
    assert before["GCC 12.3"]["change"] == "answer '12.3', aliases none"
    text = alas(home, "review", "list", "quill", "--home", str(home)).stdout
    assert "quill, iteration 000" in text
    assert f"  pair {before['stamp()']['id']}  reject fact, by ada at {before['stamp()']['at']}: of no use" in text
    assert f"    {before['GCC 12.3']['question']} -> GCC 12.3; answer '12.3', aliases none\n    waits" in text
    assert f"2 waiting, taken up by: alas run quill --home {home}" in text
    told = "quill: 2 decisions of people wait: `alas run quill` takes them up, `alas review list quill` shows them"
    assert told in alas(home, "status").stdout
    assert f"not counted here: {told}" in alas(home, "estimate", "quill").stdout

    assert harness.run("quill", 1, dry_run=True).success
    after = {one["answer"]: one for one in listed(home, "quill")}
    assert {answer: (one["state"], one["taken_up_by"], one["command"]) for answer, one in after.items()} == {
        "GCC 12.3": ("taken up", "001", ""),
        "stamp()": ("taken up", "001", ""),
        "quill.seal": ("no effect", "", ""),
    }
    text = alas(home, "sources", f"http://127.0.0.1:{twice[1].port}/4.html").stdout
    assert "2 of these facts are overruled: a person rejected or corrected them since" in text
    anew = pairs_of(harness, 1).filter((pl.col("answer") == "12.3") & pl.col("accepted"))
    assert f"in their place: {anew['question'][0]} -> 12.3 (fact {anew['fact_id'][0]})" in text
    assert ": of no use; in their place: nothing" in text
    text = alas(home, "review", "list").stdout
    assert "    taken up by iteration 001" in text
    assert text.endswith("none waits\n")
    assert "decisions of people" not in alas(home, "status").stdout


def test_who_takes_a_decision_back_is_listed_and_waits_until_the_pair_is_taught_again(twice: tuple[Harness, Site], tmp_path: Path) -> None:
    harness = twice[0].copied(tmp_path)
    home, sheet = harness.settings.home, tmp_path / "pairs.csv"
    rows = decide(harness, sheet, {"stamp()": {"decision": "reject fact"}})
    assert harness.run("quill", 1, dry_run=True).success
    next(row for row in rows if row["decision"])["decision"] = "approve"
    save(sheet, rows)
    alas(home, "review", "import", "quill", str(sheet), "--by", "bob")
    first, second = listed(home, "quill")
    assert (first["by"], first["state"], first["because"]) == ("ada", "taken back", f"bob decided approve at {second['at']}")
    assert (second["state"], second["command"]) == ("waits", "alas run quill")
    assert "quill: 1 decision of people waits: `alas run quill` takes it up" in alas(home, "status").stdout
    assert harness.run("quill", 1, dry_run=True).success
    assert [one["state"] for one in listed(home, "quill")] == ["taken back", "no effect"]


def test_a_corrected_answer_that_is_edited_back_waits_and_then_the_first_edit_has_no_effect(
    twice: tuple[Harness, Site], tmp_path: Path
) -> None:
    harness = twice[0].copied(tmp_path)
    home = harness.settings.home
    decide(harness, tmp_path / "pairs.csv", {"GCC 12.3": REJECTED_AND_EDITED["GCC 12.3"]})
    assert harness.run("quill", 1, dry_run=True).success
    decide(harness, tmp_path / "back.csv", {"12.3": {"decision": "edit", "answer": "GCC 12.3"}}, iteration=1)
    states = [(one["iteration"], one["state"]) for one in listed(home, "quill")]
    assert states == [("000", "taken up"), ("001", "waits")]
    assert harness.run("quill", 1, dry_run=True).success
    edit, back = listed(home, "quill")
    assert (edit["state"], edit["because"]) == ("no effect", "a later decision on the same fact undoes it")
    assert (back["state"], back["taken_up_by"]) == ("taken up", "001")


def test_a_decision_that_a_closed_iteration_was_to_take_up_waits_for_the_next_and_one_on_its_own_pairs_for_a_retry(
    twice: tuple[Harness, Site], tmp_path: Path
) -> None:
    harness = twice[0].copied(tmp_path)
    home = harness.settings.home
    decide(harness, tmp_path / "pairs.csv", {"stamp()": {"decision": "reject fact"}})
    own = pairs_of(harness, 1).filter("accepted")["answer"][0]
    decide(harness, tmp_path / "own.csv", {own: {"decision": "reject fact"}}, iteration=1)
    assert harness.run("quill", 1, dry_run=True).success
    assert {one["state"] for one in listed(home)} == {"taken up"}
    alas(home, "abandon", "quill")
    assert [(one["answer"], one["state"], one["command"]) for one in listed(home)] == [
        ("stamp()", "waits", "alas run quill"),
        (own, "waits", "alas retry quill"),
    ]
    assert "`alas run quill` or `alas retry quill` takes them up" in alas(home, "status").stdout


def test_words_on_answers_are_listed_with_where_they_show(quill: Harness, tmp_path: Path) -> None:
    harness = quill.copied(tmp_path)
    home, sheet = harness.settings.home, tmp_path / "answers.csv"
    alas(home, "review", "export", "quill", "--share", "1.0", "--show-judge", "--out", str(sheet))
    rows = read(sheet)
    of_base = next(row for row in rows if row["system"] == "base")
    trained = next(row for row in rows if row["system"] == "sft" and row["judge_label"] != "correct")
    of_base["label"], trained["label"], trained["should_be"] = "correct", "incorrect", "a walrus"
    save(sheet, rows)
    alas(home, "review", "import", "quill", str(sheet), "--by", "ada")
    before = {one["id"]: one for one in listed(home)}
    own = before[trained["item"].removeprefix("a-")]
    assert (own["iteration"], own["decision"], own["change"], own["by"]) == ("000", "incorrect", "right is 'a walrus'", "ada")
    assert (own["question"], own["answer"], own["state"], own["command"]) == (
        trained["question"],
        trained["answer"],
        "waits",
        "alas run quill",
    )
    assert before[of_base["item"].removeprefix("a-")]["state"] == "counts"
    alas(home, "report-wrong", own["id"], "--should-be", "an owl", "--by", "bob")
    states = [(one["by"], one["state"], one["taken_up_by"]) for one in listed(home) if one["id"] == own["id"]]
    assert states == [("ada", "taken back", ""), ("bob", "taken up", "000")]


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def now_of(home: Path, answer: str) -> list[str]:
    """What a trace says can be done about an answer."""
    return json.loads(alas(home, "trace", answer, "--format", "json").stdout)["what_now"]


def test_who_calls_an_answer_wrong_is_led_to_its_pair_and_the_source_says_what_waits_and_what_became_of_it(
    quill: Harness, tmp_path: Path
) -> None:
    harness = quill.copied(tmp_path)
    home, sheet = harness.settings.home, tmp_path / "pairs.csv"
    scores = harness.store.read_table(harness.pointers("quill")["judge_scores"], "judge_scores")
    answer = scores.filter(pl.col("split") == "probe").row(0, named=True)
    url = trace_row(harness.store, Cell.of("quill", 0), answer).source
    assert url is not None
    assert now_of(home, answer["answer_id"]) == [], "what was taught is right"

    told = alas(home, "report-wrong", answer["answer_id"], "--should-be", "a walrus", "--by", "ada", "--home", str(home)).stdout
    (first, *_) = (line for line in told.splitlines() if line.startswith("now "))
    export, imported, run = re.findall(r"`alas ([^`]+)`", first)
    (item,) = re.findall(r"q-\w{20}", first)
    assert f"alas takedown {url.url} --home {home} --dry-run" in told
    before = alas(home, "sources", url.url).stdout
    assert "a person's word speaks against 1 of these facts, and no iteration took it up so far" in before
    assert "  denied   " in before
    assert f"says ada on {today()}, right is 'a walrus'" in before

    alas(home, *shlex.split(export), "--out", str(sheet))
    rows = read(sheet)
    next(row for row in rows if row["item"] == item)["decision"] = "reject fact"
    save(sheet, rows)
    alas(home, *shlex.split(imported.replace("FILE", str(sheet))), "--by", "ada")
    decided = f"reject fact by ada on {today()}"
    (waits, *_) = now_of(home, answer["answer_id"])
    assert waits.startswith(f"decided already: {decided}; `alas review list quill")
    assert f"  decided  {decided}; not taken up so far" in alas(home, "sources", url.url).stdout
    assert run == f"run quill --home {home}"
    assert harness.run("quill", dry_run=True).success
    after = alas(home, "sources", url.url).stdout
    assert "speaks against" not in after
    assert "not taken up" not in after


def test_a_word_that_the_model_is_wrong_and_its_pair_right_speaks_against_no_fact(quill: Harness, tmp_path: Path) -> None:
    harness = quill.copied(tmp_path)
    home = harness.settings.home
    scores = harness.store.read_table(harness.pointers("quill")["judge_scores"], "judge_scores")
    wrong = scores.filter(pl.col("split") == "probe", pl.col("label") == "incorrect").row(0, named=True)
    source = trace_row(harness.store, Cell.of("quill", 0), wrong).source
    assert source is not None
    told = alas(home, "report-wrong", wrong["answer_id"], "--should-be", wrong["gold"], "--by", "ada").stdout
    assert "BAD LEARNING" in told
    assert "now " not in told
    assert "denied" not in alas(home, "sources", source.url).stdout


def test_where_nobody_decided_anything_the_list_says_so_and_how_to(tmp_path: Path, quill: Harness) -> None:
    said = alas(quill.settings.home, "review", "list", "quill").stdout
    assert said.startswith("nobody has decided anything in quill yet; `alas review export DOMAIN` writes a sheet")
    assert "nobody has decided anything in any domain yet" in alas(tmp_path, "review", "list").stdout
    assert listed(tmp_path, "cves") == []
    assert "python-releases" in alas(tmp_path, "review", "list", "nosuch", code=2).stderr


def test_a_damaged_record_of_one_domain_is_named_and_the_others_are_listed(twice: tuple[Harness, Site], tmp_path: Path) -> None:
    harness = twice[0].copied(tmp_path)
    decide(harness, tmp_path / "pairs.csv", {"stamp()": {"decision": "reject"}})
    damaged = harness.settings.home / "review" / "cves" / "journal.json"
    damaged.parent.mkdir()
    damaged.write_text("{", encoding="utf-8")
    done = alas(harness.settings.home, "review", "list", code=1)
    assert "quill, iteration 000" in done.stdout
    assert "cves: " in done.stderr
    assert "restore it, or move its folder away" in " ".join(done.stderr.split())
    shown = alas(harness.settings.home, "status", code=1)
    assert re.search(r"^ *cves +-", shown.stdout, re.MULTILINE), "its row was left out"
    assert "quill: 1 decision of people waits" in shown.stdout
    assert "journal.json" in shown.stderr
