"""A training that has ended well: what it leaves, and one that was broken off in saying so."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from napari_dre_slcl.engine.best_weights import BEST
from napari_dre_slcl.engine.checkpoint import CHECKPOINTS
from napari_dre_slcl.engine.checkpoint_files import remove_checkpoints
from napari_dre_slcl.engine.dre_slcl_run import BANK
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.messages import Result
from napari_dre_slcl.jobs.run_status import read_status
from napari_dre_slcl.untrusted import read_json

__all__ = ["end_again", "end_well", "has_ended", "has_said_so"]

_METRICS = "metrics.json"


def has_ended(run_dir: Path) -> bool:
    """Return whether all is there that a run leaves; one that has a checkpoint too ends again."""
    return (run_dir / _METRICS).exists()


def has_said_so(run_dir: Path) -> bool:
    """Return whether a run that has ended well has noted so; its last files are gone by then."""
    return read_status(run_dir).state in ("finished", "unknown")  # who calls the engine has no note


def end_well(
    run_dir: Path, metrics: dict[str, float], skipped: Mapping[str, str], reporter: Reporter
) -> Result:
    """Delete what only a run needs that goes on, and return what is told at the end.

    Checkpoints are deleted last: a killed run ends again.

    Parameters
    ----------
    run_dir : Path
        Its folder.
    metrics : dict
        Figures of the test slides by name.
    skipped : mapping
        Slides that were left out, each with the reason.
    reporter : Reporter
        Knows the first process, which deletes.
    """

    def delete() -> None:
        for name in (BANK, BEST):
            shutil.rmtree(run_dir / name, ignore_errors=True)
        remove_checkpoints(run_dir / CHECKPOINTS)

    reporter.by_main(delete)
    paths = {
        "run": run_dir,
        "model": run_dir / "model",
        "metrics": run_dir / _METRICS,
        "predictions": run_dir / "predictions.csv",
        "vectors": run_dir / "vectors.npz",
    }
    return Result(kind="train", paths=paths, metrics=metrics, skipped=dict(skipped))


def end_again(run_dir: Path, left_out: Mapping[str, str], reporter: Reporter) -> Result:
    """Do what a run had left to do that was broken off when all its files were written.

    Parameters
    ----------
    run_dir : Path
        Its folder.
    left_out : mapping
        Slides that were left out at its start, each with the reason.
    reporter : Reporter
        Told so.

    Raises
    ------
    JobError
        If its figures cannot be read.
    """
    figures = _held_out_figures(run_dir)
    reporter.log(f"The run '{run_dir}' had ended well when it was broken off.")
    return end_well(run_dir, figures, left_out, reporter)


def _held_out_figures(run_dir: Path) -> dict[str, float]:
    """Return the figures of the test slides of a run that has ended well.

    Raises
    ------
    JobError
        If its file is damaged.
    """
    try:
        found = read_json(run_dir / _METRICS)
        figures = {str(name): value for name, value in found.items() if name.startswith("test/")}
    except (OSError, ValueError, AttributeError) as error:
        raise JobError(
            f"The figures of the run '{run_dir}' cannot be read from {_METRICS} "
            f"({str(error)[:200]}). Bring the file back as it was, or start a new run."
        ) from error
    return {name: value for name, value in figures.items() if isinstance(value, float)}
