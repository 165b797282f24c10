"""``dre-slcl export``: files where they were asked for, sentences where something is missing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.cli import main
from napari_dre_slcl.results import SlideResult, load_result, save_result


@pytest.fixture
def result_file(slide_file: Callable[..., Path], tmp_path: Path) -> Path:
    """Return the result file of a slide of 1024x1536 px."""
    rowcol = np.argwhere(np.ones((4, 6), bool))
    made = SlideResult(
        slide_id="Jane Doe",
        slide_path=str(slide_file("Jane Doe.tif")),
        slide_shape=(1024, 1536),
        mpp=0.5,
        mpp_source="TIFF resolution",
        tile_size_px=256,
        grid_shape=(4, 6),
        rowcol=rowcol,
        codeword=np.arange(24) % 2,
        attention=np.full(24, 1 / 24, np.float32),
        residual_norm=np.ones(24, np.float32),
        n_codewords=2,
        codeword_attention=np.full(2, 0.5, np.float32),
        slide_vector=np.zeros(2, np.float32),
        predictions=(),
    )
    return save_result(made, tmp_path / "Jane Doe.dreslcl.npz")


def test_several_results_and_formats(
    result_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["export", str(result_file), str(result_file), "--to", "csv,geojson"]
    arguments += ["--to", "png", "--map", "codewords", "--mpp-out", "8", "--out", str(out)]
    assert main(arguments) == 0
    names = {"slide.csv", "slide.geojson", "slide.codewords.png"}
    names |= {name.replace("slide", "slide-2") for name in names}
    assert {path.name for path in out.iterdir()} == names
    assert f"Jane Doe.dreslcl.npz -> {out / 'slide-2.csv'}" in capsys.readouterr().out


def test_names_only_where_asked_for(result_file: Path, tmp_path: Path) -> None:
    arguments = ["export", str(result_file), "--to", "html", "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    assert main([*arguments, "--identifiers"]) == 0
    pages = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert set(pages) == {"slide.html", "Jane Doe.html"}
    assert "Jane" not in pages["slide.html"]
    assert "Jane Doe.tif" in pages["Jane Doe.html"]


def test_a_slide_that_has_moved_is_given(result_file: Path, tmp_path: Path) -> None:
    moved = (tmp_path / "Jane Doe.tif").rename(tmp_path / "b.tif")
    arguments = ["export", str(result_file), "--to", "png", "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert not (tmp_path / "out").exists()
    assert main([*arguments, "--slide", str(moved)]) == 0
    assert main([*arguments, str(result_file), "--slide", str(moved)]) == 2


def test_export_needs_no_torch(result_file: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from napari_dre_slcl.cli import main; "
        f"code = main(['export', {str(result_file)!r}, '--to', 'geojson,csv,png,html', '--out', "
        f"{str(tmp_path / 'out')!r}]); "
        "sys.exit(code or ('torch' in sys.modules) * 9)"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=120, check=False).returncode == 0


def test_two_results_of_one_slide_do_not_replace_each_other(
    result_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", str(result_file), str(result_file), "--to", "csv", "--identifiers"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr()
    assert "different folders" in told.err
    assert f"-> {tmp_path / 'out' / 'Jane Doe.csv'}" in told.out


def test_what_was_written_is_told_although_a_later_result_is_broken(
    result_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.npz").write_bytes(b"text")
    arguments = ["export", str(result_file), str(tmp_path / "broken.npz"), "--to", "csv"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr()
    assert f"-> {tmp_path / 'out' / 'slide.csv'}" in told.out
    assert "broken.npz' is not a result" in told.err


@pytest.mark.parametrize(("formats", "part"), [("pdf", "no format 'pdf'"), (",", "No format")])
def test_a_format_that_is_not_there_is_refused(
    result_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], formats: str, part: str
) -> None:
    out = tmp_path / "out"
    assert main(["export", str(result_file), "--to", formats, "--out", str(out)]) == 2
    assert part in capsys.readouterr().err
    assert not out.exists()


def test_an_export_that_was_broken_off_goes_on_with_its_files(
    result_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, broken = tmp_path / "out", tmp_path / "broken.dreslcl.npz"
    broken.write_bytes(b"")
    arguments = ["export", str(result_file), str(broken), "--to", "csv,html", "--out", str(out)]
    assert main(arguments) == 2
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("[!.]*")}
    assert set(before) == {"slide.csv", "slide.html"}
    (out / "slide.html").unlink()
    broken.write_bytes(result_file.read_bytes())
    capsys.readouterr()
    assert main(arguments) == 0
    assert "was broken off before. It goes on" in capsys.readouterr().err
    after = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert set(after) == {
        f"{name}{end}" for name in ("slide", "slide-2") for end in (".csv", ".html")
    }
    assert after["slide.csv"] == before["slide.csv"]


def test_an_export_that_was_broken_off_is_forgotten_by_another(
    result_file: Path, tmp_path: Path
) -> None:
    out, broken = tmp_path / "out", tmp_path / "broken.dreslcl.npz"
    broken.write_bytes(b"")
    arguments = ["export", str(result_file), str(broken), "--to", "csv", "--out", str(out)]
    assert main(arguments) == 2
    assert main(["export", str(result_file), "--to", "csv", "--out", str(out)]) == 0
    broken.write_bytes(result_file.read_bytes())
    assert main(arguments) == 0
    assert {path.name for path in out.iterdir()} == {
        f"slide{n}.csv" for n in ("", "-2", "-3", "-4")
    }


def test_a_file_that_an_export_would_replace_is_not_taken_for_its_own(
    result_file: Path, tmp_path: Path
) -> None:
    out, broken = tmp_path / "out", tmp_path / "broken.dreslcl.npz"
    arguments = ["export", str(result_file), "--to", "csv,png", "--out", str(out), "--identifiers"]
    assert main(arguments) == 0
    old = out / "Jane Doe.csv"
    old.write_text("of an earlier export")
    broken.write_bytes(b"")
    arguments.insert(1, str(broken))
    assert main(arguments) == 2
    assert old.read_text() == "of an earlier export"
    broken.unlink()
    save_result(replace(load_result(result_file), slide_id="other"), broken)
    assert main(arguments) == 0
    assert old.read_text().startswith("row")
