"""The `alas` command as people and scripts meet it: a subprocess, its output, its exit code (0 done, 1 failed, 2 wrong usage)."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from dagster import AssetKey

from alas_assets.audit.render import wrong_text
from alas_assets.audit.verdict import says
from alas_assets.defs.curriculum import inherited
from alas_assets.defs.judging import DECODING
from alas_assets.provenance.store import Cell
from alas_assets.records import SCOREBOARD_SCHEMA, RevisedCurriculum
from alas_assets.students.answering import AskItem
from alas_assets.synthesis.questions import read_guards
from alas_assets_tests.harness import Harness, Site
from alas_assets_tests.released import adapter_of, released


def alas(home: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "DAGSTER_HOME"} | {"ALAS_HOME": str(home), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "alas_assets.cli", *arguments], capture_output=True, text=True, check=False, env=environment, timeout=240
    )
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


def test_help_names_every_command_under_what_it_is_for(tmp_path: Path) -> None:
    text = alas(tmp_path, "--help").stdout
    for command in (
        "demo",
        "run",
        "open",
        "status",
        "scoreboard",
        "trace",
        "sources",
        "takedown",
        "report-wrong",
        "ask-again",
        "verify-sources",
        "exam",
        "estimate",
        "ask",
        "new",
        "guards",
        "rollback",
        "gc",
        "watch",
        "retry",
        "abandon",
        "review",
        "ui",
    ):
        assert f" {command} " in text
    assert "\u256d\u2500 Run the loop" in text
    assert "\u256d\u2500 Commands" not in text, "a command that belongs to no panel"


@pytest.mark.parametrize(
    "arguments",
    [("run",), ("run", "nosuchdomain"), ("nosuchcommand",), ("scoreboard", "../../x"), ("run", "cves", "--iterations", "0")],
)
def test_wrong_usage_ends_with_exit_code_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert alas(tmp_path, *arguments, code=2).stderr


def test_an_unknown_domain_names_those_there_are(tmp_path: Path) -> None:
    assert "python-releases" in alas(tmp_path, "run", "nosuch", code=2).stderr


def test_what_was_never_run_says_which_command_runs_it(tmp_path: Path) -> None:
    for form in ("table", "json"):
        assert "alas run cves" in alas(tmp_path, "scoreboard", "cves", "--format", form, code=1).stderr


def test_status_shows_every_domain_and_where_things_lie(quill: Harness) -> None:
    text = alas(quill.settings.home, "status").stdout
    assert "quill" in text
    assert str(quill.settings.home) in text


def test_status_shows_the_other_domains_where_one_has_a_damaged_registry(tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "cves.json").write_text("{", encoding="utf-8")
    shown = alas(tmp_path, "status", code=1)
    assert "python-releases" in shown.stdout
    assert re.search(r"cves\.json: cannot be read \(file: Invalid JSON.*\); restore it from a copy", " ".join(shown.stderr.split()))


def test_a_damaged_registry_is_named_by_commands_that_need_it(quill: Harness, tmp_path: Path) -> None:
    home = released(quill, tmp_path).settings.home
    answer = quill.store.read_table(quill.pointers("quill")["judge_scores"], "judge_scores")["answer_id"][0]
    (home / "registry" / "quill.json").write_text("{", encoding="utf-8")
    for command in (
        ("scoreboard", "quill"),
        ("trace", answer),
        ("ask", "quill", "What?"),
        ("gc", "quill"),
    ):
        assert "quill.json: cannot be read (file: Invalid JSON" in alas(home, *command, code=1).stderr, command
    (home / "registry" / "quill.json").unlink()
    assert "quill has no promotion on record any more: current is the base student" in alas(home, "status").stdout


def test_scoreboard_json_is_what_a_script_can_rely_on(quill: Harness) -> None:
    rows = json.loads(alas(quill.settings.home, "scoreboard", "quill", "--format", "json").stdout)
    assert {frozenset(row) for row in rows} == {frozenset(SCOREBOARD_SCHEMA.names())}
    assert {row["system"] for row in rows} >= {"base", "rag", "sft", "dpo", "current"}
    for row in rows:
        assert isinstance(row["iteration"], int)
        assert 0 <= row["ci_low"] <= row["accuracy"] <= row["ci_high"] <= 1
        assert row["accuracy"] == pytest.approx(row["correct"] / row["n"])


def test_trace_prints_the_walk_in_text_and_json(quill: Harness) -> None:
    answers = quill.store.read_table(quill.pointers("quill")["judge_scores"], "judge_scores").filter(pl.col("split") == "probe")
    answer = answers["answer_id"][0]
    text = alas(quill.settings.home, "trace", answer).stdout
    trace = json.loads(alas(quill.settings.home, "trace", answer, "--format", "json").stdout)
    assert trace["source"]["url"] in text
    assert "stands in the stored page" in text
    assert f"verdict  {trace['verdict']['kind'].upper()}: {trace['verdict']['because']}" in text
    otherwise = json.loads(alas(quill.settings.home, "trace", answer, "--should-be", "a walrus", "--format", "json").stdout)
    assert (otherwise["verdict"]["kind"], otherwise["verdict"]["truth"]) == ("bad source", "a walrus")
    alas(quill.settings.home, "trace", "nosuchanswer", code=1)


def test_a_trace_is_printed_also_where_its_verdict_misses_a_file(quill: Harness, tmp_path: Path) -> None:
    home = Path(shutil.copytree(quill.settings.home, tmp_path / "store", ignore=shutil.ignore_patterns("dagster")))
    answers = quill.store.read_table(quill.pointers("quill")["judge_scores"], "judge_scores").filter(pl.col("split") == "probe")
    (home / "artifacts" / "adapters" / answers["adapter_hash"][0] / "manifest.json").unlink()
    done = alas(home, "trace", answers["answer_id"][0], code=1)
    assert "stands in the stored page" in done.stdout
    assert "materialise the adapter of that cell again" in done.stderr.replace("\n", " ")


def test_a_trace_is_a_file_with_the_quote_marked_in_its_page(quill: Harness, tmp_path: Path) -> None:
    scores = quill.store.read_table(quill.pointers("quill")["judge_scores"], "judge_scores")
    answer = scores.filter(pl.col("split") == "probe")["answer_id"][0]
    file = tmp_path / "trace.html"
    assert str(file) in alas(quill.settings.home, "trace", answer, "--format", "html", "--out", str(file)).stdout
    assert '<mark id="quote">' in file.read_text(encoding="utf-8")
    alas(quill.settings.home, "trace", answer, "--format", "html")
    assert (quill.settings.home / "reports" / f"trace-{answer}.html").is_file()
    alas(quill.settings.home, "trace", answer, "--out", "x.html", code=2)
    alas(quill.settings.home, "trace", answer, "--format", "html", "--out", str(tmp_path / "trace.html" / "x"), code=2)
    alas(quill.settings.home, "trace", code=2)
    alas(quill.settings.home, "trace", answer, "--question", "What?", code=2)
    alas(quill.settings.home, "trace", "--question", "What?", code=2)


def test_a_question_in_free_words_is_asked_and_traced_to_the_fact_of_like_meaning(quill: Harness) -> None:
    asked = ("--question", "Which function did quill.ink gain in Quill 3?", "--domain", "quill")
    trace = json.loads(alas(quill.settings.home, "trace", *asked, "--format", "json").stdout)
    assert trace["split"] == "asked"
    assert trace["source"]["url"].endswith("/3.html")
    assert trace["gold"] == "blot()"
    assert trace["verdict"]["kind"] in ("bad learning", "never taught")
    assert trace["nearest_probes"]
    text = alas(quill.settings.home, "trace", *asked).stdout
    assert all(f"answer {probe['answer_id']}" in text for probe in trace["nearest_probes"])
    assert trace["answer_id"] == "", "what is kept nowhere has no id that would lead nowhere"
    assert "alas report-wrong --domain quill --question 'Which function did quill.ink gain in Quill 3?' --should-be" in text


def test_an_answer_met_in_practice_is_reported_with_its_question_and_is_lost_to_nobody(quill: Harness, tmp_path: Path) -> None:
    home = released(quill, tmp_path).settings.home
    question = "Which function did quill.ink gain in Quill 3?"
    hint = alas(home, "ask", "quill", question, "--home", str(home)).stdout.rstrip().splitlines()[-1]
    assert f"alas report-wrong --home {home} --domain quill" in hint, "it would be kept in another store"
    command = shlex.split(hint.partition("alas ")[2])
    assert command[-1] == "what is right"
    told = alas(home, *command[:-1], "a walrus", "--by", "ann").stdout
    answer = re.search(r"kept: answer (\w{20}) of quill\|000 is wrong", told)
    assert answer, told
    assert "wrong_answers of quill|000 is up to date" in told
    (row,) = (row for row in json.loads(alas(home, "wrong", "quill", "--format", "json").stdout) if row["answer_id"] == answer[1])
    assert (row["question"], row["truth"], row["counted_by"]) == (question, "a walrus", ["a person"])
    assert (row["split"], row["is_current"], row["url"].rpartition("/")[2]) == ("asked", True, "3.html")
    trace = json.loads(alas(home, "trace", answer[1][:12], "--format", "json").stdout)
    assert (trace["question"], trace["said"]["by"], trace["verdict"]["truth"]) == (question, "ann", "a walrus")
    assert "found by meaning" in trace["note"]
    assert "  right    a walrus, says ann; graded against: " in alas(home, "trace", answer[1]).stdout
    assert not {"probes", "judge_scores", "baseline_scores"} & {run["step"] for run in trace["runs"]}
    assert "(not the same)" not in alas(home, "ask-again", answer[1]).stdout
    assert "takes the place of what ann said" in alas(home, "report-wrong", answer[1], "--should-be", "a seal", "--by", "ben").stdout
    alas(home, "report-wrong", code=2)
    alas(home, "report-wrong", answer[1], "--question", question, "--domain", "quill", code=2)
    alas(home, "report-wrong", "--question", question, code=2)


def test_a_reported_answer_is_wrong_by_that_word_and_the_list_in_the_ui_says_so(quill: Harness) -> None:
    scores = quill.store.read_table(quill.pointers("quill")["judge_scores"], "judge_scores")
    answer = scores.filter(pl.col("split") == "probe")["answer_id"][1]
    told = ("report-wrong", answer, "--should-be", "a walrus", "--comment", "seen it", "--by", "ann")
    assert "BAD SOURCE" in alas(quill.settings.home, *told).stdout
    assert "was kept before" in alas(quill.settings.home, *told).stdout
    wrong = quill.store.read_table(quill.pointers("quill")["wrong_answers"], "wrong_answers")
    (row,) = wrong.filter(pl.col("answer_id") == answer).to_dicts()
    assert (row["truth"], row["verdict"], row["counted_by"]) == ("a walrus", "bad source", ["probe", "a person"])
    listed = json.loads(alas(quill.settings.home, "wrong", "quill", "--all", "--format", "json").stdout)
    assert listed == json.loads(wrong.write_json())
    everything = alas(quill.settings.home, "wrong", "quill", "--all", "--limit", "999").stdout
    assert answer in everything
    assert everything.rstrip().endswith(wrong_text(wrong))
    about_facts = alas(quill.settings.home, "wrong", "quill").stdout
    assert about_facts.rstrip().endswith(f"{wrong_text(wrong)}; --all lists them all")
    other = alas(quill.settings.home, "report-wrong", answer, "--should-be", "a seal", "--by", "ben").stdout
    assert "takes the place of what ann said" in other
    assert "right is 'a walrus'" in other
    assert "is empty" in alas(quill.settings.home, "report-wrong", answer, "--should-be", " ", code=2).stderr
    (row, *_) = (row for row in scores.to_dicts() if row["answer"].strip() and says(row["question"], row["answer"], row["answer"]))
    same = alas(quill.settings.home, "report-wrong", row["answer_id"], f"--should-be={row['answer']}"[:200], code=2)
    assert "nothing is kept" in same.stderr
    alas(quill.settings.home, "report-wrong", answer, "--should-be", "x" * 201, code=2)
    alas(quill.settings.home, "report-wrong", "nosuch", code=1)
    base = quill.store.read_table(quill.pointers("quill")["baseline_scores"], "baseline_scores").filter(pl.col("system") == "base")
    assert "wrong_answers does not list it" in alas(quill.settings.home, "report-wrong", base["answer_id"][0]).stdout
    shutil.rmtree(quill.settings.home / "review")
    assert quill.run("quill").success


def test_wrong_lists_what_base_and_retrieval_say_wrong_too_and_each_of_their_ids_can_be_traced(quill: Harness) -> None:
    home = quill.settings.home
    scores = quill.store.read_table(quill.pointers("quill")["baseline_scores"], "baseline_scores").filter(pl.col("label") != "correct")
    for system in ("base", "rag"):
        listed = json.loads(alas(home, "wrong", "quill", "--system", system, "--all", "--format", "json").stdout)
        assert {row["answer_id"] for row in listed} == set(scores.filter(pl.col("system") == system)["answer_id"])
    taught = json.loads(alas(home, "wrong", "quill", "--system", "rag", "--format", "json").stdout)
    assert taught
    assert all(row["url"] for row in taught)
    text = alas(home, "wrong", "quill", "--system", "rag").stdout
    assert taught[0]["answer_id"] in text
    assert f"rag of quill|000 answers {len(listed)} questions wrong: {len(taught)} about taught facts, " in text
    assert "BAD" in (shown := alas(home, "trace", taught[0]["answer_id"]).stdout) or "NEVER TAUGHT" in shown
    assert "did not ask 'previous', only base, rag, sft, dpo" in alas(home, "wrong", "quill", "--system", "previous", code=1).stderr
    alas(home, "wrong", "quill", "--system", "nobody", code=2)


@pytest.mark.parametrize(("asset", "system"), [("judge_scores", "sft"), ("baseline_scores", "rag"), ("baseline_scores", "base")])
def test_a_past_answer_is_asked_again_with_the_model_and_passages_of_its_time(quill: Harness, asset: str, system: str) -> None:
    scores = quill.store.read_table(quill.pointers("quill")[asset], asset).filter(
        (pl.col("system") == system) & (pl.col("split") == "probe")
    )
    past = (scores.filter(pl.col("context_hash") != "") if system == "rag" else scores).row(0, named=True)
    text = alas(quill.settings.home, "ask-again", past["answer_id"]).stdout
    said, says = (line[9:].strip() for line in text.splitlines() if line.startswith(("said ", "says ")))
    assert said == says
    assert ("shown " in text) == (system == "rag")


def test_what_cannot_be_asked_as_it_was_is_refused_and_names_what_is_missing(quill: Harness, tmp_path: Path) -> None:
    home = Path(shutil.copytree(quill.settings.home, tmp_path / "store", ignore=shutil.ignore_patterns("dagster")))
    scores = quill.store.read_table(quill.pointers("quill")["judge_scores"], "judge_scores")
    weights = next((home / "artifacts" / "adapters" / scores["adapter_hash"][0]).glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1])
    told = " ".join(alas(home, "ask-again", scores["answer_id"][0], code=1).stderr.split())
    assert "is damaged; materialise sft_adapter of quill|000 again" in told
    alas(home, "ask-again", "nosuch", code=1)


def test_verify_sources_says_that_every_quote_stands_or_which_does_not(quill: Harness, quill_site: Site) -> None:
    before = dict(quill_site.pages)
    assert "taught facts stand" in alas(quill.settings.home, "verify-sources", "quill").stdout
    try:
        quill_site.pages["/3.html"] = quill_site.pages["/3.html"].replace("blot()", "smear()")
        shown = alas(quill.settings.home, "verify-sources", "quill", "--format", "json", code=1).stdout
    finally:
        quill_site.pages.update(before)
    drifted = [fact for fact in json.loads(shown)["facts"] if fact["state"] != "stands"]
    assert drifted
    assert all(fact["state"] == "quote gone" and "blot" in fact["quote"] for fact in drifted)


def test_sources_prints_what_a_page_taught_in_text_and_json(quill: Harness, quill_site: Site) -> None:
    page = f"http://127.0.0.1:{quill_site.port}/3.html"
    derived = json.loads(alas(quill.settings.home, "sources", page, "--format", "json").stdout)
    text = alas(quill.settings.home, "sources", page).stdout
    assert derived["facts"]
    assert all(fact["quote"] in text for fact in derived["facts"])
    alas(quill.settings.home, "sources", page, "--format", "html")
    alas(quill.settings.home, "sources", page, "--out", "x.html", code=2)
    alas(quill.settings.home, "sources", page, "--format", "html", "--out", "/proc/x.html", code=2)
    (report,) = (quill.settings.home / "reports").glob("source-*.html")
    assert "Adapters that learned from it" in report.read_text(encoding="utf-8")
    assert " read, such as" in alas(quill.settings.home, "sources", "https://nobody.example/", code=1).stderr


def test_exam_asks_base_and_current_and_reports_the_paraphrase_apart(quill: Harness, tmp_path: Path) -> None:
    exam = tmp_path / "exam.jsonl"
    lines = [
        {
            "id": "1",
            "question": "Which function did quill.ink gain?",
            "answer": "blot()",
            "aliases": [],
            "paraphrase": "quill.ink has a new function; which?",
        },
        {"id": "2", "question": "Who wrote Quill?", "answer": "Ada", "aliases": []},
    ]
    exam.write_text("\n".join(map(json.dumps, lines)))
    rows = json.loads(alas(quill.settings.home, "exam", "quill", str(exam), "--format", "json").stdout)
    assert {(row["system"], row["split"], row["n"]) for row in rows} == {
        ("base", "exam", 2),
        ("base", "exam_paraphrase", 1),
        ("current", "exam", 2),
        ("current", "exam_paraphrase", 1),
    }


def test_a_bad_exam_line_is_named(quill: Harness, tmp_path: Path) -> None:
    exam = tmp_path / "exam.jsonl"
    exam.write_text('{"id": "1", "question": "?"}\n')
    message = alas(quill.settings.home, "exam", "quill", str(exam), code=2).stderr
    assert "exam.jsonl" in message.replace("\n", "")
    assert "1" in message


def test_ask_shows_what_the_answer_rests_on_or_says_that_nothing_taught_it(quill: Harness) -> None:
    text = alas(quill.settings.home, "ask", "quill", "Which function did the quill.ink module gain?", "--system", "all").stdout
    assert "base" in text
    assert "/3.html" in text
    assert "current  " in text
    assert "the base student answers now" in text


def test_ask_shows_each_passage_that_stood_beside_the_question_with_its_url_and_its_place(quill: Harness) -> None:
    text = alas(quill.settings.home, "ask", "quill", "Which function did the quill.ink module gain?", "--system", "rag").stdout
    count = re.search(r"it was shown (\d) passage", text)
    places = re.findall(
        r"    shown    (http://\S+)  \(fetched \S+\)\n      (.+)\n +http://127\.0\.0\.1:8316/texts/(\w{64})\?start=(\d+)&end=(\d+)", text
    )
    assert count
    assert len(places) == int(count[1]) > 0
    for url, said, sha, start, end in places:
        stored = (quill.store.texts / sha).read_text(encoding="utf-8")[int(start) : int(end)]
        assert url.startswith("http://127.0.0.1:")
        assert " ".join(stored.split()) in said
    assert "answers now" not in text, "it is not the model in place that was asked"


def test_an_empty_question_is_wrong_usage(tmp_path: Path) -> None:
    assert "empty" in alas(tmp_path, "ask", "python-releases", " ", code=2).stderr


def test_rollback_without_a_promotion_says_so(quill: Harness) -> None:
    assert alas(quill.settings.home, "rollback", "quill", code=1).stderr


def test_a_rollback_changes_nothing_where_a_database_of_dagsters_is_damaged_and_names_it(tmp_path: Path) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    harness.domain("quill", 9)
    registry, database = harness.alas.registry, harness.settings.dagster_home / "history" / "runs.db"
    for iteration, (adapter, before) in enumerate([("a" * 64, None), ("b" * 64, "a" * 64)]):
        registry.promote("quill", adapter, iteration=iteration, decision_hash=adapter, run_id="r", at="2026-11-29", previous=before)
    harness.instance.dispose()
    database.write_bytes(b"torn" * 3000)
    assert f"{database}: damaged" in "".join(alas(harness.settings.home, "rollback", "quill", code=1).stderr.splitlines())
    assert registry.current("quill") == "b" * 64
    for path in database.parent.glob("runs.db*"):
        path.unlink()
    alas(harness.settings.home, "rollback", "quill")
    assert registry.current("quill") == "a" * 64


def test_one_rollback_leads_to_the_base_student_and_says_how_often_to_take_it_back(tmp_path: Path) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    harness.domain("quill", 9)
    home, registry = harness.settings.home, harness.alas.registry
    for iteration, (adapter, before) in enumerate([("a" * 64, None), ("b" * 64, "a" * 64)]):
        registry.promote("quill", adapter, iteration=iteration, decision_hash=adapter, run_id="r", at="2026-11-29", previous=before)
    assert "give one of them" in alas(home, "rollback", "quill", "--to-base", "--undo", code=2).stderr
    said = " ".join(alas(home, "rollback", "quill", "--to-base").stdout.split())
    assert said.startswith(f"current was {'b' * 64} current is the base student to take it back: alas rollback quill --undo")
    assert said.endswith("(2 times, a step each)")
    shown = [record.asset_observation for record in harness.instance.fetch_observations(AssetKey("scoreboard"), limit=3).records]
    assert [one.metadata["current_after"].value for one in shown if one] == ["base student", "a" * 64]
    for adapter in ("a" * 64, "b" * 64):
        alas(home, "rollback", "quill", "--undo")
        assert registry.current("quill") == adapter


def test_status_and_scoreboard_say_that_the_scores_are_not_those_of_what_is_current(quill: Harness, tmp_path: Path) -> None:
    quill = quill.copied(tmp_path)
    assert "rolled back" not in alas(quill.settings.home, "status").stdout
    quill.alas.registry.promote("quill", "a" * 64, iteration=0, decision_hash="d", run_id="r", at="2026-11-22", previous=None)
    assert f"quill has another model since: current is {'a' * 16}" in alas(quill.settings.home, "status").stdout
    because = ("--reason", "it says [odd] things", "--by", "Ada")
    assert "current is  the base student" in alas(quill.settings.home, "rollback", "quill", *because).stdout
    assert "current is  aaaa" in alas(quill.settings.home, "rollback", "quill", "--undo").stdout
    assert "200 characters at most" in alas(quill.settings.home, "rollback", "quill", "--reason", "x" * 201, code=2).stderr
    alas(quill.settings.home, "rollback", "quill")
    found = quill.instance.fetch_observations(AssetKey("scoreboard"), limit=3).records
    shown = [record.asset_observation for record in found if record.asset_observation]
    assert [one.partition for one in shown] == ["quill"] * 3
    assert [one.metadata["current_after"].value for one in shown] == ["base student", "a" * 64, "base student"]
    assert (shown[-1].metadata["by"].value, shown[-1].metadata["reason"].value) == ("Ada", "it says [odd] things")


def test_status_and_scoreboard_name_who_rolled_back_and_why_as_long_as_that_stands(quill: Harness, tmp_path: Path) -> None:
    harness = released(quill, tmp_path)
    home, registry = harness.settings.home, harness.alas.registry
    registry.promote("quill", "b" * 64, iteration=1, decision_hash="d", run_id="r", at="2026-11-22", previous=registry.current("quill"))
    registry.rollback("quill", by="Ada", reason="it says [odd] things")
    registry.rollback("quill", by="Eve", reason="all of it is odd")
    registry.undo_rollback("quill", by="Ben", reason="not all")
    registry.rollback("quill", by="Cleo", reason="all the same")
    assert "quill was rolled back by Cleo (all the same): current is the base student" in alas(home, "scoreboard", "quill").stdout
    registry.undo_rollback("quill", by="Ben", reason="not all")
    assert "rolled back" not in alas(home, "status").stdout, "the one that the gate made current is current again"


def test_an_auditor_is_told_which_adapter_answers_now_and_who_rolled_back_which_other(quill: Harness, tmp_path: Path) -> None:
    harness = released(quill, tmp_path)
    home, trained = harness.settings.home, f"sft adapter {adapter_of(harness)[:16]} of quill|000"
    before = alas(home, "wrong", "quill").stdout
    assert f"{trained} answers now\n" in before
    assert "rolled back" not in before
    asked = ("trace", "--question", "Which function did quill.ink gain in Quill 3?", "--domain", "quill")
    assert f"  model    {trained} answers now\n" in alas(home, *asked).stdout
    alas(home, "rollback", "quill", "--reason", "it says [odd] things", "--by", "Ada")
    told = re.compile(rf"the base student answers now; Ada rolled back {re.escape(trained)} on [-\d]+T[\d:+]+ \(it says \[odd\] things\)")
    after = alas(home, "wrong", "quill", "--home", str(home)).stdout
    assert told.search(after)
    assert f"`alas wrong quill --system base --home {home}` lists what answers now" in after
    assert "the model that the newest gate left in place answers " in after
    assert before.count("\n  said ") == after.count("\n  said "), "the list itself is what it was"
    assert told.search(json.loads(alas(home, *asked, "--format", "json").stdout)["in_place"])
    file = tmp_path / "trace.html"
    alas(home, *asked, "--format", "html", "--out", str(file))
    assert told.search(file.read_text(encoding="utf-8"))
    assert "the list is of" not in alas(home, "wrong", "quill", "--system", "base").stdout
    alas(home, "rollback", "quill", "--undo", "--by", "Ben")
    assert alas(home, "wrong", "quill").stdout == before


def test_gc_frees_nothing_that_is_named(quill: Harness) -> None:
    before = quill.pointers("quill")
    alas(quill.settings.home, "gc", "quill")
    assert quill.run("quill").success
    assert quill.redone() == set()
    assert quill.pointers("quill") == before


def test_guards_keeps_the_questions_that_the_domains_own_student_answers_and_writes_over_nothing(quill: Harness, tmp_path: Path) -> None:
    (said,) = quill.alas.worker.answer(quill.alas.student(quill.alas.domain("quill")), [AskItem(question="What is said?")], None, DECODING)
    word = re.findall(r"\w+", said.text)[0]
    asked = tmp_path / "asked.jsonl"
    lines = [{"id": "a", "question": "What is said?", "answer": word}, {"id": "b", "question": "What is not?", "answer": "never said so"}]
    asked.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    kept, home = tmp_path / "kept.jsonl", quill.settings.home
    done = alas(home, "guards", "quill", str(kept), "--from", str(asked))
    assert "1 of 2 are answered right" in done.stdout
    assert "fewer than 150" in done.stdout
    assert [question.id for question in read_guards(kept)] == ["a"]
    assert "is there already" in alas(home, "guards", "quill", str(kept), "--from", str(asked), code=2).stderr
    asked.write_text(json.dumps(lines[1]), encoding="utf-8")
    none = alas(home, "guards", "quill", str(tmp_path / "none.jsonl"), "--from", str(asked), code=1)
    assert "it answers none of 1 right" in none.stderr
    assert not (tmp_path / "none.jsonl").exists()


def test_new_writes_a_domain_that_status_then_shows(tmp_path: Path) -> None:
    alas(tmp_path, "new", "rust", "--describe", "New Rust releases and what they stabilise", "--url", "https://blog.example.org/")
    assert "rust" in alas(tmp_path, "status").stdout
    for taken in ("rust", "python-releases"):
        refused = alas(tmp_path, "new", taken, "--describe", "New Rust releases and more", "--url", "https://blog.example.org/", code=2)
        assert "exists already" in refused.stderr
    secret = alas(tmp_path, "new", "go", "--describe", "New Go releases and more", "--url", "https://me:hush@example.org/", code=2)
    assert "hush" not in secret.stderr
    assert not (tmp_path / "domains" / "go.toml").exists()


def test_new_needs_something_to_read_and_says_that_it_lets_a_private_host_pass(tmp_path: Path) -> None:
    described = ("new", "own", "--describe", "What our own tools have new, release by release")
    assert "--feed" in alas(tmp_path, *described, code=2).stderr
    written = alas(tmp_path, *described, "--feed", "http://127.0.0.1:8000/feed.xml", "--watch", "http://127.0.0.1:8000/next.html")
    assert "private_hosts lets 127.0.0.1:8000 be read" in written.stdout


def test_open_adds_the_cell_and_prints_it_and_refuses_while_it_is_unfinished(tmp_path: Path, quill_site: Site) -> None:
    Harness(tmp_path, "no-student-is-needed-here").domain("opened", quill_site.port)
    home = tmp_path / "store"
    assert alas(home, "open", "opened").stdout.strip() == "opened|000"
    assert "alas run opened" in alas(home, "open", "opened", code=1).stderr


def test_an_unfinished_iteration_can_be_closed_by_hand_and_then_does_not_stand_in_the_way(tmp_path: Path, quill_site: Site) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    harness.domain("quill", quill_site.port)
    assert "no unfinished iteration" in alas(harness.settings.home, "abandon", "quill", code=1).stderr
    assert "alas run quill" in alas(harness.settings.home, "retry", "quill", code=1).stderr
    harness.finished("quill", 0)
    harness.opened("quill", 1)
    assert "alas retry quill" in alas(harness.settings.home, "abandon", "quill", "--because", "the site moved").stdout
    shown = alas(harness.settings.home, "status").stdout
    assert "closed as failed: the site moved" in shown
    assert "no unfinished iteration" in alas(harness.settings.home, "abandon", "quill", code=1).stderr
    assert "student no-student" in alas(harness.settings.home, "run", "quill", code=1).stderr
    assert [path.name for path in sorted((harness.store.root / "cells" / "quill").iterdir())] == ["000", "001", "002"]


def test_watching_a_domain_without_pages_or_feeds_says_what_opens_its_iterations(tmp_path: Path) -> None:
    shown = alas(tmp_path, "watch", "on", "cves").stdout
    assert "no page or feed of cves is watched: sources.watch_urls, seed_urls, feeds and github name none" in shown
    assert "24 h (freshness_hours)" in shown
    assert f"cves was never run in {tmp_path}: the daemon opens its first iteration there, as `alas run cves` would" in shown
    assert "watched: cves" in shown
    again = alas(tmp_path, "watch", "on", "python-releases")
    assert "no page or feed" not in again.stdout
    assert "code server" not in again.stdout + again.stderr, "what Dagster's own processes log is not what was asked for"
    assert "watched: cves" in alas(tmp_path, "watch", "off", "python-releases").stdout
    assert "the sensors are off" in alas(tmp_path, "watch", "off", "cves").stdout


def test_watching_a_domain_that_has_an_iteration_says_nothing_of_a_first_one(tmp_path: Path) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    harness.domain("quill", 9)
    harness.opened("quill", 0)
    assert alas(harness.settings.home, "watch", "on", "quill").stdout == "watched: quill. The daemon of `make ui` does the work.\n"


def test_a_further_command_is_named_with_the_store_that_was_given(tmp_path: Path) -> None:
    harness = Harness(tmp_path / "given", "no-student-is-needed-here")
    harness.domain("quill", 9)
    store = str(harness.settings.home)
    opened = alas(tmp_path / "usual", "open", "quill", "--home", store)
    assert f"or with: alas run quill --home {store}\n" in opened.stderr
    watched = alas(tmp_path / "usual", "watch", "on", "quill", "--home", store)
    assert watched.stdout.endswith(f"watched: quill. The daemon of `alas ui --home {store}` does the work.\n")


def test_any_command_that_is_interrupted_ends_with_code_1_and_one_line(tmp_path: Path) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        harness.domain("quill", silent.getsockname()[1])
        command = [sys.executable, "-m", "alas_assets.cli", "estimate", "quill", "--home", str(harness.settings.home)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as estimate, silent.accept()[0]:
            estimate.send_signal(signal.SIGINT)
            said = estimate.communicate(timeout=60)[1]
    assert (estimate.returncode, said.strip().splitlines()[-1]) == (1, "interrupted; what is finished is kept")
    assert "Traceback" not in said


def test_a_run_that_is_interrupted_says_that_the_same_command_goes_on(tmp_path: Path) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        harness.domain("quill", silent.getsockname()[1])
        command = [sys.executable, "-m", "alas_assets.cli", "run", "quill", "--home", str(harness.settings.home)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None
            assert any("curriculum_seed" in line for line in run.stdout)
            with silent.accept()[0]:  # the first page is being fetched, and is until the signal comes
                run.send_signal(signal.SIGINT)
                said = run.communicate(timeout=60)[1]
    assert run.returncode == 1
    assert "curriculum: interrupted; what is done is kept, and the same command goes on" in " ".join(said.split())
    assert [one.status.value for one in harness.instance.get_runs()] == ["CANCELED"], "the daemon tries again what failed"


def test_status_says_that_the_newest_iteration_failed_and_why_in_one_line(tmp_path: Path) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    harness.domain("quill", 9)
    alas(harness.settings.home, "run", "quill", code=1)
    lines = alas(harness.settings.home, "status").stdout.split("\n")
    (row,) = [line for line in lines if line.split()[:2] == ["quill", "000"]]
    assert " failed " in row
    (why,) = [line for line in lines if line.startswith("quill: ")]
    assert "iteration 000 failed: no page of quill could be surveyed: sources.seed_urls: http://127.0.0.1:9/: " in why
    assert why.endswith("`alas retry quill` goes on with it")


def test_status_shows_no_accuracy_where_none_was_measured_and_the_next_iteration_inherits_none(tmp_path: Path) -> None:
    harness = Harness(tmp_path, "no-student-is-needed-here")
    harness.domain("quill", 9)
    harness.opened("quill", 0)
    unmeasured = RevisedCurriculum(domain="quill", iteration=0, decision="stop", reason="nothing was measured", accuracy=None)
    harness.store.put(Cell.of("quill", 0), "revised_curriculum", unmeasured, input_key="r", inputs={}, run_id="r")
    (row,) = [line for line in alas(harness.settings.home, "status").stdout.split("\n") if line.split()[:2] == ["quill", "000"]]
    assert row.split()[2:6] == ["base", "student", "-", "stop"]
    assert inherited(harness.alas, Cell.of("quill", 1)).accuracy_history == []
