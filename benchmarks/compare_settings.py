r"""What settings reach on patients that training never saw: variants over folds and seeds.

    python benchmarks/compare_settings.py --cohort TABLE.csv --out DIR --task planted_mutation \
        --variant "end to end" --variant "frozen: encoder.trainable_blocks=0" --bound 0.9

A variant is a name and, after a colon, settings that it changes. The patients are cut into folds,
balanced over the task and the subtype (each seed cuts anew); every variant is trained on all folds
but one and tested on that one, with the same seed. ``--folds 0`` takes the table's split column.
Prints the held-out areas under the ROC curve: per seed over the slides of all folds together, as
mean ± spread over the seeds; the mean over single folds; with ``--truth`` the area of the attention
for the known tumour tiles. Runs that DIR holds already are not trained again. The last line is the
gain of the first variant over the second; the exit code is 1 where ``--bound`` (least area of the
first), ``--gain`` (least gain) or ``--same`` (the two differ by no more than the larger spread) is
missed.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from napari_dre_slcl.results import RESULT_SUFFIX, load_result

Truth = dict[str, dict[tuple[int, int], bool]]
Row = dict[str, str]


def read_table(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def write_folds(table: Path, folder: Path, n_folds: int, seed: int, task: str) -> list[Path]:
    """Write one table per fold: its patients are the test, all others train."""
    if not n_folds:
        return [table]
    rows = read_table(table)
    strata = [f"{row.get('subtype', '')}/{row[task]}" for row in rows]
    patients = [row["patient_id"] for row in rows]
    cut = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    tables = []
    for fold, (_, test) in enumerate(cut.split(rows, strata, patients)):
        held_out = {patients[index] for index in test}
        path = folder / f"seed{seed}-fold{fold}.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, dict.fromkeys([*rows[0], "split"]))
            writer.writeheader()
            for row in rows:
                split = "test" if row["patient_id"] in held_out else "train"
                slide = (
                    {"slide": str((table.parent / row["slide"]).resolve())}
                    if "slide" in row
                    else {}
                )
                writer.writerow(row | slide | {"split": split})
        tables.append(path)
    return tables


def train(table: Path, run: Path, preset: str, settings: list[str]) -> None:
    if (run / "metrics.json").is_file():
        return
    if run.exists():
        shutil.rmtree(run)
    command = [str(Path(sys.executable).with_name("dre-slcl")), "train", "--json"]
    command += ["--preset", preset, "--cohort", str(table), "--run", str(run)]
    for pair in settings:
        command += ["--set", pair]
    started = time.perf_counter()
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=one_thread, check=False)
    if done.returncode:
        raise SystemExit(f"{run.name}: {done.stdout[-500:]}{done.stderr[-1500:]}")
    sys.stderr.write(f"{run.name}: {time.perf_counter() - started:.0f} s\n")


def scores(run: Path, tasks: list[str]) -> dict[str, list[tuple[bool, float]]]:
    """Return (is positive, probability) of the held-out slides for each task of two classes."""
    classes: dict[str, list[str]] = defaultdict(list)
    found: dict[str, list[tuple[bool, float]]] = defaultdict(list)
    for row in read_table(run / "predictions.csv"):
        of_task = classes[row["task"]]
        if row["class"] not in of_task:
            of_task.append(row["class"])
        is_second = of_task.index(row["class"]) == 1
        if row["split"] == "test" and row["label"] and row["task"] in tasks and is_second:
            found[row["task"]].append((row["label"] == row["class"], float(row["probability"])))
    return found


def area(pairs: list[tuple[bool, float]]) -> float:
    truth = [is_positive for is_positive, _ in pairs]
    if len(set(truth)) < 2:
        return float("nan")
    return float(roc_auc_score(truth, [score for _, score in pairs]))


def attention_areas(run: Path, truth: Truth) -> list[float]:
    areas = []
    for path in sorted((run / "results").glob(f"*{RESULT_SUFFIX}")):
        result = load_result(path)
        cells = truth[result.slide_id]
        known = np.array([tuple(cell) in cells for cell in result.rowcol.tolist()])
        is_tumour = [cells[tuple(cell)] for cell in result.rowcol.tolist() if tuple(cell) in cells]
        if 0 < sum(is_tumour) < len(is_tumour):
            areas.append(float(roc_auc_score(is_tumour, result.attention[known])))
    return areas


def read_truth(table: Path | None) -> Truth:
    truth: Truth = defaultdict(dict)
    for row in read_table(table) if table else []:
        truth[row["slide_id"]][int(row["row"]), int(row["col"])] = row["is_tumour"] == "1"
    return truth


def figures(runs: dict[int, list[Path]], tasks: list[str], truth: Truth) -> dict[str, list[float]]:
    """Return for each measure one number per seed."""
    found: dict[str, list[float]] = defaultdict(list)
    for paths in runs.values():
        per_fold = [scores(path, tasks) for path in paths]
        for task in tasks:
            found[task].append(area([pair for fold in per_fold for pair in fold[task]]))
            found[f"{task}, mean of folds"].append(
                float(np.nanmean([area(fold[task]) for fold in per_fold]))
            )
        areas = [value for path in paths for value in attention_areas(path, truth)]
        if areas:
            found["attention on tumour tiles"].append(float(np.mean(areas)))
    return found


def spread(values: list[float]) -> str:
    each = ", ".join(f"{value:.3f}" for value in values)
    return f"{np.mean(values):.3f} ± {np.std(values):.3f} ({each})"


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohort", type=Path, required=True)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--task", required=True)
    parser.add_argument("--also", default="", help="Tasks that are printed too, with commas.")
    parser.add_argument("--preset", default="cpu-small")
    parser.add_argument("--variant", action="append", required=True, metavar="NAME[:KEY=VALUE …]")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0, help="100 and up are for choosing.")
    parser.add_argument("--at-once", type=int, default=2, help="Trainings side by side.")
    parser.add_argument("--bound", type=float, default=0.0)
    parser.add_argument("--gain", type=float)
    parser.add_argument("--same", action="store_true")
    return parser.parse_args()


def train_all(options: argparse.Namespace) -> dict[str, dict[int, list[Path]]]:
    """Return the run folders by variant and seed."""
    runs: dict[str, dict[int, list[Path]]] = {}
    with ThreadPoolExecutor(options.at_once) as pool:
        waiting = []
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            tables = write_folds(options.cohort, options.out, options.folds, seed, options.task)
            for fold, table in enumerate(tables):
                for variant in options.variant:
                    name, _, settings = variant.partition(":")
                    run = options.out / f"{re.sub('[^a-z0-9]+', '-', name.lower())}-{seed}-{fold}"
                    runs.setdefault(name, defaultdict(list))[seed].append(run)
                    changed = [*options.set, *settings.split(), f"training.seed={seed}"]
                    waiting.append(pool.submit(train, table, run, options.preset, changed))
        for job in waiting:
            job.result()
    return runs


def main() -> int:
    options = parse_options()
    options.out.mkdir(parents=True, exist_ok=True)
    runs = train_all(options)
    tasks = [options.task, *(task for task in options.also.split(",") if task)]
    truth = read_truth(options.truth)
    found = {name: figures(of_variant, tasks, truth) for name, of_variant in runs.items()}
    sys.stdout.write(f"| held out | {' | '.join(found)} |\n|---{'|---' * len(found)}|\n")
    for measure in next(iter(found.values())):
        cells = [spread(of_variant[measure]) for of_variant in found.values()]
        sys.stdout.write(f"| {measure} | {' | '.join(cells)} |\n")
    areas = [np.array(of_variant[options.task]) for of_variant in found.values()]
    first, second = areas[0], areas[min(1, len(areas) - 1)]
    gain = float(first.mean() - second.mean())
    names = list(found)
    sys.stdout.write(f"{names[0]} over {names[min(1, len(names) - 1)]}: {gain:+.3f}\n")
    is_missed = first.mean() < options.bound or (options.gain is not None and gain < options.gain)
    is_apart = options.same and abs(gain) > max(first.std(), second.std())
    return int(is_missed or is_apart)


if __name__ == "__main__":
    sys.exit(main())
