"""``dre-slcl associated``: names freely, pixels only with the user's word."""

from __future__ import annotations

import pytest
from PIL import Image

from napari_dre_slcl.cli import main

CONSENT = "--i-may-see-patient-names"


def test_names_are_listed_with_a_warning(labelled_slide, capsys) -> None:
    assert main(["associated", str(labelled_slide)]) == 0
    shown = capsys.readouterr()
    assert shown.out.split() == ["label", "macro", "thumbnail"]
    assert "patient's name" in shown.err


@pytest.mark.parametrize("options", [[], ["--out", "OUT"]])
def test_image_is_refused_without_consent(labelled_slide, tmp_path, capsys, options) -> None:
    out = tmp_path / "label.png"
    arguments = [str(out) if option == "OUT" else option for option in options]
    assert main(["associated", str(labelled_slide), "label", *arguments]) == 2
    shown = capsys.readouterr()
    assert CONSENT in shown.err
    assert "patient's name" in shown.err
    assert not out.exists()


def test_image_is_saved_with_consent_after_the_warning(labelled_slide, tmp_path, capsys) -> None:
    out = tmp_path / "label.png"
    assert main(["associated", str(labelled_slide), "label", "--out", str(out), CONSENT]) == 0
    assert "patient's name" in capsys.readouterr().err
    with Image.open(out) as image:
        assert image.size == (1500, 1000)
        assert image.getcolors() == [(1500 * 1000, (255, 0, 255))]


@pytest.mark.parametrize("options", [[CONSENT], [CONSENT, "--out", "label.jpg"]])
def test_consent_without_a_png_file_is_refused(labelled_slide, capsys, options) -> None:
    assert main(["associated", str(labelled_slide), "label", *options]) == 2
    assert "--out FILE.png" in capsys.readouterr().err


def test_slide_without_other_images_says_so(slide_file, capsys) -> None:
    assert main(["associated", str(slide_file("plain.tif"))]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "'plain.tif' has no other images" in shown.err


def test_file_that_cannot_be_written_is_one_sentence(labelled_slide, tmp_path, capsys) -> None:
    (tmp_path / "file").write_text("no folder")
    out = tmp_path / "file" / "label.png"
    assert main(["associated", str(labelled_slide), "label", "--out", str(out), CONSENT]) == 2
    shown = capsys.readouterr().err
    assert "cannot be written" in shown
    assert "Traceback" not in shown
