"""Save folds as a folder of split files that ``evaluate --folds`` reads again."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from napari_dre_slcl.atomic_file import atomic_folder, write_text
from napari_dre_slcl.cohort.cohort import Cohort
from napari_dre_slcl.cohort.folds import Fold
from napari_dre_slcl.errors import CohortError
from napari_dre_slcl.untrusted import defuse

__all__ = ["write_split_folder"]


def write_split_folder(cohort: Cohort, folds: Sequence[Fold], folder: Path) -> Path:
    """Write one file for each fold: ``slide_id,role`` with train, val or test.

    Parameters
    ----------
    cohort : Cohort
        The slides that the folds are of; slides that a fold leaves out are not in its file.
    folds : sequence of Fold
        One or more.
    folder : Path
        New or empty; it is there whole or not at all.

    Returns
    -------
    Path
        ``folder``.

    Raises
    ------
    CohortError
        If there is something in the folder, or it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CohortError(f"'{folder}' is there and not empty. Name a new folder for the folds.")
    try:
        with atomic_folder(folder) as aside:
            for fold in folds:
                write_text(aside / f"{fold.name}.csv", _text(cohort, fold))
    except OSError as error:
        raise CohortError(f"The folds '{folder}' cannot be written: {error.strerror}.") from error
    return folder


def _text(cohort: Cohort, fold: Fold) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("slide_id", "role"))
    writer.writerows(
        (defuse(row.slide_id), side)
        for row, side in zip(cohort.rows, fold.split, strict=True)
        if side
    )
    return text.getvalue()
