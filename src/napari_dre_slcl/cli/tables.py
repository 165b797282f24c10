"""What a training and a prediction print at their end."""

from __future__ import annotations

from itertools import islice

from rich.table import Table

from napari_dre_slcl.cli.console import output, say
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.messages import Result
from napari_dre_slcl.results import TaskPrediction, load_result

__all__ = ["TEST_AUC", "print_predictions", "print_training", "probabilities"]

_SHOWN_SLIDES = 50

TEST_AUC = "test/auc/"
"""Start of the metric names that hold the AUC on held-out patients."""


def print_training(result: Result) -> None:
    """Print the held-out figures and where the model is."""
    table = Table("Held-out figure", "Value")
    for name in sorted(name for name in result.metrics if name.startswith("test/")):
        table.add_row(name.removeprefix("test/"), f"{result.metrics[name]:.3f}")
    if table.row_count:
        output().print(table)
    else:
        say("No patient was held out, so there is no held-out figure.")
    for name, path in result.paths.items():
        say(f"{name}: {path}")


def print_predictions(result: Result) -> None:
    """Print the predicted probabilities of each slide and where the results are.

    Raises
    ------
    JobError
        If no slide was predicted.
    """
    if not result.paths:
        raise JobError("No slide could be predicted: " + " ".join(result.skipped.values()))
    table = Table("Slide", "Task", "Prediction", "Probabilities")
    shown = dict(islice(result.paths.items(), _SHOWN_SLIDES))
    for slide_id, path in shown.items():
        for prediction in load_result(path, with_features=False).predictions:
            table.add_row(
                slide_id, prediction.task, prediction.predicted, probabilities(prediction)
            )
    output().print(table)
    for path in shown.values():
        say(str(path))
    if len(result.paths) > len(shown):
        say(f"And {len(result.paths) - len(shown):,} more in {path.parent}.")


def probabilities(prediction: TaskPrediction) -> str:
    """Return the classes with their probabilities as text."""
    pairs = zip(prediction.classes, prediction.probabilities, strict=True)
    return ", ".join(f"{name} {value:.2f}" for name, value in pairs)
