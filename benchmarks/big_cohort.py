"""A cohort of 10,000 feature files: write them, index them, open the cohort, train on it.

    python benchmarks/big_cohort.py [--files 10000] [--tiles 1000] [--dim 64] [--folder DIR]
                                    [--epochs 1] [--keep]

The features are synthetic: random numbers, with a shift by class that can be learned. Each figure
is taken in a process of its own, whose peak of resident memory is printed beside it; memory that
belongs to no file (anonymous) is what cannot be taken back by the system, the rest are pages of
files. `--dim 1024` would need 16 times the disk; the figures that grow with it are extrapolated.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from napari_dre_slcl.cohort.feature_index import INDEX_NAME, update_index
from napari_dre_slcl.cohort.feature_write import FeatureOrigin, write_features

ORIGIN = FeatureOrigin("synthetic", "0" * 64, mpp=0.5, tile_px=256)
WORDS = ("papillary", "acinar", "solid", "lepidic", "keratin", "mucin", "necrosis", "stroma")
SETTINGS = {
    "cohort.tasks": ["subtype"],
    "features.adapter": "none",
    "training.tile_cache_mib": 256,
    "training.bank_memory_mib": 512,
    "codebook.tiles_per_slide": 50,
    "training.preflight": False,
}
"""What bounds memory. With the default preset's wide adapter the bank is 256 wide, not --dim."""


def main() -> None:
    """Run every part in a process of its own, and print one table."""
    options = _options()
    if options.part:
        print(json.dumps(PARTS[options.part](options)))
        return
    own_folder = options.folder is None
    folder = Path(tempfile.mkdtemp(prefix="big-cohort-")) if own_folder else options.folder
    try:
        for part in PARTS:
            show(part, _run(part, folder, options))
    finally:
        if own_folder and not options.keep:
            shutil.rmtree(folder)


def show(part: str, figures: dict[str, Any]) -> None:
    """Print the figures of a part in one line."""
    text = ", ".join(
        f"{name} {value:,.2f}" if isinstance(value, float) else f"{name} {value}"
        for name, value in figures.items()
    )
    print(f"{part:6} {text}", flush=True)


def make(options: argparse.Namespace) -> dict[str, Any]:
    """Write feature files and their table, where they are not there already."""
    features = options.folder / "features"
    rng = np.random.default_rng(0)
    start, rows = time.perf_counter(), []
    side = int(np.ceil(np.sqrt(options.tiles)))
    corners = np.stack(np.divmod(np.arange(options.tiles), side), axis=1) * 512
    for number in range(options.files):
        name, label = f"slide-{number:05d}", number % 2
        path = features / f"{name}.h5"
        if not path.exists():
            table = rng.standard_normal((options.tiles, options.dim), dtype=np.float32)
            table[: options.tiles // 4, : options.dim // 4] += label
            write_features(path, table, corners, ORIGIN, 512, 0.25)
        words = " ".join(WORDS[(number // 2**bit) % len(WORDS)] for bit in (0, 1, 3, 6))
        report = f"Case {number}. {'squamous' if label else 'adeno'} carcinoma, {words}."
        split = "val" if number % 10 == 8 else "test" if number % 10 == 9 else "train"
        rows.append([f"features/{name}.h5", f"P{number}", "ab"[label], split, report])
    with (options.folder / "cohort.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["features", "patient_id", "subtype", "split", "report"])
        writer.writerows(rows)
    n_bytes = sum(path.stat().st_size for path in features.glob("*.h5"))
    (features / INDEX_NAME).unlink(missing_ok=True)
    seconds = time.perf_counter() - start
    return {"files": options.files, "GB": n_bytes / 1e9, "seconds": seconds}


def index(options: argparse.Namespace) -> dict[str, Any]:
    """Look at every file once, then again with the table that was made of that."""
    first, _ = _timed(lambda: update_index(options.folder / "features"))
    again, path = _timed(lambda: update_index(options.folder / "features"))
    assert path is not None
    return {"first_s": first, "again_s": again, "table_MB": path.stat().st_size / 1e6}


def opening(options: argparse.Namespace) -> dict[str, Any]:
    """Read the table, look at the features: what each training, search and prediction begins with.

    Importing the package is not in it.
    """
    from napari_dre_slcl.cohort.cohort import read_cohort
    from napari_dre_slcl.config import DreSlclConfig
    from napari_dre_slcl.engine.open_sources import open_sources
    from napari_dre_slcl.engine.reporter import Reporter

    reporter = Reporter(lambda event: None, lambda: False)
    cpu = time.process_time()
    table, cohort = _timed(lambda: read_cohort(options.folder / "cohort.csv"))
    files, sources = _timed(lambda: open_sources(cohort, DreSlclConfig(), reporter))
    assert len(sources) == options.files
    cpu = time.process_time() - cpu
    return {"table_s": table, "files_s": files, "seconds": table + files, "cpu_s": cpu}


def train(options: argparse.Namespace) -> dict[str, Any]:
    """Train the frozen-feature mode of DRE-SLCL, validate and test."""
    from napari_dre_slcl.engine.train import run_train
    from napari_dre_slcl.jobs.messages import Progress, TrainJob

    run_dir = options.folder / "run"
    shutil.rmtree(run_dir, ignore_errors=True)
    overrides = {**SETTINGS, "training.epochs": options.epochs, "training.least_steps": 1}
    overrides |= dict(pair.split("=", 1) for pair in options.set)
    job = TrainJob(cohort=options.folder / "cohort.csv", run_dir=run_dir, overrides=overrides)
    stages: dict[str, float] = {}
    mark = time.perf_counter()

    def on_event(event: object) -> None:
        nonlocal mark
        now = time.perf_counter()
        if isinstance(event, Progress):
            stages[event.stage] = stages.get(event.stage, 0.0) + now - mark
            mark = now

    seconds, result = _timed(lambda: run_train(job, on_event, lambda: False))
    figures = {name: round(value, 3) for name, value in result.metrics.items() if "auc/" in name}
    return {"seconds": seconds, **stages, **figures}


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "make": make,
    "index": index,
    "open": opening,
    "train": train,
}


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _run(part: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run one part and watch its memory."""
    names = ("files", "tiles", "dim", "epochs")
    command = [sys.executable, __file__, "--part", part, "--folder", str(folder)]
    command += [f"--{name}={getattr(options, name)}" for name in names]
    command += [f"--set={pair}" for pair in options.set]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        peak = _Peak(process.pid)
        text, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"The part '{part}' failed.")
    return json.loads(text.splitlines()[-1]) | peak.figures()


class _Peak:
    """Asks twenty times a second for the memory of a process."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._most = {"peak_rss_MB": 0.0, "peak_anonymous_MB": 0.0}
        threading.Thread(target=self._watch, daemon=True).start()

    def figures(self) -> dict[str, float]:
        return dict(self._most)

    def _watch(self) -> None:
        while True:
            try:
                memory = self._process.memory_info()
            except psutil.Error:
                return
            anonymous = memory.rss - getattr(memory, "shared", 0)
            for name, value in zip(self._most, (memory.rss, anonymous), strict=True):
                self._most[name] = max(self._most[name], value / 1e6)
            time.sleep(0.05)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--tiles", type=int, default=1_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--keep", action="store_true", help="leave the files where they are")
    parser.add_argument("--set", action="append", default=[], help="a setting of the training")
    parser.add_argument("--part", choices=tuple(PARTS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
