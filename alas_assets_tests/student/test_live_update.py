"""The daemon is on and a release page is edited: the real student learns what it says now and no longer says what it said (O2, G1).

One learned store, shared with `test_learning`, is copied; its training is not repeated.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from alas_assets.records import AdapterRef, GateDecision, RevisedCurriculum
from alas_assets_tests.harness import EDITS, Harness, Site, daemon

pytestmark = pytest.mark.timeout(3000)  # the first test may have to train the shared store too

LEARN_SECONDS = 1500


EIGHT_EDITS = {"smear()": "daub()", **EDITS}
"""Eight facts of the site, after its first edit, and what they become."""


class Live:
    """A domain that the real student has learned, and the site it was learned from."""

    def __init__(self, harness: Harness, site: Site, log: Path) -> None:
        self.harness, self.site, self.log = harness, site, log

    def edit(self, old: str, new: str) -> None:
        """Replace words on the page that holds them."""
        (path,) = [path for path, page in self.site.pages.items() if old in page]
        self.site.pages[path] = self.site.pages[path].replace(old, new)

    def answers(self, iteration: int) -> pl.DataFrame:
        """Wait for an iteration to end, and return what its candidate says to the probes of new facts."""
        self.harness.wait_for("quill", iteration, "revised_curriculum", LEARN_SECONDS, self.log)
        decision = self.decision(iteration)
        system = "dpo_judge_scores" if decision.candidate_system == "dpo" else "judge_scores"
        scores = self.harness.store.read_table(self.harness.pointers("quill", iteration)[system], system)
        return scores.filter(pl.col("split") == "probe")

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
    folder, pages = tmp_path_factory.mktemp("live"), dict(learned_site.pages)
    harness = learned.copied(folder)
    watched = [f"http://127.0.0.1:{learned_site.port}{path}" for path in ("/3.html", "/4.html")]
    as_learned = {"max_topics": "18", "guard_file": '"general.jsonl"'}
    harness.domain("quill", learned_site.port, **as_learned, watch_urls=json.dumps(watched), max_iterations="1", tau="0.3")
    assert harness.run("quill").success
    harness.watch("quill")
    try:
        yield Live(harness, learned_site, folder / "daemon.log")
    finally:
        learned_site.pages.update(pages)


def test_an_edited_fact_opens_one_iteration_is_learned_and_replaces_the_old_one_or_is_queued_again(live: Live) -> None:
    before = live.harness.alas.registry.current("quill")
    with daemon(live.harness, live.log):
        edited = time.time()
        live.edit("blot()", "smear()")
        answers = live.answers(1)
    ((iteration, cause),) = live.harness.openings("quill")
    assert iteration == "001"
    assert cause.startswith("1 watched pages changed: ")
    assert "/3.html" in cause
    assert True in live.looks_since(edited)[:2]
    assert {"smear()"} <= set(answers["gold"]) <= {"smear()", "quill.ink"}  # which module gained it may be known already (P4)
    told = answers.filter(pl.col("gold") == "smear()")  # the other way round the small student tends to repeat the name it was asked about
    assert told.filter(pl.col("label") == "correct").height >= 2 * told.height / 3, answers.select("question", "gold", "answer").to_dicts()
    assert not answers["answer"].str.contains("blot").any()
    decision = live.decision(1)
    assert decision.rule == "correction"
    now = live.harness.alas.registry.current("quill")
    if decision.verdict == "promote":
        assert set(answers["label"]) == {"correct"}
        assert now == decision.candidate
    else:  # one wording missed is enough; whether a small student misses one differs between processors (G1)
        assert (decision.verdict, now) == ("undecided", before), decision.reason
        assert "it is taught and tested again with the next change" in decision.reason
        assert set(answers["topic_id"]) <= {topic.parent for topic in live.revised(1).remediation}


def test_a_daemon_that_is_started_again_opens_nothing_more(live: Live) -> None:
    started = time.time()
    with daemon(live.harness, live.log):
        while len(live.looks_since(started)) < 3:
            assert time.time() < started + LEARN_SECONDS, live.log.read_text()[-3000:]
            time.sleep(1)
    assert [iteration for iteration, _ in live.harness.openings("quill")] == ["001"]


def test_eight_edited_facts_open_one_iteration_and_are_learned_together(live: Live) -> None:
    with daemon(live.harness, live.log):
        for old, new in EIGHT_EDITS.items():
            live.edit(old, new)
        answers = live.answers(2)
    decision = live.decision(2)
    assert decision.verdict == "promote", decision.reason
    assert live.harness.alas.registry.current("quill") == decision.candidate
    assert [iteration for iteration, _ in live.harness.openings("quill")] == ["001", "002"]
    assert answers.filter(pl.col("label") == "correct").height >= 0.8 * answers.height
    asked_anew = answers.filter(pl.col("gold").is_in(list(EIGHT_EDITS.values())))
    stale = asked_anew.filter(pl.col("answer").is_in(list(EIGHT_EDITS)))
    assert stale.is_empty(), stale.select("question", "gold", "answer").to_dicts()


def test_a_stale_domain_where_nothing_changed_is_taught_nothing_but_what_it_had_not_learned(live: Live) -> None:
    weak = live.revised(2).remediation  # how many facts the real student is left to learn again is its affair; mostly none
    path = live.harness.settings.home / "domains" / "quill.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("freshness_hours = 168", "freshness_hours = 0.02"), encoding="utf-8")
    current = live.harness.alas.registry.current("quill")
    with daemon(live.harness, live.log):
        live.harness.wait_for("quill", 3, "revised_curriculum", LEARN_SECONDS, live.log)
    iteration, cause = live.harness.openings("quill")[-1]
    assert (iteration, cause.split(":")[0]) == ("003", "overdue")
    pointers = live.harness.pointers("quill", 3)
    pairs = live.harness.store.read_table(pointers["qa_pairs"], "qa_pairs")
    assert set(pairs.filter("accepted")["topic_id"]) <= {topic.topic_id for topic in weak}
    idle = live.harness.store.read_record(AdapterRef, pointers["sft_adapter"], "sft_adapter")
    assert "this iteration found no new fact" in live.revised(3).reason
    if not weak:
        assert (idle.trained, idle.reason) == (False, "no new fact was found: nothing is trained")
        assert live.harness.alas.registry.current("quill") == current
