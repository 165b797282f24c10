"""The estimate job: what a training would take, from a probe of this machine; nothing is kept."""

from __future__ import annotations

from napari_dre_slcl.config import DreSlclConfig, load_preset, with_overrides
from napari_dre_slcl.engine.reporter import OnEvent, Reporter, ShouldStop, Stopped
from napari_dre_slcl.engine.run_folder import check_run_dir, with_absolute_paths
from napari_dre_slcl.engine.train import ready_run
from napari_dre_slcl.jobs.messages import Cancelled, EstimateJob, Result, TrainJob

__all__ = ["run_estimate"]


def run_estimate(
    job: EstimateJob, on_event: OnEvent, should_stop: ShouldStop
) -> Result | Cancelled:
    """Open a cohort, build the network and probe some tiles and a step, as a training begins.

    Parameters
    ----------
    job : EstimateJob
        Cohort table, run folder, preset and changed settings.
    on_event : callable
        Gets Progress, and Log events with the sentences.
    should_stop : callable
        True once the user wants the job to end.

    Returns
    -------
    Result or Cancelled
        ``Result.metrics`` as `preflight` names them.

    Raises
    ------
    DreSlclError
        If the training could not be started, or would not fit on this machine.
    """
    reporter = Reporter(on_event, should_stop)
    config = with_absolute_paths(with_overrides(load_preset(job.preset), job.overrides))
    check_run_dir(job.run_dir)
    train = TrainJob(
        cohort=job.cohort, run_dir=job.run_dir, preset=job.preset, overrides=job.overrides
    )
    try:
        with ready_run(train, config, reporter) as (_, run):
            figures = run.estimate(job.run_dir)
            _say_how_many(config, reporter)
    except Stopped:
        return Cancelled()
    return Result(kind="estimate", paths={}, metrics=figures)


def _say_how_many(config: DreSlclConfig, reporter: Reporter) -> None:
    """Say that one process was tried, where several will share the work."""
    n_processes = config.training.devices * config.training.nodes
    if n_processes > 1:
        reporter.log(
            f"One process was tried; {n_processes} share the slides, so each takes less. 'dre-slcl "
            "plan' says what that saves, part by part."
        )
