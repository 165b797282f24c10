"""``dre-slcl predict --mask`` uses a saved mask and what the folder already knows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from napari_dre_slcl.cli import main
from napari_dre_slcl.results import load_result
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import MaskClass, find_tissue


def test_a_corrected_mask_is_used_and_only_new_tiles_are_encoded(
    tiny_run: Path, tiny_slides: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slide, out = tiny_slides[0], tmp_path / "out"
    command = ["predict", str(tiny_run), str(slide), "--out", str(out)]
    with open_slide(slide) as opened:
        found = find_tissue(opened)
    corrected = replace(found, labels=found.labels.copy())
    corrected.labels[:16, :16] = MaskClass.GLASS
    mask = corrected.save(tmp_path / "s0.tissue.png")
    assert main([*command, "--mask", str(mask)]) == 0
    first = load_result(out / "s0.dreslcl.npz")
    assert first.rowcol.tolist() == [[0, 1], [1, 0], [1, 1]]
    assert main(command) == 0
    assert "s0.tif: encoded 1 of 4 tiles." in capsys.readouterr().err
    assert len(load_result(out / "s0.dreslcl.npz").rowcol) == 4
    assert main([*command, "--min-tissue", "0.9"]) == 0
    assert load_result(out / "s0.dreslcl.npz").provenance["least tissue"] == "90%"


def test_a_mask_that_is_none_is_code_2_and_one_sentence(
    tiny_run: Path, tiny_slides: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no mask")
    command = ["predict", str(tiny_run), str(tiny_slides[0]), "--out", str(tmp_path / "out")]
    assert main([*command, "--mask", str(text)]) == 2
    assert "is no tissue mask of this program" in capsys.readouterr().err.replace("\n", " ")
    assert main([*command, "--mask", str(tmp_path / "gone.tissue.png")]) == 2
    assert "cannot be read" in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "out").exists()
