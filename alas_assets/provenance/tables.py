"""Reading Parquet files whose bytes nobody vouches for: torn, edited, or damaged by a disk.

pyarrow refuses such a file where polars may end the process: a changed byte can have it ask for exabytes of memory. What a pointer vouches
for is read with polars, in `provenance.store`.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import polars as pl


class DamagedTableError(OSError):
    """A Parquet file holds no table that can be read; the message says what is wrong with it."""


def read_unvouched(source: Path | bytes, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read a table, of these columns or of all; its values may still be such as no reader expects (`store.unvouched_hash`).

    Raises:
        DamagedTableError: It is damaged, or one of the columns is not there.
        OSError: The file is gone or cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    raw = source if isinstance(source, bytes) else source.read_bytes()
    try:
        table = pq.read_table(io.BytesIO(raw))
        table.validate(full=True)
        frame = pl.DataFrame(table)
        return frame.select(columns) if columns is not None else frame
    except (pa.ArrowException, OSError, ValueError, KeyError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DamagedTableError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
