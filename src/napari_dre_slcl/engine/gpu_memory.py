"""How much memory of the GPU a run has taken."""

from __future__ import annotations

import torch

__all__ = ["gpu_memory"]

_MIB = 2**20


def gpu_memory(device: torch.device) -> dict[str, float]:
    """Return the most MiB taken since the last call, and the whole; nothing without CUDA.

    Parameters
    ----------
    device : torch.device
        Where the network is.

    Returns
    -------
    dict of float
        ``gpu/peak_mib`` and ``gpu/total_mib``.
    """
    if device.type != "cuda":
        return {}
    peak = torch.cuda.max_memory_allocated(device) / _MIB
    torch.cuda.reset_peak_memory_stats(device)
    total = torch.cuda.get_device_properties(device).total_memory / _MIB
    return {"gpu/peak_mib": peak, "gpu/total_mib": total}
