"""Result files: equal after a round trip, whole or absent, and refused when they are not ours."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.errors import ResultError
from napari_dre_slcl.results import SlideResult, TaskPrediction, load_result, save_result


@pytest.fixture
def result() -> SlideResult:
    return SlideResult(
        slide_id="S1",
        slide_path="slides/S1.tif",
        slide_shape=(1024, 1536),
        mpp=0.499,
        mpp_source="vendor property",
        tile_size_px=257,
        grid_shape=(3, 5),
        rowcol=np.array([[0, 1], [2, 4]]),
        codeword=np.array([1, 0]),
        attention=np.array([0.25, 0.75], dtype=np.float32),
        residual_norm=np.array([1, 2], dtype=np.float32),
        n_codewords=2,
        codeword_attention=np.array([0.4, 0.6], dtype=np.float32),
        slide_vector=np.arange(4, dtype=np.float32),
        predictions=(TaskPrediction("cancer", ("normal", "cancer"), (0.1, 0.9), "cancer"),),
        provenance={"method": "dre-slcl"},
        features=np.array([[0.6, 0.8], [1, 0]], dtype=np.float32),
        features_key="abc",
    )


def test_a_result_survives_its_file(result: SlideResult, tmp_path: Path) -> None:
    loaded = load_result(save_result(result, tmp_path / "new" / "S1.dreslcl.npz"))
    for field in fields(SlideResult):
        mine, theirs = getattr(result, field.name), getattr(loaded, field.name)
        if isinstance(mine, np.ndarray):
            np.testing.assert_array_equal(theirs, mine)
            assert theirs.dtype == mine.dtype
        else:
            assert theirs == mine


def test_tiles_know_their_place(result: SlideResult) -> None:
    assert result.tile_yx.tolist() == [[0, 257], [514, 1028]]
    raster = result.raster(result.attention, np.nan)
    assert raster.shape == (3, 5)
    assert (raster[0, 1], raster[2, 4]) == (0.25, 0.75)
    assert np.isnan(raster).sum() == 13


def test_a_prediction_answers_by_class(result: SlideResult) -> None:
    (prediction,) = result.predictions
    assert prediction.predicted == "cancer"
    assert prediction.probability("normal") == 0.1


def test_nothing_is_left_beside_a_written_result(result: SlideResult, tmp_path: Path) -> None:
    save_result(result, tmp_path / "S1.dreslcl.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["S1.dreslcl.npz"]


def test_a_target_that_is_a_folder_is_a_sentence(result: SlideResult, tmp_path: Path) -> None:
    (tmp_path / "S1.dreslcl.npz").mkdir()
    with pytest.raises(ResultError, match="cannot be written"):
        save_result(result, tmp_path / "S1.dreslcl.npz")
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 broken"])
def test_files_of_another_kind_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.dreslcl.npz"
    path.write_bytes(content)
    with pytest.raises(ResultError):
        load_result(path)


def test_a_result_with_columns_of_unequal_length_is_refused(result, tmp_path: Path) -> None:
    path = save_result(result, tmp_path / "x.dreslcl.npz")
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays["codeword"] = arrays["codeword"][:1]
    np.savez(path, **arrays)
    with pytest.raises(ResultError, match="not a result of this version, or it is damaged"):
        load_result(path)


def test_a_result_of_a_version_that_kept_no_features_is_read(result, tmp_path: Path) -> None:
    path = save_result(replace(result, features=None), tmp_path / "x.dreslcl.npz")
    with np.load(path) as stored:
        arrays = dict(stored)
    header = json.loads(str(arrays["header"]))
    del header["features_key"]
    np.savez(path, **(arrays | {"header": np.array(json.dumps(header))}))
    loaded = load_result(path)
    assert loaded.features is None
    assert loaded.features_key == ""
    assert loaded.predictions == result.predictions


def test_features_are_read_only_where_they_are_wanted(result, tmp_path: Path) -> None:
    path = save_result(result, tmp_path / "x.dreslcl.npz")
    light = load_result(path, with_features=False)
    assert light.features is None
    assert light.features_key == "abc"


@pytest.mark.parametrize("features", [np.ones((3, 2), np.float32), np.ones((2, 2))])
def test_features_that_do_not_fit_the_tiles_are_refused(result, tmp_path, features) -> None:
    path = save_result(replace(result, features=features), tmp_path / "x.dreslcl.npz")
    with pytest.raises(ResultError, match="Predict the slide again"):
        load_result(path)


def test_pickled_arrays_are_never_loaded(result: SlideResult, tmp_path: Path) -> None:
    path = save_result(result, tmp_path / "x.dreslcl.npz")
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays["codeword"] = np.array([{"a": 1}, None], dtype=object)
    np.savez(path, **arrays)
    with pytest.raises(ResultError):
        load_result(path)


def test_a_missing_result_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"gone\.npz' cannot be read: No such file"):
        load_result(tmp_path / "gone.npz")


def _written_with(result: SlideResult, path: Path, part: str, value: object) -> Path:
    """Write a result with one part of its file replaced."""
    save_result(result, path)
    with np.load(path) as stored:
        arrays = dict(stored)
    if isinstance(value, np.ndarray):
        arrays[part] = value
    else:
        header = json.loads(str(arrays["header"])) | {part: value}
        arrays["header"] = np.array(json.dumps(header))
    np.savez(path, **arrays)
    return path


_PREDICTION = {"task": "t", "classes": ["a", "b"], "probabilities": [0.5, 0.5]}


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("header", np.array("null")),
        ("header", np.array('"text"')),
        ("rowcol", np.array([[0, 1], [2, 99]])),
        ("rowcol", np.array([[0, 1], [-1, 4]])),
        ("rowcol", np.array([[0.0, 1.0], [2.0, 4.0]])),
        ("codeword", np.array([1, 2])),
        ("codeword", np.array([-1, 0])),
        ("codeword", np.array([1.0, 0.0])),
        ("attention", np.array(["a", "b"])),
        ("codeword_attention", np.ones(3, np.float32)),
        ("tile_size_px", 0),
        ("tile_size_px", "257"),
        ("grid_shape", [3]),
        ("grid_shape", [10**9, 10**9]),
        ("slide_shape", [1024]),
        ("slide_id", None),
        ("slide_path", 5),
        ("mpp", "x"),
        ("mpp", float("nan")),
        ("mpp", 0),
        ("n_codewords", -1),
        ("codeword_names", ["one"]),
        ("codeword_names", [1, 2]),
        ("provenance", {"encoder": 5}),
        ("provenance", None),
        ("predictions", [_PREDICTION | {"probabilities": [0.5]}]),
        ("predictions", [_PREDICTION | {"probabilities": ["a", "b"]}]),
        ("predictions", [_PREDICTION | {"positive": "c"}]),
        ("predictions", [_PREDICTION | {"low": [0.1]}]),
        ("predictions", [_PREDICTION | {"classes": [], "probabilities": []}]),
    ],
)
def test_a_result_whose_parts_do_not_fit_is_refused(result, tmp_path, part, value) -> None:
    path = _written_with(result, tmp_path / "x.dreslcl.npz", part, value)
    with pytest.raises(ResultError, match="or it is damaged"):
        load_result(path)


def test_an_older_compressed_result_with_a_flipped_byte_is_refused(result, tmp_path) -> None:
    path = save_result(result, tmp_path / "x.dreslcl.npz")
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez_compressed(path, **arrays)
    content = bytearray(path.read_bytes())
    start = content.index(b"header.npy") + len(b"header.npy") + 30
    content[start : start + 20] = b"\xff" * 20
    path.write_bytes(content)
    with pytest.raises(ResultError):
        load_result(path)
