"""Evaluate a method over folds, and embed the slides of a cohort: what is no job of the window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.calls.listening import OnEvent, listening
from napari_dre_slcl.engine_extra import engine_needed
from napari_dre_slcl.untrusted import open_npz

if TYPE_CHECKING:
    from napari_dre_slcl.engine.evaluation import EvaluationResult
    from napari_dre_slcl.engine.reporter import Reporter

__all__ = ["embed_slides", "evaluate"]

_Name = str | Path


def evaluate(
    cohort: _Name,
    out: _Name,
    method: str = "dre-slcl",
    tasks: Sequence[str] = (),
    folds: str = "patient",
    settings: Mapping[str, Any] | None = None,
    on_event: OnEvent | None = None,
    **request: Any,
) -> EvaluationResult:
    """Train and test a method over folds that keep patients apart, as ``dre-slcl evaluate`` does.

    Parameters
    ----------
    cohort : str or Path
        Cohort table.
    out : str or Path
        Folder of the evaluation; finished folds that are there are kept.
    method : str
        ``dre-slcl``, ``attention-mil``, ``mean-pool``, ``giga-ssl`` or ``slpd``.
    tasks : sequence of str
        Label columns; empty guesses them.
    folds : str
        ``patient``, ``site``, or a folder of split files.
    settings : mapping, optional
        Changed settings by dotted name.
    on_event : callable, optional
        Gets its events; without it, warnings become Python warnings.
    **request
        ``seeds``, ``n_folds``, ``validation``, ``within``, ``preset`` and
        ``allow_shared_patients``, as of `EvaluationRequest`.

    Returns
    -------
    EvaluationResult
        ``metrics["tasks"][task]["scores"]["auc"]`` has mean and spread; ``paths`` has ``metrics``,
        ``predictions`` and ``page``.

    Raises
    ------
    DreSlclError
        If the cohort, the folds or a setting cannot be used, or something leaks.
    KeyboardInterrupt
        If Ctrl-C ended it; the same call goes on.
    """
    with _reporting(on_event) as reporter:
        from napari_dre_slcl.engine.evaluation import run_evaluation
        from napari_dre_slcl.engine.evaluation_request import EvaluationRequest

        asked = EvaluationRequest(
            cohort=Path(cohort),
            out=Path(out),
            method=method,
            folds=folds,
            tasks=tuple(tasks),
            overrides=dict(settings or {}),
            **request,
        )
        return run_evaluation(asked, reporter)


def embed_slides(
    model: _Name,
    cohort: _Name,
    out: _Name,
    features: _Name | None = None,
    device: str = "auto",
    on_event: OnEvent | None = None,
) -> tuple[list[str], NDArray[np.float32]]:
    """Make the vector of every slide of a cohort, as ``dre-slcl embed-slides`` does.

    Parameters
    ----------
    model : str or Path
        Model folder, or a run folder that holds one.
    cohort : str or Path
        Cohort table; labels are not looked at.
    out : str or Path
        File to write, ending in ``.npz``.
    features : str or Path, optional
        Folder of feature files, for a model of such.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    on_event : callable, optional
        Gets its events; without it, warnings become Python warnings.

    Returns
    -------
    ids : list of str
        Slides that could be read.
    vectors : ndarray
        (n, d) float32, row i of ``ids[i]``.

    Raises
    ------
    DreSlclError
        If the model, the table or the file cannot be used.
    KeyboardInterrupt
        If Ctrl-C ended it; nothing was written.
    """
    with _reporting(on_event) as reporter:
        from napari_dre_slcl.engine.embed_slides import EmbedRequest
        from napari_dre_slcl.engine.embed_slides import embed_slides as embed

        folder = None if features is None else Path(features)
        embed(EmbedRequest(Path(model), Path(cohort), Path(out), folder, device), reporter)
    with open_npz(Path(out)) as written:
        return [str(name) for name in written["ids"]], np.asarray(written["X"])


@contextmanager
def _reporting(on_event: OnEvent | None) -> Iterator[Reporter]:
    """Yield who is told; Ctrl-C that has stopped the work is Python's own again."""
    with engine_needed(), listening(on_event) as (hear, requests):
        from napari_dre_slcl.engine.reporter import Reporter, Stopped

        try:
            yield Reporter(hear, requests.should_stop, requests.should_pause)
        except Stopped:
            raise KeyboardInterrupt("Cancelled; what is finished is kept.") from None
