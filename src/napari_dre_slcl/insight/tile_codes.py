"""TileCodes: which of very many tiles may be nearest, by compressed codes; faiss does the work.

Tiles are sorted into lists around centroids, and kept as product-quantised differences from these
(IVF-PQ; Jégou, Douze and Schmid 2011, IEEE TPAMI 33(1)). A search looks at the lists nearest to
what is asked. The codes of each shard are one file, mapped by faiss; together they are searched as
one. What is found here is only a candidate: whoever asks compares the features themselves.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import atomic_path
from napari_dre_slcl.errors import SearchError
from napari_dre_slcl.insight.codes_layout import FittedShape, check_fitted, check_lists
from napari_dre_slcl.insight.hits import LeftOut
from napari_dre_slcl.insight.index_header import CodesFacts
from napari_dre_slcl.trial.kinds import CODES
from napari_dre_slcl.trial.proof import prove_file

__all__ = [
    "CODES_SUFFIX",
    "FITTED_FILE",
    "MOST_RANGES",
    "ROW_BITS",
    "StackedCodes",
    "TileCodes",
    "has_faiss",
    "mapped_lists",
    "prove_codes",
    "read_fitted",
    "shard_number",
]

FITTED_FILE = "fitted.faiss"
CODES_SUFFIX = ".ivf"
ROW_BITS = 32
"""A tile's id is the number of its shard's codes, then so many bits for its row in the shard."""
MOST_RANGES = 64
"""More left-out slides than these are asked for each tile too slowly."""
_ROW_MASK = 2**ROW_BITS - 1


def has_faiss() -> bool:
    """Return whether the package faiss-cpu (the extra ``search``) is installed."""
    return find_spec("faiss") is not None


def load_faiss() -> Any:
    """Return the package, which is not needed but for this; its stubs lack what we call."""
    return import_module("faiss")


def shard_number(file: str) -> int:
    """Return the number of a shard's codes, from the name of their file."""
    return int(file.partition("-")[0])


def prove_codes(folder: Path) -> None:
    """Make sure that the codes of a folder have been searched in a trial.

    Parameters
    ----------
    folder : Path
        With the centroids, and the codes of each shard.

    Raises
    ------
    SearchError
        If the trial was ended by them, or met a limit.
    """
    prove_file(folder, CODES, name=folder.parent.parent.name)


class StackedCodes:
    """Codes of some shards as one index of faiss, which is asked by ids.

    Parameters
    ----------
    folder : Path
        Of the codes.
    files : sequence of str
        Codes of the shards.

    Raises
    ------
    RuntimeError, OSError, ValueError
        If a file has gone or is damaged; faiss raises the first alone.
    """

    def __init__(self, folder: Path, files: Sequence[str]) -> None:
        faiss = load_faiss()
        shape = check_fitted(folder / FITTED_FILE)
        self._index = read_fitted(folder)
        self._mapped = [mapped_lists(folder / name, shape) for name in files]
        pointers = faiss.InvertedListsPtrVector()
        for lists in self._mapped:
            pointers.push_back(lists)
        # faiss does not keep what it points to: the lists live as long as this object.
        self._stacked = faiss.HStackInvertedLists(pointers.size(), pointers.data())
        self._index.replace_invlists(self._stacked, False)
        self._index.ntotal = self._stacked.compute_ntotal()
        self._options = faiss.SearchParametersIVF

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dim(self) -> int:
        """Width of a feature."""
        return int(self._index.d)

    @property
    def n_lists(self) -> int:
        """How many lists there are."""
        return int(self._index.nlist)

    def search(
        self, query: NDArray[np.float32], n: int, n_probes: int, selector: Any = None
    ) -> NDArray[np.int64]:
        """Return ids that are probably near (1, d), the nearest first, at most n."""
        options = self._options(nprobe=n_probes, sel=selector)
        _, ids = self._index.search(query, n, params=options)
        found: NDArray[np.int64] = ids[0][ids[0] >= 0]
        return found


class TileCodes:
    """Compressed codes of all tiles of an index.

    Parameters
    ----------
    folder : Path
        Of the codes.
    facts : CodesFacts
        What the header of the index says of them.
    first_rows : ndarray
        (shards,) first row of each shard in the index.
    n_rows : int
        Of the index.

    Raises
    ------
    SearchError
        If a file has gone or is damaged.
    """

    def __init__(
        self, folder: Path, facts: CodesFacts, first_rows: NDArray[np.int64], n_rows: int
    ) -> None:
        self._faiss, self._folder = load_faiss(), folder
        self._first_rows = np.asarray(first_rows, np.int64)
        self._n_rows = n_rows
        self.n_probes = facts.n_probes
        _check_sizes(folder, facts)
        try:
            self._numbers = np.array([shard_number(name) for name in facts.files], np.int64)
            self._stacked = StackedCodes(folder, facts.files)
        except (RuntimeError, OSError, ValueError) as error:  # faiss raises the first alone
            raise SearchError(_damaged(folder)) from error

    def __len__(self) -> int:
        return len(self._stacked)

    @property
    def n_lists(self) -> int:
        """How many lists there are."""
        return self._stacked.n_lists

    def candidates(
        self,
        query: NDArray[np.float32],
        n: int,
        left_out: LeftOut,
        n_probes: int | None = None,
    ) -> NDArray[np.int64] | None:
        """Return rows of the index that are probably near.

        Parameters
        ----------
        query : ndarray
            (d,) of length 1.
        n : int
            How many at most.
        left_out : LeftOut
            What is not wanted; each slide lies within one shard.
        n_probes : int, optional
            Lists that are looked at; what was found to be enough by default.

        Returns
        -------
        ndarray or None
            (m,) int64 rows, ascending; None where more is left out than can be told here.
        """
        if len(left_out.slides) > MOST_RANGES:
            return None
        kept_alive: list[Any] = []
        asked = np.ascontiguousarray(query, np.float32)[None]
        ids = self._stacked.search(
            asked,
            max(1, min(n, len(self))),
            min(n_probes or self.n_probes, self.n_lists),
            self._selector(left_out, kept_alive),
        )
        return np.sort(self._rows(ids))

    def _rows(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        order = np.argsort(self._numbers)
        places = np.searchsorted(self._numbers[order], ids >> ROW_BITS)
        if (places == len(order)).any():
            raise SearchError(_damaged(self._folder))
        shards = order[places]
        rows: NDArray[np.int64] = self._first_rows[shards] + (ids & _ROW_MASK)
        if (self._numbers[shards] != ids >> ROW_BITS).any() or (rows >= self._n_rows).any():
            raise SearchError(_damaged(self._folder))
        return rows

    def _ids(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        shards = np.searchsorted(self._first_rows, rows, side="right") - 1
        ids: NDArray[np.int64] = (self._numbers[shards] << ROW_BITS) + rows
        return ids - self._first_rows[shards]

    def _selector(self, left_out: LeftOut, kept_alive: list[Any]) -> Any:
        """Return what tells faiss which tiles to pass over; it points to others, kept alive."""
        faiss = self._faiss
        parts = []
        if len(left_out.rows):
            parts.append(faiss.IDSelectorBatch(self._ids(left_out.rows)))
        for slide in left_out.slides:
            first = int(self._ids(np.array([slide.start], np.int64))[0])
            parts.append(faiss.IDSelectorRange(first, first + slide.stop - slide.start))
        kept_alive.extend(parts)
        if not parts:
            return None
        gone = parts[0]
        for part in parts[1:]:
            gone = faiss.IDSelectorOr(gone, part)
            kept_alive.append(gone)
        wanted = faiss.IDSelectorNot(gone)
        kept_alive.append(wanted)
        return wanted


def read_fitted(folder: Path) -> Any:
    """Return the faiss index of the centroids, without tiles.

    Tables of products would take lists x bytes x 1 kB of memory, for little speed with one question
    at a time.

    Raises
    ------
    RuntimeError, OSError, ValueError
        If it has gone or is damaged.
    """
    check_fitted(folder / FITTED_FILE)
    faiss = load_faiss()
    path = str(folder / FITTED_FILE)
    fitted = faiss.read_index(path, faiss.IO_FLAG_SKIP_PRECOMPUTE_TABLE)
    if not fitted.is_trained:
        raise ValueError(f"'{FITTED_FILE}' holds no fitted codes")
    fitted.use_precomputed_table = -1
    return fitted


def write_by_faiss(path: Path, write: Callable[[str], None]) -> None:
    """Have faiss write a file, whole or not at all.

    Parameters
    ----------
    path : Path
        Target.
    write : callable
        Given the name of the file that becomes it.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    try:
        with atomic_path(path) as aside:
            write(str(aside))
    except RuntimeError as error:  # faiss raises nothing else
        told = f"not all of '{path.name}' could be written; most often the disk is full"
        raise OSError(0, told) from error


def mapped_lists(path: Path, shape: FittedShape) -> Any:
    """Return the codes of a shard; RuntimeError, OSError or ValueError where they are damaged."""
    check_lists(path, shape)
    faiss = load_faiss()
    reader = faiss.FileIOReader(str(path))
    # faiss maps no files on Windows; there the codes are read.
    is_mapped = sys.platform != "win32"
    flags = faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY if is_mapped else 0
    return faiss.read_InvertedLists(reader, flags)


def _check_sizes(folder: Path, facts: CodesFacts) -> None:
    """Refuse files that were cut short: faiss would read beyond their end."""
    try:
        sizes = tuple((folder / name).stat().st_size for name in facts.files)
    except OSError as error:
        raise SearchError(_damaged(folder)) from error
    if sizes != facts.sizes:
        raise SearchError(_damaged(folder))


def _damaged(folder: Path) -> str:
    return (
        f"The codes '{folder}' of the index have gone or are damaged. Open the index again, in "
        "case it was made anew; if that does not help, make the cohort searchable again."
    )
