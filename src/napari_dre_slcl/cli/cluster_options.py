"""Options of the commands that can hand slides out to other processes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from napari_dre_slcl.jobs.cluster_messages import ClusterChoice

__all__ = [
    "PartTiles",
    "Retries",
    "Scheduler",
    "SchedulerFile",
    "Wait",
    "WorkerCount",
    "cluster_choice",
]

Scheduler = Annotated[
    str | None,
    typer.Option(metavar="tcp://HOST:PORT", help="Dask scheduler whose workers do the slides."),
]
SchedulerFile = Annotated[
    Path | None, typer.Option(help="File that the Dask scheduler has written, in its place.")
]
WorkerCount = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Start so many processes on this machine instead."),
]
Wait = Annotated[float, typer.Option(min=1, help="Seconds to wait for a first worker.")]
Retries = Annotated[
    int, typer.Option(min=0, help="Further workers that try a slide which one could not do.")
]
PartTiles = Annotated[
    int, typer.Option(min=1, help="Slides of more tiles are done in parts of so many.")
]


def cluster_choice(
    scheduler: str | None,
    scheduler_file: Path | None,
    workers: int | None,
    wait: float,
    retries: int,
) -> ClusterChoice | None:
    """Return who does the work; None for this process alone.

    Raises
    ------
    typer.BadParameter
        If more than one of the first three is given.
    """
    from napari_dre_slcl.jobs.cluster_messages import ClusterChoice

    given = [value for value in (scheduler, scheduler_file, workers) if value is not None]
    if len(given) > 1:
        raise typer.BadParameter("give one of --scheduler, --scheduler-file and --workers")
    if not given:
        return None
    return ClusterChoice(
        scheduler=scheduler,
        scheduler_file=scheduler_file,
        workers=workers,
        wait_s=wait,
        retries=retries,
    )
