"""ShownResults: what is shown of each slide: its result, the file that came from, and the map."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_dre_slcl.layers import ATTENTION_KEY, DrawnResult, TileMap, draw_result
from napari_dre_slcl.results import SlideResult, load_result

__all__ = ["ShownResults", "load_drawn"]


class ShownResults:
    """Results by the path of their slide."""

    def __init__(self) -> None:
        self._drawn: dict[str, DrawnResult] = {}
        self._files: dict[str, Path] = {}
        self._maps: dict[str, TileMap] = {}

    def put(self, drawn: DrawnResult, file: Path | None) -> None:
        """Remember a result in place of an earlier one of its slide."""
        path = drawn.result.slide_path
        self._drawn[path] = drawn
        self._maps.pop(path, None)
        self._files.pop(path, None)
        if drawn.tile_map is not None:
            self._maps[path] = drawn.tile_map
        if file is not None:
            self._files[path] = file

    def drawn(self, path: str | None) -> DrawnResult | None:
        """Return what is shown of a slide, or None."""
        return None if path is None else self._drawn.get(path)

    def result(self, path: str | None) -> SlideResult | None:
        """Return the result of a slide, or None."""
        drawn = self.drawn(path)
        return None if drawn is None else drawn.result

    def file(self, path: str | None) -> Path | None:
        """Return the file of a slide's result, or None where it came from elsewhere."""
        return None if path is None else self._files.get(path)

    def tile_map(self, path: str | None) -> TileMap | None:
        """Return the map that is drawn over a slide, or None."""
        return None if path is None else self._maps.get(path)

    def set_map(self, path: str, tile_map: TileMap) -> None:
        """Remember that another map is drawn over a slide."""
        self._maps[path] = tile_map

    def draw(self, result: SlideResult) -> DrawnResult:
        """Make the layers of a result, with the map that its slide is shown with."""
        return draw_result(result, self.map_keys().get(result.slide_path, ATTENTION_KEY))

    def set_mpp(self, path: str, mpp: float | None) -> None:
        """Give the result of a slide, if there is one, another pixel size."""
        if path in self._drawn:
            self._drawn[path] = self._drawn[path].on_slide(path, mpp)

    def keep(self, paths: Iterable[str | None]) -> None:
        """Forget the results of all other slides: nothing is left of them in the viewer."""
        kept = set(paths)
        for known in (self._drawn, self._files, self._maps):
            for path in set(known) - kept:
                del known[path]

    def map_keys(self) -> dict[str, str]:
        """Return the key of the map of each slide."""
        return {path: tile_map.key for path, tile_map in self._maps.items()}

    def clear(self) -> None:
        """Forget everything."""
        for known in (self._drawn, self._files, self._maps):
            known.clear()


def load_drawn(path: Path, map_keys: dict[str, str]) -> DrawnResult:
    """Read a result and make its layers; may be called in any thread.

    Parameters
    ----------
    path : Path
        Result file.
    map_keys : dict of str
        Slide path -> key of the map to draw; attention for other slides.

    Raises
    ------
    ResultError
        If the file cannot be read.
    """
    result = load_result(path, with_features=False)
    return draw_result(result, map_keys.get(result.slide_path, ATTENTION_KEY))
