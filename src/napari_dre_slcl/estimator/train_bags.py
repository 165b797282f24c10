"""Between the estimator and the engine: plain arrays in, plain arrays out; torch stays inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.feature_store import FeatureFile
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.errors import BagError
from napari_dre_slcl.estimator.fitted_state import FittedState
from napari_dre_slcl.estimator.named_settings import TASK
from napari_dre_slcl.estimator.read_bags import CheckedBag
from napari_dre_slcl.jobs.messages import Event, Log, Metric

__all__ = ["Said", "TrainedBags", "said_of_bags", "train_bags"]


@dataclass(frozen=True, slots=True, eq=False)
class TrainedBags:
    """What training has made.

    Parameters
    ----------
    state : FittedState
        Settings and weights.
    history : list of dict
        Figures of each epoch.
    warnings : tuple of str
        What a user should know.
    vector_dim : int
        Width of a slide vector.
    facts : dict
        What the card of a saved model says of the training.
    """

    state: FittedState
    history: list[dict[str, float]]
    warnings: tuple[str, ...]
    vector_dim: int
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What the network says of n bags.

    Parameters
    ----------
    vectors : ndarray
        (n, d) float32.
    probabilities : ndarray
        (n, n_classes) float64; rows add up to 1.
    """

    vectors: NDArray[np.float32]
    probabilities: NDArray[np.float64]


def train_bags(
    bags: Sequence[CheckedBag],
    classes: Sequence[str],
    numbers: NDArray[np.integer[Any]],
    config: DreSlclConfig,
    *,
    patients: Sequence[str],
    reports: Sequence[str],
    on_event: Callable[[Event], None] | None = None,
) -> TrainedBags:
    """Train the method of the settings.

    Parameters
    ----------
    bags : sequence of CheckedBag
        One per slide.
    classes : sequence of str
        Names of the classes.
    numbers : ndarray
        (n,) class of each slide.
    config : DreSlclConfig
        Settings.
    patients, reports : sequence of str
        Empty where unknown.
    on_event : callable, optional
        Gets every event.

    Raises
    ------
    BagError
        If two classes look the same as text, or one is empty.
    DreSlclError
        If the settings do not fit, or training cannot go on.
    """
    _check_names(classes)
    from napari_dre_slcl.engine.bags_in_memory import LabelledBags
    from napari_dre_slcl.engine.fit_bags import fit_bags
    from napari_dre_slcl.engine.reporter import Reporter

    history: list[dict[str, float]] = []
    warnings: dict[str, None] = {}

    def note(event: Event) -> None:
        if isinstance(event, Metric):
            history.append(dict(event.values))
        elif isinstance(event, Log) and event.level == "warning":
            warnings[event.message] = None
        if on_event is not None:
            on_event(event)

    labels = [classes[number] for number in numbers]
    inputs = [_engine_bag(bag) for bag in bags]
    data = LabelledBags(inputs, labels, TASK, patients, [""] * len(bags), reports)
    fitted = fit_bags(data, config, Reporter(note, lambda: False))
    state = FittedState.of(fitted.bundle)
    dim, facts = _vector_dim(fitted.bundle.net, inputs[0]), _counts(bags, patients)
    return TrainedBags(state, history, tuple(warnings), dim, facts)


def _check_names(classes: Sequence[str]) -> None:
    if len(set(classes)) < len(classes) or "" in classes:
        raise BagError(f"The classes {list(classes)} are not different texts. Name each in y.")


def _counts(bags: Sequence[CheckedBag], patients: Sequence[str]) -> dict[str, int]:
    return {
        "training_slides": len(bags),
        "training_patients": len({name or number for number, name in enumerate(patients)}),
        "training_tiles": sum(_n_tiles(bag) for bag in bags),
    }


def said_of_bags(state: FittedState, bags: Sequence[CheckedBag], order: Sequence[int]) -> Said:
    """Return slide vectors and probabilities.

    Parameters
    ----------
    state : FittedState
        As `train_bags` made it.
    bags : sequence of CheckedBag
        One per slide; each is looked at alone.
    order : sequence of int
        Columns of the probabilities, by the network's number of the class.

    Raises
    ------
    SlideError
        If a feature file cannot be read.
    """
    from napari_dre_slcl.engine.describe_bag import describe_bag

    net = state.bundle().net
    outputs = [describe_bag(net, _engine_bag(bag)) for bag in bags]
    vectors = np.stack([output.vector.numpy() for output in outputs])
    raw = np.stack([output.probabilities[0].numpy() for output in outputs]).astype(np.float64)
    return Said(vectors.astype(np.float32), (raw / raw.sum(1, keepdims=True))[:, list(order)])


def _engine_bag(bag: CheckedBag) -> Any:
    from napari_dre_slcl.engine.feature_source import FeatureSource

    return FeatureSource(bag) if isinstance(bag, FeatureFile) else bag


def _n_tiles(bag: CheckedBag) -> int:
    return bag.n_tiles if isinstance(bag, FeatureFile) else len(bag)


def _vector_dim(net: Any, bag: Any) -> int:
    from napari_dre_slcl.engine.describe_bag import describe_bag

    return len(describe_bag(net, bag).vector)
