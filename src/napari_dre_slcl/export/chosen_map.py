"""Which map of a result is meant: by its key, as on the command line and in the window."""

from __future__ import annotations

from napari_dre_slcl.errors import ExportError
from napari_dre_slcl.layers import TileMap, available_maps
from napari_dre_slcl.results import SlideResult

__all__ = ["CODEWORDS", "chosen_map", "map_keys"]

CODEWORDS = "codewords"


def map_keys(result: SlideResult) -> tuple[str, ...]:
    """Return the keys of what a picture of this result can show."""
    first = (CODEWORDS,) if result.n_codewords else ()
    return (*first, *(choice.key for choice in available_maps(result)))


def chosen_map(result: SlideResult, key: str) -> TileMap | None:
    """Return a map of a result; None stands for the codewords.

    Raises
    ------
    ExportError
        If the result has no such map; says which it has.
    """
    if key == CODEWORDS and result.n_codewords:
        return None
    for choice in available_maps(result):
        if choice.key == key:
            return choice.make()
    known = ", ".join(map_keys(result))
    raise ExportError(f"The result has no map '{key}'. It has {known or 'none'}.")
