"""What a run folder remembers of its job: events.jsonl, status.json and log.txt.

Writes only into a folder that the engine has made for this job, or that this job goes on with;
never into one of another.
"""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel

from napari_dre_slcl.atomic_file import append_lines, cut_half_line, scratch_file, write_json
from napari_dre_slcl.jobs.messages import PAUSED_STAGE, Log, Progress, event_line
from napari_dre_slcl.jobs.requests import CANCEL_FILE, PAUSE_FILE
from napari_dre_slcl.jobs.throttle import ProgressThrottle
from napari_dre_slcl.locks.lock_file import RUN_LOCK, who_holds

__all__ = ["RunRecord"]

_EVENTS = "events.jsonl"
_LOG = "log.txt"
_RESUMABLE_STATES = ("running", "paused", "failed", "cancelled")


class RunRecord:
    """Follow one job in its run folder.

    The engine makes the folder once the job has proved to be sound, or goes on with one once the
    run is its own. Until `begin` events wait here, so that a refused job leaves nothing behind, and
    a folder that another job uses stays untouched.

    Parameters
    ----------
    run_dir : Path or None
        The run folder; None for jobs without one.
    """

    def __init__(self, run_dir: Path | None) -> None:
        self._run_dir = run_dir
        self._is_begun = False
        self._started = _now()
        self._waiting: list[BaseModel] = []
        self._throttle = ProgressThrottle()
        self._stage = ""
        self._state = ""

    @property
    def is_open(self) -> bool:
        """Whether the run folder exists and belongs to this job."""
        return self._is_begun and self._run_dir is not None and self._run_dir.is_dir()

    def begin(self) -> None:
        """Write from here on; requests to an earlier job on this folder are forgotten."""
        if self._run_dir is None:
            return
        self._is_begun = True
        _forget_requests(self._run_dir)
        for name in (_EVENTS, _LOG):
            cut_half_line(self._run_dir / name)

    def add(self, event: BaseModel) -> None:
        """Note one event; of Progress in quick succession only some.

        Parameters
        ----------
        event : BaseModel
            Any event of the wire.

        Raises
        ------
        OSError
            If the run folder cannot be written.
        """
        if self._run_dir is None:
            return
        self._waiting += self._throttle.pass_on(event)
        if not self.is_open:
            return
        self._note_state(event)
        if not self._waiting:
            return
        append_lines(self._run_dir / _EVENTS, map(event_line, self._waiting))
        lines = [line for waiting in self._waiting if (line := self._log_line(waiting))]
        self._waiting.clear()
        self._append_log(lines)

    def close(self, state: str, message: str) -> None:
        """Note how the job has ended.

        Parameters
        ----------
        state : str
            ``finished``, ``failed`` or ``cancelled``.
        message : str
            The last sentence.
        """
        if self.is_open and not self._is_taken_over():
            self._append_log([f"{_now()} {state}: {message}" if message else f"{_now()} {state}"])
            self._write_status(state, message, finished=_now())
            if self._run_dir is not None:
                _forget_requests(self._run_dir)

    def write_trace(self, text: str) -> Path:
        """Keep a traceback and return the file that holds it.

        Parameters
        ----------
        text : str
            The traceback.

        Returns
        -------
        Path
            log.txt of the run folder, or a temporary file where there is no run folder.
        """
        if self._run_dir is not None and self.is_open:
            self._append_log([f"{_now()} unexpected error", text])
            return self._run_dir / _LOG
        return scratch_file(text, ".log")

    def _is_taken_over(self) -> bool:
        """Whether another process works on the folder by now, whose status is not to be touched."""
        holder = None if self._run_dir is None else who_holds(self._run_dir / RUN_LOCK)
        return holder is not None and not (holder.is_here and holder.pid == os.getpid())

    def _append_log(self, lines: list[str]) -> None:
        if self._run_dir is not None and lines:
            append_lines(self._run_dir / _LOG, lines)

    def _log_line(self, event: BaseModel) -> str:
        if isinstance(event, Log):
            return f"{_now()} {event.level}: {event.message}"
        if isinstance(event, Progress) and event.stage != self._stage:
            self._stage = event.stage
            return f"{_now()} {event.stage}"
        return ""

    def _note_state(self, event: BaseModel) -> None:
        state = self._state or "running"
        if isinstance(event, Progress):
            state = "paused" if event.stage == PAUSED_STAGE else "running"
        if state != self._state:
            message = event.message if isinstance(event, Progress) and state == "paused" else ""
            self._write_status(state, message, finished=None)

    def _write_status(self, state: str, message: str, finished: str | None) -> None:
        if self._run_dir is None:
            return
        self._state = state
        # A training that has no checkpoint yet is begun anew by a resume.
        has_begun = (self._run_dir / "config.toml").is_file()
        status = {
            "state": state,
            "is_resumable": has_begun and state in _RESUMABLE_STATES,
            "pid": os.getpid(),
            "host": platform.node(),
            "started": self._started,
            "finished": finished,
            "message": message,
        }
        write_json(self._run_dir / "status.json", status)


def _forget_requests(run_dir: Path) -> None:
    """Take away request files, so that they do not meet the next job on this folder."""
    for name in (CANCEL_FILE, PAUSE_FILE):
        (run_dir / name).unlink(missing_ok=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
