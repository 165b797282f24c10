"""Kill one process of a training by several, at any moment, and go on with it.

    python benchmarks/kill_ranks.py [--kills 10] [--processes 2] [--seed 0] [--folder DIR]

Trains a tiny network on generated slides by several processes, undisturbed, and by one process with
the same shards. Then starts the same training again and again, ends one of its processes by SIGKILL
at a random moment (the first as often as each of the others), and waits until all have ended. Each
killed run is resumed with as many processes as before until it ends. Printed are the seconds from
the kill to the end of the last process, and whether ``losses.csv`` and ``model/model.safetensors``
are those of the undisturbed run, byte for byte. Exits with 1 where one differs, or where a process
lives for 30 s after the kill of another. For Linux.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from safetensors.numpy import load_file

from napari_dre_slcl.cohort.synthetic import generate_cohort

SETTINGS = {
    "cohort.tasks": "cancer",
    "cohort.val_fraction": 0.3,
    "encoder.name": "test_vit",  # no batch normalisation, so that one process does the same
    "encoder.input_px": 32,
    "codebook.codewords": 3,
    "codebook.refit_after_epoch": 1,
    "residual.dropout": 0.1,
    "loss.view_weight": 0.2,
    "training.epochs": 6,
    "training.slides_per_batch": 4,
    "training.fresh_tiles": 3,
    "training.lr_encoder": 1e-4,
    "training.lr_rest": 1e-4,
    "training.refill_every_epochs": 2,
    "training.refresh_stalest": 0.2,
    "training.checkpoint_steps": 1,
    "training.preflight": "false",
    "training.device": "cpu",
}
COMPARED = ("losses.csv", "model/model.safetensors")
LONGEST_S = 30.0
DRE_SLCL = [sys.executable, "-m", "napari_dre_slcl"]


def command(cohort: Path, run: Path, processes: int, shards: int) -> list[str]:
    settings = SETTINGS | {"training.shards": shards}
    pairs = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    names = ["--cohort", str(cohort), "--run", str(run), "--preset", "cpu-small"]
    return [*DRE_SLCL, "train", *names, "--devices", str(processes), *pairs]


def run_quietly(line: list[str], log: Path) -> float:
    """Run a command to its end, and return its seconds."""
    begun = time.monotonic()
    with log.open("ab") as stream:
        done = subprocess.run(line, stdout=stream, stderr=stream, check=False)
    if done.returncode:
        raise SystemExit(f"'{' '.join(line[:4])} …' ended with {done.returncode}; see {log}.")
    return time.monotonic() - begun


def kill_one(line: list[str], log: Path, how: random.Random, seconds: float) -> tuple[str, float]:
    """Start a training and kill one of its processes.

    Returns
    -------
    (str, float)
        Which one, and seconds until all had ended; NaN where the training was over before.
    """
    with log.open("ab") as stream:
        main = subprocess.Popen(line, stdout=stream, stderr=stream)
    wait_s = how.uniform(0.45, 0.95) * seconds
    try:
        main.wait(wait_s)
    except subprocess.TimeoutExpired:
        ranks = [psutil.Process(main.pid), *_children(main.pid)]
        chosen = how.randrange(len(ranks))
        ranks[chosen].send_signal(signal.SIGKILL)
        killed = time.monotonic()
        _, alive = psutil.wait_procs(ranks, timeout=2 * LONGEST_S)
        for process in alive:
            process.kill()
        main.wait()
        return f"process {chosen + 1}", time.monotonic() - killed
    return "none: it had ended", float("nan")


def _children(pid: int) -> list[psutil.Process]:
    found = psutil.Process(pid).children()
    return [child for child in found if "napari_dre_slcl.engine.rank" in " ".join(child.cmdline())]


def losses(run: Path) -> np.ndarray:
    with (run / "losses.csv").open() as stream:
        rows = list(csv.reader(stream))
    return np.array([[float(value) for value in row] for row in rows[1:]])


def compare_with_one(run: Path, one: Path) -> str:
    """Say how far the losses and weights of several processes are from those of one."""
    several, single = losses(run), losses(one)
    found, expected = (load_file(folder / COMPARED[1]) for folder in (run, one))
    weights = max(float(np.abs(found[name] - expected[name]).max()) for name in expected)
    return (
        f"losses differ by {np.abs(several - single).max():.1e} at most in {len(single)} steps, "
        f"weights by {weights:.1e}"
    )


def same(run: Path, reference: Path) -> bool:
    return all((run / name).read_bytes() == (reference / name).read_bytes() for name in COMPARED)


def measure(folder: Path, n_kills: int, processes: int, seed: int) -> bool:
    cohort = generate_cohort(folder / "cohort", n_slides=16, side_px=1024)
    # Left to the job, so that there are validation slides as well.
    pd.read_csv(cohort).drop(columns="split").to_csv(cohort, index=False)
    log, reference = folder / "log.txt", folder / "reference"
    one_s = run_quietly(command(cohort, folder / "one", 1, processes), log)
    seconds = run_quietly(command(cohort, reference, processes, processes), log)
    print(
        f"one process {one_s:.0f} s, {processes} processes {seconds:.0f} s, start and test included"
    )
    print(compare_with_one(reference, folder / "one"), flush=True)
    how, is_well, ends = random.Random(seed), True, []
    for number in range(n_kills):
        run = folder / f"killed-{number:02}"
        who, end_s = kill_one(command(cohort, run, processes, processes), log, how, seconds)
        if (run / "config.toml").exists() and not (run / "metrics.json").exists():
            run_quietly([*DRE_SLCL, "resume", str(run), "--devices", str(processes)], log)
            went = "resumed"
        elif not (run / "config.toml").exists():
            shutil.rmtree(run, ignore_errors=True)
            run_quietly(command(cohort, run, processes, processes), log)
            went = "begun anew, as there was no run yet"
        else:
            went = "it had ended"
        is_same = same(run, reference)
        is_well &= is_same and not end_s > LONGEST_S
        ends.append(end_s)
        print(
            f"killed {who}: all ended after {end_s:.1f} s, {went}: "
            f"{'identical' if is_same else 'DIFFERENT'}",
            flush=True,
        )
        if is_same:
            shutil.rmtree(run)
    print(
        f"{n_kills} kills, longest until all had ended {np.nanmax(ends):.1f} s "
        f"(aim {LONGEST_S:.0f} s)"
    )
    return is_well


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="kept; a temporary one by default")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory(prefix="kill-ranks-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        return 0 if measure(folder, options.kills, options.processes, options.seed) else 1


if __name__ == "__main__":
    sys.exit(main())
