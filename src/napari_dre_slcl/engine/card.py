"""What each process of a training says of itself when they meet, and whether that fits together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from napari_dre_slcl._version import __version__
from napari_dre_slcl.config import DreSlclConfig

__all__ = ["Card", "told_settings", "what_is_wrong"]

_OF_A_MACHINE = {
    "text.cache",
    "training.bank_memory_mib",
    "training.tile_cache_mib",
    "training.workers",
}
"""Settings that may differ from machine to machine: no result depends on them."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a process says of itself.

    Parameters
    ----------
    host : str
        Its machine.
    version : str
        Of this package.
    problem : str
        Why it cannot take part; empty where it can.
    settings : str
        What it was started with, of `told_settings`.
    """

    host: str
    version: str = __version__
    problem: str = ""
    settings: str = "{}"


def what_is_wrong(cards: Sequence[Card]) -> str:
    """Return why processes cannot train together; empty where they can."""
    for rank, card in enumerate(cards):
        name = f"Process {rank + 1} of {len(cards)} (on {card.host})"
        if card.problem:
            return card.problem if rank == 0 else f"{name}: {card.problem}"
        if card.version != cards[0].version:
            return (
                f"{name} has version {card.version} of this package, and the first one (on "
                f"{cards[0].host}) has {cards[0].version}. Install the same on all machines."
            )
    first, *others = [json.loads(card.settings) for card in cards]
    for rank, settings in enumerate(others, 1):
        for name in sorted(first.keys() & settings.keys()):
            if settings[name] != first[name]:
                return (
                    f"Process {rank + 1} of {len(cards)} (on {cards[rank].host}) was started with "
                    f"{name}={settings[name]}, and the first one (on {cards[0].host}) with "
                    f"{first[name]}. Give the same command on all machines."
                )
    return ""


def told_settings(config: DreSlclConfig) -> str:
    """Return as JSON, by dotted name, the settings that processes must have alike."""
    sections = config.model_dump(mode="json")
    told = {
        f"{section}.{name}": value
        for section, fields in sections.items()
        if isinstance(fields, dict)
        for name, value in fields.items()
    }
    return json.dumps({name: told[name] for name in told.keys() - _OF_A_MACHINE})
