r"""The variants that the default preset was chosen among, on validation slides of `tcga_lung`.

    python benchmarks/choose_default.py --data ../shared/data/tcga_lung --out DIR --kind full

No slide that a published split tests is looked at: its training slides are cut by patient, four
fifths train and one fifth is the validation that the figures below are of. Each variant changes the
settings named of the default preset; rows of other methods and the controls stand beside them.
What DIR holds already is not trained again.

kind    what is trained
full    4/5 of the training slides of the first published full splits
50      the 50 training slides of the first published 50-slide splits; 250 of the slides that such a
        split leaves out validate
genes   LUAD slides among the former, four mutations at once
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

Row = dict[str, str]
LITERAL = ["--preset", "paper"]
NOTHING = ["training.lr_rest=1e-12", "features.lr_adapter=1e-12", "training.least_steps=0"]
VARIANTS: dict[str, list[str]] = {
    "mean-pool": ["--method", "mean-pool"],
    "attention-mil": ["--method", "attention-mil"],
    "default": [],
    "untrained network": ["training.epochs=1", *NOTHING],
    "shuffled reports, weight 0.3": ["SHUFFLED", "loss.contrastive_weight=0.3"],
    "reports, weight 0.3": ["loss.contrastive_weight=0.3"],
    "reports, weight 1": ["loss.contrastive_weight=1"],
    "no reports": ["loss.contrastive_weight=0"],
    "fresh tiles only, no bank": ["training.bank_tiles=0"],
    "8 fresh tiles": ["training.fresh_tiles=8"],
    "literal (paper)": LITERAL,
    "literal, wide layer": [
        *LITERAL,
        "features.adapter=wide",
        "features.adapter_width=384",
    ],
    "uniform weights": ["residual.weighting=uniform"],
    "no global token": ["residual.global_token=false"],
    "mapped global token": ["residual.global_map=true"],
    "no layer scale": ["residual.layer_scale=none"],
    "mlp instead of wide layer": ["features.adapter=mlp", "features.adapter_width=128"],
    "no dropout": ["features.adapter_dropout=0", "residual.dropout=0"],
    "mean tokens, occupancy bias, mass pooling": [
        "residual.tokens=mean",
        "residual.mass_bias=true",
        "residual.pooling=mass",
    ],
    "4 codewords": ["codebook.codewords=4"],
    "32 codewords": ["codebook.codewords=32"],
    "label smoothing 0.1": ["loss.label_smoothing=0.1"],
    "weight average 0.99": ["training.ema=0.99"],
    "view contrast 0.3": ["loss.view_weight=0.3"],
    "twice as wide": ["features.adapter_width=512"],
    "a third of the rates": ["training.lr_rest=7e-5", "features.lr_adapter=1.5e-4"],
}
GENES = "TP53,STK11,KRAS,EGFR"


def read_rows(path: Path) -> list[Row]:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def write_rows(path: Path, rows: list[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_splits(data: Path, folder: Path, kind: str, n_splits: int) -> None:
    """Write one file per split: what trains, and what validates under the name of test."""
    cohort = {row["slide_id"]: row for row in read_rows(data / "cohort.csv")}
    for number in range(n_splits):
        published = "50" if kind == "50" else "full"
        role = {
            row["slide_id"]: row["role"]
            for row in read_rows(data / "splits" / published / f"split_{number}.csv")
        }
        train = [name for name, part in role.items() if part == "train" and name in cohort]
        if kind == "50":
            rest = [name for name in cohort if name not in role]
            order = np.random.default_rng(number).permutation(len(rest))[:250]
            sides = dict.fromkeys(train, "train") | {rest[i]: "test" for i in order}
        else:
            if kind == "genes":
                train = [name for name in train if cohort[name]["subtype"] == "LUAD"]
            strata = [cohort[name]["TP53" if kind == "genes" else "subtype"] for name in train]
            patients = [cohort[name]["patient_id"] for name in train]
            cut = StratifiedGroupKFold(5, shuffle=True, random_state=number)
            held_out = set(next(iter(cut.split(train, strata, patients)))[1].tolist())
            sides = {n: "test" if i in held_out else "train" for i, n in enumerate(train)}
        rows = [{"slide_id": name, "role": side} for name, side in sides.items()]
        write_rows(folder / f"split_{number}.csv", rows)


def shuffled_reports(data: Path, out: Path) -> Path:
    """Write the cohort with each patient's report given to another patient.

    All slides of a patient keep one report between them: given out slide by slide, the same text
    would stand on both sides of a split, which the guard against leaks refuses.
    """
    rows = read_rows(data / "cohort.csv")
    texts = {row["patient_id"]: row["report"] for row in rows if row["report"]}
    patients = list(texts)
    order = np.random.default_rng(0).permutation(len(patients))
    given = {patients[k]: texts[patients[number]] for k, number in enumerate(order)}
    for row in rows:
        row["report"] = given[row["patient_id"]] if row["report"] else ""
        row["features"] = str((data / row["features"]).resolve())
    write_rows(out / "shuffled.csv", rows)
    return out / "shuffled.csv"


def evaluate(args: argparse.Namespace, name: str) -> dict[str, float]:
    """Return the mean AUC of each task, and its spread over the splits."""
    out = args.out / args.kind / name.replace(" ", "-").replace(",", "")
    parts = VARIANTS[name]
    options = [part for part in parts if "=" not in part and part != "SHUFFLED"]
    table = args.out / "shuffled.csv" if "SHUFFLED" in parts else args.data / "cohort.csv"
    command = [str(Path(sys.executable).with_name("dre-slcl")), "evaluate", "--cohort", str(table)]
    command += ["--features", str(args.data / "features"), "--out", str(out)]
    command += ["--folds", str(args.out / args.kind / "splits"), "--validation", "0"]
    command += ["--tasks", GENES if args.kind == "genes" else "subtype", *options]
    command += ["--allow-shared-patients"]  # few training patients of the 50 are among the others
    if "--method" not in parts:
        command += ["--method", "dre-slcl"]
        command += [word for part in parts if "=" in part for word in ("--set", part)]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=one_thread, check=False)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr.strip().splitlines()[-1]}")
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))["tasks"]
    found = {task: one["scores"]["auc"] for task, one in metrics.items()}
    line = ", ".join(f"{task} {s['mean']:.4f} ± {s['std']:.4f}" for task, s in found.items())
    sys.stdout.write(f"| {name} | {line} |\n")
    sys.stdout.flush()
    return {task: float(scores["mean"]) for task, scores in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/tcga_lung"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kind", choices=["full", "50", "genes"], default="full")
    parser.add_argument("--splits", type=int, default=4, help="How many of the published ones.")
    parser.add_argument("--at-once", type=int, default=2, help="Variants side by side.")
    parser.add_argument("--only", default="", help="Variants, with semicolons; all by default.")
    args = parser.parse_args()
    names = args.only.split(";") if args.only else list(VARIANTS)
    folder = args.out / args.kind / "splits"
    if not folder.is_dir():
        write_splits(args.data, folder, args.kind, args.splits)
    shuffled_reports(args.data, args.out)
    with ThreadPoolExecutor(args.at_once) as pool:
        means = list(pool.map(lambda name: evaluate(args, name), names))
    best = max(zip(means, names, strict=True), key=lambda pair: np.mean(list(pair[0].values())))
    sys.stdout.write(f"best on validation slides: {best[1]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
