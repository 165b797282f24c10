"""SettingsForm: fields for settings, made from the config models themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QLineEdit, QSpinBox, QWidget

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.gui.heading import heading
from napari_dre_slcl.gui.plain_label import PlainLabel
from napari_dre_slcl.gui.tool_tip import tool_tip

__all__ = ["SettingsForm", "setting_value"]

_LARGEST_SPIN = 2**31 - 1


def setting_value(config: DreSlclConfig, name: str) -> Any:
    """Return the value of a setting by its dotted name."""
    section, key = name.split(".")
    return getattr(getattr(config, section), key)


class SettingsForm(QWidget):
    """One field per setting, titled and explained as its config field says.

    Parameters
    ----------
    names : sequence of str
        Dotted names, such as ``training.epochs``.
    config : DreSlclConfig
        Values to start from.
    has_headings : bool, default True
        Begin each section with a heading, where more than one is named.
    """

    valueChanged = Signal()

    def __init__(
        self,
        names: Sequence[str],
        config: DreSlclConfig,
        parent: QWidget | None = None,
        *,
        has_headings: bool = True,
    ) -> None:
        super().__init__(parent)
        self._base = config
        self._editors: dict[str, _Editor] = {}
        self._headings: dict[str, PlainLabel] = {}
        self._shown = frozenset(names)
        self._layout = layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        has_headings = has_headings and len({name.split(".")[0] for name in names}) > 1
        section = ""
        for name in names:
            if has_headings and name.split(".")[0] != section:
                section = name.split(".")[0]
                self._headings[section] = heading(section.replace("_", " ").capitalize())
                layout.addRow(self._headings[section])
            self._add_row(layout, name)
        self.setValue(config)

    def value(self) -> dict[str, Any]:
        """Return the settings that are shown and were changed, by dotted name."""
        return {
            name: editor.value()
            for name, editor in self._editors.items()
            if name in self._shown
            and editor.value() != editor.shown(setting_value(self._base, name))
        }

    def setValue(self, config: DreSlclConfig) -> None:
        """Show the settings of a config; from now on changes are told relative to it."""
        self._base = config
        for name, editor in self._editors.items():
            editor.set_value(setting_value(config, name))
        self.valueChanged.emit()

    def rebase(self, config: DreSlclConfig) -> None:
        """Tell changes relative to ``config`` without showing it."""
        self._base = config

    def names(self) -> tuple[str, ...]:
        """Return the dotted names of all settings, hidden ones too."""
        return tuple(self._editors)

    def editor(self, name: str) -> QWidget:
        """Return the widget of a setting."""
        return self._editors[name].widget

    def show_only(self, names: Iterable[str]) -> None:
        """Show the fields of these settings alone, and the headings that they need."""
        self._shown = frozenset(names)
        sections = {name.split(".")[0] for name in self._shown & self._editors.keys()}
        for name, editor in self._editors.items():
            self._layout.setRowVisible(editor.widget, name in self._shown)
        for section, label in self._headings.items():
            self._layout.setRowVisible(label, section in sections)

    def insert_row(self, position: int, label: str, widget: QWidget) -> None:
        """Put a widget that is no setting into the form, so that all labels line up."""
        self._layout.insertRow(position, label, widget)

    def _add_row(self, layout: QFormLayout, name: str) -> None:
        section, key = name.split(".")
        field = type(getattr(self._base, section)).model_fields[key]
        editor = _make_editor(field)
        tip = f"{field.description or ''}\n({name})"
        editor.widget.setToolTip(tool_tip(tip))
        editor.widget.setAccessibleName(field.title or key)
        editor.on_change(self.valueChanged.emit)
        label = PlainLabel(field.title or key)
        label.setToolTip(tool_tip(tip))
        label.setBuddy(editor.widget)
        layout.addRow(label, editor.widget)
        self._editors[name] = editor


class _Editor:
    """A widget with the four things a form needs of it, whatever its class."""

    def __init__(
        self,
        widget: Any,
        getter: Callable[[], Any],
        setter: Callable[[Any], None],
        changed: Any,
        shown: Callable[[Any], Any] = lambda value: value,
    ) -> None:
        self.widget: QWidget = widget
        self.value = getter
        self.shown = shown
        self._setter = setter
        self._changed = changed

    def set_value(self, value: Any) -> None:
        self._setter(self.shown(value))

    def on_change(self, slot: Callable[[], None]) -> None:
        self._changed.connect(lambda *_: slot())


def _make_editor(field: FieldInfo) -> _Editor:
    if field.annotation is bool:
        box = QCheckBox()
        return _Editor(box, box.isChecked, box.setChecked, box.toggled)
    if get_origin(field.annotation) is Literal:
        combo = _Combo()
        combo.addItems([str(choice) for choice in get_args(field.annotation)])
        return _Editor(combo, combo.currentText, combo.setCurrentText, combo.currentTextChanged)
    if field.annotation is int:
        spin = _Spin()
        spin.setRange(*_limits(field))
        return _Editor(spin, spin.value, spin.setValue, spin.valueChanged)
    line = QLineEdit()
    return _Editor(line, line.text, line.setText, line.textChanged, _as_text)


def _limits(field: FieldInfo) -> tuple[int, int]:
    low, high = -_LARGEST_SPIN, _LARGEST_SPIN
    for limit in field.metadata:
        low = max(low, getattr(limit, "ge", low), getattr(limit, "gt", low - 1) + 1)
        high = min(high, getattr(limit, "le", high), getattr(limit, "lt", high + 1) - 1)
    return low, high


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(_as_text(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


class _Spin(QSpinBox):
    """Scrolling the panel must not change a number by accident."""

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is not None:
            event.ignore()


class _Combo(QComboBox):
    """Scrolling the panel must not change a choice by accident."""

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is not None:
            event.ignore()
