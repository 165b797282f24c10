"""Stores of LazySlide and wsidata: as wsidata 0.12.0 writes them, and as strangers might."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zarr
from numpy.typing import NDArray
from pyarrow import parquet

from napari_dre_slcl.cli import main
from napari_dre_slcl.cohort.feature_store import read_features
from napari_dre_slcl.cohort.wsidata_store import read_store
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.export.export_slide import ExportRequest, export_result
from napari_dre_slcl.results import SlideResult

HOW = "'make test-interchange' runs it, in an environment that has this library"
BOX = np.dtype(
    [("order", "u1"), ("kind", "<u4"), ("rings", "<u4"), ("points", "<u4"), ("xy", "<f8", (5, 2))]
)
SPEC = {"height": 256, "width": 256, "stride_height": 256, "stride_width": 256, "mpp": 0.5}


@pytest.fixture
def store(
    tmp_path: Path, features: NDArray[np.float32], corners_xy: NDArray[np.int64]
) -> Callable[..., Path]:
    """Return make(zarr_format): a store by zarr and pyarrow alone, in the layout of wsidata.

    The table's rows stand in another order than the shapes, as the format allows.
    """

    def make(zarr_format: int = 3) -> Path:
        path = tmp_path / "slide.zarr"
        root = zarr.create_group(path, zarr_format=zarr_format)
        root.attrs.update({"tile_spec": {"tiles": SPEC}, "slide_properties": {"mpp": 0.25}})
        shapes = root.create_group("shapes/tiles")
        shapes.attrs["coordinateTransformations"] = [{"type": "identity"}]
        edges = np.array([[1, 0], [1, 1], [0, 1], [0, 0], [1, 0]]) * 512
        boxes = np.zeros(5, BOX)
        boxes["order"], boxes["kind"], boxes["rings"], boxes["points"] = 1, 3, 1, 5
        boxes["xy"] = corners_xy[:, None] + edges
        blobs = [box.tobytes() for box in boxes]
        rows = pa.table({"tile_id": range(5), "geometry": pa.array(blobs, pa.binary())})
        parquet.write_table(rows, path / "shapes/tiles/shapes.parquet")
        table = root.create_group("tables/uni_tiles")
        table.attrs.update({"region": "tiles", "instance_key": "tile_id"})
        table.create_array("X", data=features[::-1].copy())
        table.create_array("obs/tile_id", data=np.arange(5)[::-1].copy())
        return path

    return make


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_features_lie_where_the_squares_lie(
    store: Callable[..., Path],
    zarr_format: int,
    features: NDArray[np.float32],
    corners_xy: NDArray[np.int64],
) -> None:
    table = read_store(store(zarr_format))
    np.testing.assert_array_equal(table.features[::-1], features)
    np.testing.assert_array_equal(table.coords_yx[::-1], corners_xy[:, ::-1])
    assert (table.name, table.encoder, table.size_px) == ("slide", "uni", 512)
    assert (table.tile_px, table.mpp, table.slide_mpp) == (256, 0.5, 0.25)


def test_the_command_makes_a_feature_file_of_a_store(
    store: Callable[..., Path], tmp_path: Path
) -> None:
    store()
    assert (
        main(["convert-features", str(tmp_path), "--to", "trident", "--out", f"{tmp_path}/o"]) == 0
    )
    stored = read_features(tmp_path / "o/slide.h5")
    assert stored.file.attrs["encoder"] == "uni"
    assert (stored.file.tile_size_px, stored.file.mpp, stored.file.n_tiles) == (512, 0.5, 5)


def _edit(path: Path, name: str, change: Callable[[dict], object]) -> None:
    facts = json.loads((path / name / "zarr.json").read_text())
    change(facts)
    (path / name / "zarr.json").write_text(json.dumps(facts))


BROKEN = {
    "speaks of": lambda p: _edit(p, "tables/uni_tiles/X", lambda f: f.update(shape=[10**9, 3])),
    "is packed": lambda p: _edit(
        p,
        "tables/uni_tiles/X",
        lambda f: f["codecs"].append({"name": "crc32c"}) or f["codecs"][0].update(name="mine"),
    ),
    "moved or scaled": lambda p: _edit(
        p,
        "shapes/tiles",
        lambda f: f["attributes"].update(coordinateTransformations=[{"type": "scale"}]),
    ),
    "no plain name": lambda p: _edit(
        p, "tables/uni_tiles", lambda f: f["attributes"].update(region="../../other")
    ),
    "is a link": lambda p: (p / "shapes/tiles/other").symlink_to("/etc/passwd"),
    "shapes are damaged": lambda p: (p / "shapes/tiles/shapes.parquet").write_bytes(b"PAR1"),
    "'a', 'uni_tiles'; name the one": lambda p: zarr.open_group(p).create_group("tables/a"),
    "not among the shapes": lambda p: zarr.open_group(p)[
        "tables/uni_tiles/obs/tile_id"
    ].__setitem__(0, 99),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_stores_that_are_broken_or_do_harm_are_refused(
    store: Callable[..., Path], reason: str
) -> None:
    path = store()
    BROKEN[reason](path)
    with pytest.raises(SlideError, match=r"store '.*slide\.zarr' cannot be read") as raised:
        read_store(path)
    if reason != "is packed":  # zarr itself may refuse it first
        assert reason in str(raised.value)


def test_a_piece_that_unpacks_to_more_than_there_is_ends_a_trial_alone(
    store: Callable[..., Path],
) -> None:
    path = store()
    piece = next(file for file in (path / "tables/uni_tiles/X").rglob("0") if file.is_file())
    # A Zstandard frame that says, and holds, 8 GiB: blocks of 128 KiB of one byte (RFC 8878).
    block = (131072 << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    head = b"\x28\xb5\x2f\xfd\xe0" + (2**33).to_bytes(8, "little")
    piece.write_bytes(head + block * (2**16 - 1) + bytes([block[0] | 1]) + block[1:])
    with pytest.raises(SlideError, match=r"The store 'slide\.zarr' .*was opened in a trial only"):
        read_store(path)


def test_one_of_several_tables_is_read_by_its_name(store: Callable[..., Path]) -> None:
    path = store()
    zarr.open_group(path).create_group("tables/other_tiles")
    assert read_store(path, "uni_tiles").encoder == "uni"
    with pytest.raises(SlideError, match="no table 'x' but 'other_tiles', 'uni_tiles'"):
        read_store(path, "x")


def test_what_wsidata_writes_is_read(
    tmp_path: Path, slide_file: Callable[..., Path], features: NDArray[np.float32]
) -> None:
    wsidata = pytest.importorskip("wsidata", reason=HOW)
    from wsidata.io import add_features, add_tiles

    corners = np.array([[0, 0], [512, 0], [0, 512], [512, 512], [1024, 512]])
    wsi = wsidata.open_wsi(slide_file("Jane.tif"), store=str(tmp_path / "slide.zarr"))
    spec = wsidata.TileSpec.from_wsidata(wsi, tile_px=256, mpp=1.0)
    add_tiles(wsi, "tiles", corners, spec, np.zeros(5, int))
    add_features(wsi, "uni_tiles", "tiles", features)
    wsi.write(tmp_path / "slide.zarr")
    table = read_store(tmp_path / "slide.zarr")
    np.testing.assert_array_equal(table.features, features)
    np.testing.assert_array_equal(table.coords_yx, corners[:, ::-1])
    assert (table.size_px, table.tile_px, table.mpp, table.slide_mpp) == (512, 256, 1.0, 0.5)
    assert (table.encoder, table.slide_shape) == ("uni", (1024, 1536))


def test_our_own_store_is_read_as_theirs(result: SlideResult, tmp_path: Path) -> None:
    pytest.importorskip("spatialdata", reason=HOW)
    (path,) = export_result(result, ExportRequest(("spatialdata",), tmp_path))
    table = read_store(path)
    np.testing.assert_array_equal(table.features, result.features)
    np.testing.assert_array_equal(table.coords_yx, result.tile_yx)
