r"""How long the window takes over a result of a million tiles.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/big_result.py [--tiles 1000000]

Each figure is the time until the calls have returned, the events they caused are worked off, and
the canvas has been painted once (``screenshot``); Xvfb paints with the processor, so a reference of
the same kind is measured in the same run and a ratio printed. A small result is shown before, so
that what napari imports for a first layer is not counted. ``--cpu`` counts processor time of the
main thread instead (but for *load* and *first*, which wait for a thread), for a busy machine.

* *load*: from a result file on disk to clusters and map on the canvas. Of it, *on the main thread*
  is what the window cannot answer for.
* *switch*: to a map that was drawn before, and *first*: to one that has to be worked out.
  Reference: taking the map's layer away and adding a new one.
* *recolour*: one codeword gets another colour. Reference: the same with an automatic colormap of
  napari's (``CyclicLabelColormap``) in place of the direct one, for labels of 64 bits.
* *hover*: what a move of the mouse costs. *click*: select a tile.
* *paint* alone, without any change, as a floor of all of them.

A layer of polygons (Shapes) is what comes to mind first for tiles; it is measured at ``--shapes``
tiles, which is far from a million, because more would take minutes.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SETTINGS = tempfile.TemporaryDirectory(prefix="big-result-")
os.environ["NAPARI_CONFIG"] = str(Path(_SETTINGS.name) / "settings.yaml")
os.environ["DRE_SLCL_CONFIG_DIR"] = _SETTINGS.name

import napari  # noqa: E402
import numpy as np  # noqa: E402
from napari.utils.colormaps import label_colormap  # noqa: E402
from qtpy.QtWidgets import QApplication  # noqa: E402

from napari_dre_slcl.gui.dock import DreSlclDock  # noqa: E402
from napari_dre_slcl.results import SlideResult, save_result  # noqa: E402

TILE_PX = 256
N_CODEWORDS = 16
REPEATS = 7
LIMITS_MS = {"load": 2000, "switch": 100, "recolour": 20, "hover": 2}


def big_result(n_tiles: int, seed: int = 0) -> SlideResult:
    """Return a result of about so many tiles on a grid with holes, as tissue has."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(n_tiles / 0.8)))
    cells = np.sort(rng.choice(side * side, n_tiles, replace=False))
    attention = rng.gamma(0.5, size=n_tiles).astype(np.float32)
    return SlideResult(
        slide_id="big",
        slide_path="/nowhere/big.tif",
        slide_shape=(side * TILE_PX, side * TILE_PX),
        mpp=0.5,
        mpp_source="user",
        tile_size_px=TILE_PX,
        grid_shape=(side, side),
        rowcol=np.stack([cells // side, cells % side], axis=1).astype(np.int64),
        codeword=rng.integers(0, N_CODEWORDS, n_tiles),
        attention=attention / attention.sum(),
        residual_norm=rng.random(n_tiles).astype(np.float32),
        n_codewords=N_CODEWORDS,
        codeword_attention=np.full(N_CODEWORDS, 1 / N_CODEWORDS, np.float32),
        slide_vector=np.zeros(8, np.float32),
        predictions=(),
        evidence=rng.normal(0, 1e-5, (n_tiles, 3)).astype(np.float32),
        evidence_of=(("subtype", "LUSC"), ("cancer", "cancer"), ("EGFR", "1")),
    )


class Window:
    """A viewer with the dock, on the screen."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.viewer = napari.Viewer(show=False)
        self.dock = DreSlclDock(self.viewer)
        self.viewer.window.add_dock_widget(self.dock, name="DRE-SLCL")
        self.viewer.window.resize(1600, 1000)
        self.viewer.window.show()
        self.paint()

    def paint(self) -> None:
        """Work off what waits, and paint the canvas."""
        QApplication.processEvents()
        self.viewer.screenshot(canvas_only=True, flash=False)

    def time_of(self, call: Callable[[], Any], paints: bool = True) -> float:
        """Return the milliseconds of a call with what follows from it."""
        start = self.clock()
        call()
        if paints:
            self.paint()
        return (self.clock() - start) * 1e3

    def wait_for(self, is_done: Callable[[], bool]) -> float:
        """Work off events until something is so; return the longest time one round took, in ms."""
        longest = 0.0
        while not is_done():
            start = self.clock()
            QApplication.processEvents()
            longest = max(longest, (self.clock() - start) * 1e3)
            time.sleep(0.001)
        return longest


def median(values: list[float]) -> float:
    return float(np.median(values))


def warm_up(window: Window) -> None:
    """Show and take away a small result: what napari imports for a first layer is not ours."""
    window.dock.overlay.show_result(big_result(100))
    window.paint()
    window.viewer.layers.clear()
    window.paint()


def measure_load(window: Window, path: Path) -> tuple[float, float]:
    overlay = window.dock.overlay
    start = time.perf_counter()
    overlay.load_result(path)
    longest = window.wait_for(lambda: overlay.layer("attention") is not None)
    window.paint()
    return (time.perf_counter() - start) * 1e3, longest


def measure_switch(window: Window) -> dict[str, float]:
    box, overlay = window.dock.explore_panel.maps, window.dock.overlay
    keys = ["evidence:subtype:LUSC", "distance", "attention-percentile", "attention"]
    first, longest = [], 0.0
    for key in keys:
        start = time.perf_counter()
        box.show_map(key)
        longest = max(longest, window.wait_for(lambda key=key: box.value() == key))
        window.paint()
        first.append((time.perf_counter() - start) * 1e3)
    again = [window.time_of(lambda key=key: box.show_map(key)) for key in keys * 3]
    bare = [window.time_of(lambda key=key: box.show_map(key), paints=False) for key in keys * 3]
    layer = overlay.layer("attention")
    data, limits, colormap = layer.data, layer.contrast_limits, layer.colormap
    place = {"scale": layer.scale, "translate": layer.translate, "units": layer.units}

    def add_anew() -> None:
        new = window.viewer.add_image(data, contrast_limits=limits, colormap=colormap, **place)
        window.paint()
        window.viewer.layers.remove(new)

    anew = [window.time_of(add_anew) for _ in range(3)]
    return {
        "switch": median(again),
        "switch without painting": median(bare),
        "first switch": median(first),
        "first switch, longest on the main thread": longest,
        "a new layer instead": median(anew),
    }


def measure_recolour(window: Window) -> dict[str, float]:
    codewords, layer = window.dock.session.codewords, window.dock.overlay.layer("clusters")
    layer.visible = True
    window.paint()
    rng = np.random.default_rng(1)
    colors = rng.random((REPEATS + 1, 3))
    ours = [window.time_of(lambda c=c: codewords.set_color(3, c), paints=False) for c in colors]
    painted = [window.time_of(lambda c=c: codewords.set_color(3, c)) for c in colors]
    wide = window.viewer.add_labels(
        np.asarray(layer.data, np.int64), units=layer.units, scale=layer.scale
    )
    window.paint()

    def recolour() -> None:
        wide.colormap = label_colormap(49, seed=rng.random(), background_value=0)

    cyclic = [window.time_of(recolour) for _ in range(REPEATS)]
    window.viewer.layers.remove(wide)
    layer.visible = False
    return {
        "recolour": median(ours[1:]),
        "recolour and paint": median(painted[1:]),
        "automatic colormap instead, and paint": median(cyclic),
    }


def measure_mouse(window: Window, result: SlideResult) -> dict[str, float]:
    explore = window.dock.explore_panel
    rng = np.random.default_rng(2)
    chosen = rng.integers(0, len(result.rowcol), 200)
    places = (result.tile_yx[chosen] + TILE_PX / 2) * result.mpp
    hover = [window.time_of(lambda p=p: explore.hover.look_at(p), paints=False) for p in places]
    clicks = [window.time_of(lambda p=p: explore.tile_selection.click(p)) for p in places[:10]]
    many = np.arange(10_000)
    select = window.time_of(lambda: window.dock.session.select_tiles(many))
    window.dock.session.select_tiles(())
    return {
        "hover": median(hover),
        "hover, slowest of 200": max(hover),
        "click": median(clicks),
        "select 10,000 tiles": select,
    }


def measure_shapes(window: Window, n_tiles: int) -> float:
    rng = np.random.default_rng(3)
    corners = rng.integers(0, 1000, (n_tiles, 2))
    squares = corners[:, None] + np.array([(0, 0), (0, 1), (1, 1), (1, 0)])
    return window.time_of(lambda: window.viewer.add_shapes(list(squares), shape_type="polygon"))


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=int, default=1_000_000)
    parser.add_argument("--shapes", type=int, default=5_000)
    parser.add_argument("--cpu", action="store_true", help="processor time of the main thread")
    options = parser.parse_args()
    result = big_result(options.tiles)
    window = Window(time.thread_time if options.cpu else time.perf_counter)
    warm_up(window)
    with tempfile.TemporaryDirectory() as folder:
        path = save_result(result, Path(folder) / "big.dreslcl.npz")
        size_mib = path.stat().st_size / 2**20
        say(f"{options.tiles:,} tiles, {size_mib:.0f} MiB, {os.cpu_count()} cores")
        path.read_bytes()
        load, longest = measure_load(window, path)
    figures = {"load": load, "load, longest on the main thread": longest}
    window.viewer.reset_view()
    floor = [window.time_of(lambda: None) for _ in range(REPEATS)]
    figures["paint"] = median(floor)
    figures |= measure_switch(window) | measure_recolour(window) | measure_mouse(window, result)
    for name, value in figures.items():
        limit = LIMITS_MS.get(name)
        say(f"  {name:40} {value:8.1f} ms" + (f"  (aim {limit} ms)" if limit else ""))
    anew, wide = figures["a new layer instead"], "automatic colormap instead, and paint"
    say(f"switching is {anew / figures['switch']:.1f} times as fast as a new layer")
    recolouring = figures[wide] / figures["recolour and paint"]
    say(f"recolouring is {recolouring:.1f} times as fast as 64-bit labels with such a colormap")
    shapes = measure_shapes(window, options.shapes)
    per_tile = shapes / options.shapes / (load / options.tiles)
    say(f"{options.shapes:,} polygons take {shapes:,.0f} ms: {per_tile:,.0f} times ours per tile")
    window.dock.close_down()
    window.viewer.close()
    missed = [name for name, limit in LIMITS_MS.items() if figures[name] > limit]
    say("missed: " + ", ".join(missed) if missed else "every aim is met")
    return 0


if __name__ == "__main__":
    sys.exit(main())
