"""`DreSlclClassifier`: learns from bags of tile features, as scikit-learn's classifiers do."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from napari_dre_slcl.engine_extra import engine_needed
from napari_dre_slcl.errors import BagError
from napari_dre_slcl.estimator.fitted_state import FittedState
from napari_dre_slcl.estimator.named_settings import config_of
from napari_dre_slcl.estimator.read_bags import CheckedBag, as_float32, check_bags, has_bags
from napari_dre_slcl.estimator.train_bags import Said, said_of_bags, train_bags

__all__ = ["DreSlclClassifier"]

_LEAST_BAGS = 2


class DreSlclClassifier(
    ClassNamePrefixFeaturesOutMixin, ClassifierMixin, TransformerMixin, BaseEstimator
):
    """Classify slides by the features of their tiles, with the engine that the window trains with.

    ``X`` is a sequence with one *bag* per slide: an array (n_tiles, n_features), where the number
    of tiles may differ from slide to slide, or the path of a feature file as TRIDENT and CLAM write
    them. A table (n_samples, n_features), as scikit-learn's own estimators take, counts as bags of
    one tile each.

    Parameters
    ----------
    method : str, default "dre-slcl"
        ``dre-slcl``, ``attention-mil``, ``mean-pool``, ``giga-ssl`` or ``slpd``.
    preset : str, default "default"
        What the settings start from; `napari_dre_slcl.load_preset` shows them.
    codewords, epochs, least_steps, slides_per_batch, fresh_tiles : int, optional
        The settings ``codebook.codewords`` and ``training.*`` of that name, or the method's own,
        such as ``mil.epochs``; those of the preset by default. Few slides take more epochs than
        asked for, until there are ``least_steps``. What a method does not know is left aside.
    lr_rest, lr_adapter : float, optional
        Learning rates: ``training.lr_rest`` of the network, ``features.lr_adapter`` of the layer on
        top of the features.
    adapter_width : int, optional
        ``features.adapter_width``: width of that layer, and of the slide vectors that `transform`
        returns. Four heads of attention must divide it.
    dropout, contrastive_weight : float, optional
        ``residual.dropout`` and ``loss.contrastive_weight``, of the contrast with reports.
    device : str, optional
        ``training.device``: ``auto``, ``cpu``, ``cuda`` or ``mps``. Prediction is done on the CPU.
    settings : mapping, optional
        Any other setting by its dotted name, such as ``{"training.weight_decay": 0.1}``.
    random_state : int, RandomState instance or None, default None
        The same number gives the same network on the CPU.
    on_event : callable, optional
        Gets the engine's Progress, Metric and Log events while it trains.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted; the columns of `predict_proba`.
    n_features_in_ : int
        Numbers per tile.
    feature_names_in_ : ndarray of str
        Names of the columns, where ``X`` was a table with such.
    history_ : list of dict
        Figures of each epoch, as the window plots them.
    state_ : FittedState
        Settings and weights as plain arrays; pickling the estimator needs no torch.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_dre_slcl import DreSlclClassifier
    >>> rng = np.random.default_rng(0)
    >>> diagnosis = ["LUAD", "LUSC"] * 6
    >>> shift = {"LUAD": -1.0, "LUSC": 1.0}
    >>> bags = [rng.normal(shift[name], 1, size=(rng.integers(5, 20), 8)) for name in diagnosis]
    >>> model = DreSlclClassifier(codewords=2, epochs=5, least_steps=0, random_state=0)
    >>> model = model.fit(bags, diagnosis)
    >>> model.predict_proba(bags).shape, model.transform(bags).shape
    ((12, 2), (12, 256))
    """

    def __init__(
        self,
        method: str = "dre-slcl",
        preset: str = "default",
        *,
        codewords: int | None = None,
        epochs: int | None = None,
        least_steps: int | None = None,
        slides_per_batch: int | None = None,
        fresh_tiles: int | None = None,
        lr_rest: float | None = None,
        lr_adapter: float | None = None,
        adapter_width: int | None = None,
        dropout: float | None = None,
        contrastive_weight: float | None = None,
        device: str | None = None,
        settings: Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
        on_event: Callable[[Any], None] | None = None,
    ) -> None:
        self.method = method
        self.preset = preset
        self.codewords = codewords
        self.epochs = epochs
        self.least_steps = least_steps
        self.slides_per_batch = slides_per_batch
        self.fresh_tiles = fresh_tiles
        self.lr_rest = lr_rest
        self.lr_adapter = lr_adapter
        self.adapter_width = adapter_width
        self.dropout = dropout
        self.contrastive_weight = contrastive_weight
        self.device = device
        self.settings = settings
        self.random_state = random_state
        self.on_event = on_event

    def fit(
        self,
        X: Any,
        y: Any,
        patients: Sequence[Any] | None = None,
        reports: Sequence[str] | None = None,
    ) -> Self:
        """Train on slides with labels.

        Parameters
        ----------
        X : sequence of bags, or array of shape (n_samples, n_features)
            One per slide.
        y : array-like of shape (n_samples,)
            Classes, text or numbers.
        patients : sequence of shape (n_samples,), optional
            Whose slide it is, so that no batch contrasts slides of one patient; by default each is
            another's. Cross-validation must be told as well, by ``groups``.
        reports : sequence of str, optional
            Report text of each slide, empty where there is none. Only `fit` reads it.

        Returns
        -------
        DreSlclClassifier
            Itself.

        Raises
        ------
        BagError
            If X, y, patients or reports cannot be used; it is a ValueError.
        DreSlclError
            If a setting is wrong, or training cannot go on.
        """
        bags, y = self._training_data(X, y)
        config = config_of(self.get_params(deep=False), has_reports=reports is not None)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise BagError(
                f"The labels show one class only, {self.classes_.tolist()}. Classifier can't train "
                "when only one class is present: add slides of another one."
            )
        with engine_needed():
            fitted = train_bags(
                bags,
                [str(name) for name in self.classes_.tolist()],
                numbers,
                config,
                patients=_texts(patients, "patients", len(bags)),
                reports=_texts(reports, "reports", len(bags)),
                on_event=self.on_event,
            )
        self.state_: FittedState = fitted.state
        self.history_: list[dict[str, float]] = fitted.history
        self._n_features_out = fitted.vector_dim
        self._facts = fitted.facts
        for sentence in fitted.warnings:
            warnings.warn(sentence, stacklevel=2)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class.

        Parameters
        ----------
        X : sequence of bags, or array of shape (n_samples, n_features)
            One per slide; the answer to one does not depend on the others.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns as `classes_`; rows add up to 1.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        BagError
            If X cannot be used; it is a ValueError.
        """
        return self._said(X).probabilities

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likeliest class of each slide; (n_samples,), of `classes_`.

        Parameters
        ----------
        X : sequence of bags, or array of shape (n_samples, n_features)
            As of `predict_proba`, which says what it may raise.
        """
        check_is_fitted(self)
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return the slide vectors; (n_samples, d) float32.

        Parameters
        ----------
        X : sequence of bags, or array of shape (n_samples, n_features)
            As of `predict_proba`, which says what it may raise.

        Notes
        -----
        Vectors of slides that the network was trained on know their labels: what is fitted on them
        must be tested on others.
        """
        return self._said(X).vectors

    def save_model(self, folder: str | Path, task: str = "label") -> Path:
        """Write the trained network as a model folder, which the window and `predict` take.

        Parameters
        ----------
        folder : str or Path
            Target; must not exist.
        task : str
            What the label is called there, such as ``"subtype"``.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        ModelError
            If it exists or cannot be written.
        """
        check_is_fitted(self)
        with engine_needed():
            return self.state_.with_task(task).save(Path(folder), self._facts)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _training_data(self, x: Any, y: Any) -> tuple[list[CheckedBag], NDArray[Any]]:
        """Return checked bags and labels, and remember the width of a tile."""
        if not has_bags(x):
            table, y = validate_data(self, x, y, dtype=np.float32, ensure_min_samples=_LEAST_BAGS)
            bags = _rows(table)
        else:
            if y is None:
                raise BagError("y is None: fit requires y, the class of every bag.")
            if len(x) < _LEAST_BAGS:
                raise BagError("X has one bag only. Give two slides or more.")
            bags = check_bags(x)
            y = column_or_1d(y, warn=True)
            check_consistent_length(bags, y)
            self.n_features_in_ = _width(bags[0])
            self.__dict__.pop("feature_names_in_", None)
        lacking = np.flatnonzero(pd.isna(y))
        if len(lacking):
            raise BagError(
                f"y has no class for bag {lacking[0]}, and {len(lacking)} such in all (None or "
                "NaN). Leave slides without a label out."
            )
        check_classification_targets(y)
        return bags, y

    def _said(self, x: Any) -> Said:
        """Return vectors and probabilities of the slides."""
        check_is_fitted(self)
        if has_bags(x):
            bags = check_bags(x, self.n_features_in_)
        else:
            bags = _rows(validate_data(self, x, dtype=np.float32, reset=False))
        order = [self.state_.task.classes.index(str(name)) for name in self.classes_.tolist()]
        with engine_needed():
            return said_of_bags(self.state_, bags, order)


def _rows(table: NDArray[np.float32]) -> list[CheckedBag]:
    """Return each row as a bag of one tile."""
    whole = as_float32(table)
    return [whole[row : row + 1] for row in range(len(whole))]


def _width(bag: CheckedBag) -> int:
    return int(bag.shape[1]) if isinstance(bag, np.ndarray) else bag.dim


def _texts(given: Sequence[Any] | None, name: str, n: int) -> list[str]:
    """Return one text per bag, empty where nothing is known."""
    if given is None:
        return [""] * n
    texts = ["" if one is None else str(one) for one in given]
    if len(texts) != n:
        raise BagError(f"There are {len(texts)} {name} for {n} bags. Give one for each, in order.")
    return texts
