"""Features of the fresh tiles of a step, encoded by several processes, with gradient.

The process of the training computes the loss alone, from the features of all. The gradient with
respect to them goes back to where each was computed, and the encoder's gradient is the sum of what
the processes find: the same as that of one process, up to the order of the sum.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from napari_dre_slcl.engine.crew import Crew
from napari_dre_slcl.engine.fresh_features import Backward, FreshFeatures

__all__ = ["SharedFeatures"]


class SharedFeatures:
    """Stands where `FreshFeatures` stands when one process encodes.

    Parameters
    ----------
    crew : Crew
        The other processes.
    encoder : nn.Module
        Of this process; the others get its weights.
    inputs : Tensor
        (n, ...) of all fresh tiles; shared out in runs of nearly the same length.
    chunk : int or None
        Tiles that a process encodes at a time; None takes its whole share.
    step : int
        The others seed their random numbers by it.
    reseed : callable
        As of `FreshFeatures`, for the share of this process.
    is_trainable : bool
        False where no gradient is wanted.
    """

    def __init__(
        self,
        crew: Crew,
        encoder: nn.Module,
        inputs: Tensor,
        chunk: int | None,
        step: int,
        reseed: Callable[[int], None],
        *,
        is_trainable: bool,
    ) -> None:
        self._crew = crew
        self._encoder = encoder
        self._is_trainable = is_trainable
        shares = inputs.tensor_split(crew.size)
        self._counts = [len(share) for share in shares]
        crew.push(encoder)
        for rank in self._others():
            crew.order(rank, "forward", shares[rank], chunk=chunk, step=step)
        self._own = FreshFeatures(encoder, shares[0], chunk, reseed, is_trainable=is_trainable)
        own = self._own.values.detach()
        crew.wait()
        parts = [
            own,
            *(crew.fetch(rank, (self._counts[rank], own.shape[1])) for rank in self._others()),
        ]
        self.values = torch.cat(parts).requires_grad_(is_trainable)
        """(n, d), a leaf: the graphs behind it are in their processes."""

    def backward(self, backward: Backward) -> None:
        """Carry the gradient that has gathered on `values` on to the encoder's weights.

        Parameters
        ----------
        backward : callable
            ``backward(tensor, gradient)``, for the share of this process.
        """
        gradient = self.values.grad
        if not self._is_trainable or gradient is None:
            return
        parts = torch.split(gradient, self._counts)
        for rank in self._others():
            self._crew.order(rank, "backward", parts[rank])
        self._own.values.grad = parts[0]
        self._own.backward(backward)
        self._crew.wait()
        self._crew.add_gradients(self._encoder)

    def _others(self) -> list[int]:
        """Return the other processes that have tiles to encode."""
        return [rank for rank, count in enumerate(self._counts) if rank and count]
