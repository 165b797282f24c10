"""Similar tiles and slides: what is listed, and that one is gone to with a click."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.similar_box import SimilarBox
from napari_dre_slcl.gui.theme import theme_colors
from napari_dre_slcl.insight.search import nearest_tiles
from napari_dre_slcl.results import load_result


@pytest.fixture
def box(session: Session, searchable: Path, qtbot: Any) -> SimilarBox:
    """Return the box with the first slide of the index and its result on the screen."""
    made = SimilarBox(session, theme_colors("dark"))
    qtbot.addWidget(made)
    session.set_model(searchable)
    qtbot.waitUntil(lambda: session.index is not None, timeout=20_000)
    slide = session.index.slides[0]
    session.overlay.open_slide(Path(slide.path))
    session.overlay.load_result(slide.result)
    qtbot.waitUntil(lambda: session.result is not None, timeout=20_000)
    qtbot.waitUntil(lambda: not session.background.is_busy, timeout=20_000)
    return made


def test_tiles_like_the_selected_one_are_listed_from_other_slides(
    box: SimilarBox, session: Session, qtbot: Any
) -> None:
    session.select_tiles([2])
    qtbot.waitUntil(lambda: len(box.tiles.value()) == 12, timeout=20_000)
    index = session.index
    expected = nearest_tiles(index, index.features[2], 12, without_slides=[0])
    shown = [(item.key.path, item.key.yx) for item in box.tiles.value()]
    assert shown == [(hit.slide.path, hit.yx) for hit in expected]
    first = box.tiles.value()[0]
    assert first.lines == (
        expected[0].slide.slide_id,
        expected[0].slide.patient_id,
        f"distance {expected[0].distance:.2f}",
    )


def test_similar_slides_are_listed_without_the_slide_itself(
    box: SimilarBox, session: Session, qtbot: Any
) -> None:
    qtbot.waitUntil(lambda: box.slides.count() > 0, timeout=20_000)
    names = [box.slides.item(row).text() for row in range(box.slides.count())]
    assert len(names) == len(session.index.slides) - 1
    assert not any(session.index.slides[0].slide_id in name for name in names)


def test_a_click_opens_the_slide_at_that_tile_and_keeps_the_list(
    box: SimilarBox, session: Session, qtbot: Any
) -> None:
    session.select_tiles([2])
    qtbot.waitUntil(lambda: len(box.tiles.value()) == 12, timeout=20_000)
    index, before = session.index, box.tiles.value()
    hit = nearest_tiles(index, index.features[2], 1, without_slides=[0])[0]
    left = session.overlay.layer("slide")
    box.tiles.activated.emit(0)
    qtbot.waitUntil(lambda: len(session.selection) == 1, timeout=20_000)
    assert session.overlay.slide.path == hit.slide.path
    result = session.result
    assert result is not None
    assert tuple(result.rowcol[session.selection[0]]) == hit.rowcol
    middle = (np.array(hit.yx) + (hit.slide.tile_size_px - 1) / 2) * hit.slide.mpp
    np.testing.assert_allclose(session.viewer.scene.camera.center[-2:], middle)
    assert not left.visible
    assert session.overlay.layer("slide").visible
    assert box.tiles.value() == before


def test_a_slide_that_has_moved_away_is_told(
    box: SimilarBox, session: Session, tmp_path: Path, qtbot: Any
) -> None:
    session.select_tiles([2])
    qtbot.waitUntil(lambda: len(box.tiles.value()) == 12, timeout=20_000)
    gone = replace(box._tile_hits[0].slide, path=str(tmp_path / "gone.tif"))
    box._tile_hits[0] = replace(box._tile_hits[0], slide=gone)
    box.tiles.activated.emit(0)
    assert "gone.tif" in box.message.text()


def test_a_result_of_another_model_is_told(box: SimilarBox, session: Session, qtbot: Any) -> None:
    result = load_result(session.index.slides[0].result, with_features=False)
    result.provenance["model_sha256"] = "another"
    session.overlay.show_result(result)
    session.select_tiles([0])
    qtbot.waitUntil(lambda: "another model" in box.hint.text(), timeout=20_000)
    assert box.tiles.value() == ()


def test_a_damaged_index_is_told_when_its_model_is_chosen(
    session: Session, searchable: Path, tmp_path: Path, qtbot: Any
) -> None:
    run = Path(shutil.copytree(searchable, tmp_path / "run"))
    (run / "index" / "index.json").write_text("{")
    box = SimilarBox(session, theme_colors("dark"))
    qtbot.addWidget(box)
    assert "Choose a model" in box.index_field.text.text()
    session.set_model(run)
    qtbot.waitUntil(lambda: "damaged" in box.index_field.text.text(), timeout=20_000)
    assert session.index is None


def test_a_cohort_is_made_searchable_from_the_box(
    session: Session, searchable: Path, cohort: Path, tmp_path: Path, qtbot: Any
) -> None:
    run = Path(shutil.copytree(searchable, tmp_path / "run"))
    (run / "index" / "index.json").unlink()  # its results stay, so little is left to do
    box = SimilarBox(session, theme_colors("dark"))
    qtbot.addWidget(box)
    session.cohort_index.make(cohort)
    assert "No model is chosen" in box.message.text()
    session.set_model(run)
    session.cohort_index.make(cohort)
    assert session.cohort_index.state.is_running
    assert not box.index_field.cancel_button.isHidden()
    qtbot.waitUntil(lambda: session.index is not None, timeout=250_000)
    assert len(session.index.slides) == 8
    qtbot.waitUntil(lambda: "8 slides" in box.index_field.text.text(), timeout=20_000)
