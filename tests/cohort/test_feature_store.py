"""Feature files: the layouts of TRIDENT, CLAM and bare tables; what is written; what is broken."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_dre_slcl.cohort.feature_store import (
    FeatureOrigin,
    feature_file,
    open_features,
    read_features,
    read_rows,
    write_features,
)
from napari_dre_slcl.errors import SlideError

FEATURES = np.arange(15, dtype=np.float32).reshape(5, 3)
XY = np.array([[0, 0], [512, 0], [0, 512], [512, 512], [1024, 512]])
ORIGIN = FeatureOrigin("vit", "ab" * 32, 0.5, 256)


def _file(path: Path, features=FEATURES, coords=XY, attrs=None) -> Path:
    with h5py.File(path, "w") as file:
        if features is not None:
            file["features"] = features
        if coords is not None:
            file["coords"] = coords
            file["coords"].attrs.update(attrs or {})
    return path


@pytest.mark.parametrize("layout", ["plain", "leading axis", "half", "clam int32"])
def test_every_layout_gives_the_same_tiles(tmp_path: Path, layout: str) -> None:
    features, coords = FEATURES, XY
    if layout == "leading axis":
        features, coords = features[None], coords[None]
    if layout == "half":
        features = features.astype(np.float16)
    if layout == "clam int32":
        coords = coords.astype(np.int32)
    path = _file(tmp_path / "a.h5", features, coords)
    stored = read_features(path)
    assert stored.features.dtype == np.float32
    np.testing.assert_array_equal(stored.features, FEATURES)
    np.testing.assert_array_equal(stored.coords_yx, XY[:, ::-1])
    for tiles in ([], [4], [3, 0, 3], [1, 2], [0, 4]):
        rows = read_rows(stored.file, np.array(tiles, np.int64))
        np.testing.assert_array_equal(rows, FEATURES[tiles])


def test_rows_far_apart_are_read_one_by_one(tmp_path: Path) -> None:
    table = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)
    for features in (table, table[None]):
        file = open_features(_file(tmp_path / "a.h5", features, None))
        tiles = np.array([999, 0, 500, 0])
        np.testing.assert_array_equal(read_rows(file, tiles), table[tiles])


def test_attributes_tell_size_and_resolution(tmp_path: Path) -> None:
    trident = {"patch_size": 256, "patch_size_level0": 512, "target_magnification": 20}
    file = open_features(_file(tmp_path / "a.h5", attrs=trident))
    assert (file.n_tiles, file.dim, file.tile_size_px, file.mpp) == (5, 3, 512, 0.5)
    clam = open_features(_file(tmp_path / "b.h5", attrs={"patch_size": 224, "patch_level": 0}))
    assert (clam.tile_size_px, clam.mpp) == (224, None)
    bare = open_features(_file(tmp_path / "c.h5", coords=None))
    assert (bare.has_coords, bare.tile_size_px, bare.mpp) == (False, None, None)
    assert read_features(bare.path).coords_yx is None


def test_what_is_written_is_packed_in_pieces_that_any_reader_unpacks(tmp_path: Path) -> None:
    table = np.random.default_rng(0).normal(size=(300, 1024)).astype(np.float32)
    corners = np.arange(600).reshape(300, 2) * 512
    paths = [tmp_path / name / "s.h5" for name in ("first", "again")]
    for path in paths:
        write_features(path, table, corners, ORIGIN, 512, 0.25)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with h5py.File(paths[0]) as file:
        assert (file["features"].compression, file["features"].chunks) == ("gzip", (16, 1024))
        assert file["coords"].id.get_storage_size() < 0.3 * corners.nbytes
        np.testing.assert_array_equal(file["features"][()], table)
    tiles = np.array([299, 0, 17, 150])
    np.testing.assert_array_equal(read_rows(open_features(paths[0]), tiles), table[tiles])
    assert [path.name for path in paths[0].parent.iterdir()] == ["s.h5"]


def test_what_is_written_is_tridents_layout_and_comes_back(tmp_path: Path) -> None:
    path = write_features(tmp_path / "x" / "s.h5", FEATURES, XY[:, ::-1], ORIGIN, 512, 0.25)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["coords"], XY)
        about = dict(file["coords"].attrs)
        assert (about["patch_size"], about["patch_size_level0"]) == (256, 512)
        assert (about["level0_magnification"], about["target_magnification"]) == (40, 20)
        assert (about["overlap"], about["name"]) == (0, "s")
    stored = read_features(path)
    np.testing.assert_array_equal(stored.features, FEATURES)
    np.testing.assert_array_equal(stored.coords_yx, XY[:, ::-1])
    attrs = stored.file.attrs
    assert (attrs["encoder"], attrs["encoder_sha256"], attrs["mpp"]) == ("vit", "ab" * 32, 0.5)
    assert [file.name for file in path.parent.iterdir()] == ["s.h5"]


def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SlideError, match="cannot be written"):
        write_features(tmp_path / "file" / "s.h5", FEATURES, XY, ORIGIN, 512, 0.25)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"features": None}, "no data set 'features', it holds 'coords'"),
        ({"features": np.ones((2, 2, 3), np.float32)}, r"float32 array of shape \(2, 2, 3\)"),
        ({"features": FEATURES[:0]}, r"shape \(0, 3\)"),
        ({"features": np.array([[b"a"]])}, "a table of numbers"),
        ({"coords": XY[:3]}, r"5 features but coordinates of shape \(3, 2\)"),
        ({"features": np.where(FEATURES == 4, np.nan, FEATURES)}, "1 tiles whose features are not"),
        ({"features": np.where(FEATURES == 4, 1e300, 0)}, "1 tiles whose features are not"),
        ({"coords": XY * np.nan}, "coordinates are no places"),
        ({"coords": XY + 2**40}, "coordinates are no places"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, content, sentence: str) -> None:
    path = _file(tmp_path / "a.h5", **content)
    with pytest.raises(SlideError, match=sentence) as raised:
        read_features(path)
    assert "a.h5" in str(raised.value)


def test_a_file_whose_inner_tables_are_damaged_is_named(tmp_path: Path) -> None:
    path = _file(tmp_path / "a.h5", FEATURES, XY)
    content = path.read_bytes()
    assert b"SNOD" in content  # the list of data sets
    path.write_bytes(content.replace(b"SNOD", b"XXXX"))
    with pytest.raises(SlideError, match=r"a\.h5' cannot be read"):
        open_features(path)


@pytest.mark.parametrize("amount", [np.inf, np.nan, -1, 0])
def test_amounts_that_are_none_are_not_stated(tmp_path: Path, amount: float) -> None:
    path = _file(tmp_path / "a.h5", FEATURES, XY)
    with h5py.File(path, "r+") as file:
        file["coords"].attrs.update(
            {"mpp": amount, "target_magnification": amount, "patch_size_level0": amount}
        )
    file = open_features(path)
    assert (file.mpp, file.tile_size_px) == (None, None)


def test_missing_cut_and_foreign_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(SlideError, match=r"none\.h5' does not exist"):
        open_features(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no features")
    with pytest.raises(SlideError, match=r"text\.h5' cannot be read"):
        open_features(tmp_path / "text.h5")
    large = np.zeros((20_000, 8), np.float32)
    cut = _file(tmp_path / "cut.h5", large, None)
    cut.write_bytes(cut.read_bytes()[:100_000])
    with pytest.raises(SlideError, match=r"cut\.h5' cannot be read"):
        read_features(cut)


def test_a_file_is_found_by_any_of_its_slides_names(tmp_path: Path) -> None:
    path = _file(tmp_path / "stem.hdf5")
    assert feature_file(tmp_path, ["id", "stem"]) == path
    assert feature_file(tmp_path, ["id"]) is None
