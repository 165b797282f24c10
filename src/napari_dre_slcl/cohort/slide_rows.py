"""One row of a cohort table after the other: its values, and what is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from napari_dre_slcl.cohort.cell_values import (
    clean_value,
    is_rounded_number,
    mpp_value,
    without_fraction,
)
from napari_dre_slcl.cohort.problems import Findings, short_text
from napari_dre_slcl.cohort.pseudonyms import is_under_pseudonym
from napari_dre_slcl.cohort.rows import SPLITS, SlideRow
from napari_dre_slcl.plain_text import visible
from napari_dre_slcl.slide.file_to_open import dicom_series
from napari_dre_slcl.slide.pixel_size import MPP_RANGE
from napari_dre_slcl.slide.remote import is_remote, located, remote_name

__all__ = ["RowReader"]

_LONGEST_ID = 200


@dataclass(frozen=True, slots=True)
class RowReader:
    """Makes slides of rows.

    Parameters
    ----------
    folder : Path
        Of the table; relative paths begin here.
    labels : tuple of str
        Columns without a role.
    needs : str
        Which file every slide must have: ``slide``, ``features``, or empty for none.
    findings : Findings
        Is told what is wrong.
    """

    folder: Path
    labels: tuple[str, ...]
    needs: str
    findings: Findings

    def read(self, number: int, cells: Mapping[str, str]) -> SlideRow:
        """Return the slide of a row, whatever is wrong with it.

        Parameters
        ----------
        number : int
            The row in a spreadsheet.
        cells : mapping of str
            Raw cells by column.
        """
        given = {column: clean_value(cell) for column, cell in cells.items()}
        slide = self._path("slide", number, given)
        features = self._path("features", number, given)
        row = SlideRow(
            slide_id=self._slide_id(number, given, slide or features),
            path=slide,
            patient_id=self._patient(number, given.get("patient_id")),
            site=without_fraction(given.get("site", "")),
            report=given.get("report", ""),
            mpp=self._mpp(number, given.get("mpp", "")),
            split=self._split(number, given.get("split", "").lower()),
            labels={column: without_fraction(given[column]) for column in self.labels},
            features=features,
            number=number,
        )
        # A column that is missing altogether is told once.
        if given.get(self.needs) == "" or (not self.needs and not row.slide_id):
            missing = "feature file" if self.needs == "features" else "slide"
            self.findings.refuse(f"names no {missing}", [number], self.needs or "slide_id")
        return row

    def _path(self, column: str, number: int, given: Mapping[str, str]) -> Path | None:
        text = given.get(column, "")
        if not text:
            return None
        if is_remote(text) or text.startswith("file:"):
            return located(text)  # whether it is there is seen when it is opened
        path = self.folder / text
        if "\\" in text and not os.path.exists(path):  # written on Windows
            path = self.folder / PureWindowsPath(text).as_posix()
        # Path.exists raises where a name is too long, as a report in the wrong column is.
        if self.needs == column and (reason := _why_unusable(path, column)):
            self.findings.refuse(reason, [number], column, is_absent=column == "slide")
        # The name of a link under a pseudonym is what may be told, that of its file is not.
        return Path(os.path.abspath(path) if is_under_pseudonym(path) else os.path.realpath(path))

    def _slide_id(self, number: int, given: Mapping[str, str], file: Path | None) -> str:
        slide_id = without_fraction(given.get("slide_id", ""))
        if not slide_id:
            return "" if file is None else self._id_of_file(number, Path(remote_name(file)).stem)
        if "/" in slide_id or "\\" in slide_id or slide_id in (".", ".."):
            self._refuse_id(number, f"'{short_text(slide_id)}' holds a slash or is a folder")
        elif not slide_id.isprintable() or len(slide_id) > _LONGEST_ID:
            self._refuse_id(
                number,
                f"'{short_text(visible(slide_id))}' has line breaks, signs that cannot be seen, or "
                f"over {_LONGEST_ID} letters",
            )
        elif is_rounded_number(slide_id):
            self._refuse_id(number, f"'{slide_id}' was rounded by a spreadsheet")
        return slide_id

    def _id_of_file(self, number: int, name: str) -> str:
        if visible(name) != name:
            self._refuse_id(
                number,
                f"'{short_text(visible(name))}', the name of its file, has signs that cannot be "
                "seen; give it another",
            )
        return name

    def _refuse_id(self, number: int, what: str) -> None:
        self.findings.refuse(f"slide_id {what}", [number], "slide_id")

    def _patient(self, number: int, text: str | None) -> str:
        if text is None:  # the column is missing, which is told once
            return ""
        if not text:
            self.findings.refuse("the patient_id is empty", [number], "patient_id")
        elif is_rounded_number(text):
            self.findings.refuse(
                f"patient_id '{text}' was rounded by a spreadsheet; format the column as text",
                [number],
                "patient_id",
            )
        return without_fraction(text)

    def _split(self, number: int, text: str) -> str:
        if text and text not in SPLITS:
            self.findings.refuse(
                f"split '{short_text(text)}' is none of {', '.join(SPLITS)}", [number], "split"
            )
        return text

    def _mpp(self, number: int, text: str) -> float | None:
        value = mpp_value(text) if text else None
        if text and value is None:
            limits = f"between {MPP_RANGE[0]:g} and {MPP_RANGE[1]:g}"
            self.findings.refuse(
                f"mpp '{short_text(text)}' is no pixel size in µm {limits}", [number], "mpp"
            )
        return value


def _why_unusable(path: Path, column: str) -> str:
    """Return what is wrong with a file, as far as its place tells; empty for nothing."""
    what = "slide" if column == "slide" else "feature file"
    if not os.path.exists(path):
        return f"the {what} '{short_text(path)}' does not exist"
    if not path.is_dir():
        return ""
    if column == "features":
        return f"the {what} '{short_text(path)}' is a folder"
    try:
        has_dicom = any(dicom_series(file) is not None for file in path.iterdir() if file.is_file())
    except OSError as error:
        return f"the folder '{short_text(path)}' cannot be read: {error.strerror}"
    return "" if has_dicom else f"the folder '{short_text(path)}' holds no DICOM slide"
