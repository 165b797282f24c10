"""Whether evidence shows what a prediction rests on: tiles removed by it, by attention, at random.

    python benchmarks/deletion_curves.py --run RUN --cohort COHORT.csv [--svg FILE.svg]

Every slide is predicted with the model of the run. For each task, tiles are removed (and inserted)
in the order of the evidence for the class that the model predicts, in the order of attention, and
in 20 random orders; the probability of that class is followed. Prints the mean areas, over
held-out slides and over all, and the share of slides on which evidence does better. Where a table
tumour_tiles.csv lies beside the cohort (slide_id, row, col, is_tumour), it also prints how well
each map ranks tumour tiles above others on slides that have both.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from napari_dre_slcl.cohort.cohort import read_cohort
from napari_dre_slcl.engine.explain import evidence_targets
from napari_dre_slcl.engine.predict import run_predict
from napari_dre_slcl.export.svg_marks import COLORS, GREY, Axes, Line
from napari_dre_slcl.export.svg_plots import draw_plot
from napari_dre_slcl.insight.attribution import (
    curve_area,
    deletion_curve,
    insertion_curve,
    random_curve,
)
from napari_dre_slcl.jobs.messages import PredictJob, Result
from napari_dre_slcl.model.bundle import Bundle, load_bundle
from napari_dre_slcl.results import SlideResult, load_result

REMOVED = tuple(np.linspace(0, 0.9, 19))
THERE = tuple(np.linspace(0.1, 1, 19))
ORDERS = ("evidence", "attention", "random")
COLOURS = {"evidence": COLORS[1], "attention": COLORS[0], "random": GREY}


@dataclass(frozen=True)
class Curves:
    """One slide and task: the probability of the predicted class, by order of the tiles."""

    slide_id: str
    task: str
    deletion: dict[str, NDArray[np.float64]]
    insertion: dict[str, NDArray[np.float64]]


def predict_all(run: Path, cohort: Path, out: Path) -> dict[str, SlideResult]:
    """Return the result of every slide of the cohort by its slide_id."""
    rows = read_cohort(cohort).rows
    slides = tuple(row.path for row in rows)
    end = run_predict(
        PredictJob(model=run, slides=slides, out=out), lambda event: None, lambda: False
    )
    assert isinstance(end, Result)
    by_stem = {stem: load_result(path) for stem, path in end.paths.items()}
    return {row.slide_id: by_stem[row.path.stem] for row in rows}


def evidence_for(result: SlideResult, task: str, name: str) -> NDArray[np.float32]:
    """Return (n,) evidence for a class; that against the positive class speaks for the other."""
    assert result.evidence is not None
    if (task, name) in result.evidence_of:
        return result.evidence[:, result.evidence_of.index((task, name))]
    column = next(index for index, (one, _) in enumerate(result.evidence_of) if one == task)
    return -result.evidence[:, column]


def curves_of(bundle: Bundle, slide_id: str, result: SlideResult) -> Iterator[Curves]:
    """Follow the predicted class of each task."""
    terms = bundle.net.tile_terms(torch.from_numpy(result.features))
    rng = np.random.default_rng(0)
    for number, prediction in enumerate(result.predictions):
        name = prediction.predicted
        target = (number, prediction.classes.index(name))
        evidence = evidence_for(result, prediction.task, name)
        orders = {
            "evidence": np.argsort(-evidence, kind="stable"),
            "attention": np.argsort(-result.attention, kind="stable"),
        }
        net = bundle.net
        deletion = {
            key: deletion_curve(net, terms, o, target, REMOVED) for key, o in orders.items()
        }
        insertion = {
            key: insertion_curve(net, terms, o, target, THERE) for key, o in orders.items()
        }
        deletion["random"] = random_curve(net, terms, target, REMOVED)
        shuffled = [rng.permutation(len(evidence)) for _ in range(20)]
        insertion["random"] = np.mean(
            [insertion_curve(net, terms, order, target, THERE) for order in shuffled], axis=0
        )
        yield Curves(slide_id, prediction.task, deletion, insertion)


def areas(found: list[Curves], kind: str, order: str) -> NDArray[np.float64]:
    """Return one area per slide and task."""
    shares = REMOVED if kind == "deletion" else THERE
    return np.array([curve_area(shares, getattr(one, kind)[order]) for one in found])


def print_table(title: str, found: list[Curves]) -> None:
    """Print the mean areas with the ratio to random, and how often evidence does better."""
    print(f"{title}: {len({one.slide_id for one in found})} slides, {len(found)} curves")
    for kind, better in (("deletion", "lower"), ("insertion", "higher")):
        means = {order: areas(found, kind, order).mean() for order in ORDERS}
        shown = ", ".join(
            f"{order} {means[order]:.3f} (x {means[order] / means['random']:.2f})"
            for order in ORDERS
        )
        print(f"  {kind:9} area, {better} is better: {shown}")
    own = areas(found, "deletion", "evidence")
    for other in ("attention", "random"):
        share = (own < areas(found, "deletion", other)).mean()
        print(f"  evidence removes faster than {other} on {share:.0%} of the curves")


def draw(found: list[Curves], title: str) -> str:
    """Return the mean deletion curves as SVG."""
    axes = Axes(
        title=title,
        x_label="share of the tiles removed",
        y_label="probability of the predicted class",
        x_range=(0.0, 0.9),
        y_range=(0.0, 1.0),
    )
    lines = []
    for order in ORDERS:
        mean = np.mean([one.deletion[order] for one in found], axis=0)
        area = areas(found, "deletion", order).mean()
        label = f"by {order}, area {area:.2f}" if order != "random" else f"random, area {area:.2f}"
        lines.append(Line(REMOVED, mean.tolist(), label, COLOURS[order]))
    return draw_plot(axes, lines)


def tumour_truth(cohort: Path) -> dict[tuple[str, int, int], int]:
    """Return is_tumour by slide, row and column; empty where the table is missing."""
    table = cohort.parent / "tumour_tiles.csv"
    if not table.is_file():
        return {}
    with table.open(encoding="utf-8", newline="") as stream:
        return {
            (row["slide_id"], int(row["row"]), int(row["col"])): int(row["is_tumour"])
            for row in csv.DictReader(stream)
        }


def print_tumour(results: dict[str, SlideResult], cohort: Path, held_out: set[str]) -> None:
    """Print the mean AUC of each map as a ranking of tumour tiles within slides."""
    truth = tumour_truth(cohort)
    for title, chosen in (("held-out", held_out), ("all", set(results))):
        found: dict[str, list[float]] = {}
        for slide_id in sorted(chosen):
            result = results[slide_id]
            known = [truth.get((slide_id, *place), -1) for place in result.rowcol.tolist()]
            label = np.array(known)
            if len(set(label[label >= 0])) < 2:
                continue
            maps = {"attention": result.attention} | {
                f"evidence for {task}={name}": result.evidence[:, column]
                for column, (task, name) in enumerate(result.evidence_of)
            }
            for key, values in maps.items():
                auc = roc_auc_score(label[label >= 0], values[label >= 0])
                found.setdefault(key, []).append(float(auc))
        for key, values in found.items():
            print(
                f"tumour tiles, {title}, {len(values)} slides: AUC {np.mean(values):.3f} by {key}"
            )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--cohort", type=Path, required=True)
    parser.add_argument("--svg", type=Path)
    parser.add_argument("--results", type=Path, help="Where results are kept, and found again.")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.run)
    results = predict_all(
        arguments.run, arguments.cohort, arguments.results or Path(mkdtemp(prefix="deletion-"))
    )
    with (arguments.run / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        held_out = {row["slide_id"] for row in csv.DictReader(stream) if row["split"] == "test"}
    assert evidence_targets(bundle.tasks)
    found = [
        curves
        for slide_id, result in results.items()
        for curves in curves_of(bundle, slide_id, result)
    ]
    tested = [one for one in found if one.slide_id in held_out]
    print_table("Held-out slides", tested)
    for task in dict.fromkeys(one.task for one in tested):
        print_table(f"Held-out slides, {task}", [one for one in tested if one.task == task])
    print_table("All slides", found)
    print_tumour(results, arguments.cohort, held_out)
    if arguments.svg is not None:
        arguments.svg.parent.mkdir(parents=True, exist_ok=True)
        arguments.svg.write_text(draw(tested, "Tiles removed, held-out slides"), encoding="utf-8")


if __name__ == "__main__":
    main()
