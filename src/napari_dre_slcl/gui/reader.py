"""The napari reader: slide files, DICOM folders, results and exported maps become layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from napari_dre_slcl.errors import ResultError
from napari_dre_slcl.export.ome_zarr import OME_ZARR_SUFFIX
from napari_dre_slcl.export.read_ome_zarr import is_our_ome_zarr, read_ome_zarr
from napari_dre_slcl.gui.viewed_slide import viewed_slide
from napari_dre_slcl.layers import LayerData, result_layers
from napari_dre_slcl.results import RESULT_SUFFIX, load_result
from napari_dre_slcl.slide import open_slide

__all__ = ["get_reader", "read_layers"]

_ONLY_SLIDES = frozenset(
    {".svs", ".ndpi", ".mrxs", ".scn", ".svslide", ".bif", ".vms", ".vmu"}
)  # claimed unseen, so that a broken one gets our sentence; others may be any picture

PathOrPaths = str | Sequence[str]


def get_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """Return a reader where every path is a slide or a result, else None.

    Parameters
    ----------
    path : str or list of str
        What the user opens.

    Returns
    -------
    callable or None
        `read_layers`, or None to leave the paths to another reader.
    """
    paths = [path] if isinstance(path, str) else list(path)
    try:
        return read_layers if paths and all(map(_is_ours, paths)) else None
    except Exception:  # noqa: BLE001 - a probe answers None, whatever it meets
        return None


def read_layers(path: PathOrPaths) -> list[LayerData]:
    """Open slides and results as layers.

    Parameters
    ----------
    path : str or list of str
        Slide files, DICOM folders, result files or maps that were exported as OME-Zarr.

    Returns
    -------
    list of tuple
        One layer per slide, two per result, one per exported map.

    Raises
    ------
    SlideError, ResultError, ExportError
        If a file cannot be opened.
    """
    paths = [path] if isinstance(path, str) else list(path)
    return [layer for one in paths for layer in _layers_of(one)]


def _layers_of(path: str) -> list[LayerData]:
    if path.rstrip("/\\").endswith(OME_ZARR_SUFFIX):
        return read_ome_zarr(Path(path))
    if path.endswith(RESULT_SUFFIX):
        result = load_result(Path(path), with_features=False)
        if not len(result.rowcol):
            raise ResultError(
                f"The result '{path}' has no map. {result.provenance.get('tiles', '')} Its "
                "predictions are shown by 'Open result…' in the Explore tab of the plugin."
            )
        return result_layers(result)
    return [viewed_slide(open_slide(path))]


def _is_ours(path: str) -> bool:
    if path.rstrip("/\\").endswith(OME_ZARR_SUFFIX):
        return is_our_ome_zarr(Path(path))
    if path.endswith(RESULT_SUFFIX) or Path(path).suffix.lower() in _ONLY_SLIDES:
        return True
    with open_slide(path):
        return True
