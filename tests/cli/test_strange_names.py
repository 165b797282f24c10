"""Names that would order the terminal about: every command shows them as they stand."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_dre_slcl.cli import main

RED, LINE, TURNED = "a\x1b[31mred", "b\nError: all is lost", "c\u202egpj"


@pytest.fixture
def folder(tiny_slides: list[Path], tmp_path: Path) -> Path:
    """Return a folder of slides with such names, one of which is none."""
    for name in (RED, LINE, TURNED):
        shutil.copy(tiny_slides[0], tmp_path / f"{name}.tif")
    (tmp_path / "d\x1b[2Jbroken.tif").write_text("no slide")
    return tmp_path


@pytest.fixture
def told(capfd: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Return a function that gives what was printed, once it is sure that it orders nothing."""

    def tell() -> str:
        printed = "\n".join(capfd.readouterr())
        kinds = {unicodedata.category(sign) for sign in printed if sign != "\n"}
        assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}
        assert not any(line.startswith("Error: all is lost") for line in printed.splitlines())
        return printed

    return tell


def test_info_shows_the_name_of_the_file(folder: Path, told: Callable[[], str]) -> None:
    assert main(["info", str(folder / f"{RED}.tif")]) == 0
    assert r"a\x1b[31mred.tif" in told()
    assert main(["info", str(folder / f"{LINE}.tif")]) == 0
    assert r"b\nError: all is lost.tif" in told()
    assert main(["info", "--json", str(folder / f"{TURNED}.tif")]) == 0
    assert json.loads(told())["path"] == str(folder / f"{TURNED}.tif")
    assert main(["info", str(folder / "d\x1b[2Jbroken.tif")]) == 2
    assert r"d\x1b[2Jbroken.tif" in told()


def test_predict_shows_the_names_of_all_slides(
    folder: Path, tiny_run: Path, told: Callable[[], str], capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    slides = sorted(folder.glob("*.tif"))
    assert main(["predict", str(tiny_run), *map(str, slides), "--out", str(folder / "out")]) == 0
    printed = told()
    for shown in (r"a\x1b[31mred", r"b\nError", r"c\u202egpj", r"d\x1b[2Jbroken.tif"):
        assert shown in printed
    assert len(list((folder / "out").glob("*.npz"))) == 3


def test_a_table_of_such_slides_is_refused(folder: Path, told: Callable[[], str]) -> None:
    table = folder / "cohort.csv"
    rows = [f'"{RED}",b.tif,P\x1b[5m', f',"{RED}.tif",P2']
    table.write_text("\n".join(["slide_id,slide,patient_id", *rows]), encoding="utf-8")
    assert main(["cohort", "check", str(table)]) == 2
    printed = told()
    assert r"a\x1b[31mred" in printed
    assert "row 2" in printed
    assert "row 3: slide_id" in printed
