"""What is counted of a slide that was not trained on: little enough to pass between processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.tasks import Task
from napari_dre_slcl.engine.share_out import pack, unpack
from napari_dre_slcl.results import SlideResult, TaskPrediction

__all__ = ["HeldOutSlide"]


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutSlide:
    """The answer for one slide, without its tiles.

    Parameters
    ----------
    predictions : tuple of TaskPrediction
        One per task; probabilities alone.
    slide_vector : ndarray
        (D,) float32.
    """

    predictions: tuple[TaskPrediction, ...]
    slide_vector: NDArray[np.float32]

    @staticmethod
    def message(result: SlideResult) -> dict[str, Any]:
        """Return what JSON can hold of a result, to the last digit."""
        return {
            "probabilities": [list(one.probabilities) for one in result.predictions],
            "vector": pack(result.slide_vector.astype(np.float32)),
        }

    @classmethod
    def of(cls, message: dict[str, Any], tasks: Sequence[Task]) -> HeldOutSlide:
        """Return the answer that a message holds; the tasks are the model's."""
        predictions = tuple(
            TaskPrediction(task.name, task.classes, tuple(values), task.positive)
            for task, values in zip(tasks, message["probabilities"], strict=True)
        )
        return cls(predictions, unpack(message["vector"], np.float32))
