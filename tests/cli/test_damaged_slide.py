from __future__ import annotations

from napari_dre_slcl.cli import main


def test_predict_prints_how_many_tiles_are_damaged(
    tiny_run, tmp_path, slide_file, tissue_image, damage_tiles, capsys
):
    image = tissue_image(1024, 1536, (0, 0, 1024, 1536))
    # The encoder's tiles are read from level 1, tissue and focus are judged at the others.
    path = damage_tiles(slide_file("hurt.tif", image=image, levels=3), [1], level=1)
    assert main(["predict", str(tiny_run), str(path), "--out", str(tmp_path / "out")]) == 0
    told = "Warning: Slide 'hurt.tif': 8 of 24 tiles cannot be decoded and were read as white;"
    assert capsys.readouterr().err.count(told) == 1
