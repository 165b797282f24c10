"""TileHover: says what is known of the tile under the mouse, in the panel and the status bar."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.gui.tile_under import tile_at
from napari_dre_slcl.layers import TileMap, value_text
from napari_dre_slcl.layers.map_words import evidence_words
from napari_dre_slcl.plain_text import untagged, visible
from napari_dre_slcl.results import SlideResult

__all__ = ["TileHover", "tile_rows"]

_MOST_HEADS = 3
_CODEWORD, _CENTRE = "Codeword", "Centre"


class TileHover(QObject):
    """Follows the mouse over a viewer.

    Parameters
    ----------
    session : Session
        What the panels share.
    """

    tile_changed = Signal(object)
    """Position of the tile under the mouse in the result's tile table, or None."""
    facts_changed = Signal()
    """Other things are known of the tiles now: another slide, result or map."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._viewer = session.viewer
        self._tile: int | None = None
        self._rows: list[tuple[str, str]] = []
        self._text = ""
        self._viewer.mouse_move_callbacks.append(self._on_move)
        self._viewer.events.status.connect(self._on_status)
        session.overlay.slide_changed.connect(self._forget)
        session.overlay.result_shown.connect(self._forget)
        session.overlay.map_shown.connect(self._on_map)

    @property
    def tile(self) -> int | None:
        """Position of the tile under the mouse in the result's tile table, or None."""
        return self._tile

    def rows(self) -> list[tuple[str, str]]:
        """Return (name, value) of all that is known of the tile under the mouse."""
        return self._rows

    def rows_of(self, tile: int) -> list[tuple[str, str]]:
        """Return (name, value) of all that is known of a tile of the slide that is meant."""
        result = self._session.result
        if result is None or not len(result.rowcol):
            return []
        name = self._session.codewords.name(int(result.codeword[tile]))
        return tile_rows(result, tile, self._session.overlay.tile_map, name)

    def close(self) -> None:
        """Stop following the mouse."""
        if self._viewer is None:
            return
        if self._on_move in self._viewer.mouse_move_callbacks:
            self._viewer.mouse_move_callbacks.remove(self._on_move)
        self._viewer.events.status.disconnect(self._on_status)
        self._viewer = None

    def _on_move(self, viewer: Any, event: Any) -> None:
        self.look_at(event.position)

    def look_at(self, position: Any) -> None:
        """Mean the tile at a place of the world.

        Parameters
        ----------
        position : sequence of float
            World coordinates.
        """
        tile = tile_at(self._session.overlay, position)
        if tile == self._tile:
            return
        self._tile = tile
        self._tell()
        self.tile_changed.emit(tile)

    def _tell(self) -> None:
        """Write the map's value, the codeword and the place into the status bar: it is short."""
        self._rows = [] if self._tile is None else self.rows_of(self._tile)
        # napari's status bar takes text that begins like a tag for HTML.
        told = " · ".join(
            value if name == _CODEWORD else f"{name} {value}"
            for number, (name, value) in enumerate(self._rows)
            if number == 0 or name in (_CODEWORD, _CENTRE)
        )
        self._text = untagged(visible(told))
        if self._text and self._viewer is not None:
            self._viewer.status = self._text

    def _forget(self, *_: object) -> None:
        if self._tile is not None:
            self._tile, self._rows, self._text = None, [], ""
            self.tile_changed.emit(None)
        self.facts_changed.emit()

    def _on_map(self, tile_map: TileMap) -> None:
        self._tell()
        self.facts_changed.emit()

    def _on_status(self, event: Any) -> None:
        """Put our words back after napari has written those of the active layer."""
        if self._text and event.value != self._text and self._viewer is not None:
            self._viewer.status = self._text


def tile_rows(
    result: SlideResult, tile: int, tile_map: TileMap | None, codeword: str
) -> list[tuple[str, str]]:
    """Return (name, value) lines about one tile: first what is drawn, then all else.

    Parameters
    ----------
    result : SlideResult
        Of the slide.
    tile : int
        Position in its tile table.
    tile_map : TileMap or None
        That is drawn.
    codeword : str
        Name of the tile's codeword.
    """
    rows = {}
    if tile_map is not None:
        rows[tile_map.title] = value_text(tile_map.unit, float(tile_map.values[tile]))
    if result.n_codewords:
        rows[_CODEWORD] = codeword
    times = float(result.attention[tile]) * len(result.attention)
    rows["Attention"] = value_text("x average", times)
    if result.evidence is not None:
        for value, head in list(zip(result.evidence[tile], result.evidence_of, strict=True))[
            :_MOST_HEADS
        ]:
            words = evidence_words(*head)
            rows[words.title] = value_text(words.unit, 100 * float(value))
    if result.n_codewords:
        rows["Distance from the codeword"] = value_text("", float(result.residual_norm[tile]))
    rows[_CENTRE] = _centre_text(result, tile)
    return list(rows.items())


def _centre_text(result: SlideResult, tile: int) -> str:
    y, x = (
        result.rowcol[tile] + 0.5
    ) * result.tile_size_px  # of this tile alone: there may be 10^6
    if result.mpp is None:
        return f"x {x:,.0f} px, y {y:,.0f} px"
    return f"x {x * result.mpp:,.0f} µm, y {y * result.mpp:,.0f} µm"
