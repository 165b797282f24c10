"""CohortFolds: part the cohort by patient or by hospital, look at it, save it for an evaluation."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_dre_slcl.gui.bars import Bar, BarList
from napari_dre_slcl.gui.cohort_work import DrawnFolds, FoldRequest
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.theme import ThemeColors

__all__ = ["CohortFolds"]

_MOST_FOLDS = 50


class CohortFolds(QWidget):
    """Asks for folds and shows them.

    Parameters
    ----------
    colors : ThemeColors
        To paint with.
    """

    folds_requested = Signal(object)
    """A `FoldRequest`."""
    save_requested = Signal(object)
    """Path of a new folder for the folds."""

    def __init__(self, colors: ThemeColors, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._table: Path | None = None
        self._request: FoldRequest | None = None
        self._build()
        self.bars = BarList(colors)
        self.note = MessageLine()
        self._lay_out()
        self.make_button.clicked.connect(lambda: self.folds_requested.emit(self.value()))
        self.save_button.clicked.connect(self._pick_folder)
        self.set_folds(None)

    def _build(self) -> None:
        self.by_field = QComboBox()
        self.by_field.addItem("whole patients", "patient")
        self.by_field.addItem("whole hospitals (site)", "site")
        self.by_field.setToolTip(
            "What stays together. Folds by hospital ask how a model does where it has never been; "
            "they need the column site."
        )
        self.n_field = QSpinBox()
        self.n_field.setRange(2, _MOST_FOLDS)
        self.n_field.setValue(5)
        self.n_field.setToolTip("How many folds; each slide is tested in one of them.")
        self.val_field = QSpinBox()
        self.val_field.setRange(0, 50)
        self.val_field.setValue(10)
        self.val_field.setSuffix(" %")
        self.val_field.setToolTip(
            "Share of the training patients that validate: they tell when to stop, and are not "
            "tested."
        )
        self.seed_field = QSpinBox()
        self.seed_field.setRange(0, 2**31 - 1)
        self.seed_field.setToolTip("Another number draws other folds; the same, the same ones.")
        self.make_button = QPushButton("Make folds")
        self.make_button.setToolTip("Labels that look like classes are spread evenly.")
        self.save_button = QPushButton("Save folds…")
        self.save_button.setToolTip("As a folder of split files that 'dre-slcl evaluate' reads.")

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        for name, field in (
            ("Keep together", self.by_field),
            ("Folds", self.n_field),
            ("Validation", self.val_field),
            ("Seed", self.seed_field),
        ):
            form.addRow(name, field)
        buttons = QHBoxLayout()
        buttons.addWidget(self.make_button)
        buttons.addWidget(self.save_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self.bars)
        layout.addWidget(self.note)

    def value(self) -> FoldRequest:
        """Return the folds that the fields describe."""
        return FoldRequest(
            self.by_field.currentData(),
            self.n_field.value(),
            self.val_field.value() / 100,
            self.seed_field.value(),
        )

    def set_table(self, table: Path | None) -> None:
        """Say beside which table folds are saved unless the user wants otherwise."""
        self._table = table

    def set_folds(self, drawn: DrawnFolds | None) -> None:
        """Show folds, or None for none."""
        self._request = None if drawn is None else drawn.request
        self.save_button.setEnabled(drawn is not None)
        if drawn is None:
            self.bars.setValue(())
            self.note.tell("")
            return
        total = sum(fold.n_test for fold in drawn.summaries) or 1
        bars = [
            Bar(
                f"Fold {number}",
                fold.n_test / total,
                f"{fold.n_test:,} slides, {fold.n_test_patients:,} patients",
            )
            for number, fold in enumerate(drawn.summaries, start=1)
        ]
        self.bars.setValue([Bar("Tested in each fold", is_heading=True), *bars])
        self.note.tell(_evenness(drawn))

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self.bars.set_colors(colors)

    def suggested_folder(self) -> Path:
        """Return a folder beside the table that is not there yet."""
        home = self._table or Path.cwd() / "cohort.csv"
        by = self._request.by if self._request else "patient"
        free, number = home.with_name(f"{home.stem}-folds-{by}"), 2
        while free.exists():
            free, number = home.with_name(f"{home.stem}-folds-{by}-{number}"), number + 1
        return free

    def _pick_folder(self) -> None:
        picked, _ = QFileDialog.getSaveFileName(
            self,
            "New folder for the folds",
            str(self.suggested_folder()),
            options=QFileDialog.Option.ShowDirsOnly,
        )
        if picked:
            self.save_requested.emit(Path(picked))


def _evenness(drawn: DrawnFolds) -> str:
    """Return how much the share of each label differs between folds."""
    told = []
    for column in drawn.summaries[0].test_shares:
        values = {value for fold in drawn.summaries for value in fold.test_shares[column]}
        for value in sorted(values)[-1:] if len(values) == 2 else sorted(values):
            shares = [fold.test_shares[column].get(value, 0.0) for fold in drawn.summaries]
            told.append(f"{column} {value}: {_span(min(shares), max(shares))}")
    if not told:
        return "No label column looks like classes, so that none is spread evenly."
    return f"Share among the tested slides of each fold: {'; '.join(told)}."


def _span(least: float, most: float) -> str:
    low, high = f"{100 * least:.0f}", f"{100 * most:.0f}"
    return f"{low} %" if low == high else f"{low}–{high} %"
