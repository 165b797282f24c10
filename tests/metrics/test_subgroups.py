"""Scores by site."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dre_slcl.metrics.scores import task_scores
from napari_dre_slcl.metrics.subgroups import TOO_FEW, scores_by_site


def _table() -> tuple:
    rng = np.random.default_rng(0)
    sites = np.array(["north"] * 30 + ["south"] * 20 + ["east"] * 4 + [""] * 40)
    truth = np.arange(len(sites)) % 2
    p = np.clip(0.3 * truth + 0.6 * rng.random(len(sites)), 0, 1)
    return truth, np.stack([1 - p, p], axis=1), sites, np.arange(len(sites))


def test_largest_site_first_and_unknown_last() -> None:
    table = scores_by_site(*_table(), n_resamples=50)
    assert [row.site for row in table] == ["north", "south", "east", ""]
    assert [row.n_slides for row in table] == [30, 20, 4, 40]


def test_scores_are_those_of_the_sites_slides() -> None:
    truth, values, sites, patients = _table()
    row = scores_by_site(truth, values, sites, patients, n_resamples=50)[1]
    here = sites == "south"
    assert row.scores == task_scores(truth[here], values[here])
    assert row.patients_by_class == (10, 10)
    assert row.note == ""
    assert row.auc is not None
    assert row.auc.low < row.auc.estimate < row.auc.high


def test_few_patients_are_too_few_however_many_slides() -> None:
    truth, values, sites, _ = _table()
    small = scores_by_site(truth, values, sites, np.arange(len(sites)), n_resamples=50)[2]
    assert (small.note, small.scores.auc, small.auc) == (TOO_FEW, None, None)
    assert small.accuracy == pytest.approx(
        (values[sites == "east"].argmax(axis=1) == truth[sites == "east"]).mean()
    )
    four_patients = np.where(sites == "north", np.arange(len(sites)) % 4, np.arange(len(sites)))
    large = scores_by_site(truth, values, sites, four_patients, n_resamples=50)[0]
    assert (large.n_slides, large.n_patients, large.note) == (30, 4, TOO_FEW)


def test_a_site_with_one_class_is_too_few() -> None:
    truth, values, sites, patients = _table()
    truth = np.where(sites == "south", 1, truth)
    row = scores_by_site(truth, values, sites, patients, n_resamples=50)[1]
    assert (row.patients_by_class, row.note) == ((0, 20), TOO_FEW)


def test_unlabelled_slides_count_nowhere() -> None:
    truth, values, sites, patients = _table()
    truth = np.where(sites == "east", -1, truth)
    assert [row.site for row in scores_by_site(truth, values, sites, patients, n_resamples=9)] == [
        "north",
        "south",
        "",
    ]
    assert scores_by_site(np.full_like(truth, -1), values, sites, patients) == ()
