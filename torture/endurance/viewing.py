"""A window that a person looks at: its canvas, the slides that are open, and waiting for it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from napari._qt.dialogs.qt_notification import NapariQtNotification
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_dre_slcl.gui.dock import DreSlclDock
from napari_dre_slcl.gui.layer_facts import facts_of
from torture.endurance.hands import click, drag, move, press, see, show_tab, wait_until, wheel
from torture.endurance.supplies import Supplies

__all__ = ["DRAWN_MS", "EXPLORE", "StuckError", "Viewing"]

DRAWN_MS = 120
_COLLECTED_MS = 2500  # what was open when a dock was opened is looked for 2 s after it has gone
SLIDE, COHORT, TRAIN, EXPLORE = range(4)
"""Places of the tabs."""
_PATIENCE_S = 180.0
_MOST_OPEN = 3


class StuckError(RuntimeError):
    """What was waited for never came."""


class Viewing:
    """One window with a dock, and what a person does to look at slides.

    Each public method is one action, made of real events of mouse and keys.

    Parameters
    ----------
    supplies : Supplies
        What there is to open.
    draw : random.Random
        Draws where to look.
    """

    def __init__(self, supplies: Supplies, draw: random.Random) -> None:
        self._supplies, self._draw = supplies, draw
        self._run = supplies.run
        self._number = 0
        self.viewer = napari.Viewer(title="DRE-SLCL", show=False)
        self._open_dock()
        self.viewer.window.show()
        self.viewer.window.resize(1400, 900)

    def _open_dock(self) -> None:
        self.dock = DreSlclDock(self.viewer)
        self._docked = self.viewer.window.add_dock_widget(self.dock, name="DRE-SLCL", area="right")
        if self._run is not None:
            self.dock.result_panel.model_field.setValue(self._run)

    # -- at the canvas ---------------------------------------------------------------------------

    @property
    def _canvas(self) -> Any:
        return self.viewer.window._qt_viewer.canvas.native

    def _place(self) -> QPoint:
        size = self._canvas.size()
        share = [self._draw.uniform(0.25, 0.75) for _ in range(2)]
        return QPoint(round(size.width() * share[0]), round(size.height() * share[1]))

    def draw(self) -> None:
        """Let the canvas be drawn, as it always is before a person does the next thing."""
        see(20)
        self._canvas.repaint()
        see(20)

    def zoom(self) -> None:
        """Turn the wheel a few times; lost in the glass, show the whole slide again."""
        angle = self._draw.choice((120, 120, -120))
        for _ in range(3):
            wheel(self._canvas, self._place(), angle)
        if self._draw.random() < 0.1:
            self.viewer.reset_view()

    def pan(self) -> None:
        """Pull the slide about."""
        way = QPoint(self._draw.randint(-200, 200), self._draw.randint(-200, 200))
        drag(self._canvas, self._place(), way)

    def hover(self) -> None:
        """Move the mouse over the tiles."""
        start, way = self._place(), self._place() * 0.1
        for step in range(5):
            move(self._canvas, start + way * step)

    def select(self) -> None:
        """Click a tile, and have similar ones searched where there is an index."""
        click(self._canvas, self._place())
        self._let_work()

    def layers(self) -> None:
        """Show or hide an overlay, or show both beside each other and back."""
        kind = self._draw.choice(("clusters", "attention", "side by side"))
        if kind != "side by side":
            layer = self.dock.overlay.layer(kind)
            if layer is not None:
                layer.visible = not layer.visible
            return
        for _ in range(2):
            press(self.dock.result_panel.side_by_side)
            self.draw()

    # -- files -----------------------------------------------------------------------------------

    def open(self) -> None:
        """Open a slide."""
        self._close_case()
        self._open_path(self._draw.choice(self._supplies.slides))

    def result(self) -> None:
        """Open a result with its slide."""
        self._close_case()
        self._load(self._draw.choice(self._supplies.results))

    def _open_path(self, path: Path) -> None:
        show_tab(self.dock.tabs, SLIDE)
        self._answer_dialogs(path)
        press(self.dock.slide_panel.open_button)
        self._let_work()

    def _load(self, path: Path) -> None:
        show_tab(self.dock.tabs, EXPLORE)
        self._answer_dialogs(path)
        press(self.dock.result_panel.load_button)
        self._let_work()

    def _answer_dialogs(self, path: Path) -> None:
        """Nobody is there to answer the system's dialogs."""
        QFileDialog.getOpenFileName = lambda *_: (str(path), "")  # type: ignore[method-assign]
        QFileDialog.getExistingDirectory = lambda *_: str(path)  # type: ignore[method-assign]

    def _close_case(self) -> None:
        """Close all slides where three are open, before the next is opened.

        All at once: napari 0.9.2 ends under software OpenGL in drawing an image after a layer of
        points beside it was removed, and where layers go and others come before a drawing.
        """
        if len({facts_of(one).get("path") for one in self.viewer.layers}) >= _MOST_OPEN:
            self.viewer.layers.clear()
            self.draw()

    def tidy(self) -> None:
        """Close all slides and wait until messages are gone, as before each measurement."""
        self.viewer.layers.clear()
        self.draw()
        show_tab(self.dock.tabs, SLIDE)
        if self._run is not None:
            for runner in (self.dock.session.trainer, self.dock.session.answerer):
                runner.get_ready()
        self._let_work()
        for one in QApplication.allWidgets():
            if isinstance(one, NapariQtNotification):
                one.close()
        see(_COLLECTED_MS)

    def _new(self, kind: str) -> Path:
        self._number += 1
        return self._supplies.out / f"{kind}-{self._number}"

    def _let_work(self) -> None:
        session = self.dock.session
        self._wait(
            lambda: (
                not (
                    session.background.is_busy
                    or session.thumbnails.is_busy
                    or session.tissue.is_busy
                )
            ),
            "the background",
        )
        see(20)

    def _wait(self, is_done: Callable[[], bool], what: str) -> None:
        if not wait_until(is_done, _PATIENCE_S):
            raise StuckError(f"Waited {_PATIENCE_S:.0f} s for {what} in vain.")
