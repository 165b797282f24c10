"""Look for identifiers in everything below a folder, whatever the files are called or packed in."""

from __future__ import annotations

import base64
import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from torture.private.identities import Seed
from torture.private.tiff_slides import CYAN, MAGENTA

__all__ = ["Leak", "coloured_pictures", "leaks_in"]

_EMBEDDED = re.compile(rb"data:image/[a-z]+;base64,([A-Za-z0-9+/=]+)")
_PICTURES = (".png", ".jpg", ".jpeg")
_NEAR = 40
_MOST_BYTES = 2**28


@dataclass(frozen=True, slots=True)
class Leak:
    """An identifier where it must not be.

    Parameters
    ----------
    seed : Seed
        What was found.
    file : Path
        Where, as seen from the folder that was looked through.
    """

    seed: Seed
    file: Path

    def __str__(self) -> str:
        """Return what and where, in a line."""
        return f"{self.seed.kind} ({self.seed.place}) in {self.file}"


def leaks_in(folder: Path, seeds: Iterable[Seed]) -> list[Leak]:
    """Return every identifier that stands in a file, its name or the names of its folders.

    Parameters
    ----------
    folder : Path
        Looked through with all that is in it; links are read as links.
    seeds : iterable of Seed
        What must not be there.
    """
    forms = {seed: _forms(seed.text) for seed in seeds}
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        parts = [str(name).lower().encode()]
        if path.is_symlink():
            parts.append(str(path.readlink()).lower().encode())
        elif path.is_file():
            parts += [part.lower() for part in _contents(path)]
        text = b"\n".join(parts)
        found += [Leak(seed, name) for seed, own in forms.items() if any(o in text for o in own)]
    return found


def coloured_pictures(folder: Path) -> list[Path]:
    """Return the pictures, also those in pages, that show the colours of label or macro images."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _PICTURES and path.is_file():
            pictures = [path.read_bytes()]
        elif path.suffix == ".html":
            pictures = [base64.b64decode(one) for one in _EMBEDDED.findall(path.read_bytes())]
        else:
            continue
        if any(_has_label_colour(one) for one in pictures):
            found.append(path.relative_to(folder))
    return found


def _has_label_colour(picture: bytes) -> bool:
    with Image.open(io.BytesIO(picture)) as image:
        plain = image.convert("RGBA").convert("RGB")
        plain.thumbnail((1200, 1200))
        pixels = np.asarray(plain, np.int16)
    for colour in (MAGENTA, CYAN):
        near = np.abs(pixels - np.array(colour, np.int16)).max(axis=-1) < _NEAR
        # A label is a box full of it; a line or a dot of a drawing is none.
        if near.mean() > 0.02:
            return True
    return False


def _forms(text: str) -> tuple[bytes, ...]:
    """Return a word in the writings that files use."""
    plain = text.lower()
    return (plain.encode(), plain.encode("utf-16-le"))


def _contents(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes, and what is packed in it."""
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"'{path}' is too large to be looked through")
    raw = path.read_bytes()
    yield raw
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield from _plain(archive.read(name))
    elif raw.startswith(b"\x89HDF"):
        yield from _hdf5(path)
    elif raw.startswith(b"PAR1"):
        yield from _parquet(path)
    elif raw.startswith(b"\x93NUMPY"):
        yield from _plain(raw)


def _plain(raw: bytes) -> Iterator[bytes]:
    """Yield bytes, and those of NumPy's text of four bytes a letter as UTF-8."""
    yield raw
    yield raw.replace(b"\0\0\0", b"")


def _hdf5(path: Path) -> Iterator[bytes]:
    said: list[str] = []
    with h5py.File(path, "r") as stored:
        said += [f"{name} {value}" for name, value in stored.attrs.items()]

        def look(name: str, item: h5py.HLObject) -> None:
            said.append(name)
            said.extend(f"{key} {value}" for key, value in item.attrs.items())
            if isinstance(item, h5py.Dataset) and item.dtype.kind in "OSU":
                said.append(str(item[()]))

        stored.visititems(look)
    yield "\n".join(said).encode()


def _parquet(path: Path) -> Iterator[bytes]:
    from pyarrow import parquet

    table = parquet.read_table(path, partitioning=None)
    yield str(table.schema.metadata).encode()
    yield str(table.to_pydict()).encode()
