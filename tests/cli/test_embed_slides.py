"""Slide vectors by the command line: what is in the file, and what is refused."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_dre_slcl.cli import main
from napari_dre_slcl.config import METHODS

N = 12


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve slides known by feature files, in a folder with a table that names none."""
    folder = tmp_path_factory.mktemp("embed")
    rng = np.random.default_rng(0)
    (folder / "h5").mkdir()
    lines = ["slide_id,patient_id,subtype"]
    for number in range(N):
        with h5py.File(folder / f"h5/s{number}.h5", "w") as file:
            file["features"] = rng.normal(size=(4 + number, 5)).astype(np.float32)
        lines.append(f"s{number},P{number},{'AB'[number % 2]}")
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "cohort.csv"


@pytest.fixture(scope="module")
def run(cohort: Path) -> Path:
    """Return the run folder of a mean-pool model on the twelve slides."""
    folder = cohort.parent / "run"
    options = ["--method", "mean-pool", "--set", f"features.folder={cohort.parent / 'h5'}"]
    assert main(["train", "--cohort", str(cohort), "--run", str(folder), *options]) == 0
    return folder


def _embed(run: Path, cohort: Path, out: Path, *options: str) -> int:
    files = ["--cohort", str(cohort), "--out", str(out)]
    return main(["embed-slides", str(run), *files, "--device", "cpu", *options])


def test_vectors_are_those_of_the_run_whole_and_without_pickle(
    run: Path, cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new folder" / "vectors.npz"
    assert _embed(run, cohort, out) == 0
    assert f"12 slide vectors of width 5: {out}" in capsys.readouterr().out
    with np.load(out, allow_pickle=False) as found:
        assert found["ids"].tolist() == [f"s{number}" for number in range(N)]
        assert found["X"].shape == (N, 5)
        assert found["X"].dtype == np.float32
        assert str(found["method"]) == "mean-pool"
        noted = np.load(run / "vectors.npz")
        assert str(found["model_sha256"]) == str(noted["model_sha256"])
        assert len(str(found["cohort_sha256"])) == 64
        by_id = dict(zip(found["ids"].tolist(), found["X"], strict=True))
        for name, vector in zip(noted["ids"].tolist(), noted["X"], strict=True):
            np.testing.assert_array_equal(by_id[name], vector)
    assert [path.name for path in out.parent.iterdir()] == ["vectors.npz"]


def test_other_features_and_labels_that_the_table_lacks_are_no_matter(
    run: Path, cohort: Path, tmp_path: Path
) -> None:
    (tmp_path / "h5").mkdir()
    with h5py.File(tmp_path / "h5/new.h5", "w") as file:
        file["features"] = np.ones((3, 5), np.float32)
    table = tmp_path / "new.csv"
    table.write_text("slide_id,patient_id\nnew,X\n", encoding="utf-8")
    options = ["--features", str(tmp_path / "h5")]
    assert _embed(run / "model", table, tmp_path / "v.npz", *options) == 0
    found = np.load(tmp_path / "v.npz")
    np.testing.assert_allclose(found["X"], np.full((1, 5), 5**-0.5), rtol=1e-6)


def test_a_slide_that_cannot_be_read_is_left_out_and_named(
    run: Path, cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "h5").mkdir()
    for name, value in (("good", 1.0), ("bad", np.nan)):
        with h5py.File(tmp_path / f"h5/{name}.h5", "w") as file:
            file["features"] = np.full((3, 5), value, np.float32)
    table = tmp_path / "two.csv"
    table.write_text("slide_id,patient_id\ngood,X\nbad,Y\n", encoding="utf-8")
    out = tmp_path / "v.npz"
    assert _embed(run, table, out, "--features", str(tmp_path / "h5")) == 0
    assert np.load(out)["ids"].tolist() == ["good"]
    assert "Left out bad:" in capsys.readouterr().err
    table.write_text("slide_id,patient_id\nbad,Y\n", encoding="utf-8")
    assert _embed(run, table, tmp_path / "none.npz", "--features", str(tmp_path / "h5")) == 2
    assert not (tmp_path / "none.npz").exists()


@pytest.mark.parametrize(
    ("out", "options", "told"),
    [
        ("v.csv", (), "end it in .npz"),
        ("h5.npz", (), "is a folder"),
        ("v.npz", ("--features", "nowhere"), "does not exist"),
    ],
)
def test_wrong_input_is_one_sentence_and_no_file(
    run: Path,
    cohort: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    out: str,
    options: tuple[str, ...],
    told: str,
) -> None:
    (tmp_path / "h5.npz").mkdir()
    assert _embed(run, cohort, tmp_path / out, *options) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "Traceback" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["h5.npz"]


def test_no_model_and_an_unknown_method_are_told(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _embed(tmp_path, cohort, tmp_path / "v.npz") == 2
    assert "no model folder" in capsys.readouterr().err
    options = ["--cohort", str(cohort), "--run", str(tmp_path / "r"), "--method", "meanpool"]
    assert main(["train", *options]) == 2
    assert "'mean-pool'" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_the_help_names_every_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert all(method in shown for method in METHODS)
