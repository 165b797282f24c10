"""Arrays of strangers: what is claimed is compared with what is there before memory is taken."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_dre_slcl.untrusted import (
    UntrustedError,
    check_array,
    map_npy,
    open_npz,
    read_npy,
    read_npy_stream,
)

MIB = 2**20


def _claim(shape: tuple[int, ...], descr: str = "<f4") -> bytes:
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4),
        np.asfortranarray(np.arange(12).reshape(3, 4)),
        np.array("text"),
        np.zeros((0, 4), np.float16),
        np.array(["a", "bcd"]),
    ],
)
def test_an_honest_array_comes_back(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", x=array)
    for found in (read_npy(tmp_path / "a.npy"), map_npy(tmp_path / "a.npy")):
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype
    with open_npz(tmp_path / "a.npz") as stored:
        assert list(stored) == ["x"]
        np.testing.assert_array_equal(stored["x"], array)


@pytest.mark.parametrize("shape", [(10**12, 1024), (2**62, 2**62), (-1, 3), (10**12, 0)])
def test_a_shape_past_all_sense_takes_no_memory(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(_claim(shape))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", _claim(shape))
    tracemalloc.start()
    for read in (read_npy, map_npy):
        with pytest.raises(UntrustedError):
            read(path)
    with open_npz(tmp_path / "a.npz") as stored, pytest.raises(UntrustedError):
        _ = stored["x"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MIB


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", _claim((2**27,), "|u1") + bytes(2**27))
    assert path.stat().st_size < MIB
    tracemalloc.start()
    with open_npz(path) as stored, pytest.raises(UntrustedError, match="no honest file"):
        _ = stored["x"]
    assert tracemalloc.get_traced_memory()[1] < MIB
    tracemalloc.stop()


def test_objects_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    for read in (read_npy, map_npy):
        with pytest.raises(UntrustedError, match="could run code"):
            read(tmp_path / "a.npy")


def test_a_compressed_array_of_usual_size_is_taken() -> None:
    assert check_array((1000, 1024), np.dtype(np.float32), n_stored=2_000_000) == 4_096_000
    assert check_array((2**20,), np.dtype(np.int64), n_stored=10) == 8 * MIB


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes_are_an_array_or_refused(noise: bytes, place: int) -> None:
    content = io.BytesIO()
    np.save(content, np.arange(6, dtype=np.float32).reshape(2, 3))
    changed = content.getvalue()[:place] + noise + content.getvalue()[place:]
    with suppress(ValueError):
        read_npy_stream(io.BytesIO(changed), len(changed))
