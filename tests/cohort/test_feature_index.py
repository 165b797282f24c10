import os
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.cohort import feature_index
from napari_dre_slcl.cohort.feature_index import INDEX_NAME, read_index, update_index
from napari_dre_slcl.cohort.feature_store import FeatureOrigin, open_features, write_features
from napari_dre_slcl.errors import SlideError

ORIGIN = FeatureOrigin("resnet18", "abc", mpp=0.5, tile_px=256)


def _write(path: Path, n_tiles: int) -> None:
    features = np.full((n_tiles, 4), n_tiles, np.float32)
    coords = np.arange(n_tiles * 2).reshape(n_tiles, 2)
    write_features(path, features, coords, ORIGIN, size_px=512, slide_mpp=0.25)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for n_tiles in (3, 5, 8):
        _write(tmp_path / f"slide.{n_tiles}.h5", n_tiles)
    return tmp_path


def test_index_says_what_the_files_say(folder: Path) -> None:
    assert update_index(folder) == folder / INDEX_NAME
    found = read_index(folder)
    assert sorted(found) == ["slide.3.h5", "slide.5.h5", "slide.8.h5"]
    for name, row in found.items():
        assert row.file == open_features(folder / name)
        assert row.slide_id == name.removesuffix(".h5")
        assert (row.encoder, row.file.mpp, row.file.tile_size_px) == ("resnet18", 0.5, 512)
        assert row.is_current((folder / name).stat())


def test_only_files_that_changed_are_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    update_index(folder)
    opened: list[str] = []
    really_open = feature_index.open_features

    def watch(path: Path) -> object:
        opened.append(path.name)
        return really_open(path)

    monkeypatch.setattr(feature_index, "open_features", watch)
    _write(folder / "slide.5.h5", 6)
    _write(folder / "new.h5", 2)
    (folder / "slide.3.h5").unlink()
    update_index(folder)
    assert sorted(opened) == ["new.h5", "slide.5.h5"]
    assert {name: row.file.n_tiles for name, row in read_index(folder).items()} == {
        "new.h5": 2,
        "slide.5.h5": 6,
        "slide.8.h5": 8,
    }


def test_a_file_that_is_touched_is_no_longer_current(folder: Path) -> None:
    update_index(folder)
    os.utime(folder / "slide.3.h5", ns=(1, 1))
    assert not read_index(folder)["slide.3.h5"].is_current((folder / "slide.3.h5").stat())


def test_broken_files_are_left_out(folder: Path) -> None:
    (folder / "broken.h5").write_bytes(b"no HDF5")
    update_index(folder)
    assert "broken.h5" not in read_index(folder)


@pytest.mark.parametrize("content", [b"", b"PAR1 damaged", b"x" * 4096])
def test_damaged_index_is_made_anew(folder: Path, content: bytes) -> None:
    (folder / INDEX_NAME).write_bytes(content)
    assert read_index(folder) == {}
    update_index(folder)
    assert len(read_index(folder)) == 3


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SlideError, match="nowhere' cannot be read"):
        update_index(tmp_path / "nowhere")


def test_folder_that_cannot_be_written_has_no_index(folder: Path) -> None:
    (folder / INDEX_NAME).mkdir()  # root may write anywhere, but not over a folder
    assert update_index(folder) is None
    assert read_index(folder) == {}
