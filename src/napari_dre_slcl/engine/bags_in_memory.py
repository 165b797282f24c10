"""Bags of tile features that a script holds, as a cohort that the engine can train on.

Bags of one slide each, as arrays or as feature files; no table and no slide is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.cohort import Cohort, SlideRow
from napari_dre_slcl.cohort.feature_store import FeatureFile, StoredFeatures
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.feature_memory import FeatureMemory
from napari_dre_slcl.engine.feature_source import FeatureSource
from napari_dre_slcl.engine.prepare import PreparedCohort, with_split
from napari_dre_slcl.engine.reporter import Reporter

__all__ = ["Bag", "LabelledBags", "prepare_bags"]

Bag = NDArray[np.float32] | FeatureSource
"""(n_tiles, d) features, or the file that holds them."""

_WHERE = Path("the bags that were given")


@dataclass(frozen=True, slots=True, eq=False)
class LabelledBags:
    """What a method is to learn from, one entry per slide in each sequence.

    Parameters
    ----------
    bags : sequence of Bag
        Of the same width.
    labels : sequence of str
        Classes of the one task.
    task : str
        Its name.
    patients, sites, reports : sequence of str
        Empty text where unknown; a slide whose patient is not known is its own patient.
    """

    bags: Sequence[Bag]
    labels: Sequence[str]
    task: str
    patients: Sequence[str]
    sites: Sequence[str]
    reports: Sequence[str]


def prepare_bags(data: LabelledBags, config: DreSlclConfig, reporter: Reporter) -> PreparedCohort:
    """Return bags as a cohort whose slides all are for training.

    Parameters
    ----------
    data : LabelledBags
        Bags and what is known of them.
    config : DreSlclConfig
        Settings; ``cohort.tasks`` names the task.
    reporter : Reporter
        Told the choices.

    Raises
    ------
    CohortError, ConfigError
        If nothing can be learned from them.
    """
    names = [f"bag {number + 1}" for number in range(len(data.bags))]
    memory = FeatureMemory(config.training.tile_cache_mib)
    sources = tuple(_source(name, bag, memory) for name, bag in zip(names, data.bags, strict=True))
    rows = tuple(
        SlideRow(
            slide_id=name,
            path=None,
            patient_id=data.patients[i] or name,
            site=data.sites[i],
            report=data.reports[i],
            mpp=None,
            split="train",
            labels={data.task: data.labels[i]},
            features=sources[i].file.path,
            number=i + 1,
        )
        for i, name in enumerate(names)
    )
    split = np.full(len(rows), "train", dtype="<U5")
    unsplit = PreparedCohort(
        cohort=Cohort(_WHERE, rows, (data.task,)),
        split=split,
        tasks=(),
        labels=np.empty((len(rows), 0), dtype=np.int64),
        reports=np.empty((0, 0), dtype=np.float32),
        sources=sources,
        memory=memory,
    )
    return with_split(unsplit, split, config, reporter)


def _source(name: str, bag: Bag, memory: FeatureMemory) -> FeatureSource:
    if isinstance(bag, FeatureSource):
        return bag
    file = FeatureFile(Path(name), len(bag), bag.shape[1], has_coords=False, attrs={})
    memory.put(StoredFeatures(bag, None, file))
    return FeatureSource(file)
