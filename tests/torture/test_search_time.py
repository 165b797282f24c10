"""How long a search for tissue may take."""

from __future__ import annotations

import shutil

import pytest

from torture.slides.made import make_slides
from torture.slides.search_time import judge_search, plain_reading_s


@pytest.fixture
def slide(tmp_path):
    return make_slides(tmp_path, tmp_path / "no-real-ones")["SVS"]


def test_a_search_may_take_as_long_as_the_file_itself(slide):
    judge_search(slide, 16.0, 9.9)
    judge_search(slide, 16.0, 1e-9, slow_s=0.0)
    with pytest.raises(TimeoutError, match=r"took 11.0 s; OpenSlide alone took 0\.\d s"):
        judge_search(slide, 16.0, 11.0)


def test_a_file_that_openslide_does_not_read_excuses_nothing(slide, tmp_path):
    cut = tmp_path / "cut.svs"
    shutil.copyfile(slide, cut)
    with cut.open("r+b") as file:
        file.truncate(1000)
    assert plain_reading_s(cut, 16.0) is None
    with pytest.raises(TimeoutError, match="OpenSlide alone does not read it"):
        judge_search(cut, 16.0, 11.0)
