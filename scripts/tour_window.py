"""TourWindow: the real window as a user's hands and eyes have it; used by the tour."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import napari
from PIL import Image
from qtpy.QtCore import QEvent, QEventLoop, QPoint, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QScrollArea, QWidget

from napari_dre_slcl.gui.dock import DreSlclDock

WINDOW_PX = (1600, 1000)
MOST_BYTES = 300_000
PATIENCE_S = 420.0


class TourWindow:
    """A viewer with the dock, 1600 x 1000 px."""

    def __init__(self) -> None:
        self.viewer = napari.Viewer(title="DRE-SLCL", show=False)
        self.dock = DreSlclDock(self.viewer)
        self.viewer.window.add_dock_widget(self.dock, name="DRE-SLCL", area="right")
        self.viewer.window.show()
        self.viewer.window.resize(*WINDOW_PX)
        self.wait(1000)

    @property
    def canvas(self) -> QWidget:
        """The widget that the slide is drawn on."""
        return self.viewer.window._qt_viewer.canvas.native

    def close(self) -> None:
        """End the window without a question."""
        self.dock.session.trainer.should_keep_job = False
        self.viewer.close()
        QApplication.processEvents()

    def wait(self, ms: int) -> None:
        """Let the window live."""
        loop = QEventLoop()
        QTimer.singleShot(ms, loop.quit)
        loop.exec()

    def wait_until(self, is_done: Callable[[], bool]) -> None:
        """Let the window live until something is so."""
        left = PATIENCE_S
        while not is_done():
            self.wait(100)
            left -= 0.1
            if left < 0:
                raise SystemExit("Waited in vain; the last picture may say why.")

    def expect(self, signal: Any, act: Callable[[], None]) -> None:
        """Do something and wait for its signal."""
        seen: list[object] = []
        signal.connect(lambda *_: seen.append(1))
        act()
        self.wait_until(lambda: bool(seen))

    def use_theme(self, name: str) -> None:
        """Switch to the dark or the light theme."""
        if self.viewer.theme != name:
            self.viewer.theme = name
            self.wait(700)

    def show_tab(self, name: str) -> None:
        """Bring a tab to the front, scrolled to its top."""
        tabs = self.dock.tabs
        names = [tabs.tabText(index) for index in range(tabs.count())]
        tabs.setCurrentIndex(names.index(name))
        self._area().verticalScrollBar().setValue(0)
        self.wait(400)

    def open_section(self, title: str) -> None:
        """Open a section of the Explore tab, fold the others, and scroll to it."""
        self.show_tab("Explore")
        sections = self.dock.explore_panel.sections
        for name, section in sections.items():
            if name != title:
                section.collapse(animate=False)
        sections[title].expand(animate=False)
        self.wait(3500)  # thumbnails are read
        self.scroll_to(sections[title])

    def fold_sections(self) -> None:
        """Fold all sections of the Explore tab."""
        for section in self.dock.explore_panel.sections.values():
            section.collapse(animate=False)

    def scroll_to(self, widget: QWidget) -> None:
        """Bring a widget to the top of its tab."""
        area = self._area()
        top = widget.mapTo(area.widget(), QPoint(0, 0)).y()
        area.verticalScrollBar().setValue(top)
        self.wait(400)

    def look_at(self, y: float, x: float, zoom: float) -> None:
        """Zoom in on a place, as shares of the slide's height and width."""
        height, width = self.dock.overlay.slide.shape
        self.viewer.scene.camera.zoom *= zoom
        self.dock.session.view.look_at(y * height, x * width)
        self.wait(1500)

    def stroke(self, places: Sequence[tuple[float, float]]) -> None:
        """Draw with the left mouse button through places, as shares of the canvas."""
        first, last = places[0], places[-1]
        left = Qt.MouseButton.LeftButton
        self._mouse(QEvent.Type.MouseMove, first, Qt.MouseButton.NoButton)
        self._mouse(QEvent.Type.MouseButtonPress, first, left)
        for (top, near), (bottom, far) in itertools.pairwise(places):
            for share in (0.2, 0.4, 0.6, 0.8, 1.0):
                place = (top + share * (bottom - top), near + share * (far - near))
                self._mouse(QEvent.Type.MouseMove, place, left)
                self.wait(30)
        self._mouse(QEvent.Type.MouseButtonRelease, last, left)

    def hover(self, y: float, x: float) -> None:
        """Move the mouse over the canvas, given as shares of it."""
        self._mouse(QEvent.Type.MouseMove, (y, x - 0.01), Qt.MouseButton.NoButton)
        self._mouse(QEvent.Type.MouseMove, (y, x), Qt.MouseButton.NoButton)
        self.wait(500)

    def save(self, path: Path) -> Path:
        """Save the whole window as PNG; as JPEG where that would be more than 300 kB.

        Never with a palette: two codewords of a like colour must not become one.
        """
        pixels = Image.fromarray(self.viewer.screenshot(canvas_only=False, flash=False)[..., :3])
        for old in (path.with_suffix(".png"), path.with_suffix(".jpg")):
            old.unlink(missing_ok=True)
        target = path.with_suffix(".png")
        pixels.save(target, optimize=True)
        if target.stat().st_size <= MOST_BYTES:
            return target
        target.unlink()
        target = path.with_suffix(".jpg")
        for quality in (90, 85, 80, 70, 60):
            pixels.save(target, quality=quality, optimize=True, subsampling=0)
            if target.stat().st_size <= MOST_BYTES:
                break
        return target

    def _area(self) -> QScrollArea:
        area = self.dock.tabs.currentWidget()
        assert isinstance(area, QScrollArea)
        return area

    def _mouse(self, kind: QEvent.Type, place: tuple[float, float], button: Qt.MouseButton) -> None:
        canvas = self.canvas
        point = QPointF(place[1] * canvas.width(), place[0] * canvas.height())
        is_move = kind == QEvent.Type.MouseMove
        event = QMouseEvent(
            kind,
            point,
            QPointF(canvas.mapToGlobal(point.toPoint())),
            Qt.MouseButton.NoButton if is_move else button,
            Qt.MouseButton.NoButton if kind == QEvent.Type.MouseButtonRelease else button,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(canvas, event)
