"""Evaluations of a method over folds and seeds, on real feature files that were generated."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from napari_dre_slcl.engine.comparison import compare_evaluations
from napari_dre_slcl.engine.evaluation import EvaluationResult, run_evaluation
from napari_dre_slcl.engine.evaluation_request import EvaluationRequest
from napari_dre_slcl.engine.reporter import Reporter, Stopped
from napari_dre_slcl.errors import (
    CohortError,
    ConfigError,
    DreSlclError,
    JobError,
    LeakageError,
    ResultError,
)

N_PATIENTS, DIM = 36, 6
PROBE = {"probe.c_values": "0.1"}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 40 slides of 36 patients at 4 sites; tiles of class B lie elsewhere."""
    folder = tmp_path_factory.mktemp("evaluated")
    (folder / "features").mkdir()
    lines = ["slide_id,patient_id,site,subtype,gene,report"]
    for number in range(40):
        patient = number % N_PATIENTS
        rng = np.random.default_rng(number)
        features = rng.normal(size=(6 + number % 3, DIM)).astype(np.float32)
        features[:, 0] += 0.9 * (patient % 2)
        with h5py.File(folder / "features" / f"s{number:02}.h5", "w") as file:
            file["features"] = features
        gene = "" if patient % 5 == 4 else str(patient // 2 % 2)
        words = ["pale glandular", "dark dense"][patient % 2]
        report = f"{words} tumour of patient number {patient} word{patient} grade{patient % 3}"
        site = f"H{patient // 2 % 4}"
        lines.append(f"s{number:02},P{patient:02},{site},{'AB'[patient % 2]},{gene},{report}")
    table = folder / "cohort.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


Ask = Callable[..., EvaluationRequest]


@pytest.fixture(scope="module")
def ask(cohort: Path) -> Ask:
    """Return a function that makes a request: ask(out, seeds=2)."""
    plain = EvaluationRequest(
        cohort=cohort,
        out=cohort.parent,
        method="mean-pool",
        tasks=("subtype", "gene"),
        n_folds=3,
        validation=0.2,
        overrides=PROBE | {"features.folder": str(cohort.parent / "features")},
    )
    return lambda out, **changes: replace(plain, out=out, **changes)


def _run(request: EvaluationRequest, should_stop=lambda: False) -> EvaluationResult:
    return run_evaluation(request, Reporter(lambda event: None, should_stop))


@pytest.fixture(scope="module")
def done(ask: Ask, tmp_path_factory: pytest.TempPathFactory) -> EvaluationResult:
    """Three folds by patient, two seeds."""
    return _run(ask(tmp_path_factory.mktemp("out") / "done", seeds=2))


@pytest.fixture
def copied(done: EvaluationResult, tmp_path: Path) -> Path:
    """Return a copy of the folder of `done`."""
    out = tmp_path / "copied"
    shutil.copytree(done.paths["metrics"].parent, out)
    return out


def test_each_slide_is_tested_once_per_seed(done: EvaluationResult) -> None:
    table = pd.read_csv(done.paths["predictions"])
    counts = table[table["task"] == "subtype"].groupby(["seed", "slide_id"]).size()
    assert set(counts) == {2}, "one line per class"
    assert len(counts) == 2 * 40


def test_scores_are_those_of_the_predictions(done: EvaluationResult) -> None:
    table = pd.read_csv(done.paths["predictions"], dtype={"label": str, "class": str})
    table = table[(table["task"] == "gene") & (table["class"] == "1") & table["label"].notna()]
    areas = [
        roc_auc_score(cell["label"] == "1", cell["probability"])
        for _, cell in table.groupby(["fold", "seed"])
    ]
    found = done.metrics["tasks"]["gene"]["scores"]["auc"]
    assert (found["n"], found["mean"]) == (6, pytest.approx(np.mean(areas)))
    assert found["std"] == pytest.approx(np.std(areas, ddof=1))
    interval = done.metrics["tasks"]["gene"]["intervals"]["auc"]
    assert interval["estimate"] == pytest.approx(np.mean(areas))
    assert interval["low"] < interval["estimate"] < interval["high"]


def test_no_patient_is_on_two_sides_of_a_cell(done: EvaluationResult, cohort: Path) -> None:
    splits = pd.read_csv(done.paths["metrics"].parent / "splits.csv", dtype=str).fillna("")
    patient = pd.read_csv(cohort, dtype=str).set_index("slide_id")["patient_id"]
    names = [column for column in splits if "-seed" in column]
    assert len(names) == 6
    for name in names:
        sides = splits[name].groupby(splits["slide_id"].map(patient)).nunique()
        assert set(sides) == {1}


def test_seeds_draw_folds_of_their_own(done: EvaluationResult) -> None:
    hashes = [cell["test_sha256"] for cell in done.metrics["cells"]]
    assert len(set(hashes)) == 6


def test_the_temperature_scales_the_odds_and_comes_from_validation(done: EvaluationResult) -> None:
    table = pd.read_csv(done.paths["predictions"])
    cell = done.metrics["cells"][0]
    rows = table[
        (table["fold"] == cell["fold"])
        & (table["seed"] == cell["seed"])
        & (table["task"] == "gene")
    ]
    plain, scaled = (
        rows[name].to_numpy().reshape(-1, 2) for name in ("probability", "probability_scaled")
    )
    odds, scaled_odds = (np.log(v[:, 1] / v[:, 0]) for v in (plain, scaled))
    np.testing.assert_allclose(scaled_odds * cell["temperature"]["gene"], odds, rtol=1e-4)
    calibration = done.metrics["tasks"]["gene"]["calibration"]
    assert 0 < calibration["after"]["ece"] < 1


def test_retrieval_has_its_control_beside_it(done: EvaluationResult) -> None:
    recalls = done.metrics["retrieval"]["recalls"]
    assert [(row["way"], row["k"]) for row in recalls] == [
        (way, k) for way in ("slide to report", "report to slide") for k in (1, 5, 10)
    ]
    for row in recalls:
        gap = row["value"]["mean"] - row["control"]["mean"]
        assert row["gain"]["mean"] == pytest.approx(gap)


def test_every_site_has_its_row(done: EvaluationResult) -> None:
    sites = done.metrics["tasks"]["subtype"]["sites"]
    assert {site["site"] for site in sites} == {"H0", "H1", "H2", "H3"}
    assert sum(site["n_slides"] for site in sites) == 40


def test_what_was_looked_at_for_leaks_is_written_down(done: EvaluationResult) -> None:
    for cell in done.metrics["cells"]:
        assert {"patients", "slide content", "reports", "model"} <= set(cell["checked"])
        assert cell["shared_patients"] == 0


def test_the_page_is_one_file_without_script_or_network(done: EvaluationResult) -> None:
    page = done.paths["page"].read_text(encoding="utf-8")
    for forbidden in ("<script", "<link", "<img", "src=", "@import", "url("):
        assert forbidden not in page
    assert page.replace("http://www.w3.org/2000/svg", "").count("http") == 0
    assert page.count("<svg") == 2 * 4
    for words in ("subtype", "gene", "Reliability", "Abstention", "ROC", "H3", "Control"):
        assert words in page


def test_a_finished_cell_is_not_made_again(ask: Ask, copied: Path, done: EvaluationResult) -> None:
    cells = sorted((copied / "cells").glob("*/cell.json"))
    before = [path.stat().st_mtime_ns for path in cells]
    again = _run(ask(copied, seeds=2))
    assert [path.stat().st_mtime_ns for path in cells] == before
    assert again.metrics == done.metrics


def test_a_half_written_cell_is_made_anew_and_gives_the_same(
    ask: Ask, copied: Path, done: EvaluationResult
) -> None:
    cell = copied / "cells" / done.metrics["cells"][1]["name"]
    (cell / "cell.json").unlink()
    (cell / "predictions.csv").write_text("half a li", encoding="utf-8")
    again = _run(ask(copied, seeds=2))
    assert again.paths["predictions"].read_bytes() == done.paths["predictions"].read_bytes()
    assert again.metrics["tasks"] == done.metrics["tasks"]


def test_a_stopped_evaluation_goes_on_to_the_same_figures(
    ask: Ask, tmp_path: Path, done: EvaluationResult
) -> None:
    out = tmp_path / "out"
    first = out / "cells" / "patient-1-seed0" / "cell.json"
    with pytest.raises(Stopped):
        _run(ask(out), first.exists)
    assert first.exists()
    assert not (out / "metrics.json").exists()
    after = _run(ask(out))
    table = pd.read_csv(done.paths["predictions"])
    of_first_seed = table[table["seed"] == 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(pd.read_csv(after.paths["predictions"]), of_first_seed)


def test_more_seeds_add_their_cells(ask: Ask, copied: Path) -> None:
    for name in ("patient-0-seed1", "patient-1-seed1", "patient-2-seed1"):
        shutil.rmtree(copied / "cells" / name)
    fewer = _run(ask(copied, seeds=1))
    assert len(fewer.metrics["cells"]) == 3
    assert fewer.metrics["folds"]["seeds"] == [0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"overrides": {"probe.c_values": "10"}}, "probe.c_values"),
        ({"validation": 0.1}, "validation was 0.2 and is 0.1"),
        ({"method": "attention-mil"}, "method was 'mean-pool' and is 'attention-mil'"),
        ({"within": {"subtype": "A"}}, "within"),
    ],
)
def test_other_settings_in_the_same_folder_are_refused(
    ask: Ask, copied: Path, changes: dict, words: str
) -> None:
    if "overrides" in changes:
        changes = {"overrides": ask(copied).overrides | changes["overrides"]}
    with pytest.raises(JobError, match="other settings") as caught:
        _run(ask(copied, seeds=2, **changes))
    assert words in str(caught.value)


def test_a_folder_that_holds_something_else_is_left_alone(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(JobError, match=r"thesis\.txt"):
        _run(ask(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_changed_cohort_table_is_refused(ask: Ask, copied: Path, cohort: Path) -> None:
    changed = copied.parent / "cohort.csv"
    changed.write_text(cohort.read_text(encoding="utf-8").replace("word3 ", "word4 "), "utf-8")
    with pytest.raises(JobError, match="cohort_sha256"):
        _run(ask(copied, seeds=2, cohort=changed))


def test_only_slides_within_a_subtype_take_part(ask: Ask, tmp_path: Path) -> None:
    found = _run(ask(tmp_path / "out", tasks=("gene",), within={"subtype": "A"}, n_folds=2))
    assert found.metrics["cohort"]["slides"] == 20
    table = pd.read_csv(found.paths["predictions"])
    assert {int(slide[1:]) % N_PATIENTS % 2 for slide in table["slide_id"]} == {0}


def _write_split(folder: Path, test: set[int], left_out: set[int] = frozenset()) -> None:
    folder.mkdir(exist_ok=True)
    lines = ["slide_id,role"] + [
        f"s{number:02},{'test' if number in test else 'train'}"
        for number in range(40)
        if number not in left_out
    ]
    path = folder / f"split_{len(list(folder.iterdir()))}.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_published_splits_with_shared_patients_are_refused_until_allowed(
    ask: Ask, tmp_path: Path
) -> None:
    _write_split(tmp_path / "splits", {0, 1, 2, 5, 6, 7, 8, 9, 10, 11}, left_out={39})
    request = ask(
        tmp_path / "out", tasks=("subtype",), folds=str(tmp_path / "splits"), validation=0.0
    )
    with pytest.raises(LeakageError, match="P00"):
        _run(request)
    found = _run(replace(request, allow_shared_patients=True))
    (cell,) = found.metrics["cells"]
    assert cell["shared_patients"] == 3
    assert cell["slides"]["test"] == 10
    fitted = json.loads((tmp_path / "out/cells/split_0-seed0/fitted.json").read_text())
    trained = {slide for ids in fitted.values() for slide in ids}
    assert "s39" not in trained, "left out by the split"
    assert "s36" in trained, "the other slide of a patient who is tested"
    assert found.metrics["tasks"]["subtype"]["calibration"]["after"] is None, "no validation"


def test_the_splits_of_an_evaluation_serve_another(ask: Ask, copied: Path, tmp_path: Path) -> None:
    again = _run(ask(tmp_path / "out", folds=str(copied / "splits.csv")))
    first = [
        cell["test_sha256"] for cell in json.loads((copied / "metrics.json").read_text())["cells"]
    ]
    assert [cell["test_sha256"] for cell in again.metrics["cells"]] == first


def test_splits_with_a_seed_that_is_no_number_are_refused(ask: Ask, copied: Path) -> None:
    splits = copied / "splits.csv"
    splits.write_text(splits.read_text().replace("-seed0", "-seedling", 1))
    with pytest.raises(JobError, match=r"whose seed 'ling' is no number. Name it FOLD-seedNUMBER"):
        _run(ask(copied))


def test_a_slide_that_is_there_twice_is_refused_with_both_names(
    ask: Ask, cohort: Path, tmp_path: Path
) -> None:
    features = tmp_path / "features"
    shutil.copytree(cohort.parent / "features", features)
    shutil.copyfile(features / "s00.h5", features / "s05.h5")
    _write_split(tmp_path / "splits", {0, 36, 2, 3, 4, 38, 39, 37, 1})
    overrides = PROBE | {"features.folder": str(features)}
    request = ask(tmp_path / "out", folds=str(tmp_path / "splits"), overrides=overrides)
    with pytest.raises(LeakageError, match=r"s05.*s00|s00.*s05"):
        _run(request)


def test_a_report_of_a_test_patient_in_training_is_refused(
    ask: Ask, cohort: Path, tmp_path: Path
) -> None:
    lines = cohort.read_text(encoding="utf-8").splitlines()
    long = " ".join(f"finding{number}" for number in range(40))
    rows = [line.rpartition(",")[0] + "," + long if ",P0" in line else line for line in lines]
    table = tmp_path / "cohort.csv"
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    with pytest.raises(LeakageError, match="same report"):
        _run(ask(tmp_path / "out", cohort=table))


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"folds": "hospital"}, ConfigError, "hospital"),
        ({"method": "magic"}, ConfigError, "attention-mil"),
        ({"tasks": ("age",)}, CohortError, "age"),
        ({"within": {"subtype": "C"}}, CohortError, "'C'"),
        ({"n_folds": 50}, CohortError, "fold"),
        ({"cohort": Path("nowhere.csv")}, DreSlclError, "nowhere.csv"),
    ],
)
def test_a_request_that_cannot_be_done_leaves_no_folder_of_an_evaluation(
    ask: Ask, tmp_path: Path, changes: dict, kind: type[DreSlclError], words: str
) -> None:
    out = tmp_path / "out"
    with pytest.raises(kind, match=words):
        _run(ask(out, **changes))
    assert not (out / "metrics.json").exists()
    assert not (out / "cells").exists()


def test_settings_that_trained_nothing_may_be_corrected(ask: Ask, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(CohortError):
        _run(ask(out, n_folds=50))
    _write_split(tmp_path / "splits", set(range(9)))
    right = ask(out, folds=str(tmp_path / "splits"), allow_shared_patients=True)
    assert len(_run(right).metrics["cells"]) == 1


def test_an_evaluation_compared_with_itself_differs_by_nothing(
    done: EvaluationResult, copied: Path, tmp_path: Path
) -> None:
    found = compare_evaluations([done.paths["metrics"].parent, copied], tmp_path / "compared")
    (pair,) = found["tasks"]["subtype"]["pairs"]
    assert {pair[test]["difference"] for test in ("folds", "bootstrap", "delong")} == {0.0}
    assert "svg" in (tmp_path / "compared/compare.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "compared/compare.json").read_text())["tasks"] == found["tasks"]


def test_evaluations_on_other_folds_are_not_compared(
    ask: Ask, done: EvaluationResult, tmp_path: Path
) -> None:
    other = _run(ask(tmp_path / "other", folds="site", n_folds=2)).paths["metrics"].parent
    with pytest.raises(ResultError, match="do not test the same slides"):
        compare_evaluations([done.paths["metrics"].parent, other])


def test_an_unfinished_evaluation_is_not_compared(done: EvaluationResult, copied: Path) -> None:
    (copied / "metrics.json").unlink()
    with pytest.raises(ResultError, match="not finished"):
        compare_evaluations([done.paths["metrics"].parent, copied])
