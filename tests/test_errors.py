"""Every class of error is met by somebody who uses the commands, as a sentence and code 2."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_dre_slcl import DreSlclClassifier, errors, open_slide, predict
from napari_dre_slcl.cli import main
from napari_dre_slcl.cli.app import app
from napari_dre_slcl.cohort import CohortTableError, read_cohort
from napari_dre_slcl.engine.slide_parts import PartWriteError, write_part
from napari_dre_slcl.engine_extra import engine_needed
from napari_dre_slcl.insight.tile_index import TileIndex
from napari_dre_slcl.slide.openslide_backend import OpenSlideBackend, UnknownFormatError


@pytest.fixture
def place(tmp_path: Path, slide_file: Callable[..., Path], monkeypatch) -> Path:
    """Return a folder with a text file, tables, a slide and feature files with a leak."""
    monkeypatch.setenv("DRE_SLCL_CONFIG_DIR", str(tmp_path / "config"))
    (tmp_path / "text.svs").write_text("no slide", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    (tmp_path / "twice.csv").write_text("slide,patient_id\na.tif,P\na.tif,P\n", encoding="utf-8")
    _write_leaking_cohort(tmp_path)
    slide_file("slide.tif")
    return tmp_path


def _write_leaking_cohort(folder: Path) -> None:
    """Write features of 12 slides of 8 patients, four of whom are trained on and tested."""
    lines, roles = ["slide_id,patient_id,kind"], ["slide_id,role"]
    for number in range(12):
        path = folder / f"s{number}.h5"
        with h5py.File(path, "w") as file:
            file["features"] = np.ones((4, 3), np.float32) * number
        lines.append(f"s{number},P{number % 8},{'ab'[number % 2]}")
        roles.append(f"s{number},{'train' if number < 8 else 'test'}")
    (folder / "splits").mkdir()
    (folder / "splits" / "fold_0.csv").write_text("\n".join(roles) + "\n", encoding="utf-8")
    (folder / "leak.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


COMMANDS: dict[type[errors.DreSlclError], list[str]] = {
    errors.SlideError: ["info", "absent.svs"],
    errors.CohortError: ["cohort", "from-folder", "empty", "--out", "new.csv"],
    errors.LeakageError: ["evaluate", "--cohort", "leak.csv", "--folds", "splits", "--out", "out"],
    errors.ConfigError: ["tiles", "slide.tif", "--preset", "none"],
    errors.ResultError: ["export", "text.svs", "--to", "csv", "--out", "out"],
    errors.JobError: ["resume", "empty"],
    errors.ExportError: ["export", *"ab", "--slide", "slide.tif", "--to", "csv", "--out", "out"],
}
COMMANDS[errors.LeakageError] += ["--method", "mean-pool", "--features", "."]


@pytest.mark.parametrize("kind", COMMANDS, ids=lambda kind: kind.__name__)
def test_a_command_raises(
    kind: type[errors.DreSlclError], place: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(place)
    with pytest.raises(kind) as raised:
        app(COMMANDS[kind], standalone_mode=False)
    assert type(raised.value) is kind
    assert main(COMMANDS[kind]) == 2
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert str(raised.value) in told


CALLS: dict[type[errors.DreSlclError], Callable[[Path], object]] = {
    errors.ModelError: lambda place: predict(place / "empty", place / "slide.tif"),
    errors.BagError: lambda place: DreSlclClassifier().fit(
        [[1.0], [2.0]], ["a", "b"], patients=["p"]
    ),
    errors.SearchError: lambda place: TileIndex.open(place / "empty"),
    CohortTableError: lambda place: read_cohort(place / "twice.csv"),
    UnknownFormatError: lambda place: OpenSlideBackend(place / "text.svs"),
    PartWriteError: lambda place: write_part(place / "text.svs", 0, np.zeros((1, 2), "f4"), ""),
}


@pytest.mark.parametrize("kind", CALLS, ids=lambda kind: kind.__name__)
def test_a_call_raises(kind: type[errors.DreSlclError], place: Path) -> None:
    with pytest.raises(kind) as raised:
        CALLS[kind](place)
    assert type(raised.value) is kind


def test_damaged_pixels_raise(slide_file, damage_tiles: Callable[..., Path]) -> None:
    with (
        open_slide(damage_tiles(slide_file("slide.tif"), [0])) as slide,
        pytest.raises(errors.DamagedSlideError, match="is damaged near y="),
    ):
        slide.read_region(0, 0, 256, 256)


def test_an_engine_that_is_not_installed_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # as where it is not installed
    with (
        pytest.raises(errors.EngineMissingError, match=r"pip install .*\[engine\]"),
        engine_needed(),
    ):
        importlib.import_module("torch")


def test_every_class_is_raised_here() -> None:
    here = {*COMMANDS, *CALLS, errors.DamagedSlideError, errors.EngineMissingError}
    assert {cls.__name__ for cls in here} >= set(errors.__all__) - {"DreSlclError"}
