"""Features of the fresh tiles of a step, with gradient, all at once or a few at a time.

A few at a time is gradient caching (Gao et al. 2021, arXiv 2101.06983): features are computed
without a graph, the loss gives the gradient with respect to them, and each chunk is encoded again,
from the same random numbers, to carry its part of that gradient on. Memory then holds the inner
values of one chunk only, and the gradient is the same; but for an encoder with batch normalisation,
where a chunk is a batch of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from napari_dre_slcl.errors import ModelError

__all__ = ["FreshFeatures"]

Backward = Callable[[Tensor, Tensor], None]
Drawing = Callable[[int, slice], AbstractContextManager[Any]]


class FreshFeatures:
    """Encodes tiles, and brings a gradient with respect to their features back to the encoder.

    Parameters
    ----------
    encoder : nn.Module
        (n, ...) -> (n, d); may be random, if it draws from torch's own generators.
    inputs : Tensor
        (n, ...) of all fresh tiles.
    chunk : int or None
        Most tiles at a time; None takes all.
    drawing : callable
        Called with the number of a chunk and its place among the inputs, a slice; the chunk is
        encoded within the context that it returns, twice where need be.
    is_trainable : bool
        False where no gradient is wanted.
    """

    def __init__(
        self,
        encoder: nn.Module,
        inputs: Tensor,
        chunk: int | None,
        drawing: Drawing,
        *,
        is_trainable: bool,
    ) -> None:
        self._encoder = encoder
        self._drawing = drawing
        n_chunks = 1 if chunk is None else max(1, math.ceil(len(inputs) / chunk))
        # Of even sizes: a last chunk of one tile would leave batch normalisation nothing to go by.
        self._chunks = list(torch.tensor_split(inputs, n_chunks))
        self._is_trainable = is_trainable
        self._graph: Tensor | None = None
        if is_trainable and len(self._chunks) == 1:
            self._graph = self._encode(0)
            values = self._graph.detach()
        else:
            # The figures that batch normalisation keeps are those of the pass with gradient alone.
            with torch.no_grad(), _unchanged_buffers(encoder):
                values = torch.cat([self._encode(number) for number in range(len(self._chunks))])
        self.values = values.requires_grad_(is_trainable)
        """(n, d), a leaf: the graph behind it is this object's own."""

    def backward(self, backward: Backward) -> None:
        """Carry the gradient that has gathered on `values` on to the encoder's weights.

        Parameters
        ----------
        backward : callable
            ``backward(tensor, gradient)``.
        """
        gradient = self.values.grad
        if not self._is_trainable or gradient is None:
            return
        if self._graph is not None:
            backward(self._graph, gradient)
            return
        parts = torch.split(gradient, [len(chunk) for chunk in self._chunks])
        for number, part in enumerate(parts):
            backward(self._encode(number), part)

    def _encode(self, number: int) -> Tensor:
        start = sum(len(chunk) for chunk in self._chunks[:number])
        place = slice(start, start + len(self._chunks[number]))
        try:
            with self._drawing(number, place):
                features: Tensor = self._encoder(self._chunks[number])
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise ModelError(
                "The encoder normalises by batch, and a step gave it one value to go by. Raise "
                "training.fresh_tiles, training.encode_chunk or encoder.input_px, or choose an "
                "encoder without batch normalisation."
            ) from error
        return features


@contextmanager
def _unchanged_buffers(encoder: nn.Module) -> Iterator[None]:
    """Put the running figures of batch normalisation back at the end of a block."""
    layers = [part for part in encoder.modules() if part.training and isinstance(part, _BatchNorm)]
    kept = [(buffer, buffer.clone()) for layer in layers for buffer in layer.buffers()]
    yield
    for buffer, before in kept:
        buffer.copy_(before)
