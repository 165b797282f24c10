"""What a prediction rests on: evidence of tiles, their place in report space, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_dre_slcl.cohort.tasks import Task
from napari_dre_slcl.engine.tile_draws import DrawnPrediction, draw_predictions
from napari_dre_slcl.model.bundle import Bundle
from napari_dre_slcl.model.slide_net import SlideOutput
from napari_dre_slcl.model.tile_terms import tile_evidence
from napari_dre_slcl.results import SlideResult

__all__ = ["Explanation", "evidence_targets", "explain"]

_LEAST_TILES = 2


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """What is added to the result of a slide.

    Parameters
    ----------
    evidence : ndarray or None
        (n, m) float32.
    evidence_of : tuple of (str, str)
        Task and class of each of its columns.
    report_space : ndarray or None
        (n, t) float16 unit rows.
    report_vector : ndarray or None
        (t,) float32 unit vector of the slide.
    draws : list of DrawnPrediction
        One per task; empty where none were made.
    """

    evidence: NDArray[np.float32] | None
    evidence_of: tuple[tuple[str, str], ...]
    report_space: NDArray[np.float16] | None
    report_vector: NDArray[np.float32] | None
    draws: list[DrawnPrediction]

    def added_to(self, result: SlideResult, *, has_tiles: bool = True) -> SlideResult:
        """Return a result with all this in it.

        Parameters
        ----------
        result : SlideResult
            Of the same slide.
        has_tiles : bool
            False leaves out what is told tile by tile: the result has no tile table.
        """
        predictions = result.predictions
        if self.draws:
            predictions = tuple(
                replace(one, low=draw.low, high=draw.high, stability=draw.stability)
                for one, draw in zip(predictions, self.draws, strict=True)
            )
        result = replace(result, predictions=predictions, report_vector=self.report_vector)
        if not has_tiles:
            return result
        return replace(
            result,
            evidence=self.evidence,
            evidence_of=self.evidence_of,
            report_space=self.report_space,
        )


def evidence_targets(tasks: Sequence[Task]) -> list[tuple[int, int]]:
    """Return (task, class) of each column of evidence: of two classes the positive one alone."""
    targets = []
    for number, task in enumerate(tasks):
        classes: Sequence[int] = range(len(task.classes))
        if len(task.classes) == 2:
            classes = (1 if task.positive is None else task.classes.index(task.positive),)
        targets += [(number, index) for index in classes]
    return targets


@torch.no_grad()
def explain(
    bundle: Bundle,
    features: Tensor,
    rowcol: Tensor | None,
    output: SlideOutput,
    *,
    is_asked: bool = True,
) -> Explanation:
    """Ask a network what its answer rests on.

    Parameters
    ----------
    bundle : Bundle
        The model, on the device that is to compute.
    features : Tensor
        (n, d) of all tiles of the slide.
    rowcol : Tensor, optional
        (n, 2) positions on the tile grid.
    output : SlideOutput
        What the network has said of the slide.
    is_asked : bool
        Also place the slide and each tile in report space, for phrases.

    Returns
    -------
    Explanation
        With None for what the method cannot say.
    """
    net = bundle.net
    net.eval()
    features = features.to(net.device)
    space = net.report_space(features) if is_asked else None
    terms = net.tile_terms(features, None if rowcol is None else rowcol.to(net.device))
    evidence, targets, draws = None, evidence_targets(bundle.tasks), []
    if terms is not None and len(terms):
        evidence = tile_evidence(net, terms, targets).cpu().numpy().astype(np.float32)
        if len(terms) >= _LEAST_TILES:
            called = [int(values.argmax()) for values in output.probabilities]
            draws = draw_predictions(net, terms, called)
    of = tuple((bundle.tasks[task].name, bundle.tasks[task].classes[one]) for task, one in targets)
    return Explanation(
        evidence=evidence,
        evidence_of=() if evidence is None else of,
        report_space=None if space is None else space.half().cpu().numpy(),
        report_vector=None if space is None else _in_report_space(bundle, output.vector),
        draws=draws,
    )


def _in_report_space(bundle: Bundle, slide_vector: Tensor) -> NDArray[np.float32]:
    projected = bundle.net.project(slide_vector.to(bundle.net.device)[None])[0]
    return np.asarray(projected.cpu().numpy(), np.float32)
