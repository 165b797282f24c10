"""Shows a job's events: bars on a terminal, plain lines in a log, JSON lines for programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichBars
from rich.table import Column, Table
from rich.text import Text

from napari_dre_slcl.cli.console import print_json, status
from napari_dre_slcl.cli.worker_table import worker_table
from napari_dre_slcl.jobs.messages import (
    PAUSED_STAGE,
    Event,
    Log,
    Metric,
    Progress,
    Workers,
    event_line,
)

__all__ = ["show_events"]

_LINE_EVERY_S = 15.0
_BAR_WIDTH = 24
_SHOWN = ("loss", "val/")


@contextmanager
def show_events(as_json: bool) -> Iterator[Callable[[Event], None]]:
    """Show events for the length of a block.

    Parameters
    ----------
    as_json : bool
        Print each event as one JSON line to standard output.

    Yields
    ------
    callable
        Takes one event at a time.
    """
    if as_json:
        yield _print_json
    elif status().is_terminal:
        with _bars() as bars:
            yield _BarView(bars)
    else:
        yield _LineView()


def _print_json(event: Event) -> None:
    print_json(event_line(event))


class _Bars(RichBars):
    """Bars, with a table above them where there is one."""

    table: Table | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        if self.table is not None:
            yield self.table
        yield from super().get_renderables()


def _bars() -> _Bars:
    return _Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=_BAR_WIDTH, table_column=Column(no_wrap=True)),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeElapsedColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        _NoteColumn(),
        console=status(),
    )


class _NoteColumn(ProgressColumn):
    """What stands behind a bar; the one column that is cut where the terminal is narrow."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["note"], no_wrap=True, overflow="ellipsis")


class _BarView:
    """One bar per stage; the newest numbers stand behind the bar that moves."""

    def __init__(self, bars: _Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._numbers = ""

    def __call__(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._advance(event)
        elif isinstance(event, Metric):
            self._numbers = _numbers(event.values)
        elif isinstance(event, Workers):
            self._bars.table = worker_table(event)
        elif isinstance(event, Log):
            self._bars.console.print(_log_sentence(event), soft_wrap=True)

    def _advance(self, event: Progress) -> None:
        if event.stage == PAUSED_STAGE:
            self._bars.console.print(_pause_sentence(event), soft_wrap=True)
            return
        if event.stage not in self._tasks:
            self._tasks[event.stage] = self._bars.add_task(event.stage, total=event.total, note="")
            self._numbers = ""
        note = "  ".join(part for part in (event.message, self._numbers) if part)
        self._bars.update(
            self._tasks[event.stage], completed=event.done, total=event.total, note=note
        )


class _LineView:
    """A line when a stage first starts and first ends, and now and then between."""

    def __init__(self) -> None:
        self._begun: set[str] = set()
        self._ended: set[str] = set()
        self._last_s = 0.0
        self._numbers = ""

    def __call__(self, event: Event) -> None:
        if isinstance(event, Progress):
            if event.stage == PAUSED_STAGE:
                status().print(_pause_sentence(event), soft_wrap=True)
                self._last_s = 0.0  # the next line says that it goes on
            elif self._should_print(event):
                self._print(event)
        elif isinstance(event, Metric):
            self._numbers = _numbers(event.values)
        elif isinstance(event, Log):
            status().print(_log_sentence(event), soft_wrap=True)

    def _should_print(self, event: Progress) -> bool:
        is_first = event.stage not in self._begun
        is_last = event.done == event.total and event.stage not in self._ended
        return is_first or is_last or time.monotonic() - self._last_s >= _LINE_EVERY_S

    def _print(self, event: Progress) -> None:
        if event.stage not in self._begun:
            self._numbers = ""
        self._begun.add(event.stage)
        if event.done == event.total:
            self._ended.add(event.stage)
        self._last_s = time.monotonic()
        parts = (f"{event.stage}: {event.done}/{event.total}", event.message, self._numbers)
        status().print("  ".join(part for part in parts if part), soft_wrap=True)


def _numbers(values: Mapping[str, float]) -> str:
    """Return what there is room for behind a bar: losses and validation."""
    shown = {name: value for name, value in values.items() if name.startswith(_SHOWN)}
    return "  ".join(f"{name} {value:.3f}" for name, value in shown.items())


def _pause_sentence(event: Progress) -> str:
    return f"{event.stage}. {event.message}"


def _log_sentence(event: Log) -> str:
    return f"Warning: {event.message}" if event.level == "warning" else event.message
