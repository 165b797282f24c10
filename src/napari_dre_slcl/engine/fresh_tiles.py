"""How many tiles of a slide are fresh: as set, and half of it once memory has run out."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch

from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.methods.slide_batch import SlideBatch

__all__ = ["FreshTileBudget", "free_device_memory", "is_out_of_memory"]

Taken = TypeVar("Taken")

# A RuntimeError of its own kind is raised for CUDA only; other allocators can be told by their
# words alone: the CPU's, Apple's, and the libraries that allocate on the GPU by themselves.
_WORDS = (
    "defaultcpuallocator: can't allocate memory",
    "defaultcpuallocator: not enough memory",
    "mps backend out of memory",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "cuda error: out of memory",
    "std::bad_alloc",
)


class FreshTileBudget:
    """Takes steps, and halves their fresh tiles once for the rest of the run if memory runs out.

    Parameters
    ----------
    fresh_tiles : int
        Per slide and step. A checkpoint keeps it together with `is_halved`.
    reporter : Reporter
        Told when it is halved.
    is_halved : bool, default False
        Whether it was halved before, in a run that goes on.
    """

    def __init__(self, fresh_tiles: int, reporter: Reporter, is_halved: bool = False) -> None:
        self.fresh_tiles = fresh_tiles
        self.is_halved = is_halved
        self._reporter = reporter

    def run(self, take: Callable[[SlideBatch], Taken], batch: SlideBatch) -> Taken:
        """Return ``take(batch)``, taken again with half the fresh tiles where memory ran out.

        Parameters
        ----------
        take : callable
            Takes a step. It may have changed nothing where memory runs out in it.
        batch : SlideBatch
            Cut to the present number of fresh tiles if it was drawn with more.

        Raises
        ------
        ModelError
            If memory runs out with the halved number too.
        """
        while True:
            try:
                return take(self._cut(batch))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._halve(error)
            # Not before the handler has let go of the error: its traceback holds the step's
            # tensors.
            free_device_memory()

    def _halve(self, error: Exception) -> None:
        if self.is_halved or self.fresh_tiles < 2:
            again = " again, with half the fresh tiles," if self.is_halved else ""
            raise ModelError(
                f"Training stopped because memory ran out{again} in a step of "
                f"{self.fresh_tiles} fresh tiles a slide. Set training.encode_chunk to a small "
                "number such as 16, or lower training.fresh_tiles or training.slides_per_batch."
            ) from error
        half = self.fresh_tiles // 2
        self._reporter.log(
            f"Memory ran out in a step of {self.fresh_tiles} fresh tiles a slide; training goes "
            f"on with {half}. To keep {self.fresh_tiles}, set training.encode_chunk.",
            "warning",
        )
        self.fresh_tiles, self.is_halved = half, True

    def _cut(self, batch: SlideBatch) -> SlideBatch:
        """Return the batch with the first tiles of each slide, as a draw of fewer has them."""
        if self.fresh_tiles < 2:  # no slide has two for its two views, whoever has drawn it
            batch = replace(batch, viewed=((),) * len(batch.viewed))
        fresh = tuple(tiles[: self.fresh_tiles] for tiles in batch.fresh)
        if all(len(cut) == len(tiles) for cut, tiles in zip(fresh, batch.fresh, strict=True)):
            return batch
        inputs = torch.split(batch.tiles, [len(tiles) for tiles in batch.fresh])
        return replace(
            batch, fresh=fresh, tiles=torch.cat([part[: self.fresh_tiles] for part in inputs])
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that the memory of the GPU or of the machine ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in _WORDS)


def free_device_memory() -> None:
    """Give memory back that the allocators keep for later."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
