"""Self-distillation without labels, DINO (Caron et al., ICCV 2021): head, loss, centring, teacher.

Knows tensors only; which views there are and who steps is the method's business.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Centring", "DinoHead", "distillation", "follow", "view_agreement"]


class DinoHead(nn.Module):
    """Three linear layers to a bottleneck of unit length, then one to many outputs.

    The rows of the last layer have length 1, so that an output is a cosine.

    Parameters
    ----------
    dim : int
        Width of a region vector.
    width, bottleneck, out_dim : int
        Of the hidden layers, of what is clustered, and of the outputs.
    """

    def __init__(self, dim: int, width: int, bottleneck: int, out_dim: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(dim, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, bottleneck),
        )
        self.last = nn.Parameter(torch.empty(out_dim, bottleneck))
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=1 / math.sqrt(layer.in_features))
                nn.init.zeros_(layer.bias)
        nn.init.normal_(self.last)

    def embed(self, vectors: Tensor) -> Tensor:
        """Return (n, bottleneck) unit rows of (n, dim) region vectors."""
        return F.normalize(self.mlp(vectors), dim=-1)

    def outputs(self, embedded: Tensor) -> Tensor:
        """Return (n, out_dim) of (n, bottleneck) unit rows."""
        return embedded @ F.normalize(self.last, dim=-1).T

    def forward(self, vectors: Tensor) -> Tensor:
        """Return (n, out_dim) of (n, dim) region vectors."""
        return self.outputs(self.embed(vectors))


class Centring(nn.Module):
    """A running mean of the teacher's outputs, taken off them so that no output wins everywhere.

    Parameters
    ----------
    out_dim : int
        Outputs of the head.
    momentum : float
        Share of the old mean that is kept: c <- m c + (1 - m) mean(outputs).
    temperature : float
        Of the teacher.
    """

    centre: Tensor

    def __init__(self, out_dim: int, momentum: float, temperature: float) -> None:
        super().__init__()
        self._momentum, self._temperature = momentum, temperature
        self.register_buffer("centre", torch.zeros(out_dim))

    @torch.no_grad()
    def forward(self, outputs: Tensor) -> Tensor:
        """Return (n, out_dim) probabilities, softmax((outputs - c) / temperature)."""
        return ((outputs - self.centre) / self._temperature).softmax(-1)

    @torch.no_grad()
    def update(self, outputs: Tensor) -> None:
        """Take in (n, out_dim) outputs of the teacher; none leave the centre as it is."""
        if len(outputs):
            self.centre.lerp_(outputs.mean(0), 1 - self._momentum)


def distillation(target: Tensor, student: Tensor) -> Tensor:
    """Cross-entropy of the student against fixed probabilities.

    Parameters
    ----------
    target : Tensor
        (n, k) probabilities of the teacher.
    student : Tensor
        (n, k) logarithms of the student's probabilities.

    Returns
    -------
    Tensor
        Scalar, the mean over n of -sum_k target_k student_k.
    """
    return -(target * student).sum(-1).mean()


def view_agreement(targets: Sequence[Tensor], students: Sequence[Tensor]) -> Tensor:
    """Mean cross-entropy over all pairs of a teacher's and another view of the student.

    Parameters
    ----------
    targets : sequence of Tensor
        (n, k) probabilities of the teacher, one for each global view.
    students : sequence of Tensor
        (n, k) logarithms of the student's probabilities: of the same global views in the same
        order, then of the local ones.

    Returns
    -------
    Tensor
        Scalar; the student's view is never compared with the teacher's of the same view.
    """
    pairs = [
        distillation(target, student)
        for number, target in enumerate(targets)
        for other, student in enumerate(students)
        if number != other
    ]
    return torch.stack(pairs).mean()


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Move the teacher's weights towards the student's: t <- m t + (1 - m) s."""
    for mine, theirs in zip(teacher.parameters(), student.parameters(), strict=True):
        mine.lerp_(theirs, 1 - momentum)
