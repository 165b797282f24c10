"""What is told of tiles that cannot be decoded, and when they are too many to go on."""

from __future__ import annotations

from napari_dre_slcl.errors import DamagedSlideError
from napari_dre_slcl.tiles import TileSource

__all__ = ["damage_warning", "left_out_warning"]

MAX_DAMAGED_SHARE = 0.5


def damage_warning(slide_name: str, n_damaged: int, n_tiles: int) -> str:
    """Return the sentence that tells of a slide's damaged tiles.

    Parameters
    ----------
    slide_name : str
        File name.
    n_damaged, n_tiles : int
        Tiles that were read as white, and all tissue tiles.

    Raises
    ------
    DamagedSlideError
        If more than half of the tiles are damaged: an answer would rest on white squares.
    """
    sentence = f"Slide '{slide_name}': {n_damaged:,} of {n_tiles:,} tiles cannot be decoded"
    if n_damaged > MAX_DAMAGED_SHARE * n_tiles:
        raise DamagedSlideError(
            f"{sentence}, too many to go on without; copy the file again from its source."
        )
    return f"{sentence} and were read as white; copy the file again from its source."


def left_out_warning(source: TileSource) -> str:
    """Return the sentence on tiles found damaged while tissue was looked for, empty for none."""
    n_damaged = source.grid.reasons["damaged"]
    if not n_damaged:
        return ""
    return (
        f"Slide '{source.slide.name}': {n_damaged:,} of {source.grid.status.size:,} tiles cannot "
        "be decoded and were left out; copy the file again from its source."
    )
