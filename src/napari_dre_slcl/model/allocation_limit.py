"""Stop a network from being built that is larger than its weights.

The settings in a model folder say how large each part is; a stranger may have written them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["AllocationError", "AllocationLimit"]

_MAKE = ("empty", "zeros", "ones", "full", "rand", "arange", "linspace", "eye", "new_", "normal")
_MOST_BYTES_EACH = 8


class AllocationError(ValueError):
    """What is built would take more memory than it may."""


class AllocationLimit(TorchDispatchMode):
    """While it lasts, all tensors that are made may together take so many bytes.

    Parameters
    ----------
    most_bytes : int
        Those that have gone again count as well.
    most_steps : int
        Operations that may be done: settings may ask for very many small layers.
    """

    def __init__(self, most_bytes: int, most_steps: int) -> None:
        super().__init__()
        self._left = most_bytes
        self._steps_left = most_steps

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Let an operation run where there is room for what it makes."""
        self._steps_left -= 1
        if self._steps_left < 0:
            raise AllocationError("its settings ask for many more layers than it has weights")
        name = func.overloadpacket.__name__.lstrip("_")
        if name.startswith(_MAKE) and not name.endswith("_"):
            self._take(_n_asked(args) * _MOST_BYTES_EACH, is_kept=False)
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and not made._is_view() and not name.endswith("_"):
            self._take(made.nbytes, is_kept=True)
        return made

    def _take(self, n_bytes: int, *, is_kept: bool) -> None:
        # Twice the room for numbers of unknown width, which are counted by their width when made.
        if n_bytes > (self._left if is_kept else 2 * self._left):
            raise AllocationError("its settings ask for a network much larger than its weights")
        if is_kept:
            self._left -= n_bytes


def _n_asked(args: tuple[Any, ...]) -> int:
    """Return how many numbers an operation is asked for, by its arguments."""
    for value in args:
        if isinstance(value, list | tuple | torch.Size) and all(type(n) is int for n in value):
            count = 1
            for edge in value:
                count *= max(0, edge)
            return count
    numbers = [value for value in args if type(value) in (int, float)]
    return int(max((abs(value) for value in numbers), default=0))
