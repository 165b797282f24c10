"""Has a file tried, once, and raises where it did harm; knows kinds, not what they hold."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from napari_dre_slcl import errors
from napari_dre_slcl.forked import restart_after_fork
from napari_dre_slcl.trial.kinds import SLIDE, Kind, kind_of
from napari_dre_slcl.trial.limits import Limits
from napari_dre_slcl.trial.pool import probe_pool
from napari_dre_slcl.trial.process import SWITCH, ProbeEndedError, ProbeStartError
from napari_dre_slcl.trial.proof_book import mark_of, proof_book, size_of

__all__ = ["Subject", "is_on", "prove_file", "start_early", "start_now", "try_once"]

_TRIES = 3


@dataclass(frozen=True, slots=True)
class Subject:
    """What is tried.

    Parameters
    ----------
    kind : Kind
        Who reads it.
    name : str
        As sentences call it.
    place : str
        Absolute path, or URL.
    detail : str
        More for the reader.
    n_bytes : int
        How long it is.
    is_heard : bool
        Whether what the reader complains of is raised here; else that is left to who reads it next.
    """

    kind: Kind
    name: str
    place: str
    detail: str = ""
    n_bytes: int = 0
    is_heard: bool = True


def prove_file(path: Path, kind: Kind, detail: str = "", name: str = "") -> None:
    """Make sure that a file as it is now has been read in a trial.

    Parameters
    ----------
    path : Path
        A local file or folder. What is not there is left to the readers.
    kind : Kind
        Who reads it.
    detail : str
        More for the reader: another text is another trial.
    name : str
        As sentences call it; its own name by default.

    Raises
    ------
    DreSlclError
        Of the kind: if the trial found it to be of another kind, was ended by it, or met a limit;
        or if it does not stop changing.
    """
    if not is_on():
        return
    book = proof_book()
    name = name or path.name
    for _ in range(_TRIES):
        mark = mark_of(path, f"{kind.name}\n{detail}")
        if mark is None or mark in book:
            return
        subject = Subject(kind, name, str(path.absolute()), detail, size_of(path))
        was_tried = try_once(mark, subject)
        if mark_of(path, f"{kind.name}\n{detail}") == mark:
            if was_tried:
                book.add(mark)
            return
    raise kind.error(
        f"{kind.what} '{name}' changes while it is opened; wait until it is written to its end."
    )


def is_on() -> bool:
    """Return whether files are tried: the environment may say that they are not."""
    return os.environ.get(SWITCH, "").strip().lower() not in ("off", "0", "no", "false")


def start_now(kind: Kind = SLIDE) -> None:
    """Start the process for trials: a window will open slides. Returns at once."""
    if is_on():
        with suppress(ProbeStartError):  # told when a file is opened
            probe_pool().start(kind.name)


def start_early(words: Iterable[str | Path]) -> None:
    """Start the process for trials where one of some words names a file that is to be tried.

    Parameters
    ----------
    words : iterable of str or Path
        Such as the arguments of a command; what names no such file is passed over.
    """
    if is_on():
        kinds = filter(None, map(_kind_to_try, words))
        first = next(kinds, None)
        if first is not None:
            start_now(first)


def _kind_to_try(word: str | Path) -> Kind | None:
    path = Path(word)
    try:
        kind = kind_of(path.suffix)
        if path.is_dir():
            is_dicom = any(name.lower().endswith(".dcm") for name in os.listdir(path))
            kind = SLIDE if is_dicom else None
    except (OSError, ValueError):  # an option may be any text
        return None
    mark = None if kind is None else mark_of(path, f"{kind.name}\n")
    return kind if mark is not None and mark not in proof_book() else None


def try_once(mark: str, subject: Subject) -> bool:
    """Try a file, or wait for the trial of it that is under way.

    Returns
    -------
    bool
        Whether there was a trial: a process for it may not be had.

    Raises
    ------
    DreSlclError
        As `prove_file`.
    """
    return _trials.once(mark, subject)


class _Trials:
    """Trials under way: who wants a file that is being tried waits for that trial."""

    def __init__(self) -> None:
        self.restart_in_child()
        restart_after_fork(self)

    def restart_in_child(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, Future[bool]] = {}

    def once(self, mark: str, subject: Subject) -> bool:
        with self._lock:
            running = self._running.get(mark)
            mine: Future[bool] = Future()
            if running is None:
                self._running[mark] = mine
        if running is not None:
            return running.result()
        try:
            mine.set_result(_try(subject))
        except BaseException as error:
            mine.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._running[mark]
        return mine.result()


_trials = _Trials()


def _try(subject: Subject) -> bool:
    kind = subject.kind
    limits = kind.limits(subject.n_bytes)
    try:
        answer = probe_pool().ask(kind.name, subject.place, subject.detail, limits)
    except ProbeStartError as error:
        _warn_once(str(error))
        return False
    except ProbeEndedError as error:
        raise _harmful(subject, limits, error.how) from error
    fault = answer.get("error", "")
    if fault == "MemoryError":
        raise _harmful(subject, limits, "asks for too much memory")
    if fault and fault != "ImportError" and subject.is_heard:
        raise _as_told(kind, fault)(answer.get("text", ""))
    return fault != "ImportError"  # the reader says here what is not installed


def _as_told(kind: Kind, name: str) -> type[errors.DreSlclError]:
    """Return the error that the process named, where it is of the kind: it may have been taken."""
    told = getattr(errors, name, None)
    return told if isinstance(told, type) and issubclass(told, kind.error) else kind.error


def _harmful(subject: Subject, limits: Limits, how: str) -> errors.DreSlclError:
    kind = subject.kind
    return kind.error(
        f"{kind.what} '{subject.name}' {how or 'ends the program that opens it'}, and was opened "
        f"in a trial only (limits: {limits.cpu_s} s of processor time, "
        f"{limits.memory_bytes / 2**30:.3g} GiB of memory). It is damaged or made to do harm; "
        f"{kind.remedy}."
    )


@cache
def _warn_once(reason: str) -> None:
    logging.getLogger("napari_dre_slcl").warning(
        "Files are opened without a trial, since no process for it can be started (%s). A broken "
        "file may end this program; %s=off says that this is known.",
        reason,
        SWITCH,
    )
