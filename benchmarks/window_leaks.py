"""What 200 cycles of open slide, predict, close leave behind: memory, viewers, threads, children.

    python benchmarks/window_leaks.py --run RUN --slide SLIDE [--cycles 200] [--per-window 10]

Each cycle opens a slide, has it predicted by the window's engine process (which finds its earlier
result and reuses it), looks at every tab and closes the slide. After ten cycles the window is
closed with its engine, and the next cycle begins in a new one. Memory is compared with that after
the first window, when everything that is loaded once is there. Before it, the slide is opened and
read often enough without a window to fill what is bounded: OpenSlide's cache of 64 MiB, and the
allocator's arenas of the reading threads.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
import psutil
from napari._qt.qt_viewer import QtViewer
from qtpy.QtCore import QEvent, QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from napari_dre_slcl.gui.dock import DreSlclDock
from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.layers import slide_layer
from napari_dre_slcl.results import SlideResult
from napari_dre_slcl.slide import open_slide

MOST_GROWTH_MIB = 50.0
PATIENCE_S = 120.0
_DRAWN_MS = 250
_FILLING_READS = 150


def main() -> int:
    options = _parse()
    out = Path(tempfile.mkdtemp(prefix="window-leaks-")) / "results"
    fill_caches(options)
    process, sizes, begin = psutil.Process(), [], time.perf_counter()
    n_windows = -(-options.cycles // options.per_window)
    for number in range(1, n_windows + 1):
        use_window(options, out)
        settle()
        sizes.append(process.memory_info().rss / 2**20)
        n_cycles = number * options.per_window
        each = (time.perf_counter() - begin) / n_cycles
        left = ", ".join(f"{count} {name}" for name, count in left_behind().items())
        print(f"cycle {n_cycles:4d}: {sizes[-1]:7.1f} MiB; {left}; {each:.1f} s each", flush=True)
    growth = sizes[-1] - sizes[0]
    print(f"growth since the first window: {growth:.1f} MiB, {growth / sizes[0]:.1%} of it")
    return int(growth > MOST_GROWTH_MIB or any(left_behind().values()))


def fill_caches(options: argparse.Namespace) -> None:
    """Open and read the slide so often that bounded memory has reached its bounds."""
    for _ in range(_FILLING_READS):
        levels, *_ = slide_layer(open_slide(options.slide, options.mpp))
        np.asarray(levels[-1])


def use_window(options: argparse.Namespace, out: Path) -> None:
    """Open a window, open, predict and close a slide in it a few times, close the window."""
    viewer = napari.Viewer(title="DRE-SLCL", show=False)
    dock = DreSlclDock(viewer)
    viewer.window.add_dock_widget(dock, name="DRE-SLCL", area="right")
    viewer.window.show()
    dock.result_panel.model_field.setValue(options.run)
    for _ in range(options.per_window):
        cycle(viewer, dock, options, out)
    viewer.close()


def cycle(viewer: napari.Viewer, dock: DreSlclDock, options: argparse.Namespace, out: Path) -> None:
    """Open a slide, predict it, look at it, close it."""
    shown: list[str] = []

    def on_shown(result: SlideResult) -> None:
        shown.append(result.slide_id)

    dock.overlay.result_shown.connect(on_shown)
    dock.overlay.open_slide(options.slide, options.mpp)
    dock.start_job(dock.result_panel.value().model_copy(update={"out": out}))
    wait_until(lambda: bool(shown))
    dock.overlay.result_shown.disconnect(on_shown)
    for index in range(dock.tabs.count()):
        dock.tabs.setCurrentIndex(index)
        QApplication.processEvents()
    viewer.layers.clear()
    # napari 0.9.2 ends in glDrawArrays, also without this plugin, where layers are removed and
    # others added before the canvas was drawn in between (of the kind of napari issue 7345).
    pause(_DRAWN_MS)


def pause(ms: int) -> None:
    """Let the window live for a while."""
    loop = QEventLoop()
    QTimer.singleShot(ms, loop.quit)
    loop.exec()


def settle() -> None:
    """Let Qt delete what is to be deleted, and Python collect it."""
    for _ in range(3):
        QApplication.processEvents()
        QApplication.sendPostedEvents(None, int(QEvent.Type.DeferredDelete.value))
        gc.collect()


def left_behind() -> dict[str, int]:
    """Return how many of each are alive that should have gone with their windows."""
    found = gc.get_objects()
    return {
        "viewers": sum(issubclass(type(one), QtViewer) for one in found),
        "docks": sum(issubclass(type(one), (DreSlclDock, Session)) for one in found),
        "threads": sum(one.name.startswith("dre-slcl") for one in threading.enumerate()),
        "children": sum(
            child.status() != psutil.STATUS_ZOMBIE for child in psutil.Process().children()
        ),
    }


def wait_until(is_done: Callable[[], bool]) -> None:
    """Let the window live until something is so."""
    loop, poll, end = QEventLoop(), QTimer(), QTimer()
    poll.timeout.connect(lambda: is_done() and loop.quit())
    poll.start(20)
    end.setSingleShot(True)
    end.timeout.connect(loop.quit)
    end.start(int(PATIENCE_S * 1000))
    loop.exec()
    poll.stop()
    end.stop()
    if not is_done():
        raise SystemExit(f"No prediction in {PATIENCE_S} s.")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run or model folder")
    parser.add_argument("--slide", type=Path, required=True)
    parser.add_argument("--mpp", type=float)
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--per-window", type=int, default=10, help="cycles in one window")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
