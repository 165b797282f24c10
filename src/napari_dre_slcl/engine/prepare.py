"""Everything that can go wrong with a cohort goes wrong here, before a run folder exists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.cohort import Cohort
from napari_dre_slcl.cohort.leakage import check_leakage, without_test_reports
from napari_dre_slcl.cohort.report_model import ReportModel
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
from napari_dre_slcl.engine.broken_slides import BrokenSlides
from napari_dre_slcl.engine.feature_memory import FeatureMemory
from napari_dre_slcl.engine.feature_source import FeatureLoader, FeatureSource, tile_count
from napari_dre_slcl.engine.left_out_slides import (
    LeftOut,
    check_sides,
    keep_rows,
    said_once,
    tell_left_out,
)
from napari_dre_slcl.engine.open_sources import open_sources
from napari_dre_slcl.engine.report_vectors import report_vectors
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.taking_part import TakingPart
from napari_dre_slcl.engine.world import SOLO, World
from napari_dre_slcl.errors import CohortError
from napari_dre_slcl.methods.sampling import check_sites
from napari_dre_slcl.tiles import TileLoader, TileSource

_BROKEN = "they cannot be opened, or hold no tissue. A run lists them in its file 'left-out.csv'."

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
    report_model : ReportModel or None
        What was fitted on the training reports, to be kept with the model.
    left_out : dict of LeftOut
        Slides of the table that are in none of these because they cannot be used, by slide_id.
    whole : Cohort or None
        The table with these, over which an evaluation draws its splits.
    """

    cohort: Cohort
    split: NDArray[np.str_]
    tasks: tuple[Task, ...]
    labels: NDArray[np.int64]
    reports: NDArray[np.float32]
    sources: tuple[TileSource, ...] | tuple[FeatureSource, ...]
    memory: FeatureMemory = field(default_factory=FeatureMemory)
    report_model: ReportModel | None = None
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)
    whole: Cohort | None = None

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


def prepare_cohort(
    table: Path,
    config: DreSlclConfig,
    reporter: Reporter,
    world: World = SOLO,
    begun_with: Mapping[str, str] | None = None,
) -> PreparedCohort:
    """Read a cohort, choose tasks and held-out patients, embed reports, tile every slide.

    Slides that cannot be used are left out, up to ``cohort.most_broken`` of them. The split is
    drawn before. What is wrong with the table itself is told before any slide is opened.

    Parameters
    ----------
    table : Path
        Cohort table.
    config : DreSlclConfig
        Settings.
    reporter : Reporter
        Told the guesses and the progress.
    world : World
        The processes of a training, which all call this.
    begun_with : mapping of str, optional
        Why slides were left out when the run began that is gone on with: they are again, mended or
        not, and no others are.

    Raises
    ------
    CohortError, SlideError, ConfigError
        The first thing that makes the cohort unusable.
    JobError
        If only another process finds it so.
    """
    once, who = said_once(reporter), TakingPart(config, begun_with)
    planned = world.all_do(lambda: _without_slides(table, config, once, who))
    broken = who.broken(planned.cohort)
    sources = open_sources(planned.cohort, config, reporter, world, broken)
    opened = replace(planned, sources=sources)
    if not broken.reasons:
        return opened
    with ExitStack() as on_failure:
        on_failure.callback(opened.close)
        # Before: errors of the table come before hours of opening. Now: what is left.
        left = world.all_do(lambda: _without_broken(opened, broken, config, once))
        on_failure.pop_all()
    return left


def _without_slides(
    table: Path, config: DreSlclConfig, reporter: Reporter, who: TakingPart
) -> PreparedCohort:
    cohort = who.read(table, reporter)
    columns = config.cohort.tasks or guess_task_columns(cohort)
    find_tasks(cohort, columns, np.ones(len(cohort), dtype=bool))
    held_out = config.cohort
    split = assign_splits(
        cohort, columns, held_out.test_fraction, held_out.split_seed, held_out.val_fraction
    )
    origin = "that of the column 'split'" if cohort.rows[0].split else "drawn by patient"
    reporter.log(f"The split is {origin}.")
    check_leakage(cohort, split, uses_reports=_uses_reports(config))
    kept, split, left_out = keep_rows(cohort, split, who.known(cohort))
    who.tell_known(left_out, len(cohort), reporter)
    check_sides(table, split, left_out)
    return with_split(replace(_unopened(kept, config), left_out=left_out), split, config, reporter)


def _without_broken(
    opened: PreparedCohort, broken: BrokenSlides, config: DreSlclConfig, reporter: Reporter
) -> PreparedCohort:
    cohort, split, left_out = keep_rows(opened.cohort, opened.split, broken.by_name())
    tell_left_out(left_out, len(opened.cohort), _BROKEN, reporter)
    check_sides(cohort.table, split, left_out)
    kept = replace(opened, cohort=cohort, left_out={**opened.left_out, **left_out})
    return with_split(kept, split, config, reporter)


def open_cohort(
    table: Path,
    config: DreSlclConfig,
    reporter: Reporter,
    begun_with: Mapping[str, str] | None = None,
) -> PreparedCohort:
    """Read a cohort and open its slides or feature files; no slide takes part yet.

    Parameters
    ----------
    table : Path
        Cohort table; its column ``split`` plays no part.
    config : DreSlclConfig
        Settings of the cohort, the tiles and the feature files.
    reporter : Reporter
        Told the progress.
    begun_with : mapping of str, optional
        As of `prepare_cohort`.

    Returns
    -------
    PreparedCohort
        To be used `with_split`.

    Raises
    ------
    CohortError, SlideError
        The first thing that makes the cohort unusable.
    """
    who = TakingPart(config, begun_with)
    whole = who.read(table, reporter)
    find_tasks(whole, config.cohort.tasks, np.ones(len(whole), dtype=bool))
    nobody = np.full(len(whole), "", dtype="<U5")
    listed, split, known = keep_rows(whole, nobody, who.known(whole))
    who.tell_known(known, len(whole), reporter)
    broken = who.broken(listed)
    sources = open_sources(listed, config, reporter, broken=broken)
    cohort, _, found = keep_rows(listed, split, broken.by_name())
    tell_left_out(found, len(whole), _BROKEN, reporter)
    left_out = {**known, **found}
    return replace(_unopened(cohort, config), sources=sources, left_out=left_out, whole=whole)


def with_split(
    prepared: PreparedCohort, split: NDArray[np.str_], config: DreSlclConfig, reporter: Reporter
) -> PreparedCohort:
    """Return the same open slides with another split: tasks and reports anew, nothing read again.

    Parameters
    ----------
    prepared : PreparedCohort
        As `open_cohort` returns it; whoever opened it closes it, what is returned here need not
        be closed.
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
    # Published splits have slides of a test patient in training; the report is the patient's.
    cohort, is_train = without_test_reports(prepared.cohort, split), split == "train"
    if not is_train.any():
        raise CohortError(f"The split of '{cohort.table}' has no training slide.")
    if config.training.within_site:
        check_sites([row.site for row, used in zip(cohort.rows, is_train, strict=True) if used])
    tasks = find_tasks(cohort, config.cohort.tasks, is_train)
    _report_choices(reporter, config, cohort, split, tasks)
    report_model = None
    if config.method == "dre-slcl":
        reports, report_model = report_vectors(cohort, is_train, config, reporter)
        told = check_signal(cohort, split, tasks, reports, config.loss, config.training)
    else:
        reports = np.zeros((int(is_train.sum()), 0), dtype=np.float32)
        told = check_labels(cohort, split, tasks, config.method)
    for sentence in told:
        reporter.log(sentence, "warning")
    labels = encode_labels(cohort, tasks)
    return replace(
        prepared,
        cohort=cohort,
        split=split,
        tasks=tasks,
        labels=labels,
        reports=reports,
        report_model=report_model,
    )


def _uses_reports(config: DreSlclConfig) -> bool:
    return config.method == "dre-slcl" and config.loss.contrastive_weight > 0


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
