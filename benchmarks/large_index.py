r"""Build and search the index of ten million tiles, within bounded memory.

    python benchmarks/large_index.py [--tiles 10000000] [--dim 64] [--folder DIR] [--keep]

Tiles are drawn to be harder than features are: kinds of tissue that go over into each other, a
spectrum that falls slowly, each slide with a shift of its own. Building, renewing and searching run
in processes of their own, whose greatest resident memory is told; mapped files count in it while
they are in use, so that the part that is the process's own is told as well. The answers of the
codes are compared with those of a full search of the same index.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from napari_dre_slcl.insight.hits import IndexedSlide
from napari_dre_slcl.insight.index_part import IndexFacts, IndexPart, IndexSource
from napari_dre_slcl.insight.search import (
    attention_percentile,
    codeword_shares,
    nearest_tiles,
    nearest_to_codeword,
)
from napari_dre_slcl.insight.search_note import MOST_EXACT
from napari_dre_slcl.insight.tile_index import TileIndex
from napari_dre_slcl.insight.write_index import IndexOptions, write_index

_PER_SLIDE = 10_000
_CODEWORDS = 64
_KINDS = 400


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=int, default=10_000_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="Where the index is written.")
    parser.add_argument("--most-exact", type=int, default=MOST_EXACT, help="More tiles get codes.")
    parser.add_argument("--keep", action="store_true", help="Do not delete the index.")
    parser.add_argument("--part", choices=("build", "renew", "search"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        figures = {"build": build, "renew": renew, "search": search}[options.part](options)
        sys.stdout.write(json.dumps(figures) + "\n")
        return 0
    folder = options.folder or Path(tempfile.mkdtemp(prefix="large-index-"))
    try:
        for part in ("build", "search", "renew"):
            told = [*sys.argv, "--folder", str(folder), "--part", part]
            done = subprocess.run([sys.executable, *told], check=True, stdout=subprocess.PIPE)
            sys.stdout.write(json.dumps({part: json.loads(done.stdout)}, indent=2) + "\n")
            sys.stdout.flush()
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def sources(options: argparse.Namespace, changed: int = -1) -> list[IndexSource]:
    """Return slides whose tiles are drawn when they are read; one of them may be another one."""
    found = []
    for number in range(max(1, options.tiles // _PER_SLIDE)):
        mark = f"{number}" + (" again" if number == changed else "")
        slide = IndexedSlide(
            f"s{number:05}",
            f"p{number // 2}",
            f"s{number}.svs",
            options.folder / "results" / f"s{number}.npz",
            _PER_SLIDE,
            0,
            0.5,
            256,
            (99_999, 99_999),
            {"subtype": "AB"[number % 2]},
        )
        found.append(IndexSource(slide, mark, partial(draw, number, options.dim)))
    return found


def draw(number: int, dim: int) -> IndexPart:
    """Return the tiles of a slide: runs of one kind of tissue, which goes over into another."""
    kinds = np.random.default_rng(0)
    centres = kinds.standard_normal((_KINDS, dim), dtype=np.float32)
    # The spectrum of deep features falls slowly: no few directions hold most of what varies.
    scale = (1 + np.arange(dim, dtype=np.float32)) ** -0.5
    turned = np.linalg.qr(kinds.standard_normal((dim, dim)))[0].astype(np.float32)
    rng = np.random.default_rng(number + 1)
    kind = np.repeat(rng.integers(0, _KINDS, _PER_SLIDE // 50), 50)
    other = np.repeat(rng.integers(0, _KINDS, _PER_SLIDE // 50), 50)
    share = rng.beta(0.5, 1.5, (_PER_SLIDE, 1)).astype(np.float32)
    features = (1 - share) * centres[kind] + share * centres[other]
    features += 0.3 * rng.standard_normal(dim, dtype=np.float32)
    features += 3 * (rng.standard_normal((_PER_SLIDE, dim), dtype=np.float32) * scale) @ turned
    rowcol = np.stack(np.divmod(np.arange(_PER_SLIDE), 100), axis=1).astype(np.int32)
    attention = rng.gamma(2.0, 0.5, _PER_SLIDE).astype(np.float32)
    distance = np.linalg.norm(features - centres[kind], axis=1).astype(np.float32)
    codeword = (kind % _CODEWORDS).astype(np.int32)
    vector = rng.standard_normal(dim, dtype=np.float32)
    return IndexPart(rowcol, codeword, attention, distance, vector, features)


class Memory:
    """The greatest resident memory of this process within a block, in MiB."""

    def __enter__(self) -> Memory:
        self.total = self.own = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            said = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
            self.total = max(self.total, self._resident(said, "VmRSS"))
            self.own = max(self.own, self._resident(said, "RssAnon"))
            if self._is_over.wait(0.05):
                return

    @staticmethod
    def _resident(said: list[str], name: str) -> float:
        return next(int(line.split()[1]) / 1024 for line in said if line.startswith(name + ":"))

    def figures(self) -> dict[str, int]:
        """Return both."""
        return {"peak_rss_mib": round(self.total), "of_it_own_mib": round(self.own)}


def build(options: argparse.Namespace) -> dict[str, Any]:
    """Write the index."""
    return _write(options, -1)


def renew(options: argparse.Namespace) -> dict[str, Any]:
    """Write it again with one slide that has changed."""
    return _write(options, 0)


def _write(options: argparse.Namespace, changed: int) -> dict[str, Any]:
    facts = IndexFacts("m", "0", "dre-slcl", _CODEWORDS, options.dim, tasks=("subtype",))
    began = [("Looking at what is there", time.perf_counter())]

    def on_progress(stage: str, done: int, total: int) -> None:
        if began[-1][0] != stage:
            began.append((stage, time.perf_counter()))

    with Memory() as memory:
        slides = sources(options, changed)
        layout = IndexOptions(most_exact=options.most_exact)
        written = write_index(options.folder, facts, slides, layout, on_progress)
        ended = time.perf_counter()
    ends = [*(start for _, start in began[1:]), ended]
    stages = {name: round(end - start, 1) for (name, start), end in zip(began, ends, strict=True)}
    codes = written.header.codes
    files = [path for path in options.folder.rglob("*") if path.is_file()]
    return {
        "tiles": written.header.n_tiles,
        "shards_written": written.n_written,
        "shards_kept": written.n_kept,
        "seconds": round(ended - began[0][1], 1),
        "cpu_seconds": round(time.process_time(), 1),
        "seconds_of": stages,
        **memory.figures(),
        "disk_gb": round(sum(path.stat().st_size for path in files) / 1e9, 2),
        "codes_gb": round(sum(codes.sizes) / 1e9, 2) if codes else 0,
        "recall_at_12": round(codes.recall, 4) if codes else None,
        "n_probes": codes.n_probes if codes else None,
    }


def search(options: argparse.Namespace) -> dict[str, Any]:
    """Open the index and look for tiles, without their own slides; then compare all tiles."""
    with Memory() as opening:
        open_s, index = _timed(lambda: TileIndex.open(options.folder))
        small = _others(index)
    with Memory() as coded:
        first_s, _ = _timed(lambda: nearest_tiles(index, index.features[5], 12))
        figures = _compare(index, options.queries)
    return {
        "open_s": round(open_s, 3),
        "opened_and_read": opening.figures(),
        **small,
        "first_question_ms": round(1000 * first_s, 1),
        **figures,
        "searching": coded.figures(),
    }


def _others(index: TileIndex) -> dict[str, float]:
    values = np.random.default_rng(1).gamma(2.0, 0.5, _PER_SLIDE).astype(np.float32)
    percentile_s, _ = _timed(lambda: attention_percentile(index, values))
    shares_s, _ = _timed(lambda: codeword_shares(index, "subtype"))
    every = range(index.n_codewords)
    cards_s, _ = _timed(lambda: [nearest_to_codeword(index, k, 4, 1) for k in every])
    return {
        "attention_percentile_ms": round(1000 * percentile_s, 1),
        "codeword_shares_ms": round(1000 * shares_s, 1),
        "pictures_of_all_codewords_ms": round(1000 * cards_s, 1),
    }


def _compare(index: TileIndex, n_queries: int) -> dict[str, Any]:
    rows = np.random.default_rng(2).integers(0, len(index), n_queries)
    coded, exact, found = [], [], []
    for row in rows:
        own = [int(index.slide_numbers(np.array([row]))[0])]
        query = np.array(index.features[row])
        seconds, hits = _timed(lambda q=query, o=own: nearest_tiles(index, q, 12, (), o))
        coded.append(seconds)
        seconds, true = _timed(
            lambda q=query, o=own: nearest_tiles(index, q, 12, (), o, is_exact=True)
        )
        exact.append(seconds)
        found.append(len({hit.number for hit in hits} & {hit.number for hit in true}) / 12)
    return {
        "coded_median_ms": round(1000 * statistics.median(coded), 1),
        "coded_slowest_ms": round(1000 * max(coded), 1),
        "exact_median_ms": round(1000 * statistics.median(exact), 1),
        "recall_at_12_here": round(statistics.mean(found), 4),
        "questions": n_queries,
    }


def _timed(work: Any) -> tuple[float, Any]:
    began = time.perf_counter()
    answer = work()
    return time.perf_counter() - began, answer


if __name__ == "__main__":
    sys.exit(main())
