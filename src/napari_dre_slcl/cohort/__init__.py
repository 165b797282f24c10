"""Many slides with patients, sites, labels and reports."""

from napari_dre_slcl.cohort.cohort import Cohort, SlideRow, read_cohort
from napari_dre_slcl.cohort.problems import CohortTableError, Problem
from napari_dre_slcl.cohort.tasks import Task

__all__ = ["Cohort", "CohortTableError", "Problem", "SlideRow", "Task", "read_cohort"]
