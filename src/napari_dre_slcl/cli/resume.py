"""Goes on with a training that was killed, cancelled or stopped by an error."""

from __future__ import annotations

from pathlib import Path

from napari_dre_slcl.cli.jobs import run_to_end
from napari_dre_slcl.cli.tables import print_training
from napari_dre_slcl.jobs.messages import ResumeJob

__all__ = ["resume_run"]


def resume_run(run: Path, devices: int | None, nodes: int | None, *, as_json: bool) -> None:
    """Go on from a run's last checkpoint and print its held-out figures.

    Parameters
    ----------
    run : Path
        Run folder.
    devices, nodes : int or None
        Processes per machine and machines, other than the run had; None keeps its number.
    as_json : bool
        Print events as JSON lines.

    Raises
    ------
    JobError
        If the run cannot go on, with the reason.
    """
    result = run_to_end(ResumeJob(run_dir=run, devices=devices, nodes=nodes), as_json=as_json)
    if not as_json:
        print_training(result)
