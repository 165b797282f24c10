"""Do the held-out slides of a run find their reports? Reports of training only teach it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize

from napari_dre_slcl.cohort.cohort import SlideRow
from napari_dre_slcl.engine.predict_source import predict_source
from napari_dre_slcl.engine.prepare import PreparedCohort
from napari_dre_slcl.engine.report_space import fit_report_space
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import CohortError, ResultError, SlideError
from napari_dre_slcl.metrics.retrieval import retrieval
from napari_dre_slcl.model.bundle import Bundle
from napari_dre_slcl.model.network import DreSlclNet
from napari_dre_slcl.untrusted import open_npz

__all__ = ["retrieval_of_run"]

_PENALTIES = np.logspace(0, 6, 13)
_N_SHUFFLES = 200


def retrieval_of_run(
    bundle: Bundle, prepared: PreparedCohort, reporter: Reporter, vectors: Path | None = None
) -> dict[str, Any] | None:
    """Measure retrieval between the test slides of a run and their reports, beside its control.

    A test slide's vector goes into report space by the network's own projection, where there is
    one, and by a ridge regression on the training slides. The report space is fitted on training
    reports; test reports are only looked for.

    Parameters
    ----------
    bundle : Bundle
        The trained model.
    prepared : PreparedCohort
        The slides and the split that it was trained on.
    reporter : Reporter
        Told the progress.
    vectors : Path, optional
        ``vectors.npz`` of the run. Slides that it lacks are described anew.

    Returns
    -------
    dict or None
        For JSON: ``how`` (``projection`` or ``ridge regression``) and the fields of `Retrieval`.
        Beside a projection, ``ridge`` has the same by ridge regression, unless slides are pixels.
        None where there are too few reports.

    Raises
    ------
    CohortError
        If a report space cannot be made of the training reports, or is not that of the model.
    ResultError
        If ``vectors`` cannot be read, or is of another model.
    """
    quiet = Reporter(lambda event: None, lambda: False)
    is_train = prepared.split == "train"
    space = fit_report_space(prepared.cohort, is_train, bundle.config, quiet)
    if not space.vectors.shape[1]:
        return None
    source = _SlideVectors(bundle, prepared, reporter, vectors)
    test = prepared.rows("test")
    sought = space.encode([prepared.cohort.rows[row] for row in test])
    test, sought, described = source.of_those_with_reports(test, sought)
    if not test:
        return None
    rows = [prepared.cohort.rows[row] for row in test]
    projected = None
    if bundle.text_dim:
        _check_width(bundle, space.vectors)
        projected = _figures(_project(bundle, described), sought, rows)
        if projected is None or prepared.feature_dim is None:
            return projected and {"how": "projection"} | projected
    _, taught, known = source.of_those_with_reports(prepared.rows("train"), space.vectors)
    if not len(taught):
        return projected and {"how": "projection"} | projected
    by_ridge = _figures(*_regress(known, taught, described, sought), rows)
    if projected is None:
        return by_ridge and {"how": "ridge regression"} | by_ridge
    return {"how": "projection"} | projected | {"ridge": by_ridge}


def _figures(
    placed: NDArray[np.float32], sought: NDArray[np.float32], rows: Sequence[SlideRow]
) -> dict[str, Any] | None:
    found = retrieval(
        placed,
        sought,
        [row.patient_id for row in rows],
        [row.site for row in rows],
        n_shuffles=_N_SHUFFLES,
    )
    if found is None:
        return None
    return asdict(found) | {
        "slide_to_report": [asdict(x) | {"gain": x.gain} for x in found.slide_to_report],
        "report_to_slide": [asdict(x) | {"gain": x.gain} for x in found.report_to_slide],
    }


class _SlideVectors:
    """Slide vectors of a run, taken from its file or made anew.

    Parameters
    ----------
    bundle, prepared, reporter, path
        As of `retrieval_of_run`.
    """

    def __init__(
        self, bundle: Bundle, prepared: PreparedCohort, reporter: Reporter, path: Path | None
    ) -> None:
        self._bundle, self._prepared, self._reporter = bundle, prepared, reporter
        self._known = {} if path is None else _read_vectors(path, bundle.weights_sha256)

    def of_those_with_reports(
        self, rows: Sequence[int], reports: NDArray[np.float32]
    ) -> tuple[list[int], NDArray[np.float32], NDArray[np.float32]]:
        """Return rows with a report whose slide can be read, their reports and slide vectors.

        Parameters
        ----------
        rows : sequence of int
            Of the cohort.
        reports : ndarray
            (rows, dim), zeros where there is none.
        """
        places: list[int] = []
        made: list[NDArray[np.float32]] = []
        for place, row in enumerate(rows):
            vector = self._of(row) if reports[place].any() else None
            self._reporter.progress("Slides for reports", place + 1, len(rows))
            if vector is not None:
                places.append(place)
                made.append(vector)
        vectors = np.stack(made) if made else np.empty((0, 0), dtype=np.float32)
        return [rows[place] for place in places], reports[places], vectors

    def _of(self, row: int) -> NDArray[np.float32] | None:
        slide_id = self._prepared.cohort.rows[row].slide_id
        if slide_id not in self._known:
            source, memory = self._prepared.sources[row], self._prepared.memory
            try:
                result = predict_source(
                    self._bundle,
                    source,
                    slide_id,
                    keep_features=False,
                    memory=memory,
                    is_explained=False,
                )
            except SlideError as error:
                self._reporter.warn_once(f"{error} It is left out.")
                return None
            self._known[slide_id] = result.slide_vector
        return self._known[slide_id]


def _read_vectors(path: Path, weights_sha256: str) -> dict[str, NDArray[np.float32]]:
    try:
        with open_npz(path) as arrays:
            ids, vectors = arrays["ids"], np.asarray(arrays["X"], dtype=np.float32)
            model = str(arrays["model_sha256"])
    except (OSError, ValueError) as error:
        raise ResultError(
            f"The slide vectors '{path}' cannot be read: {error}. Delete the run and make it anew."
        ) from error
    if model != weights_sha256:
        raise ResultError(
            f"The slide vectors '{path}' are of another model than the one beside them. "
            "Delete the run and make it anew."
        )
    return dict(zip(ids.tolist(), vectors, strict=True))


def _check_width(bundle: Bundle, reports: NDArray[np.float32]) -> None:
    if bundle.text_dim != reports.shape[1]:
        raise CohortError(
            f"The model was trained with report vectors of width {bundle.text_dim}; the reports of "
            f"these training slides give {reports.shape[1]}. Measure it on the split that it was "
            "trained on."
        )


def _project(bundle: Bundle, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    net = bundle.net
    if not isinstance(net, DreSlclNet):
        raise TypeError("a network with a report space is a DreSlclNet")
    with torch.no_grad():
        placed = net.project(torch.from_numpy(vectors).to(net.device))
    return np.asarray(placed.cpu().numpy(), dtype=np.float32)


def _regress(
    known: NDArray[np.float32],
    taught: NDArray[np.float32],
    described: NDArray[np.float32],
    sought: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Place slides by a ridge regression on the pairs of training, and reports beside them.

    What all reports share says nothing of a patient: the mean training report is taken from both.
    """
    common = taught.mean(axis=0)
    model = make_pipeline(StandardScaler(), RidgeCV(_PENALTIES))
    model.fit(known, normalize(taught - common))
    placed = normalize(model.predict(described))
    return np.asarray(placed, np.float32), np.asarray(normalize(sought - common), np.float32)
