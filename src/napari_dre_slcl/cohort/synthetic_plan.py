"""Who is in the built-in cohort: patients, sites, labels and split, before any slide is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from napari_dre_slcl.cohort.synthetic_nuclei import MutationCue

__all__ = ["SlidePlan", "plan_cohort"]

_SITES = "ABC"
_NORMAL_SHARE, _TEST_SHARE, _MISSING_SHARE = 0.2, 1 / 3, 0.05
_PEN_SHARE, _BLUR_SHARE = 0.3, 0.25


@dataclass(frozen=True, slots=True)
class SlidePlan:
    """What one slide will be.

    Attributes
    ----------
    slide_id, patient_id, site, split : str
        As in the cohort table.
    subtype : str
        "LUAD", "LUSC" or "" for normal lung.
    is_mutated : bool
        What is painted; always False for normal lung.
    has_mutation_label : bool
        Whether the table tells it.
    tumour_share : float
        Share of the tissue that is tumour.
    has_pen, has_blur : bool
        Artefacts.
    cue : MutationCue
        How much of the mutation is to be seen, where there is one.
    """

    slide_id: str
    patient_id: str
    site: str
    split: str
    subtype: str
    is_mutated: bool
    has_mutation_label: bool
    tumour_share: float
    has_pen: bool
    has_blur: bool
    cue: MutationCue = field(default_factory=MutationCue)

    @property
    def stratum(self) -> tuple[str, bool]:
        """What the split is balanced by."""
        return self.subtype, self.is_mutated


def plan_cohort(n_slides: int, seed: int, cue: MutationCue | None = None) -> list[SlidePlan]:
    """Plan a cohort of at least six slides: 40 % LUAD, 40 % LUSC, 20 % normal, half mutated.

    Every class and, from ten slides on, both mutation states of both subtypes are on each side of
    the split. Sites rotate within each stratum, so that no site tells a label. Some patients have
    two slides, with the same labels and on the same side.
    """
    rng = np.random.default_rng([seed, 1])
    strata = _stratum_sizes(n_slides)
    tests = _test_sizes(strata, math.ceil(n_slides * _TEST_SHARE))
    plans: list[SlidePlan] = []
    for offset, (stratum, size) in enumerate(strata.items()):
        doubles = (size - 1) // 4
        sides = ["test"] * tests[stratum] + ["train"] * (size - tests[stratum])
        patient = 0
        for index, side in enumerate(sides):
            # Second slides lie in the train part, never last: that keeps the sites even.
            is_second = index in range(size - 2, size - 2 - 2 * doubles, -2)
            patient += 0 if is_second else 1
            site = _SITES[(offset + patient) % 3]
            plans.append(_plan(rng, stratum, side, site, f"{offset}-{patient}"))
    plans = _with_artefacts(rng, _hide_labels(rng, _named(rng, plans)))
    return [replace(plan, cue=cue) for plan in plans] if cue is not None else plans


def _stratum_sizes(n_slides: int) -> dict[tuple[str, bool], int]:
    normal = max(2, round(n_slides * _NORMAL_SHARE))
    luad = (n_slides - normal + 1) // 2
    lusc = n_slides - normal - luad
    return {
        ("LUAD", True): (luad + 1) // 2,
        ("LUSC", False): (lusc + 1) // 2,
        ("LUAD", False): luad // 2,
        ("LUSC", True): lusc // 2,
        ("", False): normal,
    }


def _test_sizes(strata: dict[tuple[str, bool], int], total: int) -> dict[tuple[str, bool], int]:
    sizes = {key: min(max(1, round(n * _TEST_SHARE)), n - 1) for key, n in strata.items()}
    if strata["LUAD", False] == 1:  # too few for every stratum: one mutated, one wild type
        sizes["LUAD", True], sizes["LUSC", False] = 1, 1
    by_need = sorted(strata, key=lambda key: (sizes[key] / strata[key], key[0] != ""))
    for key in by_need:
        if sum(sizes.values()) < total and sizes[key] + 2 <= strata[key]:
            sizes[key] += 1
    return sizes


def _plan(
    rng: np.random.Generator, stratum: tuple[str, bool], side: str, site: str, patient: str
) -> SlidePlan:
    subtype, is_mutated = stratum
    share = float(rng.uniform(0.35, 0.7)) if subtype else 0.0
    return SlidePlan(
        "", patient, site, side, subtype, is_mutated, bool(subtype), share, False, False
    )


def _named(rng: np.random.Generator, plans: list[SlidePlan]) -> list[SlidePlan]:
    """Give patients numbers in an order that tells nothing, and slides the names of patients."""
    patients = list(dict.fromkeys(plan.patient_id for plan in plans))
    number = {patients[old]: new for new, old in enumerate(rng.permutation(len(patients)))}
    counts: dict[str, int] = {}
    named = []
    for plan in sorted(plans, key=lambda plan: number[plan.patient_id]):
        patient = f"SYN-{plan.site}{number[plan.patient_id] + 1:03d}"
        counts[patient] = counts.get(patient, 0) + 1
        slide = f"{patient}-{counts[patient]:02d}"
        named.append(replace(plan, patient_id=patient, slide_id=slide))
    return named


def _hide_labels(rng: np.random.Generator, plans: list[SlidePlan]) -> list[SlidePlan]:
    """Take the mutation label of a few training patients away, as happens in real cohorts."""
    cancers = [p for p in plans if p.subtype]
    candidates = sorted({p.patient_id for p in cancers if p.split == "train"})
    n_hidden = round(_MISSING_SHARE * len(cancers)) if len(cancers) >= 10 else 0
    hidden = set(rng.choice(candidates, n_hidden, replace=False).tolist()) if n_hidden else set()
    return [replace(p, has_mutation_label=False) if p.patient_id in hidden else p for p in plans]


def _with_artefacts(rng: np.random.Generator, plans: list[SlidePlan]) -> list[SlidePlan]:
    n = len(plans)
    pens = set(rng.choice(n, max(1, round(_PEN_SHARE * n)), replace=False).tolist())
    blurs = set(rng.choice(n, max(1, round(_BLUR_SHARE * n)), replace=False).tolist())
    return [replace(p, has_pen=i in pens, has_blur=i in blurs) for i, p in enumerate(plans)]
