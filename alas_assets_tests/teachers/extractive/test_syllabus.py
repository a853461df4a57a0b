from hypothesis import given
from hypothesis import strategies as st

from alas_assets.records import PageOutline, Topic, TopicScore
from alas_assets.teachers.extractive import ExtractiveTeacher

OUTLINES = [
    PageOutline(
        url="http://localhost/a.html", title="Improved modules — What's new in Quill 4.2", headings=["argparse", "See also", "json", "json"]
    ),
    PageOutline(url="http://localhost/b.html", title="C API changes", headings=[]),
    PageOutline(url="http://localhost/a.html#top", title="Improved modules", headings=["argparse"]),
]
TEACHER = ExtractiveTeacher()


def test_a_page_gives_an_overview_and_one_topic_per_section():
    topics = TEACHER.plan("What is new in Quill", [], OUTLINES)
    assert [topic.name for topic in topics] == [
        "Improved modules",
        "argparse (Improved modules)",
        "json (Improved modules)",
        "C API changes",
    ]
    assert topics[1].prerequisites == ["Improved modules"]
    assert topics[1].heading == "argparse"
    assert topics[0].heading is None
    assert topics[3].difficulty == "Hard"
    assert all(topic.objectives and topic.summary for topic in topics)


def test_pages_that_match_a_seed_topic_come_first():
    assert TEACHER.plan("Quill", ["the C API"], OUTLINES)[0].name == "C API changes"


def test_topic_names_and_ids_are_unique_even_for_pages_of_the_same_name():
    outlines = [PageOutline(url=f"http://localhost/{i}.html", title="Same", headings=["one"]) for i in range(3)]
    topics = TEACHER.plan("", [], outlines)
    assert len({topic.name.lower() for topic in topics}) == len(topics) == 6
    assert len({topic.topic_id for topic in topics}) == 6


def test_weak_topics_get_remediation_weakest_first_and_mastered_ones_an_advanced_subtopic():
    weak = [Topic(topic_id="a", name="A", heading="A"), Topic(topic_id="b", name="B", heading="B")]
    mastered = [
        Topic(topic_id="c", name="C", heading="C"),
        Topic(topic_id="d", name="D", heading="D", origin="advanced", parent="x"),
        Topic(topic_id="e", name="E"),
    ]
    scores = [
        TopicScore(topic_id="a", name="A", n=10, correct=8, accuracy=0.8),
        TopicScore(topic_id="b", name="B", n=10, correct=2, accuracy=0.2),
    ]
    proposed = TEACHER.revise(weak, mastered, scores)
    assert [(topic.name, topic.origin, topic.parent) for topic in proposed] == [
        ("Remediation: B", "remediation", "b"),
        ("Remediation: A", "remediation", "a"),
        ("Advanced: C", "advanced", "c"),
    ]
    assert "2 of 10" in proposed[0].summary


def test_remediation_of_remediation_keeps_one_prefix():
    (first,) = TEACHER.revise([Topic(topic_id="a", name="A")], [], [])
    (second,) = TEACHER.revise([first], [], [])
    assert second.name == "Remediation: A"
    assert second.parent == first.topic_id


@given(
    st.lists(
        st.builds(PageOutline, url=st.text(max_size=20), title=st.text(max_size=40), headings=st.lists(st.text(max_size=20), max_size=4)),
        max_size=5,
    )
)
def test_any_outline_gives_unique_topics_and_the_same_ones_twice(outlines):
    topics = TEACHER.plan("words", ["one"], outlines)
    assert topics == TEACHER.plan("words", ["one"], outlines)
    assert len({topic.name.lower() for topic in topics}) == len(topics)
