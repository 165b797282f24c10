"""``dre-slcl mpp`` and ``dre-slcl info``: findings are shown, answers stored and forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_dre_slcl.cli import main
from napari_dre_slcl.slide.mpp_table import TABLE_NAME


def _record(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


def test_size_is_stored_used_by_info_and_forgotten(
    slide_file: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = slide_file("plain.tif", mpp=None)
    content = path.read_bytes()
    assert main(["mpp", str(path), "--set", "0.5"]) == 0
    assert f"Stored 1 pixel size in {path.parent / TABLE_NAME}" in capsys.readouterr().out
    assert main(["info", str(path), "--json"]) == 0
    record = _record(capsys)
    assert (record["mpp"], record["mpp_source"]) == (0.5, "stored answer")
    assert record["tissue_tiles"] > 0
    assert main(["mpp", str(path), "--forget"]) == 0
    shown = capsys.readouterr().out
    assert "unknown" in shown
    assert "Forgot 1 pixel size" in shown
    assert main(["mpp", str(path), "--json"]) == 0
    record = _record(capsys)
    assert (record["mpp"], record["findings"][0]["code"]) == (None, "mpp-missing")
    assert path.read_bytes() == content


def test_every_slide_gets_its_line_and_the_broken_one_its_sentence(
    slide_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = slide_file("good.svs", mpp=0.5, header="aperio")
    odd = slide_file("odd.svs", mpp=0.25, header="aperio")
    broken = tmp_path / "broken.svs"
    broken.write_text("no slide")
    assert main(["mpp", str(good), str(broken), str(odd), "--set", "0.5"]) == 2
    shown = capsys.readouterr()
    assert "broken.svs" in shown.err
    assert "Stored 2 pixel sizes" in shown.out
    assert "broken" not in (tmp_path / TABLE_NAME).read_text(encoding="utf-8")
    words = " ".join(shown.out.replace("│", " ").split())
    assert "0.5 µm (stored answer)" in words
    assert "Warning: Slide 'odd.svs'" in words
    assert "Slide 'good.svs'" not in words


def test_info_shows_findings_and_why_a_reader_serves_the_slide(
    slide_file: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = slide_file("odd.svs", mpp=0, header="aperio")
    assert main(["info", str(path)]) == 0
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "0.5 µm (objective power)" in words
    assert "Warning Slide 'odd.svs': aperio.MPP is '0', which is zero" in words
    assert "Warning Slide 'odd.svs': the file states no usable pixel size; 0.5 µm is" in words
    assert main(["info", str(path), "--json"]) == 0
    record = _record(capsys)
    assert [found["code"] for found in record["findings"]] == ["mpp-zero", "mpp-estimated"]
    assert record["backend"]
    assert record["backend_reason"] in words


@pytest.mark.parametrize(
    "options", [["--set", "0.05"], ["--set", "11"], ["--set", "x"], ["--set", "1", "--forget"]]
)
def test_wrong_options_are_refused_and_store_nothing(
    slide_file: Callable[..., Path], capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    path = slide_file("plain.tif", mpp=None)
    assert main(["mpp", str(path), *options]) == 2
    assert not (path.parent / TABLE_NAME).exists()


@pytest.mark.parametrize("command", ["info", "predict"])
def test_given_size_outside_the_range_is_refused(
    slide_file: Callable[..., Path], tmp_path: Path, command: str
) -> None:
    slides = [str(slide_file())] if command == "info" else ["model", "a.svs", "--out", "out"]
    assert main([command, *slides, "--mpp", "0.05"]) == 2
    assert main([command, *slides, "--mpp", "20"]) == 2
