"""The Explore tab: what the model says of the slide, and everything to ask it about that."""

from __future__ import annotations

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_dre_slcl.gui.ask_box import AskBox
from napari_dre_slcl.gui.atlas_box import AtlasBox
from napari_dre_slcl.gui.codebook_box import CodebookBox
from napari_dre_slcl.gui.export_box import ExportBox
from napari_dre_slcl.gui.map_box import MapBox
from napari_dre_slcl.gui.result_panel import ResultPanel
from napari_dre_slcl.gui.section import Section
from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.similar_box import SimilarBox
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.gui.tile_hover import TileHover
from napari_dre_slcl.gui.tile_selection import TileSelection
from napari_dre_slcl.gui.what_if_box import WhatIfBox

__all__ = ["ExplorePanel"]


class ExplorePanel(QWidget):
    """Prediction on top, then one section per kind of question, folded away until wanted.

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
        self.hover = TileHover(session)
        self.tile_selection = TileSelection(session)
        self.result_panel = ResultPanel(session, self.hover, colors)
        self.maps = MapBox(session, colors)
        self.codebook = CodebookBox(session, colors)
        self.similar = SimilarBox(session, colors)
        self.ask = AskBox(session, colors)
        self.what_if = WhatIfBox(session, colors)
        self.atlas = AtlasBox(session, colors)
        self.export = ExportBox(session, colors)
        self.sections: dict[str, Section] = {}
        layout = QVBoxLayout(self)
        layout.addWidget(self.result_panel)
        for title, box in (
            ("Maps", self.maps),
            ("Codewords", self.codebook),
            ("Similar tiles and slides", self.similar),
            ("Ask", self.ask),
            ("What if", self.what_if),
            ("Atlas", self.atlas),
            ("Export", self.export),
            ("About this result", self.result_panel.provenance),
        ):
            section = Section(title)
            section.addWidget(box)
            self.sections[title] = section
            layout.addWidget(section)
        layout.addStretch()
        self.ask.values_found.connect(self.maps.show_values)

    def set_colors(self, colors: ThemeColors) -> None:
        """Follow a change of theme."""
        for part in (
            self.result_panel,
            self.maps,
            self.codebook,
            self.similar,
            self.ask,
            self.what_if,
            self.atlas,
            self.export,
        ):
            part.set_colors(colors)
