"""A process that reads spoiled slides through the product: ``-m torture.slides.reader JOB.json``.

The job is {"seed", "folder", "slides": {name: path}, "cases": [[number, name, way], ...]}. Prints
the number when it begins a case and a JSON line with what came of it, so that the parent knows the
case at which this process died.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import logging
import os
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from napari_dre_slcl.cli import main
from napari_dre_slcl.errors import DamagedSlideError, DreSlclError
from napari_dre_slcl.layers import slide_layer
from napari_dre_slcl.slide import Slide, open_slide
from napari_dre_slcl.slide.associated import read_associated_image
from napari_dre_slcl.tiles import find_tissue, pixels_searched
from napari_dre_slcl.tiles.overview import MASK_MPP
from torture.slides.bounds import HANG_S, MEMORY_BYTES, MOST_SEARCHED_PX, SLOW_S
from torture.slides.first_look import N_THREADS, first_looks
from torture.slides.search_time import judge_search
from torture.slides.spoil import spoil

TILE_PX = 128
MOST_TILES = 24
COMMAND_EVERY = 25
SAID_MPP = 0.5
VIEW_PX = 512
STDERR = 2
STOPPED = "was opened in a trial only"


def _corners(slide: Slide) -> list[tuple[int, int]]:
    """Return tiles that cover the slide, or, of a large one, some of them."""
    height, width = (min(size, 2**40) for size in slide.info.shape)
    rows, columns = -(-height // TILE_PX), -(-width // TILE_PX)
    step = max(1, -(-rows * columns // MOST_TILES))
    numbers = range(0, rows * columns, step)
    return [(number // columns * TILE_PX, number % columns * TILE_PX) for number in numbers]


def _read_all(path: Path) -> str:
    """Read a slide in all ways that a user may, and say what it was."""
    is_damaged = False
    with _timed(lambda: open_slide(path, mpp=SAID_MPP)) as slide:
        for step in _steps(slide, path):
            try:
                step()
            except DamagedSlideError:
                is_damaged = True
            except DreSlclError as error:  # too large to look for tissue, or no such image
                _check_sentence(error)
    return "damaged" if is_damaged else "read"


def _steps(slide: Slide, path: Path) -> Iterator[Callable[[], Any]]:
    yield from (partial(_timed, look, _judge_looks) for look in first_looks(slide))
    yield partial(_search, slide, path)
    yield from (partial(_timed, read) for read in _reads(slide, path))


def _timed(act: Callable[[], Any], judge: Callable[[float], None] | None = None) -> Any:
    """Do one thing that a user may wait for, and see that it ends in time, refused or not."""
    faulthandler.dump_traceback_later(HANG_S, exit=True, file=STDERR)
    begun = time.process_time()
    try:
        return act()
    finally:
        faulthandler.cancel_dump_traceback_later()
        (judge or _judge)(time.process_time() - begun)


def _judge(took_s: float) -> None:
    if took_s > SLOW_S:
        raise TimeoutError(f"one step took {took_s:.1f} s")


def _judge_looks(took_s: float) -> None:
    """Judge looks taken at once as one of them: each is a step of its own, on its own thread."""
    _judge(took_s / N_THREADS)


def _search(slide: Slide, path: Path) -> None:
    """Search for tissue, in the time of a step or in about that of reading the same pixels."""
    if _searched_px(slide) <= MOST_SEARCHED_PX:
        _timed(lambda: find_tissue(slide), partial(judge_search, path, MASK_MPP / SAID_MPP))


def _reads(slide: Slide, path: Path) -> Iterator[Any]:
    for yx in _corners(slide):
        yield lambda yx=yx: slide.read_tiles([yx], TILE_PX, n_threads=1)
    yield lambda: slide.read_tiles([(0, 0)], TILE_PX, downsample=3.0, n_threads=1)
    levels, options, _ = slide_layer(slide)
    yield lambda: levels[-1][:] if options["multiscale"] else levels[:]
    for level in levels:
        yield lambda level=level: level[:VIEW_PX, :VIEW_PX]
    for name in slide.info.associated_images:
        yield lambda name=name: read_associated_image(path, name)


def _searched_px(slide: Slide) -> int:
    """Return how many pixels a search for tissue reads; 0 where it refuses at once."""
    try:
        return pixels_searched(slide)
    except DreSlclError:
        return 0


def _check_sentence(error: DreSlclError) -> None:
    """Refuse a text that no user should see."""
    text = str(error)
    if "Traceback" in text or "\n" in text.strip() or not text.strip().endswith("."):
        raise AssertionError(f"no sentence: {text!r}")
    one: BaseException | None = error
    while one is not None:
        if isinstance(one, MemoryError):
            raise MemoryError(f"before the sentence: {text}") from error
        one = one.__cause__ or one.__context__


def _outcome(path: Path, has_command: bool) -> dict[str, Any]:
    try:
        came = {"came": _read_all(path)}
    except DreSlclError as error:
        _check_sentence(error)
        is_stopped = STOPPED in str(error)
        came = {"came": "stopped" if is_stopped else "refused", "said": str(error)}
        if "too much memory" in str(error):  # it was held back, but our own reading asked for it
            came["came"] = "too much memory"
    if has_command:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            code = _timed(lambda: main(["info", str(path), "--mpp", str(SAID_MPP), "--json"]))
        if code not in (0, 2):
            raise AssertionError(f"dre-slcl info ended with {code}")
    return came


def _virtual_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()


def _run_case(path: Path, has_command: bool) -> dict[str, Any]:
    begun = time.monotonic()
    resource.setrlimit(resource.RLIMIT_AS, (_virtual_bytes() + MEMORY_BYTES, -1))
    try:
        came = _outcome(path, has_command)
    except MemoryError as error:
        came = {"came": "too much memory", "said": str(error)}
    except TimeoutError as error:
        came = {"came": "too slow", "said": str(error)}
    except Exception as error:  # noqa: BLE001 - what no user should see is what is looked for
        came = {"came": f"raised {type(error).__name__}", "said": str(error)[:500]}
    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    return came | {"took_s": round(time.monotonic() - begun, 3)}


def run_job(job: dict[str, Any]) -> None:
    """Run a job's cases in their order."""
    logging.getLogger("napari_dre_slcl").addHandler(logging.NullHandler())
    logging.getLogger("napari_dre_slcl").propagate = False
    for number, name, way in job["cases"]:
        chance = random.Random(f"{job['seed']} slides {number}")
        path = spoil(Path(job["slides"][name]), way, chance, Path(job["folder"]))
        print(number, flush=True)
        came = _run_case(path, number % COMMAND_EVERY == 0)
        print(json.dumps({"number": number} | came), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    run_job(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
