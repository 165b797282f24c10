"""The kinds of files that are tried: who reads each in the trial, and how much that may use.

Readers are named, not imported: they belong to packages above this one, and only the process for
trials loads them. Each takes a path and a text that says more, and complains by a `DreSlclError`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from napari_dre_slcl import errors
from napari_dre_slcl.trial.limits import CLOCK_S, CPU_S, MEMORY_BYTES, Limits

__all__ = [
    "CODES",
    "FEATURES",
    "IMAGE",
    "KINDS",
    "PARQUET",
    "SLIDE",
    "STORE",
    "WORKBOOK",
    "Kind",
    "kind_of",
]

_HERE = "napari_dre_slcl"
_MOST_EXTRA_S = 300


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of files that are tried.

    Parameters
    ----------
    name : str
        By which the process is told.
    reader : str
        Module and function, with a colon between.
    libraries : tuple of str
        Modules that the reader imports late, by themselves no doing of a file; they may be missing.
    what : str
        Begins the sentence about a file that did harm.
    remedy : str
        Ends it.
    error : type
        With what that is raised.
    suffixes : tuple of str
        Of files that a command line names.
    extra_s : float
        Processor time for each MiB of the file, on top of what a slide gets.
    growth : int
        Memory for each byte of the file, on top of what a slide gets.
    """

    name: str
    reader: str
    what: str
    remedy: str
    error: type[errors.DreSlclError]
    libraries: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    extra_s: float = 0.0
    growth: int = 0

    def limits(self, n_bytes: int) -> Limits:
        """Return what the trial of a file of so many bytes may use."""
        extra_s = min(_MOST_EXTRA_S, int(self.extra_s * n_bytes / 2**20))
        return Limits(CPU_S + extra_s, CLOCK_S + extra_s, MEMORY_BYTES + self.growth * n_bytes)


_COPY = "copy the file again from its source"
SLIDE = Kind(
    "slide",
    f"{_HERE}.slide.trial:try_slide",
    "Slide",
    _COPY,
    errors.SlideError,
    suffixes=(".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".svslide", ".bif", ".dcm"),
)
IMAGE = Kind("image", f"{_HERE}.slide.trial:try_image", "Slide", _COPY, errors.SlideError)
FEATURES = Kind(
    "features",
    f"{_HERE}.slide.trial_hdf5:try_hdf5",
    "The file",
    _COPY,
    errors.SlideError,
    libraries=("h5py",),
)
# Both are packed to a tenth or less, and take some twenty times their text as rows of cells.
_TABLE = Kind(
    "",
    "",
    "The table",
    "get it again from its source, or save it as CSV UTF-8",
    errors.CohortError,
    extra_s=10,
    growth=200,
)
PARQUET = replace(
    _TABLE,
    name="parquet",
    reader=f"{_HERE}.cohort.trial_table:try_parquet",
    libraries=("pyarrow.parquet",),
    suffixes=(".parquet",),
)
WORKBOOK = replace(
    _TABLE,
    name="workbook",
    reader=f"{_HERE}.cohort.trial_table:try_workbook",
    libraries=("openpyxl",),
    suffixes=(".xlsx",),
)
CODES = Kind(
    "codes",
    f"{_HERE}.insight.trial_codes:try_codes",
    "The search index",
    "make the cohort searchable again",
    errors.SearchError,
    libraries=("faiss",),
    extra_s=0.02,
    growth=2,
)
STORE = Kind(
    "store",
    f"{_HERE}.cohort.wsidata_store:try_store",
    "The store",
    _COPY,
    errors.SlideError,
    libraries=("zarr", "pyarrow"),
)
KINDS = {kind.name: kind for kind in (SLIDE, IMAGE, FEATURES, PARQUET, WORKBOOK, CODES, STORE)}


def kind_of(suffix: str) -> Kind | None:
    """Return the kind of files that end so, None for those that are not tried."""
    return next((kind for kind in KINDS.values() if suffix.lower() in kind.suffixes), None)
