"""LoopWatch: how long the Qt event loop is ever kept waiting, by whom, and how much was drawing."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from dataclasses import dataclass, field

import numpy as np
from qtpy.QtCore import QEvent, QObject, Qt, QTimer

TICK_MS = 5
ALARM_S = 0.05


@dataclass
class Gap:
    """Time between two ticks of the main thread."""

    seconds: float
    cpu_seconds: float
    drawing_seconds: float
    during: str
    stacks: list[str] = field(default_factory=list)


class LoopWatch(QObject):
    """Ticks every 5 ms on the main thread; a thread looks at its stack where a tick is late."""

    def __init__(self) -> None:
        super().__init__()
        self.gaps: list[Gap] = []
        self.during = "start"
        self._drawing = 0.0
        self._main = threading.get_ident()
        self._stacks: list[str] = []
        self._last = self._last_cpu = 0.0
        self._is_on = False
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._on_tick)

    def watch_drawing(self, window: type) -> None:
        """Count apart what a window class spends on drawing itself, canvas and all widgets.

        Qt draws a window in one go when it gets an UpdateRequest.
        """
        handle = window.event

        def timed(widget: object, event: QEvent) -> bool:
            if event.type() != QEvent.Type.UpdateRequest:
                return handle(widget, event)
            begin = time.perf_counter()
            is_handled = handle(widget, event)
            self._drawing += time.perf_counter() - begin
            return is_handled

        window.event = timed

    def start(self) -> None:
        """Begin."""
        self._last, self._last_cpu, self._is_on = time.perf_counter(), time.thread_time(), True
        self._timer.start()
        threading.Thread(target=self._look, name="loop-watch", daemon=True).start()

    def stop(self) -> None:
        """End."""
        self._is_on = False
        self._timer.stop()

    def table(self, n_worst: int) -> str:
        """Return longest and percentiles, whole, without drawing, and as CPU of the thread."""
        whole = np.array([gap.seconds for gap in self.gaps]) * 1e3
        undrawn = np.array([gap.seconds - gap.drawing_seconds for gap in self.gaps]) * 1e3
        own = np.array([gap.cpu_seconds for gap in self.gaps]) * 1e3
        lines = [
            f"{len(whole)} ticks in {whole.sum() / 1e3:.1f} s (ms)    longest      p99   median"
        ]
        for name, values in (
            ("gap of the event loop", whole),
            ("without drawing the window", undrawn),
            ("CPU time of the main thread", own),
        ):
            p99, median = np.percentile(values, [99, 50])
            lines.append(f"{name:32s} {values.max():10.1f} {p99:8.1f} {median:8.1f}")
        for gap in sorted(self.gaps, key=lambda gap: -gap.seconds)[:n_worst]:
            lines.append(
                f"\n{gap.seconds * 1e3:.0f} ms (CPU {gap.cpu_seconds * 1e3:.0f}, drawing "
                f"{gap.drawing_seconds * 1e3:.0f}) during {gap.during}"
            )
            lines += list(dict.fromkeys(gap.stacks))[:3]
        return "\n".join(lines)

    def _on_tick(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        gap = Gap(now - self._last, cpu - self._last_cpu, self._drawing, self.during, self._stacks)
        self._last, self._last_cpu, self._drawing, self._stacks = now, cpu, 0.0, []
        self.gaps.append(gap)

    def _look(self) -> None:
        while self._is_on:
            time.sleep(0.02)
            if time.perf_counter() - self._last > ALARM_S:
                frame = sys._current_frames().get(self._main)
                if frame is not None and len(self._stacks) < 8:
                    self._stacks.append(_short(traceback.extract_stack(frame)))


def _short(stack: traceback.StackSummary) -> str:
    """Return the innermost lines, and the innermost of ours."""
    told = [
        f"    {one.filename.split('site-packages/')[-1]}:{one.lineno} {one.name}" for one in stack
    ]
    ours = [line for line in told if "napari_dre_slcl" in line][-3:]
    return "\n".join([*ours, "    …", *told[-5:]])
