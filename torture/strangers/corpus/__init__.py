"""Files that were made to do harm, each by its own code; none may be read, each gets a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from torture.strangers.corpus import code, places, sizes, tables, texts
from torture.strangers.corpus.sample import Sample

__all__ = ["Sample", "samples"]


def samples(folder: Path, honest: Mapping[str, Path]) -> Iterator[Sample]:
    """Make them, one after the other.

    Parameters
    ----------
    folder : Path
        Where to; each gets a folder of its own.
    honest : mapping of str to Path
        One honest file of each kind, which some are made from.
    """
    number = 0
    for family, makers in (
        ("code", code.MAKERS),
        ("sizes", sizes.MAKERS),
        ("sizes of tables", tables.MAKERS),
        ("paths and links", places.MAKERS),
        ("texts", texts.MAKERS),
    ):
        for kind, make in makers:
            number += 1
            place = folder / f"{number:03d}"
            place.mkdir(parents=True)
            path = make(place, honest[kind])
            name = make.__name__.strip("_").replace("_", " ")
            yield Sample(name, family, kind, path)
