"""After the gate: which topics are weak, which mastered, what comes next, and whether to go on at all (V1, V2, G3).

Pure but for the teacher's proposals. Opening the next iteration is the sensor's and the command line's work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import polars as pl

from alas_assets.planning.syllabus import plain_name
from alas_assets.records import Curriculum, RevisedCurriculum, Seed, Topic, TopicScore
from alas_assets.synthesis.writing import half_studied, unstudied
from alas_assets.teachers.protocol import Teacher
from alas_assets.wording import counted

STILL_VALID = ("probe", "earlier")
TRIES = 2
"""Iterations running in which a topic could not be studied, after which it keeps the loop going no more."""
_NAMED = 3


def revise(
    *,
    seed: Seed,
    curriculum: Curriculum,
    answers: pl.DataFrame,
    promoted: bool,
    qa: pl.DataFrame,
    earlier_qa: Sequence[pl.DataFrame] = (),
    planned: Sequence[Topic] = (),
    teacher: Teacher,
    tau: float,
    delta: float,
    max_iterations: int,
) -> RevisedCurriculum:
    """Revise the plan from what the current model knows (V1, V2).

    The loop goes on while there is something to do - new topics, or weak ones that an iteration can still help - and
    accuracy rises by more than `delta`, or a topic is under `tau`, or topics are left. It stops at `max_iterations`,
    when everything is mastered, and when an iteration brought neither a new fact nor a gain.

    A topic of which nothing could be studied, because its page was not read or the teacher gave no answer, comes next once more. Where
    that failed twice running it stays among the next topics, after all others, but a loop with nothing else to do stops.

    Args:
        seed: Where this iteration started.
        curriculum: What it studied.
        answers: The current model's graded answers (`ANSWER_SCHEMA`); `probe` and `earlier` count.
        promoted: Whether this iteration's candidate became current. Where it did not, a topic is weak too if the current model is under
            `tau` on its new probes alone, or one unlearned fact would hide among learned ones and not be taught again (G1).
        qa: This iteration's pairs (`QA_SCHEMA`).
        earlier_qa: Those of earlier iterations, oldest first: which facts are not new, and the pages of a topic that was forgotten since.
        planned: The topics of earlier iterations, each as it was planned last: a topic of one section is taught again from that section.
        teacher: Proposes remediation and advanced topics.
        tau: Accuracy under which a topic is weak.
        delta: Gain that keeps the loop going.
        max_iterations: Iterations at most since the last outside cause (`Seed.since_cause`).
    """
    counted = answers.filter(pl.col("split").is_in(STILL_VALID))
    correct = counted.filter(pl.col("label") == "correct").height
    history = seed.inherited.accuracy_history
    previous = history[-1] if history else None
    accuracy = correct / counted.height if counted.height else previous
    scores = topic_scores(counted, curriculum)
    known = _known_topics(
        [*planned, *seed.next_topics, *seed.weak_topics, *curriculum.topics], curriculum, counted, pl.concat([*earlier_qa, qa])
    )
    unlearned = set() if promoted else _under(tau, topic_scores(counted.filter(pl.col("split") == "probe"), curriculum))
    weak_ids = _under(tau, scores) | unlearned
    weak = [known[score.topic_id] for score in scores if score.topic_id in weak_ids and score.topic_id in known]
    strong = [known[score.topic_id] for score in scores if score.topic_id not in weak_ids and score.topic_id in known]
    proposals = teacher.revise(weak, strong, scores)
    remediation = _remediation(weak, proposals)
    leftover = [topic for topic in curriculum.deferred if topic.topic_id not in {t.topic_id for t in remediation}]
    misses = _running([qa, *reversed(earlier_qa)], unstudied)
    missed = [topic for topic in curriculum.topics if misses.get(topic.topic_id) and topic.origin != "remediation"]
    missed = [topic for topic in missed if topic.topic_id not in weak_ids]  # remediation studies their pages again
    stuck = [topic for topic in (*missed, *leftover) if misses.get(topic.topic_id, 0) >= TRIES]
    again = [topic for topic in missed if topic not in stuck]
    leftover = [topic for topic in leftover if topic not in stuck]
    advanced = _advanced(proposals, [*known.values(), *leftover, *stuck], seed)
    weak_names = {plain_name(topic.name) for topic in weak}
    mastered = [name for name in seed.inherited.mastered if plain_name(name) not in weak_names] + [topic.name for topic in strong]
    novel = len(_taught(qa) - {fact for pairs in earlier_qa for fact in _taught(pairs)})
    go_on, reason = _decide(
        n=counted.height,
        accuracy=accuracy,
        previous=previous,
        weak=len(remediation),
        fresh=len(leftover) + len(advanced),
        again=[topic.name for topic in again],
        stuck=[topic.name for topic in stuck],
        novel=novel,
        tau=tau,
        delta=delta,
        done=seed.since_cause,
        max_iterations=max_iterations,
    )
    return RevisedCurriculum(
        domain=seed.domain,
        iteration=seed.iteration,
        decision="continue" if go_on else "stop",
        reason=reason,
        accuracy=accuracy,
        previous_accuracy=previous,
        topic_scores=scores,
        mastered=sorted(dict.fromkeys(mastered)),
        remediation=remediation,
        next_topics=[*again, *leftover, *advanced, *stuck],
        novel_facts=novel,
        since_cause=seed.since_cause,
    )


def topic_scores(answers: pl.DataFrame, curriculum: Curriculum) -> list[TopicScore]:
    """Return every asked topic's accuracy, this iteration's first and in its order, then earlier ones by id (E4)."""
    order = {topic.topic_id: i for i, topic in enumerate(curriculum.topics)}
    grouped = answers.group_by("topic_id").agg(
        pl.col("topic").sort().first(), pl.len().alias("n"), (pl.col("label") == "correct").sum().alias("correct")
    )
    rows = sorted(grouped.iter_rows(named=True), key=lambda row: (order.get(row["topic_id"], len(order)), row["topic_id"]))
    return [
        TopicScore(
            topic_id=row["topic_id"], name=row["topic"] or "", n=row["n"], correct=row["correct"], accuracy=row["correct"] / row["n"]
        )
        for row in rows
    ]


def _under(tau: float, scores: Iterable[TopicScore]) -> set[str]:
    return {score.topic_id for score in scores if score.accuracy < tau}


def _known_topics(planned: Iterable[Topic], curriculum: Curriculum, answers: pl.DataFrame, pairs: pl.DataFrame) -> dict[str, Topic]:
    """Return every topic that was asked about, by id, as it was planned last; one that no plan holds gets the pages of its pairs."""
    known = {topic.topic_id: topic for topic in planned}
    pages = dict(
        pairs.filter(pl.col("accepted") & (pl.col("url") != "")).group_by("topic_id").agg(pl.col("url").unique().sort()).iter_rows()
    )
    for row in answers.select("topic_id", "topic").unique().sort("topic_id", "topic").iter_rows(named=True):
        if row["topic_id"] and row["topic_id"] not in known:
            known[row["topic_id"]] = Topic(
                topic_id=row["topic_id"], name=row["topic"] or row["topic_id"], urls=pages.get(row["topic_id"], [])
            )
    asked = set(answers["topic_id"]) | {topic.topic_id for topic in curriculum.topics}
    return {topic_id: topic for topic_id, topic in known.items() if topic_id in asked}


def left_over(earlier_qa: Sequence[pl.DataFrame]) -> set[str]:
    """Return the topics that do not count as covered yet: a passage of theirs was not studied, and that was not tried often enough (R4).

    Args:
        earlier_qa: Pair tables (`QA_SCHEMA`) of the iterations so far, oldest first.
    """
    misses = _running(list(reversed(earlier_qa)), lambda table: half_studied(table, earlier_qa))
    return {topic_id for topic_id, count in misses.items() if count < TRIES}


def _running(tables: Sequence[pl.DataFrame], lost_in: Callable[[pl.DataFrame], set[str]]) -> dict[str, int]:
    """Return in how many iterations running a topic was lost, by its id, from the pair tables of the iterations, newest first."""
    misses: dict[str, int] = {}
    settled: set[str] = set()
    for table in tables:
        lost = lost_in(table) - settled
        misses |= {topic_id: misses.get(topic_id, 0) + 1 for topic_id in lost}
        settled |= set(table["topic_id"]) - lost
    return misses


def _remediation(weak: Sequence[Topic], proposals: Iterable[Topic]) -> list[Topic]:
    """Return one remediation for each weak topic: the teacher's, else the topic itself once more (V1, G3)."""
    proposed: dict[str, Topic] = {}
    for topic in proposals:
        if topic.origin == "remediation" and topic.parent:
            proposed.setdefault(topic.parent, topic)
    return [proposed.get(t.topic_id) or t.model_copy(update={"origin": "remediation", "parent": t.topic_id}) for t in weak]


def _advanced(proposals: Iterable[Topic], taken: Iterable[Topic], seed: Seed) -> list[Topic]:
    """Return the proposed advanced topics that are new by id and by name (V1, novelty)."""
    ids = set(seed.inherited.covered_topics)
    names = {plain_name(name) for name in seed.inherited.mastered}
    for topic in taken:
        ids.add(topic.topic_id)
        names.add(plain_name(topic.name))
    fresh: list[Topic] = []
    for topic in proposals:
        if topic.origin == "advanced" and topic.topic_id not in ids and plain_name(topic.name) not in names:
            fresh.append(topic)
            ids.add(topic.topic_id)
            names.add(plain_name(topic.name))
    return fresh


def _taught(qa: pl.DataFrame) -> set[str]:
    return set(qa.filter(pl.col("accepted") & (pl.col("role") == "train"))["fact_id"])


def _decide(
    *,
    n: int,
    accuracy: float | None,
    previous: float | None,
    weak: int,
    fresh: int,
    again: Sequence[str],
    stuck: Sequence[str],
    novel: int,
    tau: float,
    delta: float,
    done: int,
    max_iterations: int,
) -> tuple[bool, str]:
    gain, rise = 0.0, "no probe was asked, so nothing was measured"
    if n and accuracy is not None:
        gain = accuracy - (previous or 0.0)
        rise = f"{100 * accuracy:.1f} % of {n} probes right"
        rise += f", {100 * gain:+.1f} points since the iteration before" if previous is not None else ""
    if novel == 0:
        rise += "; this iteration found no new fact"
    if stuck:
        rise += f"; not studied in {TRIES} iterations running, so that they keep the loop going no more: {_names(stuck)}"
    left = fresh + len(again)
    if done >= max_iterations:
        return False, f"budget.max_iterations = {max_iterations} is reached; {rise}; {weak} topics under tau and {left} new ones are left"
    if not weak and not left:
        return False, f"nothing is left to teach: no topic is under tau = {tau:g} and no topic is left over; {rise}"
    if not left and novel == 0 and gain <= delta:
        return False, f"{counted(weak, 'topic')} under tau = {tau:g}, and teaching again brought no more than delta = {delta:g}; {rise}"
    grounds = []
    if previous is not None and gain > delta:
        grounds.append(f"accuracy rose by more than delta = {delta:g}")
    if weak:
        grounds.append(f"{counted(weak, 'topic')} under tau = {tau:g}")
    if fresh:
        grounds.append(f"{counted(fresh, 'topic')} left")
    if again:
        grounds.append(f"{counted(len(again), 'topic')} could not be studied and will be planned again ({_names(again)})")
    return True, f"{', '.join(grounds)}; {rise}"


def _names(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
