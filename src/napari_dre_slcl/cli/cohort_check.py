"""What ``dre-slcl cohort check`` prints: the cohort by label, patient and site, and findings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from rich.table import Table

from napari_dre_slcl.cli.console import output, print_json, say
from napari_dre_slcl.cohort.check_cohort import CohortCheck, check_cohort
from napari_dre_slcl.cohort.feature_contents import check_feature_contents
from napari_dre_slcl.cohort.problems import Problem, in_order
from napari_dre_slcl.cohort.slide_contents import check_slide_contents
from napari_dre_slcl.cohort.summary import CohortSummary, summarise

__all__ = ["print_check"]

_MOST_COLUMNS = 4
"""Label columns in the table of sites; more do not fit on a terminal."""


def print_check(
    table: Path, features: Path | None, as_json: bool, opens_files: bool = False
) -> bool:
    """Check a cohort table and print what was found.

    Parameters
    ----------
    table : Path
        The cohort table.
    features : Path or None
        Folder of feature files that stand for the slides.
    as_json : bool
        Print one JSON object instead of text.
    opens_files : bool, default False
        Open every slide and look into every feature file too.

    Returns
    -------
    bool
        Whether the table can be used.

    Raises
    ------
    CohortError
        If there is no such table.
    """
    check = check_cohort(table, features=features)
    if opens_files:
        check = _with_contents(check, features)
    summary = summarise(check.cohort)
    if as_json:
        print_json(json.dumps(_record(check, summary), ensure_ascii=False))
    else:
        if summary.n_slides:
            _print_summary(summary)
        _print_findings("Problem", check.problems)
        _print_findings("Warning", check.warnings)
        say(_verdict(table, check))
    return not check.problems


def _with_contents(check: CohortCheck, features: Path | None) -> CohortCheck:
    found = [check_feature_contents(check.cohort, features)]
    if features is None:
        found.append(check_slide_contents(check.cohort))
    return replace(
        check,
        problems=in_order([*check.problems, *(one for problems, _ in found for one in problems)]),
        warnings=in_order([*check.warnings, *(one for _, warnings in found for one in warnings)]),
    )


def _record(check: CohortCheck, summary: CohortSummary) -> dict[str, object]:
    def found(problems: Sequence[Problem]) -> list[dict[str, object]]:
        return [asdict(problem) | {"sentence": problem.sentence} for problem in problems]

    return {
        "table": str(check.cohort.table),
        "problems": found(check.problems),
        "warnings": found(check.warnings),
        "summary": asdict(summary),
    }


def _print_summary(summary: CohortSummary) -> None:
    files = ", ".join(f"{count:,} {kind}" for kind, count in summary.files.items())
    say(f"Slides: {summary.n_slides:,} ({files}), {summary.n_reports:,} with a report")
    per_patient = ", ".join(
        f"{patients:,} with {slides}" for slides, patients in summary.slides_per_patient.items()
    )
    say(f"Patients: {summary.n_patients:,} (slides each: {per_patient or 'none'})")
    say(f"Sites: {summary.n_sites:,}")
    if summary.other_columns:
        others = ", ".join(f"{name} ({n:,} values)" for name, n in summary.other_columns.items())
        say(f"Other columns: {others}")
    if summary.labels:
        output().print(_label_table(summary))
    if summary.sites:
        output().print(_site_table(summary))


def _label_table(summary: CohortSummary) -> Table:
    table = Table("Label", "Value", "Slides", "Patients")
    for label in summary.labels:
        for value, slides in label.slides.items():
            table.add_row(label.column, value, f"{slides:,}", f"{label.patients[value]:,}")
        if label.n_missing:
            table.add_row(label.column, "(empty)", f"{label.n_missing:,}", "")
    return table


def _site_table(summary: CohortSummary) -> Table:
    columns = [label.column for label in summary.labels if len(label.slides) > 1][:_MOST_COLUMNS]
    table = Table("Site", "Slides", "Patients", "Reports", *columns)
    for site in summary.sites:
        counts = [_counts(site.labels[column]) for column in columns]
        amounts = (f"{n:,}" for n in (site.n_slides, site.n_patients, site.n_reports))
        table.add_row(site.site or "(empty)", *amounts, *counts)
    return table


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{value} {count}" for value, count in counts.items()) or "-"


def _print_findings(kind: str, found: Sequence[Problem]) -> None:
    for problem in found:
        say(f"{kind}: {problem.sentence}")


def _verdict(table: Path, check: CohortCheck) -> str:
    counts = f"{_amount(check.problems, 'problem')}, {_amount(check.warnings, 'warning')}"
    usable = "cannot be used as it is" if check.problems else "can be used"
    return f"{counts}: '{table}' {usable}."


def _amount(found: Sequence[Problem], word: str) -> str:
    return f"{len(found):,} {word}{'' if len(found) == 1 else 's'}"
