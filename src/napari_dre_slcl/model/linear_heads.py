"""Task heads that stand on finished slide vectors: standardise, then one linear map per task."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["LinearHead", "LinearHeads"]


class LinearHead(nn.Module):
    """One task: (vector - mean) / std, then a linear map to C logits.

    Nothing here is trained by gradient; a probe sets it. At the start every class is as likely.

    Parameters
    ----------
    dim : int
        Width of a slide vector.
    n_classes : int
        C.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, dim: int, n_classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("std", torch.ones(dim))
        self.weight = nn.Parameter(torch.zeros(n_classes, dim), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(n_classes), requires_grad=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return (n, C) logits of (n, d) slide vectors."""
        return nn.functional.linear((vectors - self.mean) / self.std, self.weight, self.bias)

    @torch.no_grad()
    def set(self, mean: Tensor, std: Tensor, weight: Tensor, bias: Tensor) -> None:
        """Take over what a probe found: (d,), (d,), (C, d) and (C,)."""
        self.mean.copy_(mean)
        self.std.copy_(std)
        self.weight.copy_(weight)
        self.bias.copy_(bias)


class LinearHeads(nn.Module):
    """One `LinearHead` per task; all that they know is in the state.

    Parameters
    ----------
    dim : int
        Width of a slide vector.
    class_counts : sequence of int
        Number of classes of each task.
    """

    def __init__(self, dim: int, class_counts: Sequence[int]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(LinearHead(dim, count) for count in class_counts)

    def __len__(self) -> int:
        return len(self.heads)

    def __getitem__(self, task: int) -> LinearHead:
        head = self.heads[task]
        assert isinstance(head, LinearHead)
        return head

    def logits(self, vectors: Tensor) -> list[Tensor]:
        """Return one (n, C) per task of (n, d) slide vectors."""
        return [head(vectors) for head in self.heads]

    def probabilities(self, vectors: Tensor) -> list[Tensor]:
        """Return one (n, C) per task of (n, d) slide vectors; rows add up to 1."""
        return [logits.softmax(1) for logits in self.logits(vectors)]
