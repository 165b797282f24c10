"""Folds by hospital: no site on two sides, and labels as even as whole sites allow."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.cohort import Cohort, read_cohort
from napari_dre_slcl.cohort.balance import unevenness
from napari_dre_slcl.cohort.balance_exact import deal_large_groups
from napari_dre_slcl.cohort.site_folds import site_folds
from napari_dre_slcl.errors import CohortError


def _read(folder: Path, lines: list[str]) -> Cohort:
    table = folder / "cohort.csv"
    table.write_text("\n".join(["slide_id,patient_id,site,kind", *lines]) + "\n", encoding="utf-8")
    return read_cohort(table, needs_slides=False)


def _cohort(folder: Path, sites: int = 14, seed: int = 0) -> Cohort:
    """Return sites of 2 to 25 patients with one or two slides, each site with its own mixture."""
    rng = np.random.default_rng(seed)
    lines = []
    for site in range(sites):
        share = rng.uniform(0.1, 0.9)
        for patient in range(rng.integers(2, 26)):
            kind = "b" if rng.random() < share else "a"
            for slide in range(rng.integers(1, 3)):
                lines.append(f"s{site}-{patient}-{slide},P{site}-{patient},H{site},{kind}")
    return _read(folder, lines)


def test_no_site_is_on_two_sides_and_every_slide_is_tested_once(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path)
    sites = cohort.sites()
    folds = site_folds(cohort, ["kind"], 4, seed=0, val_fraction=0.15)
    np.testing.assert_array_equal(np.sum([f.split == "test" for f in folds], axis=0), 1)
    for fold in folds:
        train, val, test = (set(sites[fold.split == s]) for s in ("train", "val", "test"))
        assert all((train, val, test))
        assert not train & val
        assert not (train | val) & test


def test_labels_are_even_over_the_folds(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path)
    labels = cohort.labels("kind")
    for fold in site_folds(cohort, ["kind"], 4, seed=0, val_fraction=0.15):
        for name in ("a", "b"):
            tested = (labels[fold.split == "test"] == name).sum() / (labels == name).sum()
            assert tested == pytest.approx(0.25, abs=0.05)
            left = (labels[fold.split != "test"] == name).sum()
            assert (labels[fold.split == "val"] == name).sum() / left == pytest.approx(
                0.15, abs=0.07
            )


@pytest.mark.parametrize("seed", range(4))
def test_groups_are_dealt_as_evenly_as_possible_onto_two_sides(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 30, (9, 3)).astype(float)
    shares = np.array([0.7, 0.3])
    targets = np.outer(shares, counts.sum(axis=0))
    every = (np.array(sides) for sides in product((0, 1), repeat=9) if len(set(sides)) == 2)
    best = min(unevenness(counts, targets, sides) for sides in every)
    dealt = deal_large_groups(counts, shares, rng)
    assert unevenness(counts, targets, dealt) == pytest.approx(best)


def test_a_seed_gives_the_same_folds_and_another_seed_others(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path)
    first, again, other = (site_folds(cohort, ["kind"], 3, seed) for seed in (0, 0, 1))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.split, two.split)
    assert any((one.split != two.split).any() for one, two in zip(first, other, strict=True))


def test_validation_is_by_patient_where_one_site_is_left_to_train_on(tmp_path: Path) -> None:
    lines = [f"s{i},P{i},H{i % 2},{'ab'[i // 2 % 2]}" for i in range(40)]
    cohort = _read(tmp_path, lines)
    for fold in site_folds(cohort, ["kind"], 2, seed=0, val_fraction=0.2):
        sites = cohort.sites()
        assert set(sites[fold.split == "val"]) == set(sites[fold.split == "train"])
        assert not set(sites[fold.split == "test"]) & set(sites[fold.split != "test"])
        assert (fold.split == "val").sum() == 4


def test_validation_is_by_patient_where_sites_would_show_one_class(tmp_path: Path) -> None:
    """Three sites train, each of one class or too large to validate."""
    lines = [f"s{i},P{i},{site},{kind}" for i, (site, kind) in enumerate(_lopsided())]
    cohort = _read(tmp_path, lines)
    labels = cohort.labels("kind")
    for fold in site_folds(cohort, ["kind"], 2, seed=0, val_fraction=0.1):
        for side in ("train", "val", "test"):
            assert set(labels[fold.split == side]) == {"a", "b"}


def _lopsided() -> list[tuple[str, str]]:
    large = [(site, kind) for site in ("H0", "H1") for kind in "ab" * 20]
    return large + [(f"small-{kind}{number}", kind) for kind in "ab" for number in (0, 0, 1, 1)]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (
            [f"s{i},P{i},{'' if i in (1, 3) else f'H{i % 3}'},{'ab'[i % 2]}" for i in range(8)],
            r"2 of 8 slides .* have no site: row 3 \('s1'\), row 5 \('s3'\)\. Fill",
        ),
        (
            [f"s{i},P{i},H{i % 2},{'ab'[i % 2]}" for i in range(8)],
            r"has 2 sites \('H0', 'H1'\), too few for 3 folds",
        ),
        (
            [f"s{i},P{i},H{i // 2},{'b' if i < 2 else 'a'}" for i in range(8)],
            r"fold 'site-\d' show only 'a' in the column 'kind'",
        ),
    ],
)
def test_what_cannot_be_made_is_refused(tmp_path, lines: list[str], sentence: str) -> None:
    with pytest.raises(CohortError, match=sentence):
        site_folds(_read(tmp_path, lines), ["kind"], 3, seed=0)


@pytest.mark.real_data
def test_hospitals_of_tcga_lung_are_dealt_evenly(real_data: Path) -> None:
    table = real_data / "tcga_lung" / "cohort.csv"
    if not table.is_file():
        pytest.skip(f"no TCGA cohort at {table}")
    cohort = read_cohort(table, needs_slides=False)
    sites, labels = cohort.sites(), cohort.labels("subtype")
    for fold in site_folds(cohort, ["subtype"], 5, seed=0):
        test = fold.split == "test"
        assert not set(sites[test]) & set(sites[~test])
        assert test.mean() == pytest.approx(0.2, abs=0.02)
        assert (labels[test] == "LUAD").mean() == pytest.approx(0.5, abs=0.05)
