"""Where a run that was broken off stands, and whether it can go on from there."""

from __future__ import annotations

from pathlib import Path

import torch

from napari_dre_slcl._version import __version__
from napari_dre_slcl.engine.checkpoint import read_state
from napari_dre_slcl.engine.ended_run import has_ended, has_said_so
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.run_folder import environment
from napari_dre_slcl.engine.run_identity import check_files
from napari_dre_slcl.engine.run_state import RunState
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.messages import TrainJob

__all__ = ["say_where", "state_to_go_on"]


def state_to_go_on(run_dir: Path, started: TrainJob) -> RunState | None:
    """Return where a run stands; None where it begins anew, or has all but said that it has ended.

    Raises
    ------
    JobError
        If it has ended well, or does not fit its checkpoint any more.
    """
    state = read_state(run_dir)
    if state is None and has_ended(run_dir) and has_said_so(run_dir):
        raise JobError(f"The run '{run_dir}' has ended well; there is nothing to do.")
    if state is not None and state.identity is not None:
        check_files(state.identity, run_dir, started.cohort)
    return state


def say_where(state: RunState | None, run_dir: Path, reporter: Reporter) -> None:
    """Tell from where a run goes on, and what may make its results differ."""
    if state is None:
        reporter.log(f"The run '{run_dir}' has no checkpoint yet and begins anew.")
        return
    reporter.log(f"The run '{run_dir}' goes on after step {state.step:,}, in epoch {state.epoch}.")
    threads = str(torch.get_num_threads())
    if (before := environment(run_dir).get("processor_threads", threads)) != threads:
        reporter.log(
            f"It was started with {before} processor threads and goes on with {threads}: results "
            f"may differ in their last digits. Set OMP_NUM_THREADS={before} for the same ones.",
            "warning",
        )
    if state.version != __version__:
        reporter.log(
            f"It was started with version {state.version} of this package and goes on with "
            f"{__version__}: results may differ in their last digits.",
            "warning",
        )
