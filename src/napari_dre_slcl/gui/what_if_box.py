"""What if: predict the slide as if some of its tissue were not there."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget

from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.theme import ThemeColors

__all__ = ["WhatIfBox"]


class WhatIfBox(QWidget):
    """What if: predict the slide as if some of its tissue were not there.

    Parameters
    ----------
    session : Session
        What the panels share.
    colors : ThemeColors
        To paint with.
    """

    def __init__(
        self, session: Session, colors: ThemeColors, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self.set_colors(colors)

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        self._colors = colors
