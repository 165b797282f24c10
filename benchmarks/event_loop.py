"""The longest time that the window does not answer, while a training runs on the same machine.

    python benchmarks/event_loop.py --run RUN --slide SLIDE [--cohort TABLE] [--seconds 60]

Opens the real window with a predicted slide, starts a training in its engine, and plays a session:
pan, zoom, switch layers, maps and tabs, hover, click, type. A timer of 5 ms on the main thread
measures how long it had to wait; the worst waits are printed with what the main thread did.
The reference is napari without this plugin's dock and layers: the slide alone, panned, zoomed and
hovered over in a second window beside the same training.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from loop_watch import LoopWatch
from napari import Viewer
from napari._qt.qt_main_window import _QtMainWindow
from qtpy.QtCore import QEvent, QEventLoop, QPoint, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QComboBox, QLineEdit, QWidget

from napari_dre_slcl.cohort.synthetic import generate_cohort
from napari_dre_slcl.gui.dock import DreSlclDock
from napari_dre_slcl.gui.show import show_slide
from napari_dre_slcl.jobs.messages import PredictJob, TrainJob

LONGEST_MS, P99_MS = 200.0, 50.0
STEP_MS = 60
LOOKS = 38


def main() -> int:
    options = _parse()
    watch = LoopWatch()
    watch.watch_drawing(_QtMainWindow)
    viewer, dock = show_slide(options.slide, mpp=options.mpp, model=options.run)
    predict(dock, options)
    if not options.quiet:
        start_training(dock, options.cohort)
    bare = reference(options)
    play(script(dock, native_of(viewer)), watch, options.seconds)
    sys.stdout.write(watch.table(options.worst) + "\n")
    sys.stdout.write(f"\nnapari alone, the slide panned, zoomed, hovered over:\n{bare.table(0)}\n")
    dock.session.trainer.should_keep_job = False
    viewer.close()
    QApplication.processEvents()
    longest = max(gap.seconds for gap in watch.gaps) * 1e3
    return int(longest > LONGEST_MS)


def reference(options: argparse.Namespace) -> LoopWatch:
    """Play what napari alone can do, in a window without dock and overlays."""
    watch = LoopWatch()
    viewer = Viewer()
    viewer.open(options.slide, plugin="napari-dre-slcl")
    play(look_around(native_of(viewer)), watch, options.seconds / 2)
    viewer.close()
    return watch


def native_of(viewer: Viewer) -> QWidget:
    return viewer.window._qt_viewer.canvas.native


def predict(dock: DreSlclDock, options: argparse.Namespace) -> None:
    """Predict the slide with the real engine, and wait for its layers."""
    shown: list[object] = []
    dock.overlay.result_shown.connect(shown.append)
    job = dock.result_panel.value()
    assert isinstance(job, PredictJob)
    dock.start_job(job.model_copy(update={"out": Path(tempfile.mkdtemp()) / "results"}))
    wait_until(lambda: bool(shown), 300)
    dock.tabs.setCurrentIndex(3)


def start_training(dock: DreSlclDock, cohort: Path | None) -> None:
    """Train in the engine of this window, for longer than the session."""
    folder = Path(tempfile.mkdtemp(prefix="event-loop-"))
    table = cohort or generate_cohort(folder / "cohort", n_slides=8, side_px=1024)
    dock.start_job(
        TrainJob(
            cohort=table,
            run_dir=folder / "run",
            preset="cpu-small",
            overrides={"training.epochs": 500},
        )
    )
    curve = dock.train_panel.curve
    wait_until(lambda: bool(curve.value()), 300)


def play(steps: Iterator[tuple[str, Callable]], watch: LoopWatch, seconds: float) -> None:
    """Do one thing after the other, as fast as a quick user, for so long."""
    loop = QEventLoop()
    timer = QTimer()

    def step() -> None:
        watch.during, act = next(steps)
        act()

    timer.timeout.connect(step)
    watch.start()
    timer.start(STEP_MS)
    QTimer.singleShot(int(seconds * 1000), loop.quit)
    loop.exec()
    timer.stop()
    watch.stop()


def script(dock: DreSlclDock, native: QWidget) -> Iterator[tuple[str, Callable]]:
    """Yield (what, action) for ever."""
    middle = QPoint(native.width() // 2, native.height() // 2)
    looks = look_around(native)
    while True:
        yield from itertools.islice(looks, LOOKS)
        for number in range(3):
            yield "click a tile", lambda n=number: click(native, middle + QPoint(20 * n, 30 * n))
        for kind in ("clusters", "attention", "clusters", "attention"):
            yield f"show or hide {kind}", lambda k=kind: toggle(dock, k)
        for combo in visible(dock.explore_panel.maps, QComboBox):
            for index in range(combo.count()):
                yield f"map {combo.itemText(index)}", lambda c=combo, i=index: c.setCurrentIndex(i)
        yield from folds(dock)
        for index in (0, 1, 2, 3):
            yield f"tab {dock.tabs.tabText(index)}", lambda i=index: dock.tabs.setCurrentIndex(i)
            yield from typing(dock.tabs.widget(index))


def look_around(native: QWidget) -> Iterator[tuple[str, Callable]]:
    """Zoom, pan and hover for ever; `LOOKS` of these end where they began."""
    middle = QPoint(native.width() // 2, native.height() // 2)
    for turn in itertools.count():
        for _ in range(6):
            yield "zoom", lambda t=turn: wheel(native, middle, 120 if t % 2 else -120)
        for number in range(12):
            yield "pan", lambda n=number: drag(native, middle, n)
        for number in range(20):
            place = middle + QPoint(17 * number - 170, 11 * number - 110)
            yield "hover", lambda p=place: move(native, p)


def folds(dock: DreSlclDock) -> Iterator[tuple[str, Callable]]:
    """Open and close the sections of Explore, and type where one can."""
    for title, section in dock.explore_panel.sections.items():
        yield f"open {title}", lambda s=section: s.expand(animate=False)
        yield from typing(section)
        yield f"fold {title}", lambda s=section: s.collapse(animate=False)


def typing(panel: QWidget) -> Iterator[tuple[str, Callable]]:
    """Type a word into the fields that can be seen, and take it out again."""
    for field in visible(panel, QLineEdit)[:3]:
        if field.isReadOnly() or not field.isEnabled() or isinstance(field.parent(), QComboBox):
            continue
        before = field.text()
        for letter in "tumour":
            yield f"type in {field.placeholderText()!r}", lambda f=field, a=letter: f.insert(a)
        yield "take out what was typed", lambda f=field, b=before: f.setText(b)


def visible(panel: QWidget, kind: type) -> list:
    """Return the widgets of a kind that can be seen."""
    return [one for one in panel.findChildren(kind) if one.isVisible()]


def toggle(dock: DreSlclDock, kind: str) -> None:
    layer = dock.overlay.layer(kind)
    if layer is not None:
        layer.visible = not layer.visible


def drag(native: QWidget, middle: QPoint, number: int) -> None:
    """Pull the canvas about, back to where it was after twelve steps."""
    way = 15 if number < 6 else -15
    button = Qt.MouseButton.LeftButton
    QTest.mousePress(native, button, pos=middle)
    move(native, middle + QPoint(way, way), button)
    QTest.mouseRelease(native, button, pos=middle + QPoint(way, way))


def click(native: QWidget, place: QPoint) -> None:
    QTest.mouseClick(native, Qt.MouseButton.LeftButton, pos=place)


def move(native: QWidget, place: QPoint, buttons: Qt.MouseButton = Qt.MouseButton.NoButton) -> None:
    event = QMouseEvent(
        QEvent.Type.MouseMove,
        QPointF(place),
        QPointF(native.mapToGlobal(place)),
        Qt.MouseButton.NoButton,
        buttons,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(native, event)


def wheel(native: QWidget, place: QPoint, angle: int) -> None:
    event = QWheelEvent(
        QPointF(place),
        QPointF(native.mapToGlobal(place)),
        QPoint(0, 0),
        QPoint(0, angle),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(native, event)


def wait_until(is_done: Callable[[], bool], seconds: float) -> None:
    """Let the window live until something is so."""
    loop, poll, end = QEventLoop(), QTimer(), QTimer()
    poll.timeout.connect(lambda: is_done() and loop.quit())
    poll.start(50)
    end.setSingleShot(True)
    end.timeout.connect(loop.quit)
    end.start(int(seconds * 1000))
    loop.exec()
    poll.stop()
    if not is_done():
        raise SystemExit(f"Waited {seconds} s in vain; is a message shown in the window?")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run or model folder")
    parser.add_argument("--slide", type=Path, required=True)
    parser.add_argument("--mpp", type=float)
    parser.add_argument("--cohort", type=Path, help="to train on; generated slides by default")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--worst", type=int, default=5, help="waits to tell about")
    parser.add_argument("--quiet", action="store_true", help="no training meanwhile")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
