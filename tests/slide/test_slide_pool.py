from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import Slide, SlidePool, open_slide


def _write(path: Path, seed: int, size: int = 128) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 255, (size, size, 3), np.uint8)
    tifffile.imwrite(path, pixels, photometric="rgb", compression="jpeg", tile=(64, 64))
    return path


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return [_write(tmp_path / f"{seed}.tif", seed) for seed in range(8)]


def _see(slide: Slide) -> np.ndarray:
    return slide.read_region(10, 20, 90, 70)


def _open_files(folder: Path) -> int:
    links = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
    return sum(os.path.realpath(link).startswith(str(folder)) for link in links)


@pytest.fixture
def pooled(paths: list[Path]) -> Callable[[int], tuple[SlidePool, list[Slide]]]:
    def make(limit: int) -> tuple[SlidePool, list[Slide]]:
        pool = SlidePool(limit)
        return pool, [open_slide(path, mpp=0.5, pool=pool) for path in paths]

    return make


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="lists open files by /proc")
def test_slides_of_a_pool_read_the_same_with_few_files_open(pooled, paths) -> None:
    pool, slides = pooled(3)
    for number in (0, 7, 3, 3, 0, 5, 1, 6):
        with open_slide(paths[number], mpp=0.5) as alone:
            np.testing.assert_array_equal(_see(slides[number]), _see(alone))
            assert slides[number].info == alone.info
        assert len(pool) <= 3
        assert _open_files(paths[0].parent) <= 3
    for slide in slides:
        slide.close()
    assert (len(pool), _open_files(paths[0].parent)) == (0, 0)


def test_many_threads_read_more_slides_than_may_be_open(pooled, paths) -> None:
    pool, slides = pooled(2)
    wanted = [_see(open_slide(path, mpp=0.5)) for path in paths]
    order = np.random.default_rng(0).integers(0, len(paths), 300).tolist()
    with ThreadPoolExecutor(6) as threads:
        for number, seen in zip(order, threads.map(lambda n: _see(slides[n]), order), strict=True):
            np.testing.assert_array_equal(seen, wanted[number])
    assert len(pool) <= 2 + 6


def test_a_closed_slide_stays_closed(pooled) -> None:
    _, slides = pooled(2)
    for slide in (slides[0], slides[-1]):  # one rests, one is open
        slide.close()
        with pytest.raises(SlideError, match="is closed; open it again"):
            _see(slide)
    _see(slides[1])


def test_a_file_that_changed_or_went_away_while_closed_is_told(pooled, paths) -> None:
    _, slides = pooled(2)
    _write(paths[0], 0, size=256)
    with pytest.raises(SlideError, match=r"'0\.tif' has changed since it was opened"):
        _see(slides[0])
    paths[1].unlink()
    with pytest.raises(SlideError, match=r"1\.tif' does not exist"):
        _see(slides[1])


MANY_SLIDES = """
import os, resource, sys
from pathlib import Path
from napari_dre_slcl.slide import SlidePool, open_slide
first, pool = Path(sys.argv[1]), SlidePool(16)
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 24, hard))
slides = []
for number in range(80):
    path = first.with_stem(f"copy-{number}")
    os.link(first, path)
    slides.append(open_slide(path, mpp=0.5, pool=pool))
for slide in slides:
    slide.read_region(0, 0, 8, 8)
"""


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files by /proc")
def test_more_slides_than_files_may_be_open(paths) -> None:
    command = [sys.executable, "-c", MANY_SLIDES, str(paths[0])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
