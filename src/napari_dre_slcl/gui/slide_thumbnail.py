"""SlideThumbnail: the whole slide, small, with the part that the canvas shows; a click goes there.

Made from the slide's own pyramid, never from the label, macro or thumbnail images of the file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_dre_slcl.gui.background import Background
from napari_dre_slcl.gui.overlay import Overlay
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.gui.viewed_region import ViewedRegion

__all__ = ["SlideThumbnail", "small_picture"]

_TOPIC = "drawing the overview of the slide"
_MOST_HEIGHT_PX, _LEAST_HEIGHT_PX = 190, 60
_LONGEST_PX = 800
_LEAST_FRAME_PX = 9.0
_STEP_SHARE = 0.25
_STEPS = {
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
}


def small_picture(level: Any, longest_px: int = _LONGEST_PX) -> NDArray[np.uint8]:
    """Return a level of a slide, averaged down until it fits.

    Parameters
    ----------
    level : array_like
        (height, width, 3) uint8, as napari draws it; read here, so outside the main thread.
    longest_px : int
        Most pixels along the longer side.

    Returns
    -------
    ndarray
        (height, width, 3) uint8.
    """
    pixels = np.ascontiguousarray(np.asarray(level)[..., :3])
    share = min(1.0, longest_px / max(pixels.shape[:2]))
    size = [max(1, round(edge * share)) for edge in (pixels.shape[1], pixels.shape[0])]
    return np.asarray(Image.fromarray(pixels).resize((size[0], size[1]), Image.Resampling.BOX))


class SlideThumbnail(QWidget):
    """Draws the slide that is meant; pressing or dragging moves the canvas there.

    Parameters
    ----------
    overlay : Overlay
        Knows which slide is meant.
    view : ViewedRegion
        Knows what the canvas shows.
    background : Background
        Reads the pixels.
    colors : ThemeColors
        To paint with.
    """

    drawn = Signal()
    """The pixels of the slide that is meant are there."""

    def __init__(
        self,
        overlay: Overlay,
        view: ViewedRegion,
        background: Background,
        colors: ThemeColors,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._overlay, self._view, self._background = overlay, view, background
        self._colors = colors
        self._path: str | None = None
        self._image: QImage | None = None
        self._words = ""
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName("Overview of the slide")
        self.setToolTip(
            "The whole slide. The frame is what the canvas shows: click or drag to go elsewhere, "
            "or use the arrow keys."
        )
        overlay.slide_changed.connect(self.show_slide)
        view.changed.connect(self.update)
        self.show_slide()

    @property
    def picture(self) -> QRectF:
        """Where the slide is drawn inside the widget."""
        height, width = self._slide_shape()
        scale = min(self.width() / width, self.height() / height)
        drawn = QRectF(0, 0, width * scale, height * scale)
        drawn.moveCenter(QRectF(self.rect()).center())
        return drawn

    @property
    def frame(self) -> QRectF | None:
        """Where the part that the canvas shows is drawn; None without a slide."""
        region = self._view.region()
        if region is None:
            return None
        picture, (height, width) = self.picture, self._slide_shape()
        top, left, bottom, right = region
        corners = [
            QPointF(
                picture.left() + x / width * picture.width(),
                picture.top() + y / height * picture.height(),
            )
            for y, x in ((top, left), (bottom, right))
        ]
        return QRectF(*corners).intersected(picture)

    def heightForWidth(self, width: int) -> int:
        """Return the height at which the slide fills the width, within reason."""
        rows, cols = self._slide_shape()
        return int(min(_MOST_HEIGHT_PX, max(_LEAST_HEIGHT_PX, width * rows / cols)))

    def sizeHint(self) -> QSize:
        """Return a size that fits the dock."""
        return QSize(360, self.heightForWidth(360))

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self._colors = colors
        self.update()

    def show_slide(self, _: object = None) -> None:
        """Read the slide that is meant, unless it is shown already."""
        layer = self._overlay.layer("slide")
        self.setVisible(layer is not None)
        path = None if layer is None else self._overlay.slide.path  # type: ignore[union-attr]
        if path == self._path:
            self.update()
            return
        self._path, self._image, self._words = path, None, "Reading the slide…"
        self.updateGeometry()
        self.update()
        if layer is not None:
            self._background.run(
                _TOPIC,
                small_picture,
                layer.data[-1],
                on_done=self._on_read,
                on_error=self._on_error,
            )

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Go to where the mouse was pressed."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._go_to(event.position())

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Follow the mouse while it is pressed."""
        if event is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self._go_to(event.position())

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Go a quarter of the view further with an arrow key."""
        region = self._view.region()
        step = None if event is None else _STEPS.get(Qt.Key(event.key()))
        if region is None or step is None:
            super().keyPressEvent(event)
            return
        top, left, bottom, right = region
        self._view.look_at(
            (top + bottom) / 2 + step[0] * _STEP_SHARE * (bottom - top),
            (left + right) / 2 + step[1] * _STEP_SHARE * (right - left),
        )

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the slide and the frame."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        if self._image is None:
            painter.fillRect(self.picture, self._colors.track)
            painter.setPen(self._colors.text)
            words = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.rect(), int(words), self._words)
            return
        picture = self.picture
        painter.drawImage(picture, self._image)
        painter.setPen(self._colors.track)  # else glass runs into a light theme
        painter.drawRect(picture.adjusted(0, 0, -1, -1))
        frame = self.frame
        if frame is not None and not frame.isNull():
            self._draw_frame(painter, frame)

    def _draw_frame(self, painter: QPainter, frame: QRectF) -> None:
        """Draw the frame so that it is seen on glass and on tissue, and however far zoomed in."""
        centre = frame.center()
        frame.setWidth(max(frame.width(), _LEAST_FRAME_PX))
        frame.setHeight(max(frame.height(), _LEAST_FRAME_PX))
        frame.moveCenter(centre)
        inside = frame.intersected(QRectF(self.rect())).adjusted(1.5, 1.5, -1.5, -1.5)
        dark, bright = Qt.GlobalColor.black, Qt.GlobalColor.yellow
        for color, width in ((dark, 3.0), (bright, 1.4)):
            painter.setPen(QPen(color, width))
            painter.drawRect(inside)

    def _go_to(self, place: QPointF) -> None:
        picture, (height, width) = self.picture, self._slide_shape()
        x = (place.x() - picture.left()) / picture.width() * width
        y = (place.y() - picture.top()) / picture.height() * height
        self._view.look_at(min(max(y, 0.0), height), min(max(x, 0.0), width))

    def _slide_shape(self) -> tuple[int, int]:
        info = self._overlay.slide
        return (1, 1) if info is None else info.shape

    def _on_read(self, pixels: NDArray[np.uint8]) -> None:
        height, width = pixels.shape[:2]
        content = np.ascontiguousarray(pixels).tobytes()
        image = QImage(content, width, height, 3 * width, QImage.Format.Format_RGB888)
        self._image = image.copy()  # the bytes go with this call
        self.update()
        self.drawn.emit()

    def _on_error(self, sentence: str) -> None:
        self._words = sentence
        self.update()
