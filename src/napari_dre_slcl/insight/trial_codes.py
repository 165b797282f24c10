"""What is done to compressed codes of tiles in a trial: they are opened, and searched once.

Called in a process that may end by it; see `napari_dre_slcl.trial`.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

from napari_dre_slcl.insight.codes_layout import check_fitted
from napari_dre_slcl.insight.tile_codes import (
    CODES_SUFFIX,
    FITTED_FILE,
    StackedCodes,
    mapped_lists,
)

__all__ = ["try_codes"]

_N_FOUND, _MOST_PROBES = 12, 64


def try_codes(folder: Path, _: str = "") -> None:
    """Search the codes of a folder; what faiss complains of is told by who opens them next.

    Parameters
    ----------
    folder : Path
        With the centroids, and the codes of each shard.
    """
    with suppress(RuntimeError, OSError, ValueError):
        shape = check_fitted(folder / FITTED_FILE)
        readable = []
        for path in sorted(folder.glob(f"*{CODES_SUFFIX}")):
            with suppress(RuntimeError, OSError, ValueError):  # it may be of no index
                mapped_lists(path, shape)
                readable.append(path.name)
        codes = StackedCodes(folder, readable)
        n_probes = min(codes.n_lists, _MOST_PROBES)
        codes.search(np.ones((1, codes.dim), np.float32), _N_FOUND, n_probes)
