"""The engine process: runs a job, prints its events as JSON lines, obeys pause and cancel.

``python -m napari_dre_slcl.jobs.worker JOB.json`` runs one job; ``--serve`` waits for commands on
standard input. torch is imported with the first job (or at once when serving), never with this
module.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import queue
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO, TypeVar

from napari_dre_slcl.atomic_file import DISK_ERRORS
from napari_dre_slcl.crash import crash_sentence, crash_trace
from napari_dre_slcl.engine.placement import rank_given
from napari_dre_slcl.engine_extra import engine_needed
from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.jobs.known_runs import remember_run
from napari_dre_slcl.jobs.messages import (
    AskJob,
    Cancelled,
    EmbedJob,
    EstimateJob,
    Event,
    Failed,
    IndexJob,
    Job,
    Log,
    PredictJob,
    Result,
    ResumeJob,
    TrainJob,
    WhatIfJob,
    event_line,
    parse_command,
    parse_job,
)
from napari_dre_slcl.jobs.record import RunRecord
from napari_dre_slcl.jobs.requests import Requests, obey_signals

__all__ = ["main", "run_job", "serve", "under_pseudonyms"]

EXIT_CODES = {Result: 0, Failed: 1, Cancelled: 130}
_ENGINE_MODULES = ("napari_dre_slcl.engine.train", "napari_dre_slcl.engine.predict")
_STATES: dict[type, str] = {Result: "finished", Failed: "failed", Cancelled: "cancelled"}

OnEvent = Callable[[Event], None]
Terminal = Result | Cancelled | Failed
AnyJob = TypeVar("AnyJob", bound=Job)


def run_job(spec: Job, on_event: OnEvent, requests: Requests | None = None) -> Terminal:
    """Run a job to its end, whatever that end is.

    Parameters
    ----------
    spec : Job
        What to do.
    on_event : callable
        Gets every Progress, Metric, Snapshot and Log as it happens, not the terminal event.
    requests : Requests, optional
        Asked often whether to pause or to end early. Files named ``pause`` and ``cancel`` in the
        run folder count as well.

    Returns
    -------
    Result or Cancelled or Failed
        The terminal event. Errors never leave this function: they come back as `Failed`.
    """
    run_dir = spec.run_dir if isinstance(spec, TrainJob | ResumeJob) else None
    record = RunRecord(run_dir)
    requests = requests or Requests()

    def note(event: Event) -> None:
        record.add(event)
        if isinstance(event, Failed):  # the last word of a process that cannot come back
            record.close(_STATES[Failed], event.message)
        on_event(event)

    def begin() -> None:
        record.begin()
        requests.watch(run_dir)
        if run_dir is not None:
            remember_run(run_dir)

    end: Terminal
    try:
        with engine_needed():
            end = _run(under_pseudonyms(spec), note, requests, begin)
    except DreSlclError as error:
        end = Failed(message=str(error))
    except OSError as error:
        end = _of_disk(error) if error.errno in DISK_ERRORS else _unexpected(error, record)
    except Exception as error:  # noqa: BLE001 - the engine process must answer whatever happens
        end = _unexpected(error, record)
    # A full disk must not hide how the job has ended; there may be room for the status alone.
    with contextlib.suppress(OSError):
        record.add(end)
    with contextlib.suppress(OSError):
        record.close(_STATES[type(end)], getattr(end, "message", ""))
    return end


def under_pseudonyms(spec: AnyJob) -> AnyJob:
    """Return the job without names, where it asks for that; raises as `private_job`."""
    if not getattr(spec, "pseudonymize", False):
        return spec
    from napari_dre_slcl.jobs.private_job import private_job

    return private_job(spec)


def _of_disk(error: OSError) -> Failed:
    what = f"'{error.filename}'" if error.filename is not None else "A file"
    return Failed(
        message=f"{what} cannot be used: {error.strerror}. What is finished is kept: once that is "
        "mended, start the same again."
    )


def _unexpected(error: Exception, record: RunRecord) -> Failed:
    """Say what has happened, and keep the traceback where it can be found."""
    trace = record.write_trace(crash_trace(error))
    return Failed(
        message=f"The job stopped on an unexpected {crash_sentence(error)}. "
        f"The details are in '{trace}'."
    )


def _run(
    spec: Job, note: OnEvent, requests: Requests, begin: Callable[[], None]
) -> Result | Cancelled:
    if isinstance(spec, PredictJob):
        from napari_dre_slcl.engine.predict import run_predict

        return run_predict(spec, note, requests.should_stop)
    if isinstance(spec, EmbedJob):
        from napari_dre_slcl.engine.embed_cohort import run_embed

        return run_embed(spec, note, requests.should_stop)
    if isinstance(spec, IndexJob):
        from napari_dre_slcl.engine.build_index import run_index

        return run_index(spec, note, requests.should_stop)
    if isinstance(spec, WhatIfJob):
        from napari_dre_slcl.engine.what_if import run_what_if

        return run_what_if(spec, note, requests.should_stop)
    if isinstance(spec, AskJob):
        from napari_dre_slcl.engine.ask import run_ask

        return run_ask(spec, note, requests.should_stop)
    if isinstance(spec, EstimateJob):
        from napari_dre_slcl.engine.estimate_run import run_estimate

        return run_estimate(spec, note, requests.should_stop)
    from napari_dre_slcl.engine.train import run_resume, run_train

    if isinstance(spec, ResumeJob):
        return run_resume(spec, note, requests.should_stop, requests.should_pause, begin)
    return run_train(spec, note, requests.should_stop, requests.should_pause, begin)


class _EventStream:
    """Standard output, kept for event lines alone.

    Prints of libraries go to standard error from here on. When nobody reads any more, lines are
    dropped and the job goes on: the run folder has them.
    """

    def __init__(self) -> None:
        sys.stdout.flush()
        self._lock = threading.Lock()
        self._stream: TextIO | None = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def send(self, event: Event) -> None:
        with self._lock:
            if self._stream is None:
                return
            try:
                self._stream.write(event_line(event) + "\n")
                self._stream.flush()
            except OSError:
                self._stream = None


@dataclass(slots=True)
class _Order:
    """One job to run, with its own requests, so that a cancel never hits the next job."""

    job: Path | None = None
    requests: Requests = field(default_factory=Requests)


class _Inbox:
    """Reads commands in a thread, so that a cancel arrives while a job runs."""

    def __init__(self, stream: TextIO, send: OnEvent) -> None:
        self._stream = stream
        self._send = send
        self._last = _Order()
        self.orders: queue.SimpleQueue[_Order] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="dre-slcl-commands", daemon=True).start()

    def _read(self) -> None:
        for line in self._stream:
            try:
                command = parse_command(line)
            except DreSlclError as error:
                self._send(Log(level="warning", message=str(error)))
                continue
            if command.command == "run":
                self._last = _Order(command.job)
                self.orders.put(self._last)
            else:
                _ask(self._last.requests, command.command)
            if command.command == "quit":
                break
        self._last.requests.leave_alone()
        self.orders.put(_Order())  # end of input: whoever started us is gone; finish, then leave


def _ask(requests: Requests, command: str) -> None:
    wishes = {"pause": requests.pause, "continue": requests.go_on}
    wishes.get(command, requests.stop)()


def serve(commands: TextIO, send: OnEvent) -> int:
    """Run jobs one after the other as commands ask for them.

    Signals go to the job that runs; one that asks to stop ends the process after it.

    Parameters
    ----------
    commands : TextIO
        `Command` lines. At its end the running job goes on to its own end, then this returns; a job
        that was told to hold still ends there, with a checkpoint.
    send : callable
        Gets every event, each job's terminal event last.

    Returns
    -------
    int
        Exit code, 0.
    """
    inbox = _Inbox(commands, send)
    with contextlib.suppress(ImportError):  # told by the first job, which needs it
        for name in _ENGINE_MODULES:
            importlib.import_module(name)
    idle = Requests()
    with obey_signals(idle):
        while not idle.should_stop():
            try:
                order = inbox.orders.get(timeout=0.5)
            except queue.Empty:
                continue
            if order.job is None:
                break
            with obey_signals(order.requests, idle):
                send(_run_file(order.job, send, order.requests))
    return 0


def _run_file(path: Path, send: OnEvent, requests: Requests) -> Terminal:
    try:
        spec = parse_job(path)
    except DreSlclError as error:
        return Failed(message=str(error))
    return run_job(spec, send, requests)


def _follow(path: Path) -> int | None:
    """Take part in a training whose first process speaks; None where this one is the first."""
    if rank_given() == 0:
        return None
    spec = parse_job(path)
    if not isinstance(spec, TrainJob | ResumeJob):
        return None
    from napari_dre_slcl.engine.rank import follow, is_follower

    return follow(under_pseudonyms(spec)) if is_follower(spec) else None


def main(argv: list[str] | None = None) -> int:
    """Run one job file, or serve.

    Parameters
    ----------
    argv : list of str, optional
        ``[JOB.json]`` or ``["--serve"]``; the process's own arguments by default.

    Returns
    -------
    int
        0 when the job ended well, 1 when it failed, 130 when it was cancelled, 2 for bad usage.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m napari_dre_slcl.jobs.worker (JOB.json | --serve)\n")
        return 2
    if (code := _follow(Path(arguments[0]))) is not None:
        return code
    events = _EventStream()
    if arguments[0] == "--serve":
        return serve(sys.stdin, events.send)
    requests = Requests()
    with obey_signals(requests):
        end = _run_file(Path(arguments[0]), events.send, requests)
    events.send(end)
    return EXIT_CODES[type(end)]


if __name__ == "__main__":
    sys.exit(main())
