"""Feature files of strangers: nothing of another file is read, and none is read without end."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_dre_slcl.cohort.feature_store import open_features, read_features
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide.trial_hdf5 import is_hdf5


@pytest.fixture
def other(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["features"] = np.ones((6, 4), np.float32)
    return tmp_path / "other.h5"


def test_a_link_to_another_file_is_not_followed(tmp_path: Path, other: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["features"] = h5py.ExternalLink(str(other), "features")
    with pytest.raises(SlideError, match="is a link; copy it into the file"):
        read_features(tmp_path / "a.h5")


def test_bytes_of_another_file_are_no_features(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(24))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("features", (6, 4), "u1", external=[(str(secret), 0, 24)])
    with pytest.raises(SlideError, match="lies elsewhere"):
        read_features(tmp_path / "a.h5")


def test_rows_without_end_are_refused_by_the_size_of_the_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("features", (10**12, 1024), "f4", chunks=(16, 1024))
    with pytest.raises(SlideError, match="speaks of 3,814,697"):
        open_features(tmp_path / "a.h5")


def test_a_file_with_bytes_before_it_is_known_too(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["features"] = np.ones((6, 4), np.float32)
    assert open_features(path).n_tiles == 6
    assert is_hdf5(path)  # so that it is tried first
