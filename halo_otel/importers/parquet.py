"""The rows of a Parquet file as JSON objects, one row group at a time.

What a data frame has no value for is null and is left out, also inside of objects: a column's
objects have the members of all its rows. Times become numbers of nanoseconds; bytes are read as
text; a nested time becomes ISO text.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from halo_otel.errors import BadFile

MAGIC: Final = b"PAR1"
_ROWS: Final = 256  # made Python objects at once


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of the file at `path`, in order. Raises `BadFile` if it cannot be read."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path, pre_buffer=False) as file:
            for batch in file.iter_batches(_ROWS):
                yield from map(_plain, _with_counted_times(batch).to_pylist())
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise BadFile(f"{path} cannot be read as Parquet: {error}") from error


def _with_counted_times(batch: Any) -> Any:
    """`batch` with its times as numbers of nanoseconds: Python's have microseconds only."""
    import pyarrow
    from pyarrow import compute, types

    columns = []
    for column in batch.columns:
        if types.is_timestamp(column.type):
            nanoseconds = pyarrow.timestamp("ns", tz=column.type.tz)
            column = compute.cast(column.cast(nanoseconds), pyarrow.int64())
        columns.append(column)
    return pyarrow.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        if value and all(isinstance(item, tuple) and len(item) == 2 for item in value):
            return {str(key): _plain(item) for key, item in value}  # a map
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str | int | float | bool | None) else str(value)
