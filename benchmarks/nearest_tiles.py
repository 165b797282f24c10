r"""Time the search for the 12 nearest of a million tiles, against a naive search in float64.

    python benchmarks/nearest_tiles.py [--tiles 1000000] [--dim 384] [--queries 10]

Both give the same tiles and are timed in turns in the same run. Features are random unit vectors,
in files that are mapped as an index maps them; scikit-learn's brute force is timed as well.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from napari_dre_slcl.insight.hits import IndexedSlide
from napari_dre_slcl.insight.index_part import IndexFacts, IndexPart, IndexSource
from napari_dre_slcl.insight.search import attention_percentile, nearest_tiles, nearest_to_codeword
from napari_dre_slcl.insight.tile_index import TileIndex
from napari_dre_slcl.insight.write_index import write_index

_SLIDES = 20
_CODEWORDS = 16


def make_index(folder: Path, n_tiles: int, dim: int) -> TileIndex:
    """Write an index of random tiles and open it."""
    per_slide = n_tiles // _SLIDES
    rowcol = np.argwhere(np.ones((per_slide // 100 + 1, 100), bool))[:per_slide].astype(np.int32)

    def read(number: int) -> IndexPart:
        rng = np.random.default_rng(number)
        return IndexPart(
            rowcol,
            rng.integers(0, _CODEWORDS, per_slide).astype(np.int32),
            rng.exponential(size=per_slide).astype(np.float32),
            rng.random(per_slide, np.float32),
            rng.standard_normal(dim).astype(np.float32),
            rng.standard_normal((per_slide, dim), dtype=np.float32),
        )

    sources = []
    for i in range(_SLIDES):
        slide = IndexedSlide(
            f"s{i}", f"p{i}", f"s{i}.svs", folder / "r", per_slide, 0, 0.5, 256, (1, 1)
        )
        sources.append(IndexSource(slide, str(i), partial(read, i)))
    write_index(folder, IndexFacts("m", "0", "dre-slcl", _CODEWORDS, dim), sources)
    return TileIndex.open(folder)


def naive(features: NDArray[np.float32], query: NDArray[Any], n: int) -> NDArray[np.int64]:
    """Return the n nearest rows by distances in float64, block by block."""
    distances = [
        np.linalg.norm(features[first : first + 50_000].astype(np.float64) - query, axis=1)
        for first in range(0, len(features), 50_000)
    ]
    return np.argsort(np.concatenate(distances), kind="stable")[:n]


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    answer = work()
    return time.perf_counter() - began, answer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--queries", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nearest-tiles-") as folder:
        index = make_index(Path(folder), options.tiles, options.dim)
        figures = measure(index, options.queries)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return 0


def measure(index: TileIndex, n_queries: int) -> dict[str, Any]:
    """Return medians in ms, the ratio to the naive search, and how often the answers agree."""
    rng = np.random.default_rng(1)
    rows = rng.integers(0, len(index), n_queries)
    nearest_tiles(index, index.features[0])  # the files are in memory from here on
    whole = np.asarray(index.features)
    ours, theirs, plain, n_equal = [], [], [], 0
    for row in rows:
        query = index.features[row] + 0.3 * rng.standard_normal(index.features.shape[1])
        query /= np.linalg.norm(query)
        taken, hits = seconds(lambda query=query: nearest_tiles(index, query, 12))
        ours.append(taken)
        single = query.astype(np.float32)
        plain.append(seconds(lambda single=single: whole @ single)[0])
        if len(theirs) < 3:  # the naive search takes seconds
            taken, found = seconds(lambda query=query: naive(whole, query, 12))
            theirs.append(taken)
            n_equal += [hit.number for hit in hits] == found.tolist()
    brute = NearestNeighbors(n_neighbors=12, algorithm="brute").fit(whole)
    sklearn_s = min(seconds(lambda: brute.kneighbors(whole[:1]))[0] for _ in range(2))
    attention = np.asarray(index.attention)
    attention_percentile(index, attention[:1])  # sorts once
    ours_s = statistics.median(ours)
    return {
        "tiles": len(index),
        "dim": index.features.shape[1],
        "median_ms": round(1000 * ours_s, 1),
        "fastest_ms": round(1000 * min(ours), 1),
        "slowest_ms": round(1000 * max(ours), 1),
        "one_product_in_memory_ms": round(1000 * statistics.median(plain), 1),
        "naive_float64_ms": round(1000 * statistics.median(theirs), 1),
        "ratio_to_naive": round(statistics.median(theirs) / ours_s, 1),
        "sklearn_brute_ms": round(1000 * sklearn_s, 1),
        "ratio_to_sklearn": round(sklearn_s / ours_s, 1),
        "same_12_as_naive": f"{n_equal} of {len(theirs)}",
        "nearest_to_codeword_ms": round(
            1000 * seconds(lambda: nearest_to_codeword(index, 3, 4, most_per_slide=1))[0], 1
        ),
        "attention_percentile_ms": round(
            1000 * seconds(lambda: attention_percentile(index, attention))[0], 1
        ),
    }


if __name__ == "__main__":
    sys.exit(main())
