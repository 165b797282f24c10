from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.tiles import MaskClass, TissueMask, find_tissue, load_tissue_mask

HEADER = "dre-slcl tissue mask"


def random_mask(height=37, width=53, downsample=16.03):
    labels = np.random.default_rng(0).integers(0, 4, size=(height, width)).astype(np.uint8)
    return TissueMask(labels, downsample, (round(height * downsample), round(width * downsample)))


def test_saved_mask_comes_back_whole(tmp_path):
    mask = random_mask()
    assert mask.save(tmp_path / "new folder" / "a.tissue.png").is_file()
    back = load_tissue_mask(tmp_path / "new folder" / "a.tissue.png")
    np.testing.assert_array_equal(back.labels, mask.labels)
    assert back.labels.dtype == np.uint8
    assert (back.downsample, back.slide_shape) == (mask.downsample, mask.slide_shape)


def test_loaded_mask_can_be_painted_on(tmp_path):
    random_mask().save(tmp_path / "a.tissue.png")
    labels = load_tissue_mask(tmp_path / "a.tissue.png").labels
    for value in (MaskClass.TISSUE, MaskClass.GLASS):
        labels[0, 0] = value
        assert labels[0, 0] == value


def test_saved_mask_is_a_picture_with_a_colour_per_class(tmp_path):
    labels = np.arange(4, dtype=np.uint8)[None]
    TissueMask(labels, 10, (10, 40)).save(tmp_path / "a.tissue.png")
    with Image.open(tmp_path / "a.tissue.png") as picture:
        colours = np.asarray(picture.convert("RGB"))[0]
    assert len(np.unique(colours, axis=0)) == 4
    assert colours[MaskClass.GLASS].tolist() == [255, 255, 255]


def test_classes_are_disjoint_and_complete(slide):
    mask = find_tissue(slide)
    parts = [mask.tissue, mask.pen, mask.fold, mask.labels == MaskClass.GLASS]
    assert (np.sum(parts, axis=0) == 1).all()


def test_shares_are_exact_for_cells_that_cut_mask_pixels():
    mask = replace(random_mask(64, 96), downsample=16.0)
    for of in MaskClass:
        area = np.kron(mask.labels == of, np.ones((16, 16)))[:1000, :1500]
        truth = area.reshape(10, 100, 15, 100).mean(axis=(1, 3))
        np.testing.assert_allclose(mask.share(of, 100, (10, 15)), truth)


def test_mask_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SlideError, match="cannot be written"):
        random_mask().save(tmp_path / "file" / "a.tissue.png")


def test_missing_mask_is_named(tmp_path):
    with pytest.raises(SlideError, match=r"a\.tissue\.png' cannot be read: No such file"):
        load_tissue_mask(tmp_path / "a.tissue.png")


def _cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def _text(path):
    path.write_text("row,col\n")


def _without_header(path):
    Image.open(path).save(path)


def _with_header(path, **changes):
    with Image.open(path) as picture:
        header = json.loads(picture.info[HEADER]) | changes
        info = PngInfo()
        info.add_text(HEADER, json.dumps(header))
        picture.save(path, pnginfo=info)


@pytest.mark.parametrize(
    "spoil",
    [
        _cut,
        _text,
        _without_header,
        lambda path: _with_header(path, version=2),
        lambda path: _with_header(path, slide_shape=[10, 10]),
        lambda path: _with_header(path, slide_shape="large"),
        lambda path: _with_header(path, downsample=0),
        lambda path: _with_header(path, downsample=None),
    ],
)
def test_spoilt_mask_is_refused(tmp_path, spoil):
    path = random_mask(200, 200).save(tmp_path / "a.tissue.png")
    spoil(path)
    with pytest.raises(SlideError, match="is no tissue mask of this program, or it is damaged"):
        load_tissue_mask(path)


def test_colour_photograph_with_a_forged_header_is_refused(tmp_path):
    info = PngInfo()
    header = {"version": 1, "slide_shape": [40, 40], "downsample": 10}
    info.add_text(HEADER, json.dumps(header))
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png", pnginfo=info)
    with pytest.raises(SlideError, match="no tissue mask"):
        load_tissue_mask(tmp_path / "a.png")
