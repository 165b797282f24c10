"""evaluate and compare from the shell: what they print, refuse, and leave when they are killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_dre_slcl.cli import main

COMMAND = [
    sys.executable,
    "-c",
    "import sys; from napari_dre_slcl.cli import main; sys.exit(main())",
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort of feature files that the table itself names."""
    folder = tmp_path_factory.mktemp("cohort")
    lines = ["slide_id,patient_id,features,subtype"]
    for number in range(24):
        features = np.random.default_rng(number).normal(size=(5, 4)).astype(np.float32)
        features[:, 0] += number % 2
        with h5py.File(folder / f"s{number}.h5", "w") as file:
            file["features"] = features
        lines.append(f"s{number},P{number},s{number}.h5,{'AB'[number % 2]}")
    path = folder / "cohort.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _options(table: Path, out: Path, method: str = "mean-pool", *more: str) -> list[str]:
    plain = ["evaluate", "--cohort", str(table), "--out", str(out), "--method", method]
    return [*plain, "--tasks", "subtype", "--n-folds", "3", "--validation", "0", *more]


@pytest.fixture(scope="module")
def done(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("done") / "mean"
    assert main(_options(table, out)) == 0
    return out


def test_evaluate_prints_a_row_per_task_and_where_the_page_is(
    table: Path, done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_options(table, done)) == 0, "a second time, from what is there"
    shown = capsys.readouterr().out
    row = next(line for line in shown.splitlines() if "subtype" in line)
    assert "±" in row
    assert str(done / "evaluation.html") in shown
    assert "3 folds by patient" in shown


def test_compare_prints_methods_side_by_side_and_their_tests(
    table: Path, done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mil = tmp_path / "mil"
    assert main(_options(table, mil, "attention-mil", "--set", "mil.epochs=2")) == 0
    capsys.readouterr()
    assert main(["compare", str(mil), str(done), "--out", str(tmp_path / "compared")]) == 0
    shown = capsys.readouterr().out
    assert "mil minus mean" in shown
    for words in ("corrected t-test", "bootstrap", "DeLong", "parameters"):
        assert words in shown
    assert (tmp_path / "compared" / "compare.html").is_file()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--within", "subtype"], "COLUMN=VALUE"),
        (["--within", "subtype=C"], "'C'"),
        (["--within", "subtype=A", "--within", "subtype=B"], "twice"),
        (["--folds", "hospitals"], "hospitals"),
        (["--folds", "site"], "site"),
        (["--set", "probe.fold=1"], "probe.folds"),
        (["--tasks", "age"], "age"),
        (["--features", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    more: list[str],
    words: str,
    table: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(_options(table, tmp_path / "out", "mean-pool", *more)) == 2
    errors = [e for e in capsys.readouterr().err.splitlines() if e.startswith("Error: ")]
    assert len(errors) == 1
    assert words in errors[0]


def _without_last_line(folder: Path) -> None:
    path = folder / "predictions.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def _without_a_probability(folder: Path) -> None:
    path = folder / "predictions.csv"
    lines = path.read_text().splitlines()
    lines[1] = ",".join([*lines[1].split(",")[:-2], "", ""])
    path.write_text("\n".join(lines) + "\n")


def _without_seed(folder: Path) -> None:
    path = folder / "predictions.csv"
    path.write_text(path.read_text().replace(",0,subtype", ",,subtype", 1))


def _without_cohort(folder: Path) -> None:
    (folder / "metrics.json").write_text('{"tasks": {}, "cells": []}')


def _without_hash(folder: Path) -> None:
    path = folder / "metrics.json"
    path.write_text(path.read_text().replace('"test_sha256"', '"other"', 1))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_without_last_line, "damaged"),
        (_without_a_probability, "damaged"),
        (_without_seed, "damaged in column 'seed'"),
        (_without_cohort, "no folder of an evaluation"),
        (_without_hash, "no folder of an evaluation"),
    ],
)
def test_a_damaged_evaluation_is_not_compared(
    done: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    words: str,
) -> None:
    other = tmp_path / "other"
    shutil.copytree(done, other)
    damage(other)
    assert main(["compare", str(done), str(other)]) == 2
    assert words in capsys.readouterr().err


def test_a_comparison_that_cannot_be_is_one_sentence(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(done), str(done / ".." / done.name)]) == 2
    assert "named twice" in capsys.readouterr().err
    shutil.copytree(done, tmp_path / "other")
    taken = tmp_path / "file"
    taken.write_text("")
    assert main(["compare", str(done), str(tmp_path / "other"), "--out", str(taken)]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_single_evaluation_is_not_compared(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(done)]) == 2
    assert main(["compare", str(done), str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "two evaluations" in err
    assert "no finished evaluation" in err


def test_a_killed_evaluation_goes_on_to_the_same_predictions(
    table: Path, done: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    process = subprocess.Popen(
        [*COMMAND, *_options(table, out)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        first = out / "cells" / "patient-0-seed0" / "cell.json"
        deadline = time.monotonic() + 120
        while not first.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    assert first.exists()
    was_done = (out / "metrics.json").exists()
    assert main(_options(table, out)) == 0
    assert (out / "predictions.csv").read_bytes() == (done / "predictions.csv").read_bytes()
    assert not list(out.rglob("*.part")), was_done


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cancelled"
    ended = threading.Event()

    def interrupt() -> None:
        while not (out / "splits.csv").exists() and not ended.is_set():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        code = main(_options(table, out, "attention-mil", "--set", "mil.epochs=5000"))
    finally:
        ended.set()
        thread.join()
    assert code == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert not (out / "metrics.json").exists()
