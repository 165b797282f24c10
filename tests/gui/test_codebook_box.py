"""Codewords as cards: what the user does to one is seen on the slide and kept with the model."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtGui import QColor

from napari_dre_slcl.gui.codebook_box import CodebookBox
from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.theme import theme_colors
from napari_dre_slcl.insight.codeword_names import read_names
from napari_dre_slcl.insight.tile_index import TileIndex
from napari_dre_slcl.results import load_result, save_result


@pytest.fixture
def run(searchable: Path, tmp_path: Path) -> Path:
    """Return a run whose model may be changed."""
    return Path(shutil.copytree(searchable, tmp_path / "run"))


@pytest.fixture
def box(session: Session, run: Path, qtbot: Any) -> CodebookBox:
    """Return the box with the first slide of the index and its result on the screen."""
    made = CodebookBox(session, theme_colors("dark"))
    qtbot.addWidget(made)
    session.set_model(run)
    qtbot.waitUntil(lambda: session.index is not None, timeout=20_000)
    slide = session.index.slides[0]
    session.overlay.open_slide(Path(slide.path))
    stated = load_result(slide.result)  # its model is this copy of the run
    stated.provenance["model"] = str(run / "model")
    session.overlay.load_result(save_result(stated, slide.result))
    qtbot.waitUntil(lambda: session.result is not None, timeout=20_000)
    qtbot.waitUntil(lambda: not session.background.is_busy, timeout=20_000)
    return made


def _color_of(session: Session, codeword: int) -> np.ndarray:
    layer = session.overlay.layer("clusters")
    assert layer is not None
    return np.asarray(layer.colormap.color_dict[codeword + 1])


def test_every_codeword_has_a_card_with_shares_and_tiles_of_the_cohort(
    box: CodebookBox, session: Session
) -> None:
    index: TileIndex = session.index
    assert len(box.cards) == 4
    assert box.classes.currentText() in index.tasks
    for number, card in enumerate(box.cards):
        assert card.name.text() == f"Codeword {number + 1}"
        assert "this slide" in card.shares.text()
        n_slides = int((index.codeword_counts[:, number] > 0).sum())
        assert len(card.tiles.value()) == min(4, n_slides)


def test_an_index_that_goes_while_it_is_shown_is_told_and_the_slide_keeps_its_shares(
    box: CodebookBox, session: Session
) -> None:
    index = session.index
    index.__dict__.pop("codeword_counts")  # as where they were not yet asked for
    shutil.rmtree(index.folder / "shards")
    shutil.rmtree(index.folder / index.header.data)
    index.codeword._pool._maps.clear()
    box.classes.setCurrentIndex(box.classes.count() - 1)
    assert "a part of the index, has gone" in box.message.text()
    assert "this slide" in box.cards[0].shares.text()


def test_a_name_is_shown_at_once_and_kept_with_the_model(
    box: CodebookBox, session: Session, run: Path, qtbot: Any
) -> None:
    with qtbot.waitSignal(session.codewords_changed):
        box.cards[1].name.setText("lymphocytes")
        box.cards[1].name.editingFinished.emit()
    layer = session.overlay.layer("clusters")
    assert layer is not None
    assert list(layer.features["codeword"])[2] == "lymphocytes"
    qtbot.waitUntil(lambda: read_names(run)[1] == "lymphocytes", timeout=20_000)
    qtbot.waitUntil(lambda: "kept" in box.message.text(), timeout=20_000)


def test_a_name_that_cannot_be_kept_is_told(
    box: CodebookBox, session: Session, run: Path, qtbot: Any
) -> None:
    shutil.rmtree(run / "model")
    box.cards[0].name.setText("stroma")
    box.cards[0].name.editingFinished.emit()
    qtbot.waitUntil(lambda: "no model folder" in box.message.text(), timeout=20_000)
    assert session.codewords.name(0) == "stroma"


def test_a_codeword_is_recoloured_hidden_and_isolated_on_the_slide(
    box: CodebookBox, session: Session
) -> None:
    layer = session.overlay.layer("clusters")
    assert layer is not None
    data = layer.data
    box.set_color(2, QColor(255, 0, 0))
    np.testing.assert_allclose(_color_of(session, 2), [1, 0, 0, 1], atol=1e-6)
    box.cards[2].is_shown.click()
    assert _color_of(session, 2)[3] == 0
    box.cards[0].only.click()
    assert [_color_of(session, k)[3] for k in range(4)] == [1, 0, 0, 0]
    assert box.cards[0].only.isChecked()
    box.all_button.click()
    assert [_color_of(session, k)[3] for k in range(4)] == [1, 1, 1, 1]
    np.testing.assert_allclose(_color_of(session, 2), [1, 0, 0, 1], atol=1e-6)
    assert layer.data is data  # colours alone have changed


def test_a_layer_that_was_deleted_by_hand_is_not_missed(box: CodebookBox, session: Session) -> None:
    session.viewer.layers.remove(session.overlay.layer("clusters"))
    box.set_color(0, QColor(0, 255, 0))
    assert session.codewords.colors[0].tolist() == [0, 1, 0, 1]


def test_pictures_of_tiles_are_read_when_they_are_seen(
    box: CodebookBox, session: Session, qtbot: Any
) -> None:
    card = next(card for card in box.cards if card.tiles.value())
    key = card.tiles.value()[0].key
    box.resize(380, 2000)
    with qtbot.waitSignal(session.thumbnails.arrived, timeout=20_000):
        box.grab()
    qtbot.waitUntil(lambda: not session.thumbnails.is_busy, timeout=20_000)
    image = session.thumbnails.image(key)
    assert image is not None
    assert (image.width(), image.height()) == (96, 96)
    assert image.pixelColor(48, 48).lightnessF() < 0.95  # tissue, not glass


def test_without_a_slide_the_box_says_what_to_do(session: Session, qtbot: Any) -> None:
    box = CodebookBox(session, theme_colors("light"))
    qtbot.addWidget(box)
    assert "Predict or open a slide" in box.hint.text()
    assert box.cards == []
