"""torch, its helpers and the GPU, tried in a process of their own."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from napari_dre_slcl.doctor.child import ask
from napari_dre_slcl.doctor.finding import Finding, ok, problem, warning
from napari_dre_slcl.engine_extra import COMMAND, missing_engine

__all__ = ["check_computing", "judge"]

_BOTH = "Install torch and torchvision that belong together, both from the same index."
_DRIVER = Path("/proc/driver/nvidia/version")
_LITTLE_GIB = 4.0


def check_computing() -> list[Finding]:
    """Import torch, torchvision and timm, and multiply on each device."""
    absent = missing_engine()
    if absent is not None:
        says = f"{absent} is not installed: slides and results are shown, not trained or predicted"
        return [warning("Engine", says, COMMAND)]
    answer = ask("napari_dre_slcl.doctor.torch_probe")
    if answer.failure:
        return [problem("torch", f"cannot be used: {answer.failure}", _BOTH)]
    return list(judge(answer.facts, has_nvidia_gpu()))


def has_nvidia_gpu() -> bool:
    """Return whether this machine has a driver of an NVIDIA GPU, whatever torch says."""
    return _DRIVER.exists() or (sys.platform == "win32" and bool(shutil.which("nvidia-smi")))


def judge(facts: dict[str, Any], is_gpu_here: bool) -> Iterator[Finding]:
    """Yield what the probe's facts mean.

    Parameters
    ----------
    facts : dict
        As `doctor.torch_probe` prints them.
    is_gpu_here : bool
        Whether the machine has an NVIDIA GPU.
    """
    yield ok("torch", f"{facts['torch']}, {facts['threads']} threads")
    if facts["torchvision_error"]:
        yield problem("torchvision", f"cannot be used: {facts['torchvision_error']}", _BOTH)
    elif facts["is_repaired"]:
        says = "is built for another torch; its import is repaired in each run, which suffices"
        yield ok("torchvision", says)
    for gpu in facts["gpus"]:
        yield _gpu(gpu)
    if facts["gpus"]:
        return
    if facts["has_mps"]:
        yield ok("GPU", "Apple's, through MPS")
    elif is_gpu_here:
        yield warning(
            "GPU",
            f"this machine has an NVIDIA GPU, but torch {facts['torch']} does not see it"
            + (f" ({facts['cuda_note']})" if facts["cuda_note"] else ""),
            "Install the torch build for your CUDA driver: see pytorch.org, 'Get started'. With "
            "CUDA_VISIBLE_DEVICES set, or without a GPU granted by a scheduler, it is hidden.",
        )
    else:
        yield ok("GPU", "none; everything is computed on the processors")


def _gpu(gpu: dict[str, Any]) -> Finding:
    about = f"GPU {gpu['index']}"
    if gpu["error"]:
        return problem(
            about,
            f"{gpu['name']} cannot compute: {gpu['error']}",
            "Update the GPU's driver, or install a torch build for it. Meanwhile: --device cpu.",
        )
    says = f"{gpu['name']}, {gpu['memory_gib']:.0f} GiB, {gpu['free_gib']:.0f} GiB of them free"
    if gpu["free_gib"] < _LITTLE_GIB:
        return warning(
            about, says, "End other programs on it, or take smaller batches: training.fresh_tiles."
        )
    return ok(about, says)
