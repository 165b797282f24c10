"""Report vectors of the training slides: TF-IDF, or a file of ready ones, or a language model.

Reports of held-out patients are never looked at.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.cohort import Cohort
from napari_dre_slcl.cohort.report_model import ReportModel
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.report_space import fit_report_space
from napari_dre_slcl.engine.reporter import Reporter

__all__ = ["report_vectors"]


def report_vectors(
    cohort: Cohort, is_train: NDArray[np.bool_], config: DreSlclConfig, reporter: Reporter
) -> tuple[NDArray[np.float32], ReportModel | None]:
    """Turn the reports of training slides into unit vectors, where training contrasts them.

    Parameters
    ----------
    cohort : Cohort
        The table.
    is_train : ndarray
        (n,) True for training slides; the others are left aside.
    config : DreSlclConfig
        Settings.
    reporter : Reporter
        Told what was made of how many reports, and the progress; may stop a language model.

    Returns
    -------
    vectors : ndarray
        (n_train, dim) float32 unit rows, zeros for a slide without a report; width 0 where
        nothing is contrasted.
    model : ReportModel or None
        What was fitted for it.

    Raises
    ------
    CohortError
        If there are too few different reports, or the file of ready vectors cannot be used.
    ModelError, ConfigError
        If the language model cannot be used.
    Stopped
        If the user stops while a language model reads; what it has read is kept.
    """
    if config.loss.contrastive_weight == 0:
        return np.zeros((int(is_train.sum()), 0), dtype=np.float32), None
    space = fit_report_space(cohort, is_train, config, reporter)
    if not space.vectors.shape[1]:
        reporter.log(
            "No training slide has a report: training goes on without the report contrast.",
            "warning",
        )
    return space.vectors, space.model
