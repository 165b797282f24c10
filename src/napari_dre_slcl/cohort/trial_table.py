"""What is done to a workbook or a Parquet file in a trial: all of it is read, as it will be here.

Called in a process that may end by it; see `napari_dre_slcl.trial`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari_dre_slcl.cohort.parquet_table import read_parquet
from napari_dre_slcl.cohort.problems import Findings
from napari_dre_slcl.cohort.workbook import read_workbook
from napari_dre_slcl.errors import CohortError

__all__ = ["try_parquet", "try_workbook"]


def try_parquet(path: Path, _: str = "") -> None:
    """Read a Parquet file; what is wrong with it is told by who reads it next.

    Raises
    ------
    MemoryError
        If it takes more memory than there is.
    """
    _try(read_parquet, path)


def try_workbook(path: Path, _: str = "") -> None:
    """As `try_parquet`, of an Excel workbook."""
    _try(read_workbook, path)


def _try(read: Callable[[Path, Findings], object], path: Path) -> None:
    try:
        read(path, Findings())
    except CohortError as error:
        if isinstance(error.__cause__, MemoryError):  # of Arrow, which is told as damage
            raise MemoryError from error
