"""Slides of a cohort that cannot be used: with their reasons, and when they are too many."""

from __future__ import annotations

from napari_dre_slcl.cohort.cohort import Cohort
from napari_dre_slcl.engine.world import World
from napari_dre_slcl.errors import CohortError, SlideError

__all__ = ["BrokenSlides", "most_broken"]

_SHOWN = 3
_ROUNDING = 1e-9
"""A tenth of 30 is 3, whatever comes of it in floating point."""


def most_broken(share: float, n_slides: int) -> int:
    """Return how many of some slides a share is, rounded down."""
    return int(share * n_slides + _ROUNDING)


class BrokenSlides:
    """Collects the slides that cannot be opened or hold no tissue.

    Parameters
    ----------
    cohort : Cohort
        All slides.
    share : float, default 0
        So many of them may be left out; 0 refuses the first with its own error.

    Attributes
    ----------
    reasons : dict of str
        Why a slide cannot be used, by its row.
    """

    def __init__(self, cohort: Cohort, share: float = 0.0) -> None:
        self._cohort = cohort
        self._share = share
        self.reasons: dict[int, str] = {}

    def __contains__(self, row: object) -> bool:
        return row in self.reasons

    def add(self, row: int, error: SlideError) -> None:
        """Leave a slide out.

        Raises
        ------
        SlideError
            The one given, where none may be left out.
        CohortError
            If there are too many by now.
        """
        if not self._share:
            raise error
        self.reasons.setdefault(row, str(error))
        self._check()

    def agree(self, world: World) -> None:
        """Leave out what any process of a training has found; all must call it.

        Raises
        ------
        CohortError
            In all processes, if these are too many.
        """
        if world.size == 1:
            return
        found: dict[int, str] = {}
        for told in world.exchange({str(row): reason for row, reason in self.reasons.items()}):
            for row, reason in told.items():
                found.setdefault(int(row), reason)
        self.reasons = dict(sorted(found.items()))
        self._check()

    def by_name(self) -> dict[str, str]:
        """Return the reasons by slide_id, in the order of the table."""
        return {self._cohort.rows[row].slide_id: self.reasons[row] for row in sorted(self.reasons)}

    def _check(self) -> None:
        n_slides, n_broken = len(self._cohort), len(self.reasons)
        most = most_broken(self._share, n_slides)
        if n_broken <= most:
            return
        may = f"{most:,} may be left out" if most else "none may be left out of so few"
        rest = n_broken - _SHOWN
        more = f" And {rest:,} more." if rest > 0 else ""
        raise CohortError(
            f"At least {n_broken:,} of the {n_slides:,} slides of '{self._cohort.table}' cannot "
            f"be used, and {may} (cohort.most_broken={self._share:g}). "
            f"{' '.join(list(self.reasons.values())[:_SHOWN])}{more} Is the folder of the slides "
            "mounted? 'dre-slcl train --estimate --set cohort.most_broken=1' lists all of them and "
            "starts nothing. Mend them, take them out of the table, or raise cohort.most_broken."
        )
