"""Predictions for slides that were not trained on: each epoch's validation, and the last test."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from napari_dre_slcl.atomic_file import write_json
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.evaluate import task_aucs, write_predictions
from napari_dre_slcl.engine.feature_source import source_name
from napari_dre_slcl.engine.predict import result_path
from napari_dre_slcl.engine.predict_source import predict_source
from napari_dre_slcl.engine.prepare import PreparedCohort
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.model.bundle import Bundle, load_bundle, save_bundle
from napari_dre_slcl.model.network import DreSlclNet
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
    """

    def __init__(
        self,
        config: DreSlclConfig,
        prepared: PreparedCohort,
        reporter: Reporter,
        skipped: dict[str, str],
    ) -> None:
        self._config = config
        self._prepared = prepared
        self._reporter = reporter
        self._skipped = skipped

    def validate(self, net: DreSlclNet) -> dict[str, float]:
        """Return ``val/auc/<task>`` of a network on the validation slides."""
        results = self._predict(self._bundle(net), self._prepared.rows("val"), "Validating")
        return _named("val", task_aucs(self._prepared.cohort, results))

    def finish(self, net: DreSlclNet, run_dir: Path) -> dict[str, float]:
        """Save the model, predict the test slides with what was written, and save the figures.

        What an earlier try has left of it is written again.

        Returns
        -------
        dict of str to float
            ``test/auc/<task>``.
        """
        prepared, reporter = self._prepared, self._reporter
        shutil.rmtree(run_dir / "model", ignore_errors=True)
        save_bundle(self._bundle(net), run_dir / "model", self._facts())
        # Predict with what was written, as everyone else will.
        saved = load_bundle(run_dir / "model")
        saved.net.to(net.device)
        test = prepared.rows("test")
        results = self._predict(saved, test, "Predicting held-out slides")
        for row, result in results.items():
            slide_id = prepared.cohort.rows[row].slide_id
            save_result(result, result_path(run_dir / "results", slide_id))
        aucs = task_aucs(prepared.cohort, results)
        for task in prepared.tasks:
            if test and task.name not in aucs:
                reporter.log(
                    f"'{task.name}' has one class only among the held-out slides.", "warning"
                )
        metrics = _named("test", aucs)
        write_json(run_dir / "metrics.json", metrics | {"test/slides": len(results)})
        split = prepared.split.tolist()
        write_predictions(run_dir / "predictions.csv", prepared.cohort, split, results)
        return metrics

    def _predict(self, bundle: Bundle, rows: list[int], stage: str) -> dict[int, SlideResult]:
        """Predict slides by their row; those that cannot be read are left out, and told once."""
        results = {}
        for number, row in enumerate(rows):
            source, slide_id = self._prepared.sources[row], self._prepared.cohort.rows[row].slide_id
            self._reporter.progress(stage, number, len(rows), slide_id)
            if source_name(source) in self._skipped:
                continue
            try:
                results[row] = predict_source(bundle, source, slide_id, keep_features=False)
            except SlideError as error:
                self._skipped[source_name(source)] = str(error)
                self._reporter.warn_once(f"{error} It is left out.")
            else:
                self._reporter.warn_once(results[row].provenance.get("damaged", ""))
        self._reporter.progress(stage, len(rows), len(rows))
        return results

    def _bundle(self, net: DreSlclNet) -> Bundle:
        return Bundle(net, self._config, self._prepared.tasks, self._prepared.reports.shape[1])

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
