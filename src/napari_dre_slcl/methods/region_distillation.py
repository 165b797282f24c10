"""The training loop of SLPD: a student follows a teacher's view of regions and of prototypes.

L = w_self L_self + w_intra L_intra + w_inter L_inter. L_self is DINO's. In L_intra the target of
all views is what the teacher's last layer makes of the region's own centre, in L_inter of the
closest centre of the most similar slide; both are centred by a running mean of their own.
"""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_dre_slcl.config.slpd import SlpdConfig
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.model.dino import Centring, DinoHead, distillation, follow, view_agreement
from napari_dre_slcl.model.prototypes import most_similar, slide_centres
from napari_dre_slcl.model.region_views import crop_grids, thin_vectors
from napari_dre_slcl.model.regions import RegionInputs, RegionStore
from napari_dre_slcl.model.seeds import seed_everything, seeded
from napari_dre_slcl.model.slpd_net import SlpdNet

__all__ = ["RegionDistillation"]

_N_GLOBAL = 2
_LEAST_RATE = 0.002  # of the peak, DINO's 1e-6
_CHUNK_GRIDS, _CHUNK_VECTORS = 64, 8192


class _Targets(NamedTuple):
    """Unit vectors that regions are pulled to; what is not there is None.

    Parameters
    ----------
    row : Tensor
        (R,) row of each region in what follows, -1 where its slide has no centres.
    own, other : Tensor or None
        (r, bottleneck) own centre, and closest centre of the most similar slide.
    """

    row: Tensor
    own: Tensor | None
    other: Tensor | None


class _Distilled(nn.Module):
    """Region encoder and head, as student or as teacher."""

    def __init__(self, encoder: nn.Module, head: DinoHead) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def embed(self, inputs: RegionInputs) -> Tensor:
        """Return (B, bottleneck) unit rows."""
        return self.head.embed(self.encoder(inputs).vector)


class RegionDistillation:
    """Trains the region encoder of a network.

    Parameters
    ----------
    net : SlpdNet
        Its scaling is set, its region encoder is the start.
    store : RegionStore
        Regions of the training slides.
    settings : SlpdConfig
        Everything else.
    seed : int
        Of all random choices.
    """

    def __init__(self, net: SlpdNet, store: RegionStore, settings: SlpdConfig, seed: int) -> None:
        self._net, self._store, self._settings, self._seed = net, store, settings, seed
        seed_everything(seed, "slpd head")
        head = DinoHead(
            net.region_encoder.width, settings.head_width, settings.bottleneck, settings.out_dim
        ).to(net.device)
        self._student = _Distilled(net.region_encoder, head).train()
        self._teacher = copy.deepcopy(self._student).requires_grad_(False).eval()
        momentum, temperature = settings.centre_momentum, settings.teacher_temperature
        self._centring = Centring(settings.out_dim, momentum, temperature).to(net.device)
        self._prototype_centring = copy.deepcopy(self._centring)
        matrices = [weight for weight in self._student.parameters() if weight.ndim > 1]
        others = [weight for weight in self._student.parameters() if weight.ndim < 2]
        self._optimiser = torch.optim.AdamW(
            [{"params": matrices}, {"params": others, "weight_decay": 0.0}], lr=settings.lr
        )
        self._targets: _Targets | None = None
        self._steps_per_epoch = len(self._batches(0))
        self._step = 0

    def run_epoch(self, epoch: int) -> dict[str, float]:
        """Take one pass, number `epoch` from 0; return the mean losses by name.

        Raises
        ------
        ModelError
            If the loss is no longer a number.
        """
        if epoch >= self._first_with_prototypes():
            self._targets = self._find_targets(epoch)
        totals: dict[str, float] = {}
        batches = self._batches(epoch)
        for rows in batches:
            for name, value in self._take_step(rows, epoch).items():
                totals[name] = totals.get(name, 0.0) + value / len(batches)
        return totals

    def finish(self) -> None:
        """Give the network the teacher's region encoder."""
        self._net.region_encoder.load_state_dict(self._teacher.encoder.state_dict())
        self._net.eval()

    def _first_with_prototypes(self) -> int:
        settings = self._settings
        if not (settings.intra_weight or settings.inter_weight):
            return settings.epochs
        # Without the DINO term there is nothing else to begin with.
        share = settings.prototypes_from if settings.self_weight else 0.0
        return math.ceil(share * settings.epochs)

    def _batches(self, epoch: int) -> tuple[Tensor, ...]:
        """Draw at most so many regions of each slide, in random order, in batches of like size."""
        generator = seeded(self._seed, "slpd regions", epoch)
        order = torch.randperm(len(self._store), generator=generator)
        cap = self._settings.regions_per_slide
        if cap is not None:
            slide = self._store.slide[order]
            by_slide = slide.argsort(stable=True)
            counts = torch.bincount(slide)
            first = (counts.cumsum(0) - counts)[slide[by_slide]]
            is_drawn = torch.empty(len(order), dtype=torch.bool)
            is_drawn[by_slide] = torch.arange(len(order)) - first < cap
            order = order[is_drawn]
        n_batches = math.ceil(len(order) / self._settings.regions_per_batch)
        return order.tensor_split(n_batches)

    @torch.no_grad()
    def _find_targets(self, epoch: int) -> _Targets | None:
        """Cluster the teacher's view of the regions of each slide that has enough of them."""
        settings = self._settings
        counts = torch.bincount(self._store.slide)
        is_enough = counts >= max(settings.min_regions, settings.prototypes)
        n_slides = int(is_enough.sum())
        if not n_slides:
            return None
        regions = is_enough[self._store.slide].nonzero().squeeze(1)
        chunk = _CHUNK_GRIDS if self._store.grid else _CHUNK_VECTORS
        embedded = torch.cat([self._teacher.embed(self._inputs(r)) for r in regions.split(chunk)])
        sizes: list[int] = counts[is_enough].tolist()
        generator = seeded(self._seed, "slpd prototypes", epoch)
        found = slide_centres(embedded, sizes, settings.prototypes, settings.restarts, generator)
        centres = F.normalize(found.centres, dim=2)
        slide = torch.arange(n_slides).repeat_interleave(torch.tensor(sizes)).to(embedded.device)
        own = centres[slide, found.nearest]
        other = None
        if settings.inter_weight and n_slides > 1:
            alike = centres[most_similar(centres)]
            closest = (centres @ alike.transpose(1, 2)).argmax(2)
            other = alike[slide, closest[slide, found.nearest]]
        row = torch.full((len(self._store),), -1)
        row[regions] = torch.arange(len(regions))
        return _Targets(row, own if settings.intra_weight else None, other)

    def _inputs(self, rows: Tensor) -> RegionInputs:
        return self._net.standardise(self._store.inputs(rows))

    def _views(self, rows: Tensor) -> list[RegionInputs]:
        """Return the global views, then the local ones."""
        settings, inputs = self._settings, self._inputs(rows)
        generator = seeded(self._seed, "slpd views", self._step)
        is_global = [number < _N_GLOBAL for number in range(_N_GLOBAL + settings.local_views)]
        if self._store.grid:
            edges = [settings.global_crop if one else settings.local_crop for one in is_global]
            return [crop_grids(inputs, edge, generator) for edge in edges]
        shares = [settings.global_dropout if one else settings.local_dropout for one in is_global]
        return [thin_vectors(inputs, share, settings.noise, generator) for share in shares]

    def _take_step(self, rows: Tensor, epoch: int) -> dict[str, float]:
        settings = self._settings
        momentum = self._set_schedules()
        views = self._views(rows)
        losses = self._losses(rows, views)
        total = losses["loss"]
        if not bool(torch.isfinite(total)):
            raise ModelError(
                "SLPD stopped because its loss is no longer a number. Lower slpd.lr, and look for "
                "features that are not numbers."
            )
        self._optimiser.zero_grad(set_to_none=True)
        if total.requires_grad:
            total.backward()
            if epoch < settings.freeze_last:
                self._student.head.last.grad = None
            nn.utils.clip_grad_norm_(self._student.parameters(), settings.clip)
            self._optimiser.step()
            follow(self._teacher, self._student, momentum)
        self._step += 1
        return {name: float(value.detach()) for name, value in losses.items()}

    def _losses(self, rows: Tensor, views: list[RegionInputs]) -> dict[str, Tensor]:
        settings = self._settings
        students = self._student_outputs(views)
        losses: dict[str, Tensor] = {}
        total = students[0].new_zeros(())
        if settings.self_weight:
            with torch.no_grad():
                joined = _joined(views[:_N_GLOBAL])
                outputs = self._teacher.head.outputs(self._teacher.embed(joined))
            targets = self._centring(outputs).chunk(_N_GLOBAL)
            self._centring.update(outputs)
            losses["loss/self"] = view_agreement(targets, students)
            total = total + settings.self_weight * losses["loss/self"]
        for name, term in self._prototype_losses(rows, students).items():
            losses[name] = term
            weight = settings.intra_weight if name == "loss/intra" else settings.inter_weight
            total = total + weight * term
        return {"loss": total, **losses}

    def _student_outputs(self, views: list[RegionInputs]) -> list[Tensor]:
        """Return (B, out_dim) of each view; views of one size go through together."""
        n_local = len(views) - _N_GLOBAL
        groups = [(views, len(views))]
        if self._store.grid:
            groups = [(views[:_N_GLOBAL], _N_GLOBAL), (views[_N_GLOBAL:], n_local)]
        embedded = torch.cat([self._student.embed(_joined(group)) for group, n in groups if n])
        outputs = self._student.head.outputs(embedded) / self._settings.student_temperature
        return list(outputs.chunk(len(views)))

    def _prototype_losses(self, rows: Tensor, students: list[Tensor]) -> dict[str, Tensor]:
        if self._targets is None:
            return {}
        places = self._targets.row[rows]
        chosen = (places >= 0).nonzero().squeeze(1).to(students[0].device)
        if not len(chosen):
            return {}
        places = places[places >= 0].to(students[0].device)
        outputs: dict[str, Tensor] = {}
        for name, targets in (
            ("loss/intra", self._targets.own),
            ("loss/inter", self._targets.other),
        ):
            if targets is not None:
                with torch.no_grad():
                    outputs[name] = self._teacher.head.outputs(targets[places])
        losses = {}
        for name, output in outputs.items():
            target = self._prototype_centring(output)
            terms = [distillation(target, student[chosen]).mean() for student in students]
            losses[name] = torch.stack(terms).mean()
        if outputs:
            self._prototype_centring.update(torch.cat(list(outputs.values())))
        return losses

    def _set_schedules(self) -> float:
        """Set rate and weight decay of this step; return the teacher's momentum."""
        settings = self._settings
        steps = max(1, self._steps_per_epoch * settings.epochs)
        warmup = settings.warmup * steps
        batch = min(settings.regions_per_batch, len(self._store))
        peak = settings.lr * batch / 256
        if self._step < warmup:
            rate = peak * (self._step + 1) / (warmup + 1)
        else:
            share = (self._step - warmup) / (steps - warmup)
            rate = _cosine(peak, _LEAST_RATE * peak, share)
        share = self._step / steps
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        decay = _cosine(settings.weight_decay, settings.weight_decay_end, share)
        self._optimiser.param_groups[0]["weight_decay"] = decay
        return _cosine(settings.ema, 1.0, share)


def _joined(views: list[RegionInputs]) -> RegionInputs:
    present = [view.is_there for view in views if view.is_there is not None]
    values = torch.cat([view.values for view in views])
    return RegionInputs(values, torch.cat(present) if present else None)


def _cosine(start: float, end: float, share: float) -> float:
    """Return what lies `share` of the way from start to end, on half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
