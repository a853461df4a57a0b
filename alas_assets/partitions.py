"""The loop's partitions: domain x iteration, both dynamic, one definition for all assets.

A dimension's keys are added by `alas open`, by a sensor or by hand in the UI; `Cell` refuses those that cannot be one.
"""

import dagster as dg

from alas_assets.provenance.store import BadKeyError, Cell

domains = dg.DynamicPartitionsDefinition(name="domain")
iterations = dg.DynamicPartitionsDefinition(name="iteration")
cells = dg.MultiPartitionsDefinition({"domain": domains, "iteration": iterations})


def cell_key(cell: Cell) -> dg.MultiPartitionKey:
    """Return the partition key of a cell."""
    return dg.MultiPartitionKey({"domain": cell.domain, "iteration": cell.iteration})


def cell_of(partition_key: str) -> Cell:
    """Return the cell of a partition key.

    Raises:
        BadKeyError: The key cannot be a cell, such as one with a path or an emoji in it.
    """
    domain, bar, iteration = partition_key.partition("|")
    if not bar:
        raise BadKeyError(f"partition {partition_key[:80]!r} is not domain|iteration")
    return Cell(domain, iteration)


def register_cell(instance: dg.DagsterInstance, cell: Cell) -> None:
    """Make the cell's keys known to Dagster; adding them twice is harmless."""
    instance.add_dynamic_partitions("domain", [cell.domain])
    instance.add_dynamic_partitions("iteration", [cell.iteration])
