"""What no single row shows: names and files that stand twice, patients in two places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from napari_dre_slcl.cohort.problems import Findings, rows_text
from napari_dre_slcl.cohort.rows import SlideRow
from napari_dre_slcl.cohort.tcga import parse_barcode

__all__ = ["check_across_rows"]

_FEWEST_LETTERS = 200
"""A shorter report may be the same for two patients by chance."""


def check_across_rows(rows: Sequence[SlideRow], needs: str, findings: Findings) -> None:
    """Compare rows with each other.

    Parameters
    ----------
    rows : sequence of SlideRow
        All of the table.
    needs : str
        Which file every slide must have: ``slide``, ``features``, or empty for none.
    findings : Findings
        Is told a slide_id or a file in two rows, a patient in two sites or splits, a site or a
        split that is missing in some rows, and reports that two patients share.
    """
    _check_ids(rows, findings)
    if needs:
        _check_files(rows, needs, findings)
    _check_patients(rows, "site", findings)
    _check_patients(rows, "split", findings)
    gaps = [row.number for row in rows if not row.split]
    if gaps and len(gaps) < len(rows):
        findings.refuse(
            "the split is empty, other rows have one; write train, val or test, or empty the whole "
            "column",
            gaps,
            "split",
        )
    gaps = [row.number for row in rows if not row.site]
    if gaps and len(gaps) < len(rows):
        findings.warn("the site is empty, other rows have one", gaps, "site")
    _warn_of_shared_reports(rows, findings)
    _warn_of_barcodes(rows, findings)


def _check_ids(rows: Sequence[SlideRow], findings: Findings) -> None:
    for slide_id, numbers in _grouped((row.slide_id, row.number) for row in rows).items():
        for number in numbers[1:] if slide_id else ():
            findings.refuse(
                f"slide_id '{slide_id}' stands in {rows_text(numbers[:1])} too",
                [number],
                "slide_id",
            )
    spellings = {row.slide_id for row in rows}
    if len({text.casefold() for text in spellings}) < len(spellings):
        by_key = _grouped((row.slide_id.casefold(), row.number) for row in rows)
        same = [number for numbers in by_key.values() if len(numbers) > 1 for number in numbers]
        findings.warn(
            "slide_ids differ in capitals only; on some systems their files overwrite each other",
            same,
            "slide_id",
        )


def _check_files(rows: Sequence[SlideRow], needs: str, findings: Findings) -> None:
    """Tell a file under two names: as two slides it could come to lie on both sides of a split."""
    found: dict[Path, list[SlideRow]] = defaultdict(list)
    for row in rows:
        path = row.features if needs == "features" else row.path
        if path is not None:
            found[path].append(row)
    for path, same in found.items():
        if len({row.slide_id for row in same}) > 1:
            what = "feature file" if needs == "features" else "slide"
            is_shared = len({row.patient_id for row in same}) > 1
            tell = findings.refuse if is_shared else findings.warn
            whose = "of different patients" if is_shared else "under different slide_ids"
            numbers = [row.number for row in same]
            tell(f"the {what} '{path}' stands in several rows {whose}", numbers)


def _check_patients(rows: Sequence[SlideRow], column: str, findings: Findings) -> None:
    by_patient: dict[str, list[SlideRow]] = defaultdict(list)
    for row in rows:
        if row.patient_id and getattr(row, column):
            by_patient[row.patient_id].append(row)
    for patient, own in by_patient.items():
        places = _grouped((str(getattr(row, column)), row.number) for row in own)
        if len(places) > 1:
            where = ", ".join(
                f"'{place}' ({rows_text(numbers)})" for place, numbers in sorted(places.items())
            )
            findings.refuse(
                f"patient '{patient}' is in more than one {column}: {where}",
                [row.number for row in own],
                column,
            )


def _warn_of_shared_reports(rows: Sequence[SlideRow], findings: Findings) -> None:
    by_report: dict[str, list[SlideRow]] = defaultdict(list)
    for row in rows:
        if len(row.report) >= _FEWEST_LETTERS:
            by_report[" ".join(row.report.split())].append(row)
    for same in by_report.values():
        if len({row.patient_id for row in same}) > 1:
            findings.warn(
                "the same report text stands for different patients",
                [row.number for row in same],
                "report",
            )


def _warn_of_barcodes(rows: Sequence[SlideRow], findings: Findings) -> None:
    wrong = []
    for row in rows:
        slide, patient = parse_barcode(row.slide_id), parse_barcode(row.patient_id)
        if slide and patient and slide.patient != patient.patient:
            wrong.append(row.number)
    if wrong:
        findings.warn(
            "slide_id and patient_id are TCGA barcodes of different patients", wrong, "patient_id"
        )


def _grouped(pairs: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for key, number in pairs:
        found[key].append(number)
    return found
