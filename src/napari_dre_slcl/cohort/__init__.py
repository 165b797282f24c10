"""Many slides with patients, sites, labels and reports."""

from napari_dre_slcl.cohort.cohort import Cohort, SlideRow, read_cohort
from napari_dre_slcl.cohort.tasks import Task

__all__ = ["Cohort", "SlideRow", "Task", "read_cohort"]
