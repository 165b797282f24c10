import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.cohort import feature_index
from napari_dre_slcl.cohort.feature_index import INDEX_NAME, update_index
from napari_dre_slcl.cohort.feature_store import FeatureOrigin, open_features, write_features
from napari_dre_slcl.cohort.open_feature_files import open_feature_files
from napari_dre_slcl.errors import SlideError

ORIGIN = FeatureOrigin("resnet18", "abc", mpp=0.5, tile_px=256)


def _write(path: Path, n_tiles: int) -> Path:
    features = np.full((n_tiles, 4), n_tiles, np.float32)
    coords = np.arange(n_tiles * 2).reshape(n_tiles, 2)
    return write_features(path, features, coords, ORIGIN, size_px=512, slide_mpp=0.25)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are opened from here on."""
    names: list[str] = []
    really_open = feature_index.open_features

    def watch(path: Path) -> object:
        names.append(path.name)
        return really_open(path)

    monkeypatch.setattr(feature_index, "open_features", watch)
    return names


def test_files_are_those_of_the_paths_in_their_order(tmp_path: Path) -> None:
    paths = [_write(tmp_path / f"{n % 2}" / f"{n}.h5", n) for n in (5, 2, 9, 4)]
    update_index(tmp_path / "1")
    found = open_feature_files([*paths, paths[0]])
    assert found == [open_features(path) for path in [*paths, paths[0]]]


def test_a_known_file_is_not_opened_and_a_stale_one_is(tmp_path: Path, opened: list[str]) -> None:
    paths = [_write(tmp_path / f"{n}.h5", n) for n in (3, 4, 5)]
    update_index(tmp_path)
    opened.clear()
    os.utime(paths[1], ns=(1, 1))
    _write(paths[2], 6)
    assert [file.n_tiles for file in open_feature_files(paths)] == [3, 4, 6]
    assert sorted(opened) == ["4.h5", "5.h5"]


def test_a_table_is_left_where_many_files_had_to_be_opened(
    tmp_path: Path, opened: list[str]
) -> None:
    first = _write(tmp_path / "many" / "0.h5", 3)
    paths = [first, *(Path(shutil.copy2(first, first.with_stem(str(n)))) for n in range(1, 120))]
    few = _write(tmp_path / "few" / "a.h5", 3)
    told: list[tuple[int, int]] = []
    open_feature_files([*paths, few], lambda done, total: told.append((done, total)))
    assert told[-1] == (121, 121)
    assert (len(opened), not (few.parent / INDEX_NAME).exists()) == (121, True)
    opened.clear()
    open_feature_files(paths)
    assert opened == []


@pytest.mark.parametrize("is_indexed", [True, False])
def test_a_file_that_went_away_or_broke_is_named(tmp_path: Path, is_indexed: bool) -> None:
    paths = [_write(tmp_path / f"{n}.h5", n) for n in (3, 4)]
    if is_indexed:
        update_index(tmp_path)
    paths[1].write_bytes(b"broken")
    with pytest.raises(SlideError, match=r"4\.h5' cannot be read, it is damaged"):
        open_feature_files(paths)
    paths[1].unlink()
    with pytest.raises(SlideError, match=r"4\.h5' does not exist"):
        open_feature_files(paths)


def test_looking_ends_when_it_is_told_to(tmp_path: Path) -> None:
    paths = [_write(tmp_path / f"{n}.h5", n) for n in range(1, 30)]

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_feature_files(paths, stop)
