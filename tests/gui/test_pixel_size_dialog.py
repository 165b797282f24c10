"""The pixel size as a user settles it: told, compared with tissue, stored, used from then on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QImage

from napari_dre_slcl.gui.pixel_size_dialog import PixelSizeDialog
from napari_dre_slcl.gui.scaled_picture import ScaledPicture, bar_um
from napari_dre_slcl.gui.tissue_pieces import PIECE_PX, read_tissue_pieces
from napari_dre_slcl.layers import METADATA_KEY
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.slide.mpp_table import TABLE_NAME, recall_mpp, remember_mpp


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's own table out of it."""
    monkeypatch.setenv("DRE_SLCL_CONFIG_DIR", str(tmp_path / "config"))


@pytest.fixture
def plain(slide_file: Callable[..., Path]) -> Path:
    """Return a slide that states no pixel size."""
    return slide_file("plain.tif", mpp=None)


@pytest.fixture
def open_dialog(dock: Any, qtbot: Any) -> Callable[[Path], PixelSizeDialog]:
    """Return a function that opens a slide and presses the button, and waits for the tissue."""

    def opened(path: Path) -> PixelSizeDialog:
        dock.slide_panel.open_path(path)
        dock.slide_panel.pixel_size.compare_button.click()
        dialog = dock.slide_panel.pixel_size.dialog
        qtbot.waitUntil(dialog.place_button.isEnabled, timeout=20_000)
        return dialog

    return opened


def _tissue_of(picture: ScaledPicture) -> np.ndarray:
    """Return the upper third of what a picture shows, above ring and bar."""
    image = picture.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    bits = image.constBits()
    # PyQt hands out a pointer that can say its length, PySide a memoryview.
    content = bits.asstring(image.sizeInBytes()) if hasattr(bits, "asstring") else bytes(bits)
    rows = np.frombuffer(content, np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[: image.height() // 3, : 3 * image.width()]


def test_slide_tab_says_what_is_wrong_and_is_silent_about_a_sound_slide(
    dock: Any, plain: Path, slide_file: Callable[..., Path]
) -> None:
    box = dock.slide_panel.pixel_size
    assert box.isHidden()
    dock.slide_panel.open_path(slide_file("sound.tif", mpp=0.5))
    assert not box.isHidden()
    assert box.message.isHidden()
    dock.slide_panel.open_path(plain)
    assert "'plain.tif' has no known pixel size: its file states none" in box.message.text()
    assert box.dialog is None, "nothing pops up by itself"
    dock.slide_panel.open_path(slide_file("odd.svs", mpp=0, header="aperio"))
    assert "aperio.MPP is '0'" in box.message.text()
    assert "1 more" in box.message.text()


def test_field_does_not_offer_the_size_of_another_slide(
    dock: Any, plain: Path, slide_file: Callable[..., Path]
) -> None:
    dock.slide_panel.open_path(slide_file("coarse.tif", mpp=0.77))
    assert dock.slide_panel.pixel_size.field.value() == 0.77
    dock.slide_panel.open_path(plain)
    assert dock.slide_panel.pixel_size.field.value() == 0.25


def test_answer_is_stored_and_used_now_and_at_the_next_open(
    dock: Any, viewer: Any, plain: Path, open_dialog: Callable[[Path], PixelSizeDialog]
) -> None:
    before = hashlib.sha256(plain.read_bytes()).hexdigest()
    dialog = open_dialog(plain)
    assert dialog.value() is None
    assert not dialog.use_button.isEnabled()
    assert "its file states none" in dialog.findings.text()
    dialog.choices[0.5].click()
    dialog.use_button.click()
    table = plain.parent / TABLE_NAME
    assert recall_mpp(plain).mpp == 0.5
    assert hashlib.sha256(plain.read_bytes()).hexdigest() == before
    assert dock.slide_panel.pixel_size.dialog is None
    assert f"Remembered in '{table}'" in dock.slide_panel.pixel_size.message.text()
    assert dock.slide_panel.facts()["Pixel size"] == "0.5 µm (stored answer)"
    np.testing.assert_allclose(viewer.layers[0].scale, 0.5)
    assert str(viewer.layers[0].units[0]) == "micrometer"
    viewer.layers.clear()
    dock.slide_panel.open_path(plain)
    assert dock.slide_panel.facts()["Pixel size"] == "0.5 µm (stored answer)"
    assert dock.slide_panel.pixel_size.message.isHidden()
    with open_slide(plain) as slide:
        assert (slide.info.mpp, slide.info.mpp_source) == (0.5, "stored answer")


def test_any_other_value_can_be_used_without_being_stored(
    dock: Any, plain: Path, open_dialog: Callable[[Path], PixelSizeDialog]
) -> None:
    dialog = open_dialog(plain)
    dialog.free_field.setValue(0.3456)
    assert dialog.value() == pytest.approx(0.3456)
    assert dialog.free_picture.mpp == pytest.approx(0.3456)
    dialog.remember_box.setChecked(False)
    dialog.use_button.click()
    assert not (plain.parent / TABLE_NAME).exists()
    assert dock.slide_panel.facts()["Pixel size"] == "0.3456 µm (user)"


def test_stored_answer_can_be_forgotten_and_the_file_rules_again(
    dock: Any, viewer: Any, plain: Path, open_dialog: Callable[[Path], PixelSizeDialog]
) -> None:
    remember_mpp(plain, 1.0)
    dialog = open_dialog(plain)
    assert dialog.value() == 1.0
    assert not dialog.forget_button.isHidden()
    dialog.forget_button.click()
    assert recall_mpp(plain).mpp is None
    assert "unknown" in dock.slide_panel.facts()["Pixel size"]
    assert str(viewer.layers[0].units[0]) == "pixel"
    assert "states none" in dock.slide_panel.pixel_size.message.text()


def test_answer_goes_to_the_slide_that_was_asked_about(
    dock: Any,
    plain: Path,
    slide_file: Callable[..., Path],
    open_dialog: Callable[[Path], PixelSizeDialog],
) -> None:
    other = slide_file("other.tif", mpp=0.5)
    dialog = open_dialog(plain)
    dock.slide_panel.open_path(other)
    dialog.setValue(0.25)
    dialog.use_button.click()
    assert dock.overlay.slide.path == str(other)
    assert dock.overlay.slide.mpp == pytest.approx(0.5)
    asked = dock.overlay.layer("slide", str(plain))
    np.testing.assert_allclose(asked.scale, 0.25)
    assert asked.metadata[METADATA_KEY]["info"].mpp_source == "stored answer"


def test_table_that_is_broken_is_told_and_the_dialog_stays(
    plain: Path, open_dialog: Callable[[Path], PixelSizeDialog], capsys: pytest.CaptureFixture[str]
) -> None:
    dialog = open_dialog(plain)
    table = plain.parent / TABLE_NAME
    table.write_text("nonsense\n", encoding="utf-8")
    dialog.choices[0.25].click()
    dialog.use_button.click()
    assert dialog.isVisible()
    assert "cannot be used" in dialog.message.text()
    assert table.read_text(encoding="utf-8") == "nonsense\n"


def test_every_picture_shows_the_same_tissue_with_bar_and_ring_of_its_own_size(
    plain: Path, open_dialog: Callable[[Path], PixelSizeDialog]
) -> None:
    dialog = open_dialog(plain)
    pictures = [*dialog.pictures.values(), dialog.free_picture]
    for picture in pictures:
        picture.resize(240, 240)  # columns of the layout may differ by a pixel
    shown = [_tissue_of(picture) for picture in pictures]
    assert shown[0].std() > 10, "tissue, not glass"
    for other in shown[1:]:
        np.testing.assert_array_equal(other, shown[0])
    for mpp, picture in dialog.pictures.items():
        assert (picture.bar_um, picture.bar_px) == (50, pytest.approx(50 / mpp))
        assert picture.ring_px == pytest.approx(7 / mpp)
    dialog.zoom_field.setCurrentIndex(1)
    assert dialog.pictures[1.0].ring_px == pytest.approx(14)
    assert not np.array_equal(_tissue_of(pictures[0]), shown[0])
    dialog.zoom_field.setCurrentIndex(0)
    dialog.place_button.click()
    assert not np.array_equal(_tissue_of(pictures[0]), shown[0])


def test_ring_follows_the_mouse_in_all_pictures_and_a_press_chooses(
    plain: Path, open_dialog: Callable[[Path], PixelSizeDialog], qtbot: Any
) -> None:
    dialog = open_dialog(plain)
    first, last = dialog.pictures[0.25], dialog.free_picture
    before = last.grab().toImage()
    first.ring_moved.emit(QPointF(40, -60))
    after = last.grab().toImage()
    assert before != after
    qtbot.mousePress(dialog.pictures[1.0], Qt.MouseButton.LeftButton, pos=QPoint(50, 50))
    assert dialog.value() == 1.0
    qtbot.mousePress(last, Qt.MouseButton.LeftButton, pos=QPoint(50, 50))
    assert dialog.value() == pytest.approx(dialog.free_field.value())


def test_dialog_that_is_closed_before_the_tissue_came_does_no_harm(
    dock: Any, plain: Path, qtbot: Any
) -> None:
    box = dock.slide_panel.pixel_size
    dock.slide_panel.open_path(plain)
    box.compare_button.click()
    first = box.dialog
    box.compare_button.click()
    second = box.dialog
    assert second is not first
    second.reject()
    done: list[int] = []
    dock.background.run("after", int, 1, on_done=done.append, on_error=pytest.fail)
    qtbot.waitUntil(lambda: done == [1], timeout=20_000)
    assert box.dialog is None


@pytest.mark.parametrize(
    ("um_per_px", "length"), [(0.25, 50), (0.5, 50), (1, 50), (0.0625, 10), (0.1, 20), (5, 200)]
)
def test_bar_is_fifty_micrometres_where_that_can_be_drawn(um_per_px: float, length: int) -> None:
    assert bar_um(um_per_px, 264) == length


@pytest.mark.parametrize("size", [(1024, 1536), (100, 130), (3000, 520)])
def test_pieces_show_tissue_of_slides_of_any_size(
    slide_file: Callable[..., Path],
    tissue_image: Callable[..., np.ndarray],
    size: tuple[int, int],
) -> None:
    height, width = size
    box = (height // 4, width // 4, height // 2, width)
    path = slide_file("any.tif", image=tissue_image(height, width, box), mpp=None, levels=1)
    pieces = read_tissue_pieces(str(path))
    assert {piece.shape for piece in pieces} == {(PIECE_PX, PIECE_PX, 3)}
    spread = [int(np.ptp(piece[128:384, 128:384])) for piece in pieces]
    assert spread[0] > 80


def test_damaged_tiles_are_left_out_of_the_pieces(
    slide_file: Callable[..., Path], damage_tiles: Callable[..., Path]
) -> None:
    path = slide_file("damaged.tif", mpp=None)
    damage_tiles(path, [0, 1], level=1)
    damage_tiles(path, [14])
    pieces = read_tissue_pieces(str(path))
    assert len(pieces) == 5, "of six, one cannot be read"
    assert np.ptp(pieces[0]) > 80


@pytest.mark.real_data
def test_real_slide_shows_cells(real_data: Path) -> None:
    first, *others = read_tissue_pieces(str(real_data / "slides" / "lung-scc-HE1.tif"))
    assert len(others) == 5
    purple = (first[..., 2].astype(int) - first[..., 1]) > 40
    assert 0.1 < purple.mean() < 0.9
