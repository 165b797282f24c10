"""How many of the nearest tiles codes find, measured on tiles of the index itself.

What is truly nearest is noted for each shard while it is encoded, when its features are at hand;
so a cohort need not be read again for it, and a new shard leaves the notes of others as they are.
The slide of a question is left out, as in most searches: its own tiles would be too easy to find.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import atomic_writer
from napari_dre_slcl.insight.hits import LeftOut
from napari_dre_slcl.insight.rows import ShardRows
from napari_dre_slcl.insight.tile_codes import TileCodes
from napari_dre_slcl.untrusted import read_json, read_npy

__all__ = [
    "CANDIDATES",
    "N_NEAREST",
    "QUESTIONS_FILE",
    "SLIDES_FILE",
    "NearestOfShard",
    "measure",
    "read_questions",
]

N_NEAREST = 12
CANDIDATES = 32
"""So many candidates are compared exactly for each tile that is wanted."""
QUESTIONS_FILE, SLIDES_FILE = "questions.npy", "questions.json"
_WANTED_RECALL = 0.97
_PROBES = (8, 16, 32, 64, 128, 256)
_ROUNDING = 1e-6


class NearestOfShard:
    """The greatest products of each question with the tiles of other slides in one shard.

    Parameters
    ----------
    folder : Path
        Of the codes, with the questions.
    slides : sequence of (str, slice)
        Slides of the shard and their rows within it.
    """

    def __init__(self, folder: Path, slides: Sequence[tuple[str, slice]]) -> None:
        self._questions, ids = read_questions(folder)
        rows = dict(slides)
        self._own = [(column, rows[name]) for column, name in enumerate(ids) if name in rows]
        self._best = np.full((len(ids), N_NEAREST), -np.inf, np.float32)

    def add(self, block: NDArray[np.float32], first: int) -> None:
        """Look at rows of the shard from ``first`` on."""
        products = self._questions @ block.T
        products[~np.isfinite(products)] = -np.inf
        for column, rows in self._own:
            products[column, max(0, rows.start - first) : max(0, rows.stop - first)] = -np.inf
        both = np.concatenate([self._best, products], axis=1)
        self._best = np.partition(both, -N_NEAREST, axis=1)[:, -N_NEAREST:]

    def write(self, path: Path) -> None:
        """Write the (questions, 12) products."""
        with atomic_writer(path) as stream:
            np.save(stream, self._best, allow_pickle=False)


def read_questions(folder: Path) -> tuple[NDArray[np.float32], list[str]]:
    """Return the (q, d) features that are looked for, and the slide of each.

    Raises
    ------
    ValueError
        If they are none; of a file that cannot be read also what its reader raises.
    """
    questions: NDArray[np.float32] = read_npy(folder / QUESTIONS_FILE)
    slides = read_json(folder / SLIDES_FILE)
    is_list = isinstance(slides, list) and all(isinstance(slide, str) for slide in slides)
    if questions.ndim != 2 or not is_list:
        raise ValueError(f"'{QUESTIONS_FILE}' or '{SLIDES_FILE}' hold no questions")
    return questions, slides


def measure(
    folder: Path,
    codes: TileCodes,
    files: Sequence[str],
    features: ShardRows[np.float32],
    own_rows: dict[str, slice],
) -> tuple[int, float, int]:
    """Choose how many lists a search looks at, and measure what it finds.

    Parameters
    ----------
    folder : Path
        Of the codes.
    codes : TileCodes
        Of all shards.
    files : sequence of str
        Of the codes of each shard.
    features : ShardRows
        (N, d) unit rows.
    own_rows : dict of str to slice
        Rows of the index of each slide.

    Returns
    -------
    n_probes : int
        The fewest lists that find 97 % of the nearest of every second question, or 256.
    recall : float
        Share of the 12 nearest that are found of the other questions.
    n_questions : int
        How many these are.
    """
    questions, ids = read_questions(folder)
    notes = [read_npy((folder / name).with_suffix(".npy")) for name in files]
    true = np.sort(np.concatenate(notes, axis=1), axis=1)[:, -N_NEAREST:]

    def found(number: int, n_probes: int) -> float:
        own = own_rows.get(ids[number])
        has_own = own is not None and own.stop > own.start
        left_out = LeftOut(slides=(own,)) if own is not None and has_own else LeftOut()
        rows = codes.candidates(
            questions[number], CANDIDATES * N_NEAREST, left_out, n_probes=n_probes
        )
        products = np.sort(features[rows] @ questions[number])[-N_NEAREST:]
        there = true[number][np.isfinite(true[number])]
        if not len(there):
            return 1.0
        return min(len(there), int((products >= there[0] - _ROUNDING).sum())) / len(there)

    tuning, testing = range(0, len(ids), 2), range(1, len(ids), 2)
    n_probes = _PROBES[0]
    for n_probes in _PROBES:
        if n_probes >= codes.n_lists:
            break
        if np.mean([found(number, n_probes) for number in tuning]) >= _WANTED_RECALL:
            break
    recall = float(np.mean([found(number, n_probes) for number in testing]))
    return min(n_probes, codes.n_lists), recall, len(testing)
