"""What training reaches on patients it never saw, end to end against a frozen random encoder.

    python benchmarks/held_out_quality.py --cohort TABLE.csv --truth tumour_tiles.csv --out DIR

Trains the preset twice with the same split, seed and settings, once as it is and once with the
tile encoder frozen at its random start. Prints the held-out area under the ROC curve of each task
and the area of the attention for the known tumour tiles of the held-out cancer slides.
``--run DIR`` uses a finished end-to-end run instead of training it anew.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.jobs.messages import Failed, TrainJob
from napari_dre_slcl.jobs.worker import run_job
from napari_dre_slcl.results import RESULT_SUFFIX, load_result

Truth = dict[str, dict[tuple[int, int], bool]]


def read_truth(table: Path) -> Truth:
    truth: Truth = defaultdict(dict)
    with table.open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            cell = (int(row["row"]), int(row["col"]))
            truth[row["slide_id"]][cell] = row["is_tumour"] == "1"
    return truth


def attention_areas(run: Path, truth: Truth) -> list[float]:
    areas = []
    for path in sorted((run / "results").glob(f"*{RESULT_SUFFIX}")):
        result = load_result(path)
        cells = truth[result.slide_id]
        known = np.array([tuple(cell) in cells for cell in result.rowcol.tolist()])
        is_tumour = np.array(
            [cells[tuple(cell)] for cell in result.rowcol.tolist() if tuple(cell) in cells]
        )
        if 0 < is_tumour.sum() < len(is_tumour):
            areas.append(float(roc_auc_score(is_tumour, result.attention[known])))
    return areas


def train(cohort: Path, run: Path, preset: str, overrides: dict[str, str]) -> None:
    job = TrainJob(cohort=cohort, run_dir=run, preset=preset, overrides=overrides)
    started = time.perf_counter()
    end = run_job(job, lambda event: None, lambda: False)
    if isinstance(end, Failed):
        raise DreSlclError(end.message)
    sys.stdout.write(f"{run.name}: {time.perf_counter() - started:.0f} s\n")


def figures(run: Path, truth: Truth) -> dict[str, str]:
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    row = {
        name.removeprefix("test/auc/"): f"{value:.3f}"
        for name, value in metrics.items()
        if name.startswith("test/auc/")
    }
    areas = attention_areas(run, truth)
    row["attention on tumour tiles"] = (
        f"{np.mean(areas):.3f} (least {min(areas):.3f}, {len(areas)} slides)" if areas else "none"
    )
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohort", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="cpu-small")
    parser.add_argument("--run", type=Path, help="a finished end-to-end run")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    overrides = dict(pair.split("=", 1) for pair in options.set)
    truth = read_truth(options.truth)
    trained = options.run or options.out / "end-to-end"
    frozen = options.out / "frozen"
    if not options.run:
        train(options.cohort, trained, options.preset, overrides)
    train(options.cohort, frozen, options.preset, overrides | {"encoder.trainable_blocks": "0"})
    ours, theirs = figures(trained, truth), figures(frozen, truth)
    sys.stdout.write("| held out | end to end | frozen random encoder |\n|---|---|---|\n")
    for name, value in ours.items():
        sys.stdout.write(f"| {name} | {value} | {theirs.get(name, 'none')} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
