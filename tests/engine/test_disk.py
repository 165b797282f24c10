"""Free room of a folder that may not be there yet."""

import shutil
from pathlib import Path

import pytest

from napari_dre_slcl.engine.disk import free_on_disk


def test_a_folder_that_is_not_there_has_the_room_of_its_volume(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    assert free_on_disk(tmp_path / "not" / "yet" / "there") == pytest.approx(free, rel=0.05)


def test_a_relative_folder_is_looked_up_where_the_process_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    free = shutil.disk_usage(tmp_path).free
    assert free_on_disk(Path("run")) == pytest.approx(free, rel=0.05)
