"""A header may name its facts in letters that are no UTF-8."""

from __future__ import annotations

from napari_dre_slcl.slide import open_slide
from torture.slides.made import make_slides


def test_slide_with_a_name_that_is_no_utf8_is_opened(tmp_path):
    path = make_slides(tmp_path, None)["SVS"]
    content = path.read_bytes()
    assert content.count(b"|AppMag") == 1
    path.write_bytes(content.replace(b"|AppMag", b"|App\xffag"))
    with open_slide(path) as slide:
        assert slide.info.mpp == 0.5
        assert slide.info.objective_power is None
