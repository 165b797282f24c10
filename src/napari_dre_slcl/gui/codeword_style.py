"""CodewordStyle: names, colours and visibility of the codewords of the model that is meant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels, Layer
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import ArrayLike, NDArray
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.gui.layer_facts import facts_of
from napari_dre_slcl.insight.codeword_names import default_name, read_header, read_names
from napari_dre_slcl.layers import codeword_colors, codeword_shares
from napari_dre_slcl.results import SlideResult

if TYPE_CHECKING:
    from napari_dre_slcl.gui.session import Session

__all__ = ["CodewordStyle"]


@dataclass(slots=True, eq=False)
class _Look:
    """How the codewords of one model look."""

    names: list[str]
    colors: NDArray[np.float32]
    is_visible: NDArray[np.bool_]


class CodewordStyle(QObject):
    """What every legend, card and layer asks for how a codeword looks.

    It follows the result of the slide that is meant; what the user has changed is kept per model
    for as long as the window is open, names in the model's own folder as well.

    Parameters
    ----------
    session : Session
        With an overlay; layers of clusters are painted again with every change.
    """

    changed = Signal()
    """Names, colours or visibility are others now."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._looks: dict[tuple[str, int], _Look] = {}
        self._look = _fresh_look(())
        self._key = ("", 0)
        self._folder: Path | None = None
        session.overlay.result_shown.connect(self._on_overlay)
        session.overlay.slide_changed.connect(self._on_overlay)

    @property
    def n_codewords(self) -> int:
        """K; 0 where nothing is shown, or by a method without codewords."""
        return len(self._look.names)

    @property
    def names(self) -> tuple[str, ...]:
        """One per codeword."""
        return tuple(self._look.names)

    @property
    def colors(self) -> NDArray[np.float32]:
        """(K, 4) RGBA in 0-1, opaque, whatever is visible."""
        return self._look.colors.copy()

    @property
    def is_visible(self) -> NDArray[np.bool_]:
        """(K,) whether the tiles of each codeword are drawn."""
        return self._look.is_visible.copy()

    @property
    def model(self) -> Path | None:
        """Folder of the model whose names these are, or None where it is not known."""
        return self._folder

    def name(self, codeword: int) -> str:
        """Return the name of a codeword, by its number from 0."""
        return self._look.names[codeword] if codeword < self.n_codewords else default_name(codeword)

    def _on_overlay(self, shown: object) -> None:
        self.follow()

    def follow(self) -> None:
        """Mean the codewords of the result that is shown now."""
        result = self._session.result
        if result is None:
            return
        model = result.provenance.get("model_sha256", "")
        self._key = (model, result.n_codewords)
        given = result.codeword_names or tuple(map(default_name, range(result.n_codewords)))
        self._look = self._looks.setdefault(self._key, _fresh_look(given))
        self._folder = _folder_of(result, self._session.model)
        if self._folder is not None and result.n_codewords:
            self._session.background.run(
                "names of codewords",
                _stored_names,
                self._folder,
                self._key,
                on_done=self._take_names,
                on_error=lambda _: None,  # a model that has gone takes no names with it
            )
        self._tell()

    def set_name(self, codeword: int, name: str) -> None:
        """Call a codeword something; whoever asks for it also writes it into the model."""
        if self._look.names[codeword] != name:
            self._look.names[codeword] = name or default_name(codeword)
            self._tell()

    def set_color(self, codeword: int, color: ArrayLike) -> None:
        """Draw the tiles of a codeword in a colour, (3,) or (4,) RGB of 0-1."""
        self._look.colors[codeword, :3] = np.asarray(color, np.float32)[:3]
        self._tell()

    def set_visible(self, codeword: int, is_visible: bool) -> None:
        """Draw the tiles of a codeword, or leave them out."""
        if self._look.is_visible[codeword] != is_visible:
            self._look.is_visible[codeword] = is_visible
            self._tell()

    def isolate(self, codeword: int | None) -> None:
        """Draw the tiles of one codeword alone, or of all again."""
        chosen = np.arange(self.n_codewords) == codeword
        self._look.is_visible[:] = True if codeword is None else chosen
        self._tell()

    @property
    def isolated(self) -> int | None:
        """The one codeword that is drawn alone, or None."""
        shown = np.flatnonzero(self._look.is_visible)
        return int(shown[0]) if len(shown) == 1 and self.n_codewords > 1 else None

    def label_colors(self) -> dict[int | None, NDArray[np.float32]]:
        """Return the colour of each value of a layer of clusters; value = codeword + 1."""
        clear = np.zeros(4, np.float32)
        drawn = self._look.colors.copy()
        drawn[~self._look.is_visible, 3] = 0
        return {None: clear, 0: clear} | {i + 1: color for i, color in enumerate(drawn)}

    def _take_names(self, stored: tuple[tuple[str, int], tuple[str, ...]]) -> None:
        key, names = stored
        look = self._looks.get(key)
        if look is not None and len(names) == len(look.names) and list(names) != look.names:
            look.names[:] = names
            self._tell()

    def _tell(self) -> None:
        self._paint()
        self.changed.emit()

    def _paint(self) -> None:
        """Give the layer of clusters its colours; its million tiles stay untouched."""
        result, overlay = self._session.result, self._session.overlay
        if result is None or not self.n_codewords:
            return
        layer = overlay.layer("clusters")
        if isinstance(layer, Labels):
            paint_clusters(layer, self, result)


def paint_clusters(layer: Layer, style: CodewordStyle, result: SlideResult) -> None:
    """Draw a layer of clusters in the colours and under the names of a style.

    Parameters
    ----------
    layer : napari.layers.Labels
        Of clusters.
    style : CodewordStyle
        Of as many codewords.
    result : SlideResult
        That the layer shows.
    """
    if facts_of(layer).get("kind") != "clusters" or result.n_codewords != style.n_codewords:
        return
    layer.colormap = DirectLabelColormap(color_dict=style.label_colors())
    names = ["no tile", *style.names]
    if list(layer.features.get("codeword", ())) != names:
        layer.features = {"codeword": names, "share": [0.0, *codeword_shares(result).tolist()]}


def _fresh_look(names: tuple[str, ...]) -> _Look:
    colors = codeword_colors(len(names)) if names else np.empty((0, 4), np.float32)
    return _Look(list(names), colors, np.ones(len(names), bool))


def _folder_of(result: SlideResult, chosen: Path | None) -> Path | None:
    """Return where the model of a result is kept, as far as that is known."""
    stated = result.provenance.get("model", "")
    return Path(stated) if stated else chosen


def _stored_names(folder: Path, key: tuple[str, int]) -> tuple[tuple[str, int], tuple[str, ...]]:
    """Read the names of a model, if it is the one that is meant; not to be called on main."""
    if read_header(folder).get("weights_sha256") != key[0]:
        raise ModelError(f"'{folder}' is another model than that of the result.")
    return key, read_names(folder)
