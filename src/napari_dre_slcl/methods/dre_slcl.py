"""DRE-SLCL (arXiv 2511.05034): fresh tiles with gradient, the others from the memory bank.

Knows tensors; where tiles come from, who steps and who cancels is the engine's business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.methods.slide_batch import SlideBatch, SlideTruth
from napari_dre_slcl.model.augmentation import augment_tiles
from napari_dre_slcl.model.codebook import drawn_per_slide, fit_codebook
from napari_dre_slcl.model.feature_adapter import FeatureAdapter
from napari_dre_slcl.model.keyed_dropout import keyed_dropout
from napari_dre_slcl.model.losses import (
    masked_cross_entropy,
    slide_report_contrast,
    view_contrast,
)
from napari_dre_slcl.model.memory_bank import MemoryBank
from napari_dre_slcl.model.network import DreSlclNet
from napari_dre_slcl.model.residual_sums import ResidualSums, residual_sums
from napari_dre_slcl.model.seeds import seeded
from napari_dre_slcl.model.tile_encoder import TileEncoder

__all__ = [
    "Clock",
    "DreSlcl",
    "encode_without_gradient",
    "no_clock",
]

_ENCODE_CHUNK = 128
_BANK_CHUNK = 8192
Clock = Callable[[str], AbstractContextManager[Any]]
Slides = tuple[tuple[int, ...], ...]
Gather = Callable[[Tensor, Sequence[int]], Tensor]
"""(own rows, rows of each process) -> the rows of all processes, with gradient."""


def no_clock(_phase: str) -> AbstractContextManager[None]:
    """Measure nothing."""
    return nullcontext()


def _alone(rows: Tensor, _counts: Sequence[int]) -> Tensor:
    """Return the rows of the one process that there is."""
    return rows


class DreSlcl:
    """The losses of METHOD section 1, and the bank that they are computed with.

    Parameters
    ----------
    config : DreSlclConfig
        All settings.
    net : DreSlclNet
        On its device.
    bank : MemoryBank
        One row per tile of the training slides.
    truth : SlideTruth
        Labels and reports of the training slides.

    Attributes
    ----------
    gather : callable
        Brings the slide vectors of several processes together; does nothing unless it is set.
    """

    def __init__(
        self, config: DreSlclConfig, net: DreSlclNet, bank: MemoryBank, truth: SlideTruth
    ) -> None:
        self.gather: Gather = _alone
        self.net = net
        self.bank = bank
        self.truth = truth
        self._config = config

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.net.codewords.device

    # -- the bank --------------------------------------------------------------------------------

    def encode_tiles(self, tiles: Tensor) -> Tensor:
        """Encode tiles as a batch holds them, without gradient; (n, d) on the CPU."""
        self.net.eval()
        return encode_without_gradient(self.net.encoder, tiles, self.device)

    def fit_codewords(self, slides: Sequence[int] | None = None) -> None:
        """Find the codewords, as `find_codewords` does, and index the bank."""
        self.find_codewords(slides)
        self.index_bank()

    def find_codewords(self, slides: Sequence[int] | None = None) -> None:
        """Fit the codewords on the bank, the same number of tiles from each slide.

        Parameters
        ----------
        slides : sequence of int, optional
            To draw from; all by default.
        """
        settings, seed = self._config.codebook, self._config.training.seed
        generator = seeded(seed, "codebook", self.bank.generation)
        drawn = []
        chosen = range(len(self.bank)) if slides is None else slides
        per_slide = drawn_per_slide(settings.tiles_per_slide, len(chosen))
        for slide in chosen:
            order = torch.randperm(self.bank.tile_count(slide), generator=generator)
            drawn.append(self.bank.features_of_any(slide, order[:per_slide]))
        features = torch.cat(drawn)
        self.net.set_codebook(fit_codebook(features, settings.codewords, seed), features)

    def index_bank(self) -> None:
        """Set codeword and weight of every tile in the bank anew, and add up its sums."""
        self.bank.index(self.net.index_tiles, self.net.codewords)

    def refresh(self, batch: SlideBatch, features: Tensor, step: int) -> None:
        """Store the (sum of s, d) features of a batch's fresh tiles; call it after the step."""
        self.net.clamp_scale()
        if batch.slides:
            self._store(self._rows(batch), features, step)

    def refresh_tiles(self, slide: int, tiles: Tensor, features: Tensor, step: int) -> None:
        """Store (n, d) features of some tiles of a slide that no step drew."""
        self._store(self.bank.rows(slide, tiles), features, step)

    def _store(self, rows: Tensor, features: Tensor, step: int) -> None:
        stored = self.bank.blended(rows, features)
        codeword, weight = self.net.index_tiles(stored)
        self.bank.write_rows(rows, stored, codeword, weight, step)

    def _rows(self, batch: SlideBatch) -> Tensor:
        pairs = zip(batch.slides, batch.fresh, strict=True)
        return torch.cat([self.bank.rows(slide, fresh) for slide, fresh in pairs])

    # -- a step ----------------------------------------------------------------------------------

    def inputs(self, batch: SlideBatch, step: int) -> Tensor:
        """Return the network's input for a batch's fresh tiles, augmented where they are pixels."""
        settings, encoder = self._config.training, self.net.encoder
        inputs: Tensor = encoder.prepare(batch.tiles, self.device)
        if settings.augment and encoder.takes_pixels:
            counts = [len(fresh) for fresh in batch.fresh]
            generators = [seeded(settings.seed, "augment", step, slide) for slide in batch.slides]
            inputs = augment_tiles(inputs, counts, generators, settings.tint)
        return inputs

    def loss(
        self, batch: SlideBatch, features: Tensor, step: int, clock: Clock = no_clock
    ) -> dict[str, Tensor]:
        """Return the losses of a batch.

        Parameters
        ----------
        batch : SlideBatch
            The slides.
        features : Tensor
            (sum of s, d) features of its fresh tiles.
        step : int
            Its number in the run; random choices depend on it.
        clock : callable
            Called with ``bank``, ``residual`` and ``loss``; the context that it returns is entered
            around that phase.

        Returns
        -------
        dict of str to Tensor
            ``loss``, and where they are trained ``loss/contrastive``, ``loss/view`` and
            ``loss/<task>``.
        """
        of_ranks = batch.of_ranks or (batch.slides,)
        viewed = batch.viewed or (batch.own_viewed(),)
        if not self._config.loss.view_weight or sum(map(len, viewed)) < 2:
            viewed = ((),) * len(of_ranks)
        with clock("bank"):
            rest = self._rest(batch, step) if batch.slides else None
        # With gradient, so that a process without slides can take part where no weight comes after.
        none = self.net.codewords.new_zeros(0, self.net.codewords.shape[1])
        own = [none.requires_grad_()]
        with clock("residual"):
            if batch.slides:
                own.append(self._vectors(batch, features, rest, step))
                own += self._views(batch, features, step) if any(viewed) else ()
        pairs = zip(of_ranks, viewed, strict=True)
        counts = [len(slides) + 2 * len(twice) for slides, twice in pairs]
        parts = self.gather(torch.cat(own), counts).split(counts)
        with clock("loss"):
            return self._losses(of_ranks, viewed, parts)

    def repeated_weights(self) -> list[torch.nn.Parameter]:
        """Return the weights after `gather`: each process finds their whole gradient."""
        parts = [self.net.heads, self.net.projection]
        weights = [weight for part in parts if part is not None for weight in part.parameters()]
        return [*weights, self.net.log_scale]

    def _rest(self, batch: SlideBatch, step: int) -> ResidualSums | None:
        """Return the sums over the bank tiles of a batch's slides: all but the fresh ones."""
        settings = self._config.training
        if settings.bank_tiles == 0:
            return None
        is_part = settings.bank_tiles is not None or settings.tile_dropout > 0
        if settings.dynamic_sums and not is_part:
            rest = self.bank.without_rows(torch.tensor(batch.slides), self._rows(batch))
            return rest.to(self.net.codewords)
        pairs = zip(batch.slides, batch.fresh, strict=True)
        return ResidualSums.stack(
            [self._anew(slide, self._others(slide, fresh, step), is_part) for slide, fresh in pairs]
        )

    def _others(self, slide: int, fresh: Tensor, step: int) -> Tensor:
        """Return the bank tiles of a slide that take part in a step."""
        settings = self._config.training
        is_bank = torch.ones(self.bank.tile_count(slide), dtype=torch.bool)
        is_bank[fresh] = False
        others = is_bank.nonzero().squeeze(1)
        n_kept = len(others) - round(settings.tile_dropout * len(others))
        if settings.bank_tiles is not None:
            n_kept = min(n_kept, settings.bank_tiles)
        if n_kept == len(others):
            return others
        generator = seeded(settings.seed, "bank", step, slide)
        return others[torch.randperm(len(others), generator=generator)[:n_kept]]

    def _anew(self, slide: int, tiles: Tensor, is_part: bool) -> ResidualSums:
        """Add up residuals of bank tiles one by one.

        All tiles count with the weights that they were stored with, as in the dynamic sums. A part
        of them is weighted anew, since its features are at hand.
        """
        if is_part:
            return self.net.bank_sums(self.bank.features(slide, tiles)).slide(0)
        like = self.net.codewords
        total = self.net.bank_sums(self.bank.features(slide, tiles[:0]))
        for part in tiles.split(_BANK_CHUNK):
            features, weights = self.bank.features(slide, part), self.bank.weights_of(slide, part)
            total = total + residual_sums(features.to(like), weights.to(like), like)
        return total.slide(0)

    def _vectors(
        self, batch: SlideBatch, features: Tensor, rest: ResidualSums | None, step: int
    ) -> Tensor:
        """Return the (B, d) slide vectors of fresh and bank tiles together."""
        owner, n_slides = batch.owner().to(self.device), len(batch.slides)
        scale = None
        if rest is not None and self._config.training.rescale_gradient:
            n_fresh = torch.tensor([len(fresh) for fresh in batch.fresh]).to(rest.count)
            scale = ((n_fresh + rest.count.sum(1)) / n_fresh)[owner].unsqueeze(1)
        sums = self.net.sums(features, owner, n_slides, scale)
        with self._dropping(batch.slides, step, "slides"):
            return self.net.encode_slides(sums if rest is None else sums + rest).vector

    def _dropping(self, keys: Sequence[int], step: int, what: str) -> AbstractContextManager[Any]:
        """Have each slide lose the same units whatever slides stand beside it."""
        seed, is_needed = self._config.training.seed, self._config.residual.dropout > 0
        return keyed_dropout(keys, seed, "dropout", step, what, is_needed=is_needed)

    def _views(self, batch: SlideBatch, features: Tensor, step: int) -> tuple[Tensor, ...]:
        """Return the first and the second view of each slide with two fresh tiles or more.

        A view is the slide vector of a random half of the fresh tiles alone.
        """
        owner: list[Tensor] = []
        half: list[Tensor] = []
        viewed = batch.own_viewed()
        n = 0
        for slide, fresh in zip(batch.slides, batch.fresh, strict=True):
            generator = seeded(self._config.training.seed, "view", step, slide)
            half.append(torch.randperm(len(fresh), generator=generator) % 2)
            owner.append(torch.full((len(fresh),), n if len(fresh) > 1 else -1))
            n += len(fresh) > 1
        if not n:
            return ()
        owners, halves = torch.cat(owner), torch.cat(half)
        used = (owners >= 0).nonzero().squeeze(1)
        group = (owners + n * halves)[used].to(self.device)
        sums = self.net.sums(features[used.to(self.device)], group, 2 * n)
        keys = [2 * slide + number for number in range(2) for slide in viewed]
        with self._dropping(keys, step, "views"):
            return (self.net.encode_slides(sums).vector,)

    def _losses(
        self, of_ranks: Slides, viewed: Slides, parts: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        """Return the losses of the vectors of all processes.

        Parameters
        ----------
        of_ranks, viewed : tuple of tuple of int
            Slides of each process, and those that are viewed twice.
        parts : sequence of Tensor
            For each process the vectors of its slides, of their first views, and of their second.
        """
        cut = [
            part.split([len(slides), len(twice), len(twice)])
            for part, slides, twice in zip(parts, of_ranks, viewed, strict=True)
        ]
        vectors, first, second = (torch.cat(kind) for kind in zip(*cut, strict=True))
        rows = torch.tensor([slide for slides in of_ranks for slide in slides])
        weights, terms = self._config.loss, {}
        total = vectors.sum() * 0
        with_report = self.truth.has_report[rows].nonzero().squeeze(1)
        if self.net.projection is not None and weights.contrastive_weight and len(with_report) > 1:
            terms["loss/contrastive"] = self._contrast(vectors, rows, with_report)
            total = total + weights.contrastive_weight * terms["loss/contrastive"]
        if len(first) > 1:
            twice = torch.tensor([slide for slides in viewed for slide in slides])
            terms["loss/view"] = self._view_contrast(first, second, twice)
            total = total + weights.view_weight * terms["loss/view"]
        for index, name in enumerate(self.truth.task_names):
            labels = self.truth.labels[rows, index].to(self.device)
            class_weights = self.truth.class_weights[index].to(vectors)
            term = masked_cross_entropy(
                self.net.heads[index](vectors), labels, class_weights, weights.label_smoothing
            )
            terms[f"loss/{name}"] = term
            total = total + weights.task_weight * term
        return {"loss": total, **terms}

    def _contrast(self, vectors: Tensor, rows: Tensor, with_report: Tensor) -> Tensor:
        chosen = rows[with_report]
        return slide_report_contrast(
            self.net.project(vectors[with_report.to(self.device)]),
            self.truth.reports[chosen].to(vectors),
            self.net.scale,
            self.truth.is_same.among(chosen).to(self.device),
        )

    def _view_contrast(self, first: Tensor, second: Tensor, rows: Tensor) -> Tensor:
        is_same = self.truth.is_same.among(rows).to(self.device)
        return view_contrast(first, second, self._config.loss.view_temperature, is_same)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return groups for the optimiser, with ``name`` encoder or rest, rate and decay."""
        settings = self._config.training
        encoder = {id(parameter) for parameter in self.net.encoder.parameters()}
        groups = []
        of_encoder = (
            settings.lr_encoder
            if self.net.encoder.takes_pixels
            else self._config.features.lr_adapter
        )
        for name, rate in (("encoder", of_encoder), ("rest", settings.lr_rest)):
            for is_matrix in (True, False):
                parameters = [
                    parameter
                    for parameter in self.net.parameters()
                    if parameter.requires_grad
                    and (id(parameter) in encoder) == (name == "encoder")
                    and (parameter.ndim > 1) == is_matrix
                ]
                decay = settings.weight_decay if is_matrix else 0.0
                if parameters:
                    groups.append(
                        {"name": name, "params": parameters, "lr": rate, "weight_decay": decay}
                    )
        return groups


@torch.no_grad()
def encode_without_gradient(
    encoder: TileEncoder | FeatureAdapter, tiles: Tensor, device: torch.device
) -> Tensor:
    """Encode tiles as they are read, in groups of the same size wherever this is called.

    Parameters
    ----------
    encoder : TileEncoder or FeatureAdapter
        In evaluation mode, on ``device``.
    tiles : Tensor
        (n, size, size, 3) uint8 pixels, or (n, d_in) stored features.
    device : torch.device
        Where the encoder is.

    Returns
    -------
    Tensor
        (n, d) unit rows on the CPU.
    """
    chunks = tiles.split(_ENCODE_CHUNK)
    return torch.cat([encoder(encoder.prepare(chunk, device)).cpu() for chunk in chunks])
