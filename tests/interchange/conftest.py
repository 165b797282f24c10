"""A small result with features, and features at places, as all tests of interchange take them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_dre_slcl.results import SlideResult, TaskPrediction


@pytest.fixture
def features() -> NDArray[np.float32]:
    """Return (5, 3) features."""
    return np.arange(15, dtype=np.float32).reshape(5, 3)


@pytest.fixture
def corners_xy() -> NDArray[np.int64]:
    """Return (5, 2) top-left corners of tiles of 512 px, as (x, y)."""
    return np.array([[0, 0], [512, 0], [0, 512], [512, 512], [1024, 512]])


@pytest.fixture
def result(features: NDArray[np.float32]) -> SlideResult:
    """Return a result of five tiles whose name and paths tell the patient."""
    return SlideResult(
        slide_id="Jane Doe",
        slide_path="/home/jane/Jane Doe.svs",
        slide_shape=(1100, 1600),
        mpp=0.25,
        mpp_source="TIFF resolution",
        tile_size_px=512,
        grid_shape=(2, 3),
        rowcol=np.array([[0, 0], [0, 1], [1, 0], [1, 1], [1, 2]]),
        codeword=np.array([0, 1, 2, 0, 1]),
        attention=np.array([0.1, 0.2, 0.3, 0.3, 0.1], np.float32),
        residual_norm=np.arange(5, dtype=np.float32),
        n_codewords=3,
        codeword_attention=np.full(3, 1 / 3, np.float32),
        slide_vector=np.arange(4, dtype=np.float32),
        predictions=(TaskPrediction("TP53/x", ("wild type", "mutated"), (0.4, 0.6), "mutated"),),
        provenance={
            "model": "/home/jane/model",
            "model_sha256": "ab" * 32,
            "method": "dre-slcl",
        },
        features=features,
        evidence=np.linspace(-1, 1, 5, dtype=np.float32)[:, None],
        evidence_of=(("TP53/x", "mutated"),),
        codeword_names=("stroma", "stroma", "codeword 3"),
    )


@pytest.fixture
def save_as_they_do() -> Callable[..., Path]:
    """Return save(path, arrays, attributes, rows): HDF5 by the calls of TRIDENT's and CLAM's code.

    TRIDENT's ``save_h5`` (trident/IO.py at 0408667) and CLAM's ``save_hdf5`` (utils/file_utils.py
    at e033abb) make resizable data sets in pieces of 1 and of 32 rows, with attributes on them.
    """
    import h5py

    def save(
        path: Path,
        arrays: dict[str, NDArray],
        attributes: dict[str, dict],
        rows: int = 1,
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            for name, values in arrays.items():
                rest = values.shape[1:]
                data = file.create_dataset(
                    name,
                    shape=values.shape,
                    maxshape=(None, *rest),
                    chunks=(rows, *rest),
                    dtype=values.dtype,
                )
                data[:] = values
                data.attrs.update(attributes.get(name, {}))
        return path

    return save
