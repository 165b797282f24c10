"""The values that a cohort is made of: one row per slide, and all of them together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.problems import Problem

__all__ = ["ROLE_COLUMNS", "SPLITS", "Cohort", "SlideRow"]

ROLE_COLUMNS = ("slide", "slide_id", "patient_id", "site", "report", "mpp", "split", "features")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class SlideRow:
    """One line of the cohort table.

    Parameters
    ----------
    slide_id, patient_id, site, report, split : str
        As in the table; empty where unknown.
    path : Path or None
        The slide, absolute or a URL; None where the table names none and none is needed.
    mpp : float or None
        Pixel size in µm by the table, 0.1 to 10.
    labels : dict of str
        Every other column, by name.
    features : Path or None
        The slide's feature file, absolute or a URL; None where the table names none.
    number : int
        Row of the table as a spreadsheet shows it; the header is row 1.
    """

    slide_id: str
    path: Path | None
    patient_id: str
    site: str
    report: str
    mpp: float | None
    split: str
    labels: dict[str, str]
    features: Path | None = None
    number: int = 0


@dataclass(frozen=True, slots=True)
class Cohort:
    """A validated cohort table.

    Parameters
    ----------
    table : Path
        Where it was read from.
    rows : tuple of SlideRow
        In the order of the table.
    label_columns : tuple of str
        Columns that have no role of their own.
    warnings : tuple of Problem
        What does not forbid to use the table, but should be looked at.
    """

    table: Path
    rows: tuple[SlideRow, ...]
    label_columns: tuple[str, ...]
    warnings: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def labels(self, column: str) -> NDArray[np.str_]:
        """Return the text of a label column for each slide.

        Parameters
        ----------
        column : str
            Name of the column.

        Returns
        -------
        ndarray of str, shape (n,)
            Empty where unknown.
        """
        return np.array([row.labels[column] for row in self.rows], dtype=np.str_)

    def patients(self) -> NDArray[np.str_]:
        """Return the patient of each slide.

        Returns
        -------
        ndarray of str, shape (n,)
        """
        return np.array([row.patient_id for row in self.rows], dtype=np.str_)

    def sites(self) -> NDArray[np.str_]:
        """Return the site of each slide.

        Returns
        -------
        ndarray of str, shape (n,)
            Empty where unknown.
        """
        return np.array([row.site for row in self.rows], dtype=np.str_)

    @property
    def is_from_features(self) -> bool:
        """Whether the table gives a feature file for every slide and names no slide."""
        return all(row.features is not None and row.path is None for row in self.rows)
