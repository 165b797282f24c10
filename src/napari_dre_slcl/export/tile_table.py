"""Tile values as a table: CSV, or Parquet for large slides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import atomic_writer
from napari_dre_slcl.export.format_libraries import require_library
from napari_dre_slcl.export.look import CodewordLook
from napari_dre_slcl.export.steps import OnStep, no_step
from napari_dre_slcl.export.tile_columns import measurements, place_columns, refuse_without_tiles
from napari_dre_slcl.results import SlideResult
from napari_dre_slcl.untrusted import defuse

__all__ = ["tile_table", "write_csv", "write_parquet"]

_ROWS = 50_000


def tile_table(result: SlideResult, look: CodewordLook) -> pd.DataFrame:
    """Return one row per tile: where it lies, its codeword and its numbers.

    Parameters
    ----------
    result : SlideResult
        With a tile table.
    look : CodewordLook
        Names of the codewords.

    Raises
    ------
    ExportError
        If the result has no tiles.
    """
    refuse_without_tiles(result)
    columns: dict[str, NDArray[Any]] = place_columns(result, look) | measurements(result)
    table = pd.DataFrame(columns)
    if "codeword_name" in table:
        table["codeword_name"] = table["codeword_name"].astype("category")
    return table


def write_csv(
    result: SlideResult, look: CodewordLook, path: Path, on_step: OnStep = no_step
) -> Path:
    """Write the tile table as CSV (UTF-8, point as decimal sign), whole or not at all.

    Parameters
    ----------
    result : SlideResult
        With a tile table.
    look : CodewordLook
        Names of the codewords.
    path : Path
        Target.
    on_step : callable, optional
        Called with (tiles done, tiles in all); may raise to break off.

    Raises
    ------
    ExportError
        If the result has no tiles.
    OSError
        If the file cannot be written.
    """
    table = tile_table(result, _without_formulas(look))
    with atomic_writer(path) as stream:
        for start in range(0, len(table), _ROWS):
            on_step(start, len(table))
            part = table.iloc[start : start + _ROWS]
            text = part.to_csv(index=False, header=start == 0, lineterminator="\n")
            stream.write(text.encode())
    return path


def _without_formulas(look: CodewordLook) -> CodewordLook:
    """Mark names that a spreadsheet would compute, such as =1+1, as text."""
    return replace(look, names=tuple(defuse(name) for name in look.names))


def write_parquet(
    result: SlideResult, look: CodewordLook, path: Path, on_step: OnStep = no_step
) -> Path:
    """Write the tile table as Parquet, whole or not at all; parameters as of `write_csv`."""
    require_library("parquet")
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(tile_table(result, look), preserve_index=False)
    with atomic_writer(path) as stream, pq.ParquetWriter(stream, table.schema) as writer:
        for start in range(0, len(table), _ROWS):
            on_step(start, len(table))
            writer.write_table(table.slice(start, _ROWS))
    return path
