"""Which library a format needs, and what to install where it is missing."""

from __future__ import annotations

from importlib.util import find_spec

from napari_dre_slcl.errors import ExportError

__all__ = ["require_library"]

_NEEDED = {
    "parquet": ("Parquet", "pyarrow", "tables"),
    "ome-zarr": ("OME-Zarr", "zarr", "zarr"),
    "h5ad": ("AnnData", "anndata", "anndata"),
    "spatialdata": ("SpatialData", "spatialdata", "spatialdata"),
}


def require_library(name: str) -> None:
    """Complain where the library of a format is not installed.

    Parameters
    ----------
    name : str
        The format; one that needs no library of its own is always there.

    Raises
    ------
    ExportError
        Says what to install.
    """
    if name not in _NEEDED:
        return
    title, library, extra = _NEEDED[name]
    if find_spec(library) is None:
        raise ExportError(
            f"{title} needs the package '{library}', which is not installed. Install "
            f"napari-dre-slcl[{extra}], or choose another format."
        )
