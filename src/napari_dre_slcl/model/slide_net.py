"""What every method's network can do: encode tiles, and say all it knows of one slide."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from napari_dre_slcl.model.tile_terms import TileTerms

__all__ = ["SlideNet", "SlideOutput"]


class SlideOutput(NamedTuple):
    """All that a network says of one slide.

    Parameters
    ----------
    vector : Tensor
        (d,) slide vector.
    probabilities : list of Tensor
        One (C,) per task.
    codeword, attention, residual_norm : Tensor
        (n,) of each tile; a method without codewords gives 0 for codeword and residual_norm.
    codeword_attention : Tensor
        (K,); (0,) for a method without codewords.
    """

    vector: Tensor
    probabilities: list[Tensor]
    codeword: Tensor
    attention: Tensor
    residual_norm: Tensor
    codeword_attention: Tensor


class SlideNet(Protocol):
    """The network of a method, an ``nn.Module``: what a bundle stores and prediction calls.

    Attributes
    ----------
    encoder : TileEncoder or FeatureAdapter
        Makes (n, dim) unit rows of pixels or of stored features.
    """

    encoder: Any

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        ...

    @property
    def codeword_names(self) -> tuple[str, ...]:
        """One per codeword; empty for a method without codewords."""
        ...

    def describe(self, features: Tensor, rowcol: Tensor | None = None) -> SlideOutput:
        """Aggregate all (n, d) tile features of one slide and predict.

        Parameters
        ----------
        features : Tensor
            (n, d), what the encoder made of the tiles, on the network's device.
        rowcol : Tensor, optional
            (n, 2) int64 rows and columns on the tile grid; None where they are not known.
        """
        ...

    def tile_terms(self, features: Tensor, rowcol: Tensor | None = None) -> TileTerms | None:
        """Return what each tile adds to the sums that the answer is made of.

        None where the answer is not made of sums over tiles.
        """
        ...

    def logits_of_sums(self, sums: Tensor) -> list[Tensor]:
        """Return one (B, C) per task of the (B, S, p) sums of B slides."""
        ...

    def report_space(self, features: Tensor) -> Tensor | None:
        """Return (n, t) unit vectors, each of (n, d) tiles alone as a slide in report space.

        None for a network that knows no reports.
        """
        ...
