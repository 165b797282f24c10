"""The network of Giga-SSL: an aggregator of a few tiles, and linear heads on slide vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.errors import ConfigError
from napari_dre_slcl.model.linear_heads import LinearHeads
from napari_dre_slcl.model.mlp_aggregator import MlpAggregator
from napari_dre_slcl.model.seeds import seeded
from napari_dre_slcl.model.slide_net import SlideOutput
from napari_dre_slcl.model.slide_views import even_draws, to_cells
from napari_dre_slcl.model.sparse_aggregator import SparseAggregator
from napari_dre_slcl.model.tile_terms import TileTerms

__all__ = ["GigaSslNet"]

_ORDERING_COLUMNS = 4
_CHUNK = 8192
_BAG_SEED = 0  # no setting: a slide's vector is one and the same, wherever it is made


class GigaSslNet(nn.Module):
    """Frozen tile features to a slide vector of unit length (Lazard et al., CVPRW 2023).

    Parameters
    ----------
    config : DreSlclConfig
        Its section ``giga_ssl``: aggregator, its width, and the bags.
    class_counts : sequence of int
        Number of classes of each task.
    encoder : TileEncoder or FeatureAdapter
        Makes (n, dim) unit rows; never trained.

    Attributes
    ----------
    vector_dim : int
        Width of a slide vector.
    """

    codeword_names: tuple[str, ...] = ()
    feature_mean: Tensor
    feature_std: Tensor

    def __init__(self, config: DreSlclConfig, class_counts: Sequence[int], encoder: Any) -> None:
        super().__init__()
        settings, dim = config.giga_ssl, int(encoder.dim)
        self.encoder = encoder
        self._config = settings
        self.vector_dim = settings.width
        self.register_buffer("feature_mean", torch.zeros(dim))
        self.register_buffer("feature_std", torch.ones(dim))
        self.aggregator: Any = (
            SparseAggregator(dim, settings.width)
            if settings.aggregator == "sparse-conv"
            else MlpAggregator(dim, settings.width, settings.dropout)
        )
        self.heads = LinearHeads(settings.width, class_counts)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.feature_mean.device

    @torch.no_grad()
    def set_scaling(self, mean: Tensor, std: Tensor) -> None:
        """Fix the (dim,) mean and deviation that features are standardised by."""
        self.feature_mean.copy_(mean)
        # A dimension that hardly varies would be blown up to noise.
        self.feature_std.copy_(std.clamp_min(0.1 * float(std.mean()) + 1e-6))

    def encode_bags(self, features: Tensor, positions: Tensor | None = None) -> Tensor:
        """Aggregate bags of tiles, with gradient.

        Parameters
        ----------
        features : Tensor
            (B, k, dim).
        positions : Tensor, optional
            (B, k, 2) rows and columns of the tiles' centres, in cells.

        Returns
        -------
        Tensor
            (B, width), of any length.
        """
        cells = None if positions is None else to_cells(positions).to(features.device)
        vectors: Tensor = self.aggregator(self._standardise(features), cells)
        return vectors

    @torch.no_grad()
    def slide_vector(self, features: Tensor, rowcol: Tensor | None = None) -> Tensor:
        """Return the (width,) unit vector of a slide: the mean over bags that deal out its tiles.

        Parameters
        ----------
        features : Tensor
            (n, dim) of all tiles, on the network's device. Their order makes no difference.
        rowcol : Tensor, optional
            (n, 2) int64 rows and columns on the tile grid.

        Raises
        ------
        ConfigError
            If the aggregator needs positions and there are none.
        """
        order = _tile_order(features, rowcol)
        features = features[order.to(features.device)].to(self.feature_mean)
        positions = self.positions(None if rowcol is None else rowcol.cpu()[order])
        size = self._config.tiles_per_view
        generator = seeded(_BAG_SEED, "giga-ssl bags", len(features))
        bags = even_draws(len(features), self._config.bags, size, generator)
        cells = None if positions is None else to_cells(positions[bags]).to(features.device)
        vector: Tensor = self.aggregator.average(self._standardise(features), cells, bags)
        return nn.functional.normalize(vector, dim=0)

    def positions(self, rowcol: Tensor | None) -> Tensor | None:
        """Return (n, 2) float centres in cells where the aggregator needs them, else None."""
        if not self.aggregator.needs_positions:
            return None
        if rowcol is None:
            raise ConfigError(
                "giga_ssl.aggregator 'sparse-conv' needs the positions of tiles, which these "
                "feature files do not hold. Choose giga_ssl.aggregator=mlp, or write the files "
                "with coordinates (dre-slcl embed, TRIDENT and CLAM do)."
            )
        return (rowcol.float() + 0.5) / self._config.cell_tiles

    @torch.no_grad()
    def describe(self, features: Tensor, rowcol: Tensor | None = None) -> SlideOutput:
        """Aggregate all (n, dim) tile features of one slide and predict.

        The method weighs no tile above another: all have the attention 1/n.
        """
        vector = self.slide_vector(features, rowcol)
        zeros = features.new_zeros(len(features))
        return SlideOutput(
            vector=vector,
            probabilities=[values[0] for values in self.heads.probabilities(vector[None])],
            codeword=zeros.long(),
            attention=torch.full_like(zeros, 1 / max(len(features), 1)),
            residual_norm=zeros,
            codeword_attention=features.new_zeros(0),
        )

    @torch.no_grad()
    def tile_terms(self, features: Tensor, rowcol: Tensor | None = None) -> TileTerms | None:
        """Return the embedding and 1 of each of (n, dim) tiles, in one slot.

        A slide of more tiles than its bags hold is predicted from those in bags; here all count
        alike, as they do on average over bags. None for the aggregator that looks at positions.
        """
        if self.aggregator.needs_positions:
            return None
        embedded = torch.cat(
            [
                self.aggregator.blocks(self._standardise(part.to(self.feature_mean)))
                for part in features.split(_CHUNK)
            ]
        )
        one = embedded.new_ones(len(embedded), 1)
        slot = torch.zeros(len(embedded), dtype=torch.long, device=embedded.device)
        n_seen = self._config.bags * self._config.tiles_per_view
        return TileTerms(torch.cat([embedded, one], dim=1), slot, 1, n_seen)

    def logits_of_sums(self, sums: Tensor) -> list[Tensor]:
        """Return one (B, C) per task of (B, 1, width + 1) sums of `tile_terms`."""
        mean = sums[:, 0, :-1] / sums[:, 0, -1:]
        return self.heads.logits(nn.functional.normalize(mean, dim=1))

    def report_space(self, features: Tensor) -> None:
        """Return None: the method knows no reports."""

    def _standardise(self, features: Tensor) -> Tensor:
        return (features - self.feature_mean) / self.feature_std


def _tile_order(features: Tensor, rowcol: Tensor | None) -> Tensor:
    """Return (n,) tile numbers, on the CPU, in an order that depends on the set of tiles alone."""
    columns = list(features[:, :_ORDERING_COLUMNS].T.float().cpu().numpy())
    if rowcol is not None:
        columns += list(rowcol.T.cpu().numpy())
    return torch.from_numpy(np.lexsort(columns))
