"""Thousands of slides of which only some are open.

A file is opened when it is read, and the one that was not read for longest is closed, so that
neither the limit of open files nor memory is met.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.forked import restart_after_fork
from napari_dre_slcl.slide.backend import SlideBackend, open_backend

__all__ = ["RestingBackend", "SlidePool"]

_serials = itertools.count()


@dataclass(slots=True)
class _Open:
    backend: SlideBackend
    readers: int = 1


class SlidePool:
    """Keeps the slides open that were read last. Many threads may read at once.

    Parameters
    ----------
    limit : int, default 256
        Open slides; more only while more are read at the same time. An open slide takes a file
        and about 1 MB.
    """

    def __init__(self, limit: int = 256) -> None:
        self._limit = limit
        self._open: OrderedDict[int, _Open] = OrderedDict()
        self._lock = threading.Lock()
        restart_after_fork(self)

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def lend(
        self, serial: int, opening: threading.Lock, open_it: Callable[[], SlideBackend]
    ) -> Iterator[SlideBackend]:
        """Give an open slide for the length of a block.

        Parameters
        ----------
        serial : int
            Number of the slide.
        opening : Lock
            The slide's own: one thread opens it while others go on with other slides.
        open_it : callable
            Opens it, where it is closed.

        Yields
        ------
        SlideBackend
            It is not closed before the block ends.
        """
        lent = self._take(serial)
        if lent is None:
            with opening:
                lent = self._take(serial) or self._put(serial, open_it())
        try:
            yield lent.backend
        finally:
            with self._lock:
                lent.readers -= 1

    def close(self, serial: int) -> None:
        """Close a slide, after the reads that are under way.

        Parameters
        ----------
        serial : int
            Number of the slide.
        """
        with self._lock:
            closed = self._open.pop(serial, None)
        if closed is not None:
            closed.backend.close()

    def restart_in_child(self) -> None:
        """Forget the parent's lock and readers after a fork; open slides restart by themselves."""
        self._lock = threading.Lock()
        for lent in self._open.values():
            lent.readers = 0

    def _take(self, serial: int) -> _Open | None:
        with self._lock:
            lent = self._open.get(serial)
            if lent is not None:
                lent.readers += 1
                self._open.move_to_end(serial)
            return lent

    def _put(self, serial: int, backend: SlideBackend) -> _Open:
        with self._lock:
            lent = self._open[serial] = _Open(backend)
            surplus = len(self._open) - self._limit
            idle = [number for number, one in self._open.items() if not one.readers]
            closed = [self._open.pop(number) for number in idle[: max(0, surplus)]]
        for one in closed:
            one.backend.close()
        return lent


class RestingBackend:
    """A `SlideBackend` that is open only while its pool keeps it so.

    Parameters
    ----------
    path : Path
        As for `open_backend`.
    pool : SlidePool
        Of the other slides.

    Raises
    ------
    SlideError
        As `open_backend`.
    """

    def __init__(self, path: Path, pool: SlidePool) -> None:
        self._path, self._pool, self._serial = path, pool, next(_serials)
        self._opening = threading.Lock()
        self._is_closed = False
        self.level_shapes: tuple[tuple[int, int], ...] = ()
        restart_after_fork(self)
        with self._lent() as backend:
            self.name, self.reason = backend.name, backend.reason
            self.level_shapes, self.tile_shape = backend.level_shapes, backend.tile_shape
            self.associated_images, self.findings = backend.associated_images, backend.findings
            levels = range(len(self.level_shapes))
            self._reductions = tuple(backend.reductions(level) for level in levels)

    @property
    def properties(self) -> Mapping[str, str]:
        """Properties under OpenSlide's names; too many to keep for each of 10,000 slides."""
        with self._lent() as backend:
            return backend.properties

    def reductions(self, level: int) -> tuple[int, ...]:
        """Return the factors at which a level can be read, 1 first."""
        return self._reductions[level]

    def read(
        self,
        level: int,
        y: int,
        x: int,
        height: int,
        width: int,
        reduction: int = 1,
        out: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.uint8]:
        """Read a box of a level, all in pixels of the level divided by `reduction`.

        Raises
        ------
        SlideError
            As the backend that is opened, and where the file is not as it was.
        """
        with self._lent() as backend:
            return backend.read(level, y, x, height, width, reduction, out)

    def close(self) -> None:
        """Close the file for good, after the reads that are under way."""
        self._is_closed = True
        self._pool.close(self._serial)

    def restart_in_child(self) -> None:
        """Forget a lock that a thread of the parent may have held."""
        self._opening = threading.Lock()

    @contextmanager
    def _lent(self) -> Iterator[SlideBackend]:
        if self._is_closed:
            raise SlideError(f"Slide '{self._path.name}' is closed; open it again to read it.")
        with self._pool.lend(self._serial, self._opening, self._open_alone) as backend:
            yield backend

    def _open_alone(self) -> SlideBackend:
        backend = open_backend(self._path)
        if self.level_shapes not in ((), backend.level_shapes):
            backend.close()
            raise SlideError(
                f"Slide '{self._path.name}' has changed since it was opened; start again with it."
            )
        return backend
