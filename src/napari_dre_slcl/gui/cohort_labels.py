"""CohortLabels: how many slides and patients have each label, and where they come from."""

from __future__ import annotations

from collections.abc import Iterator

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_dre_slcl.cohort.summary import CohortSummary
from napari_dre_slcl.gui.bars import Bar, BarList
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.theme import ThemeColors

__all__ = ["CohortLabels", "facts_text"]

_MOST_SITES = 8
_UNITS = "slides / patients"


class CohortLabels(QWidget):
    """Bars for each label column, and a line that adds one.

    Parameters
    ----------
    colors : ThemeColors
        To paint with.
    """

    column_requested = Signal(str)
    """Name of a label column that the user wants to add."""

    def __init__(self, colors: ThemeColors, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.bars = BarList(colors)
        self.note = MessageLine()
        self.name_line = QLineEdit()
        self.name_line.setPlaceholderText("New label, such as subtype")
        self.name_line.setToolTip(
            "Adds an empty column. Fill it with F2; 'Write this cell into all selected ones' in "
            "the menu of a cell fills many at once."
        )
        self.add_button = QPushButton("Add column")
        self.add_button.setToolTip(self.name_line.toolTip())
        self.add_button.clicked.connect(self._add)
        self.name_line.returnPressed.connect(self._add)
        row = QHBoxLayout()
        row.addWidget(self.name_line, 1)
        row.addWidget(self.add_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.bars)
        layout.addWidget(self.note)
        layout.addLayout(row)

    def setValue(self, summary: CohortSummary) -> None:
        """Show what a cohort holds."""
        bars = [*_label_bars(summary), *_site_bars(summary)]
        self.bars.setValue(bars)
        others = ", ".join(f"{name} ({n:,} values)" for name, n in summary.other_columns.items())
        if others:
            self.note.tell(f"With more than ten values each: {others}.")
        else:
            self.note.tell("" if summary.labels else "No label column yet.")

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self.bars.set_colors(colors)

    def _add(self) -> None:
        if self.name_line.text().strip():
            self.column_requested.emit(self.name_line.text().strip())
            self.name_line.clear()


def facts_text(summary: CohortSummary) -> str:
    """Return what a cohort is, in one line."""
    parts = [f"{_amount(summary.n_slides, 'slide')} of {_amount(summary.n_patients, 'patient')}"]
    if summary.n_sites:
        parts.append(f"from {_amount(summary.n_sites, 'hospital')}")
    parts.append(f"({', '.join(f'{count:,} {kind}' for kind, count in summary.files.items())})")
    reports = f"{summary.n_reports:,} with a report" if summary.n_reports else "without reports"
    return f"{' '.join(parts)}, {reports}."


def _amount(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _label_bars(summary: CohortSummary) -> Iterator[Bar]:
    for label in summary.labels:
        total = sum(label.slides.values()) or 1
        yield Bar(label.column, text=_UNITS, is_heading=True)
        for value, slides in label.slides.items():
            yield Bar(value, slides / total, f"{slides:,} / {label.patients[value]:,}")
        if label.n_missing:
            yield Bar("(empty)", 0.0, f"{label.n_missing:,} / –")


def _site_bars(summary: CohortSummary) -> Iterator[Bar]:
    if not summary.sites:
        return
    yield Bar(f"{summary.n_sites:,} hospitals (site)", text=_UNITS, is_heading=True)
    for site in summary.sites[:_MOST_SITES]:
        share = site.n_slides / summary.n_slides
        yield Bar(site.site or "(empty)", share, f"{site.n_slides:,} / {site.n_patients:,}")
    rest = summary.sites[_MOST_SITES:]
    if rest:
        n_slides, n_patients = sum(s.n_slides for s in rest), sum(s.n_patients for s in rest)
        share = n_slides / summary.n_slides
        yield Bar(f"{len(rest)} others", share, f"{n_slides:,} / {n_patients:,}")
