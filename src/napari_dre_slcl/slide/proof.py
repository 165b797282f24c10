"""A slide is opened here only after it was opened elsewhere: in a process that it may end.

Formats are read by libraries in C, and a file that is damaged or made to do harm may end the
process, hang it, or take all memory. So a file that is new is first tried in a small process with
limits (`slide.probe_process`), once; `slide.proof_book` remembers it until it changes.

Light to import: a command starts the process before it imports the readers.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from napari_dre_slcl import errors
from napari_dre_slcl.slide.forked import restart_after_fork
from napari_dre_slcl.slide.probe_limits import CPU_S, MEMORY_BYTES
from napari_dre_slcl.slide.probe_pool import probe_pool
from napari_dre_slcl.slide.probe_process import SWITCH, ProbeEndedError, ProbeStartError
from napari_dre_slcl.slide.proof_book import mark_of, proof_book
from napari_dre_slcl.slide.urls import is_remote, remote_name, url_of

__all__ = ["prove", "prove_ahead", "prove_remote", "start_early", "start_now"]

_TRIES = 3
_SUFFIXES = (".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".svslide", ".bif", ".dcm")
_OF_FEATURES = (".h5", ".hdf5")
_KINDS = {"DamagedSlideError": errors.DamagedSlideError}


def prove(path: Path, image: str | None = None) -> None:
    """Make sure that a slide as it is now has been opened in a trial.

    Parameters
    ----------
    path : Path
        A local file, or the folder of a DICOM slide. What is not there is left to the readers.
    image : str, optional
        The associated image that is to be read; else the pyramid.

    Raises
    ------
    SlideError
        If the trial found it to be no slide, was ended by it, or met a limit; or if it does not
        stop changing.
    """
    if not _is_on():
        return
    book = proof_book()
    for _ in range(_TRIES):
        mark = mark_of(path, image or "")
        if mark is None or mark in book:
            return
        _trials.once(mark, path, image)
        if mark_of(path, image or "") == mark:
            book.add(mark)
            return
    raise errors.SlideError(
        f"Slide '{path.name}' changes while it is opened; wait until it is written to its end."
    )


def prove_remote(path: Path, stamp: str) -> None:
    """As `prove`, for a remote file that is to be read by ranges.

    The process reads it with the credentials of the environment. Where these are not enough,
    nothing is tried.

    Parameters
    ----------
    path : Path
        Its URL.
    stamp : str
        Another text once the file is another.
    """
    if _is_on():
        _prove_remote_once(url_of(path), stamp)


@cache
def _prove_remote_once(url: str, stamp: str) -> None:
    _trials.once(f"{url}\n{stamp}", Path(url), None)


def start_now() -> None:
    """Start the process for trials: a window will open slides. Returns at once."""
    if _is_on():
        with suppress(ProbeStartError):  # told when a slide is opened
            probe_pool().start()


def start_early(words: Iterable[str | Path]) -> None:
    """Start the process for trials where one of some words names a slide that is to be tried.

    Parameters
    ----------
    words : iterable of str or Path
        Such as the arguments of a command; what names no slide is passed over.
    """
    if _is_on() and any(map(_is_to_be_tried, words)):
        start_now()


def _is_to_be_tried(word: str | Path) -> bool:
    path = Path(word)
    try:
        is_slide = path.suffix.lower() in _SUFFIXES or (
            path.is_dir() and any(name.lower().endswith(".dcm") for name in os.listdir(path))
        )
    except (OSError, ValueError):  # an option may be any text
        return False
    mark = mark_of(path) if is_slide else None
    return mark is not None and mark not in proof_book()


@contextmanager
def prove_ahead(paths: Iterable[Path | None]) -> Iterator[None]:
    """Try slides several at once, in their order, while the block opens them one after the other.

    Parameters
    ----------
    paths : iterable of Path or None
        Slides of a cohort; None and remote ones are passed over.
    """
    local = [path for path in paths if path is not None and not is_remote(path)]
    should_stop = threading.Event()

    def run(path: Path) -> None:
        if not should_stop.is_set():
            with suppress(errors.DreSlclError):  # raised again where the slide is opened
                prove(path)

    if len(local) < 2 or not _is_on():
        yield
        return
    with ThreadPoolExecutor(probe_pool().limit, thread_name_prefix="prove") as threads:
        for path in local:
            threads.submit(run, path)
        try:
            yield
        finally:
            should_stop.set()


def _is_on() -> bool:
    return os.environ.get(SWITCH, "").strip().lower() not in ("off", "0", "no", "false")


class _Trials:
    """Trials under way: who wants a slide that is being tried waits for that trial."""

    def __init__(self) -> None:
        self.restart_in_child()
        restart_after_fork(self)

    def restart_in_child(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, Future[None]] = {}

    def once(self, mark: str, path: Path, image: str | None) -> None:
        with self._lock:
            running = self._running.get(mark)
            mine: Future[None] = Future()
            if running is None:
                self._running[mark] = mine
        if running is not None:
            running.result()
            return
        try:
            _try(path, image)
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            mine.set_result(None)
        finally:
            with self._lock:
                del self._running[mark]


_trials = _Trials()


def _try(path: Path, image: str | None) -> None:
    name = remote_name(path) if is_remote(path) else path.name
    place = url_of(path) if is_remote(path) else str(path.absolute())
    try:
        answer = probe_pool().ask(place, image)
    except ProbeStartError as error:
        _warn_once(str(error))
        return
    except ProbeEndedError as error:
        raise _harmful(name, error.how) from error
    if not answer:
        return
    if answer.get("error") == "MemoryError":
        raise _harmful(name, "asks for too much memory")
    if is_remote(path):  # the process may lack this one's credentials; the readers say so here
        return
    kind = _KINDS.get(answer.get("error", ""), errors.SlideError)
    raise kind(answer.get("text", ""))


def _harmful(name: str, how: str) -> errors.SlideError:
    what = "The file" if name.lower().endswith(_OF_FEATURES) else "Slide"
    return errors.SlideError(
        f"{what} '{name}' {how or 'ends the program that opens it'}, and was opened in a trial "
        f"only (limits: {CPU_S} s of processor time, {MEMORY_BYTES / 2**30:g} GiB of memory). It "
        "is damaged or made to do harm; copy the file again from its source."
    )


@cache
def _warn_once(reason: str) -> None:
    logging.getLogger("napari_dre_slcl").warning(
        "Slides are opened without a trial, since no process for it can be started (%s). A broken "
        "file may end this program; %s=off says that this is known.",
        reason,
        SWITCH,
    )
