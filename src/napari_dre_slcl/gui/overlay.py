"""Overlay: the one link between viewer and panels; it owns every layer we add."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.gui.arrangement import arrange_result, hide_tissue, show_tissue
from napari_dre_slcl.gui.background import Background
from napari_dre_slcl.gui.layer_facts import facts_of, follow_mpp, give_mpp
from napari_dre_slcl.gui.map_drawing import change_map, change_raster, number_colors
from napari_dre_slcl.gui.our_layers import OurLayers
from napari_dre_slcl.gui.shown_results import ShownResults, load_drawn
from napari_dre_slcl.gui.side_by_side import COPY_KIND, slide_copy
from napari_dre_slcl.gui.viewed_slide import viewed_slide
from napari_dre_slcl.layers import METADATA_KEY, DrawnResult, LayerData, TileMap, map_layer
from napari_dre_slcl.results import SlideResult
from napari_dre_slcl.slide import SlideInfo, open_slide

__all__ = ["Overlay"]

_FROM_RESULT = "given when the slide was predicted"


class Overlay(QObject):
    """Adds slides and results to a viewer and knows which slide is meant.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    background : Background
        Loads files.
    """

    slide_changed = Signal(object)
    """`SlideInfo` of the slide that is meant now, or None."""
    result_shown = Signal(object)
    """`SlideResult` whose layers have just been added or updated."""
    active_changed = Signal()
    """Another layer is the active one, or layers came or went."""
    visibility_changed = Signal()
    """A layer of ours was shown or hidden, by us or in the layer list."""
    map_shown = Signal(object)
    """`TileMap` that is drawn over the slide that is meant now."""
    failed = Signal(str)
    """A sentence."""

    def __init__(self, viewer: Any, background: Background, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._background = background
        self._last_path: str | None = None
        self._has_slide = False
        self._ours = OurLayers(viewer)
        self._shown = ShownResults()
        self._aside: WeakSet[Layer] = WeakSet()
        events = viewer.layers.events
        events.inserted.connect(self._on_inserted)
        events.removed.connect(self._on_removed)
        viewer.layers.selection.events.active.connect(self._on_layers_changed)

    @property
    def background(self) -> Background:
        """What does slow work on slides for the panels."""
        return self._background

    @property
    def path(self) -> str | None:
        """Path of the slide that is meant; its result may be shown without it being open."""
        return self._last_path

    @property
    def slide(self) -> SlideInfo | None:
        """The slide that is meant: of the active layer, else the one meant before, else any."""
        layer = self.layer("slide")
        return None if layer is None else layer.metadata[METADATA_KEY]["info"]

    def layer(self, kind: str, path: str | None = None) -> Layer | None:
        """Return our layer of a kind (slide, clusters, attention, tissue) of a slide.

        Parameters
        ----------
        kind : str
            What it shows.
        path : str, optional
            Of the slide; the slide that is meant by default.
        """
        return self._ours.find(kind, path or self._last_path)

    def result(self, path: str | None) -> SlideResult | None:
        """Return the result that was last shown for the slide with this path."""
        return self._shown.result(path)

    def result_file(self, path: str | None) -> Path | None:
        """Return the file of that result, or None where it was not loaded from one."""
        return self._shown.file(path)

    @property
    def drawn(self) -> DrawnResult | None:
        """The result of the slide that is meant with its layers as they were made, or None."""
        return self._shown.drawn(self._last_path)

    @property
    def tile_map(self) -> TileMap | None:
        """The map that is drawn over the slide that is meant, or None."""
        return self._shown.tile_map(self._last_path)

    def open_slide(self, path: Path, mpp: float | None = None) -> None:
        """Add a slide as a layer, unless it is there, and mean it from now on.

        Parameters
        ----------
        path : Path
            Slide file or DICOM folder.
        mpp : float, optional
            µm per level-0 pixel where the file does not say.

        Raises
        ------
        SlideError
            If it cannot be opened.
        """
        slide = open_slide(path, mpp)
        layer = self.layer("slide", slide.info.path)
        if layer is None:
            layer = self._add(viewed_slide(slide))
            self._viewer.reset_view()
        else:
            slide.close()
            if mpp is not None:
                self.set_mpp(mpp, path=slide.info.path)
        self._viewer.layers.selection.active = layer

    def set_mpp(self, mpp: float | None, source: str = "user", path: str | None = None) -> None:
        """Give a slide a pixel size; its overlays follow.

        Parameters
        ----------
        mpp : float or None
            µm per level-0 pixel; None takes what a stored answer or the file says.
        source : str
            Who gave it.
        path : str, optional
            Of the slide; the slide that is meant by default.

        Raises
        ------
        SlideError
            If the size is not plausible, or the file can no longer be opened.
        """
        path = path or self._last_path
        layer = self._ours.find("slide", path)
        if layer is None:
            return
        give_mpp(layer, mpp, source)
        for other in self._ours.over(layer):
            follow_mpp(other, facts_of(layer)["mpp"], mpp, source)
        self._shown.set_mpp(facts_of(layer)["path"], facts_of(layer)["mpp"])
        if path == self._last_path:
            self._viewer.reset_view()
        self.slide_changed.emit(self.slide)

    def load_result(self, path: Path, is_quiet: bool = False) -> None:
        """Load a result file and make its layers in the background, then show it.

        Parameters
        ----------
        path : Path
            Result file.
        is_quiet : bool
            Nobody has just asked for it: the layers of a slide that is open are brought up to
            date, a result of another slide is left out.
        """
        self._background.run(
            f"loading the result '{path}'",
            load_drawn,
            path,
            self._shown.map_keys(),
            on_done=partial(self._show_drawn, file=path, is_quiet=is_quiet),
            on_error=self.failed.emit,
        )

    def show_result(self, result: SlideResult) -> None:
        """Add the clusters and the map of a result, or bring those that are there up to date.

        Layers of an earlier result of the slide go where this one has none such: without a tile
        table there is no map at all, without codewords there are no clusters.

        Parameters
        ----------
        result : SlideResult
            Of a slide that may or may not be open here.
        """
        self._show_drawn(self._shown.draw(result))

    def _show_drawn(
        self, drawn: DrawnResult, file: Path | None = None, is_quiet: bool = False
    ) -> None:
        slide = self._ours.slide_of(drawn.result)
        if self._viewer is None or (is_quiet and slide is None):
            return
        if slide is None and file is not None:
            slide = self._bring_slide(drawn.result, file)
            if slide is None and self._ours.any_of("slide") is not None:
                return  # its map must not lie on another slide
        if slide is not None:
            if facts_of(slide)["mpp"] is None and drawn.result.mpp is not None:
                give_mpp(slide, drawn.result.mpp, _FROM_RESULT)
            # The grid is in level-0 pixels, so the open slide's own size of them rules.
            drawn = drawn.on_slide(facts_of(slide)["path"], facts_of(slide)["mpp"])
        path = drawn.result.slide_path
        self._shown.put(drawn, file)
        self._remove_others(path, drawn.layers)
        with self._ours.same_active(is_quiet):
            for layer_data in drawn.layers:
                self._add_or_update(layer_data)
        if not is_quiet:
            self._come_forward(path, slide)
        self.result_shown.emit(drawn.result)

    def _bring_slide(self, result: SlideResult, file: Path) -> Layer | None:
        """Open the slide of a result from a file, or tell why not."""
        try:
            self.open_slide(Path(result.slide_path), result.mpp)
        except SlideError as error:
            self.failed.emit(f"The slide of the result '{file.name}' is not open. {error}")
        return self._ours.slide_of(result)

    def _come_forward(self, path: str, slide: Layer | None) -> None:
        """Show a slide's result instead of its tissue, and mean that slide from now on."""
        hide_tissue(lambda kind: self.layer(kind, path))
        shown = slide or self.layer("clusters", path) or self.layer("attention", path)
        if shown is not None:
            self._viewer.layers.selection.active = shown

    def _remove_others(self, path: str, layers: Sequence[LayerData]) -> None:
        """Remove layers of a slide's earlier result that are not among these."""
        kept = {data[1]["metadata"][METADATA_KEY]["kind"] for data in layers}
        gone = [self.layer(kind, path) for kind in ("clusters", "attention") if kind not in kept]
        for layer in filter(None, gone):
            self.set_side_by_side(False)
            self._viewer.layers.remove(layer)

    def show_map(self, tile_map: TileMap, raster: NDArray[np.float32] | None = None) -> None:
        """Draw a map of the result of the slide that is meant in place of the one before.

        Parameters
        ----------
        tile_map : TileMap
            One value per tile of that result.
        raster : ndarray, optional
            (rows, columns) float32, its values where they were spread over the grid already.
        """
        result = self.result(self._last_path)
        if result is None or len(result.rowcol) != len(tile_map.values):
            return
        with self._ours.same_active():
            self._add_or_update(map_layer(result, tile_map, raster))
        self._shown.set_map(result.slide_path, tile_map)
        self.map_shown.emit(tile_map)

    def show_over(self, path: str, layer_data: LayerData) -> Layer:
        """Add or update a layer of a slide, such as its mask; the active layer stays so.

        Parameters
        ----------
        path : str
            Of the slide.
        layer_data : tuple
            As the functions of `napari_dre_slcl.layers` make it.
        """
        layer_data[1]["metadata"][METADATA_KEY]["path"] = path
        with self._ours.same_active():
            return self._add_or_update(layer_data)

    def activate(self, kind: str) -> None:
        """Make our layer of a kind of the slide that is meant the active one."""
        layer = self.layer(kind)
        if layer is not None:
            self._viewer.layers.selection.active = layer

    def is_active(self, layer: Layer) -> bool:
        """Whether a layer is the active one."""
        return self._viewer is not None and self._viewer.layers.selection.active == layer

    def holds(self, layer: Layer) -> bool:
        """Whether a layer is in the viewer."""
        return self._viewer is not None and layer in self._viewer.layers

    def set_visible(self, kind: str, is_visible: bool) -> None:
        """Show or hide our layer of a kind of the slide that is meant."""
        layer = self.layer(kind)
        if layer is not None and layer.visible != is_visible:
            layer.visible = is_visible

    def look_at_tissue(self) -> None:
        """Show mask and tiles of the slide that is meant instead of its result."""
        if self.is_side_by_side:
            self.set_side_by_side(False)
        show_tissue(self._viewer, self.layer)

    @property
    def is_side_by_side(self) -> bool:
        """Whether clusters and attention are shown beside each other."""
        return self.layer(COPY_KIND) is not None

    def set_side_by_side(self, is_on: bool) -> None:
        """Show clusters and attention of the slide that is meant beside each other, or over it.

        Parameters
        ----------
        is_on : bool
            The slide is drawn a second time, under the attention; False removes that layer.
        """
        needed = [self.layer(kind) for kind in ("slide", "clusters", "attention")]
        is_on = is_on and None not in needed
        if is_on and not self.is_side_by_side:
            self._add(slide_copy(needed[0]))
        arrange_result(self._viewer, self.layer, is_on, self._aside)

    def close(self) -> None:
        """Let go of the viewer; the layers stay."""
        if self._viewer is None:
            return
        events = self._viewer.layers.events
        events.inserted.disconnect(self._on_inserted)
        events.removed.disconnect(self._on_removed)
        self._viewer.layers.selection.events.active.disconnect(self._on_layers_changed)
        for layer in self._ours.all():
            layer.events.visible.disconnect(self._on_visible)
        self._viewer = None
        self._ours.let_go()
        self._shown.clear()

    def refresh(self) -> None:
        """Look again at which slide is meant."""
        if self._viewer is None:
            return
        before = self._last_path
        layer = self._ours.meant_slide(before)
        self._last_path = (
            self._ours.meant_path(before) if layer is None else facts_of(layer)["path"]
        )
        # A mask may stay, and be the active layer, when its slide is removed.
        has_slide, self._has_slide = self._has_slide, layer is not None
        if self._last_path != before or self._has_slide != has_slide:
            self.slide_changed.emit(self.slide)

    def _on_inserted(self, event: Any) -> None:
        """Draw a result that was dropped on the canvas at the pixel size of its open slide."""
        facts = facts_of(event.value)
        slide = self._ours.find("slide", facts.get("path"))
        if facts.get("kind") in ("clusters", "attention") and slide is not None:
            facts["mpp"] = facts_of(slide)["mpp"]
            follow_mpp(event.value, facts["mpp"])
        self._on_layers_changed(event)

    def _on_removed(self, event: object) -> None:
        self._shown.keep(facts_of(layer).get("path") for layer in self._ours.all())
        self._on_layers_changed(event)

    def _on_layers_changed(self, event: object = None) -> None:
        self.refresh()
        self.active_changed.emit()

    def _add(self, layer_data: LayerData) -> Layer:
        layer = self._viewer.add_layer(Layer.create(*layer_data))
        layer.events.visible.connect(self._on_visible)
        if facts_of(layer)["kind"] == "attention":
            number_colors(layer)
        return layer

    def _on_visible(self, event: object = None) -> None:
        if self._viewer is not None:
            self.visibility_changed.emit()

    def _add_or_update(self, layer_data: LayerData) -> Layer:
        facts = layer_data[1]["metadata"][METADATA_KEY]
        layer = self.layer(facts["kind"], facts["path"])
        if layer is None:
            return self._add(layer_data)
        (change_map if facts["kind"] == "attention" else change_raster)(layer, layer_data)
        return layer
