"""``dre-slcl info``: what a slide says of itself, and how many tiles of tissue it has."""

from __future__ import annotations

import json
from pathlib import Path

from rich.table import Table

from napari_dre_slcl.cli.console import lines, output, print_json
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import Slide, SlideInfo, open_slide
from napari_dre_slcl.tiles import pixels_searched, tile_slide

__all__ = ["describe_slide", "pixel_size_text"]

_MOST_SEARCHED_PX = 2**27
"""Whoever asks what a slide is waits some seconds for the answer, not minutes."""


def describe_slide(path: Path, mpp: float | None, as_json: bool) -> None:
    """Print what is known of a slide.

    Parameters
    ----------
    path : Path
        Slide file or DICOM folder.
    mpp : float or None
        Pixel size in µm that replaces the slide's own.
    as_json : bool
        Print one JSON line.

    Raises
    ------
    SlideError
        If the slide cannot be opened.
    """
    with open_slide(path, mpp) as slide:
        info = slide.info
        n_tiles, note = _count_tiles(slide)
    if as_json:
        record = info.model_dump(mode="json") | {"tissue_tiles": n_tiles, "tiles_note": note}
        print_json(json.dumps(record))
    else:
        output().print(_table(info, note if info.mpp else "not looked for without a pixel size"))


def _count_tiles(slide: Slide) -> tuple[int | None, str]:
    try:
        n_px = pixels_searched(slide)
        if n_px > _MOST_SEARCHED_PX:
            return None, (
                "not looked for: the slide has no coarse levels, so that "
                f"{n_px / 1e6:,.0f} million pixels would have to be read; 'dre-slcl tiles' "
                "does that"
            )
        grid = tile_slide(slide)
    except SlideError as error:
        return None, str(error)
    rows, columns = grid.shape
    left_out = ", ".join(f"{count} {reason}" for reason, count in grid.reasons.items() if count)
    note = (
        f"{len(grid)} of {rows * columns} tiles of {grid.tile_px} px at {grid.target_mpp:g} µm/px"
    )
    return len(grid), note + (f"; left out: {left_out}" if left_out else "")


def _table(info: SlideInfo, tiles: str) -> Table:
    table = Table(show_header=False)
    height, width = info.shape
    table.add_row("File", info.path)
    table.add_row("Size", f"{height} x {width} px (height x width)")
    table.add_row("Levels", lines(_levels(info)))
    table.add_row("Pixel size", pixel_size_text(info))
    for found in info.findings:
        table.add_row(found.severity.capitalize(), found.sentence)
    table.add_row("Objective", f"{info.objective_power:g}x" if info.objective_power else "unknown")
    reason = f": {info.backend_reason}" if info.backend_reason else ""
    table.add_row("Format", f"{info.vendor}, read with {info.backend}{reason}")
    table.add_row("File tiles", f"{info.tile_shape[0]} x {info.tile_shape[1]} px")
    table.add_row("Other images", ", ".join(info.associated_images) or "none")
    table.add_row("Tissue", tiles)
    return table


def _levels(info: SlideInfo) -> list[str]:
    pairs = zip(info.level_shapes, info.level_downsamples, strict=True)
    return [f"{height} x {width} px, 1/{downsample:g}" for (height, width), downsample in pairs]


def pixel_size_text(info: SlideInfo) -> str:
    """Return the pixel size of a slide with where it comes from."""
    if info.mpp is None:
        return "unknown"
    return f"{info.mpp:g} µm ({info.mpp_source})"
