"""``dre-slcl tiles``: which tiles of a slide are used, and why the others are not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from napari_dre_slcl.cli.console import output, print_json, say
from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import (
    TileGrid,
    find_tissue,
    load_tissue_mask,
    save_geojson,
    tile_slide,
)

__all__ = ["TilesRequest", "tile_file"]

_MEANINGS = {
    "background": "too little tissue",
    "pen": "pen marks",
    "blur": "out of focus",
    "fold": "tissue lies double",
    "outside": "reaches beyond the slide's edge",
    "damaged": "cannot be decoded",
}


@dataclass(frozen=True, slots=True)
class TilesRequest:
    """What to tile, and what to write.

    Parameters
    ----------
    path : Path
        Slide file or DICOM folder.
    mpp : float or None
        Pixel size in µm that replaces the slide's own.
    mask : Path or None
        Tissue mask to use instead of finding the tissue.
    save_mask, geojson : Path or None
        Where to write the tissue mask and the kept tiles.
    """

    path: Path
    mpp: float | None = None
    mask: Path | None = None
    save_mask: Path | None = None
    geojson: Path | None = None


def tile_file(request: TilesRequest, config: TilingConfig, as_json: bool) -> None:
    """Tile a slide, print the counts, and write what was asked for.

    Parameters
    ----------
    request : TilesRequest
    config : TilingConfig
    as_json : bool
        Print one JSON line.

    Raises
    ------
    SlideError
        If the slide or the mask cannot be used, or no tile is left. The mask is written before.
    """
    given = None if request.mask is None else load_tissue_mask(request.mask)
    with open_slide(request.path, request.mpp) as slide:
        if request.save_mask is not None:
            (given or find_tissue(slide, config)).save(request.save_mask)
        grid = tile_slide(slide, config, given)
    if request.geojson is not None:
        save_geojson(grid.to_geojson(), request.geojson)
    written = [str(path) for path in (request.save_mask, request.geojson) if path is not None]
    if as_json:
        record = _record(grid) | {"path": str(request.path), "written": written}
        print_json(json.dumps(record))
        return
    rows, columns = grid.shape
    say(
        f"{rows} x {columns} tiles of {grid.tile_px} px at {grid.tile_mpp:.4g} µm/px; each covers "
        f"{grid.size_px} x {grid.size_px} px of the slide."
    )
    output().print(_table(grid))
    for path in written:
        say(f"Wrote {path}")


def _record(grid: TileGrid) -> dict[str, object]:
    rows, columns = grid.shape
    return {
        "tile_px": grid.tile_px,
        "tile_mpp": grid.tile_mpp,
        "size_px": grid.size_px,
        "mpp": grid.mpp,
        "rows": rows,
        "columns": columns,
        "kept": len(grid),
        "left_out": grid.reasons,
    }


def _table(grid: TileGrid) -> Table:
    table = Table()
    table.add_column("Tiles")
    table.add_column("Number", justify="right")
    table.add_column("Why")
    table.add_row("kept", f"{len(grid):,}", "sharp, flat, unmarked tissue")
    for reason, count in grid.reasons.items():
        table.add_row(reason, f"{count:,}", _MEANINGS[reason])
    return table
