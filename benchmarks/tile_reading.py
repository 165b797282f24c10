"""How fast tissue tiles are read, beside openslide-python and the bare JPEG decoder.

    python benchmarks/tile_reading.py --slide lung-scc-HE1.tif --mpp 0.25

Random tissue tiles, warm file cache, all readers in turn within each round; the figures are medians
over rounds, so that a busy machine slows all alike. LazySlide and TIAToolbox join where they are
installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openslide
import simplejpeg
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_dre_slcl import open_slide, tile_slide
from napari_dre_slcl.config import TilingConfig

TILE_PX = 256
Reader = Callable[[], None]


def main() -> None:
    options = _parse()
    with open_slide(options.slide, options.mpp) as slide:
        print(f"{slide.name}: read by {slide.info.backend}, {options.tiles} tiles of {TILE_PX} px")
        grid = tile_slide(slide, TilingConfig(mpp=slide.info.mpp))
        fine = _draw(grid.yx, options.tiles, options.seed)
        coarse, odd_coarse = (
            _draw(np.unique(grid.yx // edge, axis=0) * edge, options.tiles, options.seed)
            for edge in (512, 508)
        )
        rng = np.random.default_rng(options.seed)
        odd = fine + rng.integers(-TILE_PX // 2, TILE_PX // 2, fine.shape)
        for title, yx, downsample in (
            ("tiles on the file's own grid, downsample 1", fine, 1),
            ("tiles on the file's own grid, downsample 2", coarse, 2),
            ("tiles anywhere, downsample 1", odd, 1),
            ("tiles anywhere on even pixels, downsample 2", odd // 2 * 2, 2),
            ("tiles of 508 px shrunk to 256 px by Lanczos' filter", odd_coarse, 508 / 256),
        ):
            _compare(title, dict(_readers(slide, yx, downsample)), len(yx), options.rounds)


def _compare(title: str, readers: dict[str, Reader], n_tiles: int, rounds: int) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for reader in readers.values():
        reader()  # warms the file cache
    for _ in range(rounds):
        for name, read in readers.items():
            start = time.perf_counter()
            read()
            seconds[name].append(time.perf_counter() - start)
    print(f"\n{title}\n{'reader':34} tiles/s  ours is faster by")
    rates = {name: n_tiles / statistics.median(times) for name, times in seconds.items()}
    for name, rate in rates.items():
        ours = f"ours, {2 if name.endswith('2 threads') else 1} thread"
        ours += "s" if ours.endswith("2 thread") else ""
        print(f"{name:34} {rate:7,.0f}  {rates[ours] / rate:.2f}")


def _readers(
    slide: object, yx: NDArray[np.int64], downsample: float
) -> Iterator[tuple[str, Reader]]:
    path = Path(slide.info.path)  # type: ignore[attr-defined]
    out = np.empty((len(yx), TILE_PX, TILE_PX, 3), np.uint8)
    for threads, words in ((1, "1 thread"), (2, "2 threads")):
        yield f"ours, {words}", _ours(slide, yx, downsample, threads, out)
        yield f"openslide-python, {words}", _plain_openslide(path, yx, downsample, threads)
    if not (yx % TILE_PX).any() and downsample == int(downsample):
        yield "bare JPEG decoder, 1 thread", _bare_decoder(path, yx, downsample)
    if importlib.util.find_spec("tiatoolbox") is not None:
        try:
            yield "TIAToolbox, 1 thread", _tiatoolbox(path, yx, downsample)
        except ValueError as error:
            print(f"TIAToolbox does not open this slide: {error}")
    if importlib.util.find_spec("wsidata") is not None:
        yield "LazySlide (wsidata), 1 thread", _wsidata(path, yx, downsample)


def _ours(slide, yx, downsample, n_threads, out) -> Reader:  # type: ignore[no-untyped-def]
    def read() -> None:
        slide.read_tiles(yx, TILE_PX, downsample, n_threads=n_threads, out=out)

    return read


def _plain_openslide(
    path: Path, yx: NDArray[np.int64], downsample: float, n_threads: int
) -> Reader:
    handle = openslide.OpenSlide(path)
    edge = round(TILE_PX * downsample)

    def read_one(corner: list[int]) -> NDArray[np.uint8]:
        image = handle.read_region((corner[1], corner[0]), 0, (edge, edge)).convert("RGB")
        return _shrunk(image, downsample)

    def read() -> None:
        if n_threads == 1:
            list(map(read_one, yx.tolist()))
            return
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(read_one, yx.tolist()))

    return read


def _bare_decoder(path: Path, yx: NDArray[np.int64], downsample: float) -> Reader:
    """Decode the JPEG tiles under the same tiles, and nothing more."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        offsets, counts = page.dataoffsets, page.databytecounts
        columns = -(-page.imagewidth // TILE_PX)
    file = os.open(path, os.O_RDONLY)
    downsample = int(downsample)
    edge = TILE_PX // downsample
    out = np.empty((edge, edge, 3), np.uint8)
    smallest = {} if downsample == 1 else {"min_height": edge, "min_width": edge}
    indices = sorted(
        int((y // TILE_PX + row) * columns + x // TILE_PX + col)
        for y, x in yx
        for row in range(downsample)
        for col in range(downsample)
    )

    def read() -> None:
        for index in indices:
            data = os.pread(file, counts[index], offsets[index])
            simplejpeg.decode_jpeg(data, buffer=out, **smallest)

    return read


def _tiatoolbox(path: Path, yx: NDArray[np.int64], downsample: float) -> Reader:
    from tiatoolbox.wsicore.wsireader import OpenSlideWSIReader

    reader = OpenSlideWSIReader(path)
    _ = reader.info  # judges the header when first asked

    def read() -> None:
        for y, x in yx.tolist():
            reader.read_rect(
                (x, y), (TILE_PX, TILE_PX), resolution=1 / downsample, units="baseline"
            )

    return read


def _wsidata(path: Path, yx: NDArray[np.int64], downsample: float) -> Reader:
    from wsidata import open_wsi

    reader = open_wsi(path, store=None).reader
    edge = round(TILE_PX * downsample)

    def read() -> None:
        for y, x in yx.tolist():
            tile = reader.get_region(x, y, edge, edge, level=0)
            if downsample != 1:
                _shrunk(Image.fromarray(tile), downsample)

    return read


def _shrunk(image: Image.Image, downsample: float) -> NDArray[np.uint8]:
    if downsample == 1:
        return np.asarray(image)
    if downsample == int(downsample):
        return np.asarray(image.reduce(int(downsample)))
    return np.asarray(image.resize((TILE_PX, TILE_PX), Image.Resampling.LANCZOS))


def _draw(yx: NDArray[np.int64], n_tiles: int, seed: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    return yx[rng.choice(len(yx), min(n_tiles, len(yx)), replace=False)]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slide", type=Path, required=True, help="tiled JPEG slide, 256-px tiles")
    parser.add_argument("--mpp", type=float, help="µm per pixel where the file does not say")
    parser.add_argument("--tiles", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
