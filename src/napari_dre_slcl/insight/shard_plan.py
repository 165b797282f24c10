"""Which slides share a shard: those that did before stay together. Knows names and numbers only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["SHARD_TILES", "plan_shards"]

SHARD_TILES = 2**18
"""About so many tiles are in a shard: 400 MB of 384 numbers each, written anew when one slide of
it changes."""


def plan_shards(
    n_tiles: Mapping[str, int],
    before: Sequence[Sequence[str]] = (),
    shard_tiles: int = SHARD_TILES,
) -> list[tuple[str, ...]]:
    """Share slides out over shards so that few shards of an earlier index change.

    Parameters
    ----------
    n_tiles : mapping of str to int
        Tiles of each slide by ``slide_id``, in the order of the cohort.
    before : sequence of sequence of str
        Slides of each shard of the earlier index.
    shard_tiles : int
        A shard takes slides until it has as many tiles.

    Returns
    -------
    list of tuple of str
        Slides of each shard. Shards of before come first, without slides that are wanted no more;
        new slides fill the last of them and then shards of their own. A shard that is left less
        than half full by slides that went, or that has grown to twice its size, is shared out anew.
    """
    kept: list[list[str]] = []
    placed: set[str] = set()
    for members in before:
        stayed = [name for name in members if name in n_tiles and name not in placed]
        size = sum(n_tiles[name] for name in stayed)
        is_thin = len(stayed) < len(members) and 2 * size < shard_tiles
        is_fat = len(stayed) > 1 and size > 2 * shard_tiles
        if stayed and not is_thin and not is_fat:
            kept.append(stayed)
            placed.update(stayed)
    filled = sum(n_tiles[name] for name in kept[-1]) if kept else 0
    for name, size in n_tiles.items():
        if name in placed:
            continue
        if not kept or (filled and filled + size > shard_tiles):
            kept.append([])
            filled = 0
        kept[-1].append(name)
        filled += size
    return [tuple(members) for members in kept]
