"""Everything that can go wrong with a cohort goes wrong here, before a run folder exists."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.cohort import Cohort, read_cohort
from napari_dre_slcl.cohort.reports import fit_report_encoder
from napari_dre_slcl.cohort.splits import assign_splits
from napari_dre_slcl.cohort.tasks import Task, encode_labels, find_tasks, guess_task_columns
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.damage import left_out_warning
from napari_dre_slcl.engine.findings import warn_of_findings
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import CohortError
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import TileSource, tile_slide

__all__ = ["PreparedCohort", "prepare_cohort"]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedCohort:
    """A cohort that is ready to train on.

    Parameters
    ----------
    cohort : Cohort
        The table.
    split : ndarray
        (n,) train, val or test.
    tasks : tuple of Task
        What is learned.
    labels : ndarray
        (n, n_tasks) class numbers, -1 where missing.
    reports : ndarray
        (n_train, text_dim) unit vectors of the training reports; width 0 without contrast.
    sources : tuple of TileSource
        (n) open slides and their tile grids.
    """

    cohort: Cohort
    split: NDArray[np.str_]
    tasks: tuple[Task, ...]
    labels: NDArray[np.int64]
    reports: NDArray[np.float32]
    sources: tuple[TileSource, ...]

    def rows(self, split: str) -> list[int]:
        """Row numbers of a split."""
        return [int(row) for row in np.flatnonzero(self.split == split)]

    def close(self) -> None:
        """Close the slides."""
        for source in self.sources:
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
    cohort = read_cohort(table)
    columns = config.cohort.tasks or guess_task_columns(cohort)
    find_tasks(cohort, columns, np.ones(len(cohort), dtype=bool))
    split = assign_splits(cohort, columns, config.cohort.test_fraction, config.cohort.split_seed)
    is_train = split == "train"
    tasks = find_tasks(cohort, columns, is_train) if columns else ()
    _report_choices(reporter, config, cohort, split, tasks)
    reports = _report_vectors(cohort, is_train, config, reporter)
    if not tasks and not reports.shape[1]:
        raise CohortError(
            f"The cohort table '{table}' has neither a label column nor reports to learn from. "
            "Add a column such as 'subtype' or 'report'."
        )
    sources = _tile_all(cohort, config, reporter)
    return PreparedCohort(cohort, split, tasks, encode_labels(cohort, tasks), reports, sources)


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
    patients = cohort.patients()
    counts = ", ".join(
        f"{int((split == name).sum())} slides of {len(set(patients[split == name]))} patients "
        f"in {name}"
        for name in ("train", "val", "test")
        if (split == name).any()
    )
    origin = "by the column 'split'" if cohort.rows[0].split else "drawn by patient"
    reporter.log(f"Split {origin}: {counts}.")


def _report_vectors(
    cohort: Cohort, is_train: NDArray[np.bool_], config: DreSlclConfig, reporter: Reporter
) -> NDArray[np.float32]:
    """Embed the reports of training slides; those of held-out patients are never looked at."""
    texts = [row.report for row, used in zip(cohort.rows, is_train, strict=True) if used]
    if config.loss.contrastive_weight == 0:
        return np.zeros((len(texts), 0), dtype=np.float32)
    if not any(texts):
        reporter.log(
            "No training slide has a report: training goes on without the report contrast.",
            "warning",
        )
        return np.zeros((len(texts), 0), dtype=np.float32)
    present = [text for text in texts if text]
    encoder = fit_report_encoder(present, config.text.dim, config.training.seed)
    reporter.log(
        f"{len(present)} of {len(texts)} training slides have a report; "
        f"TF-IDF and SVD give vectors of width {encoder.dim}."
    )
    return encoder.transform(texts)


def _tile_all(cohort: Cohort, config: DreSlclConfig, reporter: Reporter) -> tuple[TileSource, ...]:
    sources: list[TileSource] = []
    with ExitStack() as opened:
        for number, row in enumerate(cohort.rows):
            reporter.progress("Finding tissue", number, len(cohort), row.slide_id)
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
