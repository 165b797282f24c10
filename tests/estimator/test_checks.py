"""The estimator passes scikit-learn's own checks, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from napari_dre_slcl.estimator import DreSlclClassifier

QUICK = DreSlclClassifier(
    codewords=2,
    epochs=4,
    least_steps=0,
    slides_per_batch=64,
    adapter_width=16,
    dropout=0.0,
    lr_rest=0.03,
    lr_adapter=0.03,
    settings={"features.adapter_dropout": 0.0, "training.warmup_epochs": 0.0},
    random_state=0,
)


@parametrize_with_checks([QUICK])
def test_scikit_learn_check(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)
