"""The standard probe: standardise, then logistic regression on slide vectors.

C is chosen on the slides that it is fitted on, by folds that keep a patient together.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from napari_dre_slcl.config.bag_methods import ProbeConfig
from napari_dre_slcl.errors import CohortError
from napari_dre_slcl.methods.bag_method import BagTruth
from napari_dre_slcl.model.linear_heads import LinearHeads

__all__ = ["LinearProbe", "fit_heads", "fit_probe"]

_MOST_STEPS = 3000
_NEVER_SEEN = -30.0  # logit below those of all classes that were seen
_Labels = NDArray[np.int64]
_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LinearProbe:
    """A fitted probe of one task.

    Parameters
    ----------
    mean, std : ndarray
        (d,) of the vectors that it was fitted on.
    weight, bias : ndarray
        (C, d) and (C,).
    c : float
        Inverse strength of the penalty.
    folds : int
        Folds that C was chosen on; 0 where it was not chosen, for want of choice or of patients.
    """

    mean: _Floats
    std: _Floats
    weight: _Floats
    bias: _Floats
    c: float
    folds: int

    def logits(self, vectors: NDArray[np.floating]) -> _Floats:
        """Return (n, C) logits of (n, d) slide vectors."""
        standardised = (np.asarray(vectors, dtype=np.float64) - self.mean) / self.std
        return np.asarray(standardised @ self.weight.T + self.bias)

    def probabilities(self, vectors: NDArray[np.floating]) -> _Floats:
        """Return (n, C); rows add up to 1."""
        logits = self.logits(vectors)
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return np.asarray(powers / powers.sum(1, keepdims=True))


def fit_heads(
    heads: LinearHeads, vectors: Tensor, truth: BagTruth, config: ProbeConfig, seed: int
) -> tuple[LinearProbe, ...]:
    """Fit one probe per task on the slides that have its label, and put them into the heads.

    Parameters
    ----------
    heads : LinearHeads
        Set in place, on whatever device they are.
    vectors : Tensor
        (n, d) vectors of the training slides.
    truth : BagTruth
        Their labels and patients.
    config : ProbeConfig
        Values of C, folds, balance.
    seed : int
        Of the folds.

    Returns
    -------
    tuple of LinearProbe
        One per task.

    Raises
    ------
    CohortError
        If the slides show one class of a task only.
    """
    array = vectors.detach().cpu().double().numpy()
    probes = []
    for task, name in enumerate(truth.task_names):
        labels = truth.labels[:, task].numpy()
        if len(np.unique(labels[labels >= 0])) < 2:
            raise CohortError(
                f"The training slides show one class of '{name}' only, so it cannot be learned. "
                "Add slides of another class or leave the column out of cohort.tasks."
            )
        head = heads[task]
        probe = fit_probe(array, labels, truth.patients, config, seed, len(head.bias))
        parts = (probe.mean, probe.std, probe.weight, probe.bias)
        head.set(*(torch.from_numpy(part) for part in parts))
        probes.append(probe)
    return tuple(probes)


def fit_probe(
    vectors: NDArray[np.floating],
    labels: NDArray[np.integer],
    patients: Sequence[str],
    config: ProbeConfig,
    seed: int,
    n_classes: int | None = None,
) -> LinearProbe:
    """Fit a probe of one task.

    C is the value of the best mean AUC over folds of the given slides, stratified by class, a
    patient never on two sides. Among equals the strongest penalty wins. Where a class has fewer
    than two patients there are no folds, and the middle one of the values is taken.

    Parameters
    ----------
    vectors : ndarray
        (n, d).
    labels : ndarray
        (n,) class numbers from 0, -1 where missing.
    patients : sequence of str
        Of each slide; empty counts each slide as a patient.
    config : ProbeConfig
        Values of C, folds, balance.
    seed : int
        Of the folds.
    n_classes : int, optional
        C; the largest label + 1 by default. Classes that no slide shows get no probability.

    Raises
    ------
    ValueError
        If fewer than two classes are shown.
    """
    known = np.flatnonzero(np.asarray(labels) >= 0)
    chosen = np.asarray(vectors, dtype=np.float64)[known]
    classes: _Labels = np.asarray(labels)[known].astype(np.int64)
    if len(np.unique(classes)) < 2:
        raise ValueError("a probe needs slides of two classes")
    groups = np.asarray(patients)[known] if len(patients) else known.astype(str)
    c, folds = _choose_c(chosen, classes, groups, config, seed)
    scaler = StandardScaler().fit(chosen)
    model = _fit(scaler.transform(chosen), classes, (c,), config.balance)[0]
    weight, bias = _expanded(model, n_classes or int(classes.max()) + 1)
    return LinearProbe(scaler.mean_, scaler.scale_, weight, bias, c, folds)


def _choose_c(
    vectors: _Floats, labels: _Labels, groups: NDArray[np.str_], config: ProbeConfig, seed: int
) -> tuple[float, int]:
    values = sorted(config.c_values)
    per_class = [len(set(groups[labels == number])) for number in np.unique(labels)]
    folds = min(config.folds, *per_class)
    if len(values) == 1:
        return values[0], 0
    if folds < 2:
        return values[len(values) // 2], 0
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    scores = [
        _fold_scores(vectors, labels, train, test, values, config.balance)
        for train, test in splitter.split(vectors, labels, groups)
    ]
    usable = [score for score in scores if score is not None]
    if not usable:
        return values[len(values) // 2], 0
    return values[int(np.argmax(np.round(np.mean(usable, axis=0), 6)))], folds


def _fold_scores(
    vectors: _Floats,
    labels: _Labels,
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    values: Sequence[float],
    is_balanced: bool,
) -> list[float] | None:
    """Return the AUC of each C on one fold; None where a side lacks a class."""
    if len(np.unique(labels[test])) < 2 or len(np.unique(labels[train])) < 2:
        return None
    scaler = StandardScaler().fit(vectors[train])
    models = _fit(scaler.transform(vectors[train]), labels[train], values, is_balanced)
    held_out = scaler.transform(vectors[test])
    return [_auc(model, held_out, labels[test]) for model in models]


def _auc(model: LogisticRegression, vectors: _Floats, labels: _Labels) -> float:
    """Return the mean AUC of each class against the rest, over classes that are there."""
    if len(model.classes_) == 2:
        return float(roc_auc_score(labels == model.classes_[1], model.decision_function(vectors)))
    found = model.predict_proba(vectors)
    areas = [
        roc_auc_score(labels == number, found[:, column])
        for column, number in enumerate(model.classes_)
        if 0 < (labels == number).sum() < len(labels)
    ]
    return float(np.mean(areas))


def _fit(
    vectors: _Floats, labels: _Labels, values: Sequence[float], is_balanced: bool
) -> list[LogisticRegression]:
    """Fit one model per C, the strongest penalty first; each begins where the last one ended."""
    models: list[LogisticRegression] = []
    with warnings.catch_warnings():
        # The weakest penalties need many steps; what they have reached by then will do.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for c in values:
            model = LogisticRegression(
                C=c,
                class_weight="balanced" if is_balanced else None,
                max_iter=_MOST_STEPS,
                warm_start=True,
            )
            if models:
                model.coef_ = models[-1].coef_.copy()
                model.intercept_ = models[-1].intercept_.copy()
                model.classes_ = models[-1].classes_
            models.append(model.fit(vectors, labels))
    return models


def _expanded(model: LogisticRegression, n_classes: int) -> tuple[_Floats, _Floats]:
    """Return (C, d) weights and (C,) biases whose softmax gives the model's probabilities."""
    coefficients, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        # One logit z stands for two: -z/2 and z/2.
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weight = np.zeros((n_classes, coefficients.shape[1]))
    bias = np.full(n_classes, _NEVER_SEEN)
    weight[model.classes_], bias[model.classes_] = coefficients, intercepts
    return weight, bias
