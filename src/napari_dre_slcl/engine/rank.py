"""A process of a training that is not the first: it follows, and leaves speaking to that one.

``python -m napari_dre_slcl.engine.rank JOB.json`` is started by `engine.children`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from napari_dre_slcl.config import load_preset, with_overrides
from napari_dre_slcl.engine.introduction import ToldElsewhere, excused
from napari_dre_slcl.engine.placement import given_place, rank_given
from napari_dre_slcl.engine.run_folder import read_run_dir
from napari_dre_slcl.engine.train import run_resume, run_train
from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.jobs.messages import ResumeJob, TrainJob, parse_job

__all__ = ["follow", "is_follower", "main"]

_LINE_FIRST_S = 2.0
"""Where there is a line to the first process already, its end is told before this process ends."""


def follow(job: TrainJob | ResumeJob) -> int:
    """Take part in a training to its end.

    Parameters
    ----------
    job : TrainJob or ResumeJob
        The same in all processes.

    Returns
    -------
    int
        0 when it ended well or the user ended it, 1 when it failed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the first process
    try:
        if isinstance(job, TrainJob):
            run_train(job, lambda _event: None, lambda: False)
        else:
            run_resume(job, lambda _event: None, lambda: False)
    except ToldElsewhere:
        return 1
    except DreSlclError as error:
        if not excused(str(error)) and _should_speak():
            sys.stderr.write(f"Error: {error}\n")
        return 1
    return 0


def is_follower(job: TrainJob | ResumeJob) -> bool:
    """Return whether this process takes part in a job whose first process is another.

    Parameters
    ----------
    job : TrainJob or ResumeJob
        A variable ``NODE_RANK`` counts if it is on several machines.
    """
    if given_place() is not None or rank_given() == 0:
        return rank_given() > 0
    if isinstance(job, ResumeJob):
        nodes = job.nodes or read_run_dir(job.run_dir)[1].training.nodes
    else:
        nodes = with_overrides(load_preset(job.preset), job.overrides).training.nodes
    return nodes > 1


def _should_speak() -> bool:
    """Whether this process is one of those that speak where the first one cannot be reached."""
    place = given_place()
    return place is None or place.rank == 1 or place.local_rank == 0


def main(argv: list[str] | None = None) -> int:
    """Run the job of a file.

    Parameters
    ----------
    argv : list of str, optional
        The file; the process's own arguments by default.

    Returns
    -------
    int
        As of `follow`.
    """
    (path,) = sys.argv[1:] if argv is None else argv
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    job = parse_job(Path(path))
    assert isinstance(job, TrainJob | ResumeJob)
    return follow(job)


def _end_with_the_parent() -> None:
    """Wait for the end of standard input, which the parent holds as long as it lives."""
    while os.read(0, 1):
        pass
    time.sleep(_LINE_FIRST_S)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
