"""The learning rate as a pure function of the step, so that a resumed run needs no state of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

__all__ = ["RateSchedule"]


@dataclass(frozen=True, slots=True)
class RateSchedule:
    """Linear warm-up, then half a cosine down to zero at the run's end.

    Parameters
    ----------
    base : tuple of float
        Highest rate of each parameter group of the optimiser.
    warmup_steps : float
        Length of the rise.
    total_steps : int
        Length of the run.
    """

    base: tuple[float, ...]
    warmup_steps: float
    total_steps: int

    @classmethod
    def of(
        cls, optimiser: torch.optim.Optimizer, warmup_steps: float, total_steps: int
    ) -> RateSchedule:
        """Return the schedule that starts from an optimiser's own rates."""
        base = tuple(float(group["lr"]) for group in optimiser.param_groups)
        return cls(base, warmup_steps, total_steps)

    def factor(self, step: int) -> float:
        """Return the share of the highest rate at a step; the first step is 0."""
        rise = min(1.0, (step + 1) / max(1.0, self.warmup_steps))
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, self.total_steps))))
        return rise * fall

    def apply(self, optimiser: torch.optim.Optimizer, step: int) -> None:
        """Set the rates of an optimiser for a step."""
        for group, rate in zip(optimiser.param_groups, self.base, strict=True):
            group["lr"] = rate * self.factor(step)
