"""TrainForm: cohort, run folder, method and settings of a training, as one job."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QComboBox, QCompleter, QVBoxLayout, QWidget

from napari_dre_slcl.cohort.cohort import read_cohort
from napari_dre_slcl.config import (
    METHOD_LINES,
    METHODS,
    MethodName,
    load_preset,
    main_settings,
    method_settings,
    preset_names,
    setting_names,
    with_overrides,
)
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.gui.background import Background
from napari_dre_slcl.gui.forms import SettingsForm
from napari_dre_slcl.gui.path_field import PathField
from napari_dre_slcl.gui.plain_label import PlainLabel
from napari_dre_slcl.gui.preferences import should_pseudonymize
from napari_dre_slcl.gui.section import Section
from napari_dre_slcl.jobs.messages import EstimateJob, TrainJob

__all__ = ["TrainForm", "free_run_dir"]

_PINNED_TIP = (
    "A slide of the cohort whose clusters and attention are drawn anew after each epoch, so that "
    "you can watch the model learn. Open the slide to see it."
)
_NONE_PINNED = "none"


class TrainForm(QWidget):
    """Fields that describe a `TrainJob`: the basic ones in sight, all others folded away.

    Parameters
    ----------
    background : Background
        Reads the slides' names out of the cohort table.
    """

    changed = Signal()

    def __init__(self, background: Background, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._background = background
        self._build_choices()
        config = load_preset(self.preset_field.currentText())
        main = sorted({name for method in METHODS for name in main_settings(method)}, key=_order)
        others = [name for name in setting_names() if name not in main]
        self.basic_form = SettingsForm(main, config, has_headings=False)
        self.advanced_form = SettingsForm(others, config)
        self._lay_out()
        self._connect()
        self._use_method(METHODS[0])

    def _build_choices(self) -> None:
        self.cohort_field = PathField(
            "file", "Cohort table", "Tables (*.csv *.tsv *.txt *.xlsx *.parquet);;All (*)"
        )
        self.cohort_field.setToolTip(
            "CSV with the columns slide, slide_id and patient_id, and at will site, report, mpp, "
            "split and any label columns."
        )
        self.run_field = PathField("new folder", "Run folder")
        self.run_field.setToolTip("A new folder for the model, its metrics and the record.")
        self.method_field = QComboBox()
        self.method_field.addItems(list(METHODS))
        for place, name in enumerate(METHODS):
            self.method_field.setItemData(place, METHOD_LINES[name], Qt.ItemDataRole.ToolTipRole)
        self.method_field.setToolTip("How the model learns. Each can predict when it is trained.")
        self.method_line = PlainLabel()
        self.method_line.setWordWrap(True)
        self.preset_field = QComboBox()
        self.preset_field.addItems(preset_names())
        self.preset_field.setToolTip("Settings to start from; cpu-small runs without a GPU.")
        self.pinned_field = QComboBox()
        self.pinned_field.setEditable(True)
        self.pinned_field.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        # Else a cohort of ten thousand slides would have each of its names measured.
        self.pinned_field.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        completer = self.pinned_field.completer()
        if completer is not None:
            completer.setFilterMode(Qt.MatchFlag.MatchContains)
            completer.setCompletionMode(QCompleter.CompletionMode.PopupCompletion)
        self.pinned_field.setToolTip(_PINNED_TIP)
        self._set_slide_ids(())

    def _lay_out(self) -> None:
        rows: tuple[tuple[str, QWidget], ...] = (
            ("Cohort table", self.cohort_field),
            ("Run folder", self.run_field),
            ("Method", self.method_field),
            ("", self.method_line),
            ("Preset", self.preset_field),
            ("Pinned slide", self.pinned_field),
        )
        for place, (label, widget) in enumerate(rows):
            self.basic_form.insert_row(place, label, widget)
        self.folded = Section("Advanced settings")
        self.folded.addWidget(self.advanced_form)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.basic_form)
        layout.addWidget(self.folded)

    def _connect(self) -> None:
        self.cohort_field.valueChanged.connect(self._on_cohort)
        self.preset_field.currentTextChanged.connect(self._use_preset)
        self.method_field.currentTextChanged.connect(self._use_method)
        for signal in (
            self.cohort_field.valueChanged,
            self.run_field.valueChanged,
            self.preset_field.currentTextChanged,
            self.method_field.currentTextChanged,
            self.basic_form.valueChanged,
            self.advanced_form.valueChanged,
        ):
            signal.connect(self._tell_change)

    def value(self) -> TrainJob:
        """Return the job that the fields describe.

        Raises
        ------
        JobError, ConfigError
            If a field is empty or a setting does not fit.
        """
        cohort, run_dir = self.cohort_field.value(), self.run_field.value()
        if cohort is None:
            raise JobError("No cohort table is chosen. Pick a CSV file that lists the slides.")
        if run_dir is None:
            raise JobError("No run folder is chosen. Name a new folder for the model.")
        preset, method = self.preset_field.currentText(), self.method_field.currentText()
        overrides = self.basic_form.value() | self.advanced_form.value()
        if method != METHODS[0]:
            overrides["method"] = method
        with_overrides(load_preset(preset), overrides)
        return TrainJob(
            cohort=cohort.absolute(),
            run_dir=run_dir.absolute(),
            preset=preset,
            overrides=overrides,
            pinned=self._pinned(),
            pseudonymize=should_pseudonymize(),
        )

    def setValue(self, job: TrainJob) -> None:
        """Fill the fields from a job."""
        self.preset_field.setCurrentText(job.preset)
        self.method_field.setCurrentText(str(job.overrides.get("method", METHODS[0])))
        config = with_overrides(load_preset(job.preset), job.overrides)
        base = load_preset(job.preset)
        for form in (self.basic_form, self.advanced_form):
            form.setValue(config)
            form.rebase(base)
        self.cohort_field.setValue(job.cohort)
        self.run_field.setValue(job.run_dir)
        if job.pinned is not None:
            if self.pinned_field.findText(job.pinned) < 0:
                self.pinned_field.addItem(job.pinned)
            self.pinned_field.setCurrentText(job.pinned)

    def estimate(self) -> EstimateJob:
        """Return the job that says what `value` would take; raises as that does."""
        job = self.value()
        return EstimateJob(
            cohort=job.cohort,
            run_dir=job.run_dir,
            preset=job.preset,
            overrides=job.overrides,
            pseudonymize=job.pseudonymize,
        )

    def _pinned(self) -> str | None:
        text = self.pinned_field.currentText().strip()
        if text in ("", _NONE_PINNED):
            return None
        if self.pinned_field.findText(text, Qt.MatchFlag.MatchExactly) < 0:
            raise JobError(
                f"The pinned slide '{text}' is not in the cohort table. Choose one of the list, "
                f"or '{_NONE_PINNED}'."
            )
        return text

    def _on_cohort(self, cohort: Path | None) -> None:
        if cohort is None:
            self._set_slide_ids(())
            return
        self._background.run(
            "reading the slides of a cohort",
            partial(_slide_ids, cohort),
            on_done=self._on_slide_ids,
            on_error=lambda _: self._set_slide_ids(()),
        )
        if cohort.is_file():
            self.run_field.setValue(free_run_dir(cohort.parent / "runs"))

    def _on_slide_ids(self, found: tuple[Path, tuple[str, ...]]) -> None:
        cohort, names = found
        if cohort == self.cohort_field.value():
            self._set_slide_ids(names)

    def _set_slide_ids(self, names: tuple[str, ...]) -> None:
        chosen = self.pinned_field.currentText()
        self.pinned_field.clear()
        self.pinned_field.addItems([_NONE_PINNED, *names])
        self.pinned_field.setCurrentText(chosen if chosen in names else _NONE_PINNED)

    def _use_preset(self, name: str) -> None:
        config = load_preset(name)
        self.basic_form.setValue(config)
        self.advanced_form.setValue(config)

    def _use_method(self, name: str) -> None:
        method: MethodName = next(known for known in METHODS if known == name)
        self.method_line.setText(METHOD_LINES[method])
        main = main_settings(method)
        self.basic_form.show_only(main)
        self.advanced_form.show_only(name for name in method_settings(method) if name not in main)

    def _tell_change(self, *_: Any) -> None:
        self.changed.emit()


def free_run_dir(folder: Path) -> Path:
    """Return the first of ``folder/run-1``, ``run-2``, … that does not exist."""
    number = 1
    while (folder / f"run-{number}").exists():
        number += 1
    return folder / f"run-{number}"


def _slide_ids(cohort: Path) -> tuple[Path, tuple[str, ...]]:
    """Read the slides' names; a table with findings has them as well."""
    return cohort, tuple(row.slide_id for row in read_cohort(cohort, needs_slides=False).rows)


def _order(name: str) -> int:
    """Put how long it learns first, then whom it validates on."""
    names = setting_names()
    is_length = name.endswith((".epochs", ".fresh_tiles"))
    return names.index(name) - (len(names) if is_length else 0)
