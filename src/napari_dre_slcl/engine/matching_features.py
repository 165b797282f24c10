"""Feature files that spare the first fill of the bank, where they are of the same tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.feature_store import (
    FeatureFile,
    FeatureOrigin,
    feature_file,
    open_features,
    read_coords,
    read_rows,
)
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.encode_source import feature_origin
from napari_dre_slcl.engine.prepare import PreparedCohort
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.model.tile_encoder import TileEncoder
from napari_dre_slcl.tiles import TileGrid, TileSource

__all__ = ["find_mismatch", "matching_features"]

_MPP_TOLERANCE = 0.01
Known = Callable[[int], NDArray[np.float32] | None]


def matching_features(
    config: DreSlclConfig,
    prepared: PreparedCohort,
    rows: Sequence[int],
    encoder: object,
    reporter: Reporter,
) -> Known:
    """Find feature files of the folder ``features.fill_from`` that fit, and say which do not.

    Parameters
    ----------
    config : DreSlclConfig
        Settings of the run.
    prepared : PreparedCohort
        Its open slides.
    rows : sequence of int
        Rows of the cohort; the bank numbers its slides by their position here.
    encoder : nn.Module
        The network's encoder as it is before training.
    reporter : Reporter
        Told how many fit and why the first of the others does not.

    Returns
    -------
    callable
        Number of a slide -> (n, dim) float32 features in the order of its grid, or None where
        its tiles must be encoded.
    """
    folder = config.features.fill_from
    if folder is None or not isinstance(encoder, TileEncoder):
        return lambda slide: None
    origin = feature_origin(encoder, config)
    found: dict[int, tuple[FeatureFile, NDArray[np.int64]]] = {}
    reasons: list[str] = []
    for number, row in enumerate(rows):
        source = prepared.sources[row]
        if not isinstance(source, TileSource):
            continue
        names = [prepared.cohort.rows[row].slide_id, Path(source.slide.info.path).stem]
        match = _look(folder, names, source.grid, origin)
        if isinstance(match, str):
            reasons.append(match)
        else:
            found[number] = match
    _tell(reporter, folder, len(rows), reasons)

    def known(slide: int) -> NDArray[np.float32] | None:
        if slide not in found:
            return None
        try:
            return read_rows(*found[slide])
        except SlideError as error:
            reporter.warn_once(f"{error} The slide's tiles are encoded instead.")
            return None

    return known


def find_mismatch(file: FeatureFile, grid: TileGrid, origin: FeatureOrigin) -> str:
    """Return why a file's features are not those of a grid's tiles, empty where they may be.

    Where the tiles lie is another question, that reading the file answers.
    """
    attrs = file.attrs
    if not attrs.get("encoder") or not attrs.get("encoder_sha256"):
        return "it does not say which encoder and weights it was made with"
    if attrs["encoder"] != origin.encoder:
        return f"it is of the encoder '{attrs['encoder']}', not of '{origin.encoder}'"
    if attrs["encoder_sha256"] != origin.encoder_sha256:
        return "it was made with other weights or input scaling of the same encoder"
    if file.mpp is None or abs(file.mpp / origin.mpp - 1) > _MPP_TOLERANCE:
        stated = "no resolution" if file.mpp is None else f"{file.mpp:g} µm per pixel"
        return f"it states {stated}, not {origin.mpp:g}"
    if attrs.get("patch_size") != origin.tile_px or file.tile_size_px != grid.size_px:
        return (
            f"its tiles are of {attrs.get('patch_size')} px, {file.tile_size_px} px of level 0, "
            f"not of {origin.tile_px} and {grid.size_px}"
        )
    return "" if file.has_coords else "it does not say where its tiles lie"


def _look(
    folder: Path, names: Sequence[str], grid: TileGrid, origin: FeatureOrigin
) -> tuple[FeatureFile, NDArray[np.int64]] | str:
    """Return a slide's file and the row of each tile of its grid there, or why there is none."""
    path = feature_file(folder, names)
    if path is None:
        return f"'{names[0]}.h5' is not there"
    try:
        file = open_features(path)
        reason = find_mismatch(file, grid, origin)
        rows = None if reason else _rows_of(read_coords(file), grid)
    except SlideError as error:
        return str(error).rstrip(".")
    if rows is None:
        reason = reason or "it lacks tiles of the slide's grid; tissue was found differently"
        return f"'{path.name}': {reason}"
    return file, rows


def _rows_of(corners: NDArray[np.int64] | None, grid: TileGrid) -> NDArray[np.int64] | None:
    """Return where each tile of a grid stands among corners, None where one is missing."""
    if corners is None:
        return None
    place = {corner: row for row, corner in enumerate(map(tuple, corners.tolist()))}
    rows = [place.get(corner) for corner in map(tuple, grid.yx.tolist())]
    return None if None in rows else np.array(rows, np.int64)


def _tell(reporter: Reporter, folder: Path, n_slides: int, reasons: Sequence[str]) -> None:
    n_taken = n_slides - len(reasons)
    sentence = f"The bank takes features of {n_taken:,} of {n_slides:,} slides from '{folder}'."
    if not reasons:
        reporter.log(sentence)
        return
    noun = "slide is" if len(reasons) == 1 else "slides are"
    reporter.log(
        f"{sentence} The tiles of {len(reasons):,} {noun} encoded, the first because {reasons[0]}.",
        "warning",
    )
