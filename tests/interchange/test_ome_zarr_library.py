"""OME-Zarr by the library of the format itself: tried with ome-zarr 0.15.0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.export.export_slide import ExportRequest, export_result
from napari_dre_slcl.results import SlideResult

HOW = "'make test-interchange' runs it, in an environment that has this library"


def test_the_library_finds_maps_labels_and_their_place(result: SlideResult, tmp_path: Path) -> None:
    pytest.importorskip("ome_zarr", reason=HOW)
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    (path,) = export_result(result, ExportRequest(("ome-zarr",), tmp_path))
    image, *others = list(Reader(parse_url(path))())
    (maps,) = image.data
    told = image.metadata
    assert [axis["name"] for axis in told["axes"]] == ["c", "y", "x"]
    attention = np.asarray(maps)[told["channel_names"].index("Attention (x average)")]
    rows, columns = result.rowcol.T
    np.testing.assert_allclose(attention[rows, columns], result.attention * 5, rtol=1e-6)
    assert np.isnan(attention[0, 2])
    scale, shift = told["coordinateTransformations"][0]
    assert scale["scale"][1:] == [128, 128]  # 512 px of 0.25 µm
    assert shift["translation"][1:] == pytest.approx([63.875, 63.875])  # (512 - 1) / 2 px
    labels = next(one for one in others if one.zarr.basename() == "codewords")
    codewords = np.asarray(labels.data[0])
    np.testing.assert_array_equal(codewords[rows, columns], result.codeword + 1)
