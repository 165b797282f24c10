"""Do validation slides find their reports? A figure after each epoch that teaches nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.held_out_slide import HeldOutSlide
from napari_dre_slcl.engine.prepare import PreparedCohort
from napari_dre_slcl.engine.report_space import fit_report_space
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.model.nets import TrainedNet
from napari_dre_slcl.model.network import DreSlclNet

__all__ = ["ReportRecall", "recall_at"]

_K = 10
_EQUAL = 1e-6


class ReportRecall:
    """Measures recall at 10 of validation slides among the reports of training and validation.

    The reports of training are distractors: with those of validation alone, which may be ten, every
    slide would find its own.

    Parameters
    ----------
    config : DreSlclConfig
        Settings of the text.
    prepared : PreparedCohort
        Slides, split and training reports.
    reporter : Reporter
        May stop a language model that reads the validation reports.
    """

    def __init__(self, config: DreSlclConfig, prepared: PreparedCohort, reporter: Reporter) -> None:
        self._config = config
        self._prepared = prepared
        self._reporter = reporter
        self._sought: dict[int, NDArray[np.float32]] | None = None

    def get_ready(self) -> None:
        """Place the validation reports now, before the training needs the memory.

        Where that cannot be done there is a warning and no figure: a training does not end for it.

        Raises
        ------
        Stopped
            If the user stops while a language model reads; what it has read is kept.
        """
        if self._sought is not None or not self._prepared.reports.shape[1]:
            return
        try:
            self._sought = self._read_sought()
        except DreSlclError as error:
            self._reporter.warn_once(f"Recall of validation reports is not measured. {error}")
            self._sought = {}

    def measure(self, net: TrainedNet, results: Mapping[int, HeldOutSlide]) -> dict[str, float]:
        """Return ``val/recall@10`` and ``chance/recall@10``.

        Parameters
        ----------
        net : SlideNet
            Whose projection places slides in report space.
        results : mapping of HeldOutSlide
            Of validation slides, by their row.

        Returns
        -------
        dict of float
            Empty where the network has no report space, or there are too few reports.
        """
        if not isinstance(net, DreSlclNet) or net.projection is None:
            return {}
        self.get_ready()
        sought = self._sought or {}
        rows = [row for row in results if row in sought]
        if not rows:
            return {}
        vectors = torch.from_numpy(np.stack([results[row].slide_vector for row in rows]))
        with torch.no_grad():
            placed = net.project(vectors.float().to(net.device)).cpu().numpy()
        own = np.stack([sought[row] for row in rows])
        found = recall_at(placed, own, self._prepared.reports, _K)
        if found is None:
            return {}
        return {f"val/recall@{_K}": found[0], f"chance/recall@{_K}": found[1]}

    def _read_sought(self) -> dict[int, NDArray[np.float32]]:
        """Place the validation reports in the space that was fitted on those of training."""
        prepared = self._prepared
        space = fit_report_space(
            prepared.cohort, prepared.split == "train", self._config, self._reporter.without_logs()
        )
        rows = prepared.rows("val")
        if space.vectors.shape[1] != prepared.reports.shape[1]:
            return {}
        vectors = space.encode([prepared.cohort.rows[row] for row in rows])
        return {row: vector for row, vector in zip(rows, vectors, strict=True) if vector.any()}


def recall_at(
    placed: NDArray[np.float32], own: NDArray[np.float32], others: NDArray[np.float32], k: int
) -> tuple[float, float] | None:
    """Return the share of slides whose own report is among the k nearest, and that of guessing.

    Parameters
    ----------
    placed : ndarray
        (n, d) unit vectors of slides in report space.
    own : ndarray
        (n, d) unit vectors of their reports.
    others : ndarray
        (m, d) of reports that stand among them; rows of zeros are no reports.
    k : int
        Places that are looked at. A report that is as near as the own one takes a place before it.

    Returns
    -------
    tuple of float or None
        None where there are k different reports or fewer, so that all are found.
    """
    whole = np.concatenate([own, others[others.any(axis=1)]])
    gallery, place_of = np.unique(whole.round(6), axis=0, return_inverse=True)
    if len(gallery) <= k:
        return None
    likeness = placed @ gallery.T
    mine = likeness[np.arange(len(placed)), place_of.ravel()[: len(placed)]]
    ranks = (likeness >= mine[:, None] - _EQUAL).sum(axis=1)
    return float((ranks <= k).mean()), k / len(gallery)
