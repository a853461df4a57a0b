"""When the loop goes on, when it stops, and what it does next (V1, V2, G3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from alas_assets.planning.convergence import left_over, revise
from alas_assets.records import Curriculum, Inherited, RevisedCurriculum, Seed, Topic, TopicScore
from alas_assets_tests.evaluation.tables import answers, pairs, probe, probes


def topic(name: str, **more: Any) -> Topic:
    return Topic(topic_id=f"id-{name}", name=name, urls=[f"http://h/{name}"], **more)


class Adviser:
    """Proposes what it was told to; records what it was asked."""

    name, version = "adviser", "1"

    def __init__(self, *proposals: Topic) -> None:
        self.proposals = list(proposals)
        self.asked: tuple[list[str], list[str]] = ([], [])

    def revise(self, weak: Sequence[Topic], mastered: Sequence[Topic], scores: Sequence[TopicScore]) -> list[Topic]:
        self.asked = ([t.name for t in weak], [t.name for t in mastered])
        return self.proposals


def scored(**right: tuple[int, int]) -> pl.DataFrame:
    """Return answers by topic: (right, asked)."""
    rows, ok = [], []
    for name, (correct, n) in right.items():
        split = "earlier" if name.startswith("old") else "probe"
        for i in range(n):
            rows.append(probe(len(rows), split, topic_id=f"id-{name}", topic=name, fact_id=f"{name}-{i}"))
            ok.append(i < correct)
    rows += [probe(i, "guard") for i in range(3)]
    return answers(probes(*rows), "sft", [*ok, False, False, False])


def revised(
    graded: pl.DataFrame,
    *,
    plan: Sequence[Topic] = (),
    deferred: Sequence[Topic] = (),
    history: Sequence[float] = (),
    teacher: Adviser | None = None,
    facts: Sequence[str] = ("new-fact",),
    inherited: dict[str, Any] | None = None,
    since_cause: int = 1,
    **more: Any,
) -> RevisedCurriculum:
    iteration = len(history)
    seed = Seed(
        domain="d", iteration=iteration, description="", seed_topics=[], seed_urls=[], cause="",
        inherited=Inherited(accuracy_history=list(history), **(inherited or {})), since_cause=since_cause,
    )  # fmt: skip
    return revise(
        **{
            "seed": seed,
            "curriculum": Curriculum(domain="d", iteration=iteration, topics=list(plan), deferred=list(deferred)),
            "answers": graded,
            "promoted": True,
            "qa": pairs({"fact_id": fact, "topic_id": "id-a"} for fact in facts),
            "teacher": teacher or Adviser(),
            "tau": 0.9,
            "delta": 0.01,
            "max_iterations": 5,
            **more,
        }
    )


A, B = topic("a"), topic("b")


def test_accuracy_counts_new_and_earlier_probes_and_no_guard() -> None:
    result = revised(scored(a=(3, 4), old=(1, 4)), plan=[A], history=[0.4])
    assert (result.accuracy, result.previous_accuracy) == (0.5, 0.4)
    assert [(s.name, s.n, s.correct) for s in result.topic_scores] == [("a", 4, 3), ("old", 4, 1)]


def test_a_topic_under_tau_is_taught_again_and_the_loop_goes_on() -> None:
    teacher = Adviser()
    result = revised(scored(a=(10, 10), b=(5, 10)), plan=[A, B], teacher=teacher)
    assert result.decision == "continue"
    assert teacher.asked == (["b"], ["a"])
    assert [(t.topic_id, t.origin, t.parent) for t in result.remediation] == [("id-b", "remediation", "id-b")]
    assert result.mastered == ["a"]
    assert "1 topic under tau = 0.9" in result.reason


def test_an_unlearned_fact_among_learned_ones_is_taught_again_where_its_candidate_was_not_promoted() -> None:
    known = [probe(i, "earlier", topic_id="id-a", topic="a", fact_id=f"a-{i}") for i in range(10)]
    rows = [*known, probe(20, "probe", topic_id="id-a", topic="a", fact_id="changed")]
    graded = answers(probes(*rows), "previous", [True] * 10 + [False])
    assert revised(graded, plan=[A], tau=0.3, promoted=True).remediation == []
    kept = revised(graded, plan=[A], tau=0.3, promoted=False)
    assert [topic.topic_id for topic in kept.remediation] == ["id-a"]
    assert kept.mastered == []


def test_a_weak_topic_of_an_earlier_iteration_is_taught_again_too() -> None:
    result = revised(scored(a=(10, 10), old=(1, 4)), plan=[A], inherited={"mastered": ["old", "kept"]})
    assert [t.name for t in result.remediation] == ["old"]
    assert result.mastered == ["a", "kept"]


def test_the_teachers_remediation_replaces_the_plain_repetition() -> None:
    own = topic("b again", origin="remediation", parent="id-b")
    stray = topic("c again", origin="remediation", parent="id-c")
    result = revised(scored(b=(5, 10)), plan=[B], teacher=Adviser(own, stray))
    assert result.remediation == [own]


def test_advanced_topics_must_be_new_by_id_and_by_name() -> None:
    fresh = topic("more of a", origin="advanced", parent="id-a")
    same = fresh.model_copy(update={"topic_id": "other", "name": "More of  A"})
    covered = topic("seen", origin="advanced", parent="id-a")
    renamed = Topic(topic_id="x", name="A", origin="advanced", parent="id-a")
    teacher = Adviser(fresh, same, covered, renamed)
    result = revised(scored(a=(10, 10)), plan=[A], teacher=teacher, inherited={"covered_topics": ["id-seen"]})
    assert result.next_topics == [fresh]
    assert result.decision == "continue"


def test_deferred_topics_come_next() -> None:
    result = revised(scored(a=(10, 10)), plan=[A], deferred=[B])
    assert result.next_topics == [B]
    assert result.decision == "continue"


def test_everything_mastered_and_nothing_left_stops() -> None:
    result = revised(scored(a=(10, 10)), plan=[A])
    assert result.decision == "stop"
    assert "nothing is left to teach" in result.reason


def test_the_iteration_budget_stops_even_where_work_is_left() -> None:
    stopped = revised(scored(b=(5, 10)), plan=[B], max_iterations=1)
    assert stopped.decision == "stop"
    assert "max_iterations = 1" in stopped.reason
    assert stopped.remediation


def test_the_iteration_budget_counts_from_the_last_outside_cause() -> None:
    late = {"plan": [B], "history": [0.1, 0.2, 0.3], "max_iterations": 3}
    assert revised(scored(b=(5, 10)), since_cause=3, **late).decision == "stop"
    assert revised(scored(b=(5, 10)), since_cause=1, **late).decision == "continue"


def test_repeating_weak_topics_without_gain_or_new_fact_stops() -> None:
    again = {"plan": [B], "history": [0.5], "facts": ()}
    assert revised(scored(b=(5, 10)), **again).decision == "stop"
    assert revised(scored(b=(6, 10)), **again).decision == "continue"
    assert revised(scored(b=(5, 10)), plan=[B], history=[0.5]).decision == "continue"


def test_facts_of_earlier_iterations_are_not_novel_whether_they_are_taught_again_or_only_asked() -> None:
    earlier = [pairs([{"fact_id": "old-0"}]), pairs([{"fact_id": "old-1"}])]
    result = revised(scored(a=(4, 4)), plan=[A], facts=["old-0", "old-1", "fresh"], earlier_qa=earlier)
    assert result.novel_facts == 1
    assert "no new fact" in revised(scored(a=(4, 4)), plan=[A], facts=["old-0"], earlier_qa=earlier).reason


def test_teaching_the_same_facts_again_for_nothing_ends_the_loop() -> None:
    again = {"plan": [B], "history": [0.5], "facts": ["b-0"], "earlier_qa": [pairs([{"fact_id": "b-0"}])]}
    assert revised(scored(b=(5, 10)), **again).decision == "stop"


def test_a_topic_forgotten_since_is_taught_again_from_the_pages_that_taught_it() -> None:
    earlier = [pairs([{"fact_id": "old-0", "topic_id": "id-old", "url": "http://h/old"}])]
    (again,) = revised(scored(old=(1, 10), a=(4, 4)), plan=[A], earlier_qa=earlier).remediation
    assert (again.topic_id, again.urls) == ("id-old", ["http://h/old"])


NO_ANSWER = "not studied, no answer: no full answer within 120 s"


def missed(*names: str, reason: str = NO_ANSWER) -> pl.DataFrame:
    """Return an iteration's pairs: one fact on a, and nothing from the topics named."""
    rows = [{"topic_id": f"id-{name}", "accepted": False, "role": "", "reason": reason, "teacher": "t", "chunk_id": ""} for name in names]
    return pairs([{"fact_id": "new-fact", "topic_id": "id-a", "reason": ""}, *rows])


@pytest.mark.parametrize("reason", [NO_ANSWER, "no passage of its pages was read", "no passage of its pages lies under its heading"])
def test_a_topic_of_which_nothing_could_be_studied_comes_next_and_the_loop_goes_on_for_it(reason: str) -> None:
    result = revised(scored(a=(10, 10)), plan=[A, B], qa=missed("b", reason=reason))
    assert result.next_topics == [B]
    assert result.decision == "continue"
    assert "1 topic could not be studied and will be planned again (b)" in result.reason


@pytest.mark.parametrize("reason", ["its passages were studied before and did not change", "no fact taken from this passage"])
def test_a_topic_that_gave_no_fact_but_was_looked_at_does_not_come_again(reason: str) -> None:
    result = revised(scored(a=(10, 10)), plan=[A, B], qa=missed("b", reason=reason))
    assert (result.next_topics, result.decision) == ([], "stop")


def test_a_topic_of_which_one_passage_was_studied_does_not_come_again() -> None:
    result = revised(scored(a=(10, 10)), plan=[A, B], qa=pl.concat([missed("b"), missed("b", reason="quote in no document")]))
    assert (result.next_topics, result.decision) == ([], "stop")


def test_a_topic_that_could_not_be_studied_twice_running_is_named_and_stays_but_does_not_keep_the_loop_going() -> None:
    result = revised(scored(a=(10, 10)), plan=[A, B], qa=missed("b"), earlier_qa=[missed("b")], history=[0.5])
    assert result.decision == "stop"
    assert result.next_topics == [B]
    assert "not studied in 2 iterations running, so that they keep the loop going no more: b" in result.reason


def test_a_stuck_topic_comes_after_all_others_and_the_loop_goes_on_for_those() -> None:
    late, lost = topic("late"), topic("lost")
    result = revised(
        scored(a=(10, 10)),
        plan=[B, A, lost],
        deferred=[late],
        qa=missed("b", "lost"),
        earlier_qa=[missed("b"), missed()],
        history=[0.5, 0.6],
    )
    assert [t.name for t in result.next_topics] == ["lost", "late", "b"]
    assert result.decision == "continue"


def test_a_stuck_topic_that_was_put_off_does_not_keep_the_loop_going_either() -> None:
    earlier = [missed("b"), missed("b")]
    result = revised(scored(a=(10, 10)), plan=[A], deferred=[B], qa=missed(), earlier_qa=earlier, history=[0.5, 0.6])
    assert (result.next_topics, result.decision) == ([B], "stop")


def test_a_topic_that_was_studied_in_between_counts_as_failed_once() -> None:
    earlier = [missed("b"), missed("b", reason="quote in no document")]
    result = revised(scored(a=(10, 10)), plan=[A, B], qa=missed("b"), earlier_qa=earlier, history=[0.5, 0.6])
    assert result.decision == "continue"


def passages(**reasons: str) -> pl.DataFrame:
    """Return the pairs of an iteration that planned topic b, a row for each passage; "" is an accepted one."""
    rows = [{"topic_id": "id-b", "chunk_id": chunk, "reason": reason, "accepted": not reason} for chunk, reason in reasons.items()]
    return pairs([{"fact_id": "new-fact", "topic_id": "id-a", "reason": "", "chunk_id": "a"}, *rows])


@pytest.mark.parametrize(
    ("earlier", "left"),
    [
        ([passages(one="", two=NO_ANSWER)], {"id-b"}),
        ([passages(one=""), passages(two=NO_ANSWER)], {"id-b"}),
        ([passages(one="", two=NO_ANSWER), passages()], {"id-b"}),
        ([passages(one="", two=NO_ANSWER), passages(two="")], set()),
        ([passages(one="", two=NO_ANSWER), passages(two="no fact taken from this passage")], set()),
        ([passages(one="", two=NO_ANSWER), passages(two=NO_ANSWER)], set()),
        ([passages(one="", two=NO_ANSWER), passages(two=NO_ANSWER), passages(two=NO_ANSWER)], set()),
        ([passages(one="", two=NO_ANSWER), passages(two=""), passages(three=NO_ANSWER)], {"id-b"}),
        ([passages(one="", two=""), passages(two=NO_ANSWER)], set()),
        ([passages(one="", two="quote in no document")], set()),
        ([passages()], set()),
        ([], set()),
    ],
)
def test_a_topic_with_a_passage_that_nobody_studied_is_left_over_until_it_failed_twice_running(
    earlier: list[pl.DataFrame], left: set[str]
) -> None:
    assert left_over(earlier) == left


def test_a_weak_topic_that_could_not_be_studied_is_taught_again_once_and_is_no_next_topic_too() -> None:
    result = revised(scored(b=(1, 10)), plan=[B.model_copy(update={"origin": "changed"})], qa=missed("b"))
    assert [t.topic_id for t in result.remediation] == ["id-b"]
    assert result.next_topics == []


def test_a_section_forgotten_since_is_taught_again_from_that_section_alone() -> None:
    section = topic("old", heading="Old section", summary="What the section says.")
    earlier = [pairs([{"fact_id": "old-0", "topic_id": "id-old", "url": "http://h/old"}])]
    (again,) = revised(scored(old=(1, 10), a=(4, 4)), plan=[A], earlier_qa=earlier, planned=[section]).remediation
    assert again == section.model_copy(update={"origin": "remediation", "parent": "id-old"})


def test_a_topic_of_this_plan_is_known_as_this_plan_has_it() -> None:
    before = B.model_copy(update={"heading": "Where it stood before"})
    assert revised(scored(b=(1, 10)), plan=[B], planned=[before]).remediation[0].heading is None


def test_an_iteration_without_probes_says_so_and_keeps_the_accuracy() -> None:
    result = revised(scored(), plan=[A], history=[0.7], facts=())
    assert (result.accuracy, result.decision) == (0.7, "stop")
    assert "nothing was measured" in result.reason


def test_where_no_probe_was_ever_asked_there_is_no_accuracy_and_the_first_that_is_measured_is_no_rise() -> None:
    result = revised(scored(), plan=[A], facts=())
    assert (result.accuracy, result.decision) == (None, "stop")
    assert "nothing was measured" in result.reason
    first = revised(scored(a=(10, 10), b=(5, 10)), plan=[A, B])
    assert "rose" not in first.reason
    assert "points" not in first.reason


def test_failed_answers_count_as_not_known() -> None:
    graded = answers(probes(*[probe(i, topic_id="id-a", topic="a") for i in range(2)]), "sft", [True, "failed"])
    assert revised(graded, plan=[A]).accuracy == 0.5
