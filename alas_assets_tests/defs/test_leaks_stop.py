"""What a cell asks is not trained on, also where the training is materialised by itself (S8)."""

from pathlib import Path

import dagster as dg
import polars as pl

from alas_assets.partitions import cell_key
from alas_assets.provenance.store import Cell
from alas_assets_tests.harness import Harness, Site


def test_an_adapter_that_is_materialised_alone_is_not_trained_on_what_the_cell_asks(
    tiny_student: Path, quill_site: Site, tmp_path: Path
) -> None:
    harness = Harness(tmp_path, str(tiny_student))
    harness.domain("quill", quill_site.port)
    assert harness.run("quill", dry_run=True).success
    probes, pairs = (harness.store.read_table(harness.pointers("quill")[name], name) for name in ("probes", "qa_pairs"))
    trained = pairs.filter(pl.col("accepted") & (pl.col("role") == "train"))["question"][0]
    of_first = pl.col("probe_id") == probes.filter(pl.col("split") == "probe")["probe_id"][0]
    leaked = probes.with_columns(question=pl.when(of_first).then(pl.lit(trained)).otherwise("question"))
    cell = Cell.of("quill", 0)
    harness.store.put(cell, "probes", leaked, input_key="leaked", inputs={}, run_id="planted")
    result = harness.repository.get_job("iteration").execute_in_process(
        instance=harness.instance, partition_key=cell_key(cell), asset_selection=[dg.AssetKey("sft_adapter")], raise_on_error=False
    )
    (failure,) = result.get_step_failure_events()
    said = failure.step_failure_data.user_failure_data
    assert said is not None
    assert "1 leak: " in str(said.description)
    assert "nothing is trained on what is asked" in str(said.description)
    assert "sft_adapter" not in harness.pointers("quill")
