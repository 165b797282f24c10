"""Held-out predictions of all cells as one table, and as arrays per task and cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_dre_slcl.errors import ResultError
from napari_dre_slcl.metrics.calibration import fit_temperature, scale_probabilities
from napari_dre_slcl.untrusted import defuse, restore

__all__ = [
    "COLUMNS",
    "TaskCell",
    "cell_predictions",
    "defused",
    "mean_over_cells",
    "read_predictions",
    "task_cells",
]

COLUMNS = (
    "slide_id",
    "patient_id",
    "site",
    "fold",
    "seed",
    "task",
    "label",
    "class",
    "probability",
    "probability_scaled",
)
_NUMBERS = {"seed": np.int64, "probability": np.float64, "probability_scaled": np.float64}


@dataclass(frozen=True, slots=True, eq=False)
class TaskCell:
    """The test predictions of one task in one cell.

    Parameters
    ----------
    fold : str
        Name of the fold.
    seed : int
        Of the cell.
    classes : tuple of str
        Columns of the probabilities; of two, the second is the positive one.
    slides, patients, sites : ndarray
        (n,) text.
    truth : ndarray
        (n,) class numbers, -1 where unknown.
    probabilities : ndarray
        (n, C).
    scaled : ndarray or None
        (n, C) after temperature scaling; None without validation.
    """

    fold: str
    seed: int
    classes: tuple[str, ...]
    slides: NDArray[np.str_]
    patients: NDArray[np.str_]
    sites: NDArray[np.str_]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    scaled: NDArray[np.float64] | None

    @property
    def name(self) -> str:
        """Name of the cell."""
        return f"{self.fold}-seed{self.seed}"


def cell_predictions(
    path: Path, fold: str, seed: int, sites: Mapping[str, str]
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return a run's test predictions and the temperature of each task.

    The temperature is fitted on the validation slides, and tells nothing where there are none.

    Parameters
    ----------
    path : Path
        ``predictions.csv`` of a run folder.
    fold, seed
        Of the cell.
    sites : mapping of str
        Site by slide_id.

    Raises
    ------
    ResultError
        If the file cannot be read.
    """
    frame = _read(path, ("slide_id", "patient_id", "split", "task", "label", "class"))
    frame["site"] = [sites.get(slide, "") for slide in frame["slide_id"]]
    frame["fold"], frame["seed"] = fold, seed
    frame["probability_scaled"] = np.nan
    temperatures = {}
    for task, rows in frame.groupby("task", sort=False):
        val, test = rows[rows["split"] == "val"], rows[rows["split"] == "test"]
        temperature = _temperature(val)
        if temperature is None or test.empty:
            continue
        temperatures[str(task)] = temperature
        values = scale_probabilities(_matrix(test, "probability"), temperature)
        frame.loc[test.index, "probability_scaled"] = values.ravel()
    held_out = frame.loc[frame["split"] == "test", list(COLUMNS)]
    return held_out.reset_index(drop=True), temperatures


def read_predictions(path: Path) -> pd.DataFrame:
    """Return the table of all cells' test predictions.

    Raises
    ------
    ResultError
        If the file cannot be read or is another.
    """
    frame = _read(path, COLUMNS)
    cells = frame.groupby(["fold", "seed", "task"], sort=False)
    whole = cells["slide_id"].nunique() * cells["class"].nunique()
    if frame["probability"].isna().any() or not whole.equals(cells.size()):
        raise ResultError(
            f"'{path}' is damaged: some slides lack the probability of a class. Run 'dre-slcl "
            "evaluate' again with the same settings, which writes it anew."
        )
    return frame


def task_cells(frame: pd.DataFrame, task: str) -> list[TaskCell]:
    """Return the cells of one task, in the order of the table.

    Parameters
    ----------
    frame : DataFrame
        With `COLUMNS`; the classes of a slide follow each other.
    task : str
        Name of the task.
    """
    rows = frame[frame["task"] == task]
    classes = tuple(str(name) for name in dict.fromkeys(rows["class"]))
    return [
        _task_cell(cell, str(fold), int(str(seed)), classes)
        for (fold, seed), cell in rows.groupby(["fold", "seed"], sort=False)
    ]


def mean_over_cells(cells: list[TaskCell]) -> TaskCell:
    """Return each slide once, with the mean of its probabilities over the cells that tested it."""
    stacked = {
        "slides": np.concatenate([cell.slides for cell in cells]),
        "probabilities": np.concatenate([cell.probabilities for cell in cells]),
        "patients": np.concatenate([cell.patients for cell in cells]),
        "sites": np.concatenate([cell.sites for cell in cells]),
        "truth": np.concatenate([cell.truth for cell in cells]),
    }
    slides, first, place = np.unique(stacked["slides"], return_index=True, return_inverse=True)
    total = np.zeros((len(slides), stacked["probabilities"].shape[1]))
    np.add.at(total, place.ravel(), stacked["probabilities"])
    return TaskCell(
        fold="all",
        seed=cells[0].seed,
        classes=cells[0].classes,
        slides=slides,
        patients=stacked["patients"][first],
        sites=stacked["sites"][first],
        truth=stacked["truth"][first],
        probabilities=total / np.bincount(place.ravel())[:, None],
        scaled=None,
    )


def defused(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of which no text is a formula to a spreadsheet; reading it undoes that."""
    texts = [name for name, kind in frame.dtypes.items() if kind in ("object", "str", "string")]
    return frame.assign(**{str(name): frame[name].map(_as_text) for name in texts})


def _as_text(cell: object) -> object:
    return defuse(cell) if isinstance(cell, str) else cell


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ResultError(f"The predictions '{path}' cannot be read: {error}.") from error
    frame = frame.map(restore)
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise ResultError(
            f"'{path}' has no column '{missing[0]}': it holds no predictions of this version."
        )
    for name, kind in _NUMBERS.items():
        if name in frame.columns:
            try:
                numbers = pd.to_numeric(frame[name].where(frame[name] != ""))
                frame[name] = numbers.astype(kind)
            except ValueError as error:
                raise ResultError(f"'{path}' is damaged in column '{name}': {error}.") from error
    return frame


def _temperature(rows: pd.DataFrame) -> float | None:
    if rows.empty:
        return None
    found = fit_temperature(_truth(rows), _matrix(rows, "probability"))
    return None if found is None else found.value


def _task_cell(rows: pd.DataFrame, fold: str, seed: int, classes: tuple[str, ...]) -> TaskCell:
    own = tuple(dict.fromkeys(rows["class"]))
    each = rows.iloc[:: len(own)]
    place = {name: number for number, name in enumerate(classes)}
    columns = [place[name] for name in own]
    scaled = _matrix(rows, "probability_scaled")
    return TaskCell(
        fold=fold,
        seed=seed,
        classes=classes,
        slides=each["slide_id"].to_numpy(dtype=np.str_),
        patients=each["patient_id"].to_numpy(dtype=np.str_),
        sites=each["site"].to_numpy(dtype=np.str_),
        truth=np.array([place.get(label, -1) for label in each["label"]], dtype=np.int64),
        probabilities=_on_all_classes(_matrix(rows, "probability"), columns, len(classes)),
        scaled=None if np.isnan(scaled).any() else _on_all_classes(scaled, columns, len(classes)),
    )


def _on_all_classes(
    values: NDArray[np.float64], columns: list[int], n_classes: int
) -> NDArray[np.float64]:
    """Return (n, n_classes); a class that a cell never trained has no probability there."""
    wide = np.zeros((len(values), n_classes))
    wide[:, columns] = values
    return wide


def _matrix(rows: pd.DataFrame, column: str) -> NDArray[np.float64]:
    n_classes = rows["class"].nunique()
    return rows[column].to_numpy(dtype=np.float64).reshape(-1, n_classes)


def _truth(rows: pd.DataFrame) -> NDArray[np.int64]:
    classes = list(dict.fromkeys(rows["class"]))
    place = {name: number for number, name in enumerate(classes)}
    labels = rows["label"].iloc[:: len(classes)]
    return np.array([place.get(label, -1) for label in labels], dtype=np.int64)
