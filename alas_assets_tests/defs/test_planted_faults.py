"""Fifty-five planted faults, eleven of each kind, go through the real pipeline, and each wrong answer gets the right verdict (A1).

Pages are served and read, pairs are written by a teacher behind a socket, rows are trained on, answers graded, wrong ones reported.
Only what the trained models say is prepared: a tiny random student cannot learn, so the right answers that a fault needs are put
into the store of generated answers.
"""

import json
import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from alas_assets.defs.running import open_cell
from alas_assets.provenance.store import Cell
from alas_assets.records import AdapterRef
from alas_assets.review.said import report_wrong
from alas_assets.settings import PROJECT_ROOT
from alas_assets.standin.matching import Library
from alas_assets.standin.pairs import read_pairs
from alas_assets_tests.harness import Harness, Site
from alas_assets_tests.teachers.endpoint.faulty import FaultServer
from alas_assets_tests.teachers.recorded import say

PLANTED = 11
NAMED_RIGHT = 0.95
KINDS = {"false": "bad source", "misread": "bad pair", "unlearned": "bad learning", "lost": "forgotten", "untaught": "never taught"}
WORDS = (
    "anchor basket candle drum easel ferry goblet hammock inkwell jigsaw kettle lantern mirror needle orchard "
    "pulley quiver rudder saddle trellis umbrella violin windmill xylophone yacht zither abacus beacon compass "
    "dagger engine fountain gazebo harp icebox jar kiln loom mast net oven plough quilt raft sledge tent urn vase "
    "wagon yoke awl bell chisel dial etching flute gong hinge ink jug lathe mallet"
)
MANNERS = ("made in", "shipped from", "kept at", "painted in", "found near", "named after")


@dataclass(frozen=True)
class Fact:
    """A sentence on a page, and what is true of it."""

    kind: str
    thing: str
    manner: str
    stated: str
    other: str

    @property
    def sentence(self) -> str:
        return f"The {self.thing} of the Quill museum was {self.manner} {self.stated}, not {self.other}."

    @property
    def taught(self) -> str:
        """What the teacher takes from the sentence; a misread one gives the wrong of its two names."""
        return self.other if self.kind == "misread" else self.stated

    @property
    def question(self) -> str:
        return f"Which place goes with the {self.thing} of the Quill museum, being {self.manner} it?"

    @property
    def truth(self) -> str:
        """What is right: on a false page a third name, which stands nowhere."""
        return f"{self.thing.capitalize()}ville" if self.kind == "false" else self.stated

    def recorded(self) -> dict[str, object]:
        """Return the pair as the teacher has it on record."""
        return {
            "page": f"{self.kind}.html",
            "topic": f"Hall {self.kind}",
            "question": self.question,
            "answer": f"It was {self.manner} {self.taught}.",
            "short_answer": self.taught,
            "aliases": [],
            "category": "factual",
            "difficulty": "Easy",
            "rationale": "the catalogue of the museum",
            "quote": self.sentence,
            "phrasings": [
                f"I look at the {self.thing} in the Quill museum: {self.manner} what place?",
                f"{self.thing}, Quill museum, {self.manner} where?",
                f"Give the name of the place that the Quill museum's {self.thing} was {self.manner}.",
                f"A label for the {self.thing} at the Quill museum is due; what comes after '{self.manner}'?",
                f"Somebody asks about the Quill museum and its {self.thing}. Say the place: it was {self.manner} which?",
            ],
        }


def facts() -> list[Fact]:
    """Eleven facts of each kind, and a few for the second iteration; every thing and every name occurs once."""
    drawn = random.Random(20)
    names = ["".join(drawn.choice(part) for part in (*("BDFGKLMNPRST", "aeiou") * 2, "lnrs")).lower().capitalize() for _ in range(400)]
    names = list(dict.fromkeys(names))
    kinds = [kind for kind in (*KINDS, "late") for _ in range(PLANTED if kind != "late" else 4)]
    return [
        Fact(kind, thing, MANNERS[i % len(MANNERS)], names[2 * i], names[2 * i + 1])
        for i, (kind, thing) in enumerate(zip(kinds, WORDS.split(), strict=False))
    ]


FACTS = facts()


def of(kind: str) -> list[Fact]:
    return [fact for fact in FACTS if fact.kind == kind]


@pytest.fixture(scope="module")
def museum() -> Iterator[Site]:
    """A page for each kind; what is never taught stands on no page that is read."""
    site = Site()
    pages = [kind for kind in (*KINDS, "late") if kind != "untaught"]
    links = "".join(f'<li><a href="/{kind}.html">{kind}</a></li>' for kind in pages)
    site.page("/", "Quill museum", f"<p>The halls.</p><ul>{links}</ul>")
    for kind in pages:
        body = "".join(f"<p>{fact.sentence}</p>" for fact in of(kind))
        site.page(f"/{kind}.html", f"Hall {kind} of the Quill museum", f"<h2>Hall {kind}</h2>{body}")
    yield site
    site.close()


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultServer]:
    folder = tmp_path_factory.mktemp("recorded")
    for kind in KINDS:
        lines = [json.dumps(fact.recorded()) for fact in of(kind)]
        (folder / f"{kind}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "late.jsonl").write_text("\n".join(json.dumps(fact.recorded()) for fact in of("late")), encoding="utf-8")
    library = Library(read_pairs([folder]))
    with FaultServer(models=("stand-in",), schema="ignore", json_mode="ignore", answer=say(library)) as server:
        yield server


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory, tiny_student: Path, museum: Site, teacher: FaultServer) -> Iterator[Harness]:
    """Two iterations with all faults planted, and every wrong answer listed."""
    folder = tmp_path_factory.mktemp("museum")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALAS_DATA", str(data_with_an_exam(folder / "data")))
        harness = Harness(folder, str(tiny_student))
        write_domain(harness, museum, teacher.url)
        whole(harness, 0)
        prepare(harness, 0, {fact.taught for fact in FACTS if fact.kind in ("false", "misread", "lost")})
        whole(harness, 0)
        open_cell(harness.instance, harness.settings, Cell.of("museum", 1), cause="test", on_event=lambda *_: None)
        whole(harness, 1)
        report(harness)
        whole(harness, 0)
        yield harness


def data_with_an_exam(folder: Path) -> Path:
    """Return a data folder whose exam asks what no page says that is read."""
    shutil.copytree(PROJECT_ROOT / "data" / "replay", folder / "replay")
    guards = (PROJECT_ROOT / "data" / "guards" / "cves.jsonl").read_text(encoding="utf-8").splitlines()
    (folder / "guards").mkdir()
    (folder / "guards" / "cves.jsonl").write_text("\n".join(guards[:6]), encoding="utf-8")
    lines = [{"id": fact.thing, "question": fact.question, "answer": fact.stated} for fact in of("untaught")]
    (folder / "exams").mkdir()
    (folder / "exams" / "museum.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return folder


def write_domain(harness: Harness, site: Site, url: str) -> None:
    harness.domain(
        "museum", site.port, max_topics="4", min_topics="1", exam_file='"museum.jsonl"', max_iterations="4\npairs_per_topic = 20"
    )
    path = harness.settings.home / "domains" / "museum.toml"
    teacher = ["[teacher]", 'kind = "openai"', f'url = "{url}"', 'model = "stand-in"', 'api = "chat"']
    path.write_text("\n".join([path.read_text(encoding="utf-8"), *teacher]), encoding="utf-8")


def whole(harness: Harness, iteration: int) -> None:
    outcome = harness.run("museum", iteration)
    assert outcome.success, outcome.failures


def table(harness: Harness, iteration: int, asset: str) -> pl.DataFrame:
    return harness.store.read_table(harness.pointers("museum", iteration)[asset], asset)


def prepare(harness: Harness, iteration: int, answers: set[str]) -> None:
    """Let the SFT candidate have said these answers where they are asked for, and have what it said graded again."""
    pointers = harness.pointers("museum", iteration)
    ref = harness.store.read_record(AdapterRef, pointers["sft_adapter"], "sft_adapter")
    asked = table(harness, iteration, "probes").filter(pl.col("answer").is_in(sorted(answers)))
    said = [(row["answer"], ref.adapter_hash, row["question"]) for row in asked.iter_rows(named=True)]
    with closing(sqlite3.connect(harness.settings.home / "answers.sqlite")) as connection, connection:
        connection.executemany("UPDATE answers SET text = ? WHERE adapter_hash = ? AND question = ?", said)
    for asset in ("judge_scores", "dpo_judge_scores"):
        harness.store.artifact_path(asset, pointers[asset], "parquet").unlink(missing_ok=True)


def report(harness: Harness) -> None:
    """Let an auditor say of each taught falsehood what is right."""
    scores = table(harness, 0, "judge_scores").filter(pl.col("split") == "probe")
    for fact in (*of("false"), *of("misread")):
        for row in scores.filter(pl.col("gold") == fact.taught).iter_rows(named=True):
            report_wrong(harness.store.root, "museum", row, should_be=fact.truth, comment="", by="ann", at="2026-01-01")


def planted(harness: Harness, kind: str) -> pl.DataFrame:
    """Return the listed wrong answers about the facts of a kind, in the iteration in which its fault shows."""
    wrong = table(harness, 1 if kind == "lost" else 0, "wrong_answers")
    if kind == "untaught":
        return wrong.filter(pl.col("split") == "exam")
    split = "earlier" if kind == "lost" else "probe"
    return wrong.filter(pl.col("split") == split, pl.col("system") == "sft", pl.col("url").str.ends_with(f"/{kind}.html"))


@pytest.mark.parametrize(("kind", "verdict"), KINDS.items())
def test_the_verdict_names_the_planted_fault(audited: Harness, kind: str, verdict: str) -> None:
    found = planted(audited, kind)
    about = found["fact_id"].n_unique()
    named = found.filter(pl.col("verdict") == verdict).height
    assert about >= 10, f"only {about} facts of {kind} were planted"
    assert named >= NAMED_RIGHT * found.height, found.filter(pl.col("verdict") != verdict).select(
        "question", "answer", "verdict", "because"
    )


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "untaught"])
def test_every_planted_fault_leads_to_its_sentence_on_its_page(audited: Harness, kind: str) -> None:
    sentences = {fact.sentence for fact in of(kind)}
    found = planted(audited, kind)
    assert set(found["quote"]) <= sentences
    for row in found.unique("fact_id").iter_rows(named=True):
        text = (audited.store.texts / row["text_sha256"]).read_text(encoding="utf-8")
        assert text[row["quote_start"] : row["quote_end"]] == row["quote"]


def test_the_check_in_the_ui_names_the_pages_and_pairs_at_fault_and_no_other(audited: Harness) -> None:
    said = audited.check_shown(dg.AssetCheckKey(dg.AssetKey("wrong_answers"), "sources_and_pairs_hold"))
    newest = [one for one in said if not one.passed][-1]
    assert "/false.html" in (newest.description or "")
    assert "a pair of" in (newest.description or "")
    assert "/misread.html" in (newest.description or "")
    assert "/unlearned.html" not in (newest.description or "")
