"""What training minimises: slide-report contrast, view contrast and masked task losses."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["masked_cross_entropy", "nt_xent", "slide_report_contrast", "view_contrast"]


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
        (B, B) True where two slides share a patient or a report: never each other's negatives, in
        neither direction.

    Returns
    -------
    Tensor
        Scalar, L = -1/(2B) sum_i [log softmax_k(u_i.t_k / tau)_i + log softmax_k(u_k.t_i / tau)_i]
        (METHOD, DRE-SLCL). A slide without negatives adds 0 to the sum.
    """
    if not len(slides):
        return slides.sum() * 0
    logits = scale * slides @ reports.T
    own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill((is_same | is_same.T) & ~own, float("-inf"))
    target = torch.arange(len(logits), device=logits.device)
    return 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))


def nt_xent(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross-entropy of two views (SimCLR, Chen et al. ICML 2020).

    Parameters
    ----------
    a, b : Tensor
        (n, d), any length; row i of both are views of the same thing, all other 2n - 2 rows are
        its negatives.
    temperature : float
        Divides the cosines.

    Returns
    -------
    Tensor
        Scalar, L = -1/(2n) sum_i log [exp(s_ij(i)/tau) / sum_(k != i) exp(s_ik/tau)] over the 2n
        rows, j(i) the other view of i.
    """
    return view_contrast(a, b, temperature, torch.eye(len(a), dtype=torch.bool, device=a.device))


def view_contrast(a: Tensor, b: Tensor, temperature: float, is_same: Tensor) -> Tensor:
    """Contrast two views of each slide with the views of other slides; needs no report.

    Parameters
    ----------
    a, b : Tensor
        (n, d), any length; row i of both are vectors of two disjoint tile subsets of slide i.
    temperature : float
        Divides the cosines.
    is_same : Tensor
        (n, n) True where two slides share a patient: none of their views are negatives.

    Returns
    -------
    Tensor
        Scalar, as `nt_xent` without the masked negatives; a slide without negatives adds 0.
    """
    if not len(a):
        return a.sum() * 0
    views = F.normalize(torch.cat([a, b]), dim=1)
    n_views = len(views)
    rows = torch.arange(n_views, device=views.device)
    other = rows.roll(len(a))
    is_left_out = (is_same | is_same.T).repeat(2, 2)
    is_left_out[rows, rows] = True
    is_left_out[rows, other] = False
    logits = (views @ views.T / temperature).masked_fill(is_left_out, float("-inf"))
    return F.cross_entropy(logits, other)


def masked_cross_entropy(
    logits: Tensor, labels: Tensor, class_weights: Tensor, smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy over the slides that have a label.

    Parameters
    ----------
    logits : Tensor
        (B, C).
    labels : Tensor
        (B,) class numbers, -1 where missing.
    class_weights : Tensor
        (C,) weight of each class.
    smoothing : float
        Share of each label that is spread over all classes.

    Returns
    -------
    Tensor
        Scalar; 0 where no slide has a label.
    """
    known = labels >= 0
    if not bool(known.any()):
        return logits.sum() * 0
    return F.cross_entropy(
        logits[known], labels[known], weight=class_weights, label_smoothing=smoothing
    )
