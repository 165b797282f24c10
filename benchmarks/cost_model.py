"""Whether the cost model predicts trainings of other sizes than those it was fitted on.

    python benchmarks/cost_model.py [--source pixels|features|both] [--out costs.json]

Five small trainings (preset cpu-small) give the constants, for tiles that are read from slides and
for stored features. Then trainings with other numbers of slides and of tiles per slide are run, and
measured stands beside predicted: processor seconds of all threads by component, and the peak of
resident memory (VmHWM). Each training is a process of its own with one thread for torch, so that
other work on the machine does not count. Components under a fiftieth of a training are added up as
"the rest". The exit status is 1 where a total, or a component of a tenth of its training or more,
is off by more than a fifth, or the memory is.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from napari_dre_slcl.engine.cost_bytes import memory_bytes
from napari_dre_slcl.engine.cost_fit import Fitted, Measured
from napari_dre_slcl.engine.cost_measure import Subject, Trial, measure_costs, measure_trial
from napari_dre_slcl.engine.cost_model import seconds_of

BOUND = 0.2
LARGE, SMALL = 0.1, 0.02
FEATURE_DIM = 64
HELD_OUT = {
    "pixels": (Trial(30, 80), Trial(16, 300), Trial(70, 60)),
    "features": (Trial(100, 2000), Trial(400, 1000), Trial(60, 20_000)),
}


def main() -> int:
    """Fit, run what was held out, and print both; return the exit status."""
    options = _parse()
    sources = ["pixels", "features"] if options.source == "both" else [options.source]
    worst, kept = 0.0, {}
    for source in sources:
        dim = FEATURE_DIM if source == "features" else None
        subject = Subject("cpu-small", {}, dim, clock="processor")
        fitted, measured = measure_costs(subject)
        print(f"{source}: constants from {len(measured)} trainings, processor seconds")
        _print_constants(fitted)
        tried = []
        for trial in HELD_OUT[source]:
            tried.append(measure_trial(subject, trial))
            worst = max(worst, _compare(tried[-1], fitted))
        kept[source] = {
            "constants": asdict(fitted),
            "fitted on": [asdict(one) for one in measured],
            "held out": [asdict(one) for one in tried],
        }
    if options.out:
        options.out.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    print(
        f"{'held' if worst <= BOUND else 'MISSED'}: off by {worst:.0%} at most (bound {BOUND:.0%})"
    )
    return int(worst > BOUND)


def _print_constants(fitted: Fitted) -> None:
    for name, units in fitted.seconds.items():
        shown = ", ".join(
            f"{1e3 * value:.4g} ms per {unit}" for unit, value in units.items() if value
        )
        print(f"  {name:28} {shown or 'nothing'}")
    shown = ", ".join(
        f"{value / 2**20:.4g} MiB per {unit}" for unit, value in fitted.memory.items()
    )
    print(f"  {'memory':28} {shown}\n")


def _compare(measured: Measured, fitted: Fitted) -> float:
    """Print one training; return the largest error that counts."""
    scale, found = measured.scale, seconds_of(measured.scale, fitted.seconds)
    whole = sum(measured.seconds.values())
    print(f"held out: {scale.slides} slides x {scale.tiles:,.0f} tiles, {scale.source}")
    print(f"  {'component':28} {'measured s':>10} {'predicted s':>11} {'off by':>7}")
    errors = [_line("all", whole, sum(found.values()))]
    rest = [0.0, 0.0]
    for name in {**measured.seconds, **found}:
        pair = measured.seconds.get(name, 0.0), found.get(name, 0.0)
        if max(pair) < SMALL * whole:
            rest = [rest[0] + pair[0], rest[1] + pair[1]]
            continue
        error = _line(name, *pair)
        if pair[0] >= LARGE * whole:
            errors.append(error)
    _line("the rest", *rest)
    if measured.peak_bytes:
        parts = memory_bytes(scale, fitted.memory)
        peak = sum(parts.values())
        error = peak / measured.peak_bytes - 1
        print(
            f"  {'peak of memory, MiB':28} {measured.peak_bytes / 2**20:10,.0f} "
            f"{peak / 2**20:11,.0f} {error:+7.0%}"
        )
        print("    " + ", ".join(f"{name} {n / 2**20:,.0f}" for name, n in parts.items()))
        errors.append(abs(error))
    print()
    return max(errors)


def _line(name: str, measured: float, predicted: float) -> float:
    error = predicted / measured - 1 if measured else 0.0
    print(f"  {name:28} {measured:10.2f} {predicted:11.2f} {error:+7.0%}")
    return abs(error)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", choices=("pixels", "features", "both"), default="both")
    parser.add_argument("--out", type=Path, help="write everything that was measured as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
