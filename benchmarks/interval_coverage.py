"""How often the bootstrap interval of an AUC holds the truth.

    python benchmarks/interval_coverage.py [--cohorts 1000] [--resamples 400]

Draws cohorts whose true AUC is known: patients with one to three slides that resemble each other,
normal scores. For each setting it prints how many 95 % intervals hold the truth, and beside it
plain percentiles of the same draws, and intervals that take slides for patients. Exits with 1 if
`score_intervals` holds it in fewer than 93 % or more than 97 % of the cohorts of some setting.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from napari_dre_slcl.metrics.bootstrap import (
    bootstrap_interval,
    patients_by_class,
    resample,
)
from napari_dre_slcl.metrics.weighted import task_metrics

LOW, HIGH = 0.93, 0.97


@dataclass(frozen=True)
class Setting:
    """A kind of cohort: patients, true AUC, share of patients who are ill."""

    patients: int
    auc: float
    prevalence: float


SETTINGS = (
    Setting(60, 0.80, 0.5),
    Setting(60, 0.95, 0.5),
    Setting(200, 0.70, 0.15),
    Setting(200, 0.95, 0.5),
    Setting(500, 0.96, 0.5),
)


def draw(
    rng: np.random.Generator, setting: Setting
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Return labels, probabilities and patients; 70 % of the variance is between patients."""
    n = setting.patients
    patients = np.repeat(np.arange(n), rng.choice([1, 1, 1, 2, 3], n))
    is_ill = (rng.random(n) < setting.prevalence).astype(np.int64)
    shift = norm.ppf(setting.auc) * np.sqrt(2)
    own = shift * is_ill + np.sqrt(0.7) * rng.normal(size=n)
    p = norm.cdf(own[patients] + np.sqrt(0.3) * rng.normal(size=len(patients)) - shift / 2)
    return is_ill[patients], np.stack([1 - p, p], axis=1), patients


def coverage(setting: Setting, n_cohorts: int, n_resamples: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    held: dict[str, list[bool]] = {"interval": [], "percentiles": [], "slides as patients": []}
    for seed in range(n_cohorts):
        truth, values, patients = draw(rng, setting)
        while len(set(truth)) < 2:
            truth, values, patients = draw(rng, setting)
        auc = task_metrics(truth, values)["auc"]
        for name, who in (("interval", patients), ("slides as patients", np.arange(len(truth)))):
            found = bootstrap_interval(
                auc,
                who,
                n_effective=patients_by_class(truth, who),
                n_resamples=n_resamples,
                seed=seed,
            )
            held[name].append(found is not None and found.low <= setting.auc <= found.high)
        ends = np.nanquantile(resample([auc], patients, n_resamples, seed)[0], (0.025, 0.975))
        held["percentiles"].append(bool(ends[0] <= setting.auc <= ends[1]))
    return {name: float(np.mean(values)) for name, values in held.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=400)
    options = parser.parse_args()
    sys.stdout.write("patients  AUC   ill    interval  percentiles  slides as patients\n")
    is_good = True
    for setting in SETTINGS:
        start = time.perf_counter()
        found = coverage(setting, options.cohorts, options.resamples)
        is_good &= LOW <= found["interval"] <= HIGH
        sys.stdout.write(
            f"{setting.patients:8d}  {setting.auc:.2f}  {setting.prevalence:4.0%}"
            f"  {found['interval']:10.1%}  {found['percentiles']:11.1%}"
            f"  {found['slides as patients']:18.1%}   ({time.perf_counter() - start:.0f} s)\n"
        )
        sys.stdout.flush()
    sys.stdout.write("within 93-97 %\n" if is_good else "outside 93-97 %\n")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
