"""What is done of every slide of a cohort, once: whole, or in parts that are joined at the end.

Runs anywhere: in the process of the command, or on a worker of a cluster. Knows no cluster.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_dre_slcl.engine import slide_parts
from napari_dre_slcl.engine.output_lock import BusyError, held
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import ConfigError, DreSlclError, ModelError
from napari_dre_slcl.slide.urls import is_remote
from napari_dre_slcl.tiles import TileGrid

__all__ = [
    "OpenedSlide",
    "Outcome",
    "SlideItem",
    "SlideWork",
    "do_part",
    "do_slide",
    "join_parts",
]

OutcomeKind = Literal[
    "done", "kept", "parts", "part", "broken", "failed", "unseen", "unfit", "busy", "other version"
]

_Check = Callable[[], None]
"""Raises `BusyError` where the output is another process's meanwhile."""

# One network, one device: two slides at once in a process would only share them.
_ENCODING = threading.Lock()


@dataclass(frozen=True, slots=True)
class SlideItem:
    """One slide to be done.

    Parameters
    ----------
    slide_id : str
        Its name.
    path : Path
        Slide file, DICOM folder or feature file.
    output : Path
        File to make.
    mpp : float, optional
        µm per level-0 pixel, where it is given.
    mpp_source : str
        Who gave it.
    """

    slide_id: str
    path: Path
    output: Path
    mpp: float | None = None
    mpp_source: str = "user"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a slide, or of a part of one.

    Parameters
    ----------
    kind : str
        ``done``; ``kept``, was there already; ``parts``, is to be done in parts; ``part``, one of
        these is done. What went wrong lies with the slide (``broken``), with the machine
        (``unseen``: it does not see the slide; ``unfit``: it cannot write, or has no such device;
        ``other version``), is not known (``failed``, an error that nobody foresaw), or passes
        (``busy``: another process makes it).
    sentence : str
        What went wrong.
    n_tiles : int
        Tiles that were encoded.
    n_parts : int
        Of ``parts``.
    """

    kind: OutcomeKind
    sentence: str = ""
    n_tiles: int = 0
    n_parts: int = 0


class OpenedSlide(Protocol):
    """An open slide whose tiles have been found."""

    @property
    def grid(self) -> TileGrid | None:
        """Its tiles; None for a feature file, which is never done in parts."""

    @property
    def tiles(self) -> NDArray[np.int64]:
        """Numbers of those to encode."""

    def encode(
        self, tiles: NDArray[np.int64], on_progress: Callable[[int, int], None]
    ) -> tuple[Tensor, str]:
        """Return (n, d) features on the CPU, and what is to tell of damaged tiles."""

    def write(self, features: Tensor, damaged: str) -> None:
        """Write the output of the features of `tiles`."""


class SlideWork(Protocol):
    """What is done of each slide. It travels to workers, so it is small and holds no network."""

    @property
    def part_tiles(self) -> int:
        """Slides with more tiles to encode are done in parts of about so many."""

    @property
    def device(self) -> str:
        """``auto``, ``cpu``, ``cuda`` or ``mps``."""

    @property
    def token(self) -> Path | None:
        """File that is seen where the output folder is the right one; None does not look."""

    @property
    def identity(self) -> str:
        """Equal where the same slide gives the same output."""

    def is_kept(self, item: SlideItem) -> bool:
        """Return whether the output was made before, by the same model and settings."""

    def opened(
        self, item: SlideItem, reporter: Reporter, grid: TileGrid | None = None
    ) -> AbstractContextManager[OpenedSlide]:
        """Open a slide; its tiles are found unless they are given."""


def do_slide(work: SlideWork, item: SlideItem, reporter: Reporter) -> Outcome:
    """Do a slide, or say into how many parts it is to be cut.

    Raises
    ------
    Stopped
        If the reporter's asker wants it.
    """

    def whole(check: _Check) -> Outcome:
        if work.is_kept(item):
            return Outcome("kept")
        folder = slide_parts.parts_folder(work.identity, work.part_tiles, item.path, item.output)
        if slide_parts.has_plan(folder):
            return _cut(slide_parts.read_plan(folder).tiles, work)
        with work.opened(item, reporter) as slide:
            if slide.grid is not None and len(slide.tiles) > work.part_tiles:
                slide_parts.write_plan(folder, slide.grid, slide.tiles)
                return _cut(slide.tiles, work)
            features, damaged = _encoded(slide, slide.tiles, item, reporter)
            check()
            outcome = _written(slide, features, damaged)
        if outcome.kind == "done":
            slide_parts.remove_all(item.output)  # of other settings
        return outcome

    return _answer(work, item, item.output, whole)


def do_part(work: SlideWork, item: SlideItem, part: int, reporter: Reporter) -> Outcome:
    """Encode one part of a slide that `do_slide` wants done in parts.

    Raises
    ------
    Stopped
        If the reporter's asker wants it.
    """

    def one(check: _Check) -> Outcome:
        folder = slide_parts.parts_folder(work.identity, work.part_tiles, item.path, item.output)
        if slide_parts.part_path(folder, part).exists():
            return Outcome("part")
        if not slide_parts.has_plan(folder) and work.is_kept(item):
            return Outcome("kept")  # another command has joined the parts meanwhile
        plan = slide_parts.read_plan(folder)
        tiles = plan.tiles[slide_parts.part_slice(part, work.part_tiles)]
        with work.opened(item, reporter, plan.grid) as slide:
            features, damaged = _encoded(slide, tiles, item, reporter)
        check()
        slide_parts.write_part(folder, part, features.numpy(), damaged)
        return Outcome("part", n_tiles=len(tiles))

    return _answer(work, item, slide_parts.part_name(item.output, part), one)


def join_parts(work: SlideWork, item: SlideItem, reporter: Reporter) -> Outcome:
    """Write the output of a slide whose parts are all done."""

    def join(check: _Check) -> Outcome:
        if work.is_kept(item):
            return Outcome("kept")
        folder = slide_parts.parts_folder(work.identity, work.part_tiles, item.path, item.output)
        plan = slide_parts.read_plan(folder)
        count = slide_parts.part_count(len(plan.tiles), work.part_tiles)
        features, damaged = slide_parts.read_parts(folder, count)
        with work.opened(item, reporter, plan.grid) as slide:
            check()
            outcome = _written(slide, features, damaged)
        if outcome.kind == "done":
            slide_parts.remove_all(item.output)
        return Outcome(outcome.kind, outcome.sentence)  # its tiles were counted with the parts

    return _answer(work, item, item.output, join)


def _cut(tiles: NDArray[np.int64], work: SlideWork) -> Outcome:
    return Outcome("parts", n_parts=slide_parts.part_count(len(tiles), work.part_tiles))


def _encoded(
    slide: OpenedSlide, tiles: NDArray[np.int64], item: SlideItem, reporter: Reporter
) -> tuple[Tensor, str]:
    if not len(tiles):
        return Tensor(), ""

    def tell(done: int, total: int) -> None:
        reporter.progress("Encoding tiles", done, total, item.slide_id)

    with _ENCODING:
        return slide.encode(tiles, tell)


def _written(slide: OpenedSlide, features: Tensor, damaged: str) -> Outcome:
    try:
        slide.write(features, damaged)
    except DreSlclError as error:
        # Of the disk, and not of the slide: another machine may have room, or may write.
        kind: OutcomeKind = "unfit" if isinstance(error.__cause__, OSError) else "broken"
        return Outcome(kind, str(error))
    return Outcome("done", n_tiles=len(features))


def _answer(
    work: SlideWork, item: SlideItem, output: Path, do: Callable[[_Check], Outcome]
) -> Outcome:
    """Do something under the lock of its output; what goes wrong comes back as a sentence."""
    if work.token is not None and not work.token.exists():
        return Outcome("unfit", f"The folder '{work.token.parent}' is not seen here.")
    try:
        if not is_remote(item.path) and not item.path.exists():
            return Outcome("unseen", f"Slide '{item.path}' does not exist.")
    except OSError as error:
        return Outcome("unseen", f"Slide '{item.path}' cannot be looked at: {error.strerror}.")
    with ExitStack() as stack:
        try:
            check = stack.enter_context(held(output))
        except BusyError as error:
            return Outcome("busy", str(error))
        except OSError as error:
            return Outcome(
                "unfit", f"The folder '{output.parent}' cannot be written: {error.strerror}."
            )
        try:
            return do(check)
        except BusyError as error:
            return Outcome("busy", str(error))
        except (slide_parts.PartWriteError, ModelError, ConfigError) as error:
            return Outcome("unfit", str(error))
        except DreSlclError as error:
            return Outcome("broken", str(error))
