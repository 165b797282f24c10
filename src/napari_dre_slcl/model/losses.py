"""What training minimises: slide-report contrast and masked task losses."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["masked_cross_entropy", "slide_report_contrast"]


def slide_report_contrast(
    slides: Tensor, reports: Tensor, scale: Tensor, is_same: Tensor
) -> Tensor:
    """Symmetric InfoNCE between slide and report vectors of a batch.

    Parameters
    ----------
    slides, reports : Tensor
        (B, d) unit vectors; row i of both belongs together.
    scale : Tensor
        Scalar, 1 / temperature.
    is_same : Tensor
        (B, B) True where two slides share a patient or a report: never each other's negatives.

    Returns
    -------
    Tensor
        Scalar, L = -1/(2B) sum_i [log softmax_k(u_i.t_k / tau)_i + log softmax_k(u_k.t_i / tau)_i]
        (METHOD, DRE-SLCL).
    """
    logits = scale * slides @ reports.T
    own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(is_same & ~own, float("-inf"))
    target = torch.arange(len(logits), device=logits.device)
    return 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))


def masked_cross_entropy(logits: Tensor, labels: Tensor, class_weights: Tensor) -> Tensor:
    """Cross-entropy over the slides that have a label.

    Parameters
    ----------
    logits : Tensor
        (B, C).
    labels : Tensor
        (B,) class numbers, -1 where missing.
    class_weights : Tensor
        (C,) weight of each class.

    Returns
    -------
    Tensor
        Scalar; 0 where no slide has a label.
    """
    known = labels >= 0
    if not bool(known.any()):
        return logits.sum() * 0
    return F.cross_entropy(logits[known], labels[known], weight=class_weights)
