"""What is known of each tile of a result, as named columns: what tables and QuPath get."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.errors import ExportError
from napari_dre_slcl.export.look import CodewordLook
from napari_dre_slcl.layers.maps import times_average
from napari_dre_slcl.results import SlideResult

__all__ = ["measurements", "place_columns", "refuse_without_tiles"]


def measurements(result: SlideResult) -> dict[str, NDArray[Any]]:
    """Return the numbers of each tile.

    Parameters
    ----------
    result : SlideResult
        Of any slide.

    Returns
    -------
    dict of ndarray
        (n,) each, by name with its unit. Evidence is what a tile adds to the log-odds of a class.
    """
    columns: dict[str, NDArray[Any]] = {"attention (x average)": times_average(result)}
    if result.n_codewords:
        columns["distance from codeword"] = result.residual_norm
    if result.evidence is not None:
        for (task, name), column in zip(result.evidence_of, result.evidence.T, strict=True):
            columns[f"evidence {task}: {name} (log-odds)"] = column
    if result.freshness is not None:
        columns["training steps since seen"] = result.freshness
    return columns


def place_columns(result: SlideResult, look: CodewordLook) -> dict[str, NDArray[Any]]:
    """Return where each tile lies and which codeword it has.

    Parameters
    ----------
    result : SlideResult
        Of any slide.
    look : CodewordLook
        Names of the codewords.

    Returns
    -------
    dict of ndarray
        (n,) each. ``y_px`` and ``x_px`` are the top-left corner in level-0 pixels; codewords count
        from 1, as in the window.
    """
    top, left = result.tile_yx.T
    row, col = result.rowcol.T
    columns: dict[str, NDArray[Any]] = {
        "row": row,
        "col": col,
        "y_px": top,
        "x_px": left,
        "size_px": np.full(len(row), result.tile_size_px, np.int64),
    }
    if result.mpp is not None:
        columns |= {"y_um": top * result.mpp, "x_um": left * result.mpp}
    if result.n_codewords:
        names = np.array(look.names, dtype=object)
        columns |= {"codeword": result.codeword + 1, "codeword_name": names[result.codeword]}
    return columns


def refuse_without_tiles(result: SlideResult) -> None:
    """Raise `ExportError` where a result does not say where its tiles lie."""
    if not len(result.rowcol):
        why = result.provenance.get("tiles", "It says of none where it lies.")
        raise ExportError(
            f"The result of '{result.slide_id}' has no tiles to write. {why} An HTML report can "
            "still be made."
        )
