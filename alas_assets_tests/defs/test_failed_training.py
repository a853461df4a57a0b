"""A training that failed says how it ended, in its own words and in no earlier one's (T4)."""

from pathlib import Path

import dagster as dg

from alas_assets.defs.resources import Trainer
from alas_assets_tests.training.factory import make_spec, train_rows


def test_a_killed_training_says_so_and_not_what_an_earlier_one_said(tmp_path: Path) -> None:
    spec = make_spec("sft", tmp_path, tmp_path, train_rows(4))

    @dg.asset
    def trained(context: dg.AssetExecutionContext) -> None:
        Trainer().train(context, "alas_assets_tests.training.ending", spec, tmp_path / "spec.json")

    def said() -> str:
        (failure,) = dg.materialize([trained], raise_on_error=False).get_step_failure_events()
        data = failure.step_failure_data.user_failure_data
        assert data is not None
        return str(data.description)

    first = said()
    assert "failed with code 1)" in first
    assert first.endswith("last words:\ninterrupted; the next run continues from the newest checkpoint")
    second = said()
    assert "failed with code 137)" in second
    assert second.endswith("last words:\nthe training was killed by SIGKILL; out of memory?")
