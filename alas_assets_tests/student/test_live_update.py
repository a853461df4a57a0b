"""The daemon is on and a release page is edited: the real student learns what it says now and no longer says what it said (O2, G1).

One learned store, shared with `test_learning`, is copied; its training is not repeated.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from alas_assets.records import AdapterRef, GateDecision, RevisedCurriculum
from alas_assets_tests.harness import Harness, Site, daemon

pytestmark = pytest.mark.timeout(2400)  # the first test may have to train the shared store too

LEARN_SECONDS = 700
TRIES = 3
"""Iterations that the loop has to learn an edit."""


EDITS = {
    "smear()": "daub()",
    "dip()": "plunge()",
    "crease()": "pleat()",
    "SheetError": "TornError",
    "stamp()": "emboss()",
    "GCC 12.3": "GCC 13.2",
    "shelf()": "cabinet()",
    "hurry": "calm",
}
"""Eight facts of the site, after its first edit, and what they become."""


class Live:
    """A domain that the real student has learned, and the site it was learned from."""

    def __init__(self, harness: Harness, site: Site, log: Path) -> None:
        self.harness, self.site, self.log = harness, site, log

    def edit(self, old: str, new: str) -> None:
        """Replace words on the page that holds them."""
        (path,) = [path for path, page in self.site.pages.items() if old in page]
        self.site.pages[path] = self.site.pages[path].replace(old, new)

    def learned(self) -> tuple[pl.DataFrame, int]:
        """Wait until the loop stops; return what the model said to the probes when the edit was promoted, and in which iteration.

        A candidate that the gate leaves undecided is taught and tested again by the loop itself, as long as its budget lasts.
        """
        promoted: dict[int, GateDecision] = {}
        iteration = self.newest
        while True:
            iteration += 1
            self.harness.wait_for("quill", iteration, "revised_curriculum", LEARN_SECONDS, self.log)
            decision = self.decision(iteration)
            if decision.verdict == "promote":
                promoted[iteration] = decision
            if self.revised(iteration).decision == "stop":
                break
        assert promoted, decision.reason
        assert self.harness.alas.registry.current("quill") == promoted[max(promoted)].candidate
        first = min(promoted)
        system = "dpo_judge_scores" if promoted[first].candidate_system == "dpo" else "judge_scores"
        scores = self.harness.store.read_table(self.harness.pointers("quill", first)[system], system)
        return scores.filter(pl.col("split") == "probe"), first

    @property
    def newest(self) -> int:
        """The newest iteration that a sensor has opened; 0 where none has."""
        return max((int(iteration) for iteration, _ in self.harness.openings("quill")), default=0)

    @property
    def edits_seen(self) -> list[str]:
        """The causes of the iterations that a changed page has opened."""
        return [cause for _, cause in self.harness.openings("quill") if "watched pages changed" in cause]

    def decision(self, iteration: int) -> GateDecision:
        """Return what the gate decided on an iteration."""
        return self.harness.store.read_record(GateDecision, self.harness.pointers("quill", iteration)["promotion"], "promotion")

    def revised(self, iteration: int) -> RevisedCurriculum:
        """Return what an iteration left to do."""
        name = "revised_curriculum"
        return self.harness.store.read_record(RevisedCurriculum, self.harness.pointers("quill", iteration)[name], name)

    def looks_since(self, moment: float) -> list[bool]:
        """Return for every tick of `release_pages` since then whether it asked for a run, oldest first."""
        instance = self.harness.instance
        state = next(state for state in instance.all_instigator_state() if state.instigator_name == "release_pages")
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, after=moment)
        return [bool(tick.run_ids) for tick in reversed(ticks)]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, learned: Harness, learned_site: Site) -> Iterator[Live]:
    """`quill` as the real student has learned it, watched; its loop goes on for an outside cause only."""
    folder, pages, environment = tmp_path_factory.mktemp("live"), dict(learned_site.pages), dict(os.environ)
    shutil.copytree(learned.settings.home, folder / "store")
    harness = Harness(folder, learned.student, learned.recipe)
    watched = [f"http://127.0.0.1:{learned_site.port}{path}" for path in ("/3.html", "/4.html")]
    as_learned = {"max_topics": "18", "guard_file": '"general.jsonl"'}
    watching = {**as_learned, "watch_urls": json.dumps(watched), "tau": "0.3"}
    harness.domain("quill", learned_site.port, **watching, max_iterations="1")
    assert harness.run("quill").success
    harness.domain("quill", learned_site.port, **watching, max_iterations=str(TRIES))
    harness.watch("quill")
    try:
        yield Live(harness, learned_site, folder / "daemon.log")
    finally:
        learned_site.pages.update(pages)
        os.environ.clear()
        os.environ.update(environment)


def test_an_edited_fact_opens_one_iteration_is_learned_and_replaces_the_old_one(live: Live) -> None:
    with daemon(live.harness, live.log):
        edited = time.time()
        live.edit("blot()", "smear()")
        answers, iteration = live.learned()
    (cause,) = live.edits_seen
    assert cause.startswith("1 watched pages changed: ")
    assert "/3.html" in cause
    assert True in live.looks_since(edited)[:2]
    assert live.decision(iteration).rule == "correction"
    assert {"smear()"} <= set(answers["gold"]) <= {"smear()", "quill.ink"}  # which module gained it may be known already (P4)
    assert set(answers["label"]) == {"correct"}
    assert not answers["answer"].str.contains("blot").any()


def test_a_daemon_that_is_started_again_opens_nothing_more(live: Live) -> None:
    started, opened = time.time(), live.harness.openings("quill")
    with daemon(live.harness, live.log):
        while len(live.looks_since(started)) < 3:
            assert time.time() < started + LEARN_SECONDS, live.log.read_text()[-3000:]
            time.sleep(1)
    assert live.harness.openings("quill") == opened


def test_eight_edited_facts_open_one_iteration_and_are_learned_together(live: Live) -> None:
    with daemon(live.harness, live.log):
        for old, new in EDITS.items():
            live.edit(old, new)
        answers, _ = live.learned()
    assert len(live.edits_seen) == 2
    right = answers.filter(pl.col("label") == "correct")
    assert right.height >= 0.8 * answers.height
    asked_anew = answers.filter(pl.col("gold").is_in(list(EDITS.values())))
    stale = asked_anew.filter(pl.col("answer").is_in(list(EDITS)))
    assert stale.is_empty(), stale.select("question", "gold", "answer").to_dicts()


def test_a_stale_domain_where_nothing_changed_is_taught_nothing_but_what_it_had_not_learned(live: Live) -> None:
    learned = live.newest
    weak = live.revised(learned).remediation  # how many facts the real student is left to learn again is its affair; mostly none
    path = live.harness.settings.home / "domains" / "quill.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("freshness_hours = 168", "freshness_hours = 0.02"), encoding="utf-8")
    current = live.harness.alas.registry.current("quill")
    with daemon(live.harness, live.log):
        live.harness.wait_for("quill", learned + 1, "revised_curriculum", LEARN_SECONDS, live.log)
    opened = dict(live.harness.openings("quill"))
    assert opened[f"{learned + 1:03d}"].split(":")[0] == "overdue"
    pointers = live.harness.pointers("quill", learned + 1)
    pairs = live.harness.store.read_table(pointers["qa_pairs"], "qa_pairs")
    assert set(pairs.filter("accepted")["topic_id"]) <= {topic.topic_id for topic in weak}
    idle = live.harness.store.read_record(AdapterRef, pointers["sft_adapter"], "sft_adapter")
    assert "this iteration found no new fact" in live.revised(learned + 1).reason
    if not weak:
        assert (idle.trained, idle.reason) == (False, "no new fact was found: nothing is trained")
        assert live.harness.alas.registry.current("quill") == current
