from pathlib import Path

import pytest

from alas_assets.training.spec import TrainingSpec
from alas_assets_tests.training.factory import make_spec, run_child, tiny_recipe, train_rows


@pytest.fixture(scope="session")
def sft_run(tiny_student: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingSpec, str]:
    """One finished SFT and what its child printed; DPO and warm starts go on from it."""
    rows = train_rows(24)
    long = rows[:1].with_columns(row_id=rows["row_id"][:1] + "-long", prompt=rows["prompt"][:1] + " really" * 40)
    spec = make_spec("sft", tmp_path_factory.mktemp("sft"), tiny_student, rows.vstack(long), recipe=tiny_recipe(max_length=160))
    done = run_child(spec)
    assert done.returncode == 0, done.stderr
    return spec, done.stdout
