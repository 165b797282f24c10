"""Save folds as a folder of split files that ``evaluate --folds`` reads again."""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from napari_dre_slcl.atomic_file import write_text
from napari_dre_slcl.cohort.cohort import Cohort
from napari_dre_slcl.cohort.folds import Fold
from napari_dre_slcl.errors import CohortError

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
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".part"))
        try:
            for fold in folds:
                write_text(aside / f"{fold.name}.csv", _text(cohort, fold))
            aside.chmod(0o755)
            if folder.exists():
                folder.rmdir()  # empty, as was seen above; else this fails
            aside.rename(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise CohortError(f"The folds '{folder}' cannot be written: {error.strerror}.") from error
    return folder


def _text(cohort: Cohort, fold: Fold) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("slide_id", "role"))
    writer.writerows(
        (row.slide_id, side) for row, side in zip(cohort.rows, fold.split, strict=True) if side
    )
    return text.getvalue()
