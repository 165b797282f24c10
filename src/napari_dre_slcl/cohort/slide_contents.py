"""Whether the slide files of a cohort can be opened; tissue is not looked for."""

from __future__ import annotations

import os

from napari_dre_slcl.cohort.problems import Findings, Problem, in_order
from napari_dre_slcl.cohort.rows import Cohort
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.slide.proof import prove_ahead
from napari_dre_slcl.slide.remote import is_remote

__all__ = ["check_slide_contents"]


def check_slide_contents(cohort: Cohort) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """Open every slide that a table names.

    Parameters
    ----------
    cohort : Cohort
        The slides.

    Returns
    -------
    problems, warnings : tuple of Problem
        Slides that cannot be opened; what is doubtful about others, such as a file that is cut off.
        Local files that do not exist are `check_cohort`'s to tell.
    """
    findings = Findings()
    named = [
        (row, row.path)
        for row in cohort.rows
        if row.path is not None and (is_remote(row.path) or os.path.exists(row.path))
    ]
    with prove_ahead(path for _, path in named):
        for row, path in named:
            try:
                with open_slide(path, mpp=row.mpp, mpp_source="cohort table") as slide:
                    told = [one for one in slide.info.findings if one.severity != "note"]
            except SlideError as error:
                findings.refuse(str(error), [row.number], "slide", is_absent=True)
            else:
                for one in told:
                    findings.warn(one.sentence, [row.number], "slide")
    return in_order(findings.problems), in_order(findings.warnings)
