"""Which slides wait, which are in parts, who tried them; knows neither Dask nor files."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_dre_slcl.engine.slide_work import SlideItem

__all__ = ["JOIN", "SlideState", "Step", "WorkQueue"]

JOIN = -1
_BUSY_S = 2.0


@dataclass(slots=True, eq=False)
class SlideState:
    """How far a slide has come.

    Parameters
    ----------
    item : SlideItem
        The slide.
    tried : set of str
        Workers that could not do it.
    reasons : list of str
        What they said, in their order.
    parts_left : int
        Parts that are not done yet.
    is_ended : bool
        Whether nothing more is to be done.
    """

    item: SlideItem
    tried: set[str] = field(default_factory=set)
    reasons: list[str] = field(default_factory=list)
    parts_left: int = 0
    is_ended: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One task: a slide, a part of it (its number), or the joining of its parts (`JOIN`).

    Parameters
    ----------
    slide : SlideState
        The slide.
    part : int, optional
        Which part of it.
    is_alone : bool
        Whether nothing else runs meanwhile, so that the end of a worker is this task's doing.
    """

    slide: SlideState
    part: int | None = None
    is_alone: bool = False


class WorkQueue:
    """Steps to be done, in order; parts go first, so that giants end early.

    Parameters
    ----------
    items : iterable of SlideItem
        The slides, in the order in which they are to be begun.
    """

    def __init__(self, items: Iterable[SlideItem]) -> None:
        self._ready = deque(Step(SlideState(item)) for item in items)
        self._later: list[tuple[float, Step]] = []
        self._aside: deque[Step] = deque()
        # A folder that a worker does not see is likely one that it does not see at all.
        self._blind: dict[Path, set[str]] = {}

    def __len__(self) -> int:
        """How many steps wait."""
        return len(self._ready) + len(self._later) + len(self._aside)

    def next(self, is_idle: bool = False) -> Step | None:
        """Take the next step that may begin now.

        Parameters
        ----------
        is_idle : bool
            Whether no task runs; then a step that was set aside may begin.
        """
        now = time.monotonic()
        due = [step for when, step in self._later if when <= now]
        self._later = [(when, step) for when, step in self._later if when > now]
        self._ready.extendleft(reversed(due))
        while self._ready:
            step = self._ready.popleft()
            if not step.slide.is_ended:
                return step
        is_its_turn = is_idle and bool(self._aside) and not self._later
        return self._aside.popleft() if is_its_turn else None

    def set_aside(self, step: Step) -> None:
        """Keep a step, which is blamed for the end of workers, until it can be done alone."""
        self._aside.append(replace(step, is_alone=True))

    def again(self, step: Step, is_later: bool = False) -> None:
        """Put a step back; later, where another process is at it."""
        if is_later:
            self._later.append((time.monotonic() + _BUSY_S, step))
        else:
            self._ready.appendleft(step)

    def cut(self, slide: SlideState, n_parts: int) -> None:
        """Put the parts of a slide in its place."""
        slide.parts_left = n_parts
        self._ready.extendleft(Step(slide, part) for part in reversed(range(n_parts)))

    def part_done(self, slide: SlideState) -> None:
        """Count a part; after the last one they are to be joined."""
        slide.parts_left -= 1
        if not slide.parts_left:
            self._ready.appendleft(Step(slide, JOIN))

    def is_unseen(self, step: Step, worker: str) -> None:
        """Note that a worker does not see a slide."""
        step.slide.tried.add(worker)
        self._blind.setdefault(step.slide.item.path.parent, set()).add(worker)

    def fit_workers(self, step: Step, workers: Collection[str]) -> set[str]:
        """Return the workers that have not failed at a slide, best those that see its folder."""
        fresh = set(workers) - step.slide.tried
        return fresh - self._blind.get(step.slide.item.path.parent, set()) or fresh
