"""How much memory reading every tissue tile of a 100,000 x 80,000 slide takes.

    python benchmarks/memory.py [--slide huge.tif] [--width 100000] [--height 80000] [--mpp 0.25]

Makes a pyramidal JPEG slide (levels 1, 4, 16 and 64) whose tiles share a few blocks of the file,
so that it has every tile of a real one in a few megabytes. Then, each in a child process of its
own: the bare import; tissue and grid, then all tissue tiles at 0.5 µm/px through `TileLoader`
(which keeps none), through `Slide.read_tiles` in batches of 256, and through openslide-python.
Prints the peak resident memory (VmHWM) of both steps. Exits with 1 where one of ours is above the
bound. Linux only.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

BOUND_MB = 600
OURS = ("TileLoader", "read_tiles")
TILE_PX = 256
FACTORS = (1, 4, 16, 64)
# One tile of the coarsest level: what lies within is all tissue or all glass at every level.
BLOCK_PX = TILE_PX * FACTORS[-1]
PATTERN_PX = 1024
GLASS = (243, 243, 242)

CHILD = """
import sys
from pathlib import Path
import numpy as np
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import TileLoader, TileSource, tile_slide
how, path = sys.argv[1:]
def peak():
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024
n_tiles, before, backend = 0, 0, "none"
if how != "import":
    with open_slide(path) as slide:
        grid = tile_slide(slide)
        n_tiles, backend, before = len(grid), slide.info.backend, peak()
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        parts = np.array_split(np.arange(n_tiles), range(256, n_tiles, 256))
        if how == "TileLoader":
            with TileLoader([TileSource(slide, grid)], 256, cache_mib=0) as loader:
                for tiles in loader.prefetch([(0, part)] for part in parts):
                    assert tiles.any(axis=(1, 2, 3)).all()
        elif how == "read_tiles":
            out = np.empty((256, 256, 256, 3), np.uint8)
            for part in parts:
                tiles = slide.read_tiles(grid.yx[part], 256, grid.downsample, out=out[: len(part)])
                assert tiles.any(axis=(1, 2, 3)).all()
        elif how == "openslide":
            import openslide
            backend = "openslide"
            with openslide.OpenSlide(path) as handle:
                for y, x in grid.yx.tolist():
                    region = handle.read_region((x, y), 0, (grid.size_px, grid.size_px))
                    region.convert("RGB").reduce(grid.size_px // 256)
print(before, peak(), n_tiles, backend, sep="\\t")
"""


def tissue_pattern() -> NDArray[np.uint8]:
    """Return H&E-like pixels that repeat without a seam: (PATTERN_PX, PATTERN_PX, 3)."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(3, PATTERN_PX, PATTERN_PX))
    stroma, nuclei = (
        ndimage.gaussian_filter(layer, sigma, mode="wrap")
        for layer, sigma in zip(noise, (6, 8), strict=False)
    )
    stroma, nuclei = stroma / stroma.std(), nuclei / nuclei.std()
    pink = np.array([222, 150, 190]) + 14 * stroma[..., None]
    purple = np.array([105, 60, 140]) + 12 * stroma[..., None]
    pixels = np.where(nuclei[..., None] > 1.2, purple, pink) + 4 * noise[2][..., None]
    return np.clip(pixels, 0, 255).astype(np.uint8)


def write_huge_slide(path: Path, height: int, width: int, mpp: float) -> None:
    """Write the slide: every tile of each level points at one of a few JPEG blocks."""
    pattern = tissue_pattern()
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for factor in FACTORS:
            shape = (-(-height // factor), -(-width // factor), 3)
            n_tiles = -(-shape[0] // TILE_PX) * -(-shape[1] // TILE_PX)
            writer.write(
                _blocks(pattern, factor, n_tiles),
                shape=shape,
                dtype=np.uint8,
                tile=(TILE_PX, TILE_PX),
                photometric="ycbcr",
                subsampling=(2, 2),
                compression="jpeg",
                subfiletype=int(factor > 1),
                resolution=(10_000 / mpp / factor, 10_000 / mpp / factor),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for page, factor in zip(tiff.pages, FACTORS, strict=True):
            order = _layout(page, factor)
            for name in ("TileOffsets", "TileByteCounts"):
                tag = page.tags[name]
                tag.overwrite(np.asarray(tag.value)[order].tolist())


def _blocks(pattern: NDArray[np.uint8], factor: int, n_tiles: int) -> Iterator[bytes]:
    """Yield a tile of glass, then the tiles of the pattern, then empty ones up to `n_tiles`."""
    shrunk = np.asarray(Image.fromarray(pattern).reduce(factor))
    times = max(1, TILE_PX // len(shrunk))
    shrunk = np.tile(shrunk, (times, times, 1))
    n_across = len(shrunk) // TILE_PX
    tiles = [np.full((TILE_PX, TILE_PX, 3), GLASS, np.uint8)] + [
        np.ascontiguousarray(shrunk[y : y + TILE_PX, x : x + TILE_PX])
        for y in range(0, len(shrunk), TILE_PX)
        for x in range(0, len(shrunk), TILE_PX)
    ]
    assert len(tiles) == n_across**2 + 1 <= n_tiles
    for tile in tiles:
        yield imagecodecs.jpeg8_encode(
            tile, level=80, colorspace="rgb", outcolorspace="ycbcr", subsampling=(2, 2)
        )
    yield from (b"" for _ in range(n_tiles - len(tiles)))


def _layout(page: tifffile.TiffPage, factor: int) -> NDArray[np.intp]:
    """Return which block each tile of a level shows: 3 x 4 pieces of tissue, glass around."""
    rows, cols = (-(-size // TILE_PX) for size in page.shape[:2])
    n_across = max(1, PATTERN_PX // factor // TILE_PX)
    row, col = np.ogrid[:rows, :cols]
    block_row, block_col = (place * TILE_PX * factor // BLOCK_PX for place in (row, col))
    is_tissue = (block_row >= 1) & (block_row < 4) & (block_col >= 1) & (block_col < 5)
    pattern = 1 + (row % n_across) * n_across + col % n_across
    return np.where(is_tissue, pattern, 0).ravel()


def peaks_of(how: str, path: Path) -> tuple[float, float, int, str]:
    """Run one way of reading in a child process.

    Returns
    -------
    tiling_mb, after_mb : float
        Peak until the tiles were found, and from then on.
    n_tiles : int
    backend : str
    """
    command = [sys.executable, "-c", CHILD, how, str(path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    tiling, after, n_tiles, backend = done.stdout.strip().split("\t")
    return int(tiling) / 1e6, int(after) / 1e6, int(n_tiles), backend


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slide", type=Path, help="where to keep the slide; made once")
    parser.add_argument("--width", type=int, default=100_000)
    parser.add_argument("--height", type=int, default=80_000)
    parser.add_argument("--mpp", type=float, default=0.25)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.slide or Path(folder) / "huge.tif"
        if not path.exists():
            write_huge_slide(path, options.height, options.width, options.mpp)
        sys.stdout.write(f"{path.name}: {path.stat().st_size / 1e6:.0f} MB on disk\n")
        worst = 0.0
        for how in ("import", "TileLoader", "read_tiles", "openslide"):
            tiling, after, n_tiles, backend = peaks_of(how, path)
            if how in OURS:
                worst = max(worst, tiling, after)
            sys.stdout.write(
                f"{how:10}  tissue and grid {tiling:4.0f} MB, reading {after:4.0f} MB  "
                f"{n_tiles} tiles  backend {backend}\n"
            )
    sys.stdout.write(f"worst of ours {worst:.0f} MB, bound {BOUND_MB} MB\n")
    return int(worst > BOUND_MB)


if __name__ == "__main__":
    sys.exit(main())
