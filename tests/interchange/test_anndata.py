"""AnnData and SpatialData: what is written is what these libraries read, and what the result says.

Tried with anndata 0.12.19 and spatialdata 0.7.3.
"""

from __future__ import annotations

import importlib.util
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.errors import ExportError
from napari_dre_slcl.export.export_slide import ExportRequest, export_result
from napari_dre_slcl.export.look import look_of
from napari_dre_slcl.results import SlideResult

HOW = "'make test-interchange' runs it, in an environment that has this library"
CENTRES = np.array([[256, 256], [768, 256], [256, 768], [768, 768], [1280, 768]])


def test_a_table_has_one_row_per_tile_with_all_that_is_known(
    result: SlideResult, tmp_path: Path
) -> None:
    anndata = pytest.importorskip("anndata", reason=HOW)
    (path,) = export_result(result, ExportRequest(("h5ad",), tmp_path))
    table = anndata.read_h5ad(path)
    np.testing.assert_array_equal(table.X, result.features)
    np.testing.assert_array_equal(table.obsm["spatial"], CENTRES)
    np.testing.assert_array_equal(table.obsm["evidence"], result.evidence)
    np.testing.assert_array_equal(table.obs[["x_px", "y_px"]], CENTRES - 256)
    np.testing.assert_allclose(table.obs["attention"], result.attention * 5)
    np.testing.assert_array_equal(table.obs["distance"], result.residual_norm)
    np.testing.assert_array_equal(table.obs["evidence_TP53_x_mutated"], result.evidence[:, 0])
    assert list(table.obs["codeword"].cat.categories) == ["stroma", "stroma (2)", "Codeword 3"]
    np.testing.assert_array_equal(table.obs["codeword"].cat.codes, result.codeword)
    about = table.uns["dre_slcl"]
    assert about["mpp"] == 0.25
    assert "(x, y)" in about["spatial_unit"]
    prediction = about["predictions"]["TP53_x"]
    assert (prediction["task"], prediction["predicted"]) == ("TP53/x", "mutated")
    np.testing.assert_array_equal(prediction["probabilities"], [0.4, 0.6])
    np.testing.assert_array_equal(about["slide_vector"], result.slide_vector)
    assert b"Jane" not in path.read_bytes()
    assert b"/home" not in path.read_bytes()


def test_a_result_without_features_codewords_and_pixel_size_is_a_table_too(
    result: SlideResult, tmp_path: Path
) -> None:
    anndata = pytest.importorskip("anndata", reason=HOW)
    bare = replace(result, features=None, mpp=None, n_codewords=0, codeword_names=(), evidence=None)
    (path,) = export_result(replace(bare, evidence_of=()), ExportRequest(("h5ad",), tmp_path))
    table = anndata.read_h5ad(path)
    assert table.shape == (5, 0)
    assert list(table.obs) == ["row", "col", "x_px", "y_px", "attention"]
    assert "mpp" not in table.uns["dre_slcl"]


def test_squares_of_a_store_are_annotated_by_its_table(result: SlideResult, tmp_path: Path) -> None:
    spatialdata = pytest.importorskip("spatialdata", reason=HOW)
    (path,) = export_result(result, ExportRequest(("spatialdata",), tmp_path))
    data = spatialdata.read_zarr(path)
    shapes, table = data.shapes["tiles"], data.tables["dre_slcl_tiles"]
    centres = np.stack([shapes.centroid.x, shapes.centroid.y], axis=1)
    np.testing.assert_array_equal(centres, CENTRES)
    assert set(shapes.area) == {512.0**2}
    np.testing.assert_array_equal(table.X, result.features)
    joined, rows = spatialdata.join_spatialelement_table(
        sdata=data, spatial_element_names="tiles", table_name="dre_slcl_tiles"
    )
    assert len(joined["tiles"]) == len(rows) == 5
    microns = spatialdata.transform(shapes, to_coordinate_system="micrometers")
    np.testing.assert_allclose(microns.total_bounds, np.array([0, 0, 1536, 1024]) * 0.25)
    for file in path.rglob("*"):
        assert file.is_dir() or b"Jane" not in file.read_bytes()
    export_result(result, ExportRequest(("spatialdata",), tmp_path, has_names=True))
    export_result(result, ExportRequest(("spatialdata",), tmp_path, has_names=True))  # replaced
    assert spatialdata.read_zarr(tmp_path / "Jane Doe.spatialdata.zarr").shapes


def test_a_folder_of_something_else_is_not_replaced(result: SlideResult, tmp_path: Path) -> None:
    pytest.importorskip("spatialdata", reason=HOW)
    (tmp_path / "Jane Doe.spatialdata.zarr").mkdir()
    (tmp_path / "Jane Doe.spatialdata.zarr/mine").write_text("mine")
    with pytest.raises(ExportError, match="is no Zarr store, so it is not replaced"):
        export_result(result, ExportRequest(("spatialdata",), tmp_path, has_names=True))


@pytest.mark.parametrize(("name", "module"), [("h5ad", "anndata"), ("spatialdata", "spatialdata")])
def test_what_to_install_is_said(
    result: SlideResult, tmp_path: Path, name: str, module: str
) -> None:
    if importlib.util.find_spec(module) is not None:
        pytest.skip(f"{module} is installed")
    with pytest.raises(ExportError, match=rf"Install napari-dre-slcl\[{module}\]"):
        export_result(result, ExportRequest(("csv", name), tmp_path / "out"))
    assert not (tmp_path / "out").exists()  # not even what could have been written


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file sizes to set")
@pytest.mark.parametrize(("name", "module"), [("h5ad", "anndata"), ("spatialdata", "spatialdata")])
def test_a_disk_without_room_is_told_and_nothing_is_left(
    result: SlideResult, tmp_path: Path, name: str, module: str
) -> None:
    pytest.importorskip(module, reason=HOW)
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
        with pytest.raises(ExportError, match=r"cannot be written: .+ make room"):
            export_result(result, ExportRequest((name,), tmp_path / "out"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert not list((tmp_path / "out").iterdir())


def test_the_look_of_a_window_is_taken(result: SlideResult) -> None:
    pytest.importorskip("anndata", reason=HOW)
    from napari_dre_slcl.export.anndata_table import make_anndata

    look = replace(look_of(result), names=("a", "b", "c"))
    assert list(make_anndata(result, look).obs["codeword"]) == ["a", "b", "c", "a", "b"]
