"""Runs one job in this process to its end; Ctrl-C cancels, SIGUSR1 pauses, SIGUSR2 goes on."""

from __future__ import annotations

from collections.abc import Iterable

import typer

from napari_dre_slcl.cli.console import status
from napari_dre_slcl.cli.progress import show_events
from napari_dre_slcl.engine.placement import rank_given
from napari_dre_slcl.errors import ConfigError, JobError
from napari_dre_slcl.jobs.messages import Cancelled, Failed, Job, Result, ResumeJob, TrainJob

__all__ = ["CANCELLED", "parse_overrides", "run_to_end"]

CANCELLED = 130


def parse_overrides(pairs: Iterable[str]) -> dict[str, str]:
    """Return ``key=value`` pairs as a mapping.

    Raises
    ------
    ConfigError
        If a pair has no equals sign or no name.
    """
    overrides = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name.strip():
            raise ConfigError(f"--set '{pair}' is no KEY=VALUE. Write --set training.epochs=10.")
        overrides[name.strip()] = value
    return overrides


def run_to_end(job: Job, as_json: bool) -> Result:
    """Run a job and show its events.

    Parameters
    ----------
    job : Job
        What to run.
    as_json : bool
        Print events, the terminal one too, as JSON lines.

    Raises
    ------
    JobError
        If the job fails; the text is the engine's sentence.
    typer.Exit
        With code 130 where the user cancelled it; at the end of any process of a training but the
        first, which shows what there is to see.
    """
    from napari_dre_slcl.jobs.requests import Requests, obey_signals
    from napari_dre_slcl.jobs.worker import run_job, under_pseudonyms

    if isinstance(job, TrainJob | ResumeJob) and rank_given() > 0:
        from napari_dre_slcl.engine.rank import follow, is_follower

        if is_follower(job):
            raise typer.Exit(follow(under_pseudonyms(job)))
    requests = Requests()
    with show_events(as_json) as on_event, obey_signals(requests):
        end = run_job(job, on_event, requests)
        if as_json:
            on_event(end)
    if isinstance(end, Cancelled):
        status().print(end.message, soft_wrap=True)
        raise typer.Exit(CANCELLED)
    if isinstance(end, Failed):
        raise JobError(end.message)
    for slide, reason in end.skipped.items():
        status().print(f"Left out {slide}: {reason}", soft_wrap=True)
    return end
