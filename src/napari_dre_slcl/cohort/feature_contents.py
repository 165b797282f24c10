"""What the feature files of a cohort hold: whether they can be read, fit together, are numbers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np

from napari_dre_slcl.cohort.feature_store import (
    FeatureFile,
    feature_file,
    open_features,
    read_rows,
)
from napari_dre_slcl.cohort.problems import Findings, Problem, in_order
from napari_dre_slcl.cohort.rows import Cohort, SlideRow
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide.remote import is_remote

__all__ = ["check_feature_contents"]

T = TypeVar("T", bound=Hashable)

_SAMPLED_TILES = 64
"""At the start, in the middle and at the end of a file."""


def check_feature_contents(
    cohort: Cohort,
    folder: Path | None = None,
    on_file: Callable[[int, int], None] = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """Open every feature file and look at a sample of its tiles.

    Parameters
    ----------
    cohort : Cohort
        The slides.
    folder : Path, optional
        Folder of feature files that stand for the slides; else those that the table names.
    on_file : callable
        Is told how many files are done, of how many.
    should_stop : callable
        Asked before each file; what was found until then is returned.

    Returns
    -------
    problems, warnings : tuple of Problem
        Files that cannot be read, have another number of features per tile than most, or hold
        what is no number; files of another encoder or pixel size, and files without coordinates.
        Files that do not exist are `check_cohort`'s to tell.
    """
    findings = Findings()
    named = [(row, path) for row in cohort.rows if (path := _file_of(row, folder)) is not None]
    found: dict[int, FeatureFile] = {}
    for done, (row, path) in enumerate(named):
        if should_stop():
            break
        try:
            file = open_features(path)
            read_rows(file, _sample(file.n_tiles))
            found[row.number] = file
        except SlideError as error:
            findings.refuse(str(error).rstrip("."), [row.number], "features")
        on_file(done + 1, len(named))
    _compare(found, findings)
    return in_order(findings.problems), in_order(findings.warnings)


def _file_of(row: SlideRow, folder: Path | None) -> Path | None:
    if folder is not None:
        return feature_file(folder, [row.slide_id, *([row.path.stem] if row.path else [])])
    path = row.features
    return path if path is not None and (is_remote(path) or path.is_file()) else None


def _sample(n_tiles: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return tiles that lie together: a file is read in pieces, and far ones cost a read each."""
    count = min(_SAMPLED_TILES, n_tiles)
    starts = (0, (n_tiles - count) // 2, n_tiles - count)
    return np.unique(np.concatenate([np.arange(start, start + count) for start in starts]))


def _compare(found: dict[int, FeatureFile], findings: Findings) -> None:
    for number_of_features, usual, numbers in _odd_ones((n, f.dim) for n, f in found.items()):
        findings.refuse(
            f"the feature file holds {number_of_features:,} numbers per tile, most others "
            f"{usual:,}; use files of one encoder",
            numbers,
            "features",
        )
    encoders = ((n, str(f.attrs.get("encoder", ""))) for n, f in found.items())
    for encoder, usual_encoder, numbers in _odd_ones(encoders):
        findings.warn(
            f"the features are of {_quoted(encoder)}, most others of {_quoted(usual_encoder)}",
            numbers,
            "features",
        )
    sizes = ((n, 0.0 if f.mpp is None else round(f.mpp, 3)) for n, f in found.items())
    for size, usual_size, numbers in _odd_ones(sizes):
        findings.warn(
            f"the tiles have {_microns(size)}, most others {_microns(usual_size)}",
            numbers,
            "features",
        )
    silent = [number for number, file in found.items() if not file.has_coords]
    if silent:
        findings.warn(
            "the feature files do not say where their tiles lie, so that there will be no maps",
            silent,
            "features",
        )


def _odd_ones(pairs: Iterable[tuple[int, T]]) -> list[tuple[T, T, list[int]]]:
    """Return each value that is not the usual one, with the usual one and the rows."""
    rows: dict[T, list[int]] = defaultdict(list)
    for number, value in pairs:
        rows[value].append(number)
    if len(rows) < 2:
        return []
    usual = Counter({value: len(numbers) for value, numbers in rows.items()}).most_common(1)[0][0]
    return [(value, usual, numbers) for value, numbers in rows.items() if value != usual]


def _quoted(encoder: str) -> str:
    return f"the encoder '{encoder}'" if encoder else "an encoder that is not named"


def _microns(size: float) -> str:
    return f"pixels of {size:g} µm" if size else "no stated pixel size"
