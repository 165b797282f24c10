"""Batches over many random cohorts, and the cohorts that make batches hard."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from napari_dre_slcl.errors import ConfigError
from napari_dre_slcl.methods.never_negatives import never_negatives
from napari_dre_slcl.methods.sampling import (
    draw_batches,
    draw_fresh,
    steps_per_epoch,
)

COHORTS = range(60)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _random_cohort(seed: int) -> tuple[list[str], list[str], int]:
    """Return patients, sites and batch size; each patient is of one site."""
    generator = _generator(seed)

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high, (1,), generator=generator))

    n_slides, n_patients, n_sites = draw(1, 60), draw(1, 40), draw(1, 8)
    home = [draw(0, n_sites) for _ in range(n_patients)]
    # The square of a uniform number: some patients have many slides.
    owner = [draw(0, n_patients) * draw(0, n_patients) // n_patients for _ in range(n_slides)]
    return [f"P{p}" for p in owner], [f"S{home[p]}" for p in owner], draw(1, 12)


def _draw(
    patients: list[str], sites: list[str], size: int, seed: int = 0, **rules: bool
) -> list[tuple[int, ...]]:
    chosen = {"one_slide_per_patient": True, "within_site": False} | rules
    return draw_batches(patients, sites, size, _generator(seed), **chosen)


@pytest.mark.parametrize("within_site", [False, True])
@pytest.mark.parametrize("seed", COHORTS)
def test_every_slide_is_drawn_once_in_batches_that_are_not_too_large(
    seed: int, within_site: bool
) -> None:
    patients, sites, size = _random_cohort(seed)
    for one_each in (False, True):
        batches = _draw(
            patients, sites, size, seed, one_slide_per_patient=one_each, within_site=within_site
        )
        drawn = sorted(slide for batch in batches for slide in batch)
        assert drawn == list(range(len(patients)))
        assert 1 <= min(map(len, batches)) <= max(map(len, batches)) <= size
        steps = steps_per_epoch(patients, sites, size, within_site=within_site)
        assert len(batches) == steps


@pytest.mark.parametrize("seed", COHORTS)
def test_batches_differ_by_a_slide_at_most_and_spread_patients_as_far_as_they_go(
    seed: int,
) -> None:
    patients, sites, size = _random_cohort(seed)
    batches = _draw(patients, sites, size, seed)
    lengths = [len(batch) for batch in batches]
    assert max(lengths) - min(lengths) <= 1
    assert len(batches) == math.ceil(len(patients) / size)
    for patient, n_slides in Counter(patients).items():
        most = max(sum(patients[slide] == patient for slide in batch) for batch in batches)
        assert most == math.ceil(n_slides / len(batches))


@pytest.mark.parametrize("seed", COHORTS)
def test_batches_within_a_site_hold_one_site_or_sites_of_one_patient(seed: int) -> None:
    patients, sites, size = _random_cohort(seed)
    of_site: dict[str, set[str]] = {}
    for patient, site in zip(patients, sites, strict=True):
        of_site.setdefault(site, set()).add(patient)
    for batch in _draw(patients, sites, size, seed, within_site=True):
        found = {sites[slide] for slide in batch}
        assert len(found) == 1 or all(len(of_site[site]) == 1 for site in found)


@pytest.mark.parametrize("seed", range(5))
def test_the_generator_decides(seed: int) -> None:
    patients, sites = [f"P{n // 2}" for n in range(40)], ["S"] * 40
    assert _draw(patients, sites, 6, seed) == _draw(patients, sites, 6, seed)
    assert _draw(patients, sites, 6, seed) != _draw(patients, sites, 6, seed + 1)


@pytest.mark.parametrize("one_each", [False, True])
def test_any_two_slides_of_different_patients_may_meet(one_each: bool) -> None:
    patients, sites = ["A", "A", "B", "C", "D", "E"], [""] * 6
    met = {
        pair
        for seed in range(200)
        for batch in _draw(patients, sites, 2, seed, one_slide_per_patient=one_each)
        for pair in [tuple(sorted(batch))]
    }
    pairs = {(one, other) for one in range(6) for other in range(one + 1, 6)}
    assert met == (pairs - {(0, 1)} if one_each else pairs)


def test_a_patient_with_most_of_the_slides_is_spread_evenly() -> None:
    patients = ["A"] * 17 + ["B", "C", "D"]
    batches = _draw(patients, [""] * 20, 5)
    counts = sorted(sum(patients[slide] == "A" for slide in batch) for batch in batches)
    assert counts == [4, 4, 4, 5]


def test_one_site_only_is_as_without_sites() -> None:
    patients = [f"P{n}" for n in range(11)]
    assert _draw(patients, ["S"] * 11, 4, within_site=True) == _draw(patients, ["S"] * 11, 4)


def test_small_sites_keep_batches_of_their_own_and_lone_patients_share() -> None:
    patients = [*"ABCDE", *"FG", "H", "I", "I"]
    sites = ["big"] * 5 + ["small"] * 2 + ["lone"] + ["other"] * 2
    batches = _draw(patients, sites, 4, within_site=True)
    found = sorted(tuple(sorted({sites[slide] for slide in batch})) for batch in batches)
    assert found == [("big",), ("big",), ("lone", "other"), ("small",)]


@pytest.mark.parametrize("n_empty", [1, 4])
def test_batches_within_a_site_need_the_sites(n_empty: int) -> None:
    patients, sites = list("ABCD"), [""] * n_empty + ["S"] * (4 - n_empty)
    said = rf"column 'site' is empty for {n_empty} of 4 .*switch training\.within_site off\.$"
    with pytest.raises(ConfigError, match=said):
        _draw(patients, sites, 2, within_site=True)
    with pytest.raises(ConfigError, match=said):
        steps_per_epoch(patients, sites, 2, within_site=True)


@pytest.mark.parametrize("n_tiles", [1, 3, 50])
def test_fresh_tiles_are_distinct_and_fewer_are_the_beginning_of_more(n_tiles: int) -> None:
    many = draw_fresh(n_tiles, 8, _generator(1))
    assert len(many.unique()) == len(many) == min(8, n_tiles)
    assert set(many.tolist()) <= set(range(n_tiles))
    assert torch.equal(draw_fresh(n_tiles, 4, _generator(1)), many[:4])


def test_every_tile_may_be_fresh() -> None:
    generator = _generator(0)
    drawn = torch.cat([draw_fresh(20, 3, generator) for _ in range(100)])
    assert len(drawn.unique()) == 20


def test_slides_of_a_patient_or_with_one_report_are_never_negatives() -> None:
    masks = never_negatives(
        ["A", "A", "B", "C", "D"], ["x", "", "x", "", ""], [""] * 5, within_site=False
    ).among(torch.arange(5))
    pairs = {(i, j) for i, j in masks.nonzero().tolist() if i < j}
    assert pairs == {(0, 1), (0, 2)}  # no report is not the same report
    assert torch.equal(masks, masks.T)
    assert bool(masks.diagonal().all())


def test_within_a_site_other_sites_give_no_negatives() -> None:
    masks = never_negatives(list("ABC"), [""] * 3, ["S", "S", "T"], within_site=True)
    masks = masks.among(torch.arange(3))
    assert masks.tolist() == [[True, False, True], [False, True, True], [True, True, True]]
