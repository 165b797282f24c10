"""The Export section: files of the slide that is meant, made while the window stays alive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from napari_dre_slcl.gui.dock import DreSlclDock
from napari_dre_slcl.gui.export_box import ExportBox
from napari_dre_slcl.results import load_result


@pytest.fixture
def box(dock: DreSlclDock) -> ExportBox:
    return dock.explore_panel.export


@pytest.fixture
def shown(dock: DreSlclDock, trained: Any, slide_path: Path) -> DreSlclDock:
    """Return the dock with a slide and its result."""
    dock.overlay.open_slide(slide_path)
    dock.overlay.show_result(load_result(trained.result_path, with_features=False))
    return dock


def choose(box: ExportBox, *formats: str) -> None:
    for name, one in box.formats.items():
        one.setChecked(name in formats)


def test_without_a_result_it_says_what_to_do(box: ExportBox) -> None:
    assert not box.export_button.isEnabled()
    assert "Predict this slide first" in box.message.text()


def test_files_are_written_without_the_slides_name(
    shown: DreSlclDock, box: ExportBox, slide_path: Path, tmp_path: Path, qtbot: Any
) -> None:
    assert box.export_button.isEnabled()
    choose(box, "html", "png", "geojson")
    box.folder.setValue(tmp_path / "out")
    names = shown.session.codewords.names
    box.export()
    assert box.cancel_button.isVisibleTo(box)
    qtbot.waitUntil(lambda: box.open_button.isVisibleTo(box), timeout=20_000)
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"slide.html", "slide.codewords.png", "slide.geojson"}
    assert str(tmp_path / "out") in box.message.text()
    page = (tmp_path / "out" / "slide.html").read_text()
    assert slide_path.stem not in page
    assert all(name in page for name in names)


def test_the_name_is_asked_for_anew_for_every_slide(
    shown: DreSlclDock, box: ExportBox, cohort: Path
) -> None:
    assert not box.names.isChecked()
    box.names.setChecked(True)
    assert box.warning.isVisibleTo(box)
    box.folder.setValue("/tmp")
    assert box.value().has_names
    other = sorted((cohort.parent / "slides").glob("*.tif"))[1]
    shown.overlay.open_slide(other)
    assert not box.names.isChecked()
    assert not box.warning.isVisibleTo(box)


def test_what_is_missing_is_told(shown: DreSlclDock, box: ExportBox, tmp_path: Path) -> None:
    box.folder.setValue(None)
    box.export()
    assert "No folder is chosen" in box.message.text()
    box.folder.setValue(tmp_path)
    choose(box)
    box.export()
    assert "Tick at least one" in box.message.text()
    assert box.export_button.isVisibleTo(box)


def test_errors_of_the_thread_are_told_and_it_can_go_on(
    shown: DreSlclDock, box: ExportBox, tmp_path: Path, qtbot: Any
) -> None:
    (tmp_path / "file").write_text("")
    choose(box, "csv")
    box.folder.setValue(tmp_path / "file")
    box.export()
    qtbot.waitUntil(lambda: "is a file" in box.message.text(), timeout=10_000)
    box.folder.setValue(tmp_path / "out")
    box.export()
    qtbot.waitUntil(lambda: (tmp_path / "out" / "slide.csv").is_file(), timeout=10_000)


def test_cancel_and_closing_stop_an_export(
    shown: DreSlclDock, box: ExportBox, tmp_path: Path, qtbot: Any
) -> None:
    choose(box, "csv", "geojson", "html")
    box.folder.setValue(tmp_path / "out")
    box.export()
    box.cancel()
    qtbot.waitUntil(lambda: box.message.text() == "Cancelled.", timeout=10_000)
    assert not (tmp_path / "out" / "slide.html").exists()
    box.export()
    shown.close_down()  # waits for the thread, which hears that it should stop
    assert not (tmp_path / "out" / "slide.html").exists()
