"""Which device computes."""

from __future__ import annotations

import os
import sys

import torch

from napari_dre_slcl.config import TrainingConfig
from napari_dre_slcl.errors import ConfigError

__all__ = ["check_devices", "choose_device", "processors"]


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


def check_devices(settings: TrainingConfig, *, is_one_shown: bool = False) -> None:
    """Refuse more devices than there are.

    Parameters
    ----------
    settings : TrainingConfig
        Its ``device`` and ``devices``.
    is_one_shown : bool, default False
        What started this process may show it one GPU only, its own.

    Raises
    ------
    ConfigError
        If this machine has too few, or cannot share tiles out.
    """
    asked = settings.devices
    if asked == 1:
        return
    kind = choose_device(settings.device).type
    if kind == "mps" or sys.platform not in ("linux", "darwin"):
        raise ConfigError(
            f"training.devices={asked} needs GPUs of CUDA or processes of the CPU, on Linux or "
            "macOS. Set it to 1."
        )
    present = torch.cuda.device_count() if kind == "cuda" else processors()
    if kind == "cuda" and present == 1 and is_one_shown:
        return
    what = "GPUs" if kind == "cuda" else "processors"
    if asked > present:
        raise ConfigError(
            f"training.devices={asked} was asked for, but this machine has {present:,} {what} to "
            f"give. Set it to {present:,} at most."
        )


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
