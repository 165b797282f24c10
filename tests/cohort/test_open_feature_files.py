import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest

from napari_dre_slcl.cohort import feature_index
from napari_dre_slcl.cohort.feature_index import INDEX_NAME, update_index
from napari_dre_slcl.cohort.feature_store import (
    FeatureOrigin,
    feature_file,
    open_features,
    read_rows,
    write_features,
)
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


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """URL of three feature files in a store in memory, and an empty cache."""
    monkeypatch.setenv("DRE_SLCL_CACHE_DIR", str(tmp_path / "cache"))
    store = fsspec.filesystem("memory")
    store.store.clear()
    url = Path(f"memory://{tmp_path.name}/features")
    for n in (3, 4, 5):
        path = _write(tmp_path / "here" / f"{n}.h5", n)
        store.pipe(f"/{tmp_path.name}/features/{n}.h5", path.read_bytes())
    yield url
    store.store.clear()


def test_remote_files_are_looked_at_without_fetching_and_read_from_a_copy(
    bucket: Path, tmp_path: Path
) -> None:
    files = open_feature_files([bucket / "3.h5", bucket / "5.h5"])
    assert [file.n_tiles for file in files] == [3, 5]
    assert not list((tmp_path / "cache").rglob("*.h5"))
    np.testing.assert_array_equal(read_rows(files[1], np.array([4, 0])), np.full((2, 4), 5.0))
    assert [path.name for path in (tmp_path / "cache").rglob("*.h5")] == ["5.h5"]
    assert feature_file(bucket, ["none", "4"]) == bucket / "4.h5"
    assert feature_file(bucket, ["none"]) is None


def test_a_table_beside_remote_files_spares_opening_them(
    bucket: Path, tmp_path: Path, opened: list[str]
) -> None:
    table = update_index(tmp_path / "here")
    assert table is not None
    fsspec.filesystem("memory").pipe(f"/{tmp_path.name}/features/{INDEX_NAME}", table.read_bytes())
    opened.clear()
    paths = [bucket / f"{n}.h5" for n in (5, 3)]
    assert [(file.path, file.n_tiles) for file in open_feature_files(paths)] == [
        (paths[0], 5),
        (paths[1], 3),
    ]
    assert opened == []
    with pytest.raises(SlideError, match=r"9\.h5' does not exist"):
        open_feature_files([bucket / "9.h5"])
    assert update_index(bucket) is None
