"""What a cohort is made of: its slides by label, by patient and by site."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from napari_dre_slcl.cohort.rows import Cohort, SlideRow

__all__ = ["CohortSummary", "LabelSummary", "SiteSummary", "summarise"]

_MOST_CLASSES = 10


@dataclass(frozen=True, slots=True)
class LabelSummary:
    """One label column.

    Parameters
    ----------
    column : str
        Its name.
    slides, patients : mapping of int
        How many have each value.
    n_missing : int
        Slides without a value.
    """

    column: str
    slides: Mapping[str, int]
    patients: Mapping[str, int]
    n_missing: int


@dataclass(frozen=True, slots=True)
class SiteSummary:
    """One site.

    Parameters
    ----------
    site : str
        Its name, empty for slides without one.
    n_slides, n_patients, n_reports : int
        What it sent.
    labels : mapping of mapping of int
        Slides by label column and value.
    """

    site: str
    n_slides: int
    n_patients: int
    n_reports: int
    labels: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class CohortSummary:
    """A whole cohort.

    Parameters
    ----------
    n_slides, n_patients, n_sites, n_reports : int
        How many; sites with a name, and slides with a report.
    slides_per_patient : mapping of int
        How many patients have 1, 2, … slides.
    files : mapping of int
        How many slides are ``slide files``, ``folders``, ``feature files``.
    labels : tuple of LabelSummary
        Columns of at most ten values.
    other_columns : mapping of int
        Other columns with how many different values they have.
    sites : tuple of SiteSummary
        The largest first; empty where the table names none.
    """

    n_slides: int
    n_patients: int
    n_sites: int
    n_reports: int
    slides_per_patient: Mapping[int, int]
    files: Mapping[str, int]
    labels: tuple[LabelSummary, ...]
    other_columns: Mapping[str, int]
    sites: tuple[SiteSummary, ...]


def summarise(cohort: Cohort) -> CohortSummary:
    """Count what a cohort holds.

    Parameters
    ----------
    cohort : Cohort
        Any, also one with problems.
    """
    different = {
        column: len({row.labels[column] for row in cohort.rows} - {""})
        for column in cohort.label_columns
    }
    classes = [column for column, count in different.items() if count <= _MOST_CLASSES]
    per_patient = Counter(row.patient_id for row in cohort.rows if row.patient_id)
    return CohortSummary(
        n_slides=len(cohort),
        n_patients=len(per_patient),
        n_sites=len({row.site for row in cohort.rows} - {""}),
        n_reports=sum(bool(row.report) for row in cohort.rows),
        slides_per_patient=dict(sorted(Counter(per_patient.values()).items())),
        files=dict(Counter(_kind(row) for row in cohort.rows)),
        labels=tuple(_label(cohort, column) for column in classes),
        other_columns={name: count for name, count in different.items() if name not in classes},
        sites=_sites(cohort, [column for column in classes if different[column] > 1]),
    )


def _kind(row: SlideRow) -> str:
    if row.path is not None:
        return "folders" if row.path.is_dir() else "slide files"
    return "no file" if row.features is None else "feature files"


def _label(cohort: Cohort, column: str) -> LabelSummary:
    known = [(row.labels[column], row.patient_id) for row in cohort.rows if row.labels[column]]
    slides = dict(sorted(Counter(label for label, _ in known).items()))
    patients = Counter(label for label, patient in set(known) if patient)
    return LabelSummary(
        column, slides, {label: patients[label] for label in slides}, len(cohort) - len(known)
    )


def _sites(cohort: Cohort, classes: Sequence[str]) -> tuple[SiteSummary, ...]:
    rows: dict[str, list[SlideRow]] = {}
    for row in cohort.rows:
        rows.setdefault(row.site, []).append(row)
    if set(rows) <= {""}:
        return ()
    found = [_site(site, own, classes) for site, own in rows.items()]
    return tuple(sorted(found, key=lambda site: (not site.site, -site.n_slides, site.site)))


def _site(site: str, rows: Sequence[SlideRow], classes: Iterable[str]) -> SiteSummary:
    labels = {
        column: dict(sorted(Counter(row.labels[column] for row in rows).items()))
        for column in classes
    }
    return SiteSummary(
        site,
        len(rows),
        len({row.patient_id for row in rows} - {""}),
        sum(bool(row.report) for row in rows),
        {column: {k: v for k, v in counts.items() if k} for column, counts in labels.items()},
    )
