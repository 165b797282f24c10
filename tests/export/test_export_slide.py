"""Exports as a whole: names of files, errors told before anything is written, full disks."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.errors import ExportError
from napari_dre_slcl.export.export_slide import (
    FORMATS,
    WITH_FEATURES,
    ExportRequest,
    export_result,
)
from napari_dre_slcl.export.look import look_of
from napari_dre_slcl.export.steps import ExportStopped
from napari_dre_slcl.results import SlideResult

ALWAYS = tuple(name for name in FORMATS if name not in WITH_FEATURES)
"""The others need libraries of their own and are tried in tests/interchange."""


def test_every_format_is_written_without_the_slides_name(
    result: SlideResult, tmp_path: Path
) -> None:
    request = ExportRequest(ALWAYS, tmp_path / "out")
    shares: list[float] = []
    paths = export_result(result, request, on_progress=lambda name, share: shares.append(share))
    assert [path.name for path in paths] == [
        "slide.geojson",
        "slide.ome.zarr",
        "slide.csv",
        "slide.parquet",
        "slide.attention.png",
        "slide.html",
    ]
    assert all(path.exists() for path in paths)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    for path in (tmp_path / "out").rglob("*"):
        assert "TCGA" not in path.name
        assert path.is_dir() or b"TCGA-05" not in path.read_bytes()


def test_a_neutral_name_replaces_nothing_and_a_slides_name_its_own(
    result: SlideResult, tmp_path: Path
) -> None:
    neutral = ExportRequest(("csv", "geojson"), tmp_path / "out")
    named = replace(neutral, has_names=True)
    stems = [
        [path.name for path in export_result(result, request)]
        for request in (neutral, neutral, named, named)
    ]
    assert stems[:2] == [
        ["slide.csv", "slide.geojson"],
        ["slide-2.csv", "slide-2.geojson"],
    ]
    assert stems[2] == stems[3] == [f"{result.slide_id}.csv", f"{result.slide_id}.geojson"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"formats": ("csv", "docx")}, "no format 'docx'"),
        ({"formats": ()}, "No format is chosen"),
        ({"map_key": "joy"}, "no map 'joy'"),
        ({"slide": Path("/nowhere/b.tif")}, r"'b\.tif' is not at"),
    ],
)
def test_what_is_missing_is_told_before_anything_is_written(
    result: SlideResult, tmp_path: Path, change: dict[str, object], words: str
) -> None:
    request = ExportRequest(("csv", "png"), tmp_path / "out")
    with pytest.raises(ExportError, match=words):
        export_result(result, replace(request, **change))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_another_slide_is_refused(
    result: SlideResult, slide_file: Callable[..., Path], tmp_path: Path
) -> None:
    other = slide_file("other.tif", image=np.full((512, 512, 3), 240, np.uint8))
    request = ExportRequest(("html",), tmp_path / "out", slide=other)
    with pytest.raises(ExportError, match="Give the slide of this result"):
        export_result(result, request)


def test_result_without_tiles_has_a_report_only(
    make_result: Callable[..., SlideResult], tmp_path: Path
) -> None:
    full = make_result(tmp_path / "features.h5")
    empty = {name: getattr(full, name)[:0] for name in ("rowcol", "codeword", "attention")}
    nothing = replace(full, **empty, residual_norm=full.residual_norm[:0], evidence=None)
    nothing = replace(nothing, evidence_of=())
    (page,) = export_result(nothing, ExportRequest(("html",), tmp_path / "out"))
    assert page.is_file()
    with pytest.raises(ExportError, match="no tiles to write"):
        export_result(nothing, ExportRequest(("geojson",), tmp_path / "out"))


def test_stopping_leaves_whole_files_only(result: SlideResult, tmp_path: Path) -> None:
    def stop(name: str, share: float) -> None:
        if name == "geojson":
            raise ExportStopped

    request = ExportRequest(("csv", "geojson"), tmp_path / "out")
    with pytest.raises(ExportStopped):
        export_result(result, request, on_progress=stop)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["slide.csv"]


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file sizes to set")
@pytest.mark.parametrize("name", ALWAYS)
def test_a_disk_without_room_is_told_and_nothing_is_left(
    result: SlideResult, tmp_path: Path, name: str
) -> None:
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
    assert list((tmp_path / "out").iterdir()) == []


def test_names_of_the_model_win_while_it_is_the_same(result: SlideResult, tmp_path: Path) -> None:
    header = '{"codewords": ["a", "b", "c"], "weights_sha256": "%s", "config": {}}'
    facts = result.provenance | {"model": str(tmp_path)}
    result = replace(result, provenance=facts)
    (tmp_path / "model.json").write_text(header % ("ab" * 32))
    assert look_of(result).names == ("a", "b", "c")
    (tmp_path / "model.json").write_text(header % ("cd" * 32))
    assert look_of(result).names == ("lymphocytes <&>", "stroma", "Codeword 3")


@pytest.mark.parametrize("slide_id", ["", ".", "..", "../../etc/x", ".hidden", "a/b", "x" * 400])
def test_a_slides_name_makes_visible_files_in_the_folder(
    result: SlideResult, tmp_path: Path, slide_id: str
) -> None:
    request = ExportRequest(("csv",), tmp_path / "out", has_names=True)
    (path,) = export_result(replace(result, slide_id=slide_id), request)
    assert path.parent == tmp_path / "out"
    assert not path.name.startswith(".")


def test_no_two_slides_get_the_same_file(result: SlideResult, tmp_path: Path) -> None:
    request = ExportRequest(("csv",), tmp_path / "out", has_names=True)
    ids = ("a/b", "a_b", "a:b", "日本", "中国", "")
    paths = [export_result(replace(result, slide_id=name), request)[0] for name in ids]
    assert len(set(paths)) == len(ids)
    assert paths[3].name == "日本.csv"


def test_nothing_is_written_where_one_format_cannot_be(
    make_result: Callable[..., SlideResult], tmp_path: Path
) -> None:
    full = make_result(tmp_path / "features.h5")
    parts = {name: getattr(full, name)[:0] for name in ("rowcol", "codeword", "attention")}
    nothing = replace(full, **parts, residual_norm=full.residual_norm[:0], evidence=None)
    with pytest.raises(ExportError, match="no tiles to write"):
        export_result(nothing, ExportRequest(("html", "csv"), tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_method_without_codewords_is_exported_whole(result: SlideResult, tmp_path: Path) -> None:
    none = np.zeros(0, np.float32)
    codeword = np.zeros_like(result.codeword)
    without = replace(
        result,
        n_codewords=0,
        codeword_names=(),
        codeword_attention=none,
        codeword=codeword,
    )
    paths = export_result(without, ExportRequest(ALWAYS, tmp_path / "out"))
    assert all(path.exists() for path in paths)
    assert "codeword" not in (tmp_path / "out" / "slide.csv").read_text()


def test_evidence_that_is_no_number_is_exported_as_nothing(
    result: SlideResult, tmp_path: Path
) -> None:
    broken = replace(result, evidence=np.full_like(result.evidence, np.nan))
    paths = export_result(broken, ExportRequest(ALWAYS, tmp_path / "out"))
    assert "NaN" not in paths[0].read_text()


def test_names_written_by_hand_fit_a_legend(result: SlideResult, tmp_path: Path) -> None:
    named = replace(result, codeword_names=("two\nlines\x07", "x" * 500, "c"))
    assert look_of(named).names == ("two lines", "x" * 60, "c")
    request = ExportRequest(("png",), tmp_path / "out", map_key="codewords")
    assert export_result(named, request)[0].is_file()


def test_a_folder_that_cannot_be_looked_into_is_a_sentence(
    result: SlideResult, tmp_path: Path
) -> None:
    request = ExportRequest(("csv",), tmp_path / ("x" * 300))
    with pytest.raises(ExportError, match="cannot be used: File name too long"):
        export_result(result, request)
    request = ExportRequest(("png",), tmp_path / "out", slide=request.out / "a.tif")
    with pytest.raises(ExportError, match="is not at"):
        export_result(result, request)
