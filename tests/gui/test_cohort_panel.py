"""The Cohort tab: open, look, change, save, part, and hand over; the original stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent

from napari_dre_slcl.cohort import read_cohort
from napari_dre_slcl.cohort.split_files import read_split_folder
from napari_dre_slcl.gui.cohort_panel import CohortPanel
from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.theme import theme_colors


@pytest.fixture
def session():
    """Return a session without a window: most of the tab needs none."""
    opened = Session(ViewerModel())
    yield opened
    opened.close()
    notification_manager.records.clear()


@pytest.fixture
def panel(session, qtbot) -> CohortPanel:
    widget = CohortPanel(session, theme_colors("dark"))
    qtbot.addWidget(widget)
    return widget


@pytest.fixture
def settled(session, panel, qtbot):
    """Return wait(): until the thread has answered and changes are checked."""

    def wait() -> None:
        qtbot.waitUntil(
            lambda: not session.background.is_busy and not panel.editor._check_timer.isActive(),
            timeout=20_000,
        )

    return wait


def drop(panel, path: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(
        QPointF(5, 5),
        Qt.DropAction.CopyAction,
        mime,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    panel.dropEvent(event)
    assert event.isAccepted()


def test_an_empty_tab_says_what_to_do(panel) -> None:
    assert not panel.invitation.isHidden()
    assert panel.table.isHidden()
    assert not panel.train_button.isEnabled()


def test_a_dropped_table_is_shown_and_summed_up(panel, cohort, settled) -> None:
    drop(panel, cohort)
    settled()
    assert panel.invitation.isHidden()
    assert panel.facts.text().startswith("8 slides of ")
    assert panel.table.model.rowCount() == 8
    assert panel.findings.verdict.text().startswith(("Nothing is wrong", "The table can be used"))
    assert panel.source.value() == cohort


def test_the_table_is_handed_to_the_training(dock, qtbot, cohort) -> None:
    dock.cohort_panel.open(cohort)
    qtbot.waitUntil(dock.cohort_panel.train_button.isEnabled, timeout=20_000)
    dock.cohort_panel.train_button.click()
    assert dock.train_panel.cohort_field.value() == cohort
    assert dock.tabs.tabText(dock.tabs.currentIndex()) == "Train"


def test_a_double_click_opens_the_slide_and_a_broken_path_is_a_sentence(
    session, panel, cohort, settled, tmp_path
) -> None:
    panel.open(cohort)
    settled()
    panel.table.view.doubleClicked.emit(panel.table.model.index(2, 0))
    settled()
    row = read_cohort(cohort).rows[2]
    assert session.overlay.slide.path == str(row.path)
    assert panel.message.text().startswith(f"Opened '{row.slide_id}'")
    broken = tmp_path / "t.csv"
    broken.write_text("slide,patient_id,features\nno.svs,P1,\n,P2,a.h5\n")
    panel.open(broken)
    settled()
    panel.open_slide(2)
    settled()
    assert "does not exist" in panel.message.text()
    panel.open_slide(3)
    assert "a feature file, not a slide" in panel.message.text()


def test_a_finding_leads_to_its_row_again_and_again(panel, settled, tmp_path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("slide_id,features,patient_id\na,a.h5,\nb,b.h5,P\nc,c.h5,\n")
    panel.open(table)
    settled()
    assert panel.sections["Findings"].isExpanded()
    assert panel.sections["Findings"].text().startswith("Findings: ")
    texts = [panel.findings.list.item(n).text() for n in range(panel.findings.list.count())]
    place = next(n for n, text in enumerate(texts) if "patient_id is empty" in text)
    for number in (2, 4, 2):
        panel.findings.visit(place)
        assert panel.table.current_number() == number
        assert panel.table.view.currentIndex().column() == 2


def test_changes_are_checked_and_saved_under_another_name(panel, cohort, settled, tmp_path) -> None:
    before = cohort.read_text()
    panel.open(cohort)
    settled()
    column = panel.editor.sheet.column("patient_id")
    panel.table.model.setData(panel.table.model.index(0, column), "")
    assert panel.table.model.index(0, column).data() == ""
    assert not panel.save.isHidden()
    assert not panel.train_button.isEnabled()
    settled()
    assert "row 2: the patient_id is empty" in panel.findings.list.item(0).text()
    panel.save.undo_button.click()
    settled()
    assert panel.save.isHidden()
    panel.labels.name_line.setText("stage")
    panel.labels.add_button.click()
    settled()
    place = panel.editor.sheet.column("stage")
    panel.editor.edit({(number, place): "I" for number in (2, 3)})
    settled()
    panel.editor.save(cohort)  # never over the original
    settled()
    assert "not written over" in panel.message.text()
    panel.editor.save(tmp_path / "elsewhere" / "new.csv")
    settled()
    assert panel.save.isHidden()
    assert panel.train_button.isEnabled()
    saved = read_cohort(tmp_path / "elsewhere" / "new.csv")
    assert saved.labels("stage").tolist() == ["I", "I"] + [""] * 6
    assert [row.path for row in saved.rows] == [row.path for row in read_cohort(cohort).rows]
    assert cohort.read_text() == before


def test_a_dropped_folder_becomes_a_table_whose_patients_are_chosen(
    panel, cohort, settled, tmp_path
) -> None:
    drop(panel, cohort.parent / "slides")
    settled()
    assert panel.table.model.rowCount() == 8
    assert "no TCGA barcode" in panel.message.text()
    assert not panel.save.patients_field.isHidden()
    panel.save.patients_field.setCurrentIndex(2)
    panel.save.patients_field.activated.emit(2)
    settled()
    assert not panel.editor.cohort.check.problems
    assert panel.save.suggested() == cohort.parent / "slides" / "cohort.csv"
    panel.editor.save(tmp_path / "made.csv")
    settled()
    assert len(read_cohort(tmp_path / "made.csv")) == 8
    assert panel.save.isHidden()


def test_foreign_columns_get_their_meaning(panel, cohort, settled, tmp_path) -> None:
    row = read_cohort(cohort).rows[0]
    table = tmp_path / "theirs.csv"
    table.write_text(f"Case,Image file,Dx\nP1,{row.path},LUAD\n")
    panel.open(table)
    settled()
    assert panel.sections["Meaning of the columns"].isExpanded()
    assert "other names" in panel.message.text()
    roles = panel.roles
    assert roles.value() == {"patient_id": 0, "slide": 1}
    assert roles.preview.item(0, 1).text() == "P1"
    roles.fields["slide"].setCurrentIndex(roles.fields["slide"].findText("Case"))
    assert "chosen twice" in roles.message.text()
    assert not roles.use_button.isEnabled()
    roles.fields["slide"].setCurrentIndex(roles.fields["slide"].findText("Image file"))
    roles.use_button.click()
    settled()
    assert not panel.editor.cohort.check.problems
    assert table.read_text().startswith("Case,")
    assert not panel.train_button.isEnabled()


def test_folds_are_shown_and_saved_for_an_evaluation(panel, cohort, settled, tmp_path) -> None:
    panel.open(cohort)
    settled()
    panel.folds.n_field.setValue(2)
    panel.folds.val_field.setValue(0)
    panel.folds.make_button.click()
    settled()
    last = panel.table.model.columnCount() - 1
    tested = {panel.table.model.index(row, last).data() for row in range(8)}
    assert tested == {"1", "2"}
    assert panel.folds.suggested_folder() == cohort.with_name("cohort-folds-patient")
    panel.editor.save_folds(tmp_path / "folds")
    settled()
    assert "dre-slcl evaluate" in panel.message.text()
    folds = read_split_folder(read_cohort(cohort), tmp_path / "folds", 0.0, seed=0)
    assert [fold.name for fold in folds] == ["patient-0", "patient-1"]
    panel.editor.edit({(2, panel.editor.sheet.column("patient_id")): "other"})
    assert panel.editor.folds is None  # they were of other patients
    assert not panel.folds.save_button.isEnabled()
    panel.folds.n_field.setValue(50)
    settled()
    panel.folds.make_button.click()
    settled()
    assert "too few for 50 folds" in panel.message.text()


def test_what_is_no_table_is_a_sentence_and_the_tab_stays_as_it_was(
    panel, cohort, settled, tmp_path
) -> None:
    panel.open(cohort)
    settled()
    (tmp_path / "x.csv").write_bytes(b"\0\1\2" * 100)
    panel.open(tmp_path / "x.csv")
    settled()
    assert "is not a CSV" in panel.message.text()
    panel.open(tmp_path)
    settled()
    assert "holds no slides" in panel.message.text()
    assert panel.editor.sheet.table == cohort
    assert panel.table.model.rowCount() == 8


def test_a_closed_dock_starts_nothing(session, panel, cohort, settled) -> None:
    panel.open(cohort)
    settled()
    panel.editor.edit({(2, 0): "x"})
    session.close()
    panel.editor._check()
    panel.open(cohort)
    panel.open_slide(2)
    assert not session.background.is_busy
