"""A folder of outputs tells of a killed process, and keeps what living ones write."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from napari_dre_slcl.atomic_file import aside_of
from napari_dre_slcl.engine.at_work import at_work
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.messages import Event, Log

KILLED_AT_WORK = """
import os, signal, sys
from pathlib import Path
from napari_dre_slcl.atomic_file import aside_of
from napari_dre_slcl.engine.at_work import at_work
from napari_dre_slcl.engine.reporter import Reporter
folder = Path(sys.argv[1])
with at_work(folder, Reporter(lambda event: None, lambda: False)):
    (folder / "inside").mkdir()
    aside_of(folder / "inside" / "result.npz").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def reporter(said: list[str]) -> Reporter:
    def hear(event: Event) -> None:
        if isinstance(event, Log):
            said.append(event.message)

    return Reporter(hear, lambda: False)


def test_what_a_killed_process_left_goes_and_is_told(
    tmp_path: Path, reporter: Reporter, said: list[str]
) -> None:
    command = [sys.executable, "-c", KILLED_AT_WORK, str(tmp_path)]
    subprocess.run(command, check=False, timeout=100)
    assert len(list(tmp_path.rglob("*.part"))) == 2
    with at_work(tmp_path, reporter, ["inside"]) as mark:
        assert list(tmp_path.rglob("*.part")) == [mark]
    assert list(tmp_path.rglob("*.part")) == []
    (sentence,) = said
    assert f"command on the folder '{tmp_path}' was broken off" in sentence


def test_what_a_living_process_writes_stays_and_nothing_is_told(
    tmp_path: Path, reporter: Reporter, said: list[str]
) -> None:
    being_written = aside_of(tmp_path / "result.npz")
    being_written.touch()
    with at_work(tmp_path / "new", reporter), at_work(tmp_path, reporter):
        assert being_written.exists()
    assert said == []


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path, reporter: Reporter) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(JobError, match=r"cannot be written: .*Choose another --out"),
        at_work(tmp_path / "file" / "out", reporter),
    ):
        pass
