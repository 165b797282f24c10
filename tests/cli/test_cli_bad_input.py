"""Bad input: one sentence that says what and where, exit code 2, and no half-written run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.cli import main

GLASS = np.full((768, 768, 3), 243, np.uint8)
MakeSlide = Callable[..., Path]


@dataclass(frozen=True)
class Broken:
    """A slide that must be refused, and what the sentence about it must hold."""

    path: Path
    words: tuple[str, ...]


def _missing(folder: Path, _make: MakeSlide) -> Broken:
    return Broken(folder / "gone.svs", ("gone.svs", "does not exist"))


def _text_file(folder: Path, _make: MakeSlide) -> Broken:
    path = folder / "notes.svs"
    path.write_text("These are notes, not pixels.\n", encoding="utf-8")
    return Broken(path, ("notes.svs", "not a whole-slide image"))


def _no_tissue(folder: Path, make: MakeSlide) -> Broken:
    return Broken(make(folder / "glass.tif", image=GLASS), ("glass.tif", "tissue"))


def _no_mpp(folder: Path, make: MakeSlide) -> Broken:
    return Broken(make(folder / "bare.tif", mpp=None), ("bare.tif", "--mpp"))


def _assert_one_sentence(err: str, *words: str) -> None:
    errors = [line for line in err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, err
    assert "Traceback" not in err
    for word in words:
        assert word in errors[0]


@pytest.fixture(params=[_missing, _text_file, _no_tissue, _no_mpp])
def broken(request: pytest.FixtureRequest, tmp_path: Path, make_slide: MakeSlide) -> Broken:
    broken: Broken = request.param(tmp_path, make_slide)
    return broken


def test_train_refuses_a_cohort_with_a_broken_slide(
    broken: Broken,
    tiny_slides: list[Path],
    write_cohort: Callable[[Path, list[Path]], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = write_cohort(tmp_path, [*tiny_slides, broken.path])
    run_dir = tmp_path / "run"
    code = main(["train", "--cohort", str(table), "--run", str(run_dir), "--preset", "cpu-small"])
    assert code == 2
    _assert_one_sentence(capsys.readouterr().err, *broken.words)
    assert not run_dir.exists()


def test_predict_refuses_a_broken_slide(
    broken: Broken, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["predict", str(tiny_run), str(broken.path), "--out", str(tmp_path / "out")])
    assert code == 2
    _assert_one_sentence(capsys.readouterr().err, *broken.words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("make", [_missing, _text_file])
def test_info_refuses_what_is_no_slide(
    make: Callable[[Path, MakeSlide], Broken],
    tmp_path: Path,
    make_slide: MakeSlide,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken = make(tmp_path, make_slide)
    assert main(["info", str(broken.path)]) == 2
    _assert_one_sentence(capsys.readouterr().err, *broken.words)


@pytest.mark.parametrize("json", [(), ("--json",)])
def test_train_refuses_a_table_without_patients(
    json: tuple[str, ...],
    tiny_slides: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = tmp_path / "no_patients.csv"
    table.write_text(f"slide,subtype\n{tiny_slides[0]},A\n", encoding="utf-8")
    run_dir = tmp_path / "run"
    code = main(["train", "--cohort", str(table), "--run", str(run_dir), *json])
    assert code == 2
    _assert_one_sentence(capsys.readouterr().err, "no_patients.csv", "patient_id")
    assert not run_dir.exists()


def test_train_refuses_an_unknown_label_column(
    tiny_cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = tmp_path / "run"
    options = ["--cohort", str(tiny_cohort), "--run", str(run_dir), "--set", "cohort.tasks=foo"]
    assert main(["train", *options]) == 2
    _assert_one_sentence(capsys.readouterr().err, "cohort.csv", "foo")
    assert not run_dir.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--set", "training.epoch=3"], ("training.epoch", "training.epochs")),
        (["--set", "training.epochs=many"], ("training.epochs", "many")),
        (["--set", "training.epochs"], ("training.epochs", "KEY=VALUE")),
        (["--preset", "huge"], ("huge", "cpu-small")),
    ],
)
def test_train_refuses_settings_that_do_not_exist(
    options: list[str],
    words: tuple[str, ...],
    tiny_cohort: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_dir = tmp_path / "run"
    code = main(["train", "--cohort", str(tiny_cohort), "--run", str(run_dir), *options])
    assert code == 2
    _assert_one_sentence(capsys.readouterr().err, *words)
    assert not run_dir.exists()


def test_train_leaves_an_earlier_run_alone(
    tiny_cohort: Path, tiny_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in tiny_run.iterdir())
    status = (tiny_run / "status.json").read_bytes()
    assert main(["train", "--cohort", str(tiny_cohort), "--run", str(tiny_run)]) == 2
    _assert_one_sentence(capsys.readouterr().err, str(tiny_run))
    assert sorted(path.name for path in tiny_run.iterdir()) == before
    assert (tiny_run / "status.json").read_bytes() == status


def test_predict_names_a_broken_slide_and_predicts_the_others(
    tiny_run: Path, tiny_slides: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    slides = [str(tmp_path / "gone.svs"), str(tiny_slides[0])]
    assert main(["predict", str(tiny_run), *slides, "--out", str(out)]) == 0
    assert "gone.svs" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["s0.dreslcl.npz"]


def test_a_name_that_no_disk_takes_is_a_sentence(tmp_path: Path, capsys) -> None:
    missing = tmp_path / ("x" * 300)
    for arguments in (
        ["cohort", "from-folder", str(missing), "--out", str(tmp_path / "a.csv")],
        ["train", "--cohort", str(missing), "--run", str(tmp_path / "run")],
        ["codewords", str(missing)],
        ["runs", str(missing)],
    ):
        assert main(arguments) in (0, 2)
        assert "Traceback" not in capsys.readouterr().err
