"""RunList: the runs that this user has started, and what can be done with each of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from qtpy.QtCore import QPoint, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QGridLayout,
    QHeaderView,
    QMenu,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.note_label import NoteLabel
from napari_dre_slcl.gui.run_watch import RunWatch
from napari_dre_slcl.gui.texts import metric_rows
from napari_dre_slcl.gui.tool_tip import tool_tip
from napari_dre_slcl.jobs.known_runs import forget_run
from napari_dre_slcl.jobs.run_summary import RunSummary, age_text, state_text

__all__ = ["RunList"]

_EMPTY = "No runs yet. A training that you start here, or with 'dre-slcl train', appears here."
_COLUMNS = ("Run", "State", "Last heard")
_HEIGHT_PX = 150


class RunList(QWidget):
    """Shows what `RunWatch` reads, every other second while it can be seen.

    Parameters
    ----------
    watch : RunWatch
        Reads the runs.
    """

    show_requested = Signal(object)
    """Folder (Path) of a run whose course is to be shown."""
    resume_requested = Signal(object)
    """Folder (Path) of a run to go on with."""
    model_chosen = Signal(object)
    """Folder (Path) of a model to use in the Explore tab."""

    def __init__(self, watch: RunWatch, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._watch = watch
        self._runs: dict[Path, RunSummary] = {}
        self._can_start = True
        self._wanted: Path | None = None
        self._build()
        self._lay_out()
        self._connect()
        self._follow_selection()

    def _build(self) -> None:
        self.tree = QTreeWidget()
        self.tree.setHeaderLabels(list(_COLUMNS))
        self.tree.setRootIsDecorated(False)
        self.tree.setUniformRowHeights(True)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.tree.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.tree.setFixedHeight(_HEIGHT_PX)
        _share_width(self.tree.header())
        self.details = NoteLabel(_EMPTY)
        self.message = MessageLine()
        self.show_button = QPushButton("Show")
        self.show_button.setToolTip(
            "Shows how this run goes, or went, above; one that goes on can be paused and cancelled."
        )
        self.resume_button = QPushButton("Resume")
        self.resume_button.setToolTip("Goes on from the last checkpoint of this run.")
        self.model_button = QPushButton("Use its model")
        self.model_button.setToolTip("Takes the model of this run into the Explore tab.")
        self.forget_button = QPushButton("Remove")
        self.forget_button.setToolTip("Takes the run off this list. Its files stay where they are.")

    def _lay_out(self) -> None:
        buttons = QGridLayout()
        for place, button in enumerate(
            (self.show_button, self.resume_button, self.model_button, self.forget_button)
        ):
            buttons.addWidget(button, place // 2, place % 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.tree, self.details):
            layout.addWidget(widget)
        layout.addLayout(buttons)
        layout.addWidget(self.message)

    def _connect(self) -> None:
        self._watch.listed.connect(self.setValue)
        self.tree.itemSelectionChanged.connect(self._follow_selection)
        self.tree.itemDoubleClicked.connect(lambda *_: self._show())
        self.tree.customContextMenuRequested.connect(self._open_menu)
        self.show_button.clicked.connect(lambda: self._show())
        self.resume_button.clicked.connect(lambda: self._resume())
        self.model_button.clicked.connect(lambda: self._use_model())
        self.forget_button.clicked.connect(lambda: self._forget())

    def value(self) -> tuple[RunSummary, ...]:
        """Return the runs that are shown, in order."""
        return tuple(self._runs.values())

    def setValue(self, runs: Sequence[RunSummary]) -> None:
        """Show these runs; what is selected stays selected."""
        paths = [run.run_dir for run in runs]
        is_same_order = paths == list(self._runs)
        chosen = self.chosen()
        self._runs = {run.run_dir: run for run in runs}
        if not is_same_order:
            self._rebuild(chosen.run_dir if chosen else None)
        for place, run in enumerate(runs):
            _fill(self.tree.topLevelItem(place), run)
        if self._wanted is not None:
            self.choose(self._wanted)
        self._follow_selection()

    def chosen(self) -> RunSummary | None:
        """Return the run that is selected."""
        items = self.tree.selectedItems()
        return self._runs.get(Path(items[0].data(0, Qt.ItemDataRole.UserRole))) if items else None

    def choose(self, run_dir: Path) -> None:
        """Select a run, now or as soon as it is in the list."""
        self._wanted = run_dir
        for place in range(self.tree.topLevelItemCount()):
            item = self.tree.topLevelItem(place)
            if item is not None and Path(item.data(0, Qt.ItemDataRole.UserRole)) == run_dir:
                self._wanted = None
                self.tree.setCurrentItem(item)

    def set_can_start(self, can_start: bool) -> None:
        """Offer to resume runs, or not while this window's engine is busy."""
        self._can_start = can_start
        self._follow_selection()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Keep the list current from now on."""
        self._watch.keep_listing(True)
        if event is not None:
            super().showEvent(event)

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Read nothing that nobody sees."""
        self._watch.keep_listing(False)
        if event is not None:
            super().hideEvent(event)

    def _rebuild(self, chosen: Path | None) -> None:
        self.tree.blockSignals(True)
        self.tree.clear()
        for run_dir in self._runs:
            item = QTreeWidgetItem()
            item.setData(0, Qt.ItemDataRole.UserRole, str(run_dir))
            self.tree.addTopLevelItem(item)
        self.tree.blockSignals(False)
        if chosen is not None:
            self.choose(chosen)

    def _follow_selection(self) -> None:
        run = self.chosen()
        is_there = run is not None and run.is_there
        self.show_button.setEnabled(is_there)
        self.forget_button.setEnabled(run is not None and not run.status.is_active)
        self.model_button.setEnabled(run is not None and run.model is not None)
        can_resume = run is not None and run.status.is_resumable and run.status.is_free
        self.resume_button.setEnabled(is_there and can_resume and self._can_start)
        if run is not None:
            self.details.setText(_details(run))
        else:
            self.details.setText("Choose a run." if self._runs else _EMPTY)

    def _open_menu(self, place: QPoint) -> None:
        run = self.chosen()
        if run is None:
            return
        menu = QMenu(self)
        for button in (
            self.show_button,
            self.resume_button,
            self.model_button,
            self.forget_button,
        ):
            action = menu.addAction(button.text())
            if action is not None:
                action.setEnabled(button.isEnabled())
                action.triggered.connect(button.click)
        copy = menu.addAction("Copy folder name")
        if copy is not None:
            copy.triggered.connect(partial(_copy, str(run.run_dir)))
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        viewport = self.tree.viewport()
        if viewport is not None:
            menu.popup(viewport.mapToGlobal(place))

    def _show(self) -> None:
        run = self.chosen()
        if run is not None and run.is_there:
            self.show_requested.emit(run.run_dir)

    def _resume(self) -> None:
        run = self.chosen()
        if run is not None:
            self.resume_requested.emit(run.run_dir)

    def _use_model(self) -> None:
        run = self.chosen()
        if run is not None and run.model is not None:
            self.model_chosen.emit(run.model)
            self.message.tell("The Explore tab uses the model of this run now.")

    def _forget(self) -> None:
        run = self.chosen()
        if run is None:
            return
        try:
            forget_run(run.run_dir)
        except DreSlclError as error:
            self.message.complain(str(error))
        else:
            self.message.tell(f"Removed from the list. The files are still in {run.run_dir}.")
            self.setValue([other for other in self._runs.values() if other is not run])


def _share_width(header: QHeaderView | None) -> None:
    """Give state and time what they need, and the name the rest."""
    if header is None:
        return
    header.setStretchLastSection(False)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    for column in (1, 2):
        header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)


def _fill(item: QTreeWidgetItem | None, run: RunSummary) -> None:
    if item is None:
        return
    texts = (run.run_dir.name, state_text(run), age_text(run.heard))
    for column, text in enumerate(texts):
        if item.text(column) != text:
            item.setText(column, text)
            item.setToolTip(column, tool_tip(str(run.run_dir)))


def _details(run: RunSummary) -> str:
    """Return what is known of a run in a few lines."""
    what = ", ".join(part for part in (run.method, run.preset) if part)
    lines = [f"{what}, on {run.cohort}" if what else "", run.status.message]
    if run.status.is_active and run.stage:
        lines.append(f"{run.stage}: {run.done:,} of {run.total:,}")
    figures = run.test or {
        name: value for name, value in run.figures.items() if name.startswith(("loss", "val/"))
    }
    kind = "Held-out patients" if run.test else "Last epoch"
    if figures:
        shown = ", ".join(f"{name} {value:.3f}" for name, value in metric_rows(figures))
        lines.append(f"{kind}: {shown}")
    if run.status.holder is not None:
        lines.append(f"Held by {run.status.holder}.")
    elif run.status.is_active and run.status.host:
        lines.append(f"On the machine {run.status.host}.")
    return "\n".join(line for line in lines if line) or str(run.run_dir)


def _copy(text: str) -> None:
    clipboard = QApplication.clipboard()
    if clipboard is not None:
        clipboard.setText(text)
