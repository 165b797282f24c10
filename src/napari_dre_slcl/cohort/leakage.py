"""The guard against leaks: what is tested must not have been seen in training.

Knows slides, patients, hashes and names; what was fitted on which slides it is told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.cohort import SPLITS, Cohort, SlideRow
from napari_dre_slcl.errors import LeakageError

__all__ = ["LONG_REPORT", "LeakageReport", "check_leakage", "without_test_reports"]

LONG_REPORT = 200
"""Characters from which on two reports that say the same are taken for one report."""
_SHOWN = 3
_CALLED = {"train": "training", "val": "validation", "test": "test"}
_ALLOW = (
    "Split by patient, or allow shared patients (--allow-shared-patients) to have them counted."
)


@dataclass(frozen=True, slots=True)
class LeakageReport:
    """What the guard looked at, and what it let pass.

    Parameters
    ----------
    checked : tuple of str
        What was compared: patients, slide content, reports, and each thing that was fitted.
    shared_patients : tuple of str
        Patients with slides in test and in training or validation; empty unless allowed.
    shared_validation_patients : tuple of str
        Patients with slides in training and in validation; empty unless allowed.
    same_short_reports : int
        Training slides with a short report that a test slide has too, such as "see above".
    """

    checked: tuple[str, ...]
    shared_patients: tuple[str, ...]
    shared_validation_patients: tuple[str, ...]
    same_short_reports: int


def check_leakage(
    cohort: Cohort,
    split: NDArray[np.str_],
    *,
    content: Mapping[str, str] | None = None,
    fitted: Mapping[str, Collection[str]] | None = None,
    allow_shared_patients: bool = False,
    uses_reports: bool = True,
) -> LeakageReport:
    """Refuse a split by which test slides are known in training.

    Parameters
    ----------
    cohort : Cohort
        The slides, with the reports that training sees.
    split : ndarray
        (n,) train, val, test, or empty for slides that are left out.
    content : mapping of str, optional
        Hash of each slide's content by slide_id, as `content_hashes` gives it.
    fitted : mapping, optional
        Slide_ids on which something was fitted, by its name, such as ``{"codebook": ids}``. Ids
        that the cohort does not have are passed over.
    allow_shared_patients : bool, default False
        Report patients on two sides, as published splits have them, in place of refusing them.
        Their test reports are refused in training all the same; see `without_test_reports`.
    uses_reports : bool, default True
        False where nothing is learned from reports.

    Returns
    -------
    LeakageReport
        What is no leak and should be known all the same: shared patients, short texts that are
        the same.

    Raises
    ------
    LeakageError
        Names every leak that was found.
    """
    sides = {name: _rows(cohort, split, name) for name in SPLITS}
    shared = _shared_patients(sides["test"], [*sides["train"], *sides["val"]])
    validating = _shared_patients(sides["val"], sides["train"])
    leaks = [] if allow_shared_patients else _patient_leaks(shared, validating)
    leaks += _content_leaks(sides, content or {})
    short = 0
    if uses_reports:
        long, short = _same_reports(sides)
        leaks += long
    for name, ids in (fitted or {}).items():
        leaks += _fitting_leaks(cohort, sides, name, ids, allow_shared_patients)
    if leaks:
        raise LeakageError(" ".join([f"The split of '{cohort.table}' leaks.", *leaks]))
    optional = {"slide content": bool(content), "reports": uses_reports}
    checked = ("patients", *(name for name, done in optional.items() if done), *(fitted or {}))
    return LeakageReport(checked, shared, validating, short)


def without_test_reports(cohort: Cohort, split: NDArray[np.str_]) -> Cohort:
    """Return the cohort with the reports of test patients emptied on all slides but test ones.

    Published splits have slides of a test patient in training, and the report is the patient's.

    Parameters
    ----------
    cohort : Cohort
        The slides.
    split : ndarray
        (n,) as for `check_leakage`.
    """
    tested = {row.patient_id for row in _rows(cohort, split, "test")}
    rows = tuple(
        replace(row, report="") if side != "test" and row.patient_id in tested else row
        for row, side in zip(cohort.rows, split, strict=True)
    )
    return replace(cohort, rows=rows)


def _rows(cohort: Cohort, split: NDArray[np.str_], side: str) -> list[SlideRow]:
    return [row for row, given in zip(cohort.rows, split, strict=True) if given == side]


def _shared_patients(some: Sequence[SlideRow], others: Sequence[SlideRow]) -> tuple[str, ...]:
    return tuple(sorted({row.patient_id for row in some} & {row.patient_id for row in others}))


def _patient_leaks(shared: tuple[str, ...], validating: tuple[str, ...]) -> list[str]:
    leaks = []
    if shared:
        leaks.append(
            f"{_owners(shared, 'patient')} slides in test and in training or validation too: "
            f"{_quoted(shared)}. {_ALLOW}"
        )
    if validating:
        leaks.append(
            f"{_owners(validating, 'patient')} slides in training and in validation: "
            f"{_quoted(validating)}. {_ALLOW}"
        )
    return leaks


def _content_leaks(
    sides: Mapping[str, Sequence[SlideRow]], content: Mapping[str, str]
) -> list[str]:
    """Return a sentence for each pair of sides that hold the same slide under two names."""
    leaks = []
    for first, second in combinations(SPLITS, 2):
        known = {content[row.slide_id]: row for row in sides[first] if row.slide_id in content}
        found = [
            (row, known[content[row.slide_id]])
            for row in sides[second]
            if content.get(row.slide_id) in known
        ]
        if found:
            pairs = [f"'{row.slide_id}' and '{other.slide_id}'" for row, other in found]
            leaks.append(
                f"{_owners(found, f'{_CALLED[second]} slide')} the same content as a "
                f"{_CALLED[first]} slide: {_listed(pairs)}. Keep one slide of each pair."
            )
    return leaks


def _same_reports(sides: Mapping[str, Sequence[SlideRow]]) -> tuple[list[str], int]:
    """Return sentences on test reports in training, and how many short ones are the same."""
    patients = {row.patient_id for row in sides["test"]}
    texts = {_plain(row.report) for row in sides["test"]} - {""}
    reported = [row for row in sides["train"] if _plain(row.report)]
    of_patient = [row.slide_id for row in reported if row.patient_id in patients]
    same = [
        row for row in reported if row.patient_id not in patients and _plain(row.report) in texts
    ]
    copied = [row.slide_id for row in same if len(_plain(row.report)) >= LONG_REPORT]
    leaks = []
    if of_patient:
        leaks.append(
            f"{_owners(of_patient, 'training slide')} the report of a patient who is tested: "
            f"{_quoted(of_patient)}. Empty these reports."
        )
    if copied:
        leaks.append(
            f"{_owners(copied, 'training slide')} the same report, word for word, as a test "
            f"slide: {_quoted(copied)}. Empty these reports."
        )
    return leaks, len(same) - len(copied)


def _fitting_leaks(
    cohort: Cohort,
    sides: Mapping[str, Sequence[SlideRow]],
    name: str,
    ids: Collection[str],
    allow_shared_patients: bool,
) -> list[str]:
    """Return a sentence where something was fitted on slides, or on patients, of the test."""
    seen = set(ids)
    tested = [row.slide_id for row in sides["test"] if row.slide_id in seen]
    if tested:
        found = f"{_number(tested, 'test slide')}: {_quoted(tested)}"
        return [f"The {name} was fitted on {found}. Fit it on training slides only."]
    patients = {row.patient_id for row in sides["test"]}
    theirs = [
        row.slide_id for row in cohort.rows if row.slide_id in seen and row.patient_id in patients
    ]
    if theirs and not allow_shared_patients:
        found = f"{_number(theirs, 'slide')} of patients who are tested: {_quoted(theirs)}"
        return [f"The {name} was fitted on {found}. Fit it on training patients only."]
    return []


def _plain(report: str) -> str:
    return " ".join(report.casefold().split())


def _owners(found: Collection[object], noun: str) -> str:
    """Return how many of a kind have what is told next."""
    return f"1 {noun} has" if len(found) == 1 else f"{len(found):,} {noun}s have"


def _number(found: Collection[object], noun: str) -> str:
    return f"{len(found):,} {noun}{'' if len(found) == 1 else 's'}"


def _quoted(names: Sequence[str]) -> str:
    return _listed([f"'{name}'" for name in names])


def _listed(parts: Sequence[str]) -> str:
    rest = len(parts) - _SHOWN
    return ", ".join(parts[:_SHOWN]) + (f" and {rest:,} more" if rest > 0 else "")
