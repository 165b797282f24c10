"""A made-up cohort of a given size, to try out what a training of that size takes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import write_text
from napari_dre_slcl.cohort.feature_store import FeatureOrigin, write_features
from napari_dre_slcl.cohort.synthetic_plan import SlidePlan, plan_cohort
from napari_dre_slcl.cohort.synthetic_reports import write_report
from napari_dre_slcl.cohort.synthetic_slide import paint_slide, write_pyramid
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import tile_slide

__all__ = ["TrialCohort", "make_cohort"]

_PICTURE_PX, _TILE_PX = 2048, 256
_KINDS = 12
# Of five slides one validates and one tests.
_SPLITS = ("train", "train", "train", "val", "test")
_COLUMNS = ("slide_id", "slide", "patient_id", "site", "split", "subtype", "cancer", "report")


@dataclass(frozen=True, slots=True)
class TrialCohort:
    """What was made.

    Parameters
    ----------
    table : Path
        The cohort table.
    features : Path or None
        Folder of feature files in the place of slides.
    tiles : dict of tuple of int
        Split -> number of tiles of each of its slides.
    """

    table: Path
    features: Path | None
    tiles: dict[str, tuple[int, ...]]


def make_cohort(
    folder: Path, n_slides: int, n_tiles: int, config: DreSlclConfig, feature_dim: int | None
) -> TrialCohort:
    """Make slides of about as many tissue tiles, or feature files of exactly as many.

    Parameters
    ----------
    folder : Path
        To make; gets ``cohort.csv`` and a file for each slide.
    n_slides : int
        At least 10, so that each split has two classes.
    n_tiles : int
        Of a slide.
    config : DreSlclConfig
        How slides are tiled.
    feature_dim : int or None
        Width of the features of each tile; None makes slides.
    """
    files = folder / ("slides" if feature_dim is None else "features")
    files.mkdir(parents=True)
    counts: dict[str, list[int]] = {split: [] for split in _SPLITS}
    rows = []
    pictures = _pictures(n_tiles) if feature_dim is None else iter(())
    for number, plan in enumerate(plan_cohort(n_slides, seed=0)):
        split = _SPLITS[(number // 2) % len(_SPLITS)]  # two neighbours have different labels
        path = files / f"{number:06d}.{'tif' if feature_dim is None else 'h5'}"
        if feature_dim is None:
            write_pyramid(path, next(pictures))
            with open_slide(path) as slide:
                counts[split].append(len(tile_slide(slide, config.tiling)))
        else:
            _write_features(path, number, n_tiles, feature_dim)
            counts[split].append(n_tiles)
        rows.append(_row(number, plan, split, path.relative_to(folder)))
    table = folder / "cohort.csv"
    text = io.StringIO()
    csv.writer(text).writerows([_COLUMNS, *rows])
    write_text(table, text.getvalue())
    features = None if feature_dim is None else files
    return TrialCohort(table, features, {name: tuple(n) for name, n in counts.items()})


def _row(number: int, plan: SlidePlan, split: str, path: Path) -> tuple[str, ...]:
    return (
        path.stem,
        str(path) if path.suffix == ".tif" else "",
        f"P{number:06d}",
        plan.site,
        split,
        ("LUAD", "LUSC")[number % 2],
        ("cancer", "normal")[number // 2 % 2],
        # The number makes each report one of its own.
        f"{write_report(np.random.default_rng([1, number]), plan)} Case {number}.",
    )


def _pictures(n_tiles: int) -> Iterator[NDArray[np.uint8]]:
    """Yield pictures with so many tiles of tissue each, no two the same."""
    plans = plan_cohort(6, seed=0)
    tissue = paint_slide(plans[0], 0, 0, _PICTURE_PX)[0]
    # What lies in the middle is tissue throughout.
    quarter = _PICTURE_PX // 4
    patch = tissue[quarter : 3 * quarter, quarter : 3 * quarter]
    across = int(np.ceil(np.sqrt(n_tiles)))
    down = int(np.ceil(n_tiles / across))
    repeats = [int(np.ceil(n * _TILE_PX / len(patch))) for n in (down, across)]
    rng = np.random.default_rng(0)
    while True:
        shift = rng.integers(0, len(patch), 2)
        rolled = np.roll(patch, shift, axis=(0, 1))
        picture = np.tile(rolled, (*repeats, 1))[: down * _TILE_PX, : across * _TILE_PX]
        # A rim of glass, as slides have; a whole tile, so that the grid keeps its place.
        yield np.pad(
            picture, ((_TILE_PX, _TILE_PX), (_TILE_PX, _TILE_PX), (0, 0)), constant_values=243
        )


def _write_features(path: Path, number: int, n_tiles: int, dim: int) -> None:
    rng = np.random.default_rng([2, number])
    across = int(np.ceil(np.sqrt(n_tiles)))
    places = np.arange(n_tiles)
    coords = np.stack([places // across, places % across], 1).astype(np.int64) * _TILE_PX
    features = rng.standard_normal((n_tiles, dim), dtype=np.float32)
    # Tiles of a few kinds that all slides share, as tissue has: k-means ends as soon as it does
    # on real features.
    kinds = np.random.default_rng(3).standard_normal((_KINDS, dim), dtype=np.float32)
    features += kinds[rng.integers(0, _KINDS, n_tiles)]
    origin = FeatureOrigin(encoder="made up", encoder_sha256="", tile_px=_TILE_PX, mpp=0.5)
    write_features(path, features, coords, origin, _TILE_PX, 0.5)
