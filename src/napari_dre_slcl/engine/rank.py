"""A process of a training that is not the first: it follows, and leaves speaking to that one.

``python -m napari_dre_slcl.engine.rank JOB.json`` is started by `engine.children`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from napari_dre_slcl.engine.launch import ToldElsewhere
from napari_dre_slcl.engine.train import run_resume, run_train
from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.jobs.messages import ResumeJob, TrainJob, parse_job

__all__ = ["follow", "main"]


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
    leave_signals_to_the_first()
    run = run_train if isinstance(job, TrainJob) else run_resume
    try:
        run(job, lambda _event: None, lambda: False)  # type: ignore[operator]
    except ToldElsewhere:
        return 1
    except DreSlclError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def leave_signals_to_the_first() -> None:
    """Ctrl-C and a cluster's signals reach all processes; one alone decides what they mean."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


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
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
