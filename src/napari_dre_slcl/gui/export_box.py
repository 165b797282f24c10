"""Export: maps, tables, pictures and a report of the slide as files."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QTimer, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_dre_slcl.errors import DreSlclError, ExportError
from napari_dre_slcl.export.chosen_map import CODEWORDS
from napari_dre_slcl.export.export_slide import ExportRequest
from napari_dre_slcl.export.look import CodewordLook
from napari_dre_slcl.gui.export_formats import FORMATS
from napari_dre_slcl.gui.export_task import ExportTask
from napari_dre_slcl.gui.message_line import MessageLine
from napari_dre_slcl.gui.note_label import NoteLabel
from napari_dre_slcl.gui.path_field import PathField
from napari_dre_slcl.gui.preferences import export_folder, picture_mpp, should_pseudonymize
from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.gui.tool_tip import tool_tip
from napari_dre_slcl.layers import available_maps
from napari_dre_slcl.results import SlideResult

__all__ = ["ExportBox"]

_POLL_MS = 100
_STEPS = 1000
_NOTHING = "Nothing to export yet. Predict this slide first, at the top of this tab."
_ALONE = "Names may tell who the patient is. Share such files only with people who may know."
_NAMES = (
    "Name the files after the slide and put its id and file name into the report. Without, "
    f"the files are called slide, slide-2 and so on. {_ALONE}"
)


class ExportBox(QWidget):
    """Export: maps, tables, pictures and a report of the slide as files.

    Parameters
    ----------
    session : Session
        What the panels share.
    colors : ThemeColors
        To paint with.
    """

    def __init__(
        self, session: Session, colors: ThemeColors, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._task: ExportTask | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._build()
        self._lay_out()
        self._connect()
        self.set_colors(colors)
        self._show_result()

    def _build(self) -> None:
        self.formats: dict[str, QCheckBox] = {}
        for name, (title, tip) in FORMATS.items():
            self.formats[name] = QCheckBox(title)
            self.formats[name].setToolTip(tool_tip(tip))
        self.formats["html"].setChecked(True)
        self.map = QComboBox()
        self.map.setToolTip("What the PNG picture shows over the slide.")
        self.map.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.mpp = QDoubleSpinBox()
        self.mpp.setRange(0.1, 100.0)
        self.mpp.setValue(picture_mpp())
        self.mpp.setSuffix(" µm per pixel")
        self.mpp.setToolTip("Resolution of the PNG picture; 4 µm shows glands, 1 µm shows nuclei.")
        self.folder = PathField("folder", "Folder for the files")
        self.folder.setValue(export_folder())
        self.names = QCheckBox("With the slide's name")
        self.names.setToolTip(_NAMES)
        self.warning = NoteLabel(f"⚠ {_ALONE}")
        self.export_button = QPushButton("Export")
        self.export_button.setToolTip("Write the chosen files.")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop; files that are whole by now stay.")
        self.open_button = QPushButton("Open folder")
        self.open_button.setToolTip("Show the files in the system's file browser.")
        self.progress = QProgressBar()
        self.progress.setRange(0, _STEPS)
        self.message = MessageLine()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        for box in self.formats.values():
            layout.addWidget(box)
        self.picture = QWidget()
        form = QFormLayout(self.picture)
        form.setContentsMargins(20, 0, 0, 0)  # below the box that it belongs to
        form.addRow("Map", self.map)
        form.addRow("Resolution", self.mpp)
        layout.insertWidget(2, self.picture)
        layout.addWidget(self.folder)
        layout.addWidget(self.names)
        layout.addWidget(self.warning)
        buttons = QHBoxLayout()
        for button in (self.export_button, self.cancel_button, self.open_button):
            buttons.addWidget(button)
        layout.addLayout(buttons)
        layout.addWidget(self.progress)
        layout.addWidget(self.message)
        self.warning.hide()
        self.open_button.hide()
        self.picture.hide()

    def _connect(self) -> None:
        session = self._session
        self.formats["png"].toggled.connect(self.picture.setVisible)
        self.names.toggled.connect(self.warning.setVisible)
        self.export_button.clicked.connect(self.export)
        self.cancel_button.clicked.connect(self.cancel)
        self.open_button.clicked.connect(self._open_folder)
        self._timer.timeout.connect(self._show_step)
        session.overlay.result_shown.connect(self._show_result)
        session.overlay.slide_changed.connect(self._show_result)
        session.closing.connect(self.cancel)

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme; nothing here is painted by hand."""
        self._colors = colors

    def value(self) -> ExportRequest:
        """Return what the fields ask for.

        Raises
        ------
        ExportError
            If no format or no folder is chosen.
        """
        formats = tuple(name for name, box in self.formats.items() if box.isChecked())
        if not formats:
            raise ExportError("Nothing is chosen. Tick at least one kind of file.")
        folder = self.folder.value()
        if folder is None:
            raise ExportError("No folder is chosen. Choose where the files should go.")
        return ExportRequest(
            formats=formats,
            out=folder.absolute(),
            picture_mpp=self.mpp.value(),
            map_key=self.map.currentData() or CODEWORDS,
            has_names=self.names.isChecked(),
        )

    def export(self) -> None:
        """Start the export, or say what is missing."""
        result = self._session.result
        if self._task is not None:
            self.message.tell("An export is running already.")
            return
        if result is None:
            self.message.tell(_NOTHING)
            return
        try:
            request = self.value()
        except DreSlclError as error:
            self.message.complain(str(error))
            return
        look = self._look(result)
        self._task = ExportTask(result, request, look, is_private=should_pseudonymize())
        self._set_running(True)
        self._session.background.run(
            "exporting a result", self._task.run, on_done=self._on_done, on_error=self._on_error
        )

    def cancel(self) -> None:
        """Stop a running export."""
        if self._task is not None:
            self._task.cancel()

    def _look(self, result: SlideResult) -> CodewordLook | None:
        """Return names and colours as they are in the window."""
        style = self._session.codewords
        if style.n_codewords != result.n_codewords:
            return None
        return CodewordLook(style.names, style.colors)

    def _on_done(self, files: list[Path] | None) -> None:
        request = self._end()
        if files is None:
            self.message.tell("Cancelled.")
            return
        names = ", ".join(path.name for path in files)
        self.message.tell(f"Written to {request.out}: {names}")
        self.open_button.show()

    def _on_error(self, sentence: str) -> None:
        self._end()
        self.message.complain(sentence)

    def _end(self) -> ExportRequest:
        assert self._task is not None  # an answer follows a task
        request = self._task.request
        self._task = None
        self._set_running(False)
        return request

    def _set_running(self, is_running: bool) -> None:
        self.export_button.setVisible(not is_running)
        self.cancel_button.setVisible(is_running)
        self.progress.setVisible(is_running)
        if is_running:
            self.open_button.hide()
            self.progress.setValue(0)
            self.message.tell("Exporting…")
            self._timer.start()
        else:
            self._timer.stop()

    def _show_step(self) -> None:
        if self._task is not None:
            name, share = self._task.step
            self.progress.setValue(round(share * _STEPS))
            if name:
                self.message.tell(f"Exporting: {FORMATS[name][0]}")

    def _show_result(self, _: object = None) -> None:
        """List the maps of the result that is meant, or say that there is none."""
        result = self._session.result
        self.names.setChecked(False)  # asked anew for every slide
        self.export_button.setEnabled(result is not None)
        chosen = self.map.currentData()
        self.map.clear()
        if result is not None:
            if result.n_codewords:
                self.map.addItem("Tile clusters", CODEWORDS)
            for choice in available_maps(result):
                self.map.addItem(choice.title, choice.key)
        self.map.setCurrentIndex(max(0, self.map.findData(chosen)))
        if self._task is None:
            self._set_running(False)
            self.message.tell("" if result is not None else _NOTHING)

    def _open_folder(self) -> None:
        folder = self.folder.value()
        if folder is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
