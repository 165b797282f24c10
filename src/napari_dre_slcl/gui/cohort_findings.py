"""CohortFindings: what is wrong or doubtful in the cohort table; a click leads to the row."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QListView,
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_dre_slcl.cohort.problems import Problem
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.tool_tip import tool_tip

__all__ = ["CohortFindings", "findings_title"]

_MOST_SHOWN = 200
_MOST_ROWS_PX = 170
_LONGEST = 300


class CohortFindings(QWidget):
    """Lists problems first, then warnings."""

    row_requested = Signal(int, str)
    """Number of a row, and the name of the column that it is about."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._found: tuple[Problem, ...] = ()
        self._next: dict[int, int] = {}
        self.verdict = MessageLine()
        self.list = QListWidget()
        self.list.setWordWrap(True)
        self.list.setResizeMode(QListView.ResizeMode.Adjust)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.list.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.list.setMaximumHeight(_MOST_ROWS_PX)
        self.list.setToolTip("Click to see the row; again for the next one.")
        self.list.itemClicked.connect(lambda item: self.visit(self.list.row(item)))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.verdict)
        layout.addWidget(self.list)

    def setValue(self, problems: Sequence[Problem], warnings: Sequence[Problem]) -> None:
        """Show these findings."""
        self._found = (*problems, *warnings)[:_MOST_SHOWN]
        self._next = {}
        self.list.clear()
        for place, problem in enumerate(self._found):
            sign = "⚠" if place < len(problems) else "•"
            text = problem.sentence
            cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
            item = QListWidgetItem(f"{sign} {cut}")
            item.setToolTip(tool_tip(text[: 4 * _LONGEST]))
            self.list.addItem(item)
        self.list.setVisible(bool(self._found))
        self.verdict.tell(_verdict(len(problems), len(warnings)))
        self._fit()

    def visit(self, place: int) -> None:
        """Ask for the next row of a finding, from its first on and round again."""
        problem = self._found[place]
        if problem.rows:
            number = self._next.get(place, 0)
            self._next[place] = (number + 1) % len(problem.rows)
            self.row_requested.emit(problem.rows[number], problem.column)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Keep the list as high as its lines need at this width."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        room = self.list.maximumViewportSize().width() - 8
        metrics = self.list.fontMetrics()
        flags = int(Qt.TextFlag.TextWordWrap.value) | int(Qt.TextFlag.TextWrapAnywhere.value)
        height = 2 * self.list.frameWidth() + 4
        for place in range(self.list.count()):
            item = self.list.item(place)
            if item is not None:
                box = metrics.boundingRect(0, 0, max(60, room), 10_000, flags, item.text())
                item.setSizeHint(QSize(room, box.height() + 6))
                height += box.height() + 6
        self.list.setFixedHeight(min(_MOST_ROWS_PX, height))


def findings_title(problems: Sequence[Problem], warnings: Sequence[Problem]) -> str:
    """Return a heading that tells how much there is to see under it."""
    counts = [f"{len(problems):,} problem{'s' * (len(problems) != 1)}"] if problems else []
    counts += [f"{len(warnings):,} to look at"] if warnings else []
    return f"Findings: {', '.join(counts) or 'none'}"


def _verdict(n_problems: int, n_warnings: int) -> str:
    if not n_problems and not n_warnings:
        return "Nothing is wrong with this table."
    doubts = f"{n_warnings:,} thing{'s' * (n_warnings != 1)} to look at" if n_warnings else ""
    if not n_problems:
        return f"The table can be used. {doubts}."
    faults = f"{n_problems:,} problem{'s' * (n_problems != 1)}"
    both = f"{faults} and {doubts}" if doubts else faults
    return f"{both}: training refuses this table until the problems are mended."
