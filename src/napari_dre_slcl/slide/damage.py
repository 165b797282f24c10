"""Which blocks of a slide could not be decoded, told once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable

from napari_dre_slcl.plain_text import visible

__all__ = ["Damage", "log_damage"]


def log_damage(sentence: str) -> None:
    """Write a sentence about damage to the log, where there is no window to show it."""
    logging.getLogger("napari_dre_slcl").warning(visible(sentence))


class Damage:
    """The damaged blocks of one slide; many threads may add at once.

    Parameters
    ----------
    slide_name : str
        For the sentence.
    on_damage : callable
        Gets one sentence, once, after the first read that met damage.
    """

    def __init__(self, slide_name: str, on_damage: Callable[[str], None] = log_damage) -> None:
        self._slide_name = slide_name
        self._on_damage = on_damage
        self._blocks: set[Hashable] = set()
        self._is_told = threading.Lock()

    @property
    def count(self) -> int:
        """Number of blocks that were met and could not be decoded whole."""
        return len(self._blocks)

    def add(self, block: Hashable) -> None:
        """Note a block; the same one counts once, however often it is read."""
        self._blocks.add(block)

    def tell(self) -> None:
        """Tell of the damage, unless there is none or it has been told."""
        if not self._blocks or not self._is_told.acquire(blocking=False):
            return
        places = "1 place" if self.count == 1 else f"{self.count} places"
        self._on_damage(
            f"Slide '{self._slide_name}' is damaged in {places} of this view, and maybe in others: "
            "what cannot be decoded is drawn white. Copy the file again from its source."
        )
