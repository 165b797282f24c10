"""Whether the cost model predicts trainings of other sizes than those it was fitted on.

    python benchmarks/cost_model.py [--source pixels|features|both] [--network] [--rounds 2]
        [--out costs.json]

Six small trainings (preset cpu-small) give the constants, for tiles that are read from slides and
for stored features. Then trainings with other numbers of slides, of tiles per slide and of
processes are run, and measured stands beside predicted: processor seconds of all threads by
component, and the peak of resident memory (VmHWM). Others at work on the same cores make a
processor second do less, by a quarter on a crowded machine; so all trainings take turns in several
rounds, and the least of each counts. Of several processes the first is measured. Components under
a fiftieth of a training are added up as "the rest". The exit status is 1 where a total, a component
of a tenth of its training or more, or the memory is off by more than a fifth.
`--network` counts the bytes over the loopback interface while two processes train, which needs a
machine, or a network namespace (`unshare -n`), on which nothing else talks to itself. Linux only.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import argparse
import fcntl
import json
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from napari_dre_slcl.engine.cost_bytes import memory_bytes, network_bytes
from napari_dre_slcl.engine.cost_fit import Fitted, Measured, fit
from napari_dre_slcl.engine.cost_measure import TRIALS, Subject, Trial, least, measure_trial
from napari_dre_slcl.engine.cost_model import seconds_of

BOUND = 0.2
LARGE, SMALL = 0.1, 0.02
FEATURE_DIM = 64
# SIOCSIFFLAGS; IFF_UP and IFF_RUNNING.
_SET_FLAGS, _IS_UP = 0x8914, 0x41
HELD_OUT = {
    "pixels": (Trial(30, 80), Trial(16, 300), Trial(70, 60), Trial(30, 80, ranks=2)),
    "features": (Trial(100, 2000), Trial(400, 1000), Trial(60, 20_000), Trial(200, 2000, ranks=2)),
}


def main() -> int:
    """Fit, run what was held out, and print both; return the exit status."""
    options = _parse()
    asked = {"both": ["pixels", "features"], "none": []}
    sources = asked.get(options.source, [options.source])
    worst, kept = 0.0, {}
    for source in sources:
        dim = FEATURE_DIM if source == "features" else None
        subject = Subject("cpu-small", {}, dim, clock="processor")
        tries = _rounds(subject, [*TRIALS[source], *HELD_OUT[source]], options.rounds)
        measured, tried = tries[: len(TRIALS[source])], tries[len(TRIALS[source]) :]
        fitted = fit(measured)
        print(f"{source}: constants from {len(measured)} trainings, processor seconds")
        _print_constants(fitted)
        worst = max(worst, *(_compare(one, fitted) for one in tried))
        kept[source] = {
            "constants": asdict(fitted),
            "fitted on": [asdict(one) for one in measured],
            "held out": [asdict(one) for one in tried],
        }
    if options.network:
        worst = max(worst, _network())
    if options.out:
        options.out.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    print(
        f"{'held' if worst <= BOUND else 'MISSED'}: off by {worst:.0%} at most (bound {BOUND:.0%})"
    )
    return int(worst > BOUND)


def _rounds(subject: Subject, trials: list[Trial], rounds: int) -> list[Measured]:
    """Run all trainings in turn, several times; return the least of each."""
    found = [[measure_trial(subject, trial) for trial in trials] for _ in range(rounds)]
    return [least(repeats) for repeats in zip(*found, strict=True)]


def _network() -> float:
    """Print the bytes that two processes send in a step; return the error of the prediction."""
    _raise_loopback()
    before = _loopback_bytes()
    subject = Subject("cpu-small", {}, FEATURE_DIM, clock="processor")
    scale = measure_trial(subject, Trial(200, 100, batch=0.5, ranks=2)).scale
    measured = (_loopback_bytes() - before) / scale.ranks / (scale.steps * scale.epochs)
    predicted = sum(network_bytes(scale).values())
    print(f"network: {scale.steps * scale.epochs} steps of two processes, bytes that each sends")
    error = predicted / measured - 1
    print(f"  measured {measured:,.0f}, predicted {predicted:,.0f}, off by {error:+.0%}\n")
    return abs(error)


def _loopback_bytes() -> int:
    lines = Path("/proc/net/dev").read_text(encoding="ascii").splitlines()
    (counts,) = (line.split(":")[1].split() for line in lines if line.strip().startswith("lo:"))
    return int(counts[8])  # sent


def _raise_loopback() -> None:
    """Switch the loopback interface on, which a new network namespace has switched off."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stream, suppress(PermissionError):
        request = struct.pack("16sH14s", b"lo", _IS_UP, b"")
        fcntl.ioctl(stream.fileno(), _SET_FLAGS, request)


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
    print(
        f"held out: {scale.slides} slides x {scale.tiles:,.0f} tiles, {scale.source}, "
        f"processes: {scale.ranks}"
    )
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
    parser.add_argument("--source", choices=("pixels", "features", "both", "none"), default="both")
    parser.add_argument("--rounds", type=int, default=2, help="of all trainings; the least counts")
    parser.add_argument("--network", action="store_true", help="also count bytes over loopback")
    parser.add_argument("--out", type=Path, help="write everything that was measured as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
