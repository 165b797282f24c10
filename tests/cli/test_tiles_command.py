from __future__ import annotations

import json

import numpy as np
import pytest

from napari_dre_slcl.cli import main
from napari_dre_slcl.tiles import MaskClass, load_tissue_mask


def test_counts_are_printed_for_every_reason(slide_file, capsys):
    assert main(["tiles", str(slide_file())]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("4 x 6 tiles of 256 px at 0.5 µm/px; each covers 256 x 256 px")
    rows = [[cell.strip() for cell in line.split("│")[1:3]] for line in printed.splitlines()[4:-1]]
    counts = {"kept": 8, "background": 16, "pen": 0, "blur": 0, "fold": 0, "outside": 0}
    assert rows == [[name, str(count)] for name, count in (counts | {"damaged": 0}).items()]


def test_json_holds_the_counts_and_the_true_resolution(slide_file, capsys):
    assert main(["tiles", str(slide_file()), "--mpp", "0.37", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["rows"], record["columns"], record["size_px"]) == (3, 5, 346)
    assert record["tile_mpp"] == pytest.approx(346 * 0.37 / 256)
    assert record["kept"] + sum(record["left_out"].values()) == 15
    assert record["left_out"]["outside"] == 7


def test_settings_change_the_tiles(slide_file, capsys):
    path = str(slide_file())
    assert main(["tiles", path, "--json", "--set", "tiling.tile_px=128"]) == 0
    assert json.loads(capsys.readouterr().out)["kept"] == 32
    assert main(["tiles", path, "--preset", "none"]) == 2
    assert main(["tiles", path, "--set", "tiling.tissue_threshold=200"]) == 2
    assert "no tissue tile: of 24 tiles 24 background" in capsys.readouterr().err


def test_saved_mask_is_corrected_and_used(slide_file, tmp_path, capsys):
    path, mask_file = str(slide_file()), tmp_path / "a.tissue.png"
    assert main(["tiles", path, "--save-mask", str(mask_file)]) == 0
    assert f"Wrote {mask_file}" in capsys.readouterr().out.replace("\n", "")
    mask = load_tissue_mask(mask_file)
    mask.labels[:, :32] = MaskClass.GLASS
    mask.save(mask_file)
    assert main(["tiles", path, "--mask", str(mask_file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kept"] == 6


def test_mask_is_saved_even_of_a_slide_without_a_tile(slide_file, tmp_path, capsys):
    glass = slide_file(image=np.full((512, 512, 3), 243, np.uint8))
    assert main(["tiles", str(glass), "--save-mask", str(tmp_path / "a.tissue.png")]) == 2
    assert not load_tissue_mask(tmp_path / "a.tissue.png").labels.any()
    assert "4 background" in capsys.readouterr().err


def test_geojson_of_the_kept_tiles_is_written(slide_file, tmp_path, capsys):
    out = tmp_path / "a.geojson"
    assert main(["tiles", str(slide_file()), "--geojson", str(out), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert len(json.loads(out.read_text())["features"]) == record["kept"] == 8
    assert record["written"] == [str(out)]


def test_missing_mask_is_an_error_of_one_sentence(slide_file, tmp_path, capsys):
    assert main(["tiles", str(slide_file()), "--mask", str(tmp_path / "no.png")]) == 2
    assert "cannot be read" in capsys.readouterr().err
