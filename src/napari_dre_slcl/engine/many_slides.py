"""Many slides, each done once: in this process, or handed out to a cluster; the sum of it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from napari_dre_slcl.engine.at_work import at_work
from napari_dre_slcl.engine.output_lock import LOCK_FOLDER
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.slide_parts import PARTS_FOLDER
from napari_dre_slcl.engine.slide_work import (
    Outcome,
    SlideItem,
    SlideWork,
    do_part,
    do_slide,
    join_parts,
)
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.locks.lock_file import delete_dead_locks

__all__ = ["Tally", "do_here", "out_folder", "split_kept"]

_LOOKERS = 8
_BUSY_S = 2.0


@dataclass(slots=True)
class Tally:
    """What has come of the slides so far.

    Parameters
    ----------
    done, kept : dict of Path
        Outputs by slide: made now, and made before.
    broken : dict of str
        Why a slide was left out.
    n_tiles : int
        Encoded now.
    """

    done: dict[str, Path] = field(default_factory=dict)
    kept: dict[str, Path] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    n_tiles: int = 0

    def __len__(self) -> int:
        return len(self.done) + len(self.kept) + len(self.broken)

    def add(self, item: SlideItem, outcome: Outcome) -> None:
        """Count the last outcome of a slide."""
        if outcome.kind in ("done", "kept"):
            (self.done if outcome.kind == "done" else self.kept)[item.slide_id] = item.output
        else:
            self.broken[item.slide_id] = outcome.sentence

    def paths(self, items: Sequence[SlideItem]) -> dict[str, Path]:
        """Return the outputs in the order of the slides."""
        found = self.done | self.kept
        return {i.slide_id: found[i.slide_id] for i in items if i.slide_id in found}


@contextmanager
def out_folder(out: Path, reporter: Reporter) -> Iterator[Path]:
    """Make the folder of outputs and put a file there by which workers know it, as `at_work`."""
    with at_work(out, reporter) as token:
        delete_dead_locks(out / LOCK_FOLDER)
        try:
            yield token
        finally:
            for name in (LOCK_FOLDER, PARTS_FOLDER):
                with suppress(OSError):  # not empty: others are at work, or it is gone on with
                    (out / name).rmdir()


def split_kept(
    work: SlideWork, items: Sequence[SlideItem], reporter: Reporter, tally: Tally
) -> list[SlideItem]:
    """Count the slides whose output was made before; return the others."""
    left: list[SlideItem] = []
    with ThreadPoolExecutor(_LOOKERS, thread_name_prefix="finished") as lookers:
        for number, (item, is_kept) in enumerate(
            zip(items, lookers.map(work.is_kept, items), strict=True)
        ):
            reporter.progress("Looking for finished slides", number, len(items), item.slide_id)
            if is_kept:
                tally.add(item, Outcome("kept"))
            else:
                left.append(item)
    reporter.progress("Looking for finished slides", len(items), len(items))
    if tally.kept:
        reporter.log(f"{len(tally.kept):,} of {len(items):,} slides are finished and are kept.")
    return left


def do_here(work: SlideWork, items: Sequence[SlideItem], reporter: Reporter, tally: Tally) -> None:
    """Do slides one after the other in this process.

    A slide that another process makes is put off, and looked at again when the others are done.

    Raises
    ------
    JobError
        If the outputs cannot be written.
    Stopped
        If the user wants it.
    """
    waiting = deque(items)
    n_busy = 0
    while waiting:
        item = waiting.popleft()
        reporter.progress("Slides", len(tally), len(tally) + len(waiting) + 1, item.slide_id)
        outcome = _whole(work, item, reporter, tally)
        if outcome.kind == "unfit":
            raise JobError(outcome.sentence)
        if outcome.kind == "busy":
            waiting.append(item)
            n_busy += 1
            if n_busy >= len(waiting):
                reporter.warn_once(f"{outcome.sentence} Waiting for it.")
                _wait(_BUSY_S, lambda: reporter.progress("Slides", len(tally), len(tally) + 1))
            continue
        n_busy = 0
        tally.add(item, outcome)
        if item.slide_id in tally.broken:
            reporter.log(outcome.sentence, "warning")
    reporter.progress("Slides", len(tally), len(tally))


def _whole(work: SlideWork, item: SlideItem, reporter: Reporter, tally: Tally) -> Outcome:
    """Do a slide with all its parts."""
    outcome = do_slide(work, item, reporter)
    tally.n_tiles += outcome.n_tiles
    if outcome.kind != "parts":
        return outcome
    for part in range(outcome.n_parts):
        done = do_part(work, item, part, reporter)
        tally.n_tiles += done.n_tiles
        if done.kind != "part":
            return done
    return join_parts(work, item, reporter)


def _wait(seconds: float, look: Callable[[], None]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        look()
        time.sleep(0.1)
