"""OME-Zarr: read back with zarr alone, at the place where the window draws the result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_dre_slcl.errors import ExportError
from napari_dre_slcl.export.look import look_of
from napari_dre_slcl.export.ome_zarr import write_ome_zarr
from napari_dre_slcl.layers import available_maps, cluster_layer
from napari_dre_slcl.results import SlideResult


def test_maps_and_labels_lie_where_the_layers_lie(result: SlideResult, tmp_path: Path) -> None:
    group = zarr.open_group(
        write_ome_zarr(result, look_of(result), tmp_path / "a.ome.zarr"), mode="r"
    )
    raster, options, _ = cluster_layer(result)
    labels = group["labels/codewords"]
    np.testing.assert_array_equal(labels["0"][:], raster)
    facts = labels.attrs["ome"]["multiscales"][0]
    scale, shift = facts["datasets"][0]["coordinateTransformations"]
    assert tuple(scale["scale"]) == tuple(options["scale"])
    assert tuple(shift["translation"]) == tuple(options["translate"])
    assert [axis["unit"] for axis in facts["axes"]] == ["micrometer"] * 2

    ome = group.attrs["ome"]
    assert ome["version"] == "0.5"
    maps = [choice.make() for choice in available_maps(result)]
    assert [one["label"] for one in ome["omero"]["channels"]] == [one.label for one in maps]
    for number, one in enumerate(maps):
        np.testing.assert_array_equal(group["0"][number], result.raster(one.values, np.nan))


def test_an_earlier_one_is_replaced_and_another_folder_is_not(
    make_result: Callable[..., SlideResult], tmp_path: Path
) -> None:
    small, large = make_result(grid=(3, 4)), make_result(grid=(8, 12))
    path = tmp_path / "a.ome.zarr"
    for result in (large, small):
        write_ome_zarr(result, look_of(result), path)
    assert zarr.open_group(path, mode="r")["labels/codewords/0"].shape == (3, 4)
    assert list(tmp_path.iterdir()) == [path]
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("years of work")
    with pytest.raises(ExportError, match="is no OME-Zarr"):
        write_ome_zarr(small, look_of(small), tmp_path / "b")
    assert (tmp_path / "b" / "thesis.txt").is_file()


def test_breaking_off_leaves_nothing(result: SlideResult, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise ExportError("stop")

    with pytest.raises(ExportError):
        write_ome_zarr(result, look_of(result), tmp_path / "o" / "a.ome.zarr", stop)
    assert list((tmp_path / "o").iterdir()) == []
