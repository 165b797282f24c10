"""What hands do to a window: press, type, turn the wheel, drag, and wait for what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, QEventLoop, QPoint, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QApplication, QComboBox, QLineEdit, QTabWidget, QWidget

__all__ = [
    "choose",
    "click",
    "drag",
    "move",
    "press",
    "see",
    "show_tab",
    "type_text",
    "wait_until",
    "wheel",
]

_POLL_MS = 10
_HANDS: Any = QTest  # the stubs of one binding take its static methods for others
_LEFT = Qt.MouseButton.LeftButton
_NONE = Qt.MouseButton.NoButton


def see(ms: int) -> None:
    """Let the window live and draw for a while."""
    loop = QEventLoop()
    QTimer.singleShot(ms, loop.quit)
    loop.exec()


def wait_until(is_done: Callable[[], bool], seconds: float) -> bool:
    """Let the window live until something is so; whether it came to be."""
    loop, poll, end = QEventLoop(), QTimer(), QTimer()
    poll.timeout.connect(lambda: loop.quit() if is_done() else None)
    poll.start(_POLL_MS)
    end.setSingleShot(True)
    end.timeout.connect(loop.quit)
    end.start(int(seconds * 1000))
    if not is_done():
        loop.exec()
    poll.stop()
    end.stop()
    return is_done()


def press(button: QAbstractButton) -> None:
    """Press a button with the mouse; one that is folded away, as a shortcut would."""
    if button.isVisible() and not button.visibleRegion().isEmpty():
        _HANDS.mouseClick(button, _LEFT)
    else:
        button.click()


def choose(combo: QComboBox, place: int) -> None:
    """Go to an entry of a list with the arrow keys."""
    for _ in range(combo.count()):
        step = place - combo.currentIndex()
        if step == 0 or not combo.isEnabled():
            return
        _HANDS.keyClick(combo, Qt.Key.Key_Down if step > 0 else Qt.Key.Key_Up)


def type_text(line: QLineEdit, text: str) -> None:
    """Type a text in the place of what stands there."""
    line.selectAll()
    _HANDS.keyClick(line, Qt.Key.Key_Delete)
    _HANDS.keyClicks(line, text)


def show_tab(tabs: QTabWidget, place: int) -> None:
    """Click the title of a tab."""
    bar = tabs.tabBar()
    if bar is not None:
        _HANDS.mouseClick(bar, _LEFT, pos=bar.tabRect(place).center())


def click(canvas: QWidget, place: QPoint) -> None:
    """Click a place of the canvas."""
    _HANDS.mouseClick(canvas, _LEFT, pos=place)


def drag(canvas: QWidget, start: QPoint, way: QPoint) -> None:
    """Pull the picture."""
    _HANDS.mousePress(canvas, _LEFT, pos=start)
    for part in (0.5, 1.0):
        move(canvas, start + way * part, _LEFT)
    _HANDS.mouseRelease(canvas, _LEFT, pos=start + way)


def move(canvas: QWidget, place: QPoint, buttons: Qt.MouseButton = _NONE) -> None:
    """Move the mouse to a place of the canvas."""
    event = QMouseEvent(
        QEvent.Type.MouseMove,
        QPointF(place),
        QPointF(canvas.mapToGlobal(place)),
        _NONE,
        buttons,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(canvas, event)


def wheel(canvas: QWidget, place: QPoint, angle: int) -> None:
    """Turn the wheel over a place of the canvas."""
    event = QWheelEvent(
        QPointF(place),
        QPointF(canvas.mapToGlobal(place)),
        QPoint(0, 0),
        QPoint(0, angle),
        _NONE,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(canvas, event)
