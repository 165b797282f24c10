"""Whether a file ends before some of its tiles, as one does that was not copied whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_dre_slcl.slide.info import Finding
from napari_dre_slcl.slide.tiff_layout import TiffLevel

__all__ = ["cut_findings"]


def cut_findings(path: Path, levels: Sequence[TiffLevel], n_bytes: int) -> tuple[Finding, ...]:
    """Compare where tiles should lie with the length of the file; reads nothing.

    Parameters
    ----------
    path : Path
    levels : sequence of TiffLevel
    n_bytes : int
        Length of the file.

    Returns
    -------
    tuple of Finding
        Empty for a whole file.
    """
    n_missing = sum(int((level.offsets + level.counts > n_bytes).sum()) for level in levels)
    if not n_missing:
        return ()
    n_tiles = sum(len(level.offsets) for level in levels)
    sentence = (
        f"Slide '{path.name}' is cut off: the file ends before {n_missing:,} of the {n_tiles:,} "
        "tiles that it stores; copy it again from its source."
    )
    return (Finding(code="file-cut-off", severity="warning", sentence=sentence),)
