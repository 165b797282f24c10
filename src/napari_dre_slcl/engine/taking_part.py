"""Which slides of a cohort table take part in a training, as far as is known before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from napari_dre_slcl.cohort.cohort import Cohort, read_cohort
from napari_dre_slcl.cohort.left_out import LEFT_OUT, without_left_out
from napari_dre_slcl.cohort.shared_labels import shared_labels
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.broken_slides import BrokenSlides, most_broken
from napari_dre_slcl.engine.left_out_slides import LeftOut, tell_left_out
from napari_dre_slcl.engine.reporter import Reporter

__all__ = ["TakingPart"]

_HARMLESS = ("slide", "slide_id", "features", "site", "split", "mpp")
"""Columns whose values may stand in the log of their user's own run."""


class TakingPart:
    """Reads a table and says who takes part, of a run that begins or is gone on with.

    Parameters
    ----------
    config : DreSlclConfig
        Settings.
    begun_with : mapping of str, optional
        Why slides were left out when the run began that is gone on with: they are again, mended or
        not, and no others are. None where it begins.
    """

    def __init__(self, config: DreSlclConfig, begun_with: Mapping[str, str] | None) -> None:
        self._config = config
        self._begun_with = begun_with

    def read(self, table: Path, reporter: Reporter) -> Cohort:
        """Read the table; some of its slides may not be there, which their opening will show.

        Raises
        ------
        CohortError
            If it cannot be used.
        """
        config = self._config
        cohort = read_cohort(
            table, needs_slides=config.features.folder is None, may_lack=self._may_lack
        )
        # A run's log is passed on: what its author has not asked for must name no patient.
        told = {"", *_HARMLESS, *config.cohort.tasks, *shared_labels(cohort)}
        for found in cohort.warnings:
            sentence = found.sentence if found.column in told else found.neutral
            reporter.warn_once(f"Cohort table: {sentence}")
        return cohort

    def known(self, cohort: Cohort) -> dict[str, str]:
        """Return why slides take no part, as is known before any is opened, by slide_id."""
        folder = self._config.features.folder
        listed = {} if folder is None else without_left_out(cohort, folder)[1]
        return {**listed, **(self._begun_with or {})}

    def tell_known(self, left_out: Mapping[str, LeftOut], total: int, reporter: Reporter) -> None:
        """Tell of the slides that are `known`."""
        folder = self._config.features.folder
        if self._begun_with is not None:
            why = "so it was when the run began, and so it stays even where they have been mended."
        elif folder is not None:
            why = f"they could not be embedded, as '{folder / LEFT_OUT}' says."
        else:
            return
        tell_left_out(left_out, total, why, reporter)

    def broken(self, cohort: Cohort) -> BrokenSlides:
        """Return what collects slides that cannot be opened, as many as may be left out."""
        is_new = self._begun_with is None
        return BrokenSlides(cohort, self._config.cohort.most_broken if is_new else 0.0)

    def _may_lack(self, n_slides: int) -> int:
        if self._begun_with is not None:
            return len(self._begun_with)
        return most_broken(self._config.cohort.most_broken, n_slides)
