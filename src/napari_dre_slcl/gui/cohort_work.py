"""What the Cohort tab lets its thread do: read, check, part and save. No Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_dre_slcl.cohort.check_cohort import CohortCheck, check_sheet
from napari_dre_slcl.cohort.cohort import Cohort
from napari_dre_slcl.cohort.column_roles import guess_roles
from napari_dre_slcl.cohort.fold_summary import FoldSummary, fold_of_rows, summarise_folds
from napari_dre_slcl.cohort.folds import Fold, patient_folds
from napari_dre_slcl.cohort.from_folder import PatientRule, table_of_folder
from napari_dre_slcl.cohort.sheet import Sheet, read_sheet
from napari_dre_slcl.cohort.sheet_index import SheetIndex
from napari_dre_slcl.cohort.site_folds import site_folds
from napari_dre_slcl.cohort.summary import CohortSummary, summarise
from napari_dre_slcl.cohort.tasks import guess_task_columns
from napari_dre_slcl.cohort.write_sheet import write_sheet
from napari_dre_slcl.errors import CohortError
from napari_dre_slcl.gui.cohort_marks import CellMarks, mark_cells
from napari_dre_slcl.slide import open_slide

__all__ = [
    "DrawnFolds",
    "FoldRequest",
    "OpenCohort",
    "draw_folds",
    "look_at",
    "open_folder",
    "open_table",
    "save_as",
    "try_slide",
]

_FOREIGN = (
    "The columns of this table have other names than training expects. Say under 'Meaning of the "
    "columns' what they are."
)


@dataclass(frozen=True, slots=True, eq=False)
class OpenCohort:
    """A table and all that is known of it.

    Parameters
    ----------
    sheet : Sheet
        Its cells.
    index : SheetIndex
        Their order.
    check : CohortCheck
        The slides, and what is wrong with them.
    summary : CohortSummary
        What they are.
    marks : CellMarks
        Findings by place.
    roles : dict of int
        The column that seems to play each role.
    notes : tuple of str
        What was found while a folder was read.
    """

    sheet: Sheet
    index: SheetIndex
    check: CohortCheck
    summary: CohortSummary
    marks: CellMarks
    roles: dict[str, int]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoldRequest:
    """Which folds are wanted.

    Parameters
    ----------
    by : {"patient", "site"}
        What is never parted.
    n_folds : int
        2 or more.
    val_fraction : float
        Share of the training patients that validate.
    seed : int
        Of the draw.
    """

    by: str
    n_folds: int
    val_fraction: float
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class DrawnFolds:
    """Folds of a cohort.

    Parameters
    ----------
    cohort : Cohort
        What they are of.
    folds : tuple of Fold
        The folds.
    summaries : tuple of FoldSummary
        What they come to.
    of_rows : dict of str
        In which fold each row is tested, by row number.
    request : FoldRequest
        As they were asked for.
    """

    cohort: Cohort
    folds: tuple[Fold, ...]
    summaries: tuple[FoldSummary, ...]
    of_rows: Mapping[int, str]
    request: FoldRequest


def look_at(sheet: Sheet, notes: Sequence[str] = ()) -> OpenCohort:
    """Check a sheet and get ready to show it."""
    check = check_sheet(sheet)
    return OpenCohort(
        sheet,
        SheetIndex(sheet),
        check,
        summarise(check.cohort),
        mark_cells(sheet, check.problems, check.warnings),
        guess_roles(sheet),
        tuple(notes),
    )


def open_table(table: Path) -> OpenCohort:
    """Read a table.

    Raises
    ------
    CohortError
        If there is no such file, or it is no table.
    """
    sheet = read_sheet(table)
    return look_at(sheet, () if "patient_id" in sheet.columns else (_FOREIGN,))


def open_folder(sources: Path | tuple[Path, ...], patients: PatientRule) -> OpenCohort:
    """List the slides of a folder as a table.

    Raises
    ------
    CohortError
        If there are none.
    """
    made = table_of_folder(sources, patients)
    return look_at(made.sheet, made.notes)


def save_as(sheet: Sheet, out: Path) -> OpenCohort:
    """Write a sheet as a new table and read that."""
    return open_table(write_sheet(sheet, out, may_replace=True))


def draw_folds(cohort: Cohort, request: FoldRequest) -> DrawnFolds:
    """Part a cohort.

    Raises
    ------
    CohortError, ConfigError
        If it cannot be parted so; the sentence says why.
    """
    unknown = [row.number for row in cohort.rows if not row.patient_id]
    if unknown:
        raise CohortError(
            f"{len(unknown):,} rows name no patient, so that their slides could come to lie on "
            "both sides. Fill the column patient_id first."
        )
    columns = guess_task_columns(cohort)
    draw = site_folds if request.by == "site" else patient_folds
    folds = draw(cohort, columns, request.n_folds, request.seed, request.val_fraction)
    return DrawnFolds(
        cohort,
        folds,
        summarise_folds(cohort, folds, columns),
        fold_of_rows(cohort, folds),
        request,
    )


def try_slide(path: Path, mpp: float | None) -> Path:
    """Open and close a slide: what is wrong with it is told before the window waits for it.

    Raises
    ------
    SlideError
        If it cannot be opened.
    """
    open_slide(path, mpp).close()
    return path
