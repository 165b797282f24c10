"""How like a phrase each tile of a slide is; slow where the slide is large, so not for main."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.errors import ResultError
from napari_dre_slcl.results import load_report_space
from napari_dre_slcl.untrusted import read_npy

__all__ = ["Similarity", "SpaceReader", "similarity_text"]

_ROWS = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """Of the tiles of a slide to a phrase.

    Parameters
    ----------
    values : ndarray
        (n,) float32, -1 to 1.
    slide : float or None
        Of the slide as a whole.
    """

    values: NDArray[np.float32]
    slide: float | None


class SpaceReader:
    """Reads where tiles lie in report space; the last file is kept for the next phrase."""

    def __init__(self) -> None:
        self._key: tuple[Path, int, int] | None = None
        self._space: NDArray[np.float16] | None = None

    def similarity(
        self, file: Path, vectors: Path, report_vector: NDArray[np.float32] | None
    ) -> Similarity:
        """Return the cosine of each tile of a result with a phrase.

        Parameters
        ----------
        file : Path
            Result file.
        vectors : Path
            What an `AskJob` has written, one row.
        report_vector : ndarray or None
            (t,) the slide in report space.

        Raises
        ------
        ResultError
            If the result cannot be read, or its tiles were never placed in report space.
        """
        space = self._read(file)
        phrase = read_npy(vectors)[0]
        if space.shape[1] != len(phrase):
            raise ResultError(
                f"'{file.name}' is of another model than the phrase. Predict the slide again."
            )
        values = np.concatenate(
            [
                space[start : start + _ROWS].astype(np.float32) @ phrase
                for start in range(0, len(space), _ROWS)
            ]
            or [np.empty(0, np.float32)]
        )
        slide = None if report_vector is None else float(report_vector @ phrase)
        return Similarity(values, slide)

    def _read(self, file: Path) -> NDArray[np.float16]:
        try:
            status = file.stat()
        except OSError as error:
            raise ResultError(f"The result '{file}' cannot be read: {error.strerror}.") from error
        key = (file, status.st_mtime_ns, status.st_size)
        if self._key != key or self._space is None:
            self._space = load_report_space(file)
            self._key = key
        if self._space is None:
            raise ResultError(
                "The tiles of this result were not placed among the reports: the model knows no "
                "reports, or the result is of an older version. Predict the slide again with a "
                "model that was trained on reports."
            )
        return self._space


def similarity_text(found: Similarity) -> str:
    """Return one line of figures."""
    if not len(found.values):
        return "This result has no tiles to draw."
    low, high = float(found.values.min()), float(found.values.max())
    parts = [f"Tiles from {low:.2f} to {high:.2f}"]
    if found.slide is not None:
        parts.append(f"the slide as a whole {found.slide:.2f}")
    return (
        "; ".join(parts) + ". 1 is most like the phrase. Compare tiles with each other: every "
        "phrase has a level of its own."
    )
