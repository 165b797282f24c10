"""The report: valid HTML in one file, small, with nothing that names the slide unless asked for."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import html5lib
import numpy as np
import pytest

from napari_dre_slcl.export.look import look_of
from napari_dre_slcl.export.slide_report import slide_report
from napari_dre_slcl.results import SlideResult
from napari_dre_slcl.slide import open_slide

_DATA = re.compile(r"data:image/(\w+);base64,([A-Za-z0-9+/=]+)")


@pytest.fixture
def report(result: SlideResult, slide_path: Path) -> str:
    with open_slide(slide_path) as slide:
        return slide_report(result, look_of(result), slide)


def words_of(page: str) -> str:
    """Return a page without its pictures, in whose base64 anything may stand by chance."""
    return _DATA.sub("", page)


def test_page_is_valid_html_without_links_or_scripts(report: str) -> None:
    html5lib.HTMLParser(strict=True).parse(report)
    words = words_of(report)
    assert "http" not in words
    assert "<script" not in words
    assert set(re.findall(r'href="([^"]*)"', words)) <= {"", "#slide"}
    assert len(report) < 5_000_000


def test_page_tells_what_is_known(report: str) -> None:
    words = words_of(report)
    for told in (
        "0.50 to 0.70",
        "no call",
        "12 background",
        "0.5 µm (TIFF resolution)",
        "ab" * 32,
        "lymphocytes &lt;&amp;&gt;",
        "Codeword 3",
        "Evidence for subtype: LUSC",
    ):
        assert told in words
    kinds = [kind for kind, _ in _DATA.findall(report)]
    assert kinds.count("jpeg") == 1 + 8 * 2  # the slide, and tiles by attention and by evidence
    for kind, text in _DATA.findall(report):
        content = base64.b64decode(text)
        assert content.startswith(b"\xff\xd8" if kind == "jpeg" else b"\x89PNG")
        assert b"Exif" not in content[:64]


def test_slide_is_named_only_where_asked_for(
    result: SlideResult, report: str, slide_path: Path
) -> None:
    assert "TCGA" not in words_of(report)
    assert "jane" not in report
    with open_slide(slide_path) as slide:
        named = slide_report(result, look_of(result), slide, has_names=True)
    assert f"<title>Slide {result.slide_id}</title>" in named
    assert str(slide_path) in named


def test_findings_are_told_without_the_slides_name(
    make_result: Callable[..., SlideResult], slide_file: Callable[..., Path]
) -> None:
    path = slide_file("Jane Doe.tif", mpp=None)
    result = replace(make_result(path), mpp=None, slide_id="Jane Doe")
    with open_slide(path) as slide:
        page = words_of(slide_report(result, look_of(result), slide))
        assert slide.info.findings
    assert "(slide)" in page
    assert "Jane" not in page


def test_result_of_a_feature_file_has_a_page_without_pictures(
    make_result: Callable[..., SlideResult],
) -> None:
    none = {
        name: np.empty((0, *getattr(make_result(), name).shape[1:]), dtype)
        for name, dtype in (
            ("rowcol", np.int64),
            ("codeword", np.int64),
            ("attention", np.float32),
            ("residual_norm", np.float32),
            ("evidence", np.float32),
        )
    }
    result = replace(make_result(), **none)
    page = slide_report(result, look_of(result), None)
    html5lib.HTMLParser(strict=True).parse(page)
    assert not _DATA.search(page)
    assert "Tiles used" not in page


def test_page_of_a_large_slide_with_many_heads_stays_small(
    make_result: Callable[..., SlideResult], slide_path: Path
) -> None:
    result = make_result(slide_path, grid=(700, 700), tile_px=2)
    n_tiles = len(result.rowcol)
    rng = np.random.default_rng(0)
    result = replace(
        result,
        evidence=rng.normal(size=(n_tiles, 20)).astype(np.float32),
        evidence_of=tuple((f"gene {number}", "mutated") for number in range(20)),
    )
    with open_slide(slide_path) as slide:
        page = slide_report(result, look_of(result), slide)
    assert len(page) < 5_000_000
    assert "10 more maps of evidence" in page


def test_short_names_are_taken_out_as_words_only(result: SlideResult, slide_path: Path) -> None:
    facts = result.provenance | {"damaged": "1,024 tiles of 'a' cannot be decoded."}
    named = replace(result, slide_id="a", slide_path="/x/y/a.tif", provenance=facts)
    with open_slide(slide_path, 0.5) as slide:
        page = slide_report(named, look_of(named), slide)
    assert "1,024 tiles of &#x27;(slide)&#x27; cannot be decoded." in page
    assert "ab" * 32 in page


def test_a_slide_that_has_moved_and_its_folders_are_not_named(
    result: SlideResult, slide_path: Path
) -> None:
    gone = replace(
        result,
        slide_id="Z9",
        slide_path="/old/Z9.tif",
        mpp_source="table '/home/jane/mpp.csv'",
        provenance={"damaged": f"'{slide_path}' and '{slide_path.name}' are damaged."},
    )
    with open_slide(slide_path, 0.5) as slide:
        page = words_of(slide_report(gone, look_of(gone), slide))
    for name in (slide_path.stem, str(slide_path.parent), "jane", "Z9"):
        assert name not in page
