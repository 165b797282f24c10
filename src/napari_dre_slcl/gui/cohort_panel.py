"""The Cohort tab: the table of slides, its findings, labels and folds."""

from __future__ import annotations

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QWidget

from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.theme import ThemeColors

__all__ = ["CohortPanel"]


class CohortPanel(QWidget):
    """The Cohort tab: the table of slides, its findings, labels and folds.

    Parameters
    ----------
    session : Session
        What the panels share.
    colors : ThemeColors
        To paint with.
    """

    cohort_chosen = Signal(object)
    """Path of a cohort table that a training should use."""

    def __init__(
        self, session: Session, colors: ThemeColors, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self.set_colors(colors)

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self._colors = colors
