"""Whether files of compressed codes are laid out as faiss writes them: it checks little itself.

What a file says of lengths is added up and must come to the length of the file, so that nothing is
read beyond its end and no memory is taken for what is not there.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from napari_dre_slcl.untrusted import UntrustedError
from napari_dre_slcl.untrusted.bounds import open_plain

__all__ = ["FittedShape", "check_fitted", "check_lists"]

# Kind, width, tiles, two that are not used, whether it is trained, and the metric.
_HEAD = struct.Struct("<4siqqq?i")
_NUMBER = struct.Struct("<Q")
_PRODUCTS_PER_BYTE = 256
_LISTS_HEAD = struct.Struct("<4sQQ4sQ")
_MOST_LISTS = 2**20
_ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class FittedShape:
    """What codes are like.

    Parameters
    ----------
    dim : int
        Width of a feature.
    n_lists : int
        How many lists there are.
    code_bytes : int
        Of a tile.
    """

    dim: int
    n_lists: int
    code_bytes: int


def check_fitted(path: Path) -> FittedShape:
    """Look at a file of centroids (IVF-PQ of 8 bits over a flat table).

    Raises
    ------
    UntrustedError
        If its parts do not fit each other or its length.
    OSError
        If it cannot be read.
    """
    with open_plain(path) as (stream, n_bytes):
        try:
            shape = _read_fitted(stream)
        except struct.error as error:
            raise UntrustedError("it is cut short") from error
        if _n_listed(stream, shape) or stream.tell() != n_bytes:
            raise UntrustedError("its length is not what it says")
        return shape


def check_lists(path: Path, shape: FittedShape) -> int:
    """Look at the codes of a shard; return how many tiles they are of.

    Raises
    ------
    UntrustedError
        If they are not of these centroids, or their lengths do not come to that of the file.
    OSError
        If it cannot be read.
    """
    with open_plain(path) as (stream, n_bytes):
        n_tiles = _n_listed(stream, shape)
        if stream.tell() + n_tiles * (shape.code_bytes + _ID_BYTES) != n_bytes:
            raise UntrustedError("its length is not what it says")
        return n_tiles


def _read_fitted(stream: BinaryIO) -> FittedShape:
    kind, dim, n_tiles, *_ = _HEAD.unpack(stream.read(_HEAD.size))
    n_lists, _ = _number(stream), _number(stream)
    inner, inner_dim, n_centroids, *_ = _HEAD.unpack(stream.read(_HEAD.size))
    is_right = (kind, inner, n_tiles) == (b"IwPQ", b"IxF2", 0) and 0 < dim == inner_dim
    if not is_right or not 0 < n_lists == n_centroids <= _MOST_LISTS:
        raise UntrustedError("it is of another kind")
    _skip(stream, n_centroids * dim)
    if stream.read(1) != b"\0" or _number(stream) or len(stream.read(1)) != 1:
        raise UntrustedError("it is of another kind")
    code_bytes, width, n_parts, n_bits = (_number(stream) for _ in range(4))
    if (width, n_bits, code_bytes) != (dim, 8, n_parts) or not n_parts or dim % n_parts:
        raise UntrustedError("its products do not fit its centroids")
    _skip(stream, _PRODUCTS_PER_BYTE * dim)
    return FittedShape(dim, n_lists, code_bytes)


def _n_listed(stream: BinaryIO, shape: FittedShape) -> int:
    """Read the head of lists; return how many tiles are in all of them."""
    try:
        kind, n_lists, code_bytes, how, n_sizes = _LISTS_HEAD.unpack(stream.read(_LISTS_HEAD.size))
    except struct.error as error:
        raise UntrustedError("it is cut short") from error
    if (kind, n_lists, code_bytes) != (b"ilar", shape.n_lists, shape.code_bytes):
        raise UntrustedError("it is of other centroids")
    step = {b"full": 1, b"sprs": 2}.get(how)
    if step is None or n_sizes > step * n_lists or (step == 1 and n_sizes != n_lists):
        raise UntrustedError("its lists are of another kind")
    sizes = np.frombuffer(stream.read(8 * n_sizes), "<u8")
    if len(sizes) != n_sizes or n_sizes % step:
        raise UntrustedError("it is cut short")
    if step == 2 and (sizes[::2] >= n_lists).any():
        raise UntrustedError("it names lists that are none")
    counts = sizes[step - 1 :: step]
    if (counts > 2**40).any():
        raise UntrustedError("a list is longer than any")
    return int(counts.sum())


def _number(stream: BinaryIO) -> int:
    return int(_NUMBER.unpack(stream.read(_NUMBER.size))[0])


def _skip(stream: BinaryIO, n_floats: int) -> None:
    """Pass over floats, of which the file says itself how many there are."""
    if _number(stream) != n_floats:
        raise UntrustedError("a table of it is not as long as it must be")
    stream.seek(4 * n_floats, 1)
