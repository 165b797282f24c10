"""RunWatch: reads run folders in a thread of its own; follows one, and lists all that are known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from napari_dre_slcl.gui.background import Background
from napari_dre_slcl.jobs.follow import EventTail
from napari_dre_slcl.jobs.known_runs import known_runs
from napari_dre_slcl.jobs.run_status import read_status
from napari_dre_slcl.jobs.run_summary import RunSummary, summarise_run

__all__ = ["RunWatch"]

_FOLLOW_MS = 300
_LIST_MS = 2000


@dataclass(frozen=True, slots=True)
class _News:
    run_dir: Path
    events: list[Any]
    is_active: bool
    summary: RunSummary | None


class RunWatch(QObject):
    """Looks after runs by their folders, whichever process works on them.

    Its thread is not that of `Session.background`: a slide that takes long must not hold it up.
    """

    listed = Signal(object)
    """All known runs as a list of `RunSummary`, the newest first."""
    history = Signal(object, object)
    """Folder and events of the run to follow, up to now; comes once, before all else."""
    progressed = Signal(object, object)
    """Folder and an event of the run that is followed, as it comes."""
    ended = Signal(object, object)
    """`RunSummary` of the run that was followed, and whether it ended just now; it is not followed
    any more."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._background = Background()
        self._is_closed = False
        self._run_dir: Path | None = None
        self._tail: EventTail | None = None
        self._is_begun = False
        self._was_active = False
        self._is_listing = False
        self._ready: dict[Path, tuple[float, RunSummary]] = {}
        self._follow_timer = self._make_timer(_FOLLOW_MS, self._look)
        self._list_timer = self._make_timer(_LIST_MS, self.refresh)

    @property
    def run_dir(self) -> Path | None:
        """Folder of the run that is followed."""
        return self._run_dir

    def follow(self, run_dir: Path) -> None:
        """Follow this run from here on, and no other."""
        self.stop()
        self._run_dir, self._tail = run_dir, EventTail(run_dir)
        self._is_begun, self._was_active = False, False
        self._look()
        self._follow_timer.start()

    def stop(self) -> None:
        """Follow no run."""
        self._run_dir, self._tail = None, None
        self._follow_timer.stop()

    def keep_listing(self, is_wanted: bool) -> None:
        """Read the list every other second, or no more."""
        if is_wanted and not self._is_closed:
            self.refresh()
            self._list_timer.start()
        else:
            self._list_timer.stop()

    def refresh(self) -> None:
        """Read the list once, unless it is being read; `listed` tells it."""
        # A newer call would make the older one's answer stale: on a slow disk none would come.
        if self._is_closed or self._is_listing:
            return
        self._is_listing = True
        self._background.run(
            "reading the list of runs",
            partial(_list_runs, self._ready),
            on_done=self._tell_list,
            on_error=lambda _: self._tell_list(None),
        )

    def close(self) -> None:
        """Stop for good; later calls do nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        for timer in (self._follow_timer, self._list_timer):
            if isalive(timer):  # at the end of the interpreter Qt may be gone already
                timer.stop()
        self._run_dir, self._tail = None, None
        self._background.close()

    def _tell_list(self, runs: list[RunSummary] | None) -> None:
        self._is_listing = False
        if runs is not None:
            self.listed.emit(runs)

    def _look(self) -> None:
        if self._is_closed or self._tail is None or self._run_dir is None:
            return
        self._follow_timer.stop()  # until this answer is there
        self._background.run(
            "following a run",
            partial(_read_news, self._run_dir, self._tail),
            on_done=self._tell,
            on_error=self._look_again,
        )

    def _tell(self, news: _News) -> None:
        if news.run_dir != self._run_dir:
            return
        if not self._is_begun:
            self._is_begun = True
            self.history.emit(news.run_dir, news.events)
        else:
            for event in news.events:
                self.progressed.emit(news.run_dir, event)
        if news.run_dir != self._run_dir or self._is_closed:  # a listener has had enough
            return
        self._was_active |= news.is_active
        if news.summary is None:
            self._follow_timer.start()
        else:
            self.stop()
            self.ended.emit(news.summary, self._was_active)

    def _look_again(self, _: str) -> None:
        """Try once more soon: a folder that cannot be read now may be later."""
        if self._run_dir is not None and not self._is_closed:
            self._follow_timer.start()

    def _make_timer(self, interval_ms: int, slot: Any) -> QTimer:
        timer = QTimer(self)
        timer.setInterval(interval_ms)
        timer.timeout.connect(slot)
        return timer


def _read_news(run_dir: Path, tail: EventTail) -> _News:
    """Read the status first: what was told before the end is then not missed."""
    is_active = read_status(run_dir).is_active
    events: list[Any] = []
    while found := tail.read():
        events += found
    return _News(run_dir, events, is_active, None if is_active else summarise_run(run_dir))


def _list_runs(ready: dict[Path, tuple[float, RunSummary]]) -> list[RunSummary]:
    """Summarise all known runs; those that have ended are not read again."""
    return [_summary(run_dir, ready) for run_dir in known_runs()]


def _summary(run_dir: Path, ready: dict[Path, tuple[float, RunSummary]]) -> RunSummary:
    try:
        changed = (run_dir / "status.json").stat().st_mtime
    except OSError:
        changed = 0.0
    before = ready.get(run_dir)
    if changed and before is not None and before[0] == changed and not before[1].status.is_active:
        return before[1]
    summary = summarise_run(run_dir)
    ready[run_dir] = (changed, summary)
    return summary
