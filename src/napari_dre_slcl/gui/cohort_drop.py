"""What may be dropped on the Cohort tab, and the place that invites to it."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QMimeData, QRectF, QSize, Qt
from qtpy.QtGui import QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_dre_slcl.cohort.feature_store import FEATURE_SUFFIXES
from napari_dre_slcl.cohort.from_folder import SLIDE_SUFFIXES
from napari_dre_slcl.gui.theme import ThemeColors

__all__ = ["TABLE_SUFFIXES", "DropInvitation", "dropped_paths", "is_table"]

TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".parquet")
_INVITATION = (
    "Drop a cohort table (CSV, TSV, Excel or Parquet) or a folder of slides here.\n\n"
    "A table has one row per slide, with the columns slide and patient_id; other columns are "
    "labels. Of a folder, such a table is made."
)
_MARGIN_PX = 14


class DropInvitation(QWidget):
    """Says what to do while there is no table.

    Parameters
    ----------
    colors : ThemeColors
        To paint with.
    """

    def __init__(self, colors: ThemeColors, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colors = colors
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(_INVITATION)

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self._colors = colors
        self.update()

    def sizeHint(self) -> QSize:
        """Return room for the sentences at the dock's width."""
        return QSize(300, 9 * self.fontMetrics().height() + 2 * _MARGIN_PX)

    def minimumSizeHint(self) -> QSize:
        """Return the same: the sentences are never cut."""
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint a dashed frame with the sentences."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        pen = QPen(self._colors.text)
        pen.setStyle(Qt.PenStyle.DashLine)
        painter.setPen(pen)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 6, 6)
        box = self.rect().adjusted(_MARGIN_PX, _MARGIN_PX, -_MARGIN_PX, -_MARGIN_PX)
        flags = Qt.AlignmentFlag.AlignCenter.value | Qt.TextFlag.TextWordWrap.value
        painter.drawText(box, int(flags), _INVITATION)
        painter.end()


def dropped_paths(mime: QMimeData | None) -> tuple[Path, ...]:
    """Return the files or the folder that are dragged, empty where we can use none of them."""
    if mime is None or not mime.hasUrls():
        return ()
    paths = tuple(Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile())
    if len(paths) == 1 and (paths[0].is_dir() or is_table(paths[0])):
        return paths
    usable = (*SLIDE_SUFFIXES, *FEATURE_SUFFIXES, ".dcm")
    fits = all(path.suffix.lower() in usable or path.is_dir() for path in paths)
    return paths if fits else ()


def is_table(path: Path) -> bool:
    """Whether a file's name says that it is a table."""
    return path.suffix.lower() in TABLE_SUFFIXES
