"""The model card: whatever a page calls itself, the card shows it as text and says nothing else."""

import string

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from alas_assets.records import GateDecision
from alas_assets.release.card import link, model_card, plain, yaml_text
from alas_assets.release.export import manifest_of
from alas_assets.release.identity import Manifest, Release, Score, Source
from alas_assets.students.answering import Decoding

HOSTILE = [
    "<script>alert(1)</script>",
    "](javascript:alert(1)) ![x](http://evil.test/p.png)",
    "| a | b |\n| --- | --- |\n# heading",
    "---\nlicense: mit\n---",
    "`code` **bold** &lt;b&gt; \\",
    "www.evil.test http://evil.test/ a@b.test",
    "x\u202egpj.exe\u2028new line\x00",
]
MARKDOWN = MarkdownIt("commonmark").enable("table")


def a_release(**changes: object) -> Release:
    """A release whose page is called as a test says."""
    decision = GateDecision(
        domain="quill",
        iteration=0,
        verdict="promote",
        reason="it is better",
        candidate="a" * 64,
        current_before=None,
        current_after="a" * 64,
    )
    plainly = Release(
        domain="quill",
        title="Quill",
        cell="quill|000",
        adapter_hash="a" * 64,
        kind="sft",
        base_name="tiny",
        base_revision="local",
        base_hash="b" * 64,
        base_on_hub=False,
        rank=8,
        rows=3,
        rows_hash="c" * 64,
        counts={"fact": 2, "replay": 1},
        probes_hash="d" * 64,
        seed=3,
        decision=decision,
        decision_hash="e" * 64,
        scores_of="quill|000",
        scores=[
            Score(system=system, split="probe", n=10, correct=right, accuracy=right / 10, ci_low=0.1, ci_high=0.9)
            for system, right in (("base", 1), ("current", 9))
        ],
        sources=[Source(url="http://127.0.0.1:1/a", title="A page", licence="", facts=2)],
    )
    return plainly.model_copy(update=changes)


def a_manifest() -> Manifest:
    """What stands in the card's `release.json`."""
    return Manifest(
        format="merged",
        domain="quill",
        cell="quill|000",
        adapter_hash="a" * 64,
        base={},
        rows_hash="",
        probes_hash="",
        decision={},
        precision="fp32",
        decoding=Decoding(),
        files={},
    )


def shown(markdown: str) -> str:
    """What a reader of a paragraph sees, if it is text and nothing else."""
    (inline,) = [token for token in MARKDOWN.parse(f"x {markdown} x") if token.type == "inline"]
    assert {child.type for child in inline.children or []} <= {"text", "text_special"}, inline.children
    return "".join(child.content for child in inline.children or [])[2:-2]


@given(st.text(max_size=150))
def test_foreign_text_is_shown_as_it_is_on_one_line(text: str) -> None:
    escaped = plain(text)
    assert "\n" not in escaped
    visible = shown(escaped) if escaped else ""
    assert visible.replace(" ", "") == "".join(one for one in visible if not one.isspace())
    assert [one for one in visible if one in string.ascii_letters] == [one for one in text if one in string.ascii_letters]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_title_url_and_licence_add_nothing_to_the_card(text: str) -> None:
    card = model_card(
        a_release(sources=[Source(url=f"http://h.test/{text}", title=text, licence=text, facts=1)]), a_manifest(), "Use it.\n"
    )
    same = model_card(a_release(sources=[Source(url="http://h.test/x", title="x", licence="x", facts=1)]), a_manifest(), "Use it.\n")
    kinds, usual = ([token.type for token in MARKDOWN.parse(one.partition("---\n")[2])] for one in (card, same))
    assert kinds == usual
    assert "<script" not in MARKDOWN.render(card)
    hrefs = [child.attrGet("href") for token in MARKDOWN.parse(card) for child in token.children or [] if child.type == "link_open"]
    assert all(str(href).startswith("http://h.test/") for href in hrefs)
    assert "img" not in MARKDOWN.render(card)


@given(st.text(max_size=80))
def test_an_address_is_one_link_or_plain_text(text: str) -> None:
    for url in (f"http://host.test/{text}", f"javascript:{text}", text):
        made = link(url)
        assert "\n" not in made
        assert "|" not in made.replace("\\|", "")
        if made.startswith("<"):
            assert made.endswith(">")
            assert not set(made[1:-1]) & set(' <>"`')


@given(st.text(max_size=80))
def test_front_matter_is_read_back_as_one_text(text: str) -> None:
    assert isinstance(yaml.safe_load(f"a: {yaml_text(text)}")["a"], str)


def test_the_card_has_provenance_scores_with_intervals_the_decision_and_limits() -> None:
    card = model_card(a_release(), a_manifest(), "Use it.\n")
    for words in ("a" * 64, "c" * 64, "90.0 % [10-90]", "10.0 % [10-90]", "**promote**", "not stated", "## Limits"):
        assert words in card
    assert yaml.safe_load(card.split("---")[1])["library_name"] == "transformers"


def test_scores_from_an_earlier_arithmetic_are_said_to_be_so() -> None:
    assert "another precision" in model_card(a_release(scored_as_answering=False), a_manifest(), "")
    assert "another precision" not in model_card(a_release(), a_manifest(), "")


def test_an_adapter_that_the_gate_refused_is_said_to_be_refused_at_the_head() -> None:
    promoted = a_release()
    kept = promoted.decision.model_copy(update={"verdict": "keep", "reason": "general skills fell"})
    heads = [model_card(a_release(decision=one), a_manifest(), "").split("## Use")[0] for one in (promoted.decision, kept)]
    assert ["NOT promote" in head for head in heads] == [promoted.decision.verdict != "promote", True]


def test_an_adapter_that_the_gate_did_not_judge_is_not_said_to_be_promoted_where_its_iterations_other_candidate_was() -> None:
    other = a_release(adapter_hash="9" * 64, kind="dpo")
    card = model_card(other, a_manifest(), "")
    assert "The gate did NOT judge it" in card.split("## Use")[0]
    assert f"On adapter `{'a' * 12}`, not on this one: **promote**" in card
    told = manifest_of(other, "adapter", "fp32").decision
    assert (told["verdict"], told["candidate"]) == ("not judged", "a" * 64)
    assert manifest_of(a_release(), "adapter", "fp32").decision["verdict"] == "promote"


def test_a_promoted_adapter_that_was_rolled_back_is_said_to_be_at_the_head() -> None:
    undone = a_release(rolled_back="by Ada on 2026-11-29 (it says odd things)")
    assert "was **rolled back** by Ada on 2026-11-29 (it says odd things)." in model_card(undone, a_manifest(), "").split("## Use")[0]
    assert manifest_of(undone, "adapter", "fp32").decision["rolled_back"] == undone.rolled_back


def test_scores_of_a_later_iteration_are_said_not_to_be_of_what_was_taught() -> None:
    release = a_release()
    assert "were not taught to this model" not in model_card(a_release(scores_of=release.cell), a_manifest(), "")
    assert "were not taught to this model" in model_card(a_release(scores_of="python-releases|009"), a_manifest(), "")
