r"""How long napari waits for the pixels of a slide: ours, napari-wsi and dask over tifffile.

    xvfb-run -a -s "-screen 0 1920x1200x24" \
        python benchmarks/viewer_slicing.py SLIDE [--views 30] [--shrink 1] [--repeats 3]

napari-wsi (1.3.0) and zarr are used where they can be imported; the readers take turns. The file
is read once before, so that the disk takes no part.

*Painted* is the time from asking an empty viewer that is on the screen for the slide, to the first
picture of the canvas read back from the graphics memory (``screenshot``) with the slide in it. Each
time in a new process: the first slide, with all that is imported for it, and the one after it.

*Slicing* is what napari does for a new view, with asynchronous slicing off: the camera's centre is
set, and the canvas asks its layer for that view (``canvas.on_draw``: choose the level, widen the
view to whole chunks, index the level's array, hand the pixels to the layer). When it returns the
layer holds the pixels. Not included: the upload to the graphics memory and the painting, which are
the same for all. The views are canvas-sized, lie on tissue, do not overlap, and were not drawn
before. After each view the pixels that the layer holds are compared with OpenSlide's, outside the
time.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SETTINGS = tempfile.TemporaryDirectory(prefix="viewer-slicing-")
os.environ["NAPARI_CONFIG"] = str(Path(_SETTINGS.name) / "settings.yaml")

import napari  # noqa: E402
import numpy as np  # noqa: E402
import openslide  # noqa: E402
import tifffile  # noqa: E402
from qtpy.QtWidgets import QApplication  # noqa: E402

from napari_dre_slcl.slide import open_slide  # noqa: E402
from napari_dre_slcl.slide.pyramid import slide_pyramid  # noqa: E402

CANVAS = (1000, 1600)
OURS = "napari-dre-slcl"
THEIRS = "napari-wsi"
PLAIN = "dask over tifffile"
WARM_UP_VIEWS = 2
TISSUE_SATURATION = 25


def add_ours(viewer: Any, path: Path) -> Any:
    return viewer.open(str(path), plugin=OURS)[0]


def add_theirs(viewer: Any, path: Path) -> Any:
    from napari_wsi.backends.common import WSIReaderBackend
    from napari_wsi.common import open_store

    # What its own napari reader does.
    store = open_store(str(path), WSIReaderBackend.OPENSLIDE, color_space="sRGB")
    return store.to_viewer(viewer)[0]


def add_plain(viewer: Any, path: Path) -> Any:
    import dask.array as da

    with tifffile.TiffFile(path) as file:
        pages = [page for page in file.pages if page.is_tiled]
        levels = [da.from_zarr(page.aszarr()) for page in pages]
    return viewer.add_image(levels, rgb=True, multiscale=True, contrast_limits=(0, 255))


def readers() -> dict[str, Callable[[Any, Path], Any]]:
    """Return the readers that can run here; the slide must be TIFF for the last."""
    found = {OURS: add_ours}
    if importlib.util.find_spec("napari_wsi") is not None:
        found[THEIRS] = add_theirs
    if importlib.util.find_spec("zarr") is not None:
        found[PLAIN] = add_plain
    return found


def new_viewer() -> Any:
    viewer = napari.Viewer()
    canvas = viewer.window._qt_viewer.canvas
    canvas.native.setFixedSize(CANVAS[1], CANVAS[0])
    for _ in range(5):
        QApplication.processEvents()
    if tuple(canvas.size) != CANVAS:
        sys.exit(f"The canvas is {canvas.size}, not {CANVAS}; give Xvfb a larger screen.")
    return viewer


def time_to_painted(add: Callable[[Any, Path], Any], path: Path) -> float:
    viewer = new_viewer()
    empty = viewer.screenshot(canvas_only=True, flash=False)
    start = time.perf_counter()
    add(viewer, path)
    picture = viewer.screenshot(canvas_only=True, flash=False)
    seconds = time.perf_counter() - start
    if np.ptp(picture.astype(int) - empty) < 50:
        sys.exit("Nothing was painted.")
    viewer.close()
    return seconds


def painted_in_new_process(name: str, path: Path) -> list[float]:
    """Return the seconds until the first slide of a session is painted, and until the next."""
    command = [sys.executable, __file__, str(path), "--only-paint", name]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [float(value) for value in done.stdout.split()]


def tissue_views(path: Path, n_views: int, shrink: float, seed: int) -> list[tuple[int, int]]:
    """Return (y, x) of the top-left corners of views on tissue that do not overlap."""
    extent = np.array(CANVAS) * shrink
    with open_slide(path) as slide:
        coarse = np.asarray(slide_pyramid(slide)[-1]).astype(int)
        shape = np.array(slide.info.shape)
    is_tissue = np.ptp(coarse, axis=2) > TISSUE_SATURATION
    factor = shape[0] / len(coarse)
    candidates = np.argwhere(is_tissue) * factor - extent / 2
    candidates = candidates[((candidates >= 0) & (candidates + extent <= shape)).all(axis=1)]
    views: list[np.ndarray] = []
    for corner in np.random.default_rng(seed).permutation(candidates):
        if all((np.abs(corner - other) >= extent).any() for other in views):
            views.append(corner.round())
        if len(views) == n_views:
            return [(int(y), int(x)) for y, x in views]
    sys.exit(f"The slide has tissue for {len(views)} views of this size only; ask for fewer.")


class Session:
    """A reader's slide in a viewer of its own."""

    def __init__(self, add: Callable[[Any, Path], Any], path: Path) -> None:
        self.viewer = new_viewer()
        self.layer = add(self.viewer, path)
        self.canvas = self.viewer.window._qt_viewer.canvas
        self.paint()

    def paint(self) -> None:
        """Wait until the canvas is painted."""
        self.viewer.screenshot(canvas_only=True, flash=False)

    def slice_view(self, corner: tuple[int, int], shrink: float) -> float:
        """Return the seconds until the layer holds the pixels of a view."""
        pixel = float(self.layer.scale[0])
        self.viewer.scene.camera.zoom = 1 / (pixel * shrink)
        QApplication.processEvents()
        centre = (np.array(corner) + (np.array(CANVAS) * shrink - 1) / 2) * pixel
        start = time.perf_counter()
        self.viewer.scene.camera.center = (0, *centre)
        self.canvas.on_draw(None)
        seconds = time.perf_counter() - start
        self.paint()
        return seconds

    def holds(self, corner: tuple[int, int], shrink: float, truth: openslide.OpenSlide) -> bool:
        """Say whether the layer holds the view, at level 0 with OpenSlide's pixels."""
        factor = self.layer.downsample_factors[self.layer.data_level]
        box = self.layer.corner_pixels
        extent = np.array(CANVAS) * shrink
        is_covered = (box[0] * factor <= corner).all() and (
            (box[1] + 1) * factor >= np.array(corner) + extent - 1
        ).all()
        if not is_covered or shrink > 1:
            return bool(is_covered)
        (top, left), (height, width) = box[0], box[1] + 1 - box[0]
        image = truth.read_region((int(left), int(top)), 0, (int(width), int(height)))
        held = self.layer._slice.image.raw[..., :3]
        return np.array_equal(held, np.asarray(image.convert("RGB")))


def slicing_times(path: Path, options: argparse.Namespace) -> dict[str, list[float]]:
    sessions = {name: Session(add, path) for name, add in readers().items()}
    n_views = WARM_UP_VIEWS + options.views
    views = tissue_views(path, n_views, options.shrink, options.seed)
    times: dict[str, list[float]] = {name: [] for name in sessions}
    order = list(sessions)
    with openslide.OpenSlide(path) as truth:
        for number, corner in enumerate(views):
            for name in order:
                seconds = sessions[name].slice_view(corner, options.shrink)
                if not sessions[name].holds(corner, options.shrink, truth):
                    sys.exit(f"{name}: the layer does not hold the view at {corner}.")
                if number >= WARM_UP_VIEWS:
                    times[name].append(seconds)
            order.append(order.pop(0))
    for session in sessions.values():
        session.viewer.close()
    return times


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slide", type=Path)
    parser.add_argument("--views", type=int, default=30)
    parser.add_argument("--shrink", type=float, default=1.0, help="level-0 pixels per screen pixel")
    parser.add_argument("--repeats", type=int, default=3, help="of the time to painted")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only-paint", metavar="READER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    path = options.slide.resolve()
    if options.only_paint:
        say(" ".join(str(time_to_painted(readers()[options.only_paint], path)) for _ in range(2)))
        return 0
    path.read_bytes()
    with open_slide(path) as slide:
        say(f"{slide.name}: {slide.info.shape} px, read with {slide.info.backend}")
    say(f"napari {napari.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores")
    painted: dict[str, list[list[float]]] = {name: [] for name in readers()}
    for _ in range(options.repeats):
        for name, seconds in painted.items():
            seconds.append(painted_in_new_process(name, path))
    times = slicing_times(path, options)
    height, width = CANVAS
    say(f"\npainted: seconds for the first slide and for the next, medians of {options.repeats}")
    for name, pairs in painted.items():
        first, later = np.median(pairs, axis=0)
        say(f"  {name:20} {first:6.2f} {later:6.2f}")
    say(f"\nslicing: ms over {options.views} views of {width}x{height} px, median and p95")
    for name, values in times.items():
        say(f"  {name:20} {np.median(values) * 1e3:6.0f} {np.percentile(values, 95) * 1e3:6.0f}")
    for name in list(times)[1:]:
        ratio = np.median(times[name]) / np.median(times[OURS])
        say(f"{OURS} slices {ratio:.1f} times as fast as {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
