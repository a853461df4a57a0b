"""Between assets and the artifact store: inputs are read by the cell's pointer, outputs were already stored by the step.

The step stores first because the data version must be known before Dagster records the event (O4).
"""

from typing import Any

import dagster as dg
from pydantic import BaseModel

from alas_assets.defs.resources import Alas
from alas_assets.partitions import cell_of
from alas_assets.provenance.store import Pointer, StoreError


class StoreIOManager(dg.ConfigurableIOManager):
    """Loads tables as polars frames and records as the pydantic class that the reader asks for."""

    alas: dg.ResourceDependency[Alas]

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Check that the step stored what it returns; there is nothing left to write."""
        if obj is not None and context.has_asset_partitions and self._pointer(context.asset_key, context.asset_partition_key) is None:
            raise StoreError(f"{context.asset_key.to_user_string()} returned a value that it did not store")

    def load_input(self, context: dg.InputContext) -> Any:
        """Read the input's artifact of the same cell."""
        name = context.asset_key.to_user_string()
        pointer = self._pointer(context.asset_key, context.asset_partition_key)
        if pointer is None:
            raise dg.Failure(description=f"{name} of {context.asset_partition_key} is not there; materialise it first", allow_retries=False)
        wanted = context.dagster_type.typing_type
        store = self.alas.store
        if pointer.kind == "parquet":
            return store.read_table(pointer)
        if isinstance(wanted, type) and issubclass(wanted, BaseModel):
            return store.read_record(wanted, pointer)
        raise StoreError(f"{name} is a record: annotate the input with its class, not {wanted}")

    def _pointer(self, key: dg.AssetKey, partition: str) -> Pointer | None:
        return self.alas.store.pointer(cell_of(partition), key.to_user_string())
