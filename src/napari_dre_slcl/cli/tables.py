"""What the subcommands print at their end, as tables."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from rich.table import Column, Table

from napari_dre_slcl.cli.console import output, say
from napari_dre_slcl.config import load_preset, preset_names, setting_names
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.messages import Result
from napari_dre_slcl.results import TaskPrediction, load_result

__all__ = ["TEST_AUC", "print_predictions", "print_presets", "print_training", "probabilities"]

TEST_AUC = "test/auc/"
"""Start of the metric names that hold the AUC on held-out patients."""

_WIDTH_WITH_MEANING = 110


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
    for slide_id, path in result.paths.items():
        for prediction in load_result(path).predictions:
            table.add_row(
                slide_id, prediction.task, prediction.predicted, probabilities(prediction)
            )
    output().print(table)
    for path in result.paths.values():
        say(str(path))


def probabilities(prediction: TaskPrediction) -> str:
    """Return the classes with their probabilities as text."""
    pairs = zip(prediction.classes, prediction.probabilities, strict=True)
    return ", ".join(f"{name} {value:.2f}" for name, value in pairs)


def print_presets() -> None:
    """Print every setting with its value in each preset; differences are marked."""
    names = preset_names()
    configs = [load_preset(name) for name in names]
    columns = [Column(name, no_wrap=True) for name in ("Setting", *names)]
    has_room = output().width >= _WIDTH_WITH_MEANING
    table = Table(*columns, *(["What it is"] if has_room else []))
    for setting in setting_names():
        values = [setting_value(config, setting) for config in configs]
        mark = " *" if len(set(values)) > 1 else ""
        meaning = [setting_meaning(configs[0], setting)] if has_room else []
        table.add_row(setting + mark, *values, *meaning)
    output().print(table)
    say("* differs between the presets. Change one with --set KEY=VALUE.")


def setting_value(config: BaseModel, setting: str) -> str:
    """Return a setting's value as it would be typed after ``--set``."""
    section, key = setting.split(".")
    value: Any = getattr(getattr(config, section), key)
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def setting_meaning(config: BaseModel, setting: str) -> str:
    """Return the sentence that says what a setting is."""
    section, key = setting.split(".")
    field = type(getattr(config, section)).model_fields[key]
    return f"{field.title}: {field.description}"
