"""Predictions for slides that were not trained on: each epoch's validation, and the last test."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from napari_dre_slcl.atomic_file import write_json
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.encode_source import encode_source
from napari_dre_slcl.engine.evaluate import task_aucs, write_predictions
from napari_dre_slcl.engine.feature_source import FeatureSource, source_name
from napari_dre_slcl.engine.predict import result_path
from napari_dre_slcl.engine.predict_source import predict_encoded, predict_source
from napari_dre_slcl.engine.prepare import PreparedCohort
from napari_dre_slcl.engine.report_recall import ReportRecall
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.slide_vectors import write_vectors
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.model.bundle import Bundle, load_bundle, save_bundle
from napari_dre_slcl.model.nets import TrainedNet
from napari_dre_slcl.results import SlideResult, save_result

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
    save_results : bool, default True
        Write a result file of each test slide.
    """

    def __init__(
        self,
        config: DreSlclConfig,
        prepared: PreparedCohort,
        reporter: Reporter,
        skipped: dict[str, str],
        *,
        save_results: bool = True,
    ) -> None:
        self._config = config
        self._prepared = prepared
        self._reporter = reporter
        self._skipped = skipped
        self._save_results = save_results
        # A frozen encoder makes the same features of the same slide, whatever was trained.
        self._is_frozen = config.method != "dre-slcl"
        self._encoded: dict[int, Tensor] = {}
        self._recall = ReportRecall(config, prepared, reporter)

    def get_ready(self) -> None:
        """Do before the training what it has no memory for: a language model may have to read."""
        self._recall.get_ready()

    def validate(self, net: TrainedNet) -> dict[str, float]:
        """Return ``val/auc/<task>`` of a network on the validation slides, and report recall."""
        results = self._predict(self._bundle(net), self._prepared.rows("val"), "Validating")
        aucs = _named("val", task_aucs(self._prepared.cohort, results))
        return aucs | self._recall.measure(net, results)

    def finish(
        self, net: TrainedNet, run_dir: Path, fitted_on: dict[str, list[str]]
    ) -> dict[str, float]:
        """Save the model, predict with what was written, and save the figures, these last.

        What an earlier try has left of it is written again.

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
        prepared = self._prepared
        shutil.rmtree(run_dir / "model", ignore_errors=True)
        save_bundle(self._bundle(net), run_dir / "model", self._facts())
        # Predict with what was written, as everyone else will.
        saved = load_bundle(run_dir / "model")
        saved.net.to(net.device)
        test = self._predict(
            saved,
            prepared.rows("test"),
            "Predicting held-out slides",
            is_explained=self._save_results,
        )
        if self._save_results:
            for row, result in test.items():
                slide_id = prepared.cohort.rows[row].slide_id
                save_result(result, result_path(run_dir / "results", slide_id))
        val = self._predict(saved, prepared.rows("val"), "Predicting validation slides")
        held_out = dict(sorted((val | test).items()))
        split = prepared.split.tolist()
        write_predictions(run_dir / "predictions.csv", prepared.cohort, split, held_out)
        self._write_vectors(run_dir, saved, held_out, set(fitted_on["model"]))
        write_json(run_dir / "fitted.json", fitted_on)
        return self._write_metrics(run_dir, val, test)

    def _write_metrics(
        self, run_dir: Path, val: dict[int, SlideResult], test: dict[int, SlideResult]
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
        write_json(run_dir / "metrics.json", metrics | validated | {"test/slides": len(test)})
        return metrics

    def _write_vectors(
        self, run_dir: Path, bundle: Bundle, held_out: dict[int, SlideResult], trained: set[str]
    ) -> None:
        """Write the vectors of held-out slides, and of training slides where that is cheap."""
        prepared, results = self._prepared, dict(held_out)
        if prepared.feature_dim is not None:
            names = [row.slide_id for row in prepared.cohort.rows]
            rows = [row for row in prepared.rows("train") if names[row] in trained]
            results |= self._predict(bundle, rows, "Making vectors of training slides")
        rows = sorted(results)
        write_vectors(
            run_dir / "vectors.npz",
            [prepared.cohort.rows[row].slide_id for row in rows],
            np.stack([results[row].slide_vector for row in rows]) if rows else np.empty((0, 0)),
            {"split": prepared.split[rows], "model_sha256": np.array(bundle.weights_sha256)},
        )

    def _predict(
        self, bundle: Bundle, rows: list[int], stage: str, *, is_explained: bool = False
    ) -> dict[int, SlideResult]:
        """Predict slides by their row; those that cannot be read are left out, and told once."""
        results: dict[int, SlideResult] = {}
        if not rows:
            return results
        for number, row in enumerate(rows):
            source, slide_id = self._prepared.sources[row], self._prepared.cohort.rows[row].slide_id
            self._reporter.progress(stage, number, len(rows), slide_id)
            if source_name(source) in self._skipped:
                continue
            try:
                results[row] = self._predict_row(bundle, row, slide_id, is_explained)
            except SlideError as error:
                self._skipped[source_name(source)] = str(error)
                self._reporter.warn_once(f"{error} It is left out.")
            else:
                self._reporter.warn_once(results[row].provenance.get("damaged", ""))
        self._reporter.progress(stage, len(rows), len(rows))
        return results

    def _predict_row(
        self, bundle: Bundle, row: int, slide_id: str, is_explained: bool
    ) -> SlideResult:
        source, memory = self._prepared.sources[row], self._prepared.memory
        if isinstance(source, FeatureSource) or not self._is_frozen:
            return predict_source(
                bundle,
                source,
                slide_id,
                keep_features=False,
                memory=memory,
                is_explained=is_explained,
            )
        if row not in self._encoded:
            tiles = np.arange(len(source.grid))
            input_px = bundle.config.encoder.input_px
            features, damaged = encode_source(bundle.net.encoder, source, input_px, tiles)
            self._encoded[row] = features
            self._reporter.warn_once(damaged)
        return predict_encoded(
            bundle, source, slide_id, self._encoded[row], is_explained=is_explained
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
