"""Merging, memory, order and budget of the plan (P1-P3)."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alas_assets.domains.config import Domain
from alas_assets.domains.sources import Sources
from alas_assets.planning.seed import first_seed, next_seed
from alas_assets.planning.syllabus import plan_curriculum, shortage
from alas_assets.records import Curriculum, Inherited, RevisedCurriculum, Seed, Topic
from alas_assets_tests.counted import calls_of

DOMAIN = Domain(
    key="d",
    title="D",
    description="What is new in a language, release by release.",
    seed_topics=("imports",),
    sources=Sources(seed_urls=("http://127.0.0.1:1/",)),
)
SEED = first_seed(DOMAIN, "a person")


def topic(name: str, page: str = "p", *, needs: tuple[str, ...] = (), **more: object) -> Topic:
    return Topic(**{"topic_id": f"id-{page}-{name}", "name": name, "urls": [f"http://h/{page}"], "prerequisites": list(needs), **more})  # type: ignore[arg-type]


def letters(texts: list[str]) -> list[list[float]]:
    """Embed a text as its letter counts, so that anagrams mean the same."""
    return [[float(text.lower().count(chr(c))) for c in range(ord("a"), ord("z") + 1)] for text in texts]


def plan(*topics: Topic, seed: Seed = SEED, limit: int = 100, embed: object = letters) -> Curriculum:
    return plan_curriculum(seed, topics, embed, min_topics=1, max_topics=limit)  # type: ignore[arg-type]


def named(topics: list[Topic]) -> list[str]:
    return [item.name for item in topics]


def test_names_that_mean_the_same_are_merged_and_keep_both_pages() -> None:
    result = plan(topic("Lazy imports", "a", objectives=["x"]), topic("imports lazy", "b", objectives=["y"]), topic("lazy  IMPORTS", "c"))
    assert named(result.topics) == ["Lazy imports"]
    assert result.merged == [("imports lazy", "Lazy imports"), ("lazy  IMPORTS", "Lazy imports")]
    assert result.topics[0].urls == ["http://h/a", "http://h/b", "http://h/c"]
    assert result.topics[0].objectives == ["x", "y"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("New in 3.14", "New in 3.15"),
        ("Changes to os.path", "Changes to os_path"),
        ("The `json` module", "The `jnos` module"),
        ("What BoolAction does", "What ActionBool does"),
        ("PEP 810", "PEP 801"),
    ],
)
def test_names_that_differ_in_a_number_version_or_identifier_are_never_merged(one: str, other: str) -> None:
    same = lambda texts: [[1.0]] * len(texts)  # noqa: E731
    assert len(plan(topic(one, "a"), topic(other, "b"), embed=same).topics) == 2


def test_sections_stay_apart_because_a_topic_studies_one() -> None:
    result = plan(topic("Lazy imports", "a", heading="Lazy imports"), topic("imports lazy", "a", heading="Imports"))
    assert len(result.topics) == 2


_PARTS = st.sampled_from(["alpha", "beta", "`gamma`", "3.14", "3.15", "os.path", "aPI"])
NAMED = st.tuples(st.lists(_PARTS, min_size=1, max_size=2).map(" ".join), st.sampled_from([None, "A", "B"]))
VECTOR = st.lists(st.sampled_from([0.0, 0.5, 0.92, 1.0, -1.0, math.sqrt(1 - 0.92**2)]), min_size=3, max_size=3)


@settings(deadline=None)
@given(st.lists(st.tuples(NAMED, VECTOR), max_size=14), st.sampled_from([0.92, 1.0, 0.5]))
def test_a_topic_is_merged_into_the_first_that_one_by_one_comparison_finds(rows: list[tuple[Any, list[float]]], threshold: float) -> None:
    topics = [topic(name, f"p{i}", heading=heading) for i, ((name, heading), _) in enumerate(rows)]
    vectors = [vector for _, vector in rows]
    merged = plan_curriculum(SEED, topics, lambda _: vectors, min_topics=1, max_topics=99, threshold=threshold).merged
    kept: list[int] = []
    expected: list[tuple[str, str]] = []
    for i, one in enumerate(topics):
        twin = next(
            (k for k in kept if topics[k].heading == one.heading and alike(topics[k].name, one.name, vectors[k], vectors[i], threshold)),
            None,
        )
        if twin is None:
            kept.append(i)
        else:
            expected.append((one.name, topics[twin].name))
    assert merged == expected


def alike(one: str, other: str, first: list[float], second: list[float], threshold: float) -> bool:
    """Say whether two names mean the same, each comparison on its own."""
    lengths = [math.sqrt(math.fsum(x * x for x in vector)) or 1.0 for vector in (first, second)]
    cosine = math.fsum((x / lengths[0]) * (y / lengths[1]) for x, y in zip(first, second, strict=True))
    return one == other or (particular(one) == particular(other) and cosine >= threshold)


def particular(name: str) -> set[str]:
    return {word.strip("`") for word in name.split() if word in ("`gamma`", "3.14", "3.15", "os.path", "aPI")}


def test_many_topics_are_merged_without_comparing_every_two_names_anew() -> None:
    draw = random.Random(1)
    topics = [topic(f"Topic {chr(97 + i % 26)}{'x' * (i // 26)}", f"p{i}") for i in range(1_200)]
    vectors = [[draw.gauss(0, 1) for _ in range(64)] for _ in topics]

    def merge(count: int) -> None:
        plan = plan_curriculum(SEED, topics[:count], lambda _: vectors[:count], min_topics=1, max_topics=9_999)
        assert plan.merged == []

    assert calls_of(lambda: merge(1_200)) < calls_of(lambda: merge(300)) * 8  # comparing every two would be 16 times as much


def test_without_an_embedder_equal_names_are_still_merged() -> None:
    assert len(plan(topic("A b", "a"), topic("a  B", "b"), topic("b a", "c"), embed=None).topics) == 2


def test_prerequisites_come_first_and_the_rest_keeps_its_order() -> None:
    result = plan(topic("c", needs=("a",)), topic("b"), topic("a"), topic("d", needs=("nowhere",)))
    assert named(result.topics) == ["b", "a", "c", "d"]
    assert result.broken_cycles == []


def test_a_prerequisite_that_was_merged_away_still_counts() -> None:
    result = plan(topic("z", "x", needs=("imports lazy",)), topic("Lazy imports", "a"), topic("imports lazy", "b"))
    assert named(result.topics) == ["Lazy imports", "z"]


def test_a_cycle_is_broken_at_its_first_topic_and_reported() -> None:
    result = plan(topic("a", needs=("b",)), topic("b", needs=("c",)), topic("c", needs=("a",)), topic("x", needs=("x",)))
    assert named(result.topics) == ["x", "a", "c", "b"]
    assert result.broken_cycles == [["x"], ["a", "b", "c"]]


def test_mastered_topics_leave_weak_ones_lead_and_covered_ones_are_not_repeated() -> None:
    seed = SEED.model_copy(
        update={
            "weak_topics": [topic("weak", "w")],
            "next_topics": [topic("left over", "l"), topic("Advanced: known", "k", origin="advanced", parent="id-k-known")],
            "inherited": Inherited(mastered=["Known"], covered_topics=["id-s-seen", "id-w-weak"], covered_urls=["http://h/k#known"]),
        }
    )
    result = plan(topic("known", "k"), topic("seen", "s"), topic("new", "n"), topic("weak", "w"), topic("left over", "l"), seed=seed)
    assert named(result.topics) == ["weak", "left over", "Advanced: known", "new"]
    assert [item.origin for item in result.topics] == ["remediation", "new", "advanced", "new"]


def test_a_new_page_is_studied_although_its_topics_have_the_names_of_mastered_ones() -> None:
    memory = Inherited(mastered=["Security Bulletin", "Bug fixes"], covered_topics=["id-july-Bug fixes"], covered_urls=["http://h/july"])
    seed = SEED.model_copy(update={"inherited": memory, "next_topics": [topic("Security Bulletin", "june")]})
    proposed = [topic(name, page) for page in ("july", "august") for name in ("Security Bulletin", "Bug fixes")]
    planned = plan_curriculum(seed, proposed, None, min_topics=1, max_topics=9).topics
    assert {(one.name, url) for one in planned for url in one.urls} == {
        ("Security Bulletin", "http://h/june"),
        ("Security Bulletin", "http://h/august"),
        ("Bug fixes", "http://h/august"),
    }


def test_the_budget_takes_whole_pages_and_defers_the_rest() -> None:
    topics = [topic(f"t{i}", page) for i, page in enumerate("aaabbbbcc")]
    result = plan(*topics, limit=6)
    assert named(result.topics) == ["t0", "t1", "t2"]
    assert named(result.deferred) == ["t3", "t4", "t5", "t6", "t7", "t8"]
    assert len(plan(*topics, limit=7).topics) == 7


def test_a_page_larger_than_the_budget_is_still_studied_whole() -> None:
    assert len(plan(*[topic(f"t{i}") for i in range(5)], limit=2).topics) == 5


def test_remediation_comes_on_top_of_the_budget() -> None:
    seed = SEED.model_copy(update={"weak_topics": [topic(f"w{i}", "a") for i in range(3)]})
    result = plan(*[topic(f"n{i}", "b") for i in range(3)], seed=seed, limit=5)
    assert named(result.topics) == ["w0", "w1", "w2", "n0", "n1", "n2"]
    assert not result.deferred


def test_a_short_plan_is_reported_in_words() -> None:
    result = plan(topic("a"), topic("b", "q"), limit=1)
    assert shortage(result, 1) is None
    assert "2 topics planned" in (shortage(plan(topic("a"), topic("b")), 3) or "")
    assert "1 are deferred" in (shortage(result, 2) or "")
    assert "earlier iterations" in (shortage(plan(topic("a")).model_copy(update={"iteration": 1}), 2) or "")
    assert "http://h/x" in (shortage(plan(topic("a")).model_copy(update={"failed_urls": [("http://h/x", "404")]}), 2) or "")


def test_no_topic_is_a_plan_of_none() -> None:
    assert plan().topics == []
    assert "0 topics" in (shortage(plan(), 1) or "")


words = st.text(alphabet="abcdeX 1._`", min_size=1, max_size=6)
anything = st.lists(
    st.builds(
        lambda name, page, needs, heading: topic(name, page, needs=tuple(needs), heading=heading),
        words,
        st.sampled_from("pqr"),
        st.lists(words, max_size=3),
        st.sampled_from([None, "h", "i"]),
    ),
    max_size=14,
)


@settings(max_examples=200, deadline=None)
@given(anything, st.integers(1, 8))
def test_every_topic_is_planned_deferred_or_merged_once_and_order_holds(topics: list[Topic], limit: int) -> None:
    result = plan(*topics, limit=limit)
    assert result == plan(*topics, limit=limit)
    placed = [item.topic_id for item in (*result.topics, *result.deferred)]
    assert len(placed) == len(set(placed)) == len({item.topic_id for item in topics}) - len(result.merged)
    assert {url for item in topics for url in item.urls} == {url for item in (*result.topics, *result.deferred) for url in item.urls}
    assert bool(result.topics) == bool(topics)
    pages = {item.urls[0] for item in result.topics}
    assert len(pages) <= 1 or len(result.topics) <= limit


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25))
def test_without_a_cycle_every_prerequisite_comes_before_what_needs_it(edges: list[tuple[int, int]]) -> None:
    names = [f"topic {n}" for n in range(10)]
    needs = {n: tuple(names[b] for a, b in edges if a == n and b > a) for n in range(10)}
    result = plan(*[topic(names[n], needs=needs[n]) for n in range(10)])
    position = {name: i for i, name in enumerate(named(result.topics))}
    assert result.broken_cycles == []
    assert all(position[needed] < position[names[n]] for n in range(10) for needed in needs[n])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=40))
def test_cycles_never_lose_a_topic(edges: list[tuple[int, int]]) -> None:
    names = [f"topic {n}" for n in range(8)]
    result = plan(*[topic(names[n], needs=tuple(names[b] for a, b in edges if a == n)) for n in range(8)])
    assert sorted(named(result.topics)) == names


def test_topics_of_a_changed_page_come_before_new_ones_however_well_they_are_known() -> None:
    known = topic("known").model_copy(update={"urls": ["http://h/changed.html#known"]})
    settled = topic("settled").model_copy(update={"urls": ["http://h/same.html"]})
    memory = Inherited(covered_topics=[known.topic_id, settled.topic_id], mastered=["known", "settled"])
    seed = SEED.model_copy(update={"inherited": memory, "weak_topics": [topic("weak")], "changed_pages": ["http://h/changed.html"]})
    planned = plan_curriculum(seed, [settled, topic("new"), known], embed=None, min_topics=1, max_topics=9)
    assert named(planned.topics) == ["weak", "known", "new"]


def test_seeds_carry_what_the_revision_said() -> None:
    assert (SEED.iteration, SEED.seed_topics, SEED.seed_urls, SEED.cause) == (0, ["imports"], ["http://127.0.0.1:1/"], "a person")
    revised = RevisedCurriculum(
        domain="d", iteration=3, decision="continue", reason="", accuracy=0.5, remediation=[topic("w")], next_topics=[topic("n")]
    )
    following = next_seed(DOMAIN, revised, "hash", Inherited(current_adapter="A"), "it said so")
    assert (following.iteration, following.revised_from, following.inherited.current_adapter, following.cause) == (
        4,
        "hash",
        "A",
        "it said so",
    )
    assert (named(following.weak_topics), named(following.next_topics)) == (["w"], ["n"])
    assert following.since_cause == 2
    reopened = next_seed(DOMAIN, revised.model_copy(update={"decision": "stop", "since_cause": 6}), "hash", Inherited(), "a new page")
    assert reopened.since_cause == 1
    with pytest.raises(ValueError, match="other"):
        next_seed(DOMAIN, revised.model_copy(update={"domain": "other"}), "hash", Inherited(), "")
