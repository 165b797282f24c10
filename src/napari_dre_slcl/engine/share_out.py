"""Work on many slides that several processes share: who does which, and all answers for all."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.engine.world import World

__all__ = ["deal", "gather_answers", "pack", "unpack"]

_PER_ROUND = 256


def deal(weights: Sequence[float], size: int) -> list[list[int]]:
    """Deal pieces of work out, the heaviest first, back and forth over the processes.

    Processes that tell their progress in step wait for each other at every piece, so those that are
    done at the same time should weigh about the same.

    Parameters
    ----------
    weights : sequence of float
        (n) of each piece.
    size : int
        Processes. One alone keeps the order.

    Returns
    -------
    list of list of int
        Numbers of the pieces of each process. Sums differ by the heaviest piece at most.
    """
    if size == 1:
        return [list(range(len(weights)))]
    order = sorted(range(len(weights)), key=lambda number: (-weights[number], number))
    shares: list[list[int]] = [[] for _ in range(size)]
    for start in range(0, len(order), size):
        is_back = start // size % 2
        for place, number in enumerate(order[start : start + size]):
            shares[size - 1 - place if is_back else place].append(number)
    return shares


def gather_answers(world: World, own: Mapping[int, Any]) -> dict[int, Any]:
    """Return the answers of all processes by number, ascending; all must call it.

    Parameters
    ----------
    world : World
        The processes.
    own : mapping
        Number -> what JSON can hold, of this process.
    """
    mine = list(own.items())
    found: dict[int, Any] = {}
    # In rounds: what all send at once is held in memory, padded to the longest.
    for start in range(0, max(world.exchange(len(mine))), _PER_ROUND):
        for part in world.exchange(mine[start : start + _PER_ROUND]):
            found.update((int(number), answer) for number, answer in part)
    return dict(sorted(found.items()))


def pack(array: NDArray[Any]) -> str:
    """Return the exact bytes of an array as text, for a message."""
    content = np.ascontiguousarray(array).tobytes()
    return base64.b64encode(zlib.compress(content, 1)).decode("ascii")


def unpack(text: str, dtype: type[np.generic], shape: Sequence[int] = (-1,)) -> NDArray[Any]:
    """Return the array that was packed, of the same bytes."""
    content = zlib.decompress(base64.b64decode(text))
    return np.frombuffer(content, dtype).reshape(shape).copy()
