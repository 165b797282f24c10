"""Says in a sentence how an index is searched: exactly, by codes, or slowly."""

from __future__ import annotations

from napari_dre_slcl.insight.index_header import IndexHeader
from napari_dre_slcl.insight.tile_codes import has_faiss

__all__ = ["MOST_EXACT", "how_it_is_searched"]

MOST_EXACT = 5_000_000
"""Up to so many tiles are all compared with what is looked for."""
_INSTALL = 'Install it (pip install "napari-dre-slcl[search]")'


def how_it_is_searched(header: IndexHeader) -> str:
    """Return how the nearest tiles of an index are found, and what is missed or slow.

    Parameters
    ----------
    header : IndexHeader
        Of the index.
    """
    gib = header.n_tiles * header.dim * 4 / 2**30
    slow = (
        f"All {header.n_tiles:,} tiles ({gib:,.0f} GiB) are read and compared for every question, "
        "which is slow"
    )
    if header.codes is not None and has_faiss():
        return (
            f"Candidates among {header.n_tiles:,} tiles come from compressed codes and are "
            f"compared exactly: {header.codes.recall:.1%} of the 12 nearest tiles are found "
            f"(measured on {header.codes.n_questions} tiles, {header.codes.n_probes} lists each)."
        )
    if header.codes is not None:
        return f"{slow}: this index has codes, but faiss is not installed. {_INSTALL}."
    if header.n_tiles > MOST_EXACT:
        return f"{slow}: faiss was not installed. {_INSTALL} and make the cohort searchable again."
    return "All tiles are compared, so the answer is exact."
