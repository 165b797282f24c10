"""The form says what the config says, and tells changes only."""

from __future__ import annotations

import pytest
from qtpy.QtWidgets import QComboBox, QSpinBox

from napari_dre_slcl.config import load_preset, setting_names, with_overrides
from napari_dre_slcl.gui.forms import SettingsForm


@pytest.fixture
def form(qtbot) -> SettingsForm:
    made = SettingsForm(setting_names(), load_preset("cpu-small"))
    qtbot.addWidget(made)
    return made


@pytest.mark.parametrize("preset", ["default", "cpu-small"])
def test_untouched_form_changes_nothing(form, preset) -> None:
    form.setValue(load_preset(preset))
    assert form.value() == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("training.lr_rest", "3e-4"),
        ("cohort.tasks", "cancer, subtype"),
        ("encoder.weights", "w.pth"),
    ],
)
def test_typed_text_becomes_the_setting(form, name, text) -> None:
    form.editor(name).setText(text)
    config = with_overrides(load_preset("cpu-small"), form.value())
    assert form.value() == {name: text}
    form.setValue(config)
    assert form.value() == {}
    assert form.editor(name).text().replace(" ", "") in (text.replace(" ", ""), "0.0003")


def test_numbers_choices_and_ticks_become_settings(form) -> None:
    form.editor("training.epochs").setValue(3)
    form.editor("training.device").setCurrentText("cpu")
    form.editor("training.augment").setChecked(False)
    assert form.value() == {
        "training.epochs": 3,
        "training.device": "cpu",
        "training.augment": False,
    }


def test_limits_titles_and_tips_come_from_the_config(form) -> None:
    epochs, seed = form.editor("training.epochs"), form.editor("training.seed")
    assert isinstance(epochs, QSpinBox)
    assert (epochs.minimum(), epochs.maximum()) == (1, 10_000)
    assert (seed.minimum(), seed.maximum()) == (0, 2**31 - 1)
    assert epochs.accessibleName() == "Epochs"
    assert "Passes over the slides." in epochs.toolTip()
    device = form.editor("training.device")
    assert isinstance(device, QComboBox)
    assert [device.itemText(i) for i in range(device.count())] == ["auto", "cpu", "cuda", "mps"]


def test_every_setting_has_an_editor(form) -> None:
    assert all(form.editor(name) is not None for name in setting_names())
