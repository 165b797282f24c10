from __future__ import annotations

import numpy as np
import pytest

from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import TileGrid, TileStatus, tile_slide


def random_grid(shape=(7, 5), size_px=333):
    status = np.random.default_rng(0).integers(0, 7, size=shape).astype(np.uint8)
    return TileGrid(256, size_px, status, 0.37, 0.5)


def test_kept_tiles_are_listed_row_by_row():
    grid = random_grid()
    assert len(grid) == (grid.status == TileStatus.KEPT).sum() > 0
    np.testing.assert_array_equal(grid.rowcol, np.argwhere(grid.status == 0))
    np.testing.assert_array_equal(grid.yx, grid.rowcol * 333)
    assert grid.rowcol.dtype == grid.yx.dtype == np.int64


def test_every_cell_is_kept_or_has_a_reason():
    grid = random_grid()
    names = ["background", "pen", "blur", "fold", "outside", "damaged"]
    assert list(grid.reasons) == names
    assert len(grid) + sum(grid.reasons.values()) == grid.status.size
    for name in names:
        assert grid.reasons[name] == (grid.status == TileStatus[name.upper()]).sum()


@pytest.mark.parametrize(
    ("mpp", "tile_px"), [(0.25, 256), (0.2517, 224), (0.499, 256), (0.37, 256), (0.1234, 224)]
)
def test_boxes_cover_the_slide_without_gap_or_overlap(slide_file, tissue_image, mpp, tile_px):
    image = tissue_image(1101, 1603, (0, 0, 1101, 1603))
    with open_slide(slide_file(image=image), mpp=mpp) as slide:
        grid = tile_slide(slide, TilingConfig(tile_px=tile_px, leave_out_blur=False))
    covered = np.zeros((1101, 1603), int)
    for row, col in np.ndindex(grid.shape):
        top, left = row * grid.size_px, col * grid.size_px
        covered[top : top + grid.size_px, left : left + grid.size_px] += 1
        is_inside = top + grid.size_px <= 1101 and left + grid.size_px <= 1603
        assert (grid.status[row, col] == TileStatus.OUTSIDE) == (not is_inside)
    assert (covered == 1).all()
    assert isinstance(grid.size_px, int)
    assert grid.size_px == round(tile_px * 0.5 / mpp)
    assert grid.tile_mpp == pytest.approx(grid.size_px * mpp / tile_px)
    assert abs(grid.tile_mpp - 0.5) <= 0.5 * mpp / tile_px


def test_raster_cell_covers_exactly_its_box(slide_file, tissue_image):
    # Each box of 137 level-0 pixels is painted in its own colour: 0.5 µm is no whole multiple.
    with open_slide(slide_file(), mpp=0.9343) as slide:
        size_px = tile_slide(slide, TilingConfig(mpp=1, tile_px=128)).size_px
    assert size_px == 137
    rows, cols = 7, 11
    rng = np.random.default_rng(0)
    colours = np.stack([rng.integers(low, low + 70, (rows, cols)) for low in (150, 60, 130)], 2)
    image = np.kron(colours, np.ones((size_px, size_px, 1)))[:1024, :1536].astype(np.uint8)
    image = np.pad(image, [(0, 1024 - len(image)), (0, 1536 - image.shape[1]), (0, 0)], "edge")
    config = TilingConfig(mpp=1, tile_px=128, leave_out_blur=False)
    with open_slide(slide_file(image=image), mpp=0.9343) as slide:
        grid = tile_slide(slide, config)
        boxes = slide.read_tiles(grid.yx, size_px)
    assert len(grid) == rows * cols
    raster = grid.to_raster(boxes.mean(axis=(1, 2)))
    assert raster.shape == (*grid.shape, 3)
    np.testing.assert_allclose(raster[:rows, :cols], colours, atol=2)


def test_raster_is_filled_where_there_is_no_tile():
    grid = random_grid()
    values = np.arange(1, len(grid) + 1, dtype=np.float32)
    raster = grid.to_raster(values, fill=np.nan)
    assert raster.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(raster), grid.status != TileStatus.KEPT)
    np.testing.assert_array_equal(raster[grid.rowcol[:, 0], grid.rowcol[:, 1]], values)
    assert grid.to_raster(np.arange(len(grid))).dtype.kind == "i"
