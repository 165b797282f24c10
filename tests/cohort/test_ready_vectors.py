from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_dre_slcl.cohort.ready_vectors import read_ready_vectors
from napari_dre_slcl.errors import CohortError

IDS = ["a", "b", "c"]
VECTORS = np.array([[3, 4], [0, 2], [1, 0]], dtype=np.float32)


def _write(path: Path, ids: object = IDS, vectors: object = VECTORS) -> Path:
    if path.suffix == ".npz":
        np.savez(path, slide_id=np.asarray(ids), vectors=np.asarray(vectors))
    else:
        with h5py.File(path, "w") as file:
            file["slide_id"], file["vectors"] = ids, vectors
    return path


@pytest.mark.parametrize("name", ["v.npz", "v.h5", "v.hdf5"])
def test_rows_follow_the_slides_and_are_unit(tmp_path: Path, name: str) -> None:
    ready = read_ready_vectors(_write(tmp_path / name), ["c", "x", "a"])
    np.testing.assert_allclose(ready.vectors, [[1, 0], [0, 0], [0.6, 0.8]], rtol=1e-6)
    assert ready.missing == ("x",)


def test_numbers_of_other_slides_are_not_looked_at(tmp_path: Path) -> None:
    vectors = VECTORS.copy()
    vectors[1] = np.nan
    path = _write(tmp_path / "v.npz", vectors=vectors)
    assert read_ready_vectors(path, ["a", "c"]).missing == ()
    with pytest.raises(CohortError, match="not finite for 1 slides: 'b'"):
        read_ready_vectors(path, ["a", "b"])


@pytest.mark.parametrize(
    ("ids", "vectors", "sentence"),
    [
        (IDS, VECTORS[:2], r"the shape \(2, 2\) for 3 slide_ids; it must be \(3, dim\)"),
        (IDS, VECTORS[:, 0], r"the shape \(3,\)"),
        (IDS, VECTORS[:, :0], r"the shape \(3, 0\)"),
        (IDS, VECTORS.astype(int), "of the kind int64; save them as float32"),
        (["a", "b", "a"], VECTORS, "'a' more than once"),
        (["x", "y", "z"], VECTORS, "none of the 3 training slides: they name 'x', 'y', 'z', the"),
        (np.array(IDS, dtype=object), VECTORS, "cannot be read: it holds Python objects"),
    ],
)
def test_a_file_that_does_not_fit_gives_a_sentence(
    tmp_path: Path, ids: object, vectors: object, sentence: str
) -> None:
    with pytest.raises(CohortError, match=sentence):
        read_ready_vectors(_write(tmp_path / "v.npz", ids, vectors), IDS)


@pytest.mark.parametrize("name", ["v.npz", "v.h5"])
def test_what_is_no_such_file_gives_a_sentence(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(CohortError, match="cannot be read"):
        read_ready_vectors(path, IDS)
    content = _write(path).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CohortError, match="cannot be read"):
        read_ready_vectors(path, IDS)


def test_other_arrays_give_a_sentence(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", ids=IDS, vectors=VECTORS)
    with pytest.raises(CohortError, match="they need 'slide_id' and 'vectors'"):
        read_ready_vectors(tmp_path / "v.npz", IDS)
