"""Everything that can go wrong with a cohort goes wrong here, before a run folder exists."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.cohort import Cohort, read_cohort
from napari_dre_slcl.cohort.feature_store import feature_file
from napari_dre_slcl.cohort.signal import check_labels, check_signal
from napari_dre_slcl.cohort.splits import assign_splits
from napari_dre_slcl.cohort.tasks import (
    Task,
    encode_labels,
    find_tasks,
    guess_task_columns,
    left_out_columns,
)
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.damage import left_out_warning
from napari_dre_slcl.engine.feature_memory import FeatureMemory
from napari_dre_slcl.engine.feature_source import FeatureLoader, FeatureSource, tile_count
from napari_dre_slcl.engine.findings import warn_of_findings
from napari_dre_slcl.engine.report_vectors import report_vectors
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import CohortError
from napari_dre_slcl.methods.sampling import check_sites
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import TileLoader, TileSource, tile_slide

__all__ = ["PreparedCohort", "open_cohort", "prepare_cohort", "with_split"]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedCohort:
    """A cohort that is ready to train on.

    Parameters
    ----------
    cohort : Cohort
        The table.
    split : ndarray
        (n,) train, val or test; empty for a slide that takes no part.
    tasks : tuple of Task
        What is learned.
    labels : ndarray
        (n, n_tasks) class numbers, -1 where missing.
    reports : ndarray
        (n_train, text_dim) unit vectors of the training reports; width 0 without contrast.
    sources : tuple of TileSource or of FeatureSource
        (n) open slides and their tile grids, or feature files in their place.
    memory : FeatureMemory
        Reads feature files.
    """

    cohort: Cohort
    split: NDArray[np.str_]
    tasks: tuple[Task, ...]
    labels: NDArray[np.int64]
    reports: NDArray[np.float32]
    sources: tuple[TileSource, ...] | tuple[FeatureSource, ...]
    memory: FeatureMemory = field(default_factory=FeatureMemory)

    def rows(self, split: str) -> list[int]:
        """Row numbers of a split."""
        return [int(row) for row in np.flatnonzero(self.split == split)]

    @property
    def feature_dim(self) -> int | None:
        """Width of the stored features; None where tiles are pixels."""
        first = self.sources[0]
        return first.file.dim if isinstance(first, FeatureSource) else None

    def tile_counts(self, rows: Sequence[int]) -> list[int]:
        """Return the number of tiles of some rows."""
        return [tile_count(self.sources[row]) for row in rows]

    def loader(self, rows: Sequence[int], config: DreSlclConfig) -> TileLoader | FeatureLoader:
        """Return what reads the tiles of some rows; the caller closes it.

        Parameters
        ----------
        rows : sequence of int
            Requests number the slides by their position in it.
        config : DreSlclConfig
            Input size, memory and threads.
        """
        settings = config.training
        chosen = [self.sources[row] for row in rows]
        files = [source for source in chosen if isinstance(source, FeatureSource)]
        if files:
            return FeatureLoader(files, memory=self.memory)
        return TileLoader(
            [source for source in chosen if isinstance(source, TileSource)],
            config.encoder.input_px,
            cache_mib=settings.tile_cache_mib,
            workers=settings.workers,
        )

    def close(self) -> None:
        """Close the slides."""
        for source in self.sources:
            if isinstance(source, TileSource):
                source.slide.close()


def prepare_cohort(table: Path, config: DreSlclConfig, reporter: Reporter) -> PreparedCohort:
    """Read a cohort, choose tasks and held-out patients, embed reports, tile every slide.

    Parameters
    ----------
    table : Path
        Cohort table.
    config : DreSlclConfig
        Settings.
    reporter : Reporter
        Told the guesses and the progress.

    Raises
    ------
    CohortError, SlideError, ConfigError
        The first thing that makes the cohort unusable.
    """
    cohort = _read(table, config)
    columns = config.cohort.tasks or guess_task_columns(cohort)
    find_tasks(cohort, columns, np.ones(len(cohort), dtype=bool))
    held_out = config.cohort
    split = assign_splits(
        cohort, columns, held_out.test_fraction, held_out.split_seed, held_out.val_fraction
    )
    origin = "that of the column 'split'" if cohort.rows[0].split else "drawn by patient"
    reporter.log(f"The split is {origin}.")
    prepared = with_split(_unopened(cohort, config), split, config, reporter)
    return replace(prepared, sources=_sources(cohort, config, reporter))


def open_cohort(table: Path, config: DreSlclConfig, reporter: Reporter) -> PreparedCohort:
    """Read a cohort and open its slides or feature files; no slide takes part yet.

    Parameters
    ----------
    table : Path
        Cohort table; its column ``split`` plays no part.
    config : DreSlclConfig
        Settings of the cohort, the tiles and the feature files.
    reporter : Reporter
        Told the progress.

    Returns
    -------
    PreparedCohort
        To be used `with_split`.

    Raises
    ------
    CohortError, SlideError
        The first thing that makes the cohort unusable.
    """
    cohort = _read(table, config)
    find_tasks(cohort, config.cohort.tasks, np.ones(len(cohort), dtype=bool))
    return replace(_unopened(cohort, config), sources=_sources(cohort, config, reporter))


def with_split(
    prepared: PreparedCohort, split: NDArray[np.str_], config: DreSlclConfig, reporter: Reporter
) -> PreparedCohort:
    """Return the same open slides with another split: tasks and reports anew, nothing read again.

    Parameters
    ----------
    prepared : PreparedCohort
        Whoever opened it closes it; what is returned need not be closed.
    split : ndarray
        (n,) train, val or test; empty for a slide that takes no part.
    config : DreSlclConfig
        Settings of tasks, reports and method.
    reporter : Reporter
        Told the guesses.

    Raises
    ------
    CohortError, ConfigError
        If nothing can be learned from these training slides.
    """
    cohort, is_train = prepared.cohort, split == "train"
    if not is_train.any():
        raise CohortError(f"The split of '{cohort.table}' has no training slide.")
    if config.training.within_site:
        check_sites([row.site for row, used in zip(cohort.rows, is_train, strict=True) if used])
    tasks = find_tasks(cohort, config.cohort.tasks, is_train)
    _report_choices(reporter, config, cohort, split, tasks)
    if config.method == "dre-slcl":
        reports = report_vectors(cohort, is_train, config, reporter)
        told = check_signal(cohort, split, tasks, reports, config.loss, config.training)
    else:
        reports = np.zeros((int(is_train.sum()), 0), dtype=np.float32)
        told = check_labels(cohort, split, tasks, config.method)
    for sentence in told:
        reporter.log(sentence, "warning")
    labels = encode_labels(cohort, tasks)
    return replace(prepared, split=split, tasks=tasks, labels=labels, reports=reports)


def _read(table: Path, config: DreSlclConfig) -> Cohort:
    return read_cohort(table, needs_slides=config.features.folder is None)


def _unopened(cohort: Cohort, config: DreSlclConfig) -> PreparedCohort:
    return PreparedCohort(
        cohort=cohort,
        split=np.full(len(cohort), "", dtype="<U5"),
        tasks=(),
        labels=np.empty((len(cohort), 0), dtype=np.int64),
        reports=np.empty((0, 0), dtype=np.float32),
        sources=(),
        memory=FeatureMemory(config.training.tile_cache_mib),
    )


def _sources(
    cohort: Cohort, config: DreSlclConfig, reporter: Reporter
) -> tuple[TileSource, ...] | tuple[FeatureSource, ...]:
    if config.features.folder is not None:
        return _find_features(cohort, config.features.folder, reporter)
    return _tile_all(cohort, config, reporter)


def _report_choices(
    reporter: Reporter,
    config: DreSlclConfig,
    cohort: Cohort,
    split: NDArray[np.str_],
    tasks: tuple[Task, ...],
) -> None:
    how = "as set" if config.cohort.tasks else "guessed from the table; set cohort.tasks to change"
    shown = "; ".join(f"{task.name} ({', '.join(task.classes)})" for task in tasks) or "none"
    reporter.log(f"Tasks, {how}: {shown}.")
    left_out = left_out_columns(cohort, tasks, split == "train")
    if left_out and not config.cohort.tasks:
        reporter.log(f"Columns that are not learned: {left_out}.")
    patients = cohort.patients()
    counts = ", ".join(
        f"{int((split == name).sum())} slides of {len(set(patients[split == name]))} patients "
        f"in {name}"
        for name in ("train", "val", "test")
        if (split == name).any()
    )
    reporter.log(f"Split: {counts}.")


def _find_features(cohort: Cohort, folder: Path, reporter: Reporter) -> tuple[FeatureSource, ...]:
    """Find the feature file of every slide, by its slide_id or the name of its file."""
    if not folder.is_dir():
        raise CohortError(f"The folder of feature files '{folder}' does not exist.")
    sources: list[FeatureSource] = []
    missing: list[str] = []
    for number, row in enumerate(cohort.rows):
        reporter.progress("Finding features", number, len(cohort), row.slide_id)
        names = [row.slide_id, *([row.path.stem] if row.path else [])]
        path = feature_file(folder, names)
        if path is None:
            missing.append(row.slide_id)
        else:
            sources.append(FeatureSource.open(path, row.path))
    if missing:
        raise CohortError(
            f"The folder '{folder}' has no feature file for {len(missing):,} of {len(cohort):,} "
            f"slides, the first is '{missing[0]}.h5'. Add the files, or leave these slides out of "
            "the cohort table."
        )
    reporter.progress("Finding features", len(cohort), len(cohort))
    _check_widths(sources)
    n_tiles = sum(map(tile_count, sources))
    reporter.log(f"Feature files: {n_tiles:,} tiles, {sources[0].file.dim} numbers each.")
    return tuple(sources)


def _check_widths(sources: Sequence[FeatureSource]) -> None:
    first = sources[0].file
    for source in sources:
        if source.file.dim != first.dim:
            raise CohortError(
                f"Feature files are of different encoders: '{first.path.name}' has {first.dim} "
                f"numbers per tile, '{source.file.path.name}' has {source.file.dim}. Keep the "
                "files of one encoder in the folder."
            )


def _tile_all(cohort: Cohort, config: DreSlclConfig, reporter: Reporter) -> tuple[TileSource, ...]:
    sources: list[TileSource] = []
    with ExitStack() as opened:
        for number, row in enumerate(cohort.rows):
            reporter.progress("Finding tissue", number, len(cohort), row.slide_id)
            if row.path is None:
                raise CohortError(f"Slide '{row.slide_id}' of '{cohort.table}' names no file.")
            slide = opened.enter_context(
                open_slide(row.path, mpp=row.mpp, mpp_source="cohort table")
            )
            sources.append(TileSource(slide, tile_slide(slide, config.tiling)))
        reporter.progress("Finding tissue", len(cohort), len(cohort))
        opened.pop_all()  # all went well: whoever asked closes them
    warn_of_findings((source.slide.info for source in sources), reporter)
    for source in sources:
        reporter.warn_once(left_out_warning(source))
    return tuple(sources)
