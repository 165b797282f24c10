"""Background: answers come on the main thread, and whatever goes wrong is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.gui.background import Background

WAIT_MS = 10_000


@pytest.fixture
def background(qtbot: Any) -> Iterator[Background]:
    made = Background()
    yield made
    made.close()


def fail(error: Exception) -> None:
    raise error


def test_errors_of_ours_and_of_others_are_told_and_the_next_answer_comes(
    qtbot, background, caplog
) -> None:
    told: list[str] = []
    done: list[int] = []
    odd, ours = MemoryError("too big"), SlideError("It is no slide.")
    background.run("reading 'a.tif'", fail, odd, on_done=done.append, on_error=told.append)
    background.run("reading 'b.tif'", fail, ours, on_done=done.append, on_error=told.append)
    background.run("reading 'c.tif'", abs, -3, on_done=done.append, on_error=told.append)
    qtbot.waitUntil(lambda: not background.is_busy, timeout=WAIT_MS)
    assert "has ended reading 'a.tif': MemoryError in gui/background.py, line " in told[0]
    assert told[1:] == ["It is no slide."]
    assert done == [3]
    assert "Traceback" in caplog.text  # for the report
    assert "too big" not in caplog.text  # which may quote a slide's header


def test_an_answer_that_cannot_be_shown_is_told_too(qtbot, background) -> None:
    told: list[str] = []
    done: list[int] = []

    def refuse(answer: int) -> None:
        raise ValueError(f"no room for {answer}")

    background.run("counting", abs, -3, on_done=refuse, on_error=told.append)
    background.run("measuring", abs, -4, on_done=done.append, on_error=told.append)
    qtbot.waitUntil(lambda: bool(told and done), timeout=WAIT_MS)
    assert "counting: ValueError in gui/background.py, line " in told[0]
    assert done == [4]


def test_only_the_newest_call_of_a_topic_is_answered(qtbot, background) -> None:
    done: list[int] = []
    for number in range(5):
        background.run("counting", abs, number, on_done=done.append, on_error=pytest.fail)
    background.run("measuring", abs, -9, on_done=done.append, on_error=pytest.fail)
    qtbot.waitUntil(lambda: not background.is_busy, timeout=WAIT_MS)
    assert done == [4, 9]
