"""The training loop of SLPD: a student follows a teacher's view of regions and of prototypes.

L = w_self L_self + w_intra L_intra + w_inter L_inter. L_self is DINO's. In L_intra the target of
all views is what the teacher's last layer makes of the region's own centre, in L_inter of the
closest centre of the most similar slide; both are centred by a running mean of their own.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from napari_dre_slcl.config.slpd import SlpdConfig
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.methods.distillation_schedule import DistillationSchedule
from napari_dre_slcl.methods.prototype_targets import (
    PrototypeTargets,
    find_targets,
    regions_with_prototypes,
)
from napari_dre_slcl.model.dino import Centring, DinoHead, distillation, follow, view_agreement
from napari_dre_slcl.model.region_views import crop_grids, thin_vectors
from napari_dre_slcl.model.regions import RegionInputs, RegionStore
from napari_dre_slcl.model.seeds import seed_everything, seeded
from napari_dre_slcl.model.slpd_net import SlpdNet

__all__ = ["RegionDistillation"]

_N_GLOBAL = 2
_CHUNK_GRIDS, _CHUNK_VECTORS = 64, 8192


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
        groups: list[dict[str, Any]] = [
            {"params": matrices},
            {"params": others, "weight_decay": 0.0},
        ]
        self._optimiser = torch.optim.AdamW(groups, lr=settings.lr)
        self._targets: PrototypeTargets | None = None
        batches = self._batches(0)
        steps = len(batches) * settings.epochs
        self._schedule = DistillationSchedule(settings, steps, len(batches[0]))
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
        if cap:
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
    def _find_targets(self, epoch: int) -> PrototypeTargets | None:
        """Return this pass's prototypes by the teacher's view; None where all slides are small."""
        slide = self._store.slide
        regions = regions_with_prototypes(slide, self._settings)
        if not len(regions):
            return None
        chunk = _CHUNK_GRIDS if self._store.grid else _CHUNK_VECTORS
        embedded = torch.cat([self._teacher.embed(self._inputs(r)) for r in regions.split(chunk)])
        generator = seeded(self._seed, "slpd prototypes", epoch)
        return find_targets(embedded, regions, slide, self._settings, generator)

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
        views = self._views(rows)
        losses = self._losses(rows, views)
        total = losses["loss"]
        if not bool(torch.isfinite(total)):
            raise ModelError(
                "SLPD stopped because its loss is no longer a number. Lower slpd.lr, and look for "
                "features that are not numbers."
            )
        self._optimiser.zero_grad(set_to_none=True)
        if total.requires_grad:  # not where only prototype terms are on, and none has a prototype
            total.backward()
            if epoch < settings.freeze_last:
                self._student.head.last.grad = None
            nn.utils.clip_grad_norm_(self._student.parameters(), settings.clip)
            for group in self._optimiser.param_groups:
                group["lr"] = self._schedule.rate(self._step)
            decay = self._schedule.weight_decay(self._step)
            self._optimiser.param_groups[0]["weight_decay"] = decay
            self._optimiser.step()
            follow(self._teacher, self._student, self._schedule.momentum(self._step))
        self._step += 1
        return {name: float(value.detach()) for name, value in losses.items()}

    def _losses(self, rows: Tensor, views: list[RegionInputs]) -> dict[str, Tensor]:
        settings = self._settings
        students = self._student_views(views)
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

    def _student_views(self, views: list[RegionInputs]) -> list[Tensor]:
        """Return (B, out_dim) log probabilities of each view; views of one size go together."""
        n_local = len(views) - _N_GLOBAL
        groups = [(views, len(views))]
        if self._store.grid:
            groups = [(views[:_N_GLOBAL], _N_GLOBAL), (views[_N_GLOBAL:], n_local)]
        embedded = torch.cat([self._student.embed(_joined(group)) for group, n in groups if n])
        outputs = self._student.head.outputs(embedded) / self._settings.student_temperature
        return list(outputs.log_softmax(-1).chunk(len(views)))

    def _prototype_losses(self, rows: Tensor, students: list[Tensor]) -> dict[str, Tensor]:
        """Return the terms that are on, over the regions of a batch that have prototypes."""
        if self._targets is None:
            return {}
        places = self._targets.row[rows]
        chosen, places = (places >= 0).nonzero().squeeze(1), places[places >= 0]
        wanted = {
            "loss/intra": self._targets.own if self._settings.intra_weight else None,
            "loss/inter": self._targets.other if self._settings.inter_weight else None,
        }
        if not len(chosen):
            return {}
        with torch.no_grad():
            outputs = {
                name: self._teacher.head.outputs(targets[places.to(targets.device)])
                for name, targets in wanted.items()
                if targets is not None
            }
        pulled = [student[chosen.to(student.device)] for student in students]
        losses = {}
        for name, output in outputs.items():
            target = self._prototype_centring(output)
            losses[name] = torch.stack([distillation(target, one) for one in pulled]).mean()
        if outputs:
            self._prototype_centring.update(torch.cat(list(outputs.values())))
        return losses


def _joined(views: list[RegionInputs]) -> RegionInputs:
    present = [view.is_there for view in views if view.is_there is not None]
    values = torch.cat([view.values for view in views])
    return RegionInputs(values, torch.cat(present) if present else None)
