"""The jobs of the window and the command line as plain calls: they return, or raise a sentence.

Each builds the same job that the window starts, so that its run folder is the same too.
"""

from napari_dre_slcl.calls.job_calls import predict_slides, resume, run_job, search_index, train
from napari_dre_slcl.calls.whole_cohort import embed_slides, evaluate

__all__ = [
    "embed_slides",
    "evaluate",
    "predict_slides",
    "resume",
    "run_job",
    "search_index",
    "train",
]
