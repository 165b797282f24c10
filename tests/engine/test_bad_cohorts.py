"""Cohorts with one class, empty columns or missing sites, through the public training job."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_dre_slcl.engine.train import run_train
from napari_dre_slcl.errors import CohortError, ConfigError
from napari_dre_slcl.jobs.messages import Log, Metric, Result, TrainJob

MakeJob = Callable[..., TrainJob]
Change = Callable[[int, dict[str, str]], None]
SHORT = {"training.epochs": 1, "codebook.refit_after_epoch": 0, "training.preflight": False}


@pytest.fixture
def changed_job(train_job: MakeJob, tmp_path: Path) -> Callable[..., TrainJob]:
    """Return changed_job(change, **settings): a short job on the cohort with changed rows."""

    def make(change: Change, **settings: object) -> TrainJob:
        job = train_job(**SHORT | settings)
        with job.cohort.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        for number, row in enumerate(rows):
            row["slide"] = str(job.cohort.parent / row["slide"])
            row["site"] = ""
            change(number, row)
        table = tmp_path / "cohort.csv"
        with table.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return job.model_copy(update={"cohort": table})

    return make


def _run(job: TrainJob) -> tuple[Result, list[str], dict[str, float]]:
    events: list = []
    end = run_train(job, events.append, lambda: False)
    assert isinstance(end, Result)
    assert (job.run_dir / "model").is_dir()
    said = [event.message for event in events if isinstance(event, Log)]
    return end, said, [event.values for event in events if isinstance(event, Metric)][-1]


def _refused(job: TrainJob, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        run_train(job, lambda event: None, lambda: False)
    assert not job.run_dir.exists()


def _all(**values: str) -> Change:
    return lambda number, row: row.update(values)


def _split(number: int, row: dict[str, str]) -> None:
    """Hold out the slides of class 'B'."""
    row["split"] = "test" if row["subtype"] == "B" else "train"


def test_one_class_only_and_no_report_is_refused(changed_job) -> None:
    job = changed_job(_all(subtype="A", TP53="", report=""))
    said = (
        r"Nothing can be learned .*'subtype' \(only 'A'\), 'TP53' \(no value\); "
        "no training slide has a report"
    )
    _refused(job, CohortError, said)


def test_one_class_only_is_named_and_reports_are_learned(changed_job) -> None:
    end, said, losses = _run(changed_job(_all(subtype="A", TP53="1")))
    assert "Columns that are not learned: 'subtype' (only 'A'), 'TP53' (only '1')." in said
    assert "loss/contrastive" in losses
    assert end.metrics == {}


@pytest.mark.parametrize(("value", "shown"), [("", "no value at all"), ("A", "only 'A'")])
def test_a_column_without_two_classes_that_is_asked_for_is_refused(
    changed_job, value: str, shown: str
) -> None:
    job = changed_job(_all(subtype=value), **{"cohort.tasks": "subtype,TP53"})
    _refused(job, CohortError, f"training slides of .* show {shown} in the column 'subtype'")


def test_a_label_column_that_is_empty_throughout_is_left_out(changed_job) -> None:
    end, said, losses = _run(changed_job(_all(subtype="")))
    assert "Columns that are not learned: 'subtype' (no value)." in said
    assert "loss/subtype" not in losses
    assert set(end.metrics) == {"test/auc/TP53"}


def test_a_report_column_that_is_empty_throughout_leaves_the_labels(changed_job) -> None:
    end, said, losses = _run(changed_job(_all(report="")))
    assert any(sentence.startswith("No training slide has a report") for sentence in said)
    assert "loss/contrastive" not in losses
    assert set(end.metrics) == {"test/auc/subtype", "test/auc/TP53"}


def test_empty_reports_with_labels_that_do_not_count_are_refused(changed_job) -> None:
    job = changed_job(_all(report=""), **{"loss.task_weight": 0})
    _refused(job, CohortError, "Nothing can be learned .*no training slide has a report")


def test_slides_without_labels_and_reports_learn_from_views(changed_job) -> None:
    change = _all(subtype="", TP53="", report="")
    _, _, losses = _run(changed_job(change, **{"loss.view_weight": 1}))
    assert losses["loss"] == losses["loss/view"] > 0


def test_one_class_for_each_split_is_refused_where_nothing_else_is_there(changed_job) -> None:
    def change(number: int, row: dict[str, str]) -> None:
        _split(number, row)
        row.update(TP53="", report="")

    _refused(changed_job(change), CohortError, r"'subtype' \(only 'A' on the training slides\)")
    asked = changed_job(change, **{"cohort.tasks": "subtype"})
    _refused(asked, CohortError, r"'subtype' \('B' is on held-out slides only\)")


def test_one_class_for_each_split_leaves_the_reports(changed_job) -> None:
    def change(number: int, row: dict[str, str]) -> None:
        _split(number, row)
        row["report"] = f"{['solid', 'papillary', 'lepidic'][number % 3]} pattern {number}"

    end, said, losses = _run(changed_job(change))
    assert any("'subtype' (only 'A' on the training slides)" in sentence for sentence in said)
    assert set(losses) >= {"loss", "loss/contrastive"}
    assert end.metrics == {}


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning:sklearn")
def test_reports_that_say_the_same_are_told(changed_job) -> None:
    def change(number: int, row: dict[str, str]) -> None:
        row["report"] = f"nothing but form {number}"

    _, said, _ = _run(changed_job(change))
    told = "The contrast of reports learns nothing: the reports of all training slides say the same"
    assert any(sentence.startswith(told) for sentence in said)


def test_too_few_different_reports_are_refused(changed_job) -> None:
    _refused(changed_job(_all(report="one form")), CohortError, "Only 1 different reports")


def test_one_class_among_held_out_slides_is_said_and_the_model_is_kept(changed_job) -> None:
    def change(number: int, row: dict[str, str]) -> None:
        row["split"] = "test" if number // 2 == 1 else "train"

    end, said, _ = _run(changed_job(change))
    assert "'subtype' has one class only among the held-out slides." in said
    assert end.metrics == {}
    assert (end.paths["predictions"]).is_file()


def test_batches_within_a_site_need_the_sites(changed_job) -> None:
    within = {"training.within_site": True}
    said = "column 'site' is empty for 8 of 8 training slides"
    _refused(changed_job(_all(site=""), **within), ConfigError, said)


def test_one_patient_with_most_slides_and_few_sites_can_be_trained_on(changed_job) -> None:
    def change(number: int, row: dict[str, str]) -> None:
        row["split"] = "test" if number >= 10 else "train"
        row["site"] = "S1" if number < 8 else "S2"
        if number < 7:
            row["patient_id"] = "P"

    settings = {"training.within_site": True, "loss.view_weight": 1, "training.slides_per_batch": 3}
    _, _, losses = _run(changed_job(change, **settings))
    assert losses["loss/view"] > 0
