"""The residual sums of the memory bank's arrays: made by an index, and kept current row by row."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from napari_dre_slcl.model.bank_shape import Arrays
from napari_dre_slcl.model.residual_sums import add_residuals

__all__ = ["Assign", "add_rows", "index_slide", "sums_without"]

_CHUNK = 8192
_SUMS = ("residual", "mass", "count")
# Takes (n, d) features, gives their (n,) codewords and (n,) weights.
Assign = Callable[[Tensor], tuple[Tensor, Tensor]]


def add_rows(
    arrays: Arrays, rows: Tensor, owner: Tensor, sign: int, into: Arrays | None = None
) -> None:
    """Add the stored residuals of rows to sums in place, or take them away.

    Parameters
    ----------
    arrays : dict of str to Tensor
        Of the bank.
    rows : Tensor
        (n,) row numbers.
    owner : Tensor
        (n,) where in the sums each row belongs.
    sign : int
        1 adds, -1 takes away.
    into : dict of str to Tensor, optional
        Other sums than the bank's own.
    """
    codeword = arrays["codeword"][rows].long()
    residual = arrays["features"][rows].double() - arrays["codewords"][codeword]
    weight = arrays["weight"][rows].double()
    add_residuals(arrays if into is None else into, owner, codeword, residual, weight, sign)


def sums_without(arrays: Arrays, slides: Tensor, rows: Tensor, slide_of_row: Tensor) -> Arrays:
    """Return copies of the sums of (B,) slides, less some of their rows."""
    part = {name: arrays[name][slides] for name in _SUMS}
    position = torch.empty(len(arrays["mass"]), dtype=torch.int64)
    position[slides] = torch.arange(len(slides))
    add_rows(arrays, rows, position[slide_of_row], -1, part)
    return part


def index_slide(arrays: Arrays, assign: Assign) -> None:
    """Set codeword and weight of all rows of a slide, and add up its sums.

    A slide with a row that was never encoded keeps empty sums.

    Parameters
    ----------
    arrays : dict of str to Tensor
        The slide's part of each array of the bank; ``codewords`` as it is.
    assign : callable
        Gives features their codewords and weights.
    """
    for name in _SUMS:
        arrays[name].zero_()
    if not bool(arrays["filled"].all()):
        return
    kind = torch.float64 if arrays["features"].dtype == torch.float64 else torch.float32
    for rows in torch.arange(len(arrays["features"])).split(_CHUNK):
        codeword, weight = assign(arrays["features"][rows].to(kind))
        arrays["codeword"][rows] = codeword.cpu().to(arrays["codeword"].dtype)
        arrays["weight"][rows] = weight.detach().cpu().to(arrays["weight"].dtype)
        add_rows(arrays, rows, torch.zeros_like(rows), 1)
