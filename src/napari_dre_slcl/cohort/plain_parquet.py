"""Parquet files from strangers: rows, columns and packed sizes are looked at before any is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_dre_slcl.untrusted import UntrustedError
from napari_dre_slcl.untrusted.bounds import MOST_GROWTH, SMALL_BYTES

__all__ = ["plain_values", "read_plain_parquet"]

_MOST_ROWS, _MOST_COLUMNS, _MOST_CELLS = 10**7, 10**4, 10**8
_LONGEST_NAME = 2**20  # bytes of a text in the header


def read_plain_parquet(path: Path, columns: list[str] | None = None) -> Any:
    """Return a table whose texts are kept once each: a file may repeat a long one without end.

    Parameters
    ----------
    path : Path
        The file.
    columns : list of str, optional
        Only these.

    Returns
    -------
    pyarrow.Table
        Read its columns with `plain_values`.

    Raises
    ------
    UntrustedError
        If it has more cells than any table of slides, or takes far more memory than the file.
    pyarrow.ArrowException, OSError
        If it is damaged.
    """
    import pyarrow as pa
    from pyarrow import parquet

    limits = {
        "thrift_string_size_limit": 16 * _LONGEST_NAME,
        "thrift_container_size_limit": 10**6,
    }
    with parquet.ParquetFile(path, **limits) as file:
        _check(file.metadata, path.stat().st_size)
        kinds = file.schema_arrow
        texts = [
            kind.name
            for kind in kinds
            if pa.types.is_string(kind.type) or pa.types.is_binary(kind.type)
        ]
    with parquet.ParquetFile(path, read_dictionary=texts, **limits) as file:
        return file.read(columns=columns)


def plain_values(column: Any) -> list[Any]:
    """Return the values of a column; equal texts are one object.

    Raises
    ------
    UntrustedError
        If a cell points to a text that is not there.
    """
    import pyarrow as pa

    values: list[Any] = []
    for chunk in column.chunks:
        if not pa.types.is_dictionary(chunk.type):
            values += chunk.to_pylist()
            continue
        texts = chunk.dictionary.to_pylist()
        places = chunk.indices.to_pylist()
        if not all(place is None or 0 <= place < len(texts) for place in places):
            raise UntrustedError("a cell of it points to no text")
        values += [None if place is None else texts[place] for place in places]
    return values


def _check(metadata: Any, n_bytes: int) -> None:
    n_rows, n_columns = metadata.num_rows, metadata.num_columns
    if n_rows > _MOST_ROWS or n_columns > _MOST_COLUMNS or n_rows * n_columns > _MOST_CELLS:
        raise UntrustedError(f"it has {n_rows:,} rows of {n_columns:,} columns")
    # Not by its columns: to look at one whose statistics are damaged ends the process.
    groups = range(min(metadata.num_row_groups, _MOST_CELLS))
    unpacked = sum(metadata.row_group(number).total_byte_size for number in groups)
    if unpacked > SMALL_BYTES + MOST_GROWTH * n_bytes:
        raise UntrustedError(
            f"it speaks of {unpacked / 2**30:,.1f} GiB, but holds {n_bytes:,} bytes"
        )
