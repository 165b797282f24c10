"""TRIDENT's and CLAM's files: as these tools write them, read; as they read them, written."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from napari_dre_slcl.cli import main
from napari_dre_slcl.cohort.feature_store import open_features, read_features, read_rows
from napari_dre_slcl.engine.convert_features import convert_features, read_any
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.results import SlideResult, save_result

TRIDENT = {
    "patch_size": 256,
    "patch_size_level0": 512,
    "level0_magnification": 40,
    "target_magnification": 20,
    "overlap": 0,
    "name": "s",
    "savetodir": "/job/20x_256px_0px_overlap",
    "level0_width": 1600,
    "level0_height": 1100,
}
"""As ``coords_to_h5`` of TRIDENT gives them to ``coords``."""


@pytest.fixture
def trident_file(
    tmp_path: Path,
    save_as_they_do: Callable[..., Path],
    features: NDArray[np.float32],
    corners_xy: NDArray[np.int64],
) -> Path:
    """Write what ``extract_patch_features`` of TRIDENT writes."""
    about = {"name": "s", "savetodir": "/job", "encoder": "uni_v1", "encoder_sha256": "ab" * 32}
    attributes = {"features": about}
    attributes["coords"] = TRIDENT
    arrays = {"features": features, "coords": corners_xy}
    return save_as_they_do(tmp_path / "in/s.h5", arrays, attributes)


@pytest.fixture
def clam_folder(
    tmp_path: Path,
    save_as_they_do: Callable[..., Path],
    features: NDArray[np.float32],
    corners_xy: NDArray[np.int64],
) -> Path:
    """Write what ``extract_features_fp.py`` of CLAM writes, and the patches that it reads.

    ``process_contour`` (wsi_core/WholeSlideImage.py at 5faf04c) told the patches: 256 px of level
    1, whose downsample is 1.9998.
    """
    folder = tmp_path / "clam"
    arrays = {"features": features, "coords": corners_xy.astype(np.int32)}
    save_as_they_do(folder / "feat/h5_files/s.h5", arrays, {}, rows=32)
    (folder / "feat/pt_files").mkdir()
    torch.save(torch.from_numpy(features), folder / "feat/pt_files/s.pt")
    told = {
        "patch_size": 256,
        "patch_level": 1,
        "downsample": (1.9998, 2.0),
        "downsampled_level_dim": np.array([800, 550]),
        "level_dim": (800, 550),
        "name": "s",
        "save_path": "/job/patches",
    }
    save_as_they_do(folder / "patches/s.h5", {"coords": corners_xy}, {"coords": told}, rows=1)
    return folder


def test_tridents_file_comes_back_with_all_that_its_tools_ask_for(
    trident_file: Path, tmp_path: Path
) -> None:
    done = convert_features([trident_file], "trident", tmp_path / "out")
    assert done.written == {"s": tmp_path / "out/s.h5"}
    with h5py.File(trident_file) as before, h5py.File(tmp_path / "out/s.h5") as after:
        for name in ("features", "coords"):
            np.testing.assert_array_equal(before[name], after[name])
            assert before[name].dtype == after[name].dtype
        lost = {"savetodir"}
        assert {**TRIDENT, **after["coords"].attrs} == dict(after["coords"].attrs) | {
            name: TRIDENT[name] for name in lost
        }
        assert after["features"].attrs["encoder"] == "uni_v1"
        assert after["features"].attrs["encoder_sha256"] == "ab" * 32


def test_clams_files_are_read_and_its_patches_tell_the_size(
    clam_folder: Path, features: NDArray[np.float32], corners_xy: NDArray[np.int64]
) -> None:
    bare = read_features(clam_folder / "feat/h5_files/s.h5")
    assert bare.file.tile_size_px is None  # CLAM's feature files have no attributes
    for source in ("feat/h5_files/s.h5", "feat/pt_files/s.pt"):
        table = read_any(clam_folder / source, clam_folder / "patches")
        np.testing.assert_array_equal(table.features, features)
        np.testing.assert_array_equal(table.coords_yx, corners_xy[:, ::-1])
        assert table.size_px == 512


def test_a_clam_folder_becomes_tridents_and_back_by_the_command(
    clam_folder: Path,
    tmp_path: Path,
    features: NDArray[np.float32],
    corners_xy: NDArray[np.int64],
) -> None:
    there, back = tmp_path / "trident", tmp_path / "back"
    arguments = [str(clam_folder / "feat"), "--to", "trident", "--out", str(there)]
    assert main(["convert-features", *arguments, "--coords", str(clam_folder / "patches")]) == 0
    assert open_features(there / "s.h5").tile_size_px == 512
    assert main(["convert-features", str(there), "--to", "clam", "--out", str(back)]) == 0
    with h5py.File(back / "h5_files/s.h5") as file:  # as CLAM's Generic_MIL_Dataset reads it
        np.testing.assert_array_equal(file["features"][:], features)
        np.testing.assert_array_equal(file["coords"][:], corners_xy)
        assert file["coords"].dtype == np.int32
    loaded = torch.load(back / "pt_files/s.pt", weights_only=True)
    np.testing.assert_array_equal(loaded.numpy(), features)
    assert open_features(back / "h5_files/s.h5").tile_size_px == 512


def test_features_of_a_result_lie_where_its_tiles_lie(
    result: SlideResult, tmp_path: Path, corners_xy: NDArray[np.int64]
) -> None:
    path = save_result(result, tmp_path / "slide.dreslcl.npz")
    convert_features([path], "trident", tmp_path / "out")
    stored = read_features(tmp_path / "out/slide.h5")
    np.testing.assert_array_equal(stored.coords_yx, corners_xy[:, ::-1])
    np.testing.assert_array_equal(stored.features, result.features)
    assert stored.file.attrs["level0_magnification"] == 40


def test_what_cannot_be_read_is_left_out_and_told(
    trident_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (trident_file.parent / "bad.h5").write_text("no features")
    arguments = ["convert-features", str(trident_file.parent), "--to", "clam", "--out"]
    assert main([*arguments, str(tmp_path / "out")]) == 0
    told = capsys.readouterr()
    assert "1 slides written, 1 left out" in told.out
    assert "Left out bad.h5" in told.err
    (trident_file.parent / "s.hdf5").write_bytes(trident_file.read_bytes())
    with pytest.raises(SlideError, match="would become one file"):
        convert_features([trident_file.parent], "clam", tmp_path / "out")
    with pytest.raises(SlideError, match="would be replaced by what is made of it"):
        convert_features([trident_file], "trident", trident_file.parent)
    with pytest.raises(SlideError, match="no layout 'stamp'"):
        convert_features([trident_file], "stamp", tmp_path / "out")


def test_coordinates_of_other_tiles_are_refused(
    clam_folder: Path, tmp_path: Path, save_as_they_do: Callable[..., Path]
) -> None:
    other = {"coords": np.zeros((4, 2), np.int64)}
    save_as_they_do(tmp_path / "other/s.h5", other, {})
    with pytest.raises(SlideError, match=r"has 5 tiles, its coordinates .* 4"):
        read_any(clam_folder / "feat/pt_files/s.pt", tmp_path / "other")
    with pytest.raises(SlideError, match=r"need\. Give the folder .* by --coords"):
        convert_features([clam_folder / "feat/pt_files"], "clam", tmp_path / "out")


class _Harm:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("code of a file was run",))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (_Harm(), "Python objects"),
        (np.ones((5, 3)), "numpy arrays in it are not read"),  # TRIDENT's --saveas pt
        ({"features": torch.ones(5, 3)}, "holds a dict"),
        (torch.ones(1).expand(10**9, 1024), "speaks of"),
        (torch.ones(5, 3, dtype=torch.int64), "int64 numbers"),
        (torch.full((5, 3), torch.nan), "not finite"),
    ],
    ids=["code", "numpy", "dict", "endless", "whole numbers", "no numbers"],
)
def test_tensor_files_that_are_no_features_are_refused(
    content: object, reason: str, tmp_path: Path
) -> None:
    torch.save(content, tmp_path / "s.pt")
    with pytest.raises(SlideError, match=reason):
        read_any(tmp_path / "s.pt")
    with (tmp_path / "s.pt").open("wb") as stream:
        pickle.dump(_Harm(), stream)
    with pytest.raises(SlideError, match="no file of one tensor"):
        read_any(tmp_path / "s.pt")


@pytest.mark.parametrize("layout", ["vector", "one row", "one row and leading axis"])
def test_the_vector_of_a_slide_encoder_is_a_bag_of_one(
    layout: str,
    tmp_path: Path,
    save_as_they_do: Callable[..., Path],
    corners_xy: NDArray[np.int64],
) -> None:
    """``extract_slide_features`` of TRIDENT squeezes the vector, and keeps all coordinates."""
    vector = np.linspace(-1, 1, 768, dtype=np.float32)
    stored = {"vector": vector, "one row": vector[None]}.get(layout, vector[None, None])
    arrays = {"features": stored, "coords": corners_xy}
    attributes = {"features": {"name": "s", "savetodir": "/job"}, "coords": TRIDENT}
    path = save_as_they_do(tmp_path / "in/s.h5", arrays, attributes)
    file = open_features(path)
    assert (file.n_tiles, file.dim, file.has_coords) == (1, 768, False)
    np.testing.assert_array_equal(read_features(path).features, vector[None])
    np.testing.assert_array_equal(read_rows(file, np.array([0, 0])), np.stack([vector] * 2))
    convert_features([path], "trident", tmp_path / "out")
    np.testing.assert_array_equal(read_features(tmp_path / "out/s.h5").features, vector[None])
