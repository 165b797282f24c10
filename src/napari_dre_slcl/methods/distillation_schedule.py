"""How rate, weight decay and the teacher's momentum change over a training by self-distillation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from napari_dre_slcl.config.slpd import SlpdConfig

__all__ = ["DistillationSchedule"]

_LEAST_RATE = 0.002  # of the peak: 1e-6 for DINO's 5e-4
_REFERENCE_BATCH = 256


@dataclass(frozen=True, slots=True)
class DistillationSchedule:
    """DINO's schedules (Caron et al., ICCV 2021) for a training of known length.

    Parameters
    ----------
    settings : SlpdConfig
        Start and end values, share of the warm-up.
    steps : int
        Length of the training.
    batch : int
        Regions of a step; the peak rate is in proportion to it.
    """

    settings: SlpdConfig
    steps: int
    batch: int

    def rate(self, step: int) -> float:
        """Return the learning rate of a step from 0: a linear rise, then half a cosine."""
        peak = self.settings.lr * self.batch / _REFERENCE_BATCH
        warmup = round(self.settings.warmup * self.steps)
        if step < warmup:
            return peak * (step + 1) / (warmup + 1)
        return _cosine(peak, _LEAST_RATE * peak, (step - warmup) / (self.steps - warmup))

    def weight_decay(self, step: int) -> float:
        """Return the weight decay of a step from 0."""
        start, end = self.settings.weight_decay, self.settings.weight_decay_end
        return _cosine(start, end, step / self.steps)

    def momentum(self, step: int) -> float:
        """Return the teacher's momentum of a step from 0; it rises to 1."""
        return _cosine(self.settings.ema, 1.0, step / self.steps)


def _cosine(start: float, end: float, share: float) -> float:
    """Return what lies `share` of the way from start to end, on half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
