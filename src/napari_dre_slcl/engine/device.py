"""Which device computes."""

from __future__ import annotations

import torch

from napari_dre_slcl.errors import ConfigError

__all__ = ["choose_device"]


def choose_device(name: str) -> torch.device:
    """Return the device of a setting.

    Parameters
    ----------
    name : str
        ``auto`` (CUDA, else Apple's MPS, else the CPU), ``cpu``, ``cuda`` or ``mps``.

    Raises
    ------
    ConfigError
        If the device is unknown or this machine has none.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, is_there in present.items() if is_there))
    if name not in present:
        raise ConfigError(f"There is no device '{name}'. Choose auto, cpu, cuda or mps.")
    if not present[name]:
        raise ConfigError(
            f"The device '{name}' was asked for, but torch finds none here. "
            "Set training.device (or --device) to auto or cpu."
        )
    return torch.device(name)
