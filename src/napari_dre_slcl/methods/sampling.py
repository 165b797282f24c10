"""Which slides share a batch, and which tiles of a slide are fresh.

Every choice comes from the generator that is passed, so the same generator draws the same epoch.
Slides are named by their position in the sequences that the caller passes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from napari_dre_slcl.errors import ConfigError

__all__ = ["check_sites", "draw_batches", "draw_fresh", "steps_per_epoch"]


def draw_batches(
    patients: Sequence[str],
    sites: Sequence[str],
    slides_per_batch: int,
    generator: torch.Generator,
    *,
    one_slide_per_patient: bool,
    within_site: bool,
    shards: Sequence[int] = (),
) -> list[tuple[int, ...]]:
    """Draw the batches of an epoch: every slide once, in batches of nearly equal size.

    With `within_site` a batch holds slides of one site, and sites with fewer slides than a batch
    give a smaller one. A site with a single patient has no negatives of its own: such sites are
    gathered in rest batches, where `never_negatives` keeps sites from being told apart.

    Parameters
    ----------
    patients, sites : sequence of str
        (n) of each slide; sites may be empty unless `within_site`.
    slides_per_batch : int
        At most.
    generator : torch.Generator
        On the CPU.
    one_slide_per_patient : bool
        Spread the slides of a patient over as many batches as there are: a patient is in a batch
        twice only where it has more slides than there are batches.
    within_site : bool
        One site for each batch.
    shards : sequence of int, optional
        (n) number of the part that each slide is in. A batch then holds nearly as many slides of
        each part, so that processes that own a part each have as much to do.

    Returns
    -------
    list of tuple of int
        In random order.

    Raises
    ------
    ConfigError
        If `within_site` is asked for and a slide has no site.
    """
    batches: list[tuple[int, ...]] = []
    for group in _groups(patients, sites, within_site):
        n_batches = math.ceil(len(group) / slides_per_batch)
        names = [patients[slide] if one_slide_per_patient else "" for slide in group]
        order = [group[place] for place in _shuffled_by_name(names, generator)]
        if shards:
            order = _by_shard(order, patients if one_slide_per_patient else None, shards)
        batches += [tuple(order[first::n_batches]) for first in range(n_batches)]
    return [batches[place] for place in _shuffled(len(batches), generator)]


def steps_per_epoch(
    patients: Sequence[str], sites: Sequence[str], slides_per_batch: int, *, within_site: bool
) -> int:
    """Return how many batches `draw_batches` draws.

    Raises
    ------
    ConfigError
        If `within_site` is asked for and a slide has no site.
    """
    groups = _groups(patients, sites, within_site)
    return sum(math.ceil(len(group) / slides_per_batch) for group in groups)


def check_sites(sites: Sequence[str]) -> None:
    """Refuse training slides without a site, for batches within a site.

    Raises
    ------
    ConfigError
        If one is empty.
    """
    n_empty = sum(not site for site in sites)
    if n_empty:
        raise ConfigError(
            "training.within_site makes batches of one hospital each, but the cohort table's "
            f"column 'site' is empty for {n_empty} of {len(sites)} training slides. "
            "Fill it, or switch training.within_site off."
        )


def draw_fresh(
    n_tiles: int, n_fresh: int, generator: torch.Generator, scratch: Tensor | None = None
) -> Tensor:
    """Draw the fresh tiles of a slide.

    Parameters
    ----------
    n_tiles, n_fresh : int
        Tiles of the slide, and how many to draw at most.
    generator : torch.Generator
        On the CPU.
    scratch : Tensor, optional
        int64, overwritten. Who draws for many slides passes the same one each time: memory is in
        pieces otherwise, and stays as large as the order of all their tiles.

    Returns
    -------
    Tensor
        (min(n_fresh, n_tiles),) distinct tile numbers in random order. The draw of fewer tiles
        with the same generator is the beginning of this one.
    """
    order = torch.empty(0, dtype=torch.int64) if scratch is None else scratch
    torch.randperm(n_tiles, generator=generator, out=order.resize_(n_tiles))
    return order[:n_fresh].clone()


def _groups(patients: Sequence[str], sites: Sequence[str], within_site: bool) -> list[list[int]]:
    """Return the slides that may share a batch, group by group."""
    if not within_site:
        return [list(range(len(patients)))]
    check_sites(sites)
    by_site: dict[str, list[int]] = {}
    for slide, site in enumerate(sites):
        by_site.setdefault(site, []).append(slide)
    groups, rest = [], []
    for site in sorted(by_site):
        if len({patients[slide] for slide in by_site[site]}) > 1:
            groups.append(by_site[site])
        else:
            rest += by_site[site]
    return [*groups, rest] if rest else groups


def _shuffled_by_name(names: Sequence[str], generator: torch.Generator) -> list[int]:
    """Return places in random order, those of equal names beside each other.

    Dealt out like cards to n batches, neighbours go to different batches.
    """
    places = _shuffled(len(names), generator)
    if len(Counter(names)) < 2:
        return places
    by_name: dict[str, list[int]] = {}
    for place in places:
        by_name.setdefault(names[place], []).append(place)
    # The order of first appearance would put names with many slides first.
    grouped = list(by_name.values())
    return [place for index in _shuffled(len(grouped), generator) for place in grouped[index]]


def _by_shard(
    order: Sequence[int], patients: Sequence[str] | None, shards: Sequence[int]
) -> list[int]:
    """Return slides part after part, in the order given within each; a patient's stay together."""
    if patients is None:
        return sorted(order, key=lambda slide: shards[slide])
    part: dict[str, int] = {}
    for slide in order:
        part.setdefault(patients[slide], shards[slide])
    return sorted(order, key=lambda slide: part[patients[slide]])


def _shuffled(n: int, generator: torch.Generator) -> list[int]:
    order: list[int] = torch.randperm(n, generator=generator).tolist()
    return order
