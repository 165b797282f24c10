"""What if: the prediction of a slide without some of its tiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from napari_dre_slcl.engine.reporter import OnEvent, ShouldStop
from napari_dre_slcl.engine.warm import WarmSlide, warm_bundle, warm_slide
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.messages import Result, WhatIfJob
from napari_dre_slcl.model.bundle import Bundle
from napari_dre_slcl.model.tile_terms import sum_terms
from napari_dre_slcl.untrusted import read_npy

__all__ = ["run_what_if"]


@torch.no_grad()
def run_what_if(job: WhatIfJob, on_event: OnEvent, should_stop: ShouldStop) -> Result:
    """Predict a slide again as if some of its tiles were not there; too quick to be stopped.

    Parameters
    ----------
    job : WhatIfJob
        Model, result, and what to leave out.
    on_event, should_stop : callable
        Not called.

    Returns
    -------
    Result
        ``metrics`` has the probability of each ``task/class``.

    Raises
    ------
    DreSlclError
        If model or result cannot be used, or nothing of the slide would be left.
    """
    bundle = warm_bundle(job.model)
    slide = warm_slide(bundle, job.result)
    is_kept = _kept(job, bundle, slide)
    if not is_kept.any():
        raise JobError("Without all this nothing is left of the slide. Leave out less.")
    metrics = {
        f"{task.name}/{name}": float(value)
        for task, values in zip(bundle.tasks, _probabilities(bundle, slide, is_kept), strict=True)
        for name, value in zip(task.classes, values, strict=True)
    }
    return Result(kind="what-if", paths={}, metrics=metrics)


def _kept(job: WhatIfJob, bundle: Bundle, slide: WarmSlide) -> Tensor:
    """Return (n,) bool."""
    is_kept = torch.ones(slide.n_tiles, dtype=torch.bool)
    n_codewords = len(bundle.codeword_names)
    for number in job.without_codewords:
        if not 0 <= number < n_codewords:
            raise JobError(
                f"There is no codeword number {number + 1}: this model has {n_codewords}."
            )
        is_kept &= slide.codeword != number
    if job.without_tiles is not None:
        is_kept[_positions(job.without_tiles, slide.n_tiles)] = False
    return is_kept


def _positions(path: Path, n_tiles: int) -> Tensor:
    try:
        positions = read_npy(path)
    except (OSError, ValueError, EOFError) as error:
        raise JobError(f"The list of tiles '{path}' cannot be read: {error}.") from error
    if positions.ndim != 1 or positions.dtype.kind not in "iu":
        raise JobError(f"'{path}' is no list of tile numbers: it needs one row of whole numbers.")
    if len(positions) and not 0 <= positions.min() <= positions.max() < n_tiles:
        raise JobError(f"'{path}' names tiles that the result does not have: it has {n_tiles:,}.")
    return torch.from_numpy(positions.astype(np.int64))


def _probabilities(bundle: Bundle, slide: WarmSlide, is_kept: Tensor) -> list[Tensor]:
    if slide.terms is not None:
        sums = sum_terms(slide.terms, is_kept[None].float())
        return [logits.softmax(1)[0] for logits in bundle.net.logits_of_sums(sums)]
    assert slide.features is not None
    rowcol = None if slide.rowcol is None else slide.rowcol[is_kept]
    return bundle.net.describe(slide.features[is_kept], rowcol).probabilities
