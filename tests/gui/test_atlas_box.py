"""The atlas: brushed points are tiles on the slide, and the other way round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from napari_dre_slcl.gui.atlas_box import AtlasBox
from napari_dre_slcl.gui.point_map import PointMap
from napari_dre_slcl.gui.point_raster import View, draw_points, inside
from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.theme import theme_colors


@pytest.fixture
def box(session: Session, searchable: Path, qtbot: Any) -> AtlasBox:
    made = AtlasBox(session, theme_colors("dark"))
    qtbot.addWidget(made)
    session.set_model(searchable)
    qtbot.waitUntil(lambda: session.index is not None, timeout=20_000)
    slide = session.index.slides[1]
    session.overlay.open_slide(Path(slide.path))
    session.overlay.load_result(slide.result)
    qtbot.waitUntil(lambda: session.result is not None, timeout=20_000)
    return made


def test_brushing_selects_the_tiles_of_the_shown_slide(box: AtlasBox, session: Session) -> None:
    slide = session.index.slides[1]
    box.map.brushed.emit(np.arange(slide.first_row - 2, slide.first_row + 3))
    assert session.selection.tolist() == [0, 1, 2]
    assert "5 tiles selected, 3 of them" in box.note.text()
    box.map.brushed.emit(np.empty(0, np.int64))
    assert session.selection.size == 0


def test_selected_tiles_stand_out_on_the_atlas(box: AtlasBox, session: Session) -> None:
    first = session.index.slides[1].first_row
    session.select_tiles([1, 3])
    assert box.map.selected().tolist() == [first + 1, first + 3]


def test_colours_follow_label_codeword_and_slide(box: AtlasBox, session: Session) -> None:
    index = session.index
    session.codewords.set_color(0, (1, 0, 0))
    box.color_by.setCurrentText("Codeword")
    drawn = box.map._colors[:, :3]
    assert (drawn[index.codeword == 0] == (255, 0, 0)).all()
    assert "Codeword 2" in box.legend.text()
    box.color_by.setCurrentText("This slide")
    n_colors = len(np.unique(box.map._colors[index.slides[1].rows, :3], axis=0))
    assert (n_colors, len(np.unique(box.map._colors, axis=0))) == (1, 2)
    box.what.setCurrentText("Slides")
    assert box.color_by.currentText() == "This slide"
    box.color_by.setCurrentText(index.tasks[0])
    assert set(index.slides[0].labels[index.tasks[0]]) <= set(box.legend.text())


def test_a_click_on_a_slide_opens_it(box: AtlasBox, session: Session) -> None:
    box.what.setCurrentText("Slides")
    box.map.clicked.emit(3)
    assert session.overlay.slide.path == session.index.slides[3].path


def test_points_are_found_by_lasso_rectangle_and_click(qtbot: Any) -> None:
    plane = PointMap(theme_colors("dark"))
    qtbot.addWidget(plane)
    plane.resize(300, 300)
    points = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], float)
    plane.set_points(points, np.full((4, 3), 200, np.uint8))
    px = View.of_all(points, plane.width(), plane.height()).to_px(
        points, plane.width(), plane.height()
    )
    plane.tool = "rectangle"
    corners = [QPoint(*(px[0] + (-6, 6)).astype(int)), QPoint(*(px[2] + (6, -6)).astype(int))]
    with qtbot.waitSignal(plane.brushed) as brushed:
        qtbot.mousePress(plane, Qt.MouseButton.LeftButton, pos=corners[0])
        qtbot.mouseMove(plane, corners[1])
        qtbot.mouseRelease(plane, Qt.MouseButton.LeftButton, pos=corners[1])
    assert brushed.args[0].tolist() == [0, 2]
    with qtbot.waitSignal(plane.clicked) as clicked:
        qtbot.mouseClick(plane, Qt.MouseButton.LeftButton, pos=QPoint(*px[3].astype(int)))
    assert clicked.args == [3]


def test_points_are_drawn_where_they_lie_and_cut_at_the_edge() -> None:
    red, green = (255, 0, 0, 255), (0, 255, 0, 255)
    colors = np.array([red, green, red], np.uint8)
    picture = draw_points(np.array([[4, 2], [0, 0], [99, 99]]), colors, (5, 8), 3)
    assert picture.shape == (5, 8, 4)
    assert picture[2, 4].tolist() == list(red)
    assert picture[3, 5].tolist() == list(red)
    assert picture[0, 0].tolist() == list(green)
    assert (picture[..., 3] > 0).sum() == 9 + 4


def test_an_outline_holds_what_is_inside_it() -> None:
    outline = np.array([[1, 1], [7, 1], [7, 7], [1, 7]])
    points = np.array([[4, 4], [0, 0], [8, 4], [-3, 4], [6.4, 1.6]])
    assert inside(points, outline, (10, 10)).tolist() == [True, False, False, False, True]


def test_zooming_keeps_the_place_under_the_mouse() -> None:
    view = View(2.0, 3.0, 10.0)
    at = view.to_px(np.array([[5.0, 1.0]]), 200, 100)[0]
    closer = view.zoomed(2, at[0], at[1], 200, 100)
    np.testing.assert_allclose(closer.to_px(np.array([[5.0, 1.0]]), 200, 100)[0], at)
    assert closer.scale == 20
    moved = view.moved(7, -3).to_px(np.array([[5.0, 1.0]]), 200, 100)[0]
    np.testing.assert_allclose(moved, [at[0] + 7, at[1] - 3])
