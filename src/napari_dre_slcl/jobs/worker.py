"""The engine process: runs a job, prints its events as JSON lines, obeys cancel.

``python -m napari_dre_slcl.jobs.worker JOB.json`` runs one job; ``--serve`` waits for commands on
standard input. torch is imported with the first job (or at once when serving), never with this
module.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.jobs.messages import (
    Cancelled,
    Event,
    Failed,
    Log,
    PredictJob,
    Result,
    TrainJob,
    event_line,
    parse_command,
    parse_job,
)
from napari_dre_slcl.jobs.record import RunRecord

__all__ = ["main", "run_job", "serve", "stop_on_signals"]

EXIT_CODES = {Result: 0, Failed: 1, Cancelled: 130}
_ENGINE_MODULES = ("napari_dre_slcl.engine.train", "napari_dre_slcl.engine.predict")
_STATES: dict[type, str] = {Result: "finished", Failed: "failed", Cancelled: "cancelled"}

OnEvent = Callable[[Event], None]
ShouldStop = Callable[[], bool]
Terminal = Result | Cancelled | Failed


def run_job(spec: TrainJob | PredictJob, on_event: OnEvent, should_stop: ShouldStop) -> Terminal:
    """Run a job to its end, whatever that end is.

    Parameters
    ----------
    spec : TrainJob or PredictJob
        What to do.
    on_event : callable
        Gets every Progress, Metric and Log as it happens, not the terminal event.
    should_stop : callable
        Asked often; True ends the job early. A file named ``cancel`` in the run folder does too.

    Returns
    -------
    Result or Cancelled or Failed
        The terminal event. Errors never leave this function: they come back as `Failed`.
    """
    record = RunRecord(spec.run_dir if isinstance(spec, TrainJob) else None)

    def note(event: Event) -> None:
        record.add(event)
        on_event(event)

    end: Terminal
    try:
        end = _engine_for(spec)(spec, note, lambda: should_stop() or record.is_cancel_requested)
    except DreSlclError as error:
        end = Failed(message=str(error))
    except Exception as error:  # noqa: BLE001 - the engine process must answer whatever happens
        log = record.write_trace(traceback.format_exc())
        end = Failed(
            message=f"The job stopped on an unexpected {type(error).__name__}: {error}. "
            f"The details are in '{log}'."
        )
    with contextlib.suppress(OSError):  # a full disk must not hide how the job has ended
        record.add(end)
        record.close(_STATES[type(end)], getattr(end, "message", ""))
    return end


def _engine_for(spec: TrainJob | PredictJob) -> Callable[..., Result | Cancelled]:
    if isinstance(spec, TrainJob):
        from napari_dre_slcl.engine.train import run_train

        return run_train
    from napari_dre_slcl.engine.predict import run_predict

    return run_predict


@contextlib.contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event for the length of a block; a second one is final.

    Yields
    ------
    threading.Event
        Set once a signal has come; its ``is_set`` serves as ``should_stop``.
    """
    stop = threading.Event()
    previous: dict[signal.Signals, Any] = {}

    def on_signal(number: int, _frame: object) -> None:
        if stop.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        previous[number] = signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


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
    """One job to run, with its own stop flag, so that a cancel never hits the next job."""

    job: Path | None = None
    stop: threading.Event = field(default_factory=threading.Event)


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
                self._last.stop.set()
            if command.command == "quit":
                break
        self.orders.put(_Order())  # end of input: whoever started us is gone; finish, then leave


def serve(commands: TextIO, send: OnEvent, stop: threading.Event) -> int:
    """Run jobs one after the other as commands ask for them.

    Parameters
    ----------
    commands : TextIO
        `Command` lines. At its end the running job goes on to its own end, then this returns.
    send : callable
        Gets every event, each job's terminal event last.
    stop : threading.Event
        Set from outside to cancel what runs and to return.

    Returns
    -------
    int
        Exit code, 0.
    """
    inbox = _Inbox(commands, send)
    with contextlib.suppress(ImportError):  # told by the first job, which needs it
        for name in _ENGINE_MODULES:
            importlib.import_module(name)
    while not stop.is_set():
        try:
            order = inbox.orders.get(timeout=0.5)
        except queue.Empty:
            continue
        if order.job is None:
            break
        send(_run_file(order.job, send, partial(_is_any_set, order.stop, stop)))
    return 0


def _is_any_set(*events: threading.Event) -> bool:
    return any(event.is_set() for event in events)


def _run_file(path: Path, send: OnEvent, should_stop: ShouldStop) -> Terminal:
    try:
        spec = parse_job(path)
    except DreSlclError as error:
        return Failed(message=str(error))
    return run_job(spec, send, should_stop)


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
    events = _EventStream()
    with stop_on_signals() as stop:
        if arguments[0] == "--serve":
            return serve(sys.stdin, events.send, stop)
        end = _run_file(Path(arguments[0]), events.send, stop.is_set)
    events.send(end)
    return EXIT_CODES[type(end)]


if __name__ == "__main__":
    sys.exit(main())
