"""Predicts slides of a cohort in all processes of a training, each its share of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from napari_dre_slcl._version import __version__
from napari_dre_slcl.engine.encode_source import encode_source
from napari_dre_slcl.engine.feature_source import FeatureSource, source_name
from napari_dre_slcl.engine.held_out_slide import HeldOutSlide
from napari_dre_slcl.engine.predict import result_path
from napari_dre_slcl.engine.predict_source import predict_encoded, predict_source
from napari_dre_slcl.engine.prepare import PreparedCohort
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.share_out import deal, gather_answers
from napari_dre_slcl.engine.world import World
from napari_dre_slcl.errors import ResultError, SlideError
from napari_dre_slcl.model.bundle import Bundle
from napari_dre_slcl.results import SlideResult, load_result, save_result

__all__ = ["HeldOutPredictor"]


class HeldOutPredictor:
    """Predicts rows of a cohort; all processes call it alike and get all answers.

    Parameters
    ----------
    prepared : PreparedCohort
        All slides.
    reporter : Reporter
        Told the progress.
    skipped : dict
        Slide -> why it was left out; slides that cannot be read are added, in all processes.
    world : World
        The processes.
    is_frozen : bool
        The tile encoder is not trained: it makes the same features of the same slide, whatever was.
    """

    def __init__(
        self,
        prepared: PreparedCohort,
        reporter: Reporter,
        skipped: dict[str, str],
        world: World,
        *,
        is_frozen: bool,
    ) -> None:
        self._prepared = prepared
        self._reporter = reporter
        self._skipped = skipped
        self._world = world
        self._is_frozen = is_frozen
        self._encoded: dict[int, Tensor] = {}

    def predict(
        self, bundle: Bundle, rows: list[int], stage: str, results_dir: Path | None = None
    ) -> dict[int, HeldOutSlide]:
        """Predict slides by their row; those that cannot be read are left out, and told once.

        Parameters
        ----------
        bundle : Bundle
            The same weights in all processes.
        rows : list of int
            The same in all processes. A row is always dealt to the same one, which may have read
            its slide before.
        stage : str
            For the progress.
        results_dir : Path, optional
            Gets the whole result of each slide, explained, from the process that made it.

        Returns
        -------
        dict of HeldOutSlide
            By row, ascending.

        Raises
        ------
        Stopped, DreSlclError
            In all processes, as of `Reporter.each`.
        """
        if not rows:
            return {}
        shares = deal(self._prepared.tile_counts(rows), self._world.size)
        own = [rows[number] for number in shares[self._world.rank]]
        done = self._reporter.each(
            lambda: self._predict_own(bundle, own, len(rows), stage, results_dir)
        )
        answers = {}
        for row, answer in gather_answers(self._world, done).items():
            self._tell(answer)
            if "problem" in answer:
                self._skipped[source_name(self._prepared.sources[row])] = answer["problem"]
            else:
                answers[row] = HeldOutSlide.of(answer, bundle.tasks)
        return answers

    def _predict_own(
        self, bundle: Bundle, own: list[int], n_rows: int, stage: str, results_dir: Path | None
    ) -> dict[int, dict[str, Any]]:
        answers: dict[int, dict[str, Any]] = {}
        for number, row in enumerate(own):
            source, slide_id = self._prepared.sources[row], self._prepared.cohort.rows[row].slide_id
            # The others have done as many, see `deal`.
            told = min(number * self._world.size, n_rows)
            self._reporter.progress(stage, told, n_rows, slide_id)
            if source_name(source) in self._skipped:
                continue
            target = None if results_dir is None else result_path(results_dir, slide_id)
            try:
                result = self._result(bundle, row, slide_id, target)
            except SlideError as error:
                answers[row] = {"problem": str(error)}
            else:
                answers[row] = HeldOutSlide.message(result) | {
                    "damaged": result.provenance.get("damaged", "")
                }
            self._tell(answers[row])
        self._reporter.progress(stage, n_rows, n_rows)
        return answers

    def _result(self, bundle: Bundle, row: int, slide_id: str, target: Path | None) -> SlideResult:
        """Predict a slide and keep its result, unless a process that was killed has left it."""
        if target is None:
            return self._predict_row(bundle, row, slide_id, is_explained=False)
        result = _left(target, bundle)
        if result is None:
            result = self._predict_row(bundle, row, slide_id, is_explained=True)
            save_result(result, target)
        return result

    def _tell(self, answer: dict[str, Any]) -> None:
        """Warn of a slide, once; the first process speaks, so that it must hear of the others'."""
        if "problem" in answer:
            self._reporter.warn_once(f"{answer['problem']} It is left out.")
        else:
            self._reporter.warn_once(answer["damaged"])

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


def _left(path: Path, bundle: Bundle) -> SlideResult | None:
    """Return a result that is there, where it is of this model and version."""
    if not path.is_file():
        return None
    try:
        result = load_result(path, with_features=False)
    except ResultError:
        return None
    about = result.provenance
    made_by = (about.get("model_sha256"), about.get("napari-dre-slcl"))
    return result if made_by == (bundle.weights_sha256, __version__) else None
