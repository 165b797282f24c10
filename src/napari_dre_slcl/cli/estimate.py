"""Says what a training would take."""

from __future__ import annotations

from napari_dre_slcl.cli.console import lines, say
from napari_dre_slcl.cli.jobs import run_to_end
from napari_dre_slcl.engine.estimate_text import estimate_text
from napari_dre_slcl.jobs.messages import EstimateJob, TrainJob

__all__ = ["estimate_training"]


def estimate_training(job: TrainJob, *, as_json: bool) -> None:
    """Probe this machine and print time, memory and disk; nothing is trained or written.

    Parameters
    ----------
    job : TrainJob
        The training that is meant.
    as_json : bool
        Print events as JSON lines.

    Raises
    ------
    JobError
        If it could not be started, or would not fit.
    """
    request = EstimateJob(
        cohort=job.cohort,
        run_dir=job.run_dir,
        preset=job.preset,
        overrides=job.overrides,
        pseudonymize=job.pseudonymize,
        pseudonym_key=job.pseudonym_key,
    )
    result = run_to_end(request, as_json=as_json)
    if not as_json:
        say(lines(estimate_text(result.metrics).splitlines()))
