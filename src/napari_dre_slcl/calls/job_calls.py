"""Train, go on, predict many slides, make a cohort searchable: one call per job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_dre_slcl.calls.listening import OnEvent, listening
from napari_dre_slcl.engine_extra import engine_needed
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.insight.tile_index import TileIndex
from napari_dre_slcl.jobs.messages import (
    Cancelled,
    Failed,
    IndexJob,
    Job,
    PredictJob,
    Result,
    ResumeJob,
    TrainJob,
)

__all__ = ["predict_slides", "resume", "run_job", "search_index", "train"]

_Name = str | Path


def run_job(job: Job, on_event: OnEvent | None = None) -> Result:
    """Run any job of `napari_dre_slcl.jobs.messages` in this process, as the window's engine does.

    Parameters
    ----------
    job : Job
        Such as ``EstimateJob(cohort=..., run_dir=...)``.
    on_event : callable, optional
        Gets its events; without it, warnings become Python warnings and progress is not told.

    Returns
    -------
    Result
        ``paths`` names what was written, ``metrics`` what was found, ``skipped`` what was left out.

    Raises
    ------
    JobError
        If it fails; the text is the engine's sentence.
    KeyboardInterrupt
        If Ctrl-C ended it; the text says how to go on.
    """
    from napari_dre_slcl.jobs import worker

    with engine_needed(), listening(on_event) as (hear, requests):
        end = worker.run_job(job, hear, requests)
    if isinstance(end, Failed):
        raise JobError(end.message)
    if isinstance(end, Cancelled):
        raise KeyboardInterrupt(end.message)
    return end


def train(
    cohort: _Name,
    run_dir: _Name,
    preset: str = "default",
    settings: Mapping[str, Any] | None = None,
    on_event: OnEvent | None = None,
) -> Result:
    """Train a model on a cohort and test it on held-out patients, as ``dre-slcl train`` does.

    Parameters
    ----------
    cohort : str or Path
        Cohort table.
    run_dir : str or Path
        Run folder to make; the window finds it among its runs.
    preset : str
        What the settings start from; ``cpu-small`` for a few slides without a GPU.
    settings : mapping, optional
        Changed settings by dotted name, such as ``{"training.epochs": 3}``, and ``method``.
    on_event : callable, optional
        As of `run_job`.

    Returns
    -------
    Result
        ``paths`` has ``run``, ``model``, ``metrics``, ``predictions`` and ``vectors``; ``metrics``
        has ``test/auc/<task>``.

    Raises
    ------
    JobError, KeyboardInterrupt
        As `run_job`. What is wrong with the cohort or the settings is said before a folder is made.
    """
    job = TrainJob(
        cohort=Path(cohort), run_dir=Path(run_dir), preset=preset, overrides=dict(settings or {})
    )
    return run_job(job, on_event)


def resume(run_dir: _Name, on_event: OnEvent | None = None) -> Result:
    """Go on with a training that was broken off; as `train` returns and raises.

    Parameters
    ----------
    run_dir : str or Path
        Its run folder.
    on_event : callable, optional
        As of `run_job`.

    Returns
    -------
    Result
        As of `train`.
    """
    return run_job(ResumeJob(run_dir=Path(run_dir)), on_event)


def predict_slides(
    model: _Name,
    out: _Name,
    slides: Sequence[_Name] = (),
    cohort: _Name | None = None,
    device: str = "auto",
    on_event: OnEvent | None = None,
) -> Result:
    """Predict many slides and write a result file for each; `predict` does one without a file.

    Parameters
    ----------
    model : str or Path
        Model folder, or a run folder that holds one.
    out : str or Path
        Folder for the result files, which `load_result` reads.
    slides : sequence of str or Path
        Slide files, DICOM folders or, for a model of such, feature files.
    cohort : str or Path, optional
        Cohort table in their place; results that are there are kept.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    on_event : callable, optional
        As of `run_job`.

    Returns
    -------
    Result
        ``paths`` has the result file of each slide, ``skipped`` the reason where there is none.

    Raises
    ------
    JobError, KeyboardInterrupt
        As `run_job`; one broken slide of many is left out instead.
    """
    job = PredictJob(
        model=Path(model),
        out=Path(out),
        slides=tuple(Path(slide) for slide in slides),
        cohort=None if cohort is None else Path(cohort),
        device=device,
    )
    return run_job(job, on_event)


def search_index(
    model: _Name,
    cohort: _Name,
    out: _Name,
    features: _Name | None = None,
    device: str = "auto",
    on_event: OnEvent | None = None,
) -> TileIndex:
    """Make the tiles and slides of a cohort searchable, as ``dre-slcl index`` does, and open that.

    Parameters
    ----------
    model : str or Path
        Model folder, or a run folder that holds one.
    cohort : str or Path
        Cohort table.
    out : str or Path
        Folder of the index; what is there of the same model is kept. `TileIndex.open` opens it
        again.
    features : str or Path, optional
        Folder of feature files, for a model of such.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    on_event : callable, optional
        As of `run_job`.

    Returns
    -------
    TileIndex
        For `nearest_tiles` and `nearest_slides`.

    Raises
    ------
    JobError, KeyboardInterrupt
        As `run_job`.
    """
    job = IndexJob(
        model=Path(model),
        cohort=Path(cohort),
        out=Path(out),
        features=None if features is None else Path(features),
        device=device,
    )
    run_job(job, on_event)
    return TileIndex.open(Path(out))
