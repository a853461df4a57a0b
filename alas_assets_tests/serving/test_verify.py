"""Verification against servers that answer as they like: only the evaluated answers are proof."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alas_assets.serving.report import verdict_lines
from alas_assets.serving.verify import Check, Compared, Recorded, Verdict, VerifyError, ask, content_of, look_into, sampled
from alas_assets.students.answering import AskItem, Decoding, Margins
from alas_assets.teachers.protocol import GradeRequest


def recorded(number: int, text: str = "", base: str = "I do not know") -> Recorded:
    """The answer "blot()" to a question that asks for it."""
    request = GradeRequest(question=f"What is {number}?", gold="blot()", aliases=[], answer_kind="identifier", rivals=[], answer="")
    said = text or "blot()"
    return Recorded(
        answer_id=str(number), split="probe", question=f"What is {number}?", text=said, label="correct", base_text=base, request=request
    )


RECORDED = [recorded(number) for number in range(4)]


@contextmanager
def answering(reply: Callable[[dict], tuple[int, bytes]]) -> Iterator[str]:
    """A server whose replies a test chooses."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, body = reply(asked)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


def says(text: str) -> tuple[int, bytes]:
    return 200, json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


def verdict(compared: list[Compared], *checks: Check) -> Verdict:
    return Verdict(domain="quill", adapter_hash="a" * 64, url="u", model="m", checks=list(checks), compared=compared, of=len(compared))


def test_the_recorded_answers_prove_it_and_are_asked_as_in_evaluation() -> None:
    seen = []

    def reply(asked: dict) -> tuple[int, bytes]:
        seen.append(asked)
        return says(" blot()\n")

    with answering(reply) as url:
        found = verdict(ask(url, "quill", RECORDED, Decoding()))
    assert found.proven
    assert {(one["model"], one["temperature"], one["max_tokens"]) for one in seen} == {("quill", 0, 24)}
    assert list(verdict_lines(found))[-1].startswith("proven")
    assert not verdict(found.compared, Check(what="hash", ok=False)).proven


def test_one_other_grade_is_enough_against_it_even_where_it_is_a_tie() -> None:
    with answering(lambda asked: says("spill()" if "3" in asked["messages"][0]["content"] else "blot()")) as url:
        compared = ask(url, "quill", RECORDED, Decoding())
    looked = look_into(compared, "fp32", lambda said: [Margins(behind=[0.0]) for _ in said])
    found = verdict(looked)
    assert not found.proven
    assert [one.answer_id for one in found.failed] == ["3"]
    assert looked[3].tie is True
    assert "another grade" in "\n".join(verdict_lines(found))


def test_another_text_of_the_same_grade_counts_only_as_a_tie() -> None:
    with answering(lambda _: says("It is blot().")) as url:
        compared = ask(url, "quill", RECORDED[:1], Decoding())
    asked: list[tuple[AskItem, str]] = []

    def margins(gap: float) -> Callable[[list[tuple[AskItem, str]]], list[Margins]]:
        def measure(said: list[tuple[AskItem, str]]) -> list[Margins]:
            asked.extend(said)
            return [Margins(behind=[0.0, gap])]

        return measure

    assert verdict(look_into(compared, "fp32", margins(0.0005))).proven
    assert not verdict(look_into(compared, "fp32", margins(0.3))).proven
    assert verdict(look_into(compared, "bf16", margins(0.3))).proven
    assert not verdict(look_into(compared, "bf16", lambda said: [Margins(behind=[], error="x")])).proven
    assert asked[0] == (AskItem(question="What is 0?"), "It is blot().")


def test_an_adapter_without_effect_is_found_out() -> None:
    alike = [one.model_copy(update={"text": "blot() maybe", "base_text": "blot()"}) for one in RECORDED]
    with answering(lambda _: says("blot()")) as url:
        compared = ask(url, "quill", alike, Decoding())
    found = verdict(look_into(compared, "fp32", lambda said: [Margins(behind=[0.0]) for _ in said]))
    assert found.without_effect
    assert not found.proven
    assert "without effect" in "\n".join(verdict_lines(found))


def test_a_base_student_is_not_proven_by_answers_that_it_gives_too() -> None:
    alike = [one.model_copy(update={"base_text": "blot()"}) for one in RECORDED]
    unknown = [one.model_copy(update={"base_text": None}) for one in RECORDED]
    with answering(lambda _: says("blot()")) as url:
        for which in (alike, unknown):
            found = verdict(ask(url, "quill", which, Decoding()))
            assert (found.failed, found.without_effect, found.proven) == ([], False, False)
            assert "none of these answers tells the evaluated model from the base student" in "\n".join(verdict_lines(found))
            assert found.model_copy(update={"by_hash": True}).proven, "a door says which weights it has"
        assert verdict(ask(url, "quill", [*alike[:3], RECORDED[3]], Decoding())).proven


@pytest.mark.parametrize("reply", [(500, b"oops"), (200, b"{"), (200, b'{"choices": []}'), (503, b'{"error": {}}'), (200, b"[" * 100_000)])
def test_no_answer_is_no_proof(reply: tuple[int, bytes]) -> None:
    with answering(lambda _: reply) as url:
        found = verdict(ask(url, "quill", RECORDED[:2], Decoding()))
    assert len(found.failed) == 2
    assert not found.proven


def test_nothing_asked_is_no_proof_and_nothing_there_is_said() -> None:
    assert not verdict([]).proven
    with pytest.raises(VerifyError, match="nothing answers there"):
        ask("http://127.0.0.1:9/v1", "quill", RECORDED, Decoding())


@given(st.binary(max_size=100))
def test_any_reply_is_a_text_or_none(raw: bytes) -> None:
    assert content_of(raw) is None


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 5))
def test_a_sample_is_the_same_for_the_same_seed_and_in_order(n: int, of: int, seed: int) -> None:
    every = [recorded(number) for number in range(of)]
    drawn = sampled(every, n, seed)
    assert drawn == sampled(every, n, seed)
    assert len(drawn) == min(n, of)
    assert [one for one in every if one in drawn] == drawn


def test_a_sample_holds_every_split_and_its_proof_says_that_it_is_one() -> None:
    every = [recorded(number).model_copy(update={"split": "guard" if number < 50 else "probe"}) for number in range(60)]
    drawn = sampled(every, 8, 17)
    assert sorted(one.split for one in drawn) == ["guard"] * 4 + ["probe"] * 4
    with answering(lambda _: says("blot()")) as url:
        found = verdict(ask(url, "quill", drawn, Decoding())).model_copy(update={"of": len(every)})
    assert found.proven
    assert list(verdict_lines(found))[-1].startswith("proven on a sample of 8 of 60 answers")


@given(st.integers(1, 30), st.integers(0, 100))
def test_a_sample_holds_a_fact_first_and_one_answer_that_tells_the_model_from_the_base(n: int, seed: int) -> None:
    alike = [recorded(number, base="blot()").model_copy(update={"split": "probe" if number < 20 else "guard"}) for number in range(60)]
    assert sampled(alike, n, seed)[0].split == "probe"
    every = [*alike[:59], recorded(59).model_copy(update={"split": "guard"})]
    assert every[59] in sampled(every, n, seed)


def test_an_answer_that_did_not_come_is_not_counted_as_another_grade() -> None:
    with answering(lambda _: (404, b"{}")) as url:
        found = verdict(ask(url, "wrong", RECORDED[:2], Decoding()))
    assert "0 with another grade, 2 without an answer" in "\n".join(verdict_lines(found))
