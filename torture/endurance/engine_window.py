"""A window's side of a run: its engine, its list of runs, without the panels around them.

Each line on standard input is a run folder to resume. Each on standard output says how that ended:
``{"kind", "message", "pid", "said"}``. Ends with standard input.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from qtpy.QtCore import QCoreApplication, QTimer

from napari_dre_slcl.gui.job_runner import JobRunner
from napari_dre_slcl.jobs.messages import Log, ResumeJob

_POLL_MS = 10


class _Window:
    """Resumes what it is told to, one after the other."""

    def __init__(self) -> None:
        self.lines: SimpleQueue[str] = SimpleQueue()
        self._runner = JobRunner()  # not in the background, where a busy machine forgets it
        self._runner.progressed.connect(self._on_event)
        self._runner.ended.connect(self._on_end)
        self._runner.get_ready()
        self._said: list[str] = []
        self._pid: int | None = None
        self._timer = QTimer()
        self._timer.timeout.connect(self._take)
        self._timer.start(_POLL_MS)

    def _take(self) -> None:
        if self._runner.is_running:
            return
        try:
            line = self.lines.get_nowait().strip()
        except Empty:
            return
        if not line:
            self._runner.close()
            QCoreApplication.quit()
            return
        self._said.clear()
        self._runner.start(ResumeJob(run_dir=Path(line)))
        self._pid = self._runner.process_id

    def _on_event(self, event: Any) -> None:
        if isinstance(event, Log):
            self._said.append(event.message)

    def _on_end(self, _: object, event: Any) -> None:
        answer = {
            "kind": event.event,
            "message": getattr(event, "message", ""),
            "pid": self._pid,
            "said": self._said,
        }
        print(json.dumps(answer), flush=True)


def _read(lines: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    lines.put("")


def main() -> None:
    """Serve until standard input ends."""
    application = QCoreApplication(sys.argv[:1])
    window = _Window()
    threading.Thread(target=_read, args=(window.lines,), daemon=True).start()
    application.exec()


if __name__ == "__main__":
    main()
