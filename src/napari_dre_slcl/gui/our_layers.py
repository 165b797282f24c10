"""OurLayers: the layers of ours in a viewer, found by what they say of themselves.

Never by name or position, so that the user may rename, move, hide and delete them at will.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari.layers import Layer

from napari_dre_slcl.cohort.pseudonyms import is_under_pseudonym
from napari_dre_slcl.gui.layer_facts import facts_of
from napari_dre_slcl.results import SlideResult

__all__ = ["OurLayers"]


class OurLayers:
    """Finds the layers that we, the reader or the user's script added.

    Parameters
    ----------
    viewer : napari.Viewer or None
        None has no layers.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer

    def let_go(self) -> None:
        """Find nothing from now on."""
        self._viewer = None

    def all(self) -> list[Layer]:
        """Return every layer of ours, the lowest first."""
        if self._viewer is None:
            return []
        return [layer for layer in self._viewer.layers if facts_of(layer)]

    def find(self, kind: str, path: str | None) -> Layer | None:
        """Return the layer of a kind of the slide with this path, or None."""
        wanted = (kind, path)
        return next(
            (
                layer
                for layer in self.all()
                if (facts_of(layer).get("kind"), facts_of(layer).get("path")) == wanted
            ),
            None,
        )

    def over(self, slide: Layer) -> list[Layer]:
        """Return the other layers of a slide."""
        path = facts_of(slide)["path"]
        return [one for one in self.all() if facts_of(one).get("path") == path and one is not slide]

    @property
    def active_path(self) -> str | None:
        """Path of the slide that the active layer belongs to, or None."""
        active = None if self._viewer is None else self._viewer.layers.selection.active
        return None if active is None else facts_of(active).get("path")

    def meant_slide(self, before: str | None) -> Layer | None:
        """Return the slide of the active layer, else the one meant before, else the lowest."""
        found = self.find("slide", self.active_path or before) or self.find("slide", before)
        return found or self.any_of("slide")

    def any_of(self, kind: str) -> Layer | None:
        """Return the lowest layer of a kind, of whatever slide, or None."""
        return next((one for one in self.all() if facts_of(one).get("kind") == kind), None)

    def meant_path(self, before: str | None) -> str | None:
        """Return the same where no slide is open, from what is left of one, such as its result."""
        paths = [facts_of(one).get("path") for one in self.all()]
        for path in (self.active_path, before, *paths):
            if path in paths:
                return path
        return None

    def slide_of(self, result: SlideResult) -> Layer | None:
        """Return the layer of a result's slide, which may lie in another folder by now."""
        name, shape = Path(result.slide_path).name, result.slide_shape
        moved = (
            one
            for one in self.all()
            if facts_of(one).get("kind") == "slide"
            and Path(facts_of(one)["path"]).name == name
            and facts_of(one)["info"].shape == shape
        )
        return (
            self.find("slide", result.slide_path)
            or next(moved, None)
            or self._behind_pseudonym(result.slide_path)
        )

    def _behind_pseudonym(self, path: str) -> Layer | None:
        """Return the layer of the file that a link under a pseudonym leads to."""
        if not is_under_pseudonym(path):
            return None
        file = os.path.realpath(path)
        slides = (one for one in self.all() if facts_of(one).get("kind") == "slide")
        return next(
            (one for one in slides if os.path.realpath(facts_of(one)["path"]) == file), None
        )

    @contextmanager
    def same_active(self, is_on: bool = True) -> Iterator[None]:
        """Keep the active layer what it is while layers are added, if this is on."""
        selection = self._viewer.layers.selection
        before = selection.active
        yield
        if is_on and selection.active != before:
            selection.active = before
