"""What a model says of one slide, in one file.

Knows numpy and files; neither torch, Qt nor napari.
"""

from napari_dre_slcl.results.result_file import (
    RESULT_SUFFIX,
    load_report_space,
    load_result,
    save_result,
)
from napari_dre_slcl.results.slide_result import SlideResult, TaskPrediction

__all__ = [
    "RESULT_SUFFIX",
    "SlideResult",
    "TaskPrediction",
    "load_report_space",
    "load_result",
    "save_result",
]
