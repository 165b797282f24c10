"""Other images in the window: behind a warning, and never read by anything but that button."""

from __future__ import annotations

import openslide
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_dre_slcl.cli import main
from napari_dre_slcl.gui.associated_images import AssociatedImagesDialog
from napari_dre_slcl.jobs.messages import PredictJob, Result
from napari_dre_slcl.jobs.worker import run_job
from napari_dre_slcl.layers import METADATA_KEY
from napari_dre_slcl.slide import open_slide

MAGENTA = (255, 0, 255)


@pytest.fixture
def reads(monkeypatch):
    """Return a list of the names of the images that OpenSlide was asked to read, by anybody."""
    names = []
    read = openslide.lowlevel.read_associated_image

    def recorded(handle, name):
        names.append(name)
        return read(handle, name)

    monkeypatch.setattr(openslide.lowlevel, "read_associated_image", recorded)
    return names


def answer(act) -> None:
    """Do something with the dialog once it is open."""
    QTimer.singleShot(200, lambda: act(QApplication.activeModalWidget()))


def choose_label(dialog) -> None:
    dialog.names.setCurrentRow(0)
    dialog.show_button.click()


def test_info_tissue_prediction_and_viewer_read_none_of_them(
    dock, viewer, qtbot, labelled_slide, trained, tmp_path, reads, capsys
) -> None:
    assert main(["info", str(labelled_slide)]) == 0
    assert "label" in capsys.readouterr().out  # its name
    job = PredictJob(model=trained.run_dir, slides=(labelled_slide,), out=tmp_path / "out")
    end = run_job(job, lambda event: None)
    assert isinstance(end, Result), end
    [layer] = viewer.open(str(labelled_slide), plugin="napari-dre-slcl")
    dock.overlay.load_result(next(iter(end.paths.values())))
    qtbot.waitUntil(lambda: dock.overlay.layer("attention") is not None, timeout=20_000)
    assert reads == []
    for level in layer.data:
        pixels = level[...]
        assert not (pixels == MAGENTA).all(axis=-1).any()


def test_button_is_there_only_for_slides_that_have_such_images(
    dock, labelled_slide, slide_path
) -> None:
    button = dock.slide_panel.other_images
    assert button.isHidden()
    dock.overlay.open_slide(slide_path)
    assert button.isHidden()
    dock.overlay.open_slide(labelled_slide)
    assert not button.isHidden()


def test_dialog_warns_and_its_default_is_cancel(qtbot, labelled_slide) -> None:
    with open_slide(labelled_slide) as slide:
        dialog = AssociatedImagesDialog(slide.info)
    qtbot.addWidget(dialog)
    dialog.show()
    assert dialog.cancel_button.isDefault()
    assert not dialog.show_button.isDefault()
    assert not dialog.show_button.isEnabled()
    assert dialog.chosen() is None
    assert [dialog.names.item(row).text() for row in range(3)] == ["label", "macro", "thumbnail"]
    dialog.names.setCurrentRow(1)
    assert dialog.show_button.isEnabled()
    assert dialog.chosen() == "macro"


def test_cancel_and_the_enter_key_read_nothing(dock, viewer, qtbot, labelled_slide, reads) -> None:
    dock.overlay.open_slide(labelled_slide)
    answer(lambda dialog: dialog.cancel_button.click())
    dock.slide_panel.other_images.click()

    def choose_then_enter(dialog) -> None:
        dialog.names.setCurrentRow(0)
        dialog.names.setFocus()
        qtbot.keyClick(dialog.names, "\r")
        if dialog.isVisible():
            dialog.reject()

    answer(choose_then_enter)
    dock.slide_panel.other_images.click()
    assert reads == []
    assert len(viewer.layers) == 1


def test_chosen_image_becomes_a_layer_that_says_what_it_may_show(
    dock, viewer, labelled_slide, reads
) -> None:
    dock.overlay.open_slide(labelled_slide)

    answer(choose_label)
    dock.slide_panel.other_images.click()
    assert reads == ["label"]
    slide, image = viewer.layers
    assert image.name == "label (may show patient data) · labelled"
    assert (image.data == MAGENTA).all()
    assert METADATA_KEY not in image.metadata  # nothing of ours takes it for a slide or a result
    assert image.extent.world[1][1] < slide.extent.world[0][1]  # beside the slide, not over it
    assert dock.overlay.slide.path == str(labelled_slide)


def test_image_that_cannot_be_read_is_a_sentence(dock, viewer, labelled_slide) -> None:
    dock.overlay.open_slide(labelled_slide)
    labelled_slide.unlink()
    notification_manager.records.clear()

    answer(choose_label)
    dock.slide_panel.other_images.click()
    [record] = notification_manager.records
    assert "does not exist" in record.message
    assert len(viewer.layers) == 1
    notification_manager.records.clear()
