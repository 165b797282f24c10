"""JobRunner: one warm engine process, whose lines become Qt signals on the main thread.

Knows the wire, not the engine: this process never imports it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from pathlib import Path
from typing import IO, Any, Literal

from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from napari_dre_slcl.atomic_file import write_text
from napari_dre_slcl.errors import DreSlclError, JobError
from napari_dre_slcl.jobs.messages import (
    Cancelled,
    Command,
    Failed,
    Job,
    Progress,
    Result,
    ResumeJob,
    TrainJob,
    event_line,
    parse_event,
)

__all__ = ["JobRunner"]

_POLL_MS = 40
_PATIENCE_S = 5.0
_TAIL_LINES = 3
_PROGRESS_EVERY_S = 0.1
_MOST_S = 0.01
_NICER, _NICEST = 10, 19


class _Child:
    """One engine process and the thread that reads its lines into a queue."""

    def __init__(self, folder: Path, number: int, *, is_background: bool) -> None:
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._complaints = folder / f"engine-{number}.stderr"
        with self._complaints.open("wb") as stderr:
            self.process: subprocess.Popen[str] = subprocess.Popen(
                [sys.executable, "-m", "napari_dre_slcl.jobs.worker", "--serve"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                encoding="utf-8",
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
                **_own_group(is_background),
            )
        if is_background:
            _yield_to_window(self.process.pid)
        self.reader = threading.Thread(
            target=_read_lines,
            args=(self.process.stdout, self.lines),
            name="dre-slcl-events",
            daemon=True,
        )
        self.reader.start()

    def send(self, command: Command) -> None:
        if self.process.stdin is None:
            return
        with contextlib.suppress(OSError):  # a dead process is told by the end of its lines
            self.process.stdin.write(command.model_dump_json() + "\n")
            self.process.stdin.flush()

    def let_go(self) -> None:
        """Close the command line; the process ends after what it is doing."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()

    def stop(self) -> None:
        """End the process and its reader, politely first."""
        self.send(Command(command="quit"))
        self.let_go()
        for end in (self.process.terminate, self.process.kill):
            try:
                self.process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                end()
        self.process.wait(_PATIENCE_S)
        self.reader.join(_PATIENCE_S)

    def last_words(self) -> str:
        try:
            text = self._complaints.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return " / ".join(line.strip() for line in text.strip().splitlines()[-_TAIL_LINES:])


def _own_group(is_background: bool) -> dict[str, Any]:
    """Keep Ctrl-C in napari's terminal away from a running job."""
    if sys.platform == "win32":
        priority = subprocess.BELOW_NORMAL_PRIORITY_CLASS if is_background else 0
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | priority}
    return {"start_new_session": True}


def _yield_to_window(pid: int) -> None:
    """Let the window have the processor first, so that it answers while this process computes."""
    if sys.platform != "win32":
        nice = os.getpriority(os.PRIO_PROCESS, 0) + _NICER
        with contextlib.suppress(OSError):  # it may have ended already
            os.setpriority(os.PRIO_PROCESS, pid, min(_NICEST, nice))


def _read_lines(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(None)


class JobRunner(QObject):
    """Runs one job at a time in the engine process.

    The process starts with the first job and stays for the next ones. Its lines are read by a
    thread and handed over by a timer, so every signal comes on the main thread.

    Parameters
    ----------
    is_background : bool, default False
        The process computes for long and nobody waits for it: it leaves the processor to the
        window where both want it.
    """

    started = Signal(object)
    """The spec."""
    progressed = Signal(object)
    """A Progress, Metric, Snapshot or Log."""
    ended = Signal(object, object)
    """The spec and its terminal event (Result, Cancelled or Failed)."""

    def __init__(self, parent: QObject | None = None, *, is_background: bool = False) -> None:
        super().__init__(parent)
        self._is_background = is_background
        self._folder = Path(tempfile.mkdtemp(prefix="dre-slcl-"))
        self._clean = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._child: _Child | None = None
        self._spec: Job | None = None
        self._n_jobs = 0
        self._n_children = 0
        self._is_closed = False
        self._progress: Progress | None = None
        self._told_at = 0.0
        self.should_keep_job: bool | None = None
        """What `close` does with the running job: True leaves it to its end (the process ends
        itself after it, the run folder has everything), else it is cancelled. Forgotten with the
        next start."""
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._drain)

    @property
    def is_running(self) -> bool:
        """Whether a job runs."""
        return self._spec is not None

    @property
    def spec(self) -> Job | None:
        """The running job."""
        return self._spec

    @property
    def process_id(self) -> int | None:
        """Of the engine process, while there is one."""
        return None if self._child is None else self._child.process.pid

    def start(self, spec: Job) -> None:
        """Start a job.

        Parameters
        ----------
        spec : Job
            What to do.

        Raises
        ------
        JobError
            If another job runs, or this runner is closed.
        """
        if self._is_closed:
            raise JobError("This window's engine is closed. Open the DRE-SLCL dock again.")
        if self._spec is not None:
            raise JobError("A job is running. Wait for its end, or cancel it, then start the next.")
        self._n_jobs += 1
        path = self._folder / f"job-{self._n_jobs}.json"
        write_text(path, event_line(spec))
        child = self._living_child()
        self._spec = spec
        self._progress = None
        self.should_keep_job = None
        child.send(Command(command="run", job=path))
        self._timer.start()
        self.started.emit(spec)

    def get_ready(self) -> None:
        """Start the process before its first job, so that nobody waits for it then."""
        if not self._is_closed:
            self._living_child()

    def _living_child(self) -> _Child:
        if self._child is None or self._child.process.poll() is not None:
            self._n_children += 1
            self._child = _Child(self._folder, self._n_children, is_background=self._is_background)
        return self._child

    def cancel(self) -> None:
        """Ask the running job to stop; its `ended` comes when it has."""
        self._tell("cancel")

    def pause(self) -> None:
        """Ask the running job to hold still; a Progress of the stage "Paused" says when it does."""
        self._tell("pause")

    def go_on(self) -> None:
        """Ask a paused job to go on."""
        self._tell("continue")

    def close(self) -> None:
        """Let go of the engine process, as `should_keep_job` says; later calls do nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        if isalive(self._timer):  # at the end of the interpreter Qt may be gone already
            self._timer.stop()
        child, self._child = self._child, None
        if child is not None and self._spec is not None and self.should_keep_job:
            child.send(Command(command="continue"))  # if it holds still: nobody could tell it later
            child.let_go()
            self._clean.detach()  # it may not have read its job yet
        elif child is not None:
            child.stop()
        self._spec = None
        self._clean()

    def _tell(self, command: Literal["pause", "continue", "cancel"]) -> None:
        if self._child is not None and self._spec is not None:
            self._child.send(Command(command=command))

    def _drain(self) -> None:
        """Hand over what has come, without holding up the window.

        Of Progress in a row only the latest is told, ten times a second at most; a flood of lines
        waits for the next call.
        """
        child = self._child
        begun = time.monotonic()
        while child is not None and self._child is child and not child.lines.empty():
            event = self._event_of(child.lines.get(), child)
            if isinstance(event, Progress):
                self._progress = event
            else:
                self._tell_progress()
                if isinstance(event, (Result, Failed, Cancelled)):
                    self._end(event)
                    return
                self.progressed.emit(event)
            if time.monotonic() - begun > _MOST_S:
                break
        if time.monotonic() - self._told_at >= _PROGRESS_EVERY_S:
            self._tell_progress()

    def _tell_progress(self) -> None:
        event, self._progress = self._progress, None
        if event is not None:
            self._told_at = time.monotonic()
            self.progressed.emit(event)

    def _event_of(self, line: str | None, child: _Child) -> Any:
        if line is not None:
            try:
                return parse_event(line)
            except DreSlclError as error:
                self._child = None
                child.stop()
                return Failed(message=str(error))
        self._child = None
        code = child.process.wait()
        words = child.last_words()
        return Failed(
            message=f"The engine process ended unexpectedly (code {code})"
            + (f": {words}" if words else ".")
            + (
                " Go on with 'Resume a run…'; its last checkpoint is whole."
                if self._has_begun()
                else " Start the job again; a new process is started for it."
            )
        )

    def _has_begun(self) -> bool:
        """Whether the running job is a training with a run folder of its own."""
        if not isinstance(self._spec, (TrainJob, ResumeJob)):
            return False
        return (self._spec.run_dir / "config.toml").is_file()

    def _end(self, event: Result | Failed | Cancelled) -> None:
        spec, self._spec = self._spec, None
        self._timer.stop()
        self.ended.emit(spec, event)
