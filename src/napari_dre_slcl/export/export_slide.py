"""Export: one result in the formats that were asked for, each file whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_dre_slcl.errors import ExportError
from napari_dre_slcl.export.anndata_table import write_h5ad
from napari_dre_slcl.export.chosen_map import CODEWORDS, chosen_map
from napari_dre_slcl.export.format_libraries import require_library
from napari_dre_slcl.export.geojson import write_geojson
from napari_dre_slcl.export.look import CodewordLook, look_of
from napari_dre_slcl.export.ome_zarr import OME_ZARR_SUFFIX, write_ome_zarr
from napari_dre_slcl.export.picture import write_picture
from napari_dre_slcl.export.slide_report import write_slide_report
from napari_dre_slcl.export.spatialdata_store import SPATIALDATA_SUFFIX, write_spatialdata
from napari_dre_slcl.export.steps import OnStep
from napari_dre_slcl.export.tile_columns import refuse_without_tiles
from napari_dre_slcl.export.tile_table import write_csv, write_parquet
from napari_dre_slcl.layers import ATTENTION_KEY, TileMap
from napari_dre_slcl.results import SlideResult
from napari_dre_slcl.slide import Slide, open_slide

__all__ = [
    "FORMATS",
    "WITH_FEATURES",
    "ExportRequest",
    "OnProgress",
    "export_result",
    "target_files",
]

FORMATS = {
    "geojson": ".geojson",
    "ome-zarr": OME_ZARR_SUFFIX,
    "csv": ".csv",
    "parquet": ".parquet",
    "h5ad": ".h5ad",
    "spatialdata": SPATIALDATA_SUFFIX,
    "png": ".png",
    "html": ".html",
}
"""What a result can be exported to, and how the files' names end."""
WITH_FEATURES = frozenset({"h5ad", "spatialdata"})
"""Those that hold tile features where the result has them."""
_LONGEST_STEM = 100
_WITH_PIXELS = ("png", "html")
_FEATURE_FILES = (".h5", ".hdf5")
_TABLES = {
    "geojson": write_geojson,
    "ome-zarr": write_ome_zarr,
    "csv": write_csv,
    "parquet": write_parquet,
    "h5ad": write_h5ad,
    "spatialdata": write_spatialdata,
}

OnProgress = Callable[[str, float], None]
"""Called with the format at work and the share of all work that is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to write, and where.

    Parameters
    ----------
    formats : tuple of str
        Of `FORMATS`.
    out : Path
        Folder; made where it is missing.
    slide : Path or None
        The slide, where it is not where it was predicted.
    picture_mpp : float
        µm per pixel of a PNG picture.
    map_key : str
        What a PNG picture shows: ``codewords`` or a map's key, such as ``attention``.
    has_names : bool
        Name the files after the slide, and put its id and file name into the report. They may tell
        who the patient is. Without them files are called slide, slide-2, ..., none is replaced.
    """

    formats: tuple[str, ...]
    out: Path
    slide: Path | None = None
    picture_mpp: float = 4.0
    map_key: str = ATTENTION_KEY
    has_names: bool = False


def export_result(
    result: SlideResult,
    request: ExportRequest,
    look: CodewordLook | None = None,
    on_progress: OnProgress = lambda name, share: None,
    *,
    targets: Mapping[str, Path] | None = None,
    done: Collection[str] = (),
    on_begin: Callable[[], None] = lambda: None,
) -> list[Path]:
    """Write a result in every format that is asked for.

    Parameters
    ----------
    result : SlideResult
        Of one slide; its tile features are written where it has them, by `WITH_FEATURES`.
    request : ExportRequest
        What, where and how.
    look : CodewordLook, optional
        Names and colours of the codewords; by default those that the model has.
    on_progress : callable, optional
        May raise `ExportStopped` to break off; files that are whole by then stay.
    targets : mapping of Path, optional
        The file of each format, where an export that was broken off has chosen them.
    done : collection of str
        Formats whose file is there already.
    on_begin : callable, optional
        Called when all was checked, before anything is written.

    Returns
    -------
    list of Path
        One per format, in its order.

    Raises
    ------
    DreSlclError
        If something is missing, or the disk is full; what is asked for is checked before anything
        is written.
    """
    shown = _checked(result, request)
    look = look or look_of(result)
    files = target_files(result, request) if targets is None else dict(targets)
    left = {name: target for name, target in files.items() if name not in done}
    if not left:
        return list(files.values())
    slide = _open(result, request)
    try:
        on_begin()
        for number, (name, target) in enumerate(left.items()):

            def on_step(step: int, total: int, number: int = number, name: str = name) -> None:
                on_progress(name, (number + step / max(1, total)) / len(left))

            _write(name, target, result, look, slide, shown, request, on_step)
        on_progress("", 1.0)
    finally:
        if slide is not None:
            slide.close()
    return list(files.values())


def _write(
    name: str,
    target: Path,
    result: SlideResult,
    look: CodewordLook,
    slide: Slide | None,
    shown: TileMap | None,
    request: ExportRequest,
    on_step: OnStep,
) -> None:
    try:
        if name in _TABLES:
            _TABLES[name](result, look, target, on_step)
        elif name == "html":
            has_names = request.has_names
            write_slide_report(result, look, slide, target, has_names=has_names, on_step=on_step)
        elif slide is not None:
            write_picture(slide, result, look, shown, request.picture_mpp, target, on_step)
    except OSError as error:
        raise ExportError(
            f"'{target}' cannot be written: {error.strerror or error}. Nothing of it was left "
            "behind. Choose another folder, or make room there."
        ) from error


def _checked(result: SlideResult, request: ExportRequest) -> TileMap | None:
    """Complain before anything is written; return the map of a picture, None for codewords."""
    _refuse_formats(request)
    for name in request.formats:
        require_library(name)
    if os.path.exists(request.out) and not request.out.is_dir():
        raise ExportError(f"'{request.out}' is a file. Choose a folder for the export.")
    if request.formats != ("html",):
        refuse_without_tiles(result)
    if "png" not in request.formats:
        return None
    return chosen_map(result, request.map_key)


def _open(result: SlideResult, request: ExportRequest) -> Slide | None:
    """Open the slide where a format needs its pixels; a report can be made without."""
    needing = [name for name in request.formats if name in _WITH_PIXELS]
    if not needing:
        return None
    path = request.slide or Path(result.slide_path)
    is_from_features = "features" in result.provenance or path.suffix in _FEATURE_FILES
    # Unlike Path.exists, false where the folder may not be looked into.
    has_slide = os.path.exists(path) and path.suffix not in _FEATURE_FILES
    if not has_slide:
        if is_from_features and request.slide is None and needing == ["html"]:
            return None
        raise ExportError(
            f"The slide '{path.name}' is not at '{path}'. {needing[0].upper()} needs its pixels: "
            "say where it is now, or choose another format."
        )
    slide = open_slide(path, result.mpp, mpp_source=result.mpp_source)
    if slide.info.shape != result.slide_shape:
        (height, width), (rows, cols) = slide.info.shape, result.slide_shape
        slide.close()
        raise ExportError(
            f"The slide '{path.name}' has {width:,} x {height:,} px, but the result is of one of "
            f"{cols:,} x {rows:,}. Give the slide of this result."
        )
    return slide


def _refuse_formats(request: ExportRequest) -> None:
    unknown = [name for name in request.formats if name not in FORMATS]
    if unknown or not request.formats:
        said = f"There is no format '{unknown[0]}'." if unknown else "No format is chosen."
        raise ExportError(f"{said} Choose among {', '.join(FORMATS)}.")


def target_files(result: SlideResult, request: ExportRequest) -> dict[str, Path]:
    """Return the file that each format would be written to now.

    Raises
    ------
    ExportError
        If a format is not known, or the folder cannot be looked into.
    """
    _refuse_formats(request)
    if request.has_names:
        return _named(request, _file_stem(result.slide_id))
    number, stem = 1, "slide"
    try:
        while any(path.exists() for path in _named(request, stem).values()):
            number += 1
            stem = f"slide-{number}"
    except OSError as error:
        raise ExportError(
            f"The folder '{request.out}' cannot be used: {error.strerror}. Choose another one."
        ) from error
    return _named(request, stem)


def _file_stem(slide_id: str) -> str:
    """Return a slide's name as that of a visible file; no two slides get the same."""
    stem = re.sub(r"[^\w .-]", "_", slide_id)
    stem = re.sub(r"^\.+", "_", stem)[:_LONGEST_STEM]
    if stem and stem == slide_id:
        return stem
    return f"{stem or 'slide'}-{hashlib.sha256(slide_id.encode()).hexdigest()[:8]}"


def _named(request: ExportRequest, stem: str) -> dict[str, Path]:
    shown = re.sub(r"[^A-Za-z0-9._-]+", "-", request.map_key or CODEWORDS)
    middle = {"png": f".{shown}"}
    return {
        name: request.out / f"{stem}{middle.get(name, '')}{FORMATS[name]}"
        for name in dict.fromkeys(request.formats)
    }
