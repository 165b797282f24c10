from __future__ import annotations

import pickle

import numpy as np
import pytest

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import SlideInfo, open_slide


def test_info_says_what_the_file_says(slide):
    info = slide.info
    assert info.level_shapes == ((1024, 1536), (256, 384))
    assert info.shape == (1024, 1536)
    assert info.level_downsamples == (1.0, 4.0)
    assert info.mpp == pytest.approx(0.5)
    assert info.mpp_source == "TIFF resolution"
    assert info.tile_shape == (256, 256)
    assert SlideInfo.model_validate_json(info.model_dump_json()) == info


def test_aperio_header_gives_pixel_size_and_power(slide_file):
    with open_slide(slide_file("a.svs", mpp=0.2501, header="aperio")) as slide:
        assert slide.info.vendor == "aperio"
        assert slide.info.mpp == pytest.approx(0.2501)
        assert slide.info.mpp_source == "vendor property"
        assert slide.info.objective_power == 20


def test_users_pixel_size_wins(slide_file):
    with open_slide(slide_file(mpp=0.5), mpp=0.25) as slide:
        assert (slide.info.mpp, slide.info.mpp_source) == (0.25, "user")


def test_screen_resolution_is_no_pixel_size(slide_file):
    with open_slide(slide_file(mpp=25_400 / 72)) as slide:
        assert slide.info.mpp is None
        assert "not plausible" in slide.info.mpp_source


@pytest.mark.parametrize("mpp", [0, -1, 0.01, 25, float("nan")])
def test_implausible_pixel_size_is_refused(slide_file, mpp):
    with pytest.raises(SlideError, match="not plausible"):
        open_slide(slide_file(), mpp=mpp)


def test_pickled_slide_reopens(slide):
    with pickle.loads(pickle.dumps(slide)) as copy:
        assert copy.info == slide.info
        assert np.array_equal(copy.read_region(300, 300, 9, 9), slide.read_region(300, 300, 9, 9))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("text.svs", b"not a slide at all\n" * 50, "not a whole-slide image"),
        ("empty.svs", b"", "empty file"),
        ("cut.tif", b"II*\0\x08\0\0\0", "not a whole-slide image|cannot be opened"),
    ],
)
def test_file_that_is_no_slide_is_one_sentence(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SlideError, match=words) as caught:
        open_slide(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder_without_dicom(tmp_path):
    with pytest.raises(SlideError, match="does not exist"):
        open_slide(tmp_path / "gone.svs")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(SlideError, match="holds no DICOM slide"):
        open_slide(tmp_path)


def test_closed_slide_says_so(slide):
    slide.close()
    with pytest.raises(SlideError, match="closed"):
        slide.read_region(0, 0, 8, 8)
