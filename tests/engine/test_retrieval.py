"""Slides of a run look for their reports; the reports of the test teach nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from napari_dre_slcl.config import DreSlclConfig, load_preset, with_overrides
from napari_dre_slcl.engine.prepare import PreparedCohort, open_cohort, with_split
from napari_dre_slcl.engine.report_space import fit_report_space
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.retrieval import retrieval_of_run
from napari_dre_slcl.engine.train import train_prepared
from napari_dre_slcl.errors import CohortError, ResultError
from napari_dre_slcl.jobs.messages import TrainJob
from napari_dre_slcl.model.bundle import Bundle, load_bundle

N, DIM, WORDS = 90, 12, ("gland", "keratin", "mucin", "necrosis", "stroma", "lymph")
QUIET = Reporter(lambda event: None, lambda: False)


@pytest.fixture(scope="module")
def told_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write ninety feature files whose mean says which words are in the slide's report."""
    folder = tmp_path_factory.mktemp("told")
    rng = np.random.default_rng(0)
    table = ["slide_id,patient_id,site,subtype,report"]
    for number in range(N):
        amounts = rng.integers(0, 6, len(WORDS))
        signal = np.r_[amounts, np.full(DIM - len(WORDS), 3)] / 3
        tiles = (signal + 0.05 * rng.normal(size=(6, DIM))).astype(np.float32)
        _store(folder / "features" / f"s{number}.h5", tiles)
        text = " ".join(w for w, n in zip(WORDS, amounts, strict=True) for _ in range(n))
        report = "" if number % 10 == 9 else f"specimen {text}"
        table.append(f"s{number},P{number},h{number // 3 % 3},{'AB'[int(amounts[0] > 2)]},{report}")
    (folder / "cohort.csv").write_text("\n".join(table) + "\n", encoding="utf-8")
    return folder


def _store(path: Path, tiles: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        file["features"] = tiles


Run = tuple[Bundle, PreparedCohort, Path]


@pytest.fixture(scope="module")
def run_of(told_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """Return a function that trains a method on two thirds and gives what retrieval needs."""

    def train(**settings: Any) -> Run:
        overrides = {
            "features.folder": str(told_cohort / "features"),
            "cohort.tasks": ("subtype",),
            "training.device": "cpu",
            "training.preflight": False,
            **settings,
        }
        config = with_overrides(load_preset("cpu-small"), overrides)
        table = told_cohort / "cohort.csv"
        split = np.where(np.arange(N) % 3 == 0, "test", "train")
        split[1] = ""
        prepared = with_split(open_cohort(table, config, QUIET), split, config, QUIET)
        folder = tmp_path_factory.mktemp("run") / "run"
        job = TrainJob(cohort=table, run_dir=folder, preset="cpu-small", overrides=overrides)
        train_prepared(job, config, prepared, folder, QUIET)
        return load_bundle(folder / "model"), prepared, folder

    return train


@pytest.fixture(scope="module")
def mean_run(run_of: Callable[..., Run]) -> Run:
    return run_of(method="mean-pool")


def test_mean_features_find_the_reports_that_describe_them(mean_run: Run) -> None:
    bundle, prepared, folder = mean_run
    found = retrieval_of_run(bundle, prepared, QUIET, folder / "vectors.npz")
    assert found is not None
    assert found["how"] == "ridge regression"
    n_with_report = sum(bool(prepared.cohort.rows[r].report) for r in prepared.rows("test"))
    assert found["n_slides"] == n_with_report < len(prepared.rows("test"))
    for way in ("slide_to_report", "report_to_slide"):
        at_5 = found[way][1]
        assert at_5["k"] == 5
        assert at_5["value"] > 0.7
        assert at_5["gain"] == pytest.approx(at_5["value"] - at_5["control"])
        assert at_5["gain"] > 0.3
        assert at_5["p"] < 0.05
    assert json.loads(json.dumps(found)) is not None


def test_without_the_file_slides_are_described_anew(mean_run: Run) -> None:
    bundle, prepared, folder = mean_run
    by_file = retrieval_of_run(bundle, prepared, QUIET, folder / "vectors.npz")
    assert retrieval_of_run(bundle, prepared, QUIET) == by_file


def test_a_network_with_a_report_space_projects(run_of: Callable[..., Run]) -> None:
    settings = {"training.epochs": 2, "codebook.codewords": 2, "loss.contrastive_weight": 1.0}
    bundle, prepared, folder = run_of(method="dre-slcl", **settings)
    found = retrieval_of_run(bundle, prepared, QUIET, folder / "vectors.npz")
    assert bundle.text_dim > 0
    assert found is not None
    assert found["how"] == "projection"
    assert found["slide_to_report"] != found["ridge"]["slide_to_report"]
    other = Bundle(bundle.net, bundle.config, bundle.tasks, bundle.text_dim + 1)
    with pytest.raises(CohortError, match="Measure it on the split that it was trained on"):
        retrieval_of_run(other, prepared, QUIET)


def _with_reports(prepared: PreparedCohort, reports: dict[int, str]) -> PreparedCohort:
    rows = [
        replace(row, report=reports.get(n, row.report))
        for n, row in enumerate(prepared.cohort.rows)
    ]
    return replace(prepared, cohort=replace(prepared.cohort, rows=tuple(rows)))


def test_the_space_is_fitted_on_training_reports_only(mean_run: Run) -> None:
    _, prepared, _ = mean_run
    config: DreSlclConfig = mean_run[0].config
    is_train = prepared.split == "train"
    space = fit_report_space(prepared.cohort, is_train, config, QUIET)
    changed = _with_reports(prepared, dict.fromkeys(prepared.rows("test"), "a word never seen"))
    again = fit_report_space(changed.cohort, is_train, config, QUIET)
    np.testing.assert_array_equal(space.vectors, again.vectors)
    test = [prepared.cohort.rows[row] for row in prepared.rows("test")]
    np.testing.assert_array_equal(space.encode(test), again.encode(test))
    # A held-out report that reads like a training one lies where that one lies.
    train_rows = [row for row, used in zip(prepared.cohort.rows, is_train, strict=True) if used]
    np.testing.assert_allclose(space.encode(train_rows), space.vectors, atol=1e-6)
    assert not again.encode([changed.cohort.rows[row] for row in changed.rows("test")]).any()


def test_nothing_to_look_for(mean_run: Run) -> None:
    bundle, prepared, folder = mean_run
    vectors = folder / "vectors.npz"
    for side in ("test", "train"):
        silent = _with_reports(prepared, dict.fromkeys(prepared.rows(side), ""))
        assert retrieval_of_run(bundle, silent, QUIET, vectors) is None


def test_vectors_of_another_model_are_refused(mean_run: Run, tmp_path: Path) -> None:
    bundle, prepared, folder = mean_run
    other = Bundle(bundle.net, bundle.config, bundle.tasks, 0, "0" * 64)
    with pytest.raises(ResultError, match="of another model"):
        retrieval_of_run(other, prepared, QUIET, folder / "vectors.npz")
    (tmp_path / "vectors.npz").write_bytes(b"cut")
    with pytest.raises(ResultError, match="cannot be read"):
        retrieval_of_run(bundle, prepared, QUIET, tmp_path / "vectors.npz")
