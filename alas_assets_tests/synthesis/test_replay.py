"""Which replay prompts a training sees."""

from hypothesis import given
from hypothesis import strategies as st

from alas_assets.synthesis.questions import ReplayPrompt
from alas_assets.synthesis.replay import NEAR_SHARE, draw_replay, mean_vector

PROMPTS = [ReplayPrompt(id=f"r{i:02}", prompt=f"Prompt {i}?") for i in range(50)]
VECTORS = [[1.0, 0.0] if i < 10 else [0.0, 1.0] for i in range(50)]


def test_half_of_the_replay_lies_near_what_is_taught_and_the_rest_is_from_everywhere_else() -> None:
    drawn = [prompt.id for prompt in draw_replay(PROMPTS, VECTORS, [1.0, 0.0], 40, 3)]
    near = [prompt for prompt in drawn if prompt < "r10"]
    assert len(near) == 40 * NEAR_SHARE
    assert {near.count(prompt) for prompt in set(near)} == {2}  # ten prompts in two whole rounds
    others = [prompt for prompt in drawn if prompt not in near]
    assert len(set(others)) == len(others) == 20


@given(st.integers(0, 300), st.integers(0, 2**40), st.permutations(range(50)))
def test_the_draw_is_as_long_as_asked_and_does_not_depend_on_the_order_of_the_file(needed: int, seed: int, order: list[int]) -> None:
    drawn = draw_replay(PROMPTS, VECTORS, [0.6, 0.8], needed, seed)
    assert len(drawn) == needed
    assert drawn == draw_replay([PROMPTS[i] for i in order], [VECTORS[i] for i in order], [0.6, 0.8], needed, seed)


def test_few_prompts_repeat_and_none_give_none() -> None:
    assert len(draw_replay(PROMPTS[:1], VECTORS[:1], [1.0, 0.0], 5, 1)) == 5
    assert draw_replay([], [], [1.0, 0.0], 5, 1) == []


def test_the_centre_is_the_mean_of_the_questions() -> None:
    assert mean_vector([[1.0, 0.0], [0.0, 1.0]]) == [0.5, 0.5]
