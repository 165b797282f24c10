"""A slide is opened here only after it was opened elsewhere; see `napari_dre_slcl.trial`.

Light to import: a command starts the process for trials before it imports the readers.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from napari_dre_slcl import errors
from napari_dre_slcl.slide.urls import is_remote, remote_name, url_of
from napari_dre_slcl.trial.kinds import IMAGE, SLIDE
from napari_dre_slcl.trial.pool import probe_pool
from napari_dre_slcl.trial.proof import Subject, is_on, prove_file, try_once

__all__ = ["prove", "prove_ahead", "prove_remote"]


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
    if image is None:
        prove_file(path, SLIDE)
    else:
        prove_file(path, IMAGE, image)


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
    if is_on():
        _prove_remote_once(url_of(path), stamp)


@cache
def _prove_remote_once(url: str, stamp: str) -> None:
    # The process may lack the credentials of this one, so that what it complains of is not heard.
    try_once(f"{url}\n{stamp}", Subject(SLIDE, remote_name(url), url, is_heard=False))


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

    if len(local) < 2 or not is_on():
        yield
        return
    with ThreadPoolExecutor(probe_pool().limit, thread_name_prefix="prove") as threads:
        for path in local:
            threads.submit(run, path)
        try:
            yield
        finally:
            should_stop.set()
