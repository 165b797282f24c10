r"""What training reaches on patients it never saw, end to end against a frozen random encoder.

    python benchmarks/held_out_quality.py --cohort TABLE.csv --truth tumour_tiles.csv --out DIR \
        --splits 3

Trains the preset twice for each split, with the same seed and settings, once as it is and once with
the tile encoder frozen at its random start. Prints, as mean ± spread over the splits, the held-out
area under the ROC curve of each task and the area of the attention for the known tumour tiles of
the held-out cancer slides. Runs that DIR holds already are not trained again.
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


def figures(run: Path, truth: Truth) -> dict[str, float]:
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    row = {
        name.removeprefix("test/auc/"): value
        for name, value in metrics.items()
        if name.startswith("test/auc/")
    }
    areas = attention_areas(run, truth)
    return row | ({"attention on tumour tiles": float(np.mean(areas))} if areas else {})


def spread(values: list[float]) -> str:
    each = ", ".join(f"{value:.3f}" for value in values)
    return f"{np.mean(values):.3f} ± {np.std(values):.3f} ({each})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohort", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="cpu-small")
    parser.add_argument("--splits", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    truth = read_truth(options.truth)
    rows: dict[str, list[dict[str, float]]] = {"end-to-end": [], "frozen": []}
    for seed in range(options.splits):
        for kind, found in rows.items():
            overrides = dict(pair.split("=", 1) for pair in options.set)
            overrides["cohort.split_seed"] = str(seed)
            if kind == "frozen":
                overrides["encoder.trainable_blocks"] = "0"
            run = options.out / f"{kind}-{seed}"
            if not (run / "metrics.json").is_file():
                train(options.cohort, run, options.preset, overrides)
            found.append(figures(run, truth))
    sys.stdout.write("| held out | end to end | frozen random encoder |\n|---|---|---|\n")
    for name in rows["end-to-end"][0]:
        ours, theirs = ([row[name] for row in found] for found in rows.values())
        sys.stdout.write(f"| {name} | {spread(ours)} | {spread(theirs)} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
