"""Ask and What if on a slide with a real model and a real engine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtGui import QColor

from napari_dre_slcl.gui.ask_box import NOTE, AskBox
from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.gui.what_if_box import WhatIfBox, change_bars
from napari_dre_slcl.layers.lasso import LASSO_KIND
from napari_dre_slcl.results import load_result

WAIT_MS = 120_000
NARROW_PX = 380
COLORS = ThemeColors(*(QColor("#808080") for _ in range(4)), series=())


@pytest.fixture
def session(qapp: Any) -> Iterator[Session]:
    """Return a session without a window; boxes made by `box` live as long, as in a dock."""
    opened = Session(ViewerModel())
    yield opened
    opened.close()


@pytest.fixture
def box(session: Session) -> Iterator[Callable[..., Any]]:
    """Return box(class, session), which makes a box."""
    made: list[Any] = []

    def make(kind: Any, session: Session) -> Any:
        made.append(kind(session, COLORS))
        return made[-1]

    yield make
    session.close()
    for one in made:
        one.deleteLater()


@pytest.fixture
def shown(qtbot: Any, session: Session, trained: Any) -> Session:
    """Return the session with a result, loaded from its file, and its model."""
    session.set_model(trained.run_dir)
    with qtbot.waitSignal(session.overlay.result_shown, timeout=WAIT_MS):
        session.overlay.load_result(trained.result_path)
    return session


def test_phrases_and_what_ifs_are_answered_by_the_engine(qtbot, box, shown, trained) -> None:
    ask, what_if = box(AskBox, shown), box(WhatIfBox, shown)
    found: list[tuple[Any, ...]] = []
    ask.values_found.connect(lambda *given: found.append(given))

    ask.phrases.setValue("tumour xylophone")
    ask.phrases.ask_button.click()
    qtbot.waitUntil(lambda: bool(found), timeout=WAIT_MS)

    key, title, values, explanation = found[0]
    stored = load_result(trained.result_path)
    assert (key, title, explanation) == ("similarity", "Likeness to 'tumour xylophone'", NOTE)
    assert values.shape == (len(stored.rowcol),)
    assert np.abs(values).max() <= 1.01
    assert "left aside: 'xylophone'" in ask.message.text()

    before = [bar.text for bar in what_if.bars.value()]
    shown.select_tiles([0, 1])
    what_if.selected.setChecked(True)
    qtbot.waitUntil(lambda: "→" in what_if.bars.value()[0].text, timeout=WAIT_MS)
    assert [bar.text.split(" → ")[0] for bar in what_if.bars.value()] == before

    what_if.clear()
    qtbot.waitUntil(lambda: [bar.text for bar in what_if.bars.value()] == before, timeout=WAIT_MS)

    every = tuple(range(stored.n_codewords))
    what_if.codewords.setValue(every)
    qtbot.waitUntil(lambda: "nothing is left" in what_if.message.text(), timeout=WAIT_MS)


def test_both_say_what_to_do_where_there_is_no_result(box, session) -> None:
    ask, what_if = box(AskBox, session), box(WhatIfBox, session)

    assert "Predict" in ask.empty.text()
    assert "Predict" in what_if.empty.text()
    assert not what_if.controls.isVisibleTo(what_if)
    assert not ask.phrases.isEnabled()


def test_both_fit_a_narrow_dock(qtbot, box, shown) -> None:
    for made in (box(AskBox, shown), box(WhatIfBox, shown)):
        assert made.minimumSizeHint().width() <= NARROW_PX
        made.resize(NARROW_PX, 900)
        made.show()
        note = made.note
        qtbot.waitUntil(
            lambda note=note: note.height() >= note.heightForWidth(note.width()), timeout=5000
        )


def test_another_model_than_that_of_the_result_is_not_asked(
    box, shown, trained, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("napari_dre_slcl.gui.message_line.show_error", lambda text: None)
    other = tmp_path / "model"
    other.mkdir()
    (other / "model.json").write_text(json.dumps({"weights_sha256": "0"}), encoding="utf-8")
    shown.set_model(other)
    ask = box(AskBox, shown)
    shown.result.provenance["model"] = str(other)

    ask.ask("tumour")

    assert "The model that made this result is not at hand" in ask.message.text()
    assert shown.answerer.process_id is None


def test_kept_phrases_lie_beside_the_model(qtbot, box, session, trained, tmp_path) -> None:
    model = tmp_path / "model"
    shutil.copytree(trained.run_dir / "model", model)
    session.set_model(model)
    ask = box(AskBox, session)
    ask.phrases.setEnabled(True)
    ask.phrases.setValue("dense  lymphocytes")
    qtbot.waitUntil(ask.phrases.keep_button.isEnabled, timeout=WAIT_MS)
    ask.phrases.keep_button.click()
    qtbot.waitUntil(lambda: not session.background.is_busy, timeout=WAIT_MS)

    again = box(AskBox, session)
    qtbot.waitUntil(lambda: again.phrases.phrases() == ("dense lymphocytes",), timeout=WAIT_MS)
    again.phrases.setEnabled(True)
    again.phrases.setValue("dense lymphocytes")
    again.phrases.forget_button.click()
    assert again.phrases.phrases() == ()


def test_a_lasso_finds_its_tiles_and_may_be_deleted_by_hand(qtbot, box, shown) -> None:
    what_if = box(WhatIfBox, shown)
    what_if.lasso_button.click()
    layer = shown.overlay.layer(LASSO_KIND)
    assert layer.mode == "add_polygon_lasso"
    height, width = shown.result.slide_shape
    corners = np.array([[-1, -1], [-1, width], [height, width], [height, -1]])

    layer.add(corners, shape_type="polygon")
    n_tiles = len(shown.result.rowcol)
    qtbot.waitUntil(lambda: len(what_if.without_tiles()) == n_tiles, timeout=WAIT_MS)
    assert f"({n_tiles})" in what_if.lassoed.text()

    shown.viewer.layers.remove(layer)
    qtbot.waitUntil(lambda: len(what_if.without_tiles()) == 0, timeout=WAIT_MS)
    what_if.lasso_button.click()
    assert shown.overlay.layer(LASSO_KIND) is not None


def test_rows_name_the_class_that_is_asked_for(trained) -> None:
    result = load_result(trained.result_path)

    rows = change_bars(result, {"subtype/LUSC": 0.25})

    before = result.predictions[0].probability("LUSC")
    assert rows[0].name == "subtype: LUSC"
    assert rows[0].text == f"{before:.2f} → 0.25"
    assert (rows[0].value, rows[0].low, rows[0].high) == (0.25, before, before)
    assert [row.name for row in rows[1:]] == ["cancer", "TP53"]
