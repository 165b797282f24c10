r"""Every method on real lung slides: published splits, folds by patient, by hospital, and genes.

    python benchmarks/tcga_lung_table.py --data ../shared/data/tcga_lung --out DIR

Calls ``dre-slcl evaluate`` for each method and kind of split, ``--at-once`` of them side by side
with one thread each, and prints Markdown tables of what they have found: AUC by task, retrieval
with its control, time and parameters, and paired tests of the first method against each other one.
What DIR holds already is not made again, so that the same command goes on after a stop.

kind     what it is
full     10 published splits; some patients are on both sides, none validates
50       10 published splits with 50 training slides; none validates
patient  5 folds by patient, drawn anew for each of 3 seeds
site     5 folds without a hospital on both sides, drawn anew for each of 3 seeds
genes    LUAD only, mutations, 5 folds by patient, drawn anew for each of 3 seeds
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from napari_dre_slcl.engine.comparison import compare_evaluations
from napari_dre_slcl.export.wording import (
    TEST_WORDS,
    difference_text,
    interval_text,
    number_text,
    p_text,
    seconds_text,
    spread_text,
)

METHODS = ("dre-slcl", "attention-mil", "mean-pool", "giga-ssl", "slpd")
GENES = "TP53,STK11,KRAS,EGFR"
Metrics = dict[str, Any]


def kinds(data: Path, seeds: int) -> dict[str, list[str]]:
    """Return the options of each kind of split."""
    splits = data / "splits"
    shared = ["--tasks", "subtype", "--allow-shared-patients", "--validation", "0"]
    many = ["--seeds", str(seeds)]
    return {
        "full": ["--folds", str(splits / "full"), *shared],
        "50": ["--folds", str(splits / "50"), *shared],
        "patient": ["--folds", "patient", "--tasks", "subtype", *many],
        "site": ["--folds", "site", "--tasks", "subtype", *many],
        "genes": ["--folds", "patient", "--tasks", GENES, "--within", "subtype=LUAD", *many],
    }


def evaluate(data: Path, out: Path, method: str, options: Sequence[str]) -> str:
    """Run one evaluation; return why it failed, or nothing."""
    command = [str(Path(sys.executable).with_name("dre-slcl")), "evaluate"]
    command += ["--cohort", str(data / "cohort.csv"), "--features", str(data / "features")]
    command += ["--method", method, "--out", str(out), *options]
    started = time.perf_counter()
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=one_thread, check=False)
    name = f"{out.parent.name}/{out.name}"
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        sys.stderr.write(f"{name} failed: {why[0]}\n")
        return f"{name}: {why[0]}"
    sys.stderr.write(f"{name}: {seconds_text(time.perf_counter() - started)}\n")
    return ""


def read(out: Path, names: Sequence[str], methods: Sequence[str]) -> dict[str, dict[str, Metrics]]:
    """Return the figures by kind and method, of those that are finished."""
    found: dict[str, dict[str, Metrics]] = {}
    for kind in names:
        for method in methods:
            path = out / kind / method / "metrics.json"
            if path.is_file():
                found.setdefault(kind, {})[method] = json.loads(path.read_text(encoding="utf-8"))
    return found


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def by_task(
    found: dict[str, dict[str, Metrics]],
    methods: Sequence[str],
    say: Callable[[Metrics, str], str],
) -> str:
    """Return a table with one row per kind and task, one column per method."""
    rows = []
    for kind, of_kind in found.items():
        for task in next(iter(of_kind.values()))["tasks"]:
            cells = [say(of_kind[m], task) if m in of_kind else "not done" for m in methods]
            rows.append([kind, task, *cells])
    return table(["splits", "task", *methods], rows)


def auc(metrics: Metrics, task: str) -> str:
    return spread_text(metrics["tasks"][task]["scores"]["auc"])


def interval(metrics: Metrics, task: str) -> str:
    return interval_text(metrics["tasks"][task]["intervals"]["auc"])


def calibration(metrics: Metrics, task: str) -> str:
    before = metrics["tasks"][task]["calibration"]["before"]["ece"]
    after = metrics["tasks"][task]["calibration"]["after"]
    return f"{number_text(before)} -> {number_text(after['ece'] if after else None)}"


def cost(found: dict[str, dict[str, Metrics]], methods: Sequence[str]) -> str:
    """Return a table of parameters and of seconds per training and test."""
    rows = []
    for method in methods:
        costs = {k: of_kind[method]["cost"] for k, of_kind in found.items() if method in of_kind}
        parameters = max((one["parameters"] for one in costs.values()), default=0)
        times = [spread_text(costs[k]["seconds"]) if k in costs else "not done" for k in found]
        rows.append([method, f"{parameters:,}", *times])
    return table(["method", "parameters", *(f"s, {kind}" for kind in found)], rows)


def retrieval(found: dict[str, dict[str, Metrics]]) -> str:
    """Return a table of the recalls, their controls and gains."""
    rows = [
        [kind, method, f"{row['way']} @ {row['k']}"]
        + [spread_text(row[name]) for name in ("value", "control", "gain")]
        for kind, of_kind in found.items()
        for method, metrics in of_kind.items()
        if metrics["retrieval"]
        for row in metrics["retrieval"]["recalls"]
    ]
    return table(["splits", "method", "recall", "found", "control", "gain"], rows)


def paired(out: Path, found: dict[str, dict[str, Metrics]], methods: Sequence[str]) -> str:
    """Return a table of paired tests of the first method against each other one."""
    rows: list[tuple[str, ...]] = []
    for kind, of_kind in found.items():
        folders = [out / kind / method for method in methods if method in of_kind]
        if len(folders) < 2 or folders[0].name != methods[0]:
            continue
        compared = compare_evaluations(folders, out / kind / "compared")
        rows += [
            (
                *(kind, task, f"{pair['a']} - {pair['b']}", words),
                *(difference_text(pair[key]), p_text(pair[key]["p"])),
            )
            for task, of_task in compared["tasks"].items()
            for pair in of_task["pairs"]
            for key, words in TEST_WORDS.items()
            if pair[key] is not None
        ]
    return table(["splits", "task", "difference", "test", "AUC, 95 % interval", "p"], rows)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/tcga_lung"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--methods", default=",".join(METHODS), help="With commas.")
    parser.add_argument("--kinds", default="full,50,patient,site,genes", help="With commas.")
    parser.add_argument("--seeds", type=int, default=3, help="Of the folds that are drawn.")
    parser.add_argument("--at-once", type=int, default=2, help="Evaluations side by side.")
    parser.add_argument("--only-print", action="store_true", help="Train nothing more.")
    return parser.parse_args()


def main() -> int:
    options = parse_options()
    methods = options.methods.split(",")
    all_kinds = kinds(options.data, options.seeds)
    chosen = options.kinds.split(",")
    unknown = sorted({*chosen} - {*all_kinds}) + sorted({*methods} - {*METHODS})
    if unknown:
        raise SystemExit(f"Unknown: {', '.join(unknown)}.")
    failures: list[str] = []
    if not options.only_print:
        with ThreadPoolExecutor(options.at_once) as pool:
            waiting = [
                pool.submit(evaluate, options.data, options.out / k / m, m, all_kinds[k])
                for k in chosen
                for m in methods
            ]
            failures = [why for job in waiting if (why := job.result())]
    found = read(options.out, chosen, methods)
    parts = {
        "AUC, mean ± standard deviation over folds and seeds": by_task(found, methods, auc),
        "AUC, 95 % interval over patients": by_task(found, methods, interval),
        "Calibration error before -> after temperature": by_task(found, methods, calibration),
        "Parameters, and seconds per training and test": cost(found, methods),
        "Reports and slides": retrieval(found),
        "Paired tests": paired(options.out, found, methods),
    }
    for title, body in parts.items():
        sys.stdout.write(f"\n{title}\n\n{body}")
    for why in failures:
        sys.stdout.write(f"\nFailed: {why}\n")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
