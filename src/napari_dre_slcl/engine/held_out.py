"""Predictions for slides that were not trained on: each epoch's validation, and the last test."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from napari_dre_slcl.atomic_file import write_json
from napari_dre_slcl.cohort.cohort import SPLITS
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.evaluate import task_aucs, write_predictions
from napari_dre_slcl.engine.held_out_slide import HeldOutSlide
from napari_dre_slcl.engine.left_out_slides import count_by_side
from napari_dre_slcl.engine.predict_held_out import HeldOutPredictor
from napari_dre_slcl.engine.prepare import PreparedCohort
from napari_dre_slcl.engine.report_recall import ReportRecall
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.saved_model import load_saved, save_once
from napari_dre_slcl.engine.slide_vectors import write_vectors
from napari_dre_slcl.engine.world import SOLO, World
from napari_dre_slcl.model.bundle import Bundle
from napari_dre_slcl.model.nets import TrainedNet

__all__ = ["HeldOut"]


class HeldOut:
    """Knows the slides that are held out, and how well a network does on them.

    Parameters
    ----------
    config : DreSlclConfig
        Settings.
    prepared : PreparedCohort
        All slides.
    reporter : Reporter
        Told the progress.
    skipped : dict
        Slide -> why it was left out; slides that cannot be read are added.
    world : World
        The processes of the training, which share the slides.
    save_results : bool, default True
        Write a result file of each test slide.
    """

    def __init__(
        self,
        config: DreSlclConfig,
        prepared: PreparedCohort,
        reporter: Reporter,
        skipped: dict[str, str],
        world: World = SOLO,
        *,
        save_results: bool = True,
    ) -> None:
        self._config = config
        self._prepared = prepared
        self._reporter = reporter
        self._world = world
        self._save_results = save_results
        is_frozen = config.method != "dre-slcl"
        self._predictor = HeldOutPredictor(prepared, reporter, skipped, world, is_frozen=is_frozen)
        self._recall = ReportRecall(config, prepared, reporter)

    def get_ready(self) -> None:
        """Do before the training what it has no memory for: a language model may have to read."""
        self._recall.get_ready()

    def validate(self, net: TrainedNet) -> dict[str, float]:
        """Return ``val/auc/<task>`` of a network on the validation slides, and report recall.

        All processes of the training call it with the same weights, and get the same figures.
        """
        found = self._predictor.predict(self._bundle(net), self._prepared.rows("val"), "Validating")

        def count() -> dict[str, float]:
            aucs = _named("val", task_aucs(self._prepared.cohort, found))
            return aucs | self._recall.measure(net, found)

        return self._reporter.by_main(count)

    def finish(
        self, net: TrainedNet, run_dir: Path, fitted_on: dict[str, list[str]]
    ) -> dict[str, float]:
        """Save the model, predict with what was written, and save the figures, these last.

        Model and results that an earlier try has left are kept, where they are of the same weights.
        All processes of the training call it; each predicts its share, the first one writes what is
        of all slides.

        Parameters
        ----------
        net : SlideNet
            As it was trained.
        run_dir : Path
            Gets ``model``, ``results``, ``predictions.csv`` and ``vectors.npz``, ``fitted.json``
            and ``metrics.json``.
        fitted_on : dict
            Name -> the slides that something was fitted on.

        Returns
        -------
        dict of str to float
            ``test/auc/<task>``.
        """
        prepared, predict = self._prepared, self._predictor.predict
        bundle, folder = self._bundle(net), run_dir / "model"
        self._reporter.by_main(lambda: save_once(bundle, folder, self._facts()))
        # Predict with what was written, as everyone else will.
        saved = load_saved(self._world, folder)
        saved.net.to(net.device)
        results_dir = run_dir / "results" if self._save_results else None
        test = predict(saved, prepared.rows("test"), "Predicting held-out slides", results_dir)
        val = predict(saved, prepared.rows("val"), "Predicting validation slides")
        cheap = self._rows_with_cheap_vectors(set(fitted_on["model"]))
        trained = predict(saved, cheap, "Making vectors of training slides")

        def write() -> dict[str, float]:
            held_out = dict(sorted((val | test).items()))
            split = prepared.split.tolist()
            write_predictions(run_dir / "predictions.csv", prepared.cohort, split, held_out)
            self._write_vectors(run_dir, held_out | trained, saved.weights_sha256)
            write_json(run_dir / "fitted.json", fitted_on)
            return self._write_metrics(run_dir, val, test, len(fitted_on["model"]))

        return self._reporter.by_main(write)

    def _write_metrics(
        self,
        run_dir: Path,
        val: dict[int, HeldOutSlide],
        test: dict[int, HeldOutSlide],
        n_trained: int,
    ) -> dict[str, float]:
        prepared = self._prepared
        aucs = task_aucs(prepared.cohort, test)
        for task in prepared.tasks:
            if test and task.name not in aucs:
                self._reporter.log(
                    f"'{task.name}' has one class only among the held-out slides.", "warning"
                )
        metrics = _named("test", aucs)
        validated = _named("val", task_aucs(prepared.cohort, val))
        counts = {"test/slides": len(test)} | self._missing(n_trained, len(val), len(test))
        write_json(run_dir / "metrics.json", metrics | validated | counts)
        return metrics

    def _missing(self, *n_used: int) -> dict[str, int]:
        """Return how many slides of each side are in no figure, whenever they were left out."""
        lacking = count_by_side(self._prepared.left_out)
        return {
            f"{side}/left_out": lacking[side] + len(self._prepared.rows(side)) - n
            for side, n in zip(SPLITS, n_used, strict=True)
        }

    def _rows_with_cheap_vectors(self, trained: set[str]) -> list[int]:
        """Return the training slides whose features are stored."""
        prepared = self._prepared
        if prepared.feature_dim is None:
            return []
        names = [row.slide_id for row in prepared.cohort.rows]
        return [row for row in prepared.rows("train") if names[row] in trained]

    def _write_vectors(self, run_dir: Path, found: dict[int, HeldOutSlide], sha256: str) -> None:
        prepared, rows = self._prepared, sorted(found)
        write_vectors(
            run_dir / "vectors.npz",
            [prepared.cohort.rows[row].slide_id for row in rows],
            np.stack([found[row].slide_vector for row in rows]) if rows else np.empty((0, 0)),
            {"split": prepared.split[rows], "model_sha256": np.array(sha256)},
        )

    def _bundle(self, net: TrainedNet) -> Bundle:
        prepared = self._prepared
        return Bundle(
            net,
            self._config,
            prepared.tasks,
            prepared.reports.shape[1],
            report_model=prepared.report_model,
        )

    def _facts(self) -> dict[str, Any]:
        prepared = self._prepared
        rows = prepared.rows("train")
        return {
            "training_slides": len(rows),
            "training_patients": len(set(prepared.cohort.patients()[rows])),
            "training_tiles": sum(prepared.tile_counts(rows)),
            "cohort_sha256": hashlib.sha256(prepared.cohort.table.read_bytes()).hexdigest(),
        }


def _named(split: str, aucs: dict[str, float]) -> dict[str, float]:
    return {f"{split}/auc/{task}": value for task, value in aucs.items()}
