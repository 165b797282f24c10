"""What an evaluation is asked to do, and how its folder remembers that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_dre_slcl.atomic_file import write_json
from napari_dre_slcl.cohort.left_out import LEFT_OUT
from napari_dre_slcl.config import METHODS, DreSlclConfig, load_preset, with_overrides
from napari_dre_slcl.engine.run_folder import with_absolute_paths
from napari_dre_slcl.errors import ConfigError, JobError
from napari_dre_slcl.untrusted import read_json

__all__ = [
    "DRAWN_FOLDS",
    "SETTINGS_FILE",
    "EvaluationRequest",
    "claim_folder",
    "evaluation_config",
    "evaluation_settings",
    "settings_hash",
]

DRAWN_FOLDS = ("patient", "site")
"""Kinds of folds that are drawn; anything else is a folder of split files."""
SETTINGS_FILE = "evaluation.json"

_SHOWN_DIFFERENCES = 5
_OWN_FILES = frozenset({SETTINGS_FILE, "cells"})
# They change where and how fast it is computed, not what; which slides are left out is listed.
_NO_MATTER = frozenset(
    {
        "cohort.most_broken",
        "text.cache",
        "training.workers",
        "training.tile_cache_mib",
        "training.bank_memory_mib",
    }
)


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """One method on one cohort over folds and seeds.

    Parameters
    ----------
    cohort : Path
        Cohort table.
    out : Path
        Folder of the evaluation; made, or gone on with.
    method : str
        One of `METHODS`.
    folds : str
        ``patient``, ``site``, or a folder of split files.
    tasks : tuple of str
        Label columns; empty guesses them.
    seeds : int
        How often all folds are done. Drawn folds are drawn anew for each seed.
    n_folds : int
        Of drawn folds.
    validation : float
        Share of the training patients that validate; the temperature is fitted on them.
    within : mapping of str
        Only slides whose column has this value.
    preset : str
        Settings to start from.
    overrides : mapping
        Changed settings by dotted name.
    allow_shared_patients : bool
        Report patients on both sides of a published split, in place of refusing them.
    """

    cohort: Path
    out: Path
    method: str = "dre-slcl"
    folds: str = "patient"
    tasks: tuple[str, ...] = ()
    seeds: int = 1
    n_folds: int = 5
    validation: float = 0.1
    within: Mapping[str, str] = field(default_factory=dict)
    preset: str = "default"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    allow_shared_patients: bool = False


def evaluation_config(request: EvaluationRequest) -> DreSlclConfig:
    """Return the settings of the first cell; others differ by their seed.

    Raises
    ------
    ConfigError
        If the request or a setting is not usable.
    """
    if request.method not in METHODS:
        raise ConfigError(
            f"There is no method '{request.method}'. Choose one of {', '.join(METHODS)}."
        )
    if request.folds not in DRAWN_FOLDS and not Path(request.folds).exists():
        raise ConfigError(
            f"--folds '{request.folds}' is neither patient nor site, nor a folder of split files. "
            "Check the path."
        )
    if request.seeds < 1 or request.n_folds < 2 or not 0 <= request.validation < 0.9:
        raise ConfigError(
            "An evaluation needs one seed or more, two folds or more, and a validation share of at "
            f"least 0 and below 0.9; given: {request.seeds}, {request.n_folds}, "
            f"{request.validation:g}."
        )
    changes: dict[str, Any] = {**request.overrides, "method": request.method}
    if request.tasks:
        changes["cohort.tasks"] = request.tasks
    config = with_absolute_paths(with_overrides(load_preset(request.preset), changes))
    if config.training.patience and not request.validation:
        raise ConfigError(
            "training.patience stops on validation, and --validation 0 leaves none. Give "
            "--validation 0.1, or --set training.patience=0."
        )
    return config


def evaluation_settings(request: EvaluationRequest, config: DreSlclConfig) -> dict[str, Any]:
    """Return everything that decides the figures, by name; the number of seeds may grow.

    Raises
    ------
    JobError
        If the cohort table or a split file cannot be read.
    """
    drawn = request.folds in DRAWN_FOLDS
    settings: dict[str, Any] = {
        "method": request.method,
        "cohort": request.cohort.name,
        "cohort_sha256": _sha256([request.cohort]),
        "folds": request.folds if drawn else "files",
        "split_files_sha256": "" if drawn else _sha256(_split_files(request)),
        "n_folds": request.n_folds if drawn else 0,
        "validation": request.validation,
        "within": dict(sorted(request.within.items())),
        "preset": request.preset,
    }
    for section, fields in config.model_dump(mode="json").items():
        if isinstance(fields, dict):
            names = {f"{section}.{name}": value for name, value in fields.items()}
            settings |= {name: value for name, value in names.items() if name not in _NO_MATTER}
    return settings


def settings_hash(settings: Mapping[str, Any]) -> str:
    """Return a hash that is the same for the same settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def claim_folder(out: Path, settings: Mapping[str, Any]) -> bool:
    """Make the folder of an evaluation, or go on with one of the same settings.

    Parameters
    ----------
    out : Path
        The folder; this process holds its lock.
    settings : mapping
        Of `evaluation_settings`.

    Returns
    -------
    bool
        Whether it was there. Settings with which no cell was finished are replaced.

    Raises
    ------
    JobError
        If it holds something else, or an evaluation with other settings.
    """
    path = out / SETTINGS_FILE
    if path.is_file():
        differences = _differences(_read(path), settings)
        if not differences:
            return True
        if any(out.glob("cells/*/cell.json")):
            raise JobError(
                f"'{out}' holds an evaluation with other settings: {differences}. Choose another "
                "--out, or give the same settings to go on with it."
            )
        for name in ("splits.csv", LEFT_OUT):  # of settings that trained nothing
            (out / name).unlink(missing_ok=True)
    others = [
        found.name
        for found in out.iterdir()
        if not found.name.startswith(".") and found.name not in _OWN_FILES
    ]
    if others:
        raise JobError(
            f"The folder '{out}' is in use already: it holds '{min(others)}'. Choose another --out."
        )
    try:
        write_json(path, dict(settings))
    except OSError as error:
        raise JobError(f"The folder '{out}' cannot be written: {error.strerror}.") from error
    return False


def _read(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path)
    except (OSError, ValueError) as error:
        raise JobError(
            f"'{path}' cannot be read: {error}. Delete the folder, or choose another --out."
        ) from error
    return found if isinstance(found, dict) else {}


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    # As JSON has them: a tuple comes back as a list.
    now = json.loads(json.dumps(now))
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    shown = [
        f"{name} was {before.get(name)!r} and is {now.get(name)!r}"
        for name in names[:_SHOWN_DIFFERENCES]
    ]
    more = len(names) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


def _split_files(request: EvaluationRequest) -> list[Path]:
    folder = Path(request.folds)
    return sorted(folder.glob("[!.]*.*")) if folder.is_dir() else [folder]


def _sha256(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        try:
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
        except OSError as error:
            raise JobError(f"'{path}' cannot be read: {error.strerror}.") from error
    return digest.hexdigest()
