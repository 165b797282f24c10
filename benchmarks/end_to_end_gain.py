r"""What training the tile encoder adds on patients it never saw, against the same encoder frozen.

    python benchmarks/end_to_end_gain.py --cohort TABLE.csv --truth tumour_tiles.csv --out DIR \
        --folds 5 --seeds 3 --task planted_mutation --bound 0.9

Cuts the patients into folds, balanced over subtype and task (each seed cuts anew), trains every
variant on all folds but one and tests on that one, with the same seed and settings: end to end, and
with the encoder frozen at its start; with ``--pretrain N`` both again after N epochs of pretraining
on the training tiles. ``--folds 0`` takes the table's own split column. Prints the held-out areas
under the ROC curve: per seed over the slides of all folds together, then mean ± spread over the
seeds, and the mean over single folds, and the area of the attention for known tumour tiles. Runs
that DIR holds already are not trained again. The last line is the gain over frozen; the exit code
is 1 where ``--bound`` or ``--gain`` is missed.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from napari_dre_slcl.results import RESULT_SUFFIX, load_result

Truth = dict[str, dict[tuple[int, int], bool]]
Row = dict[str, str]
VARIANTS = {
    "end to end": {},
    "frozen": {"encoder.trainable_blocks": "0"},
}


def read_table(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def write_folds(table: Path, folder: Path, n_folds: int, seed: int, task: str) -> list[Path]:
    """Write one table per fold: its patients are the test, all others train."""
    if not n_folds:
        return [table]
    rows = read_table(table)
    slide = "slide" if "slide" in rows[0] else "path"
    strata = [f"{row['subtype']}/{row[task]}" for row in rows]
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
                where = str((table.parent / row[slide]).resolve())
                writer.writerow(row | {slide: where, "split": split})
        tables.append(path)
    return tables


def train(table: Path, run: Path, options: argparse.Namespace, settings: dict[str, str]) -> None:
    if (run / "metrics.json").is_file():
        return
    command = [str(Path(sys.executable).with_name("dre-slcl")), "train", "--json", "--preset"]
    command += [options.preset, "--cohort", str(table), "--run", str(run)]
    for pair in options.set:
        command += ["--set", pair]
    for name, value in settings.items():
        command += ["--set", f"{name}={value}"]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=one_thread, check=False)
    if done.returncode:
        raise SystemExit(f"{run.name}: {done.stdout[-500:]}{done.stderr[-1500:]}")
    sys.stderr.write(f"{run.name} done\n")


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohort", type=Path, required=True)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--task", default="planted_mutation")
    parser.add_argument("--also", default="subtype,cancer", help="Tasks that are printed too.")
    parser.add_argument("--preset", default="cpu-small")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pretrain", type=int, default=0, help="Epochs; 0 leaves it out.")
    parser.add_argument("--at-once", type=int, default=2, help="Trainings side by side.")
    parser.add_argument("--bound", type=float, default=0.0, help="Least area end to end.")
    parser.add_argument("--gain", type=float, default=0.0, help="Least gain over frozen.")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    variants = {
        f"{name}": settings | {"pretrain.epochs": "0"} for name, settings in VARIANTS.items()
    }
    if options.pretrain:
        for name, settings in VARIANTS.items():
            variants[f"{name}, pretrained"] = settings | {"pretrain.epochs": str(options.pretrain)}
    options.out.mkdir(parents=True, exist_ok=True)
    runs: dict[str, dict[int, list[Path]]] = {name: defaultdict(list) for name in variants}
    with ThreadPoolExecutor(options.at_once) as pool:
        waiting = []
        for seed in range(options.seeds):
            tables = write_folds(options.cohort, options.out, options.folds, seed, options.task)
            for fold, table in enumerate(tables):
                for name, settings in variants.items():
                    run = options.out / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}-{fold}"
                    runs[name][seed].append(run)
                    both = settings | {"training.seed": str(seed)}
                    waiting.append(pool.submit(train, table, run, options, both))
        for job in waiting:
            job.result()
    tasks = [options.task, *(task for task in options.also.split(",") if task)]
    truth = read_truth(options.truth)
    found = {name: figures(of_variant, tasks, truth) for name, of_variant in runs.items()}
    sys.stdout.write(f"| held out | {' | '.join(found)} |\n|---{'|---' * len(found)}|\n")
    for measure in found["end to end"]:
        cells = [spread(of_variant[measure]) for of_variant in found.values()]
        sys.stdout.write(f"| {measure} | {' | '.join(cells)} |\n")
    ours, frozen = (float(np.mean(found[name][options.task])) for name in VARIANTS)
    sys.stdout.write(f"gain over frozen on {options.task}: {ours - frozen:+.3f}\n")
    return int(ours < options.bound or ours - frozen < options.gain)


if __name__ == "__main__":
    sys.exit(main())
